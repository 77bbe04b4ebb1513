/* SPDX-License-Identifier: Apache-2.0 */
/* ListLanNodes: who was heard on the LAN. */
#include "mesh/lan/lan.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/zbase32.h"
#include "node/methods/methods.h"
#include "node/sharing/sharing_state.h"

struct listing {
	json_t *nodes;
	uint64_t now_ns;
};

static bool node_list(void *arg, const struct lan_node *node)
{
	static const char *const ways[LAN_WAY_CNT] = {"dns-sd", "beacon"};
	struct listing *listing = arg;
	char key[ZBASE32_KEY_TEXT_CAP], addr[ADDR_TEXT_CAP], caps[16];
	json_t *json;

	snprintf(caps, sizeof(caps), "%x", node->caps);
	json = json_pack("{s:s, s:s, s:s, s:s, s:o}", "way", ways[node->way], "instance",
			 node->instance, "interface", node->interface, "caps", caps, "heard_s",
			 method_json_uint((listing->now_ns - node->heard_ns) / NS_PER_S));
	if (node->has_key)
		json_object_set_new(json, "node_id",
				    json_string(zbase32_write(node->key, MESH_KEY_LEN, key)));
	if (node->addr.port)
		json_object_set_new(json, "addr", json_string(addr_format(&node->addr, addr)));
	json_array_append_new(listing->nodes, json);
	return true;
}

void method_list_lan_nodes(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	const struct node *node = ctx;
	const struct lan *lan = node->sharing ? sharing_lan_of(node->sharing->lan) : NULL;
	struct listing listing = {json_array(), now_ns};

	(void)parameters;
	if (!lan) {
		json_decref(listing.nodes);
		control_fail(call, WEFT_EREFUSED, "the LAN", "discovery is switched off",
			     "set lan.interfaces in weft.conf and reload weftd");
		return;
	}
	lan_each(lan, node_list, &listing);
	control_reply(call, json_pack("{s:o}", "nodes", listing.nodes));
}
