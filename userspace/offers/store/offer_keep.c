/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of offers. The open batch has a list of its records and of its waiters. Both go with it
 * when it is submitted, and end when its outcome is known.
 */
#include "offer_keep.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "base/container_of.h"
#include "offer_store.h"
#include "offer_store_state.h"
#include "store/store.h"

#define RETRY_NS 20000000ull
/* A place in a batch, beside the record. */
#define CHANGE_COST 64u

struct keep_waiter {
	struct list_node node;
	void (*done)(void *arg, int err);
	void *arg;
};

struct keep_commit {
	struct offer_keep *keep;
	struct list_node pending, waiting;
};

int offers_keep_init(struct offer_keep *keep, struct arena *arena, struct store *store)
{
	int err;

	keep->store = store;
	list_init(&keep->pending);
	list_init(&keep->waiting);
	err = pool_init(&keep->waiters, arena, sizeof(struct keep_waiter), OFFER_KEEP_WAITER_CAP);
	return err < 0 ? err
		       : pool_init(&keep->commits, arena, sizeof(struct keep_commit),
				   OFFER_KEEP_COMMIT_CAP);
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

static void pending_settle(struct offer_keep *keep, struct list_node *settled, int err)
{
	while (!list_is_empty(settled)) {
		struct offer_pending *pending =
			container_of(settled->next, struct offer_pending, node);
		struct offer_row *row = pending->row;

		list_unlink(&pending->node);
		offers_keep_cancel(keep, pending);
		keep->failed_cnt += err < 0;
		if (!row)
			continue;
		row->pending = NULL;
		if (err < 0)
			keep->revert(keep->arg, row);
	}
}

static void waiters_tell(struct offer_keep *keep, struct list_node *waiting, int err)
{
	while (!list_is_empty(waiting)) {
		struct keep_waiter *waiter = container_of(waiting->next, struct keep_waiter, node);
		struct keep_waiter copy = *waiter;

		list_unlink(&waiter->node);
		pool_release(&keep->waiters, waiter);
		if (copy.done)
			copy.done(copy.arg, err);
	}
}

static void commit_done(void *arg, int err)
{
	struct keep_commit *commit = arg;
	struct offer_keep *keep = commit->keep;
	struct list_node waiting;

	list_init(&waiting);
	list_move(&commit->waiting, &waiting);
	pending_settle(keep, &commit->pending, err);
	pool_release(&keep->commits, commit);
	waiters_tell(keep, &waiting, err);
}

/* --- batches --- */

/* NULL: no memory, and then all of this batch fails. */
static struct store_batch *batch_open(struct offer_keep *keep, size_t len, uint64_t now_ns)
{
	if (!keep->is_open) {
		keep->is_open = true;
		keep->batch = store_batch_new(keep->store);
		keep->batch_len = 0;
		keep->due_ns = now_ns + OFFER_KEEP_WINDOW_NS;
	}
	keep->batch_len += len + CHANGE_COST;
	if (keep->batch_len >= OFFER_KEEP_BYTES_MAX && keep->due_ns > now_ns)
		keep->due_ns = now_ns;
	return keep->batch;
}

struct offer_pending *offers_keep_reserve(struct offer_keep *keep, size_t len)
{
	struct offer_pending *pending;

	if (keep->waiters.used_cnt == keep->waiters.cap_cnt ||
	    keep->lag_len + len > OFFER_KEEP_LAG_MAX)
		return NULL;
	pending = malloc(sizeof(*pending) + len);
	if (!pending)
		return NULL;
	list_init(&pending->node);
	pending->row = NULL;
	pending->len = len;
	keep->lag_len += len;
	return pending;
}

void offers_keep_cancel(struct offer_keep *keep, struct offer_pending *pending)
{
	keep->lag_len -= pending->len;
	free(pending);
}

static struct store_key key_write(uint64_t order, uint8_t bytes[static OFFER_RECORD_KEY_LEN])
{
	struct writer w = writer_of(bytes, OFFER_RECORD_KEY_LEN);

	writer_be64(&w, order);
	return store_key(bytes, OFFER_RECORD_KEY_LEN);
}

void offers_keep_put(struct offer_keep *keep, struct offer_pending *pending,
		     const struct offer_keep_put *put)
{
	struct store_batch *batch = batch_open(keep, pending->len, put->now_ns);
	struct keep_waiter *waiter = pool_acquire(&keep->waiters);
	uint8_t key[OFFER_RECORD_KEY_LEN];

	weft_assert(waiter != NULL);
	waiter->done = put->done;
	waiter->arg = put->arg;
	list_push_back(&keep->waiting, &waiter->node);
	if (put->row->pending)
		put->row->pending->row = NULL;
	put->row->pending = pending;
	pending->row = put->row;
	list_push_back(&keep->pending, &pending->node);
	store_batch_put(batch, STORE_SERVICE_OFFERS, key_write(put->order, key), pending->bytes,
			pending->len);
}

void offers_keep_delete(struct offer_keep *keep, uint64_t order, uint64_t now_ns)
{
	uint8_t key[OFFER_RECORD_KEY_LEN];

	store_batch_delete(batch_open(keep, 0, now_ns), STORE_SERVICE_OFFERS,
			   key_write(order, key));
}

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct offer_keep *keep, uint64_t now_ns)
{
	struct keep_commit *commit = pool_acquire(&keep->commits);
	struct store_batch *batch = keep->batch;
	int err;

	keep->due_ns = now_ns + RETRY_NS;
	if (!commit)
		return;
	commit->keep = keep;
	list_init(&commit->pending);
	list_init(&commit->waiting);
	list_move(&keep->pending, &commit->pending);
	list_move(&keep->waiting, &commit->waiting);
	keep->batch = NULL;
	keep->is_open = false;
	err = store_submit(keep->store, batch, commit_done, commit);
	if (err == 0)
		return;
	if (err == WEFT_EFULL) {
		keep->batch = batch;
		keep->is_open = true;
		list_move(&commit->pending, &keep->pending);
		list_move(&commit->waiting, &keep->waiting);
		pool_release(&keep->commits, commit);
		return;
	}
	store_batch_free(batch);
	commit_done(commit, err);
}

void offers_keep_expire(struct offer_keep *keep, uint64_t now_ns)
{
	if (keep->is_open && now_ns >= keep->due_ns)
		batch_submit(keep, now_ns);
}

uint64_t offers_keep_next_ns(const struct offer_keep *keep)
{
	return keep->is_open ? keep->due_ns : UINT64_MAX;
}

/* No done is called: the callers may be gone by now. Rows are not reverted either. */
static void waiters_forget(struct offer_keep *keep)
{
	struct keep_waiter *waiter = NULL;
	struct keep_commit *commit = NULL;

	while ((waiter = pool_next(&keep->waiters, waiter)))
		waiter->done = NULL;
	while ((commit = pool_next(&keep->commits, commit)))
		for (struct list_node *node = commit->pending.next; node != &commit->pending;
		     node = node->next)
			container_of(node, struct offer_pending, node)->row = NULL;
	for (struct list_node *node = keep->pending.next; node != &keep->pending; node = node->next)
		container_of(node, struct offer_pending, node)->row = NULL;
}

void offers_keep_fini(struct offer_keep *keep)
{
	if (!keep->store)
		return;
	waiters_forget(keep);
	if (keep->batch && store_submit(keep->store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	store_flush(keep->store);
	pending_settle(keep, &keep->pending, 0);
}
