/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What neighbours may lack of what is kept. The latest changes are in a ring, each with the neighbour
 * that brought it. A neighbour that is new, or was away for longer than the ring is, goes
 * through all places first.
 */
#include <string.h>

#include "offer_store_state.h"
#include "weft/bytes.h"

int offers_changes_init(struct offer_store *store)
{
	store->change_next = 1;
	store->changes =
		arena_alloc(&store->arena, OFFER_CHANGES_CNT * sizeof(struct offer_change));
	return store->changes ? 0 : WEFT_EFULL;
}

static struct offer_change *change_at(const struct offer_store *store, uint64_t change)
{
	return &store->changes[change & (OFFER_CHANGES_CNT - 1)];
}

void offers_change_note(struct offer_store *store, const struct offer_row *row)
{
	struct offer_change *change = change_at(store, store->change_next++);

	*change = (struct offer_change){.place = offers_rows_place(store, row)};
}

static uint32_t holder_of(const uint8_t *peer)
{
	return weft_load_le32(peer);
}

void offers_store_passed(struct offer_store *store, const uint8_t *peer)
{
	struct offer_change *change = change_at(store, store->change_next - 1);

	change->holder = holder_of(peer);
	change->has_holder = true;
}

static bool has_it(const struct offer_change *change, const uint8_t *peer)
{
	return change->has_holder && change->holder == holder_of(peer);
}

static void row_near(struct offer_store *store, struct offer_row *row, uint8_t hop_cnt,
		     const uint8_t *peer)
{
	if (row->is_own || hop_cnt >= row->hop_cnt)
		return;
	row->hop_cnt = hop_cnt;
	offers_change_note(store, row);
	if (peer)
		offers_store_passed(store, peer);
}

void offers_row_nearer(struct offer_store *store, struct offer_row *row,
		       const struct offer_put *put)
{
	row_near(store, row, put->hop_cnt, NULL);
}

bool offers_row_goes_on(const struct offer_row *row, unsigned hops_max, uint8_t *out_hop_cnt)
{
	unsigned hop_cnt = row->is_own ? 0 : row->hop_cnt + 1u;

	*out_hop_cnt = (uint8_t)hop_cnt;
	return row->order && hop_cnt < hops_max && hop_cnt < row->hop_max;
}

static void row_list(const struct offer_row *row, struct stock_entry *out_entry)
{
	uint8_t ref[OFFER_REF_LEN];

	offers_ref(row->service, row->provider, row->offer_id, ref);
	memcpy(out_entry->ref, ref, sizeof(out_entry->ref));
	out_entry->sequence = row->sequence;
	out_entry->service = row->service;
}

/* The place that cursor is at, and on it goes; UINT32_MAX: there is none. */
static uint32_t cursor_step(const struct offer_store *store, const uint8_t *peer,
			    struct offer_cursor *cursor)
{
	const struct offer_change *change;

	if (cursor->change == 0 || cursor->change + OFFER_CHANGES_CNT < store->change_next)
		*cursor = (struct offer_cursor){.change = store->change_next};
	if (cursor->place < store->row_top)
		return cursor->place++;
	if (cursor->change == store->change_next)
		return UINT32_MAX;
	cursor->place = UINT32_MAX; /* places that come to be later are changes */
	change = change_at(store, cursor->change++);
	return has_it(change, peer) ? store->row_cap : change->place;
}

enum offer_listing offers_store_next(const struct offer_store *store, const uint8_t *peer,
				     unsigned hops_max, struct offer_cursor *io_cursor,
				     struct stock_entry *out_entry)
{
	for (unsigned i = 0; i < OFFER_STEP_MAX; i++) {
		uint32_t place = cursor_step(store, peer, io_cursor);

		if (place == UINT32_MAX) {
			io_cursor->place = UINT32_MAX;
			return OFFER_LIST_END;
		}
		if (place < store->row_top &&
		    offers_row_goes_on(&store->rows[place], hops_max, &out_entry->hop_cnt)) {
			row_list(&store->rows[place], out_entry);
			return OFFER_LIST_ONE;
		}
	}
	return OFFER_LIST_PART;
}

enum offer_lack offers_store_lacks(struct offer_store *store, const uint8_t *peer,
				   const struct stock_entry *entry)
{
	struct offer_row *row = offers_rows_of_ref(store, entry->ref);

	if (!row)
		return store->unit_cnt + store->unit_cap / 16 < store->unit_cap ? OFFER_LACKED
										: OFFER_NO_ROOM;
	if (row->is_own)
		return OFFER_HAD;
	/* It came in answer to a query. That it is here would say what this node looked for. */
	if (row->hop_cnt == OFFER_HOPS_NONE)
		return OFFER_LACKED;
	if (entry->sequence > row->sequence)
		return OFFER_LACKED;
	if (entry->sequence == row->sequence)
		row_near(store, row, entry->hop_cnt, peer);
	return OFFER_HAD;
}
