/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of deposits. Changes are collected for a moment, then committed together. The open batch has
 * a list of its rows and of the calls that wait for it. Both go with it when it is submitted, and
 * end when its outcome is known. Peers fill it as fast as they are let in: more than DEPOSITS_LAG_MAX
 * bytes are not taken.
 */
#include "base/assert.h"
#include "deposits_state.h"

#define RETRY_NS 20000000ull
/* A change in a batch, beside the record. */
#define CHANGE_COST 64u

struct write_waiter {
	struct list_node node;
	struct deposit_waiter waiter;
};

struct write_commit {
	struct deposits *deposits;
	struct list_node rows, waiters;
	size_t len;
	uint64_t submitted_ns;
};

int deposits_write_init(struct deposits *deposits)
{
	struct deposit_writes *writes = &deposits->writes;
	int err;

	list_init(&writes->rows);
	list_init(&writes->waiters);
	err = pool_init(&writes->waiter_pool, &deposits->arena, sizeof(struct write_waiter),
			DEPOSITS_WAITER_CAP);
	return err < 0 ? err
		       : pool_init(&writes->commits, &deposits->arena, sizeof(struct write_commit),
				   DEPOSITS_COMMIT_CAP);
}

static void list_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

/* --- outcomes --- */

static void rows_settle(struct deposits *deposits, struct list_node *rows, int err, uint64_t now_ns)
{
	struct deposit_row *row;

	while ((row = list_first(rows, struct deposit_row, writing))) {
		list_unlink(&row->writing);
		deposits->stats.failed_cnt += err < 0;
		if (err < 0)
			deposits_row_revert(deposits, row, now_ns);
		else if (row->kind == DEPOSIT_RECORD_KEPT &&
			 deposits_is_own_key(deposits, row->recipient->key))
			deposits_pull_own(deposits, now_ns);
	}
}

static void waiters_call(struct deposits *deposits, struct list_node *waiters, int err)
{
	struct write_waiter *waiter;

	while ((waiter = list_first(waiters, struct write_waiter, node))) {
		struct deposit_waiter copy = waiter->waiter;

		list_unlink(&waiter->node);
		pool_release(&deposits->writes.waiter_pool, waiter);
		if (copy.done)
			copy.done(copy.arg, err);
	}
}

static void commit_done(void *arg, int err)
{
	struct write_commit *commit = arg;
	struct deposits *deposits = commit->deposits;
	struct list_node waiters;

	list_init(&waiters);
	list_move(&commit->waiters, &waiters);
	deposits->writes.lag_len -= commit->len;
	rows_settle(deposits, &commit->rows, err, commit->submitted_ns);
	pool_release(&deposits->writes.commits, commit);
	waiters_call(deposits, &waiters, err);
}

/* --- batches --- */

/* NULL: no memory, and then all of this batch fails. */
static struct store_batch *batch_open(struct deposits *deposits, size_t len, uint64_t now_ns)
{
	struct deposit_writes *writes = &deposits->writes;

	if (!writes->is_open) {
		writes->is_open = true;
		writes->batch = store_batch_new(deposits->params.store);
		writes->batch_len = 0;
		writes->due_ns = now_ns + DEPOSITS_WRITE_WINDOW_NS;
	}
	writes->batch_len += len + CHANGE_COST;
	if (writes->batch_len >= DEPOSITS_WRITE_BYTES_MAX && writes->due_ns > now_ns)
		writes->due_ns = now_ns;
	deposits_due(deposits, now_ns);
	return writes->batch;
}

bool deposits_write_lags(const struct deposits *deposits)
{
	const struct deposit_writes *writes = &deposits->writes;
	size_t open_len = writes->is_open ? writes->batch_len : 0;

	return writes->lag_len + open_len + DEPOSIT_RECORD_LEN_MAX > DEPOSITS_LAG_MAX ||
	       writes->waiter_pool.used_cnt + 2 * DEPOSITS_TICKET_CAP > DEPOSITS_WAITER_CAP;
}

static struct store_key key_write(uint64_t order, uint8_t bytes[static DEPOSIT_RECORD_KEY_LEN])
{
	struct writer w = writer_of(bytes, DEPOSIT_RECORD_KEY_LEN);

	writer_be64(&w, order);
	return store_key(bytes, DEPOSIT_RECORD_KEY_LEN);
}

void deposits_write_put(struct deposits *deposits, struct deposit_row *row,
			const struct deposit_record *record, uint64_t now_ns)
{
	struct writer w = writer_of(deposits->made, sizeof(deposits->made));
	uint8_t key[DEPOSIT_RECORD_KEY_LEN];

	deposits_record_write(&w, record);
	weft_assert(!w.bad);
	store_batch_put(batch_open(deposits, writer_len(&w), now_ns), STORE_DEPOSITS,
			key_write(row->order, key), deposits->made, writer_len(&w));
	list_unlink(&row->writing);
	list_push_back(&deposits->writes.rows, &row->writing);
}

void deposits_write_delete(struct deposits *deposits, uint64_t order, uint64_t now_ns)
{
	uint8_t key[DEPOSIT_RECORD_KEY_LEN];

	store_batch_delete(batch_open(deposits, 0, now_ns), STORE_DEPOSITS, key_write(order, key));
}

void deposits_write_wait(struct deposits *deposits, const struct deposit_waiter *waiter,
			 uint64_t now_ns)
{
	struct write_waiter *place = pool_acquire(&deposits->writes.waiter_pool);

	weft_assert(place != NULL); /* deposits_write_lags leaves places for tickets */
	(void)batch_open(deposits, 0, now_ns);
	place->waiter = *waiter;
	list_push_back(&deposits->writes.waiters, &place->node);
}

static void commit_take_back(struct deposit_writes *writes, struct write_commit *commit,
			     struct store_batch *batch)
{
	writes->batch = batch;
	writes->is_open = true;
	writes->batch_len = commit->len;
	writes->lag_len -= commit->len;
	list_move(&commit->rows, &writes->rows);
	list_move(&commit->waiters, &writes->waiters);
	pool_release(&writes->commits, commit);
}

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct deposits *deposits, uint64_t now_ns)
{
	struct deposit_writes *writes = &deposits->writes;
	struct write_commit *commit = pool_acquire(&writes->commits);
	struct store_batch *batch = writes->batch;
	int err;

	writes->due_ns = now_ns + RETRY_NS;
	if (!commit)
		return;
	*commit = (struct write_commit){
		.deposits = deposits, .len = writes->batch_len, .submitted_ns = now_ns};
	list_init(&commit->rows);
	list_init(&commit->waiters);
	list_move(&writes->rows, &commit->rows);
	list_move(&writes->waiters, &commit->waiters);
	writes->lag_len += commit->len;
	writes->batch = NULL;
	writes->is_open = false;
	err = store_submit(deposits->params.store, batch, commit_done, commit);
	if (err == WEFT_EFULL) {
		commit_take_back(writes, commit, batch);
	} else if (err < 0) {
		store_batch_free(batch);
		commit_done(commit, err);
	}
}

void deposits_write_expire(struct deposits *deposits, uint64_t now_ns)
{
	if (deposits->writes.is_open && now_ns >= deposits->writes.due_ns)
		batch_submit(deposits, now_ns);
}

uint64_t deposits_write_next_ns(const struct deposits *deposits)
{
	return deposits->writes.is_open ? deposits->writes.due_ns : UINT64_MAX;
}

/* No call that waits is answered: the callers may be gone by now. Rows are not reverted either. */
static void forget(struct deposits *deposits)
{
	struct deposit_writes *writes = &deposits->writes;
	struct write_waiter *waiter = NULL;
	struct deposit_row *row = NULL;

	while ((waiter = pool_next(&writes->waiter_pool, waiter)))
		waiter->waiter.done = NULL;
	while ((row = pool_next(&deposits->rows, row)))
		list_unlink(&row->writing);
}

void deposits_write_fini(struct deposits *deposits)
{
	struct deposit_writes *writes = &deposits->writes;

	if (!writes->waiters.next)
		return;
	forget(deposits);
	if (writes->batch && store_submit(deposits->params.store, writes->batch, NULL, NULL) < 0)
		store_batch_free(writes->batch);
	writes->batch = NULL;
	writes->is_open = false;
	store_flush(deposits->params.store);
}
