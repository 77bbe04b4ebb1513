/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Levels of verification in the store. They are the node's policy, not the offer's, and change with
 * it. Each index has them as one more column. So a find by level looks at no more rows than another
 * one. After a change the rows are gone over, a part at a time. What a search meets meanwhile is
 * judged by the level of that moment.
 */
#include "offer_store_state.h"

unsigned offers_level_of(const struct offer_store *store, const struct offer_judged *judged)
{
	unsigned level;

	if (judged->is_own)
		return OFFER_LEVEL_OWN;
	level = store->level_of ? store->level_of(store->ctx, judged->service, judged->provider)
				: 0;
	return judged->is_seed_form && level > OFFER_SEED_LEVEL_MAX ? OFFER_SEED_LEVEL_MAX : level;
}

unsigned offers_level_of_row(const struct offer_store *store, const struct offer_row *row)
{
	return offers_level_of(store, &(struct offer_judged){.is_own = row->is_own,
							     .is_seed_form = row->is_seed_form,
							     .service = row->service,
							     .provider = row->provider});
}

bool offers_level_fits(const struct offer_search *search, unsigned level)
{
	return level >= search->level_min && (search->level_end == 0 || level < search->level_end);
}

bool offers_level_condition(const struct offer_kind *kind, const struct offer_search *search,
			    struct schema_condition *out)
{
	if (search->level_min == 0 && search->level_end == 0)
		return false;
	*out = (struct schema_condition){
		.column = (uint8_t)kind->schema->column_cnt,
		.range_cnt = 1,
		.is_exact = true,
		.ranges = {{search->level_min,
			    search->level_end ? search->level_end - 1u : UINT8_MAX}},
	};
	return true;
}

/* The owner hears of a row whose level is above before. */
static void row_lifted(struct offer_store *store, struct store_snapshot **io_snapshot,
		       const struct offer_row *row, unsigned before)
{
	struct offer_record record;
	struct offer_view view;

	if (!store->lifted || !store->wants_lifted(store->ctx, row->service) ||
	    offers_row_record(store, io_snapshot, row, &record) < 0)
		return;
	offers_view_write(store, row, &record, &view);
	store->lifted(store->ctx, &view, before);
}

/* Without a node for it the row waits for the next change. */
static void row_relevel(struct offer_store *store, struct store_snapshot **io_snapshot,
			struct offer_row *row)
{
	const struct offer_kind *kind;
	unsigned level, before = row->level;

	if (row->order == 0 || row->index_row == OFFER_NO_INDEX)
		return;
	level = offers_level_of_row(store, row);
	kind = &store->kinds[row->kind];
	if (level == before ||
	    offers_index_rekey(kind->index, row->index_row, kind->schema->column_cnt, level) < 0)
		return;
	row->level = (uint8_t)level;
	if (level > before)
		row_lifted(store, io_snapshot, row, before);
}

/* In a ring over all places: a change amid a walk makes it go on for a whole turn more. */
void offers_level_step(struct offer_store *store, uint32_t row_max)
{
	struct store_snapshot *snapshot = NULL;

	for (; store->level_left > 0 && row_max > 0; store->level_left--, row_max--) {
		if (store->level_at >= store->row_top)
			store->level_at = 0;
		row_relevel(store, &snapshot, &store->rows[store->level_at++]);
	}
	store_snapshot_close(snapshot);
}

void offers_store_relevel(struct offer_store *store, uint32_t row_max)
{
	store->level_left = store->row_top;
	offers_level_step(store, row_max);
}
