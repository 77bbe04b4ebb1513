/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListPeerPaths: the ways to a peer, from the rooms that know them. An address is told once: of the
 * first room that has it, in the order session, flow, candidate, dial, known.
 */
#include "api/methods.h"
#include "base/monotonic.h"

/* Sessions, candidates, what a dial tries, and what HELLO names. */
#define TOLD_MAX 96

struct paths {
	struct api *api;
	struct control_call *call;
	const uint8_t *key;
	struct addr used; /* where the session leads; family ADDR_NONE: there is none */
	struct addr told[TOLD_MAX];
	unsigned told_cnt;
	struct api_list_peer_paths_out out;
};

static bool is_told(struct paths *paths, const struct addr *addr)
{
	for (unsigned i = 0; i < paths->told_cnt; i++)
		if (addr_equal(&paths->told[i], addr))
			return true;
	if (paths->told_cnt < TOLD_MAX)
		paths->told[paths->told_cnt++] = *addr;
	return false;
}

static int64_t wall_s(const struct api *api, uint64_t at_ns)
{
	return api_uint(api->wall_us(api->ctx) / 1000000 - (api->home->now_ns - at_ns) / NS_PER_S);
}

/* The peer said so in the last round of hole punching. */
static bool is_mapped(const struct paths *paths, const struct addr *addr)
{
	const struct punch *punch = paths->api->punch;
	struct punch_tried tried;

	for (unsigned i = 0; punch && punch_tried(punch, paths->key, i, &tried); i++)
		if (tried.is_mapped && addr_equal(&tried.addr, addr))
			return true;
	return false;
}

static struct api_peer_path row_at(const struct paths *paths, const struct addr *addr)
{
	return (struct api_peer_path){
		.transport = mesh_way_name(mesh_way_of(addr)),
		.address = api_peer_address(paths->call, paths->api, addr),
		.relay = api_peer_relay(control_blocks(paths->call), paths->api, addr),
		API_IF(network, !addr_is_relayed(addr),
		       (enum api_peer_path_network)mesh_network_of(addr)),
		.mapped = is_mapped(paths, addr),
	};
}

static void push(struct paths *paths, const struct api_peer_path *row)
{
	varlink_push(control_blocks(paths->call), &paths->out.paths, *row);
}

/* --- sessions --- */

static const char *session_why(const struct mesh_session_path *session, bool is_used)
{
	if (!is_used)
		return "another session is used; this one ends with its streams";
	if (session->is_silent)
		return "it carries the session, and owes an answer";
	return "it carries the session";
}

/* Of a peer whose session another worker has, home knows less. */
static void sessions_add(struct paths *paths, const struct mesh_peer_info *peer)
{
	struct mesh_session_path session = {.conn = peer->conn};
	struct mesh *mesh = paths->api->home->mesh;
	bool is_home = mesh_session_path(mesh, paths->key, 0, &session);

	for (unsigned i = 0; peer->is_connected; i++) {
		const struct transport_conn_info *conn = &session.conn;
		struct api_peer_path row = row_at(paths, &conn->remote);

		if (i == 0)
			paths->used = conn->remote;
		row.kind = API_PEER_PATH_KIND_SESSION;
		row.used = i == 0;
		row.why = session_why(&session, row.used);
		API_SET(&row, rtt_us, api_uint(conn->rtt_ns / NS_PER_US));
		API_SET(&row, lost_packets, api_uint(conn->lost_cnt));
		API_SET(&row, since_s,
			is_home ? wall_s(paths->api, session.since_ns)
				: api_uint(peer->connected_since_s));
		if (!is_told(paths, &conn->remote))
			push(paths, &row);
		if (!is_home || !mesh_session_path(mesh, paths->key, i + 1, &session))
			return;
	}
}

/* --- flows --- */

static const char *flow_why(const struct relay_end_row *flow)
{
	if (flow->slow_ns)
		return "open, at a low rate: its volume ended; a grant of the relay has more";
	if (!flow->is_open)
		return "lost; the node that opened it asks the relay for it again";
	return flow->is_opener ? "open; the session goes another way"
			       : "open, by the peer; the session goes another way";
}

static void flows_add(struct paths *paths)
{
	const struct relay_end *end = paths->api->relay_end;
	struct relay_end_row flow;

	for (unsigned i = 0; end && i < relay_end_row_cap(end); i++) {
		struct api_peer_path row;

		if (!relay_end_row(end, i, &flow) || memcmp(flow.peer, paths->key, MESH_KEY_LEN))
			continue;
		if (is_told(paths, &flow.label))
			continue;
		row = row_at(paths, &flow.label);
		row.kind = API_PEER_PATH_KIND_FLOW;
		row.why = flow_why(&flow);
		API_SET(&row, since_s, wall_s(paths->api, flow.since_ns));
		push(paths, &row);
	}
}

/* --- addresses --- */

static const char *rival_why(enum punch_rival rival)
{
	switch (rival) {
	case PUNCH_RIVAL_NOT_NEEDED:
		return "kept warm; the session's path is good enough, with 10 ms at most";
	case PUNCH_RIVAL_NOT_BETTER:
		return "kept warm; not 5 ms better than the session's path";
	case PUNCH_RIVAL_BETTER:
		return "kept warm; 5 ms better, and used if it stays so for a minute";
	case PUNCH_RIVAL_NONE:
		break;
	}
	return "a probe there was answered";
}

static const char *tried_why(const struct punch_tried *tried)
{
	if (tried->is_answered)
		return rival_why(tried->rival);
	if (!tried->is_probed)
		return "not probed: of a private network that is not this node's, or not to be "
		       "dialled";
	return tried->is_named ? "no probe there was answered"
			       : "a probe came from there, and none there was answered";
}

static void tried_add(struct paths *paths)
{
	struct punch_tried tried;

	for (unsigned i = 0;
	     paths->api->punch && punch_tried(paths->api->punch, paths->key, i, &tried); i++) {
		struct api_peer_path row = row_at(paths, &tried.addr);

		row.kind = API_PEER_PATH_KIND_CANDIDATE;
		row.why = tried_why(&tried);
		if (tried.rtt_ns) {
			API_SET(&row, rtt_us, api_uint(tried.rtt_ns / NS_PER_US));
			API_SET(&row, lost_packets, tried.lost_cnt);
			API_SET(&row, since_s, wall_s(paths->api, tried.since_ns));
		}
		if (!is_told(paths, &tried.addr))
			push(paths, &row);
	}
}

static void trials_add(struct paths *paths)
{
	static const char *const whys[] = {
		[MESH_TRIAL_WAITS] = "dialled if the others stay silent",
		[MESH_TRIAL_RUNS] = "dialled, no answer yet",
		[MESH_TRIAL_FAILED] = "dialled in vain, or not to be dialled",
	};
	struct mesh_trial trial;

	for (unsigned i = 0; mesh_trial(paths->api->home->mesh, paths->key, i, &trial); i++) {
		struct api_peer_path row = row_at(paths, &trial.addr);

		row.kind = API_PEER_PATH_KIND_DIAL;
		row.why = whys[trial.state];
		if (!addr_is_relayed(&trial.addr) && !is_told(paths, &trial.addr))
			push(paths, &row);
	}
}

/* QUIC before TCP before a relay, as transport.internet and transport.lan have it. */
static const char *known_why(const struct paths *paths, const struct addr *addr)
{
	const struct mesh_ways *ways = config_live(paths->api->config)->mesh.ways;
	unsigned rank = mesh_ways_rank(ways, addr);

	if (!rank)
		return "the order of transports does not name it";
	if (mesh_may_not_dial(paths->api->home->mesh, paths->key, addr))
		return "a ban forbids it";
	if (paths->used.family == ADDR_NONE)
		return "there is no session; weft peer connect NODE dials it";
	if (addr_is_relayed(&paths->used))
		return "no session was made there";
	if (rank > mesh_ways_rank(ways, &paths->used))
		return "the session's transport comes first";
	return "the session is well, and needs no other";
}

static void known_add(struct paths *paths, const struct addr *addr)
{
	struct api_peer_path row = row_at(paths, addr);

	row.kind = API_PEER_PATH_KIND_KNOWN;
	row.why = known_why(paths, addr);
	if (addr->family != ADDR_NONE && !addr_is_relayed(addr) && !is_told(paths, addr))
		push(paths, &row);
}

static void knowns_add(struct paths *paths, const struct mesh_peer_info *peer)
{
	struct mesh_neighbour neighbour;

	known_add(paths, &peer->last_addr);
	if (!mesh_neighbour_ops.find(paths->api->home->mesh, paths->key, &neighbour))
		return;
	known_add(paths, &neighbour.remote);
	for (unsigned i = 0; i < neighbour.addr_cnt; i++)
		known_add(paths, &neighbour.addrs[i]);
}

/* --- relays of the record --- */

static bool has_flow_of(const struct paths *paths, const char *relay)
{
	for (size_t i = 0; i < paths->out.paths.cnt; i++)
		if (paths->out.paths.rows[i].relay &&
		    strcmp(paths->out.paths.rows[i].relay, relay) == 0)
			return true;
	return false;
}

static void relays_add(struct paths *paths, const struct mesh_peer_info *peer)
{
	const struct mesh_ways *ways =
		&config_live(paths->api->config)->mesh.ways[MESH_NETWORK_INTERNET];
	const char *why = ways->ranks[MESH_WAY_RELAY]
				  ? "no flow is open there; asked when the others are silent"
				  : "transport.internet does not name relay";

	for (unsigned i = 0; i < peer->via_cnt; i++) {
		struct api_peer_path row = {
			.kind = API_PEER_PATH_KIND_RELAY,
			.transport = mesh_way_name(MESH_WAY_RELAY),
			.relay = api_id(control_blocks(paths->call), peer->vias[i].key),
			.why = why,
		};

		if (!has_flow_of(paths, row.relay))
			push(paths, &row);
	}
}

void api_list_peer_paths(struct api *api, struct control_call *call,
			 const struct api_list_peer_paths_in *in, uint64_t now_ns)
{
	struct paths paths = {.api = api, .call = call};
	struct api_relayed_reason relayed;
	struct mesh_peer_info peer;

	(void)now_ns;
	if (!api_peer_read(api, call, in->node_id, &peer))
		return;
	paths.key = peer.key;
	paths.out.node_id = api_id(control_blocks(call), peer.key);
	sessions_add(&paths, &peer);
	flows_add(&paths);
	tried_add(&paths);
	trials_add(&paths);
	knowns_add(&paths, &peer);
	relays_add(&paths, &peer);
	if (api_relayed_reason(control_blocks(call), api, &peer, &relayed))
		paths.out.relayed = &relayed;
	control_reply(call, api_list_peer_paths_out_write(&paths.out));
}
