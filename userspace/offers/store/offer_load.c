/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of the store: every record is read, in the order in which the offers came, and is
 * given room as it was then. What is no offer any more is deleted.
 */
#include "base/byte_cursor.h"
#include "offer_store_state.h"

/* Whether record's word is newer than what row has. */
static bool is_newer(const struct offer_entry *entry, const struct offer_row *row)
{
	if (entry->sequence != row->sequence)
		return entry->sequence > row->sequence;
	return entry->timestamp_s > row->timestamp_s;
}

static bool entry_load(struct offer_store *store, uint64_t order, const struct offer_entry *entry,
		       uint64_t now_ns)
{
	struct offer_entry plain = *entry;
	struct offer_row *row = offers_rows_lookup(store, entry->announce.service,
						   entry->announce.provider, entry->terms.offer_id);
	uint64_t order_next = store->order_next;
	enum offer_verdict verdict;

	if (row && !is_newer(entry, row))
		return false;
	if (row)
		offers_row_drop(store, row, true, now_ns);
	row = offers_rows_acquire(store);
	if (!row)
		return false;
	store->order_next = order;
	verdict = offers_row_fill(store, row, entry, now_ns, NULL);
	/* What its schema refuses since stays, and is not found. */
	if (verdict == OFFER_UNFIT) {
		plain.kind = OFFER_NO_KIND;
		verdict = offers_row_fill(store, row, &plain, now_ns, NULL);
	}
	if (store->order_next < order_next)
		store->order_next = order_next;
	if (!offers_verdict_is_stored(verdict))
		offers_rows_release(store, row);
	return offers_verdict_is_stored(verdict);
}

void offers_row_load(struct offer_store *store, uint64_t order, const struct offer_record *record,
		     uint64_t now_ns)
{
	struct offer_entry entry;
	int err = offers_entry_read(store, record, &entry);

	store->counts.damaged_cnt += err < 0;
	if (err < 0 || !entry_load(store, order, &entry, now_ns))
		offers_keep_delete(&store->keep, order, now_ns);
}

int offers_store_load(struct offer_store *store, uint64_t now_s, uint64_t now_ns)
{
	struct store_iter iter = store_iter_fresh(store->store, STORE_SERVICE_OFFERS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		struct cursor c = cursor_of(item.key, item.key_len);
		uint64_t order = cursor_be64(&c);
		struct offer_record record;

		if (order >= store->order_next && order < UINT64_MAX)
			store->order_next = order + 1;
		if (order == 0 || offers_record_parse(item.value, item.value_len, &record) < 0) {
			store->counts.damaged_cnt++;
			offers_keep_delete(&store->keep, order, now_ns);
		} else if (record.expires_s <= now_s) {
			store->counts.expired_cnt++;
			offers_keep_delete(&store->keep, order, now_ns);
		} else {
			offers_row_load(store, order, &record, now_ns);
		}
	}
	store->index_at = store->index_end = 0;
	return store_iter_end(&iter);
}
