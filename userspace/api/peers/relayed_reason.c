/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a session goes through a relay, in words, from what hole punching found out. Labels and
 * addresses are in no sentence, so any role may read them.
 */
#include "api/methods.h"
#include "base/monotonic.h"
#include "reachability/observed.h"

#define PORT_NEXT                                                                                  \
	"have a router forward this node's UDP port (port_mapping.method), there or at the peer"
#define WAIT_NEXT "wait for the next round; weft peer paths NODE shows what was tried"

struct reason {
	const char *why, *next;
};

/* Some address of the peer is the one at which others see this node. */
static bool is_behind_one_address(const struct api *api, const uint8_t *key)
{
	struct punch_tried tried;
	struct observation seen;

	for (unsigned i = 0; punch_tried(api->punch, key, i, &tried); i++)
		for (unsigned at = 0; reachability_seen(api->reachability, at, &seen); at++)
			if (addr_is_same_host(&tried.addr, &seen.seen))
				return true;
	return false;
}

static bool has_candidates(const struct api *api, const uint8_t *key)
{
	struct punch_tried tried;

	return punch_tried(api->punch, key, 0, &tried);
}

static bool has_probed(const struct api *api, const uint8_t *key)
{
	struct punch_tried tried;

	for (unsigned i = 0; punch_tried(api->punch, key, i, &tried); i++)
		if (tried.is_probed)
			return true;
	return false;
}

/* The peer names no address for the round. */
static struct reason nameless_reason(const struct mesh_peer_info *peer)
{
	if (peer->via_cnt && peer->last_addr.family == ADDR_NONE)
		return (struct reason){"the peer names no address, and its record relays alone",
				       "on the peer: dht.publish = direct in weft.conf(5)"};
	return (struct reason){"the peer names no address at which it could be reached",
			       "on the peer: weft reachability show --again"};
}

/* Both nodes took part in the round, and no probe came through. */
static struct reason silent_reason(const struct api *api, const struct mesh_peer_info *peer,
				   const struct punch_view *view)
{
	const uint8_t *key = peer->key;
	bool is_own_hard = view->own == PUNCH_NAT_HARD,
	     is_peers_hard = view->peers == PUNCH_NAT_HARD;

	if (view->peers == PUNCH_NAT_BLOCKED)
		return (struct reason){"no UDP passes the peer's network",
				       "have the firewall there let UDP pass"};
	if (!has_candidates(api, key))
		return nameless_reason(peer);
	if (!has_probed(api, key))
		return (struct reason){"no address that the peer names may be dialled from here",
				       "weft peer paths NODE names them; weft ban list, and "
				       "transport.internet in weft.conf(5)"};
	if (is_behind_one_address(api, key))
		return (struct reason){
			"both nodes are behind one address, whose router passes nothing back "
			"inside",
			"have that router pass packets back (hairpinning), or " PORT_NEXT};
	if (is_own_hard && is_peers_hard)
		return (struct reason){"both routers give each destination another port",
				       PORT_NEXT};
	if (is_own_hard)
		return (struct reason){
			"this node's router gives each destination another port, and "
			"the peer's lets in only a port that was written to",
			PORT_NEXT};
	if (is_peers_hard)
		return (struct reason){"the peer's router gives each destination another port, and "
				       "this node's lets in only a port that was written to",
				       PORT_NEXT};
	if (view->own == PUNCH_NAT_UNKNOWN)
		return (struct reason){
			"no probe was answered, and this node's router is not known yet",
			"weft reachability show --again asks other nodes"};
	return (struct reason){"no probe of either node was answered", WAIT_NEXT};
}

static struct reason unanswered_reason(const struct punch_view *view)
{
	switch (view->err) {
	case WEFT_EUNKNOWN:
		return (struct reason){"the peer knows no hole punching (messages 110 to 112)",
				       "use a newer weftd there"};
	case WEFT_EBUSY:
		return (struct reason){"the peer takes part in too many rounds of other nodes",
				       WAIT_NEXT};
	case WEFT_EREFUSED:
		return (struct reason){"the peer refuses to look for a direct path",
				       "ask its operator"};
	default:
		return (struct reason){"the peer did not answer in the last round", WAIT_NEXT};
	}
}

static struct reason round_reason(const struct api *api, const struct mesh_peer_info *peer,
				  const struct punch_view *view)
{
	switch (view->outcome) {
	case PUNCH_SILENT:
		return silent_reason(api, peer, view);
	case PUNCH_UNANSWERED:
		return unanswered_reason(view);
	case PUNCH_NO_CANDIDATE:
		if (view->own == PUNCH_NAT_BLOCKED)
			return (struct reason){"no UDP passes this node's network",
					       "have the firewall here let UDP pass"};
		return (struct reason){"this node knows no address of its own",
				       "weft reachability show --again asks others for it"};
	case PUNCH_MOVED:
		return (struct reason){"a direct path was found, and did not last", WAIT_NEXT};
	case PUNCH_NEVER:
		break;
	}
	return (struct reason){"the first round of hole punching is under way", WAIT_NEXT};
}

static struct reason reason_of(const struct api *api, const struct mesh_peer_info *peer,
			       const struct punch_view *view)
{
	if (!peer->conn.is_dialler)
		return (struct reason){
			"the peer dialled, so it is the one that looks for a direct path",
			"on the peer: weft why with this node's id (weft node id)"};
	if (!api->punch)
		return (struct reason){"hole punching is off", PORT_NEXT};
	if (!view)
		return (struct reason){"no round of hole punching has begun", WAIT_NEXT};
	return round_reason(api, peer, view);
}

/* What came of the search of ports in the last round; NULL: there was none. */
static const char *search_text(struct varlink_blocks *blocks,
			       const struct punch_search_view *search)
{
	static const char *const words[PUNCH_SEARCH_OUTCOME_CNT] = {
		[PUNCH_SEARCH_UNPROVED] = "no ports were searched: the relay does not confirm the "
					  "peer's address",
		[PUNCH_SEARCH_REFUSED] = "no ports were searched: the peer takes part in no search",
		[PUNCH_SEARCH_BUSY] =
			"no ports were searched yet: the peer is in another search, or "
			"had those of the hour",
		[PUNCH_SEARCH_UNMAPPED] = "no ports were searched: the relay did not answer where "
					  "it sees this node's socket",
		[PUNCH_SEARCH_COMPLAINED] =
			"no ports are searched for an hour: a router complained "
			"of it",
		[PUNCH_SEARCH_LIMITED] =
			"no ports were searched: this node had its searches of the "
			"hour",
	};
	unsigned tenths = (unsigned)(search->took_ns / (NS_PER_S / 10));

	if (search->is_under_way && search->outcome != PUNCH_SEARCH_FOUND)
		return "ports are being searched";
	if (search->outcome == PUNCH_SEARCH_SILENT && search->is_hard)
		return varlink_format(
			blocks,
			"%u sockets waited for a search by the peer for %u.%u s, none "
			"was hit",
			search->socket_cnt, tenths / 10, tenths % 10);
	if (search->outcome == PUNCH_SEARCH_SILENT)
		return varlink_format(blocks, "searched %u ports for %u.%u s, none answered",
				      search->probe_cnt, tenths / 10, tenths % 10);
	if (search->outcome == PUNCH_SEARCH_FOUND)
		return varlink_format(blocks, "a search of ports found the path after %u.%u s",
				      tenths / 10, tenths % 10);
	return words[search->outcome];
}

static const char *reason_text(struct varlink_blocks *blocks, const struct reason *reason,
			       const struct punch_view *view)
{
	const char *search = view ? search_text(blocks, &view->search) : NULL;

	return search ? varlink_format(blocks, "%s; %s", reason->why, search) : reason->why;
}

static bool flow_of(const struct api *api, const struct addr *label, struct relay_end_row *out_flow)
{
	for (unsigned i = 0; api->relay_end && i < relay_end_row_cap(api->relay_end); i++)
		if (relay_end_row(api->relay_end, i, out_flow) &&
		    addr_equal(&out_flow->label, label))
			return true;
	return false;
}

bool api_relayed_reason(struct varlink_blocks *blocks, const struct api *api,
			const struct mesh_peer_info *peer, struct api_relayed_reason *out)
{
	struct mesh_session_path session;
	struct relay_end_row flow;
	struct punch_view view;
	struct reason reason;
	bool has_view;

	if (!peer->is_connected || !addr_is_relayed(&peer->conn.remote))
		return false;
	has_view = api->punch && punch_show(api->punch, peer->key, &view);
	reason = reason_of(api, peer, has_view ? &view : NULL);
	*out = (struct api_relayed_reason){
		.relay = api_peer_relay(blocks, api, &peer->conn.remote),
		.reason = reason_text(blocks, &reason, has_view ? &view : NULL),
		.next = reason.next,
		.rounds = has_view ? view.round_cnt : 0,
	};
	if (mesh_session_path(api->home->mesh, peer->key, 0, &session) && session.search_ns)
		API_SET(out, next_round_s,
			api_uint((api->wall_us(api->ctx) +
				  (session.search_ns - api->home->now_ns) / NS_PER_US) /
				 1000000));
	if (flow_of(api, &peer->conn.remote, &flow) && flow.slow_ns)
		API_SET(out, slowed_s,
			api_uint(api->wall_us(api->ctx) / 1000000 -
				 (api->home->now_ns - flow.slow_ns) / NS_PER_S));
	return true;
}

const char *api_punching_text(struct varlink_blocks *blocks, const struct api *api,
			      const uint8_t *key)
{
	static const char *const words[] = {
		[PUNCH_NEVER] = "under way",
		[PUNCH_MOVED] = "found a direct path",
		[PUNCH_SILENT] = "no probe was answered",
		[PUNCH_UNANSWERED] = "the peer did not answer",
		[PUNCH_NO_CANDIDATE] = "this node has no address for it",
	};
	struct punch_view view;
	const char *search;

	if (!api->punch || !punch_show(api->punch, key, &view))
		return NULL;
	search = search_text(blocks, &view.search);
	return varlink_format(blocks, "%s; rounds: %u%s%s", words[view.outcome], view.round_cnt,
			      search ? "; " : "", search ? search : "");
}
