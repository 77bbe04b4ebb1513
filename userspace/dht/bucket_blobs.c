/* SPDX-License-Identifier: Apache-2.0 */
#include "bucket_blobs.h"

#include <string.h>

#include "base/memory/arena.h"
#include "dht/krpc/krpc_message.h"

#define BLOB_CAP (WEFT_KRPC_NODE_CNT_MAX * KRPC_NODE_LEN_IPV6)
/* How many of the nearest nodes are searched for those that an answer may name. */
#define SIFT_CNT 32

struct blob {
	uint16_t len;
	uint8_t bytes[BLOB_CAP];
};

struct dht_blobs {
	uint64_t made_ns;
	uint64_t table_generation;
	bool is_made;
	struct blob blobs[WEFT_KRPC_BUCKET_CNT];
};

int dht_blobs_new(struct arena *arena, struct dht_blobs **out_blobs)
{
	*out_blobs = arena_alloc(arena, sizeof(**out_blobs));
	return *out_blobs ? 0 : WEFT_EFULL;
}

static enum kad_addr_scope scope_widest(const struct kad_table *table)
{
	struct kad_table_iter iter = {.table = table};
	enum kad_addr_scope widest = KAD_ADDR_SCOPE_NONE, scope;
	const struct kad_node *node;

	while ((node = kad_table_next(&iter)))
		if ((scope = kad_addr_scope_of(&node->contact.addr)) > widest)
			widest = scope;
	return widest;
}

/* A target that shares exactly bucket leading bits with own. */
static struct kad_id target_in(const struct kad_id *own, unsigned bucket)
{
	struct kad_id target = *own;

	target.bytes[bucket / 8] ^= (uint8_t)(0x80u >> bucket % 8);
	return target;
}

static bool nodes_are_wide(const struct kad_node **nodes, unsigned cnt, enum kad_addr_scope widest)
{
	while (cnt-- > 0)
		if (kad_addr_scope_of(&nodes[cnt]->contact.addr) < widest)
			return false;
	return true;
}

static void blob_make(struct blob *blob, const struct kad_table *table, unsigned bucket,
		      enum kad_addr_scope widest, uint64_t now_ns)
{
	const struct kad_id target = target_in(kad_table_own_id(table), bucket);
	const struct kad_node *nodes[SIFT_CNT];
	unsigned cnt = kad_table_closest(table, &(struct kad_near){&target, KAD_TELL, now_ns},
					 nodes, WEFT_KRPC_NODE_CNT_MAX);
	struct writer w = writer_of(blob->bytes, BLOB_CAP);

	/* The nearest eight as kad/ mixes them, unless some have to be left out. */
	if (!nodes_are_wide(nodes, cnt, widest))
		cnt = kad_table_closest(table, &(struct kad_near){&target, KAD_TELL, now_ns}, nodes,
					SIFT_CNT);
	for (unsigned i = 0, told = 0; i < cnt && told < WEFT_KRPC_NODE_CNT_MAX; i++) {
		if (kad_addr_scope_of(&nodes[i]->contact.addr) < widest)
			continue;
		dht_krpc_node_write(&w, &nodes[i]->contact.id, &nodes[i]->contact.addr);
		told++;
	}
	blob->len = (uint16_t)writer_len(&w);
}

static bool blob_replace(struct blob *blob, const struct blob *fresh)
{
	if (blob->len == fresh->len && memcmp(blob->bytes, fresh->bytes, fresh->len) == 0)
		return false;
	*blob = *fresh;
	return true;
}

uint64_t dht_blobs_next_ns(const struct dht_blobs *blobs, const struct kad_table *table)
{
	if (!blobs->is_made)
		return 0;
	if (blobs->table_generation != kad_table_generation(table))
		return blobs->made_ns + DHT_BLOBS_GAP_NS;
	return blobs->made_ns + DHT_BLOBS_AGE_NS;
}

void dht_blobs_forget(struct dht_blobs *blobs)
{
	blobs->is_made = false;
}

bool dht_blobs_refresh(struct dht_blobs *blobs, const struct kad_table *table, uint64_t now_ns)
{
	enum kad_addr_scope widest;
	bool has_changed = false;
	struct blob fresh = {0};

	if (now_ns < dht_blobs_next_ns(blobs, table))
		return false;
	blobs->is_made = true;
	blobs->made_ns = now_ns;
	blobs->table_generation = kad_table_generation(table);
	widest = scope_widest(table);
	for (unsigned i = 0; i < WEFT_KRPC_BUCKET_CNT; i++) {
		blob_make(&fresh, table, i, widest, now_ns);
		has_changed |= blob_replace(&blobs->blobs[i], &fresh);
	}
	return has_changed;
}

struct bencode_span dht_blobs_at(const struct dht_blobs *blobs, unsigned bucket)
{
	const struct blob *blob = &blobs->blobs[bucket];

	return (struct bencode_span){blob->bytes, blob->len};
}
