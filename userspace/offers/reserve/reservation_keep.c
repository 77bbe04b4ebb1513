/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations on their way to the disk. Changes are collected for a moment, then written as one
 * batch (group commit). A change counts here at once, and leaves this node when it is durable. If
 * its batch fails, its row is again as the database has it. That record stays in memory meanwhile, so
 * nothing more can fail then. A row has one change at a time on its way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "reservations_state.h"
#include "store/store.h"

#define KEEP_WINDOW_NS (5 * NS_PER_MS)
#define KEEP_RETRY_NS  (20 * NS_PER_MS)

struct reservation_commit {
	struct reservations *owner;
	struct list_node waiting;
};

static void list_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

/* --- outcomes --- */

/* What the database has of a row whose change failed holds again. Its share never left it. */
static void row_revert(struct reservation *row)
{
	struct reservations *reservations = row->owner;
	int err;

	if (!row->former) {
		offers_reservation_drop(row, false, reservations->now_ns);
		return;
	}
	free(row->bytes);
	row->bytes = row->former;
	row->len = row->former_len;
	row->former = NULL;
	err = offers_reservation_record_parse(row->bytes, row->len, &row->record);
	weft_assert(err == 0); /* it was parsed before */
	offers_reservation_settle(row, reservations->now_ns);
	offers_reservation_renew(row, reservations->now_ns);
	timer_set(reservations->params.timers, &row->timer, reservations->now_ns);
}

/* What row is now is durable: the place of what it was is free, and so is its mark. */
static void row_commit(struct reservation *row)
{
	struct reservations *reservations = row->owner;

	free(row->former);
	row->former = NULL;
	offers_reservation_mark_forget(reservations, row->id, reservations->now_ns);
	offers_reservation_settle(row, reservations->now_ns);
	timer_set(reservations->params.timers, &row->timer, reservations->now_ns);
}

static void row_done(struct reservation *row, enum reservation_event_kind kind, int err)
{
	const struct reservations_around *around = &row->owner->params.around;
	struct reservation_view view = reservation_view_of(row);

	row->is_pending = false;
	if (err < 0) {
		row_revert(row);
		return;
	}
	if (kind != RESERVATION_EVENT_NONE)
		around->happened(around->ctx, kind, &view);
	row_commit(row);
}

static void waiter_tell(struct reservations *reservations, struct reservation_waiter *waiter,
			int err)
{
	const struct reservations_params *params = &reservations->params;
	struct reservation_waiter copy = *waiter;
	struct reservation *row = pool_lookup(&reservations->rows, copy.row);

	list_unlink(&waiter->node);
	pool_release(&reservations->keep.waiters, waiter);
	reservations->stats.failed_cnt += err < 0;
	if (row)
		row_done(row, copy.kind, err);
	if (copy.is_mark)
		offers_reservation_mark_done(reservations, copy.id, err, reservations->now_ns);
	if (copy.done)
		copy.done(copy.arg, err);
	if (copy.is_boxed)
		params->boxes.settle(params->boxes.ctx, copy.ticket, err, reservations->now_ns);
}

static void commit_done(void *arg, int err)
{
	struct reservation_commit *commit = arg;
	struct reservations *reservations = commit->owner;
	struct list_node waiting;

	list_init(&waiting);
	list_move(&commit->waiting, &waiting);
	pool_release(&reservations->keep.commits, commit);
	while (!list_is_empty(&waiting))
		waiter_tell(reservations,
			    container_of(waiting.next, struct reservation_waiter, node), err);
}

/* --- batches --- */

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct reservations *reservations, uint64_t now_ns)
{
	struct reservation_keep *keep = &reservations->keep;
	struct reservation_commit *commit = pool_acquire(&keep->commits);
	struct store_batch *batch = keep->batch;
	int err;

	timer_set(reservations->params.timers, &keep->timer, now_ns + KEEP_RETRY_NS);
	if (!commit)
		return;
	commit->owner = reservations;
	list_init(&commit->waiting);
	list_move(&keep->waiting, &commit->waiting);
	err = batch ? store_submit(reservations->params.store, batch, commit_done, commit)
		    : -ENOMEM;
	if (err == WEFT_EFULL) {
		list_move(&commit->waiting, &keep->waiting);
		pool_release(&keep->commits, commit);
		return;
	}
	keep->batch = NULL;
	keep->is_open = false;
	timer_cancel(reservations->params.timers, &keep->timer);
	if (err == 0)
		return;
	if (batch)
		store_batch_free(batch);
	commit_done(commit, err);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct reservations *reservations = container_of(timer, struct reservations, keep.timer);

	reservations->now_ns = now_ns;
	batch_submit(reservations, now_ns);
}

/* NULL: no memory, and then all of this batch fails. */
static struct store_batch *batch_open(struct reservations *reservations, uint64_t now_ns)
{
	struct reservation_keep *keep = &reservations->keep;

	if (!keep->is_open) {
		keep->is_open = true;
		keep->batch = store_batch_new(reservations->params.store);
		timer_set(reservations->params.timers, &keep->timer, now_ns + KEEP_WINDOW_NS);
	}
	return keep->batch;
}

struct reservation_waiter *offers_reservation_keep_acquire(struct reservations *reservations)
{
	struct reservation_waiter *waiter = pool_acquire(&reservations->keep.waiters);

	if (waiter)
		list_init(&waiter->node);
	return waiter;
}

bool offers_reservation_keep_is_full(const struct reservations *reservations)
{
	return reservations->keep.waiters.used_cnt == reservations->keep.waiters.cap_cnt;
}

void offers_reservation_keep_cancel(struct reservations *reservations,
				    struct reservation_waiter *waiter)
{
	pool_release(&reservations->keep.waiters, waiter);
}

void offers_reservation_keep_put(struct reservation *row, struct reservation_waiter *waiter,
				 uint64_t now_ns)
{
	struct reservations *reservations = row->owner;

	waiter->row = pool_handle_of(&reservations->rows, row);
	memcpy(waiter->id, row->id, sizeof(waiter->id));
	row->is_pending = true;
	store_batch_put(batch_open(reservations, now_ns), STORE_RESERVATIONS,
			store_key(row->id, sizeof(row->id)), row->bytes, row->len);
	list_push_back(&reservations->keep.waiting, &waiter->node);
}

void offers_reservation_keep_delete(struct reservations *reservations, const uint8_t *id,
				    uint64_t now_ns)
{
	store_batch_delete(batch_open(reservations, now_ns), STORE_RESERVATIONS,
			   store_key(id, RESERVATION_ID_LEN));
}

void offers_reservation_keep_mark(struct reservations *reservations, const uint8_t *id,
				  const struct reservation_mark_record *mark,
				  struct reservation_waiter *waiter, uint64_t now_ns)
{
	uint8_t bytes[RESERVATION_MARK_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_reservation_mark_write(&w, mark);
	store_batch_put(batch_open(reservations, now_ns), STORE_RESERVATIONS,
			store_key(id, RESERVATION_ID_LEN), bytes, writer_len(&w));
	if (!waiter)
		return;
	waiter->is_mark = true;
	memcpy(waiter->id, id, sizeof(waiter->id));
	list_push_back(&reservations->keep.waiting, &waiter->node);
}

int offers_reservation_change(struct reservation *row, const struct reservation_record *record,
			      const struct reservation_waiter *like, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	struct reservation_waiter *waiter =
		row->is_pending ? NULL : offers_reservation_keep_acquire(reservations);
	int err;

	if (!waiter)
		return WEFT_EBUSY;
	waiter->kind = like->kind;
	waiter->is_boxed = like->is_boxed;
	waiter->ticket = like->ticket;
	waiter->done = like->done;
	waiter->arg = like->arg;
	err = offers_reservation_set(row, record);
	if (err < 0) {
		offers_reservation_keep_cancel(reservations, waiter);
		return err;
	}
	offers_reservation_keep_put(row, waiter, now_ns);
	/* A place is given back when that is durable. */
	if (row->record.is_made || reservation_is_open(row))
		offers_reservation_settle(row, now_ns);
	return 0;
}

/* --- life --- */

int offers_reservation_keep_init(struct reservations *reservations)
{
	struct reservation_keep *keep = &reservations->keep;
	struct arena *arena = &reservations->arena;
	int err;

	list_init(&keep->waiting);
	timer_init(&keep->timer, on_due);
	err = pool_init(&keep->waiters, arena, sizeof(struct reservation_waiter),
			RESERVATION_CHANGES_MAX);
	return err < 0 ? err
		       : pool_init(&keep->commits, arena, sizeof(struct reservation_commit),
				   RESERVATION_COMMITS_MAX);
}

/* What waits is written, and of no more is anything said: the callers may be gone by now. */
void offers_reservation_keep_fini(struct reservations *reservations)
{
	struct reservation_keep *keep = &reservations->keep;
	struct reservation_waiter *waiter = NULL;

	if (!keep->commits.objects)
		return;
	timer_cancel(reservations->params.timers, &keep->timer);
	while ((waiter = pool_next(&keep->waiters, waiter))) {
		waiter->done = NULL;
		waiter->kind = RESERVATION_EVENT_NONE;
		waiter->is_boxed = false;
	}
	if (keep->batch && store_submit(reservations->params.store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	store_flush(reservations->params.store);
}
