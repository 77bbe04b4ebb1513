/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the node that others read; nothing here changes it. */
#include "bucket_blobs.h"
#include "dht/dht.h"
#include "dht/dht_state.h"
#include "dht/items/items.h"
#include "dht/lookup/dht_publish.h"
#include "dht/lookup/dht_query.h"
#include "dht/lookup/dht_lookup.h"
#include "dht/items/swarms.h"

struct bencode_span dht_nodes_near(const struct dht *dht, enum dht_net net,
				   const struct kad_id *target)
{
	static const struct bencode_span none = {(const uint8_t *)"", 0};
	const struct dht_side *side = &dht->sides[net];
	unsigned bucket;

	if (!dht_side_is_on(side))
		return none;
	bucket = kad_id_common_bits(&side->id, target);
	return dht_blobs_at(side->blobs, bucket < KAD_ID_BITS ? bucket : KAD_ID_BITS - 1);
}

uint64_t dht_blob_generation(const struct dht *dht)
{
	return dht->blob_generation;
}

size_t dht_blob(const struct dht *dht, enum dht_net net, unsigned bucket, const uint8_t **out_nodes)
{
	struct bencode_span nodes = {NULL, 0};

	if (dht_side_is_on(&dht->sides[net]))
		nodes = dht_blobs_at(dht->sides[net].blobs, bucket);
	*out_nodes = nodes.data;
	return nodes.len;
}

void dht_token_key(const struct dht *dht, uint64_t out_key[2])
{
	out_key[0] = dht->tokens.current[0];
	out_key[1] = dht->tokens.current[1];
}

unsigned dht_closest(const struct dht *dht, enum dht_net net, const struct kad_id *target,
		     uint64_t now_ns, const struct kad_node *out_nodes[static KAD_CLOSEST_MAX])
{
	const struct dht_side *side = &dht->sides[net];

	return dht_side_is_on(side)
		       ? kad_table_closest(side->table,
					   &(struct kad_near){target, KAD_TELL, now_ns}, out_nodes,
					   KAD_CLOSEST_MAX)
		       : 0;
}

bool dht_takes_part(const struct dht *dht, enum dht_net net)
{
	return dht_side_is_on(&dht->sides[net]);
}

const struct kad_id *dht_own_id(const struct dht *dht, enum dht_net net)
{
	return &dht->sides[net].id;
}

struct kad_table_iter dht_nodes(const struct dht *dht, enum dht_net net)
{
	const struct dht_side *side = &dht->sides[net];

	return (struct kad_table_iter){.table = dht_side_is_on(side) ? side->table : NULL};
}

void dht_stats(const struct dht *dht, uint64_t now_ns, struct dht_stats *out_stats)
{
	*out_stats = (struct dht_stats){
		.bytes_in = dht->bytes_in,
		.bytes_out = dht->bytes_out,
		.query_cnt = dht_queries_cnt(dht->queries),
		.lookup_cnt = dht_lookups_cnt(dht->lookups),
		.own_cnt = dht_owns_cnt(dht->owns),
	};
	for (unsigned reason = 0; reason < DHT_REASON_CNT; reason++)
		out_stats->reasons[reason] = dht->reasons[reason];
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct dht_side *side = &dht->sides[net];
		struct dht_swarms_counts swarms;

		if (!dht_side_is_on(side))
			continue;
		dht_swarms_count(side->swarms, &swarms);
		out_stats->swarm_cnt += swarms.swarm_cnt;
		out_stats->peer_cnt += swarms.peer_cnt;
		out_stats->item_cnt += dht_items_cnt(side->items);
		kad_table_count(side->table, now_ns, &out_stats->nodes[net]);
	}
}

static void view_add(struct fair_view *sum, const struct fair_view *more)
{
	if (sum->name)
		fair_view_add(sum, more);
	else
		*sum = *more;
}

void dht_items_pool(const struct dht *dht, struct fair_view *out)
{
	*out = (struct fair_view){0};
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		struct fair_view view;

		if (!dht_side_is_on(&dht->sides[net]))
			continue;
		dht_items_view(dht->sides[net].items, &view);
		view_add(out, &view);
	}
}

void dht_peers_pool(const struct dht *dht, struct fair_view *out)
{
	*out = (struct fair_view){0};
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		struct fair_view view;

		if (!dht_side_is_on(&dht->sides[net]))
			continue;
		dht_swarms_view(dht->sides[net].swarms, &view);
		view_add(out, &view);
	}
}

const struct weft_krpc_reply_keys *dht_reply_keys(const struct dht *dht)
{
	return &dht->transactions.keys;
}
