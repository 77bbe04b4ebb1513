/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowDht, ListDhtNodes: what the Mainline DHT looks like from here.
 */
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "dht/dht.h"
#include "api/methods.h"

static const char *const net_names[] = {[DHT_NET_IPV4] = "ipv4", [DHT_NET_IPV6] = "ipv6"};

bool api_dht_is_on(const struct api *api, struct control_call *call)
{
	if (api->locate->dht)
		return true;
	control_fail(call, WEFT_EREFUSED, "the DHT", "it is switched off",
		     "set dht.enabled = yes in weft.conf and start weftd again");
	return false;
}

const char *api_kad_id(struct varlink_blocks *blocks, const struct kad_id *id)
{
	char text[HEX_TEXT_CAP(KAD_ID_LEN)];

	return varlink_text(blocks, hex_write(id->bytes, sizeof(id->bytes), text));
}

const char *api_addr(struct varlink_blocks *blocks, const struct addr *addr)
{
	char text[ADDR_TEXT_CAP];

	return varlink_text(blocks, addr_format(addr, text));
}

static void networks_add(struct control_call *call, const struct dht *dht,
			 const struct dht_stats *stats, struct api_dht_network_list *networks)
{
	struct varlink_blocks *blocks = control_blocks(call);

	for (enum dht_net net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct kad_table_counts *counts = &stats->nodes[net];
		struct addr external;
		struct api_dht_network row = {
			.network = net_names[net],
			.good = counts->good,
			.questionable = counts->questionable,
			.bad = counts->bad,
			.candidates = counts->candidates,
			.buckets = counts->buckets,
			.node_cap = counts->member_cap,
		};

		if (!dht_takes_part(dht, net))
			continue;
		row.id = api_kad_id(blocks, dht_own_id(dht, net));
		if (control_role_of(call) != CONTROL_VIEW && dht_external(dht, net, &external))
			row.external = api_addr(blocks, &external);
		varlink_push(blocks, networks, row);
	}
}

void api_show_dht(struct api *api, struct control_call *call, const struct api_show_dht_in *in,
		  uint64_t now_ns)
{
	const struct dht_config *config = &api->config->mainline.dht;
	struct api_dht_reason reasons[DHT_REASON_CNT];
	struct api_show_dht_out out = {.dht = {0}};
	struct dht_stats stats;

	(void)in;
	if (!api->locate->dht) {
		control_reply(call, api_show_dht_out_write(&out));
		return;
	}
	dht_stats(api->locate->dht, now_ns, &stats);
	struct api_fill fills[] = {
		{"items kept for others", stats.item_cnt, config->item_cap, "dht.item_cap"},
		{"peers kept for others", stats.peer_cnt, config->peer_cap, "dht.peer_cap"},
		{"queries on the way", stats.query_cnt, config->query_cap, "dht.query_cap"},
		{"searches", stats.lookup_cnt, config->lookup_cap, "dht.lookup_cap"},
		{"own items and announces", stats.own_cnt, config->own_cap, "dht.own_cap"},
	};
	for (enum dht_reason i = 0; i < DHT_REASON_CNT; i++)
		reasons[i] = (struct api_dht_reason){
			dht_reasons[i].word, api_uint(stats.reasons[i]), dht_reasons[i].text};
	out.dht = (struct api_dht){
		.enabled = true,
		.fills = API_ROWS(fills),
		.reasons = API_ROWS(reasons),
		.received_bytes = api_uint(stats.bytes_in),
		.sent_bytes = api_uint(stats.bytes_out),
	};
	networks_add(call, api->locate->dht, &stats, &out.dht.networks);
	control_reply(call, api_show_dht_out_write(&out));
}

static struct api_dht_node node_row(struct varlink_blocks *blocks, const struct kad_node *member,
				    uint64_t now_ns)
{
	struct api_dht_node row = {
		.id = api_kad_id(blocks, &member->contact.id),
		.address = api_addr(blocks, &member->contact.addr),
		.proven_id = member->contact.is_proven,
		.unanswered = member->failed_cnt,
		.silent_s = api_uint((now_ns - member->heard_ns) / NS_PER_S),
	};

	if (member->rtt_ns)
		API_SET(&row, rtt_us, api_uint(member->rtt_ns / NS_PER_US));
	return row;
}

static void nodes_add(struct varlink_blocks *blocks, struct api_dht_node_list *rows,
		      const struct dht *dht, enum dht_net net, uint64_t now_ns)
{
	struct kad_table_iter iter = dht_nodes(dht, net);
	const struct kad_node *member;

	while ((member = kad_table_next(&iter))) {
		struct api_dht_node row = node_row(blocks, member, now_ns);

		row.network = net_names[net];
		row.bucket = iter.bucket;
		varlink_push(blocks, rows, row);
	}
}

void api_list_dht_nodes(struct api *api, struct control_call *call,
			const struct api_list_dht_nodes_in *in, uint64_t now_ns)
{
	struct api_list_dht_nodes_out out = {.nodes = {0}};

	(void)in;
	if (!api_dht_is_on(api, call))
		return;
	for (enum dht_net net = 0; net < DHT_FAMILY_CNT; net++)
		nodes_add(control_blocks(call), &out.nodes, api->locate->dht, net, now_ns);
	control_reply(call, api_list_dht_nodes_out_write(&out));
}
