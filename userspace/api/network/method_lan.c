/* SPDX-License-Identifier: Apache-2.0 */
/* ListLanNodes: who was heard on the LAN. */
#include "lan/lan.h"

#include <stdio.h>

#include "base/monotonic.h"
#include "api/methods.h"
#include "node/sharing/sharing_state.h"

struct listing {
	struct api_blocks *blocks;
	struct api_lan_node_list nodes;
	uint64_t now_ns;
};

static bool node_list(void *arg, const struct lan_node *node)
{
	static const char *const ways[LAN_WAY_CNT] = {"dns-sd", "beacon"};
	struct listing *listing = arg;
	char caps[16];
	struct api_lan_node row = {
		.way = ways[node->way],
		.instance = api_text(listing->blocks, node->instance),
		.interface = api_text(listing->blocks, node->interface),
		.heard_s = api_uint((listing->now_ns - node->heard_ns) / NS_PER_S),
	};

	snprintf(caps, sizeof(caps), "%x", node->caps);
	row.caps = api_text(listing->blocks, caps);
	if (node->has_key)
		row.node_id = api_id(listing->blocks, node->key);
	if (node->addr.port)
		row.addr = api_addr(listing->blocks, &node->addr);
	api_push(listing->blocks, &listing->nodes, row);
	return true;
}

void api_list_lan_nodes(struct node *node, struct control_call *call,
			const struct api_list_lan_nodes_in *in, uint64_t now_ns)
{
	const struct lan *lan = node->sharing ? node_sharing_lan_of(node->sharing->lan) : NULL;
	struct listing listing = {.blocks = control_blocks(call), .now_ns = now_ns};

	(void)in;
	if (!lan) {
		control_fail(call, WEFT_EREFUSED, "the LAN", "discovery is switched off",
			     "set lan.interfaces in weft.conf and reload weftd");
		return;
	}
	lan_each(lan, node_list, &listing);
	api_reply(call, list_lan_nodes, .nodes = listing.nodes);
}
