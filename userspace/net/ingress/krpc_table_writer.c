/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table from which the BPF program answers the DHT's questions. It
 * is written while the program reads it: the idle half is filled, then
 * becomes the live one.
 */
#include "krpc_table_writer.h"

#include <string.h>

static unsigned spare_of(uint32_t live)
{
	return live == WEFT_KRPC_FIRST ? 1 : 0;
}

/* No reader sees the word before what was written ahead of it. */
static void live_set(uint32_t *live, uint32_t value)
{
	__atomic_store_n(live, value, __ATOMIC_RELEASE);
}

const uint8_t *net_krpc_tables_id(const struct weft_krpc_tables *tables,
				  enum weft_krpc_family family)
{
	const struct weft_krpc_id *id = weft_krpc_live_id(&tables->selves[family]);

	return id ? id->bytes : NULL;
}

void net_krpc_tables_set_id(const struct weft_krpc_tables *tables, enum weft_krpc_family family,
			    const uint8_t *id)
{
	struct weft_krpc_self *self = &tables->selves[family];
	const uint8_t *old = net_krpc_tables_id(tables, family);
	unsigned spare = spare_of(self->live_id);

	if (!id) {
		live_set(&self->live_id, WEFT_KRPC_NONE);
		return;
	}
	if (old && memcmp(old, id, WEFT_KRPC_ID_LEN) == 0)
		return;
	memcpy(self->ids[spare].bytes, id, WEFT_KRPC_ID_LEN);
	live_set(&self->live_id, WEFT_KRPC_FIRST + spare);
}

void net_krpc_tables_set_token_key(const struct weft_krpc_tables *tables, const uint64_t key[2])
{
	for (unsigned family = 0; family < WEFT_KRPC_FAMILY_CNT; family++) {
		struct weft_krpc_self *self = &tables->selves[family];
		const __u64 *old = weft_krpc_live_token_key(self);
		unsigned spare = spare_of(self->live_token_key);

		if (old && old[0] == key[0] && old[1] == key[1])
			continue;
		self->token_keys[spare][0] = key[0];
		self->token_keys[spare][1] = key[1];
		live_set(&self->live_token_key, WEFT_KRPC_FIRST + spare);
	}
}

void net_krpc_tables_set_nodes(const struct weft_krpc_tables *tables, enum weft_krpc_family family,
			       unsigned bucket, const uint8_t *compact, unsigned cnt)
{
	struct weft_krpc_bucket *entry = &tables->buckets[weft_krpc_bucket_idx(family, bucket)];
	const struct weft_krpc_nodes *old = weft_krpc_live_nodes(entry);
	unsigned spare = spare_of(entry->live);
	struct weft_krpc_nodes nodes;

	weft_krpc_nodes_write(&nodes, family, compact, cnt);
	if (old && memcmp(old, &nodes, sizeof(nodes)) == 0)
		return;
	entry->nodes[spare] = nodes;
	live_set(&entry->live, WEFT_KRPC_FIRST + spare);
}

void net_krpc_tables_set_held_word(const struct weft_krpc_tables *tables, unsigned idx,
				   uint64_t bits)
{
	__atomic_store_n(&tables->held[idx], bits, __ATOMIC_RELEASE);
}

void net_krpc_tables_set_reply_keys(const struct weft_krpc_tables *tables,
				    const struct weft_krpc_reply_keys *keys)
{
	for (unsigned i = 0; i < WEFT_KRPC_REPLY_KEY_CNT; i++)
		for (unsigned word = 0; word < 2; word++)
			__atomic_store_n(&tables->reply_keys->keys[i][word], keys->keys[i][word],
					 __ATOMIC_RELEASE);
}
