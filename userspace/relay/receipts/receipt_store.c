/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of receipts in the store. A row is stored with the network that pays for it: after a restart
 * shares are what they were. Its address is not kept, nor any time of a flow. A receipt is written in
 * the turn that brings it, counts later (relay_receipts.h). One batch is on its way at a time.
 */
#include <string.h>

#include "base/byte_cursor.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/cbor.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "receipts_state.h"
#include "store/store.h"

#define ROW_PREFIX     "relay-receipt:"
#define ROW_PREFIX_LEN (sizeof(ROW_PREFIX) - 1)
#define ROW_NAME_LEN   (4 + 1 + MESH_KEY_LEN) /* month, side, party */
#define ROW_KEY_CAP    (sizeof(ROW_PREFIX) + 2 * ROW_NAME_LEN)
#define ROW_RECORD_CAP (RELAY_RECEIPT_LEN_MAX + 64u)
#define SAVE_CNT_MAX   64u
/* Counts: from one batch to the next, and how long few bytes wait. */
#define COUNTS_NS     NS_PER_S
#define FEW_COUNTS_NS (60 * NS_PER_S)
#define DELETE_MAX    256u /* of a batch */

/* --- writing --- */

static struct store_key row_key(const struct receipt_name *name, char text[ROW_KEY_CAP])
{
	uint8_t bytes[ROW_NAME_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_be32(&w, name->month);
	writer_u8(&w, (uint8_t)name->side);
	writer_bytes(&w, name->party, sizeof(name->party));
	memcpy(text, ROW_PREFIX, ROW_PREFIX_LEN);
	hex_write(bytes, sizeof(bytes), text + ROW_PREFIX_LEN);
	return store_key(text, ROW_KEY_CAP - 1);
}

static void row_put(struct store_batch *batch, const struct receipt_row *row)
{
	uint8_t record[ROW_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));
	char text[ROW_KEY_CAP];

	cbor_write_array(&w, 5);
	cbor_write_bytes(&w, row->bytes, row->len);
	cbor_write_uint(&w, row->addr.family);
	cbor_write_bytes(&w, row->addr.ip, sizeof(row->addr.ip));
	cbor_write_uint(&w, row->pending.sent);
	cbor_write_uint(&w, row->pending.received);
	store_batch_put(batch, STORE_META, row_key(&row->name, text), record, writer_len(&w));
}

void relay_receipts_row_dirty(struct receipt_row *row, bool is_dirty)
{
	if (row->is_dirty == is_dirty || !row->receipts->params.store)
		return;
	row->is_dirty = is_dirty;
	if (row->is_on_way)
		return;
	if (is_dirty)
		list_push_back(&row->receipts->dirty, &row->save_link);
	else
		list_unlink(&row->save_link);
}

void relay_receipts_row_forget(struct receipt_row *row)
{
	relay_receipts_row_dirty(row, false);
	if (row->is_on_way)
		list_unlink(&row->save_link);
	row->is_on_way = false;
}

void relay_receipts_row_changed(struct receipt_row *row, uint64_t len)
{
	struct relay_receipts *receipts = row->receipts;

	if (!receipts->params.store || !len)
		return;
	if (!row->changed_len) {
		row->changed_ns = receipts->now_ns;
		list_push_back(&receipts->changed, &row->changed_link);
	}
	row->changed_len += len;
	if (row->changed_len >= RELAY_COUNT_SAVE_LEN &&
	    receipts->next_ns > receipts->counts_ns + COUNTS_NS)
		receipts->next_ns = receipts->counts_ns + COUNTS_NS;
}

static void row_settled(struct receipt_row *row)
{
	if (row->changed_len)
		list_unlink(&row->changed_link);
	row->changed_len = 0;
}

/* Rows of a batch that failed are written again with the next one. */
static void saving_end(struct relay_receipts *receipts, int err)
{
	struct receipt_row *row;

	while ((row = list_first(&receipts->on_way, struct receipt_row, save_link))) {
		list_unlink(&row->save_link);
		row->is_on_way = false;
		receipts->stats.unsaved_cnt += err < 0;
		if (row->is_dirty)
			list_push_back(&receipts->dirty, &row->save_link);
		else if (err < 0)
			relay_receipts_row_dirty(row, true);
	}
}

static void on_saved(void *arg, int err)
{
	struct relay_receipts *receipts = arg;

	receipts->is_saving = false;
	saving_end(receipts, err);
	if (err == 0 && !list_is_empty(&receipts->dirty))
		receipts->next_ns = receipts->now_ns;
}

static void on_deleted(void *arg, int err)
{
	/* One that could not be deleted is a row again after a restart, and goes for its age. */
	(void)arg, (void)err;
}

static void deletes_send(struct relay_receipts *receipts, struct store_batch *batch)
{
	if (store_submit(receipts->params.store, batch, on_deleted, NULL) < 0)
		store_batch_free(batch);
}

void relay_receipts_row_delete(struct relay_receipts *receipts, struct receipt_row *row)
{
	struct store_batch *batch;
	char text[ROW_KEY_CAP];

	if (!receipts->params.store || !row->is_stored)
		return;
	row->is_stored = false;
	batch = store_batch_new(receipts->params.store);
	store_batch_delete(batch, STORE_META, row_key(&row->name, text));
	deletes_send(receipts, batch);
}

static void dirty_put(struct relay_receipts *receipts, struct store_batch *batch)
{
	struct receipt_row *row;

	for (unsigned cnt = 0; cnt < SAVE_CNT_MAX; cnt++) {
		row = list_first(&receipts->dirty, struct receipt_row, save_link);
		if (!row)
			return;
		row_put(batch, row);
		row_settled(row);
		relay_receipts_row_dirty(row, false);
		row->is_on_way = row->is_stored = true;
		list_push_back(&receipts->on_way, &row->save_link);
	}
}

static bool counts_are_due(const struct receipt_row *row)
{
	return row->changed_len >= RELAY_COUNT_SAVE_LEN ||
	       row->receipts->now_ns >= row->changed_ns + FEW_COUNTS_NS;
}

/* The rows whose counts changed first; a batch of them each second. */
static void counts_turn(struct relay_receipts *receipts)
{
	struct list_node *at = receipts->changed.next, *next;
	unsigned cnt = 0;

	if (receipts->now_ns < receipts->counts_ns + COUNTS_NS)
		return;
	for (; at != &receipts->changed && cnt < SAVE_CNT_MAX; at = next) {
		struct receipt_row *row = container_of(at, struct receipt_row, changed_link);

		next = at->next;
		if (!counts_are_due(row))
			continue;
		row_settled(row);
		relay_receipts_row_dirty(row, true);
		receipts->counts_ns = receipts->now_ns;
		cnt++;
	}
}

uint64_t relay_receipts_counts_next_ns(const struct relay_receipts *receipts)
{
	uint64_t next_ns = UINT64_MAX, at_ns;

	for (const struct list_node *at = receipts->changed.next; at != &receipts->changed;
	     at = at->next) {
		const struct receipt_row *row = container_of(at, struct receipt_row, changed_link);

		at_ns = counts_are_due(row) ? 0 : row->changed_ns + FEW_COUNTS_NS;
		if (at_ns < receipts->counts_ns + COUNTS_NS)
			return receipts->counts_ns + COUNTS_NS;
		if (at_ns < next_ns)
			next_ns = at_ns;
	}
	return next_ns;
}

/*
 * A receipt that is not stored when the process is killed is not lost. The other signer has it: an
 * owner shows it with its next claim, a relay gives it for the next.
 */
static void dirty_save(struct relay_receipts *receipts)
{
	struct store *store = receipts->params.store;
	struct store_batch *batch;
	int err;

	if (list_is_empty(&receipts->dirty) || receipts->is_saving || !store)
		return;
	batch = store_batch_new(store);
	dirty_put(receipts, batch);
	receipts->is_saving = true;
	err = store_submit(store, batch, on_saved, receipts);
	if (err == 0)
		return;
	store_batch_free(batch);
	on_saved(receipts, err);
}

void relay_receipts_save(struct relay_receipts *receipts)
{
	counts_turn(receipts);
	dirty_save(receipts);
}

void relay_receipts_save_all(struct relay_receipts *receipts)
{
	struct store *store = receipts->params.store;
	uint64_t unsaved_cnt;

	if (!store)
		return;
	/* A batch on its way is over before the next one, and before its owner is gone. */
	store_flush(store);
	unsaved_cnt = receipts->stats.unsaved_cnt;
	while (!list_is_empty(&receipts->changed)) {
		struct receipt_row *row =
			list_first(&receipts->changed, struct receipt_row, changed_link);

		row_settled(row);
		relay_receipts_row_dirty(row, true);
	}
	while (!list_is_empty(&receipts->dirty) && receipts->stats.unsaved_cnt == unsaved_cnt) {
		dirty_save(receipts);
		store_flush(store);
	}
}

/* --- reading --- */

struct stored_row {
	struct receipt_name name;
	const uint8_t *bytes; /* of the receipt */
	size_t len;	      /* 0: it had none yet */
	struct relay_receipt receipt;
	struct addr addr;
	struct relay_count pending;
};

static int name_parse(const struct store_item *item, struct receipt_name *out)
{
	struct receipt_name name = {.side = 0};
	uint8_t bytes[ROW_NAME_LEN];
	char text[2 * ROW_NAME_LEN + 1] = "";
	struct cursor c;

	if (item->key_len != ROW_KEY_CAP - 1)
		return WEFT_EMALFORMED;
	memcpy(text, item->key + ROW_PREFIX_LEN, 2 * ROW_NAME_LEN);
	if (!hex_read(text, bytes, sizeof(bytes)))
		return WEFT_EMALFORMED;
	c = cursor_of(bytes, sizeof(bytes));
	name.month = cursor_be32(&c);
	name.side = cursor_u8(&c);
	cursor_copy(&c, name.party, sizeof(name.party));
	if (c.bad || name.side > RELAY_SIDE_OWNER)
		return WEFT_EMALFORMED;
	*out = name;
	return 0;
}

static int record_parse(const struct store_item *item, struct stored_row *out)
{
	const uint8_t *ip = NULL;
	struct cbor_reader r;
	size_t ip_len = 0;

	cbor_reader_init(&r, item->value, item->value_len);
	if (cbor_enter_array(&r) != 5)
		return WEFT_EMALFORMED;
	if (cbor_next(&r))
		out->bytes = cbor_read_bytes(&r, &out->len);
	if (cbor_next(&r))
		out->addr.family = (uint8_t)cbor_read_uint_max(&r, ADDR_IPV6);
	if (cbor_next(&r))
		ip = cbor_read_bytes(&r, &ip_len);
	if (cbor_next(&r))
		out->pending.sent = cbor_read_uint_max(&r, RELAY_RECEIPT_BYTES_MAX);
	if (cbor_next(&r))
		out->pending.received = cbor_read_uint_max(&r, RELAY_RECEIPT_BYTES_MAX);
	(void)cbor_next(&r);
	if (cbor_reader_finish(&r) < 0 || ip_len != sizeof(out->addr.ip))
		return WEFT_EMALFORMED;
	memcpy(out->addr.ip, ip, ip_len);
	return 0;
}

/* The receipt is what its key says, and this node signed it. */
static bool receipt_suits(const struct relay_receipts *receipts, const struct stored_row *stored)
{
	const uint8_t *own = node_key_public(receipts->params.key);
	const uint8_t *signers[] = {stored->receipt.relay, stored->receipt.claim.owner};
	unsigned own_idx = stored->name.side == RELAY_SIDE_RELAY ? 0 : 1;

	return stored->receipt.claim.month == stored->name.month &&
	       memcmp(signers[own_idx], own, MESH_KEY_LEN) == 0 &&
	       memcmp(signers[own_idx ^ 1], stored->name.party, MESH_KEY_LEN) == 0;
}

/* False: it is none of this node's. Another key that this state directory had may have left it. */
static bool stored_parse(const struct relay_receipts *receipts, const struct store_item *item,
			 struct stored_row *out)
{
	*out = (struct stored_row){.len = 0};
	if (name_parse(item, &out->name) < 0 || record_parse(item, out) < 0)
		return false;
	return !out->len || (relay_receipt_parse(out->bytes, out->len, &out->receipt) == 0 &&
			     receipt_suits(receipts, out));
}

static bool walk_next(struct store_iter *iter, struct store_item *item)
{
	return store_iter_next(iter, item) && item->key_len >= ROW_PREFIX_LEN &&
	       memcmp(item->key, ROW_PREFIX, ROW_PREFIX_LEN) == 0;
}

static struct store_iter walk(const struct relay_receipts *receipts)
{
	return store_iter_fresh(receipts->params.store, STORE_META,
				store_key(ROW_PREFIX, ROW_PREFIX_LEN));
}

static bool is_expired(const struct relay_receipts *receipts, const struct stored_row *stored)
{
	return stored->name.month + RELAY_RECEIPT_MONTHS <= receipts->newest_month;
}

static int newest_month_find(struct relay_receipts *receipts)
{
	struct store_iter iter = walk(receipts);
	struct stored_row stored;
	struct store_item item;

	while (walk_next(&iter, &item))
		if (stored_parse(receipts, &item, &stored) && stored.len &&
		    stored.name.month > receipts->newest_month)
			receipts->newest_month = stored.name.month;
	return store_iter_end(&iter);
}

/* Rows that this node will have: their number decides how many are laid out. */
int relay_receipts_survey(struct relay_receipts *receipts, uint32_t *out_dropped_cnt)
{
	struct relay_receipts_config *config = &receipts->params.config;
	uint32_t cnt = 0;
	struct store_iter iter;
	struct stored_row stored;
	struct store_item item;
	int err;

	*out_dropped_cnt = 0;
	if (!receipts->params.store)
		return 0;
	if ((err = newest_month_find(receipts)) < 0)
		return err;
	iter = walk(receipts);
	while (walk_next(&iter, &item))
		cnt += stored_parse(receipts, &item, &stored) && !is_expired(receipts, &stored);
	if (config->row_cap < config->row_stored_cap && config->row_cap < cnt)
		config->row_cap = cnt < config->row_stored_cap ? cnt : config->row_stored_cap;
	if (cnt > config->row_cap)
		*out_dropped_cnt = cnt - config->row_cap;
	return store_iter_end(&iter);
}

static void row_load(struct relay_receipts *receipts, const struct stored_row *stored)
{
	struct receipt_row *row = relay_receipts_row_take(receipts, &stored->name, &stored->addr);

	if (!row)
		return;
	row->is_stored = true;
	if (stored->len)
		relay_receipts_row_set(row, stored->bytes, stored->len, &stored->receipt);
	relay_receipts_row_dirty(row, false);
	row->pending = row->doubtful = stored->pending;
}

/* Keys begin with the month, so the oldest rows come first. */
int relay_receipts_load(struct relay_receipts *receipts, uint32_t dropped_cnt)
{
	struct store_batch *batch = NULL;
	struct store_iter iter;
	struct stored_row stored;
	struct store_item item;
	unsigned delete_cnt = 0;

	if (!receipts->params.store)
		return 0;
	iter = walk(receipts);
	while (walk_next(&iter, &item)) {
		if (!stored_parse(receipts, &item, &stored))
			continue;
		if (is_expired(receipts, &stored)) {
			receipts->stats.expired_cnt++;
		} else if (dropped_cnt) {
			dropped_cnt--;
			receipts->stats.dropped_cnt++;
		} else {
			row_load(receipts, &stored);
			continue;
		}
		if (!batch)
			batch = store_batch_new(receipts->params.store);
		store_batch_delete(batch, STORE_META, store_key(item.key, item.key_len));
		if (++delete_cnt % DELETE_MAX == 0) {
			deletes_send(receipts, batch);
			batch = NULL;
		}
	}
	if (batch)
		deletes_send(receipts, batch);
	relay_receipts_rows_enter_month(receipts);
	return store_iter_end(&iter);
}
