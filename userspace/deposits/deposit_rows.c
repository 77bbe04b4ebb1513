/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of deposits. A map leads from the name of one to its row, and another from a key to all that
 * is kept for it. A binary heap orders rows by the end of their lives.
 */
#include "base/assert.h"
#include "deposits_state.h"

#define NAME_LEN     (DEPOSIT_KEY_LEN + DEPOSIT_ID_LEN)
#define OUT_NAME_LEN (NAME_LEN + DEPOSIT_KEY_LEN)

int deposits_rows_init(struct deposits *deposits, const uint64_t secret[2])
{
	/* One more than can be held: a newcomer has its place before another gives up its room. */
	uint32_t kept_cap = deposits->unit_cap + DEPOSITS_SEEN_MAX + 1;
	uint32_t row_cap = kept_cap + DEPOSITS_OUT_MAX;
	struct arena *arena = &deposits->arena;
	int err;

	list_init(&deposits->seen);
	deposits->order_next = 1;
	deposits->heap = arena_alloc(arena, row_cap * sizeof(*deposits->heap));
	if (!deposits->heap)
		return WEFT_EFULL;
	if ((err = pool_init(&deposits->rows, arena, sizeof(struct deposit_row), row_cap)) < 0 ||
	    (err = pool_init(&deposits->recipients, arena, sizeof(struct deposit_recipient),
			     row_cap)) < 0 ||
	    (err = map_init(&deposits->kept, arena, NAME_LEN, kept_cap, secret)) < 0 ||
	    (err = map_init(&deposits->outs, arena, OUT_NAME_LEN, DEPOSITS_OUT_MAX, secret)) < 0)
		return err;
	return map_init(&deposits->by_recipient, arena, DEPOSIT_KEY_LEN, row_cap, secret);
}

/* --- names --- */

static void name_write(uint8_t name[static NAME_LEN], const uint8_t *recipient, const uint8_t *id)
{
	memcpy(name, recipient, DEPOSIT_KEY_LEN);
	memcpy(name + DEPOSIT_KEY_LEN, id, DEPOSIT_ID_LEN);
}

static void out_name_write(uint8_t name[static OUT_NAME_LEN], const struct deposit_record *record)
{
	name_write(name, record->recipient, record->id);
	memcpy(name + NAME_LEN, record->peer, DEPOSIT_KEY_LEN);
}

struct deposit_row *deposits_rows_lookup(const struct deposits *deposits, const uint8_t *recipient,
					 const uint8_t *id)
{
	uint8_t name[NAME_LEN];

	name_write(name, recipient, id);
	return map_lookup(&deposits->kept, name);
}

struct deposit_row *deposits_rows_lookup_out(const struct deposits *deposits,
					     const struct deposit_record *record)
{
	uint8_t name[OUT_NAME_LEN];

	out_name_write(name, record);
	return map_lookup(&deposits->outs, name);
}

struct deposit_recipient *deposits_recipient_lookup(const struct deposits *deposits,
						    const uint8_t *key)
{
	return map_lookup(&deposits->by_recipient, key);
}

static bool name_put(struct deposits *deposits, struct deposit_row *row)
{
	const struct deposit_record as = {
		.recipient = row->recipient->key, .id = row->id, .peer = row->peer};
	uint8_t name[OUT_NAME_LEN];

	out_name_write(name, &as);
	if (row->kind == DEPOSIT_RECORD_OUT)
		return map_put(&deposits->outs, name, row) == 0;
	return map_put(&deposits->kept, name, row) == 0;
}

static void name_remove(struct deposits *deposits, const struct deposit_row *row)
{
	const struct deposit_record as = {
		.recipient = row->recipient->key, .id = row->id, .peer = row->peer};
	uint8_t name[OUT_NAME_LEN];
	const void *was;

	out_name_write(name, &as);
	was = map_delete(row->kind == DEPOSIT_RECORD_OUT ? &deposits->outs : &deposits->kept, name);
	weft_assert(was == row);
}

/* --- recipients --- */

static struct deposit_recipient *recipient_get(struct deposits *deposits, const uint8_t *key)
{
	struct deposit_recipient *recipient = map_lookup(&deposits->by_recipient, key);

	if (recipient)
		return recipient;
	recipient = pool_acquire(&deposits->recipients);
	if (!recipient)
		return NULL;
	memcpy(recipient->key, key, DEPOSIT_KEY_LEN);
	list_init(&recipient->kept);
	if (map_put(&deposits->by_recipient, key, recipient) == 0)
		return recipient;
	pool_release(&deposits->recipients, recipient);
	return NULL;
}

static void recipient_put(struct deposits *deposits, struct deposit_recipient *recipient)
{
	if (recipient->row_cnt > 0)
		return;
	map_delete(&deposits->by_recipient, recipient->key);
	pool_release(&deposits->recipients, recipient);
}

/* Rows are added by ascending order, but for one that is reverted. */
static void kept_link(struct deposit_row *row)
{
	struct list_node *kept = &row->recipient->kept, *at = kept->prev;

	while (at != kept && container_of(at, struct deposit_row, link)->order > row->order)
		at = at->prev;
	list_push_back(at->next, &row->link);
	row->recipient->kept_cnt++;
}

static void kept_unlink(struct deposit_row *row)
{
	list_unlink(&row->link);
	row->recipient->kept_cnt--;
}

/* --- the heap --- */

static void heap_place(struct deposits *deposits, struct deposit_row *row, uint32_t at)
{
	deposits->heap[at] = row;
	row->heap_at = at;
}

static void heap_settle(struct deposits *deposits, struct deposit_row *row)
{
	struct deposit_row **heap = deposits->heap;
	uint32_t at = row->heap_at, cnt = deposits->heap_cnt;

	for (; at > 0 && heap[(at - 1) / 2]->expires_s > row->expires_s; at = (at - 1) / 2)
		heap_place(deposits, heap[(at - 1) / 2], at);
	for (uint32_t child; (child = 2 * at + 1) < cnt; at = child) {
		if (child + 1 < cnt && heap[child + 1]->expires_s < heap[child]->expires_s)
			child++;
		if (heap[child]->expires_s >= row->expires_s)
			break;
		heap_place(deposits, heap[child], at);
	}
	heap_place(deposits, row, at);
}

static void heap_add(struct deposits *deposits, struct deposit_row *row)
{
	heap_place(deposits, row, deposits->heap_cnt++);
	heap_settle(deposits, row);
}

static void heap_remove(struct deposits *deposits, const struct deposit_row *row)
{
	struct deposit_row *last = deposits->heap[--deposits->heap_cnt];
	uint32_t at = row->heap_at;

	if (last == row)
		return;
	heap_place(deposits, last, at);
	heap_settle(deposits, last);
}

struct deposit_row *deposits_rows_first(const struct deposits *deposits)
{
	return deposits->heap_cnt ? deposits->heap[0] : NULL;
}

/* --- rows --- */

static void row_fill(struct deposit_row *row, const struct deposit_record *record, uint64_t order)
{
	list_init(&row->link);
	list_init(&row->writing);
	list_init(&row->leaving);
	row->unit.row = row;
	row->order = order;
	row->expires_s = record->expires_s;
	row->kind = (uint8_t)record->kind;
	row->part = record->part;
	row->class = (uint8_t)record->class;
	row->is_own = record->is_own;
	row->source = record->source;
	row->sealed_len = (uint32_t)record->sealed_len;
	memcpy(row->id, record->id, sizeof(row->id));
	memcpy(row->peer, record->peer, sizeof(row->peer));
	row->has_receipt = record->receipt != NULL;
	if (record->receipt)
		memcpy(row->receipt, record->receipt, sizeof(row->receipt));
}

static void row_count(struct deposits *deposits, const struct deposit_row *row, int step)
{
	struct deposits_stats *stats = &deposits->stats;
	uint32_t *cnt = row->kind == DEPOSIT_RECORD_KEPT  ? &stats->held_cnt
			: row->kind == DEPOSIT_RECORD_OUT ? &stats->out_cnt
							  : &stats->tombstone_cnt;

	*cnt += (uint32_t)step;
}

static void seen_link(struct deposits *deposits, struct deposit_row *row)
{
	list_push_back(&deposits->seen, &row->link);
	deposits->seen_cnt++;
}

struct deposit_row *deposits_rows_add(struct deposits *deposits,
				      const struct deposit_record *record, uint64_t order)
{
	struct deposit_recipient *recipient = recipient_get(deposits, record->recipient);
	struct deposit_row *row = recipient ? pool_acquire(&deposits->rows) : NULL;

	if (!row) {
		if (recipient)
			recipient_put(deposits, recipient);
		return NULL;
	}
	row->recipient = recipient;
	row_fill(row, record, order);
	if (!name_put(deposits, row)) {
		pool_release(&deposits->rows, row);
		recipient_put(deposits, recipient);
		return NULL;
	}
	recipient->row_cnt++;
	if (row->kind == DEPOSIT_RECORD_KEPT)
		kept_link(row);
	else if (row->kind == DEPOSIT_RECORD_DELIVERED && row->is_own)
		seen_link(deposits, row);
	heap_add(deposits, row);
	row_count(deposits, row, 1);
	return row;
}

void deposits_rows_remove(struct deposits *deposits, struct deposit_row *row)
{
	struct deposit_recipient *recipient = row->recipient;

	row_count(deposits, row, -1);
	heap_remove(deposits, row);
	if (row->kind == DEPOSIT_RECORD_KEPT)
		kept_unlink(row);
	else if (row->kind == DEPOSIT_RECORD_DELIVERED && row->is_own)
		deposits->seen_cnt--;
	list_unlink(&row->link);
	name_remove(deposits, row);
	pool_release(&deposits->rows, row);
	recipient->row_cnt--;
	recipient_put(deposits, recipient);
}

void deposits_rows_delivered(struct deposits *deposits, struct deposit_row *row,
			     const uint8_t *receipt)
{
	row_count(deposits, row, -1);
	kept_unlink(row);
	row->kind = DEPOSIT_RECORD_DELIVERED;
	row->sealed_len = 0;
	row->has_receipt = receipt != NULL;
	if (receipt)
		memcpy(row->receipt, receipt, sizeof(row->receipt));
	row_count(deposits, row, 1);
}
