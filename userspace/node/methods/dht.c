/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowDht, ListDhtNodes: what the Mainline DHT looks like from here.
 */
#include <string.h>

#include "base/clock.h"
#include "codec/hex.h"
#include "dht/dht.h"
#include "node/methods/methods.h"

static const char *const net_names[] = {[DHT_NET_IPV4] = "ipv4", [DHT_NET_IPV6] = "ipv6"};

bool method_dht_is_on(const struct node *node, struct control_call *call)
{
	if (node->home.dht)
		return true;
	control_fail(call, WEFT_EREFUSED, "the DHT", "it is switched off",
		     "set dht.enabled = yes in weft.conf and start weftd again");
	return false;
}

json_t *method_json_kad_id(const struct kad_id *id)
{
	char text[HEX_TEXT_CAP(KAD_ID_LEN)];

	return json_string(hex_write(id->bytes, sizeof(id->bytes), text));
}

static json_t *json_network(const struct dht *dht, enum dht_net net,
			    const struct kad_table_counts *counts, enum control_role role)
{
	char text[ADDR_TEXT_CAP];
	struct addr external;
	json_t *json = json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i}", "network",
				 net_names[net], "id", method_json_kad_id(dht_own_id(dht, net)),
				 "good", counts->good, "questionable", counts->questionable, "bad",
				 counts->bad, "candidates", counts->candidates, "buckets",
				 counts->buckets, "node_cap", counts->member_cap);

	if (role != CONTROL_VIEW && dht_external(dht, net, &external))
		json_object_set_new(json, "external", json_string(addr_format(&external, text)));
	return json;
}

json_t *method_json_fill(const char *name, uint64_t used, uint64_t cap, const char *setting)
{
	return json_pack("{s:s, s:o, s:o, s:s}", "name", name, "used", method_json_uint(used),
			 "cap", method_json_uint(cap), "setting", setting);
}

static json_t *json_fills(const struct dht_config *config, const struct dht_stats *stats)
{
	json_t *json = json_array();

	json_array_append_new(json, method_json_fill("items kept for others", stats->item_cnt,
						     config->item_cap, "dht.item_cap"));
	json_array_append_new(json, method_json_fill("peers kept for others", stats->peer_cnt,
						     config->peer_cap, "dht.peer_cap"));
	json_array_append_new(json, method_json_fill("queries on the way", stats->query_cnt,
						     config->query_cap, "dht.query_cap"));
	json_array_append_new(json, method_json_fill("searches", stats->search_cnt,
						     config->search_cap, "dht.search_cap"));
	json_array_append_new(json, method_json_fill("own items and announces", stats->own_cnt,
						     config->own_cap, "dht.own_cap"));
	return json;
}

static json_t *json_reasons(const struct dht_stats *stats)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < DHT_REASON_CNT; i++)
		json_array_append_new(json,
				      json_pack("{s:s, s:o, s:s}", "reason",
						dht_reason_word((enum dht_reason)i), "datagrams",
						method_json_uint(stats->reasons[i]), "meaning",
						dht_reason_text((enum dht_reason)i)));
	return json;
}

void method_show_dht(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	const struct dht_config *config = &node->config->mainline.dht;
	json_t *networks = json_array(), *dht;
	struct dht_stats stats;

	(void)parameters;
	if (!node->home.dht) {
		control_reply(call, json_pack("{s:{s:b, s:[], s:[], s:[], s:i, s:i}}", "dht",
					      "enabled", 0, "networks", "fills", "reasons",
					      "received_bytes", 0, "sent_bytes", 0));
		json_decref(networks);
		return;
	}
	dht_stats(node->home.dht, now_ns, &stats);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (dht_own_id(node->home.dht, (enum dht_net)net))
			json_array_append_new(
				networks, json_network(node->home.dht, (enum dht_net)net,
						       &stats.nodes[net], control_role_of(call)));
	dht = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "networks", networks,
			"fills", json_fills(config, &stats), "reasons", json_reasons(&stats),
			"received_bytes", method_json_uint(stats.bytes_in), "sent_bytes",
			method_json_uint(stats.bytes_out));
	control_reply(call, json_pack("{s:o}", "dht", dht));
}

struct node_walk {
	json_t *rows;
	const struct dht *dht;
	enum dht_net net;
	uint64_t now_ns;
};

static void walk_node(void *ctx, unsigned bucket, const struct kad_node *member)
{
	struct node_walk *walk = ctx;
	uint64_t silent_ns = walk->now_ns - member->heard_ns;
	char addr[ADDR_TEXT_CAP];
	json_t *row =
		json_pack("{s:s, s:i, s:o, s:s, s:b, s:i, s:o}", "network", net_names[walk->net],
			  "bucket", (int)bucket, "id", method_json_kad_id(&member->contact.id),
			  "address", addr_format(&member->contact.addr, addr), "proven_id",
			  member->contact.is_proven, "unanswered", member->failed_cnt, "silent_s",
			  method_json_uint(silent_ns / NS_PER_S));

	if (member->rtt_ns)
		json_object_set_new(row, "rtt_us", method_json_uint(member->rtt_ns / NS_PER_US));
	json_array_append_new(walk->rows, row);
}

void method_list_dht_nodes(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	struct node *node = ctx;
	struct node_walk walk = {.dht = node->home.dht, .now_ns = now_ns};

	(void)parameters;
	if (!method_dht_is_on(node, call))
		return;
	walk.rows = json_array();
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		walk.net = (enum dht_net)net;
		dht_nodes_each(node->home.dht, walk.net, walk_node, &walk);
	}
	control_reply(call, json_pack("{s:o}", "nodes", walk.rows));
}
