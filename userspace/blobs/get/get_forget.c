/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a get off the table. A get that is given up leaves in steps, each of which may be the
 * last of a run of the program:
 *
 *	its record says that it is leaving
 *	-> its run ends and the staged files go (get.c)
 *	-> the files that it wrote go, if asked for (removal.c)
 *	-> its record goes
 *
 * A full table makes room by itself, and says so. First an ended get gives way of which nothing
 * is here, then one that no peer is served from. A get that is seeded, paused or half there
 * stays.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/thread/jobs.h"
#include "get_run_calls.h"
#include "get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/target/removal.h"
#include "store/store.h"

static void removal_next(struct get *get);

static void leave_tell(struct get *get, int err)
{
	blobs_forgotten_fn done = get->leave.done;

	get->leave.done = NULL;
	get->leave.forgotten.first_kept = get->leave.first_kept;
	if (done)
		done(get->leave.arg, err, &get->leave.forgotten);
}

static void left(void *arg, int err)
{
	struct get *get = arg;

	get->record.save_cnt--;
	if (get->gets->is_closing)
		return;
	if (err) {
		/* Its record is there still, and says that it is leaving: the next start goes on. */
		leave_tell(get, err);
		return;
	}
	blobs_get_tell(get, BLOBS_GET_FORGOTTEN, 0, get->asked.target);
	leave_tell(get, get->leave.err);
	blobs_gets_drop(get->gets, get);
}

int blobs_get_forget_record(struct get *get, void (*done)(void *arg, int err))
{
	struct store *store = get->gets->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	uint8_t key[GET_RECORD_KEY_LEN];
	int err;

	blobs_get_record_key(get->view.id, key);
	store_batch_delete(batch, STORE_GETS, store_key(key, sizeof(key)));
	blobs_get_run_intents_forget(batch, get->view.id);
	if (get->view.folder)
		blobs_get_run_links_forget(batch, get);
	err = store_submit(store, batch, done, get);
	if (err < 0)
		store_batch_free(batch);
	else if (done)
		get->record.save_cnt++;
	return err;
}

static void record_delete(struct get *get)
{
	/* No room: blobs_get_leave comes again when this is stored. */
	if (blobs_get_forget_record(get, left) < 0)
		blobs_get_save_soon(get);
}

static void removal_done(struct job *job)
{
	struct removal *removal = (struct removal *)job;
	struct get *get = removal->owner;

	if (!get) { /* it was cancelled while the job was out */
		blobs_removal_free(removal);
		return;
	}
	if (!removal->is_over && !removal->err) {
		removal_next(get);
		return;
	}
	get->leave.is_removed = true;
	get->leave.err = removal->err;
	get->leave.forgotten.removed_cnt = removal->removed_cnt;
	get->leave.forgotten.kept_cnt = removal->kept_cnt;
	memcpy(get->leave.first_kept, removal->first_kept, sizeof(get->leave.first_kept));
	get->leave.removal = NULL;
	blobs_removal_free(removal);
	blobs_get_leave(get);
}

static void removal_next(struct get *get)
{
	struct removal *removal = get->leave.removal;

	removal->job.run = blobs_removal_run;
	removal->job.done = removal_done;
	if (!get->gets->is_closing &&
	    jobs_submit(get->gets->content->params.jobs, &removal->job) == 0)
		return;
	get->leave.removal = NULL;
	blobs_removal_free(removal);
	if (!get->gets->is_closing)
		blobs_get_save_soon(get); /* and blobs_get_leave begins it again */
}

static void removal_begin(struct get *get)
{
	get->leave.removal = blobs_removal_new(get->gets->content->params.store, get->asked.target,
					       get->asked.manifest_id, get->manifest.part_ids,
					       get->manifest.part_cnt);
	if (get->leave.removal) {
		get->leave.removal->owner = get;
		get->leave.removal->get_id = get->view.id;
		removal_next(get);
		return;
	}
	get->leave.is_removed = true;
	get->leave.err = -ENOMEM;
	record_delete(get);
}

/* The files it staged go first, by a run that only clears. */
static bool has_to_clear(const struct get *get)
{
	return get->view.state != BLOBS_GET_FINISHED &&
	       (get->view.state != BLOBS_GET_TAKEN_BACK || get->ending.keeps_staged) &&
	       !get->leave.err;
}

void blobs_get_leave(struct get *get)
{
	if (get->gets->is_closing || get->get_run || get->leave.removal || get->record.save_cnt)
		return;
	if (has_to_clear(get)) {
		get->ending.is_cancelled = true;
		get->ending.keeps_staged = false;
		blobs_get_state_set(get, BLOBS_GET_QUEUED);
		blobs_gets_run_next(get->gets);
	} else if (get->leave.is_deleting && !get->leave.is_removed) {
		removal_begin(get);
	} else {
		record_delete(get);
	}
}

void blobs_get_leave_cancel(struct get *get)
{
	while (get->leave.removal)
		jobs_reap_wait(get->gets->content->params.jobs);
	leave_tell(get, WEFT_ECANCELLED);
}

int blobs_get_forget(struct blobs *content, const struct blobs_forget_ask *ask, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, ask->id);

	if (!get)
		return WEFT_EABSENT;
	content->gets->now_ns = now_ns;
	if (get->view.is_leaving || content->is_sweeping)
		return WEFT_EBUSY;
	get->view.is_leaving = true;
	get->leave.is_deleting = ask->deletes;
	get->leave.done = ask->done;
	get->leave.arg = ask->arg;
	blobs_gets_serve_less(content->gets);
	if (!blobs_get_is_ended(get)) {
		get->ending.is_cancelled = true;
		get->ending.keeps_staged = false;
	}
	if (get->get_run)
		blobs_get_run_stop(get->get_run, WEFT_ECANCELLED, "given up");
	blobs_get_save_soon(get);
	return 0;
}

/* --- a full table --- */

/* The lower the sooner it gives way; 0: it does not. */
static unsigned get_worth(const struct get *get)
{
	const struct blobs_get *view = &get->view;

	if (!blobs_get_is_ended(get) || get->record.save_cnt || get->get_run || view->is_leaving)
		return 0;
	if (view->state == BLOBS_GET_TAKEN_BACK)
		return get->ending.keeps_staged && get->ending.has_staged ? 0 : 1;
	if (view->state == BLOBS_GET_STOPPED && !get->ending.has_staged && view->item_done_cnt == 0)
		return 2;
	return view->state == BLOBS_GET_FINISHED && view->seed.end != BLOBS_SEED_GOES_ON ? 3 : 0;
}

int blobs_gets_make_room(struct gets *gets)
{
	struct get *found = NULL;

	if (gets->cnt < gets->content->params.config.get_cap)
		return 0;
	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (get_worth(get) && (!found || get_worth(get) < get_worth(found)))
			found = get;
	}
	if (!found)
		return WEFT_EFULL;
	if (blobs_get_forget_record(found, NULL) < 0)
		return WEFT_EFULL;
	blobs_get_tell(found, BLOBS_GET_FORGOTTEN, WEFT_EFULL, found->asked.target);
	blobs_gets_drop(gets, found);
	return 0;
}
