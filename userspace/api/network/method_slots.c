/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListRelaySlots, ConnectRelaySlot: nodes that are reached by a slot of a relay. The relay says which
 * key is behind the slot; then that key is dialled through the relay, as any other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "relay/slots/relay_slots.h"

#define CONNECT_TIMEOUT_MS 10000
#define NOT_REACHED	   "weft relay slots at the node shows whether its slot still holds"

/* --- list --- */

static struct api_relay_slot_row row_of(const struct api *api, struct varlink_blocks *blocks,
					const struct relay_slots_row *row, uint64_t now_ns)
{
	char text[RELAY_SLOT_TEXT_CAP];
	const uint8_t *relay = row->is_own ? row->key : api->own_key;

	return (struct api_relay_slot_row){
		.slot = varlink_text(blocks, relay_slot_text_write(row->slot, relay, text)),
		.side = row->is_own ? "owner" : "relay",
		.node_id = api_id(blocks, row->key),
		.expires_s = row->expires_ns > now_ns
				     ? api_uint((row->expires_ns - now_ns) / NS_PER_S)
				     : 0,
	};
}

void api_list_relay_slots(struct api *api, struct control_call *call,
			  const struct api_list_relay_slots_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_relay_slot_row_list slots = {0};
	struct relay_slots_row row;
	uint32_t idx = 0;

	(void)in;
	while (api->relay_slots && relay_slots_next(api->relay_slots, &idx, &row))
		varlink_push(blocks, &slots, row_of(api, blocks, &row, now_ns));
	api_reply(call, list_relay_slots, .slots = slots);
}

/* --- connect --- */

struct slot_connecting {
	struct api *api;
	struct control_call *call; /* NULL: its caller left */
	bool is_dialling;
	uint64_t timeout_ns;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned addr_cnt;
	uint8_t relay[MESH_KEY_LEN], key[MESH_KEY_LEN];
};

static void slot_caller_left(void *arg)
{
	struct slot_connecting *connecting = arg;

	connecting->call = NULL;
	/* A dial under way ends by itself. */
	if (connecting->is_dialling)
		return;
	relay_slots_cancel(connecting->api->relay_slots, connecting);
	free(connecting);
}

static void slot_connecting_fail(struct slot_connecting *connecting, int err, const char *why,
				 const char *next)
{
	if (connecting->call)
		control_fail(connecting->call, err, "slot", why, next);
	free(connecting);
}

static void slot_dialled(void *arg, int err, const uint8_t *actual_key)
{
	struct slot_connecting *connecting = arg;

	(void)actual_key;
	if (err < 0) {
		slot_connecting_fail(connecting, err, "the node behind it did not answer",
				     NOT_REACHED);
		return;
	}
	if (connecting->call)
		api_reply(connecting->call, connect_relay_slot,
			  .node_id = api_id(control_blocks(connecting->call), connecting->key));
	free(connecting);
}

static bool slot_key_is_banned(const struct slot_connecting *connecting)
{
	struct ban_target target = {.kind = BAN_KEY};

	memcpy(target.key, connecting->key, sizeof(target.key));
	return firewall_ban_list_lookup(connecting->api->bans->list, &target) != NULL;
}

/* The flow goes through the relay that named the key: its session is there. */
static void slot_dial(struct slot_connecting *connecting)
{
	struct api *api = connecting->api;
	struct mesh_path path;
	struct peer_via via;
	struct mesh_peer peer = {.vias = &via, .via_cnt = 1, .is_wanted = true};
	int err;

	if (slot_key_is_banned(connecting)) {
		control_on_gone(connecting->call, NULL, NULL);
		slot_connecting_fail(connecting, WEFT_EREFUSED,
				     "this node has banned the node behind it",
				     "weft ban remove NODE lets it in again");
		return;
	}
	memcpy(peer.key, connecting->key, sizeof(peer.key));
	memcpy(via.key, connecting->relay, sizeof(via.key));
	if (mesh_neighbour_ops.path(api->home->mesh, connecting->relay, &path))
		via.addr = path.remote;
	else
		peer.via_cnt = 0;
	connecting->is_dialling = true;
	err = mesh_connect(api->home->mesh,
			   &(struct mesh_connect){.peer = &peer,
						  .timeout_ns = connecting->timeout_ns,
						  .done = slot_dialled,
						  .arg = connecting},
			   api->home->now_ns);
	if (err == 0)
		return;
	control_on_gone(connecting->call, NULL, NULL);
	slot_connecting_fail(connecting, err, "the node behind it cannot be dialled", NOT_REACHED);
}

static void slot_answered(void *arg, int err, const uint8_t *key)
{
	struct slot_connecting *connecting = arg;

	if (err == 0) {
		memcpy(connecting->key, key, sizeof(connecting->key));
		slot_dial(connecting);
		return;
	}
	control_on_gone(connecting->call, NULL, NULL);
	if (err == WEFT_EABSENT)
		slot_connecting_fail(connecting, err, "no node is behind it now", NOT_REACHED);
	else if (err == WEFT_EUNKNOWN)
		slot_connecting_fail(connecting, err, "the node that it names is no relay",
				     "ask for the slot again");
	else if (err == WEFT_EREFUSED || err == WEFT_EBUSY)
		slot_connecting_fail(connecting, err, "its relay takes no more requests now",
				     "try again in a few seconds");
	else
		slot_connecting_fail(connecting, err, "its relay did not answer",
				     "weft relay connect SLOT@RELAY ADDRESS:PORT says where it is");
}

static bool slot_addrs_read(struct slot_connecting *connecting, struct control_call *call,
			    const struct api_string_list *given)
{
	for (size_t i = 0; i < given->cnt; i++)
		if (i == MESH_PEER_ADDRS_MAX ||
		    addr_parse(given->rows[i], &connecting->addrs[i]) < 0 ||
		    !connecting->addrs[i].port) {
			control_fail(call, WEFT_EMALFORMED, given->rows[i],
				     "not one of at most 8 addresses with a port",
				     "write it like 192.0.2.1:7000 or [2001:db8::1]:7000");
			return false;
		}
	connecting->addr_cnt = (unsigned)given->cnt;
	return true;
}

static int slot_ask(struct slot_connecting *connecting, uint64_t slot, uint64_t now_ns)
{
	struct mesh_peer relay = {
		.addrs = connecting->addrs, .addr_cnt = connecting->addr_cnt, .is_wanted = true};
	const struct relay_slot_question question = {
		.relay = &relay, .slot = slot, .done = slot_answered, .arg = connecting};

	memcpy(relay.key, connecting->relay, sizeof(relay.key));
	return relay_slots_ask(connecting->api->relay_slots, &question, now_ns);
}

static bool has_way_relay(const struct api *api)
{
	const struct mesh_ways *ways = config_live(api->config)->mesh.ways;

	return ways[MESH_NETWORK_INTERNET].ranks[MESH_WAY_RELAY] > 0;
}

/* False: the call was failed. */
static bool slot_read(struct slot_connecting *connecting,
		      const struct api_connect_relay_slot_in *in, uint64_t *out_slot)
{
	const struct api *api = connecting->api;

	if (!has_way_relay(api)) {
		control_fail(connecting->call, WEFT_EREFUSED, "slot",
			     "transport.internet does not name relay, so no flow is opened",
			     "name relay in transport.internet in weft.conf(5)");
		return false;
	}
	if (relay_slot_text_read(in->slot, out_slot, connecting->relay) < 0) {
		control_fail(connecting->call, WEFT_EMALFORMED, in->slot, "no slot",
			     "a slot is SLOT@RELAY, as weft relay slots prints it");
		return false;
	}
	if (relay_trust_of(api->relay_trust, connecting->relay, NULL) == RELAY_TRUST_REFUSED) {
		control_fail(connecting->call, WEFT_EREFUSED, in->slot,
			     "its relay is of an unknown node, and relay.unknown is no",
			     "name the relay in relay.own, or set relay.unknown = yes");
		return false;
	}
	return slot_addrs_read(connecting, connecting->call, &in->addresses);
}

void api_connect_relay_slot(struct api *api, struct control_call *call,
			    const struct api_connect_relay_slot_in *in, uint64_t now_ns)
{
	struct slot_connecting *connecting = calloc(1, sizeof(*connecting));
	int64_t timeout_ms = in->timeout_ms;
	uint64_t slot;
	int err;

	if (!connecting) {
		control_fail(call, -ENOMEM, "slot", "no memory", "free some and try again");
		return;
	}
	if (timeout_ms <= 0 || timeout_ms > INT32_MAX)
		timeout_ms = CONNECT_TIMEOUT_MS;
	connecting->api = api;
	connecting->call = call;
	connecting->timeout_ns = (uint64_t)timeout_ms * NS_PER_MS;
	if (!slot_read(connecting, in, &slot)) {
		free(connecting);
		return;
	}
	control_on_gone(call, slot_caller_left, connecting);
	err = slot_ask(connecting, slot, now_ns);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	slot_connecting_fail(connecting, err, "its relay cannot be asked",
			     "weft relay connect SLOT@RELAY ADDRESS:PORT says where it is");
}
