/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListPeers, ShowPeer, ConnectPeer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/zbase32.h"
#include "mesh/mesh.h"
#include "node/methods.h"

#define CONNECT_TIMEOUT_MS 10000
/* A NodeId may be cut to a prefix of this many letters. */
#define PREFIX_LEN_MIN 8

static void peer_add_conn(json_t *json, const struct mesh_peer_info *peer)
{
	const struct transport_conn_info *conn = &peer->conn;

	json_object_update_new(
		json, json_pack("{s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "dialled_by_us",
				conn->is_dialler, "resumed", conn->is_resumed, "rtt_us",
				method_json_uint(conn->rtt_ns / NS_PER_US), "mtu",
				method_json_uint(conn->pmtu_len), "sent_bytes",
				method_json_uint(conn->sent_len), "received_bytes",
				method_json_uint(conn->received_len), "lost_packets",
				method_json_uint(conn->lost_cnt), "requests_in_flight",
				method_json_uint(peer->requests_in_flight), "incoming_in_flight",
				method_json_uint(peer->incoming_in_flight)));
}

static json_t *peer_json(const struct mesh_peer_info *peer)
{
	char addr[ADDR_TEXT_CAP];
	json_t *json = json_pack("{s:o, s:b, s:s, s:o, s:o, s:o, s:I}", "node_id",
				 method_json_id(peer->key), "connected", peer->is_connected,
				 "agent", peer->agent, "capabilities", method_json_uint(peer->caps),
				 "first_seen_s", method_json_uint(peer->first_seen_s),
				 "last_seen_s", method_json_uint(peer->last_seen_s), "clock_skew_s",
				 (json_int_t)peer->skew_s);

	if (peer->last_addr.family)
		json_object_set_new(json, "address",
				    json_string(addr_format(&peer->last_addr, addr)));
	if (peer->is_connected)
		peer_add_conn(json, peer);
	return json;
}

static bool peer_collect(void *arg, const struct mesh_peer_info *peer)
{
	json_array_append_new(arg, peer_json(peer));
	return true;
}

void method_list_peers(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *peers = json_array();

	(void)parameters, (void)now_ns;
	mesh_peers_each(node->home.mesh, peer_collect, peers);
	control_reply(call, json_pack("{s:o}", "peers", peers));
}

struct peer_search {
	const char *prefix;
	size_t prefix_len;
	unsigned found_cnt;
	struct mesh_peer_info found;
};

static bool peer_match(void *arg, const struct mesh_peer_info *peer)
{
	struct peer_search *search = arg;
	char text[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(peer->key, sizeof(peer->key), text);
	if (strncasecmp(text, search->prefix, search->prefix_len) == 0) {
		search->found = *peer;
		search->found_cnt++;
	}
	return search->found_cnt < 2;
}

void method_show_peer(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	struct peer_search search = {.prefix = name, .prefix_len = strlen(name)};

	(void)now_ns;
	if (search.prefix_len < PREFIX_LEN_MIN) {
		control_fail(call, WEFT_EMALFORMED, name, "fewer than 8 letters of a node id",
			     "give more of it: weft peer list");
		return;
	}
	mesh_peers_each(node->home.mesh, peer_match, &search);
	if (search.found_cnt == 1)
		control_reply(call, json_pack("{s:o}", "peer", peer_json(&search.found)));
	else
		control_fail(call, WEFT_EABSENT, name,
			     search.found_cnt ? "several peers begin with that"
					      : "no known peer begins with that",
			     "weft peer list shows all");
}

struct connecting {
	struct node *node;
	struct control_call *call;
	uint8_t key[MESH_KEY_LEN];
	char name[ZBASE32_KEY_TEXT_CAP];
};

static void connecting_caller_left(void *arg)
{
	((struct connecting *)arg)->call = NULL;
}

static void connecting_fail(struct connecting *connecting, int err, const uint8_t *actual_key)
{
	json_t *extra = json_object();

	if (err == WEFT_EWRONGKEY && actual_key) {
		json_object_set_new(extra, "wanted_key", method_json_id(connecting->key));
		json_object_set_new(extra, "actual_key", method_json_id(actual_key));
	}
	control_fail_with(connecting->call, err, connecting->name,
			  err == WEFT_EWRONGKEY ? "another key answered at that address"
						: weft_err_text(err),
			  "check that it runs and that the address is its own", extra);
}

static void connecting_done(void *arg, int err, const uint8_t *actual_key)
{
	struct connecting *connecting = arg;
	struct peer_search search = {.prefix = connecting->name,
				     .prefix_len = strlen(connecting->name)};

	if (connecting->call && err < 0) {
		connecting_fail(connecting, err, actual_key);
	} else if (connecting->call) {
		mesh_peers_each(connecting->node->home.mesh, peer_match, &search);
		control_reply(connecting->call,
			      json_pack("{s:o}", "peer", peer_json(&search.found)));
	}
	free(connecting);
}

/* Addresses from the call, else the one the peer was last seen at. */
static int connecting_addrs(struct connecting *connecting, const json_t *given,
			    struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	struct peer_search search = {.prefix = connecting->name,
				     .prefix_len = strlen(connecting->name)};
	size_t cnt = json_array_size(given);

	if (cnt > MESH_PEER_ADDRS_MAX)
		return WEFT_ETOOLARGE;
	for (size_t i = 0; i < cnt; i++)
		if (addr_parse(json_string_value(json_array_get(given, i)), &addrs[i]) < 0)
			return WEFT_EMALFORMED;
	if (cnt)
		return (int)cnt;
	mesh_peers_each(connecting->node->home.mesh, peer_match, &search);
	if (search.found_cnt != 1 || !search.found.last_addr.family)
		return WEFT_EUNREACHABLE;
	addrs[0] = search.found.last_addr;
	return 1;
}

static const char *connecting_fault(int err)
{
	switch (err) {
	case WEFT_EUNREACHABLE:
		return "no address of it is known";
	case WEFT_ETOOLARGE:
		return "more than 8 addresses";
	case WEFT_EMALFORMED:
		return "an address is not like 192.0.2.1:7000 or [2001:db8::1]:7000, or the node "
		       "id is not 52 letters, or it is this node's own";
	default:
		return weft_err_text(err);
	}
}

void method_connect_peer(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	json_int_t timeout_ms = json_integer_value(json_object_get(parameters, "timeout_ms"));
	struct connecting *connecting = calloc(1, sizeof(*connecting));
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	struct mesh_peer peer = {.addrs = addrs};
	int err = -ENOMEM;

	if (!connecting)
		goto fail;
	connecting->node = ctx;
	connecting->call = call;
	err = WEFT_EMALFORMED;
	if (zbase32_parse(name, strlen(name), connecting->key, sizeof(connecting->key)) !=
	    MESH_KEY_LEN)
		goto fail;
	zbase32_write(connecting->key, sizeof(connecting->key), connecting->name);
	err = connecting_addrs(connecting, json_object_get(parameters, "addresses"), addrs);
	if (err < 0)
		goto fail;
	peer.addr_cnt = (unsigned)err;
	memcpy(peer.key, connecting->key, sizeof(peer.key));
	if (timeout_ms <= 0)
		timeout_ms = CONNECT_TIMEOUT_MS;
	control_on_gone(call, connecting_caller_left, connecting);
	err = mesh_connect(connecting->node->home.mesh, &peer, (uint64_t)timeout_ms * NS_PER_MS,
			   connecting_done, connecting, now_ns);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
fail:
	control_fail(call, err, name, connecting_fault(err),
		     "weft peer connect NODEID ADDRESS:PORT");
	free(connecting);
}
