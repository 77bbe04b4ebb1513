/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of service offers: what a message does to the offer that it names. A put is judged by
 * time and sequence, then read by the schema, then given room. Then the row, the index and the
 * batch change together. Finds are in offer_search.c, the start in offer_load.c.
 */
#include "offer_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "offer_store_state.h"

#define UNIT_CAP_MIN 64u
/* Keys that units can pay for, and one for the order of each. */
#define PAIRS_A_UNIT (OFFER_UNIT_LEN / OFFER_KEY_COST + 1)

static void row_revert(void *arg, struct offer_row *row);

/* All of its tables. What fails is undone by offers_store_close. */
static int lay_out(struct offer_store *store, const struct offer_store_params *params)
{
	int err;

	if ((err = arena_open(&store->arena, ARENA_GROWS)) < 0)
		return err;
	if ((err = offers_rows_init(store)) < 0 || (err = offers_cache_init(store)) < 0 ||
	    (err = offers_changes_init(store)) < 0 ||
	    (err = offers_share_init(store, params)) < 0 ||
	    (err = offers_room_open(store->row_cap + params->unit_cap * PAIRS_A_UNIT,
				    OFFER_SERVICES_MAX + 1, &store->room)) < 0 ||
	    (err = offers_room_tree(store->room, &store->by_ref)) < 0 ||
	    (err = offers_keep_init(&store->keep, &store->arena, params->store)) < 0)
		return err;
	arena_fit(&store->arena);
	return 0;
}

int offers_store_open(const struct offer_store_params *params, struct offer_store **out_store)
{
	struct offer_store *store;
	int err;

	if (params->unit_cap < UNIT_CAP_MIN)
		return WEFT_ETOOSMALL;
	store = calloc(1, sizeof(*store));
	if (!store)
		return WEFT_EFULL;
	store->store = params->store;
	store->unit_cap = params->unit_cap;
	store->order_next = 1;
	store->level_of = params->level_of;
	store->lifted = params->lifted;
	store->wants_lifted = params->wants_lifted;
	store->ctx = params->ctx;
	store->counts.unit_cap = params->unit_cap;
	err = lay_out(store, params);
	if (err < 0) {
		offers_store_close(store);
		return err;
	}
	store->keep.revert = row_revert;
	store->keep.arg = store;
	*out_store = store;
	return 0;
}

/* An offer has a row in the index of one service, as long as that has columns. */
size_t offers_store_footprint(uint32_t unit_cap)
{
	struct random random;
	const struct offer_store_params params = {.random = &random, .unit_cap = unit_cap};
	struct offer_store *store = calloc(1, sizeof(*store));
	size_t len = 0;

	random_init_seeded(&random, 1);
	if (!store)
		return 0;
	store->unit_cap = unit_cap;
	if (lay_out(store, &params) == 0)
		len = sizeof(*store) + store->arena.used_len + offers_room_footprint(store->room) +
		      offers_index_footprint(unit_cap, OFFER_COLUMNS_MAX) + OFFER_KEEP_LAG_MAX;
	offers_store_close(store);
	return len;
}

void offers_store_close(struct offer_store *store)
{
	if (!store)
		return;
	offers_keep_fini(&store->keep);
	for (unsigned i = 0; i < OFFER_SERVICES_MAX; i++)
		offers_index_close(store->kinds[i].index);
	offers_tree_fini(&store->by_ref);
	offers_room_close(store->room);
	offers_cache_fini(store);
	arena_close(&store->arena);
	free(store);
}

/* --- rows --- */

static void row_unindex(struct offer_store *store, struct offer_row *row)
{
	if (row->index_row != OFFER_NO_INDEX)
		offers_index_remove(store->kinds[row->kind].index, row->index_row);
	row->index_row = OFFER_NO_INDEX;
	row->kind = OFFER_NO_KIND;
}

static void row_count(struct offer_store *store, const struct offer_row *row, int32_t step)
{
	uint32_t *cnt = row->is_tombstone ? &store->counts.tombstone_cnt : &store->counts.offer_cnt;

	*cnt += (uint32_t)step;
	if (row->is_own)
		store->counts.own_cnt += (uint32_t)step;
}

void offers_row_drop(struct offer_store *store, struct offer_row *row, bool is_deleted,
		     uint64_t now_ns)
{
	if (is_deleted)
		offers_keep_delete(&store->keep, row->order, now_ns);
	if (row->pending)
		row->pending->row = NULL;
	offers_cache_forget(store, row);
	row_count(store, row, -1);
	row_unindex(store, row);
	offers_rows_unlink(store, row);
	offers_share_release(store, row);
	offers_rows_release(store, row);
}

/* The place in the index; the former one is given up only then. */
static bool row_index(struct offer_store *store, struct offer_row *row, uint8_t kind,
		      uint64_t order)
{
	uint32_t index_row = OFFER_NO_INDEX;

	if (kind != OFFER_NO_KIND &&
	    offers_index_put(store->kinds[kind].index, order, offers_rows_place(store, row),
			     &store->keys, &index_row) < 0)
		return false;
	row_unindex(store, row);
	row->index_row = index_row;
	row->kind = kind;
	return true;
}

/* row is in the table if it has an order. */
enum offer_verdict offers_row_fill(struct offer_store *store, struct offer_row *row,
				   const struct offer_entry *entry, uint64_t now_ns,
				   struct schema_fault *fault)
{
	const struct service_message *msg = &entry->announce;
	int key_cnt = offers_entry_keys(store, entry, fault);
	struct offer_ask ask = {msg->provider, &entry->record.source, entry->record.class, now_ns};
	bool is_new = row->order == 0, is_news;
	uint64_t order = is_new ? store->order_next : row->order;

	if (key_cnt < 0)
		return OFFER_UNFIT;
	if (!offers_share_take(store, row, &ask,
			       offers_share_units(&entry->record, (uint32_t)key_cnt)))
		return OFFER_FULL;
	if (!row_index(store, row, entry->kind, order)) {
		if (is_new)
			offers_share_release(store, row);
		return OFFER_FULL;
	}
	if (!is_new) {
		row_count(store, row, -1);
		offers_share_renew(store, row, &ask);
	}
	is_news = is_new || row->sequence != entry->sequence ||
		  row->timestamp_s != entry->timestamp_s;
	row->sequence = entry->sequence;
	row->timestamp_s = entry->timestamp_s;
	row->expires_s = entry->record.expires_s;
	row->class = (uint8_t)entry->record.class;
	row->is_own = entry->record.is_own;
	row->is_seed_form = !entry->announce.is_full_cover;
	if (entry->kind != OFFER_NO_KIND)
		row->level =
			(uint8_t)store->keys.keys[store->kinds[entry->kind].schema->column_cnt][0];
	row->is_tombstone = entry->record.is_tombstone;
	row->hop_max = entry->record.update ? entry->update.hop_max : msg->hop_max;
	if (is_new || entry->record.hop_cnt < row->hop_cnt)
		row->hop_cnt = entry->record.hop_cnt;
	row_count(store, row, 1);
	if (is_news)
		offers_change_note(store, row);
	if (!is_new) {
		offers_rows_settle(store, row);
		return OFFER_REPLACED;
	}
	row->order = order;
	store->order_next = order + 1;
	row->service = msg->service;
	memcpy(row->provider, msg->provider, sizeof(row->provider));
	memcpy(row->offer_id, entry->terms.offer_id, sizeof(row->offer_id));
	offers_rows_link(store, row);
	return OFFER_STORED;
}

/* What the database has of row holds again; nothing, if it never had any. */
static void row_revert(void *arg, struct offer_row *row)
{
	struct offer_store *store = arg;
	uint64_t order = row->order, now_ns = store->fair.now_ns;
	struct store_snapshot *snapshot = NULL;
	struct offer_record record;
	int err = offers_row_record(store, &snapshot, row, &record);

	offers_row_drop(store, row, false, now_ns);
	if (err == 0)
		offers_row_load(store, order, &record, now_ns);
	store_snapshot_close(snapshot);
}

/* --- put --- */

/* Negative: the word of put is older than what row has. */
static int word_compare(const struct offer_put *put, const struct offer_row *row)
{
	uint64_t sequence = put->terms->sequence, timestamp_s = put->msg->timestamp_s;

	if (sequence != row->sequence)
		return sequence > row->sequence ? 1 : -1;
	if (timestamp_s != row->timestamp_s)
		return timestamp_s > row->timestamp_s ? 1 : -1;
	/* A Revoke within the second of the Announce takes it back, with no sequence of its own. */
	return put->msg->type == SERVICE_MESSAGE_REVOKE && !row->is_tombstone;
}

static const struct addr no_addr = {.family = ADDR_NONE};

static struct offer_ask ask_of(const struct offer_put *put)
{
	return (struct offer_ask){put->msg->provider, put->source ? put->source : &no_addr,
				  put->class, put->now_ns};
}

/* What is decided by time and sequence; OFFER_STORED: go on. */
static enum offer_verdict put_judge(struct offer_store *store, const struct offer_put *put,
				    struct offer_row *row)
{
	struct offer_ask ask = ask_of(put);
	int order;

	switch (offers_message_time(put->msg, put->now_s)) {
	case SERVICE_MESSAGE_EARLY:
		return OFFER_EARLY;
	case SERVICE_MESSAGE_EXPIRED:
		return OFFER_EXPIRED;
	case SERVICE_MESSAGE_TIMELY:
		break;
	}
	order = row ? word_compare(put, row) : 1;
	if (order <= 0) {
		if (order == 0) {
			offers_share_charge(store, row, &ask);
			offers_row_nearer(store, row, put);
		}
		if (row->is_tombstone && put->msg->type != SERVICE_MESSAGE_REVOKE)
			return OFFER_GONE;
		return order == 0 ? OFFER_DUPLICATE : OFFER_OLDER;
	}
	if (put->msg->type == SERVICE_MESSAGE_UPDATE && (!row || row->is_tombstone))
		return OFFER_NO_BASE;
	return OFFER_STORED;
}

/* The record that put makes of what the offer had; its bytes are put's and former's. */
static enum offer_verdict record_make(const struct offer_store *store, const struct offer_put *put,
				      const struct offer_row *row,
				      const struct offer_record *former,
				      struct offer_record *out_record)
{
	struct offer_record *record = out_record;
	struct offer_entry base;

	*record = (struct offer_record){.source = put->source ? *put->source : no_addr,
					.class = put->source ? put->class : FAIR_CHOSEN,
					.is_own = !put->source,
					.hop_cnt = put->hop_cnt,
					.expires_s = offers_message_expires_s(put->msg),
					.announce = put->bytes,
					.announce_len = put->len};
	switch (put->msg->type) {
	case SERVICE_MESSAGE_UPDATE:
		if (offers_entry_read(store, former, &base) < 0 ||
		    base.terms.sequence != put->terms->base)
			return OFFER_NO_BASE;
		record->announce = former->announce;
		record->announce_len = former->announce_len;
		record->update = put->bytes;
		record->update_len = put->len;
		record->expires_s = former->expires_s;
		return OFFER_STORED;
	case SERVICE_MESSAGE_REVOKE:
		record->is_tombstone = true;
		if (row && row->expires_s > record->expires_s)
			record->expires_s = row->expires_s;
		return OFFER_STORED;
	default:
		return OFFER_STORED;
	}
}

/* Room, index and batch for the record. The order of an offer stays, whatever becomes of it. */
static enum offer_verdict put_place(struct offer_store *store, const struct offer_put *put,
				    struct offer_row *row, const struct offer_record *record,
				    struct schema_fault *fault)
{
	struct offer_pending *pending =
		offers_keep_reserve(&store->keep, offers_record_len(record));
	struct offer_keep_put keep = {.now_ns = put->now_ns, .done = put->done, .arg = put->arg};
	struct offer_row *place = row;
	enum offer_verdict verdict;
	struct offer_entry entry;
	struct writer w;

	if (!pending)
		return OFFER_LAGS;
	w = writer_of(pending->bytes, pending->len);
	offers_record_write(&w, record);
	weft_assert(!w.bad);
	if (!row)
		place = offers_rows_acquire(store);
	verdict = OFFER_UNFIT;
	if (place && offers_entry_read(store, record, &entry) == 0)
		verdict = offers_row_fill(store, place, &entry, put->now_ns, fault);
	if (!offers_verdict_is_stored(verdict)) {
		offers_keep_cancel(&store->keep, pending);
		if (place && !row)
			offers_rows_release(store, place);
		return verdict;
	}
	keep.row = place;
	keep.order = place->order;
	offers_cache_forget(store, place);
	offers_keep_put(&store->keep, pending, &keep);
	return record->is_tombstone ? OFFER_REVOKED : verdict;
}

/* What there is of the offer of put; NULL: nothing that lives. */
static struct offer_row *row_of(struct offer_store *store, const struct offer_put *put)
{
	struct offer_row *row = offers_rows_lookup(store, put->msg->service, put->msg->provider,
						   put->terms->offer_id);

	if (!row || row->expires_s > put->now_s)
		return row;
	offers_row_drop(store, row, true, put->now_ns);
	store->counts.expired_cnt++;
	return NULL;
}

static enum offer_verdict put_run(struct offer_store *store, const struct offer_put *put,
				  struct schema_fault *fault)
{
	struct offer_row *row = row_of(store, put);
	struct store_snapshot *snapshot = NULL;
	struct offer_record former, record;
	enum offer_verdict verdict = put_judge(store, put, row);
	bool is_update = put->msg->type == SERVICE_MESSAGE_UPDATE;

	if (verdict != OFFER_STORED)
		return verdict;
	if (is_update && offers_row_record(store, &snapshot, row, &former) < 0)
		verdict = OFFER_LAGS;
	if (verdict == OFFER_STORED)
		verdict = record_make(store, put, row, &former, &record);
	if (verdict == OFFER_STORED)
		verdict = put_place(store, put, row, &record, fault);
	store_snapshot_close(snapshot);
	return verdict;
}

enum offer_verdict offers_store_judge(struct offer_store *store, const struct offer_put *put)
{
	enum offer_verdict verdict = put_judge(store, put, row_of(store, put));

	if (verdict == OFFER_STORED && put->msg->type == SERVICE_MESSAGE_ANNOUNCE &&
	    !put->terms->provider_key)
		verdict = OFFER_NO_KEY;
	if (verdict != OFFER_STORED)
		store->counts.verdict_cnts[verdict]++;
	return verdict;
}

enum offer_verdict offers_store_put(struct offer_store *store, const struct offer_put *put,
				    struct schema_fault *fault)
{
	enum offer_verdict verdict = put_run(store, put, fault);

	store->counts.verdict_cnts[verdict]++;
	return verdict;
}

uint32_t offers_store_not_before_ms(struct offer_store *store, const struct offer_put *put)
{
	struct offer_ask ask = ask_of(put);

	return offers_share_not_before_ms(store, &ask);
}

/* --- time --- */

unsigned offers_store_expire(struct offer_store *store, uint64_t now_s, uint64_t now_ns)
{
	struct offer_row *row;
	unsigned cnt = 0;

	while (cnt < OFFER_EXPIRE_MAX && (row = offers_rows_first(store)) &&
	       row->expires_s <= now_s) {
		offers_row_drop(store, row, true, now_ns);
		cnt++;
	}
	store->counts.expired_cnt += cnt;
	offers_index_step(store);
	offers_level_step(store, OFFER_LEVEL_STEP);
	offers_keep_expire(&store->keep, now_ns);
	return cnt;
}

uint64_t offers_store_next_ns(const struct offer_store *store, uint64_t now_s, uint64_t now_ns)
{
	const struct offer_row *row = offers_rows_first(store);
	uint64_t next_ns = offers_keep_next_ns(&store->keep), wait_s;

	if (store->index_at < store->index_end || store->level_left > 0)
		return now_ns;
	if (!row)
		return next_ns;
	wait_s = row->expires_s > now_s ? row->expires_s - now_s : 0;
	if (wait_s < (UINT64_MAX - now_ns) / NS_PER_S && now_ns + wait_s * NS_PER_S < next_ns)
		next_ns = now_ns + wait_s * NS_PER_S;
	return next_ns;
}

void offers_store_count(const struct offer_store *store, struct offer_store_counts *out_counts)
{
	*out_counts = store->counts;
	out_counts->unit_cnt = store->unit_cnt;
	out_counts->failed_cnt = store->keep.failed_cnt;
	out_counts->memory_len =
		store->row_top * sizeof(struct offer_row) + store->row_cnt * 2 * sizeof(uint32_t) +
		offers_room_used_len(store->room) + store->keep.lag_len + store->cache_len;
	for (unsigned i = 0; i < OFFER_SERVICES_MAX; i++)
		if (store->kinds[i].index)
			out_counts->memory_len += offers_index_rows_len(store->kinds[i].index);
}

void offers_store_stats(const struct offer_store *store, struct offer_store_stats *out_stats)
{
	struct offer_store_counts counts;
	const uint64_t *verdicts = counts.verdict_cnts;

	offers_store_count(store, &counts);
	*out_stats = (struct offer_store_stats){
		.offer_cnt = counts.offer_cnt,
		.own_cnt = counts.own_cnt,
		.tombstone_cnt = counts.tombstone_cnt,
		.unit_cnt = counts.unit_cnt,
		.unit_cap = counts.unit_cap,
		.memory_len = counts.memory_len,
		.stored_cnt =
			verdicts[OFFER_STORED] + verdicts[OFFER_REPLACED] + verdicts[OFFER_REVOKED],
		.known_cnt =
			verdicts[OFFER_DUPLICATE] + verdicts[OFFER_OLDER] + verdicts[OFFER_GONE],
		.no_base_cnt = verdicts[OFFER_NO_BASE],
		.keyless_cnt = verdicts[OFFER_NO_KEY],
		.unfit_cnt = verdicts[OFFER_UNFIT],
		.full_cnt = verdicts[OFFER_FULL],
		.lag_cnt = verdicts[OFFER_LAGS],
		.evicted_cnt = counts.evicted_cnt,
		.expired_cnt = counts.expired_cnt,
		.failed_cnt = counts.failed_cnt,
		.damaged_cnt = counts.damaged_cnt,
	};
}

void offers_store_fair(const struct offer_store *store, struct fair_view *out_view)
{
	fair_read(&store->fair, out_view);
}
