/* SPDX-License-Identifier: Apache-2.0 */
/* ListLanNodes and ListForeignNodes: the nodes heard on the LAN, and instances of other programs. */
#include "lan/lan.h"

#include <stdio.h>

#include "base/monotonic.h"
#include "api/methods.h"
#include "lan/lan_discovery.h"

#define SERVICES_CAP (LAN_SERVICES_MAX * LAN_SERVICE_CAP)

/* NULL: none. */
static const char *services_text(struct varlink_blocks *blocks, const struct lan_services *services,
				 uint64_t bits)
{
	char text[SERVICES_CAP] = "";
	size_t len = 0;

	for (unsigned i = 0; i < services->cnt; i++)
		if (bits >> i & 1)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? " " : "", services->names[i]);
	return len ? varlink_text(blocks, text) : NULL;
}

static struct api_lan_node node_row(struct varlink_blocks *blocks, const struct lan_node *heard,
				    uint64_t now_ns)
{
	static const char *const ways[LAN_WAY_CNT] = {"dns-sd", "beacon"};
	char caps[16];
	struct api_lan_node row = {
		.way = ways[heard->way],
		.instance = varlink_text(blocks, heard->instance),
		.interface = varlink_text(blocks, heard->interface),
		.heard_s = api_uint((now_ns - heard->heard_ns) / NS_PER_S),
	};

	snprintf(caps, sizeof(caps), "%x", heard->caps);
	row.caps = varlink_text(blocks, caps);
	if (heard->has_key)
		row.node_id = api_id(blocks, heard->key);
	if (heard->addr.port)
		row.addr = api_addr(blocks, &heard->addr);
	return row;
}

/* NULL: it is off, and the call has failed. */
static const struct lan *lan_of(const struct api *api, struct control_call *call)
{
	const struct lan *lan = lan_discovery_lan(api->lan);

	if (!lan)
		control_fail(call, WEFT_EREFUSED, "the LAN", "discovery is switched off",
			     "set lan.interfaces in weft.conf and reload weftd");
	return lan;
}

void api_list_lan_nodes(struct api *api, struct control_call *call,
			const struct api_list_lan_nodes_in *in, uint64_t now_ns)
{
	const struct lan *lan = lan_of(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	const struct lan_node *heard = NULL;
	struct api_lan_node_list nodes = {0};

	(void)in;
	if (!lan)
		return;
	while ((heard = lan_next(lan, heard))) {
		struct api_lan_node row = node_row(blocks, heard, now_ns);

		row.services = services_text(blocks, lan_services(lan), heard->services);
		varlink_push(blocks, &nodes, row);
	}
	api_reply(call, list_lan_nodes, .nodes = nodes);
}

void api_list_foreign_nodes(struct api *api, struct control_call *call,
			    const struct api_list_foreign_nodes_in *in, uint64_t now_ns)
{
	const struct lan *lan = lan_of(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	const struct lan_foreign_node *seen = NULL;
	struct api_foreign_node_list nodes = {0};

	(void)in;
	if (!lan)
		return;
	while ((seen = lan_next_foreign(lan, seen))) {
		const struct api_foreign_node row = {
			.service = seen->service,
			.instance = varlink_text(blocks, seen->instance),
			.server = varlink_text(blocks, seen->server),
			.domain = varlink_text(blocks, seen->domain),
			.version = varlink_text(blocks, seen->version),
			.addr = api_addr(blocks, &seen->addr),
			.interface = varlink_text(blocks, seen->interface),
			.heard_s = api_uint((now_ns - seen->heard_ns) / NS_PER_S),
		};

		varlink_push(blocks, &nodes, row);
	}
	api_reply(call, list_foreign_nodes, .nodes = nodes);
}
