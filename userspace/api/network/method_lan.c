/* SPDX-License-Identifier: Apache-2.0 */
/* ListLanNodes: the nodes heard on the LAN. */
#include "lan/lan.h"

#include <stdio.h>

#include "base/monotonic.h"
#include "api/methods.h"
#include "lan/lan_discovery.h"

struct listing {
	struct varlink_blocks *blocks;
	struct api_lan_node_list nodes;
	uint64_t now_ns;
};

static bool node_list(void *arg, const struct lan_node *heard)
{
	static const char *const ways[LAN_WAY_CNT] = {"dns-sd", "beacon"};
	struct listing *listing = arg;
	char caps[16];
	struct api_lan_node row = {
		.way = ways[heard->way],
		.instance = varlink_text(listing->blocks, heard->instance),
		.interface = varlink_text(listing->blocks, heard->interface),
		.heard_s = api_uint((listing->now_ns - heard->heard_ns) / NS_PER_S),
	};

	snprintf(caps, sizeof(caps), "%x", heard->caps);
	row.caps = varlink_text(listing->blocks, caps);
	if (heard->has_key)
		row.node_id = api_id(listing->blocks, heard->key);
	if (heard->addr.port)
		row.addr = api_addr(listing->blocks, &heard->addr);
	varlink_push(listing->blocks, &listing->nodes, row);
	return true;
}

void api_list_lan_nodes(struct api *api, struct control_call *call,
			const struct api_list_lan_nodes_in *in, uint64_t now_ns)
{
	const struct lan *lan = lan_discovery_lan(api->lan);
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
