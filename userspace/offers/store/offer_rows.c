/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of offers in the store. A table leads from the name of an offer to its place, by open
 * addressing under a secret. A binary heap orders places by the end of their lives, and a tree by
 * their refs.
 */
#include <string.h>

#include "base/assert.h"
#include "base/siphash_bytes.h"
#include "crypto/blake3/blake3.h"
#include "offer_store.h"
#include "offer_store_state.h"
#include "weft/bytes.h"

#define ROW_NONE UINT32_MAX

int offers_rows_init(struct offer_store *store)
{
	uint32_t table_cnt = 64;

	/* One more than can be held: a newcomer has its place before another gives up its room. */
	store->row_cap = store->unit_cap + 1;
	while (table_cnt < store->row_cap + store->row_cap / 2)
		table_cnt *= 2;
	store->table_mask = table_cnt - 1;
	store->row_free = ROW_NONE;
	store->rows = arena_alloc(&store->arena, store->row_cap * sizeof(struct offer_row));
	store->table = arena_alloc(&store->arena, table_cnt * sizeof(uint32_t));
	store->heap = arena_alloc(&store->arena, store->row_cap * sizeof(uint32_t));
	return store->rows && store->table && store->heap ? 0 : WEFT_EFULL;
}

/* --- places --- */

struct offer_row *offers_rows_acquire(struct offer_store *store)
{
	struct offer_row *row;

	if (store->row_free != ROW_NONE) {
		row = &store->rows[store->row_free];
		store->row_free = row->heap_at;
	} else if (store->row_top < store->row_cap) {
		row = &store->rows[store->row_top++];
	} else {
		return NULL;
	}
	memset(row, 0, sizeof(*row));
	row->index_row = OFFER_NO_INDEX;
	row->kind = OFFER_NO_KIND;
	row->unit.row = row;
	return row;
}

void offers_rows_release(struct offer_store *store, struct offer_row *row)
{
	row->order = 0;
	row->heap_at = store->row_free;
	store->row_free = offers_rows_place(store, row);
}

/* --- the table --- */

static uint32_t slot_of(const struct offer_store *store, uint32_t service, const uint8_t *provider,
			const uint8_t *offer_id)
{
	uint8_t name[sizeof(service) + SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN];

	memcpy(name, &service, sizeof(service));
	memcpy(name + sizeof(service), provider, SERVICE_MESSAGE_ADDRESS_LEN);
	memcpy(name + sizeof(service) + SERVICE_MESSAGE_ADDRESS_LEN, offer_id, OFFER_ID_LEN);
	return (uint32_t)siphash(store->secret, name, sizeof(name)) & store->table_mask;
}

static uint32_t row_slot(const struct offer_store *store, const struct offer_row *row)
{
	return slot_of(store, row->service, row->provider, row->offer_id);
}

struct offer_row *offers_rows_lookup(const struct offer_store *store, uint32_t service,
				     const uint8_t *provider, const uint8_t *offer_id)
{
	uint32_t at = slot_of(store, service, provider, offer_id);

	/* A third of the table stays empty, so there is an end. */
	for (; store->table[at]; at = (at + 1) & store->table_mask) {
		struct offer_row *row = &store->rows[store->table[at] - 1];

		if (row->service == service &&
		    memcmp(row->provider, provider, sizeof(row->provider)) == 0 &&
		    memcmp(row->offer_id, offer_id, sizeof(row->offer_id)) == 0)
			return row;
	}
	return NULL;
}

static void table_put(struct offer_store *store, const struct offer_row *row)
{
	uint32_t at = row_slot(store, row);

	while (store->table[at])
		at = (at + 1) & store->table_mask;
	store->table[at] = offers_rows_place(store, row) + 1;
}

/* What follows moves into the gap unless it would then be before its own slot. */
static void table_remove(struct offer_store *store, const struct offer_row *row)
{
	uint32_t mask = store->table_mask, gap = row_slot(store, row), at;

	while (store->table[gap] != offers_rows_place(store, row) + 1) {
		weft_assert(store->table[gap] != 0);
		gap = (gap + 1) & mask;
	}
	for (at = (gap + 1) & mask; store->table[at]; at = (at + 1) & mask) {
		uint32_t own = row_slot(store, &store->rows[store->table[at] - 1]);

		if (((at - own) & mask) >= ((at - gap) & mask)) {
			store->table[gap] = store->table[at];
			gap = at;
		}
	}
	store->table[gap] = 0;
}

/* --- the heap --- */

static void heap_place(struct offer_store *store, struct offer_row *row, uint32_t at)
{
	store->heap[at] = offers_rows_place(store, row);
	row->heap_at = at;
}

static struct offer_row *heap_row(const struct offer_store *store, uint32_t at)
{
	return &store->rows[store->heap[at]];
}

void offers_rows_settle(struct offer_store *store, struct offer_row *row)
{
	uint32_t at = row->heap_at, cnt = store->row_cnt;

	for (; at > 0 && heap_row(store, (at - 1) / 2)->expires_s > row->expires_s;
	     at = (at - 1) / 2)
		heap_place(store, heap_row(store, (at - 1) / 2), at);
	for (uint32_t child; (child = 2 * at + 1) < cnt; at = child) {
		if (child + 1 < cnt &&
		    heap_row(store, child + 1)->expires_s < heap_row(store, child)->expires_s)
			child++;
		if (heap_row(store, child)->expires_s >= row->expires_s)
			break;
		heap_place(store, heap_row(store, child), at);
	}
	heap_place(store, row, at);
}

struct offer_row *offers_rows_first(const struct offer_store *store)
{
	return store->row_cnt ? heap_row(store, 0) : NULL;
}

/* --- the tree --- */

void offers_ref(uint32_t service, const uint8_t *address, const uint8_t *offer_id,
		uint8_t out[static OFFER_REF_LEN])
{
	uint8_t text[4 + SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN];
	uint8_t hash[BLAKE3_HASH_LEN];

	weft_store_le32(text, service);
	memcpy(text + 4, address, SERVICE_MESSAGE_ADDRESS_LEN);
	memcpy(text + 4 + SERVICE_MESSAGE_ADDRESS_LEN, offer_id, OFFER_ID_LEN);
	blake3_hash(text, sizeof(text), hash);
	memcpy(out, hash, OFFER_REF_LEN);
}

static struct offer_pair ref_pair(const struct offer_store *store, const struct offer_row *row)
{
	uint8_t ref[OFFER_REF_LEN];

	offers_ref(row->service, row->provider, row->offer_id, ref);
	return (struct offer_pair){weft_load_be64(ref), offers_rows_place(store, row)};
}

struct offer_row *offers_rows_of_ref(const struct offer_store *store, const uint8_t *ref)
{
	struct offer_pair pair = {weft_load_be64(ref), 0};
	struct offer_place at = offers_tree_place(&store->by_ref, pair);

	if (!offers_tree_next(&at, &pair) || pair.key != weft_load_be64(ref))
		return NULL;
	return &store->rows[pair.row];
}

/* --- all of them --- */

void offers_rows_link(struct offer_store *store, struct offer_row *row)
{
	weft_assert(store->row_cnt < store->row_cap);
	table_put(store, row);
	offers_tree_put(&store->by_ref, ref_pair(store, row));
	heap_place(store, row, store->row_cnt++);
	offers_rows_settle(store, row);
}

void offers_rows_unlink(struct offer_store *store, struct offer_row *row)
{
	uint32_t at = row->heap_at;
	struct offer_row *last = heap_row(store, --store->row_cnt);

	table_remove(store, row);
	offers_tree_remove(&store->by_ref, ref_pair(store, row));
	if (last == row)
		return;
	heap_place(store, last, at);
	offers_rows_settle(store, last);
}
