/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept: deposits of others for their recipients, tombstones, and the outbox. A row, its room and
 * its record in the open batch change together. What is not durable is given to no recipient.
 */
#include "base/assert.h"
#include "base/monotonic.h"
#include "deposits_state.h"

static struct deposit_record record_of(const struct deposit_row *row)
{
	return (struct deposit_record){
		.kind = row->kind,
		.is_own = row->is_own,
		.part = row->part,
		.class = row->class,
		.source = row->source,
		.expires_s = row->expires_s,
		.peer = row->peer,
		.recipient = row->recipient->key,
		.id = row->id,
		.receipt = row->has_receipt ? row->receipt : NULL,
	};
}

/* A mark more of what this node took: the oldest one goes where there is no place. */
static void seen_make_room(struct deposits *deposits, uint64_t now_ns)
{
	if (deposits->seen_cnt == DEPOSITS_SEEN_MAX)
		deposits_row_drop(deposits, list_first(&deposits->seen, struct deposit_row, link),
				  true, now_ns);
}

/* The row with its room; NULL: there is none. */
static struct deposit_row *row_make(struct deposits *deposits, const struct deposit_record *record,
				    uint64_t order, uint64_t now_ns)
{
	struct deposit_row *row;

	if (record->kind == DEPOSIT_RECORD_DELIVERED && record->is_own)
		seen_make_room(deposits, now_ns);
	row = deposits_rows_add(deposits, record, order);
	if (row && !row->is_own && !deposits_share_take(deposits, row, now_ns)) {
		deposits_rows_remove(deposits, row);
		row = NULL;
	}
	if (row && row->kind == DEPOSIT_RECORD_OUT && !deposits_out_enter(deposits, row, now_ns)) {
		deposits_rows_remove(deposits, row);
		row = NULL;
	}
	return row;
}

int deposits_row_keep(struct deposits *deposits, const struct deposit_record *record,
		      uint64_t now_ns)
{
	struct deposit_row *row = row_make(deposits, record, deposits->order_next, now_ns);

	if (!row)
		return WEFT_EFULL;
	deposits->order_next++;
	deposits_write_put(deposits, row, record, now_ns);
	return 0;
}

void deposits_row_deliver(struct deposits *deposits, struct deposit_row *row,
			  const uint8_t *receipt, uint64_t now_ns)
{
	struct deposit_record record;

	deposits_share_shrink(deposits, row);
	deposits_rows_delivered(deposits, row, receipt);
	record = record_of(row);
	deposits_write_put(deposits, row, &record, now_ns);
	deposits_out_look(deposits, row->recipient->key, row->id, now_ns);
}

void deposits_row_drop(struct deposits *deposits, struct deposit_row *row, bool is_deleted,
		       uint64_t now_ns)
{
	if (is_deleted)
		deposits_write_delete(deposits, row->order, now_ns);
	list_unlink(&row->writing);
	if (row->kind == DEPOSIT_RECORD_OUT)
		deposits_out_leave(deposits, row);
	deposits_share_release(deposits, row);
	deposits_rows_remove(deposits, row);
}

int deposits_row_read(struct deposits *deposits, struct store_snapshot **io_snapshot,
		      const struct deposit_row *row, struct deposit_record *out_record)
{
	uint8_t key[DEPOSIT_RECORD_KEY_LEN];
	struct writer w = writer_of(key, sizeof(key));
	const void *value;
	size_t len;
	int err = 0;

	writer_be64(&w, row->order);
	if (!*io_snapshot)
		err = store_snapshot_open(deposits->params.store, io_snapshot);
	if (err == 0)
		err = store_get(*io_snapshot, STORE_DEPOSITS, store_key(key, sizeof(key)), &value,
				&len);
	if (err == 0)
		err = deposits_record_parse(value, len, out_record);
	return err;
}

void deposits_row_revert(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	struct store_snapshot *snapshot = NULL;
	uint64_t order = row->order;
	struct deposit_record record;
	int err = deposits_row_read(deposits, &snapshot, row, &record);

	deposits_row_drop(deposits, row, false, now_ns);
	if (err == 0 && !row_make(deposits, &record, order, now_ns))
		deposits_write_delete(deposits, order, now_ns);
	store_snapshot_close(snapshot);
}

/* --- the start, and the end of lives --- */

static void record_load(struct deposits *deposits, const struct store_item *item, uint64_t now_ns)
{
	struct cursor c = cursor_of(item->key, item->key_len);
	uint64_t order = cursor_be64(&c), now_s = deposits_wall_s(deposits);
	struct deposit_record record;
	bool is_read = order > 0 && order < UINT64_MAX &&
		       deposits_record_parse(item->value, item->value_len, &record) == 0;

	deposits->stats.damaged_cnt += !is_read;
	if (is_read && order >= deposits->order_next)
		deposits->order_next = order + 1;
	if (is_read && record.expires_s <= now_s) {
		deposits->stats.expired_cnt++;
		is_read = false;
	}
	if (!is_read || !row_make(deposits, &record, order, now_ns))
		deposits_write_delete(deposits, order, now_ns);
}

int deposits_load(struct deposits *deposits, uint64_t now_ns)
{
	struct store_iter iter =
		store_iter_fresh(deposits->params.store, STORE_DEPOSITS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item))
		record_load(deposits, &item, now_ns);
	return store_iter_end(&iter);
}

void deposits_expire(struct deposits *deposits, uint64_t now_ns)
{
	uint64_t now_s = deposits_wall_s(deposits);
	struct deposit_row *row;

	for (unsigned i = 0; i < DEPOSITS_EXPIRE_MAX && (row = deposits_rows_first(deposits)) &&
			     row->expires_s <= now_s;
	     i++) {
		deposits->stats.expired_cnt++;
		if (row->kind == DEPOSIT_RECORD_OUT)
			deposits_out_expire(deposits, row, now_ns);
		else
			deposits_row_drop(deposits, row, true, now_ns);
	}
	deposits_write_expire(deposits, now_ns);
}

/* --- pages --- */

void deposits_page_fill(struct deposits *deposits, const uint8_t *recipient, uint64_t after,
			struct store_snapshot **io_snapshot, struct deposit_page *out_page)
{
	const struct deposit_recipient *of = deposits_recipient_lookup(deposits, recipient);
	size_t len = DEPOSIT_PAGE_HEAD_MAX;

	out_page->row_cnt = 0;
	out_page->next = 0;
	if (!of)
		return;
	for (const struct list_node *at = of->kept.next; at != &of->kept; at = at->next) {
		const struct deposit_row *row = container_of(at, struct deposit_row, link);
		struct deposit_row_message *out = &out_page->rows[out_page->row_cnt];
		struct deposit_record record;

		if (row->order <= after || !deposit_row_is_durable(row))
			continue;
		len += DEPOSIT_ROW_HEAD_MAX + row->sealed_len;
		if (out_page->row_cnt == DEPOSIT_PAGE_MAX || len > MESH_ASK_LEN_MAX)
			return;
		out_page->next = row->order;
		if (deposits_row_read(deposits, io_snapshot, row, &record) < 0) {
			deposits->stats.damaged_cnt++;
			continue;
		}
		memcpy(out->id, row->id, sizeof(out->id));
		out->expires_s = row->expires_s;
		out->sealed = record.sealed;
		out->sealed_len = record.sealed_len;
		out_page->row_cnt++;
	}
	out_page->next = 0;
}
