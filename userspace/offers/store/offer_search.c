/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds in the store: the index names rows, the database has their messages. Each row is read once,
 * when it is looked at for the last time and given to the caller.
 */
#include "base/assert.h"
#include "offer_store_state.h"
#include "weft/bytes.h"

/* So many rows are indexed by one expire; each is a read and a parse of some microseconds. */
#define STEP_ROWS 256u

void offers_view_write(const struct offer_store *store, const struct offer_row *row,
		       const struct offer_record *record, struct offer_view *out_view)
{
	*out_view = (struct offer_view){.service = row->service,
					.provider = row->provider,
					.offer_id = row->offer_id,
					.announce = record->announce,
					.announce_len = record->announce_len,
					.update = record->update,
					.update_len = record->update_len,
					.order = row->order,
					.level = offers_level_of_row(store, row),
					.expires_s = record->expires_s,
					.is_own = row->is_own,
					.is_tombstone = row->is_tombstone};
}

static int row_get(struct offer_store *store, const struct offer_row *row, offer_view_fn fn,
		   void *arg)
{
	struct store_snapshot *snapshot = NULL;
	struct offer_record record;
	struct offer_view view;
	int err;

	err = offers_row_record(store, &snapshot, row, &record);
	if (err == 0) {
		offers_view_write(store, row, &record, &view);
		(void)fn(arg, &view);
	}
	store_snapshot_close(snapshot);
	return err;
}

int offers_store_get(struct offer_store *store, const struct offer_name *name, offer_view_fn fn,
		     void *arg)
{
	const struct offer_row *row =
		offers_rows_lookup(store, name->service, name->provider, name->offer_id);

	return row ? row_get(store, row, fn, arg) : WEFT_EABSENT;
}

int offers_store_get_listed(struct offer_store *store, struct stock_entry *io_entry,
			    unsigned hops_max, offer_view_fn fn, void *arg)
{
	const struct offer_row *row = offers_rows_of_ref(store, io_entry->ref);

	if (!row || !offers_row_goes_on(row, hops_max, &io_entry->hop_cnt))
		return WEFT_EABSENT;
	return row_get(store, row, fn, arg);
}

/* Else the record is damaged, or not there. */
static bool is_system_error(int err)
{
	return err < 0 && err != WEFT_EDAMAGED && err != WEFT_EABSENT && err != WEFT_EMALFORMED;
}

int offers_store_each(struct offer_store *store, bool own_alone, offer_view_fn fn, void *arg)
{
	struct store_snapshot *snapshot = NULL;
	struct offer_record record;
	struct offer_view view;
	bool goes_on = true;
	int err = 0;

	for (uint32_t i = 0; i < store->row_top && goes_on; i++) {
		const struct offer_row *row = &store->rows[i];

		if (row->order == 0 || (own_alone && !row->is_own))
			continue;
		err = offers_row_record(store, &snapshot, row, &record);
		if (err < 0 && !is_system_error(err))
			continue;
		if (err < 0)
			break;
		offers_view_write(store, row, &record, &view);
		goes_on = fn(arg, &view);
	}
	store_snapshot_close(snapshot);
	return is_system_error(err) ? err : 0;
}

static struct offer_name name_of(const struct offer_row *row)
{
	struct offer_name name = {.service = row->service};

	memcpy(name.provider, row->provider, sizeof(name.provider));
	memcpy(name.offer_id, row->offer_id, sizeof(name.offer_id));
	return name;
}

void offers_store_words(const struct offer_store *store,
			bool (*fn)(void *arg, const struct offer_name *name, bool is_withdrawn),
			void *arg)
{
	for (uint32_t i = 0; i < store->row_top; i++) {
		const struct offer_row *row = &store->rows[i];
		const struct offer_name name = name_of(row);

		if (row->order != 0 && row->is_own && !fn(arg, &name, row->is_tombstone))
			return;
	}
}

void offers_store_refs(const struct offer_store *store,
		       const uint8_t prefix[static OFFER_REF_PREFIX_LEN],
		       bool (*fn)(void *arg, const struct offer_name *name, bool is_own), void *arg)
{
	struct offer_pair pair = {0};
	struct offer_place place;
	uint8_t first[sizeof(pair.key)] = {0}, last[sizeof(pair.key)];

	memset(last, 0xff, sizeof(last));
	memcpy(first, prefix, OFFER_REF_PREFIX_LEN);
	memcpy(last, prefix, OFFER_REF_PREFIX_LEN);
	pair.key = weft_load_be64(first);
	place = offers_tree_place(&store->by_ref, pair);
	while (offers_tree_next(&place, &pair) && pair.key <= weft_load_be64(last)) {
		const struct offer_row *row = &store->rows[pair.row];
		const struct offer_name name = name_of(row);

		if (!row->is_tombstone && !fn(arg, &name, row->is_own))
			return;
	}
}

/* --- search --- */

struct search_run {
	struct offer_store *store;
	const struct offer_search *search;
	struct store_snapshot *snapshot;
	bool is_exact; /* the index alone decides */
	bool is_over;
};

static bool row_matches(struct search_run *run, const struct offer_record *record)
{
	struct offer_entry entry;

	if (run->is_exact)
		return true;
	if (offers_entry_read(run->store, record, &entry) < 0 || entry.kind == OFFER_NO_KIND ||
	    offers_entry_fields(run->store, &entry, NULL) < 0)
		return false;
	return offers_schema_match(run->search->schema, &run->store->record, run->search->query);
}

/* A row whose record cannot be read is passed over. */
static bool row_accept(void *arg, uint32_t place)
{
	struct search_run *run = arg;
	const struct offer_row *row = &run->store->rows[place];
	struct offer_record record;
	struct offer_view view;

	if (row->expires_s <= run->search->now_s ||
	    !offers_level_fits(run->search, offers_level_of_row(run->store, row)) ||
	    offers_row_record(run->store, &run->snapshot, row, &record) < 0 ||
	    !row_matches(run, &record))
		return false;
	offers_view_write(run->store, row, &record, &view);
	if (run->search->is_wanted && !run->search->is_wanted(run->search->arg, &view))
		return false;
	run->is_over = !run->search->fn(run->search->arg, &view);
	return true;
}

static struct offer_kind *kind_find(struct offer_store *store, const struct schema *schema)
{
	for (unsigned i = 0; i < OFFER_SERVICES_MAX; i++)
		if (store->kinds[i].schema == schema)
			return &store->kinds[i];
	return NULL;
}

int offers_store_search(struct offer_store *store, const struct offer_search *search,
			struct offer_search_result *out_result)
{
	struct schema_condition conditions[SCHEMA_FILTERS_MAX + 1];
	struct search_run run = {.store = store, .search = search, .is_exact = true};
	struct offer_find find = {.conditions = conditions,
				  .before = search->before,
				  .page_max = search->page_max,
				  .visit_max = search->visit_max ?: OFFER_VISITS_MAX,
				  .accept = row_accept,
				  .arg = &run,
				  .is_over = &run.is_over};
	const struct offer_kind *kind = kind_find(store, search->schema);
	struct offer_page page;

	if (!kind)
		return WEFT_EABSENT;
	if (search->query)
		find.condition_cnt =
			offers_schema_conditions(search->schema, search->query, conditions);
	for (unsigned i = 0; i < find.condition_cnt; i++)
		run.is_exact &= conditions[i].is_exact;
	find.condition_cnt += offers_level_condition(kind, search, &conditions[find.condition_cnt]);
	offers_index_find(kind->index, &find, &page);
	store_snapshot_close(run.snapshot);
	*out_result = (struct offer_search_result){
		.cnt = page.cnt,
		.next = page.next,
		.is_partial = store->index_at < store->index_end || store->level_left > 0,
		.about_cnt = page.about_cnt,
		.visit_cnt = page.visit_cnt};
	return 0;
}

/* --- services --- */

int offers_store_add(struct offer_store *store, const struct schema *schema)
{
	struct offer_index_config config = {.room = store->room,
					    .row_cap = store->unit_cap + 1,
					    .column_cnt = schema->column_cnt + 1};
	struct offer_kind *kind;
	int err;

	kind = kind_find(store, NULL);
	if (!kind)
		return WEFT_EFULL;
	if ((err = offers_index_open(&config, &kind->index)) < 0)
		return err;
	kind->schema = schema;
	store->index_at = 0;
	store->index_end = store->row_top;
	return 0;
}

void offers_store_remove(struct offer_store *store, const struct schema *schema)
{
	struct offer_kind *kind = kind_find(store, schema);

	if (!kind)
		return;
	for (uint32_t i = 0; i < store->row_top; i++)
		if (store->rows[i].order && store->rows[i].kind == kind - store->kinds) {
			store->rows[i].kind = OFFER_NO_KIND;
			store->rows[i].index_row = OFFER_NO_INDEX;
		}
	offers_index_close(kind->index);
	*kind = (struct offer_kind){0};
}

/* What its new schema refuses stays, and is not found. */
static void row_index_late(struct offer_store *store, struct store_snapshot **io_snapshot,
			   struct offer_row *row)
{
	struct offer_record record;
	struct offer_entry entry;

	if (row->order == 0 || row->is_tombstone || row->kind != OFFER_NO_KIND ||
	    offers_row_record(store, io_snapshot, row, &record) < 0 ||
	    offers_entry_read(store, &record, &entry) < 0 || entry.kind == OFFER_NO_KIND)
		return;
	(void)offers_row_fill(store, row, &entry, store->fair.now_ns, NULL);
}

void offers_index_step(struct offer_store *store)
{
	struct store_snapshot *snapshot = NULL;
	uint32_t end = store->index_at + STEP_ROWS;

	for (; store->index_at < store->index_end && store->index_at < end; store->index_at++)
		row_index_late(store, &snapshot, &store->rows[store->index_at]);
	store_snapshot_close(snapshot);
}
