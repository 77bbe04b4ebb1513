/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListPeers, ShowPeer, SetPeer, and finding the peer that a call names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "net/ingress/tables.h"
#include "mesh/session/hello.h"
#include "api/events/events.h"
#include "api/methods.h"
#include "service/limits/reputation.h"

/* A NodeId may be cut to a prefix of this many letters. */
#define PREFIX_LEN_MIN 8

const char *api_peer_address(struct control_call *call, const struct api *api,
			     const struct addr *addr)
{
	const struct weft_endpoint endpoint = addr_endpoint(addr);
	char name[DROPS_PSEUDONYM_CAP];

	/* A label says nothing to anyone: the row names the relay. */
	if (!addr->family || addr_is_relayed(addr))
		return NULL;
	if (control_role_of(call) >= CONTROL_OPERATE)
		return api_addr(control_blocks(call), addr);
	return varlink_text(control_blocks(call),
			    firewall_drops_pseudonym(api->drops, &endpoint, name));
}

const char *api_peer_relay(struct varlink_blocks *blocks, const struct api *api,
			   const struct addr *remote)
{
	const uint8_t *key = NULL;

	if (api->relay_end && addr_is_relayed(remote))
		key = relay_end_relay_of(api->relay_end, remote);
	return key ? api_id(blocks, key) : NULL;
}

void api_published_relays(struct control_call *call, const struct peer_via *vias, unsigned cnt,
			  struct api_published_relay_list *relays)
{
	struct varlink_blocks *blocks = control_blocks(call);

	for (unsigned i = 0; i < cnt; i++) {
		struct api_published_relay row = {.relay = api_id(blocks, vias[i].key)};

		if (control_role_of(call) >= CONTROL_OPERATE)
			row.address = api_addr(blocks, &vias[i].addr);
		varlink_push(blocks, relays, row);
	}
}

static struct api_published_relay_list peer_published(struct control_call *call,
						      const struct mesh_peer_info *peer)
{
	struct api_published_relay_list relays = {0};

	api_published_relays(call, peer->vias, peer->via_cnt, &relays);
	return relays;
}

/* The network of the session, or its relay, and the transport. */
static const char *peer_via(struct varlink_blocks *blocks, const struct api *api,
			    const struct addr *remote)
{
	const char *relay = api_peer_relay(blocks, api, remote);
	const char *way = mesh_way_name(mesh_way_of(remote));

	if (relay)
		return varlink_format(blocks, "relay %.8s, %s", relay, way);
	return varlink_format(blocks, "%s, %s", mesh_network_name(mesh_network_of(remote)), way);
}

struct api_peer api_peer(struct control_call *call, const struct api *api,
			 const struct mesh_peer_info *peer)
{
	const struct transport_conn_info *conn = &peer->conn;
	struct varlink_blocks *blocks = control_blocks(call);
	bool is_open = peer->is_connected;
	char can[MESH_CAPS_TEXT_CAP];

	return (struct api_peer){
		.node_id = api_id(blocks, peer->key),
		.connected = is_open,
		.address = api_peer_address(call, api, &peer->last_addr),
		.agent = varlink_text(blocks, peer->agent),
		.capabilities = api_uint(peer->caps),
		.can = varlink_text(blocks, mesh_caps_text(peer->caps, can)),
		.first_seen_s = api_uint(peer->first_seen_s),
		.last_seen_s = api_uint(peer->last_seen_s),
		.clock_skew_s = peer->skew_s,
		.share = peer->share_cnt,
		/* A node that services do not know has the score that every node begins with. */
		API_IF(reputation, api->service,
		       service_reputation_score(api->reputation, peer->key)),
		API_IF(dialled_by_us, is_open, conn->is_dialler),
		API_IF(resumed, is_open, conn->is_resumed),
		.transport = is_open ? mesh_way_name(mesh_way_of(&conn->remote)) : NULL,
		API_IF(network, is_open, (enum api_peer_network)mesh_network_of(&conn->remote)),
		.relayed_by = is_open ? api_peer_relay(blocks, api, &conn->remote) : NULL,
		API_IF(connected_since_s, is_open, api_uint(peer->connected_since_s)),
		API_IF(rtt_us, is_open, api_uint(conn->rtt_ns / NS_PER_US)),
		API_IF(mtu, is_open, api_uint(conn->pmtu_len)),
		API_IF(black_hole, is_open && conn->has_black_hole, true),
		API_IF(sent_bytes, is_open, api_uint(conn->sent_len)),
		API_IF(received_bytes, is_open, api_uint(conn->received_len)),
		API_IF(lost_packets, is_open, api_uint(conn->lost_cnt)),
		API_IF(requests_in_flight, is_open, api_uint(peer->requests_in_flight)),
		API_IF(incoming_in_flight, is_open, api_uint(peer->incoming_in_flight)),
		.punching = api_punching_text(blocks, api, peer->key),
		.published_relays = peer_published(call, peer),
		.via = is_open ? peer_via(blocks, api, &conn->remote) : NULL,
	};
}

/* Peers of all workers; home's table names them, the workers say which are connected. */
bool api_peers_next(struct api_peer_iter *iter, struct mesh_peer_info *out_peer)
{
	struct api *api = iter->api;
	struct mesh_peer_info own;

	for (;;) {
		const struct workers_session *session = NULL;
		const struct mesh_peer_info *peer = &own;

		if (!mesh_peers_next(api->home->mesh, &iter->walk, &own)) {
			if (iter->is_past)
				return false;
			iter->is_past = true;
			iter->walk = (struct mesh_walk){0};
			continue;
		}
		if (!own.is_connected && api->workers)
			session = workers_session_lookup(api->workers, own.key);
		if (session)
			peer = &session->peer;
		if (peer->is_connected == iter->is_past)
			continue;
		*out_peer = *peer;
		return true;
	}
}

void api_list_peers(struct api *api, struct control_call *call, const struct api_list_peers_in *in,
		    uint64_t now_ns)
{
	struct api_peer_iter iter = {.api = api};
	struct api_peer_list rows = {0};
	struct mesh_peer_info peer;

	(void)in, (void)now_ns;
	while (api_peers_next(&iter, &peer))
		varlink_push(control_blocks(call), &rows, api_peer(call, api, &peer));
	api_reply(call, list_peers, .peers = rows);
}

unsigned api_peer_lookup(struct api *api, const char *name, struct mesh_peer_info *out_peer)
{
	struct api_peer_iter iter = {.api = api};
	struct mesh_peer_info peer, found;
	unsigned found_cnt = 0;

	while (found_cnt < 2 && api_peers_next(&iter, &peer)) {
		char text[ZBASE32_KEY_TEXT_CAP];

		zbase32_write(peer.key, sizeof(peer.key), text);
		if (strncasecmp(text, name, strlen(name)) == 0) {
			found = peer;
			found_cnt++;
		}
	}
	if (found_cnt == 1)
		*out_peer = found;
	return found_cnt;
}

bool api_node_id_read(struct api *api, struct control_call *call, const char *name,
		      uint8_t key[static MESH_KEY_LEN])
{
	const char *why = "not a node id: that has 52 letters, or 8 and more of a known peer's";
	const char *next = "weft node id prints it on that node, weft peer list has the known ones";
	size_t len = strlen(name);
	struct mesh_peer_info peer;
	unsigned cnt;

	if (len == ZBASE32_TEXT_LEN(MESH_KEY_LEN) &&
	    zbase32_parse(name, len, key, MESH_KEY_LEN) == MESH_KEY_LEN) {
		if (memcmp(key, api->own_key, MESH_KEY_LEN) != 0)
			return true;
		why = "that is this node itself";
		next = "name another; weft peer list has the known ones";
	} else if (len >= PREFIX_LEN_MIN && len < ZBASE32_TEXT_LEN(MESH_KEY_LEN)) {
		cnt = api_peer_lookup(api, name, &peer);
		if (cnt == 1) {
			memcpy(key, peer.key, MESH_KEY_LEN);
			return true;
		}
		why = cnt ? "several known peers begin with that"
			  : "no known peer begins with that";
		next = "give the whole id, 52 letters";
	}
	control_fail(call, WEFT_EMALFORMED, name, why, next);
	return false;
}

bool api_peer_read(struct api *api, struct control_call *call, const char *name,
		   struct mesh_peer_info *out_peer)
{
	unsigned cnt;

	if (strlen(name) < PREFIX_LEN_MIN) {
		control_fail(call, WEFT_EMALFORMED, name, "fewer than 8 letters of a node id",
			     "give more of it: weft peer list");
		return false;
	}
	cnt = api_peer_lookup(api, name, out_peer);
	if (cnt != 1)
		control_fail(call, WEFT_EABSENT, name,
			     cnt ? "several peers begin with that"
				 : "no known peer begins with that",
			     "weft peer list shows all");
	return cnt == 1;
}

void api_show_peer(struct api *api, struct control_call *call, const struct api_show_peer_in *in,
		   uint64_t now_ns)
{
	struct mesh_peer_info peer;
	uint8_t key[MESH_KEY_LEN];
	struct api_peer row;
	bool is_whole;

	is_whole =
		strlen(in->node_id) == ZBASE32_TEXT_LEN(MESH_KEY_LEN) &&
		zbase32_parse(in->node_id, strlen(in->node_id), key, MESH_KEY_LEN) == MESH_KEY_LEN;
	/* A node that was named, and never met, is shown by its whole id. */
	if (!(is_whole && api_peer_lookup(api, in->node_id, &peer) == 0 &&
	      api_peer_introduced(api, key, &peer)) &&
	    !api_peer_read(api, call, in->node_id, &peer))
		return;
	row = api_peer(call, api, &peer);
	row.service_roles = api_service_roles(api, control_blocks(call), peer.key);
	api_reply(call, show_peer, .peer = row,
		  .contribution = api_contribution(call, api, peer.key),
		  .social = api_peer_social(call, api, peer.key, peer.caps, now_ns));
}

struct peer_setting {
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	char name[ZBASE32_KEY_TEXT_CAP];
};

static void peer_setting_caller_left(void *arg)
{
	((struct peer_setting *)arg)->call = NULL;
}

static void peer_setting_refuse(struct control_call *call, int err, const char *name)
{
	if (err == WEFT_ETOOLARGE)
		control_fail(call, err, name, "a share is a number from 1 to 64",
			     "for example: weft peer set NODE share=8");
	else if (err == WEFT_EABSENT)
		control_fail(call, err, name, "this node has not met that peer",
			     "weft peer connect NODE ADDR:PORT meets it");
	else if (err == WEFT_EFULL)
		control_fail(
			call, err, name,
			"the part of the peer table for chosen peers is full of peers that stay",
			"raise mesh.peer_cap, or give another peer share=1");
	else
		control_fail(call, err, name, weft_err_text(err),
			     "nothing changed: mend the store and set it again");
}

static void peer_setting_done(void *arg, int err)
{
	struct peer_setting *setting = arg;
	struct api *api = setting->api;
	struct mesh_peer_info peer;

	if (err == 0)
		api->shares_changed(api->ctx);
	if (setting->call && err == 0 && api_peer_lookup(api, setting->name, &peer) != 1)
		err = WEFT_EABSENT;
	if (setting->call && err < 0)
		peer_setting_refuse(setting->call, err, setting->name);
	else if (setting->call)
		api_reply(setting->call, set_peer, .peer = api_peer(setting->call, api, &peer));
	free(setting);
}

/* The event records which peer was given which reputation, and when. */
static void reputation_set(struct api *api, struct control_call *call,
			   const struct mesh_peer_info *peer, unsigned reputation)
{
	struct service_reputation *scores = api->reputation;
	unsigned former = service_reputation_score(scores, peer->key);

	if (service_reputation_set(scores, peer->key, reputation, api->home->now_ns) < 0) {
		control_fail(call, WEFT_EFULL, "reputation",
			     "all places for the reputation of peers are taken by bans",
			     "raise service.judged, or lift a ban: weft ban list");
		return;
	}
	api_tell(api, "peer.reputation-set", peer_reputation,
		 .peer = api_id(control_blocks(call), peer->key), .reputation = reputation,
		 .former = former);
	api_reply_idempotent(api, call,
			     api_set_peer_out_write(&(struct api_set_peer_out){
				     .peer = api_peer(call, api, peer)}));
}

static void set_reputation(struct api *api, struct control_call *call, const uint8_t *key,
			   int64_t reputation)
{
	char name[ZBASE32_KEY_TEXT_CAP];
	struct mesh_peer_info peer;

	zbase32_write(key, MESH_KEY_LEN, name);
	if (reputation < 0 || reputation > SERVICE_REPUTATION_MAX)
		control_fail(call, WEFT_ETOOLARGE, name, "a reputation is a number from 0 to 100",
			     "for example: weft peer set NODE reputation=80");
	else if (!api->service)
		control_fail(
			call, WEFT_EREFUSED, name, "services are turned off on this node",
			"set enabled = yes in [service] of weft.conf(5) and restart the daemon");
	else if (api_peer_lookup(api, name, &peer) != 1)
		peer_setting_refuse(call, WEFT_EABSENT, name);
	else
		reputation_set(api, call, &peer, (unsigned)reputation);
}

void api_set_peer(struct api *api, struct control_call *call, const struct api_set_peer_in *in,
		  uint64_t now_ns)
{
	struct peer_setting *setting;
	uint8_t key[MESH_KEY_LEN];
	int err;

	if (!api_node_id_read(api, call, in->node_id, key))
		return;
	if (in->has_reputation == in->has_share) {
		control_fail(call, WEFT_EMALFORMED, in->node_id,
			     "neither a share nor a reputation alone",
			     "name one of them: weft peer set NODE share=8");
		return;
	}
	if (in->has_reputation) {
		set_reputation(api, call, key, in->reputation);
		return;
	}
	if (in->share < 1 || in->share > FAIR_SHARE_MAX) {
		peer_setting_refuse(call, WEFT_ETOOLARGE, in->node_id);
		return;
	}
	setting = calloc(1, sizeof(*setting));
	if (!setting) {
		peer_setting_refuse(call, -ENOMEM, in->node_id);
		return;
	}
	*setting = (struct peer_setting){.api = api, .call = call};
	zbase32_write(key, sizeof(key), setting->name);
	control_on_gone(call, peer_setting_caller_left, setting);
	err = mesh_set_share(api->home->mesh,
			     &(struct mesh_share_ask){.key = key,
						      .share_cnt = (unsigned)in->share,
						      .done = peer_setting_done,
						      .arg = setting},
			     now_ns);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	peer_setting_refuse(call, err, in->node_id);
	free(setting);
}
