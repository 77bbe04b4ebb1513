/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endorsements and trust on their way to the disk. What is in memory holds at once. Its changes are
 * collected for a moment, then written as one batch (group commit). If the disk does not take a
 * batch, memory is ahead of it: some time later all that differs is written, as one batch again. A
 * crash before that has what the disk had.
 */
#include <errno.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "endorse_state.h"

#define WINDOW_NS (5 * NS_PER_MS)
#define RETRY_NS  (20 * NS_PER_MS)
/* After a failure; then each row is read and compared, which takes some milliseconds. */
#define AGAIN_NS (2 * NS_PER_S)
/* A batch is written at once from so many bytes on, and takes none beyond twice as many. */
#define BATCH_LEN_MAX ((size_t)1 << 20)
#define CHANGE_COST   64u

#define WAITERS_MAX 1024u
#define COMMITS_MAX 4u

struct endorse_waiter {
	struct list_node node;
	void (*done)(void *arg, int err); /* NULL: its caller is gone */
	void *arg;
};

struct endorse_commit {
	struct endorse_book *book;
	struct list_node waiting;
};

int offers_endorse_keep_init(struct endorse_book *book, struct arena *arena)
{
	struct endorse_keep *keep = &book->keep;
	int err;

	list_init(&keep->waiting);
	err = pool_init(&keep->waiters, arena, sizeof(struct endorse_waiter), WAITERS_MAX);
	return err < 0 ? err
		       : pool_init(&keep->commits, arena, sizeof(struct endorse_commit),
				   COMMITS_MAX);
}

/* --- changes --- */

bool offers_endorse_keep_has_room(const struct endorse_book *book)
{
	const struct endorse_keep *keep = &book->keep;

	return keep->len < 2 * BATCH_LEN_MAX && keep->waiters.used_cnt < keep->waiters.cap_cnt;
}

/* NULL: no memory, and then all of this batch fails. */
static struct store_batch *batch_open(struct endorse_book *book, size_t len, uint64_t now_ns)
{
	struct endorse_keep *keep = &book->keep;

	if (!keep->is_open) {
		keep->is_open = true;
		keep->batch = store_batch_new(book->params.store);
		keep->len = 0;
		keep->due_ns = now_ns + WINDOW_NS;
	}
	keep->len += len + CHANGE_COST;
	if (keep->len >= BATCH_LEN_MAX && keep->due_ns > now_ns)
		keep->due_ns = now_ns;
	return keep->batch;
}

void offers_endorse_keep_put(struct endorse_book *book, const struct endorse_change *change,
			     uint64_t now_ns)
{
	struct store_batch *batch = batch_open(book, change->value_len, now_ns);

	if (batch)
		store_batch_put(batch, change->db, change->key, change->value, change->value_len);
}

void offers_endorse_keep_delete(struct endorse_book *book, const struct endorse_change *change,
				uint64_t now_ns)
{
	struct store_batch *batch = batch_open(book, 0, now_ns);

	if (batch)
		store_batch_delete(batch, change->db, change->key);
}

void offers_endorse_keep_wait(struct endorse_book *book, void (*done)(void *arg, int err),
			      void *arg)
{
	struct endorse_waiter *waiter = done ? pool_acquire(&book->keep.waiters) : NULL;

	if (!waiter)
		return;
	waiter->done = done;
	waiter->arg = arg;
	list_push_back(&book->keep.waiting, &waiter->node);
}

/* --- batches --- */

static void list_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

static void commit_done(void *arg, int err)
{
	struct endorse_commit *commit = arg;
	struct endorse_keep *keep = &commit->book->keep;
	struct list_node waiting;

	list_init(&waiting);
	list_move(&commit->waiting, &waiting);
	commit->book->stats.failed_cnt += err < 0;
	keep->is_behind |= err < 0;
	pool_release(&keep->commits, commit);
	while (!list_is_empty(&waiting)) {
		struct endorse_waiter *waiter =
			container_of(waiting.next, struct endorse_waiter, node);
		struct endorse_waiter copy = *waiter;

		list_unlink(&waiter->node);
		pool_release(&keep->waiters, waiter);
		if (copy.done)
			copy.done(copy.arg, err);
	}
}

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct endorse_book *book, uint64_t now_ns)
{
	struct endorse_keep *keep = &book->keep;
	struct endorse_commit *commit = pool_acquire(&keep->commits);
	struct store_batch *batch = keep->batch;
	int err;

	keep->due_ns = now_ns + RETRY_NS;
	if (!commit)
		return;
	commit->book = book;
	list_init(&commit->waiting);
	list_move(&keep->waiting, &commit->waiting);
	err = batch ? store_submit(book->params.store, batch, commit_done, commit) : -ENOMEM;
	if (err == WEFT_EFULL) {
		list_move(&commit->waiting, &keep->waiting);
		pool_release(&keep->commits, commit);
		return;
	}
	keep->batch = NULL;
	keep->is_open = false;
	keep->len = 0;
	keep->again_ns = now_ns + AGAIN_NS;
	if (err == 0)
		return;
	if (batch)
		store_batch_free(batch);
	commit_done(commit, err);
}

void offers_endorse_keep_expire(struct endorse_book *book, uint64_t now_ns)
{
	struct endorse_keep *keep = &book->keep;

	if (keep->is_behind && keep->commits.used_cnt == 0 && now_ns >= keep->again_ns) {
		keep->is_behind = false;
		keep->again_ns = now_ns + AGAIN_NS;
		keep->is_behind = offers_endorse_catch_up(book, now_ns) < 0;
	}
	if (keep->is_open && now_ns >= keep->due_ns)
		batch_submit(book, now_ns);
}

uint64_t offers_endorse_keep_next_ns(const struct endorse_book *book)
{
	const struct endorse_keep *keep = &book->keep;
	uint64_t next_ns = keep->is_open ? keep->due_ns : UINT64_MAX;

	/* One on its way may fail. */
	if ((keep->is_behind || keep->commits.used_cnt) && keep->again_ns < next_ns)
		next_ns = keep->again_ns;
	return next_ns;
}

/* No done is called: the callers may be gone by now. */
void offers_endorse_keep_fini(struct endorse_book *book)
{
	struct endorse_keep *keep = &book->keep;
	struct endorse_waiter *waiter = NULL;

	while ((waiter = pool_next(&keep->waiters, waiter)))
		waiter->done = NULL;
	if (keep->batch && store_submit(book->params.store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	store_flush(book->params.store);
}
