/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syncs: when they begin, what comes after what, and how they end. At most sync_cap run; others
 * wait in the order in which their time came. A share whose head no node knew is tried again
 * sooner than others, and later each time.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/blobs.h"
#include "blobs/retainer.h"
#include "follow_sync.h"
#include "store/store.h"

#define RETRY_NS (30 * NS_PER_S)

size_t shares_sync_footprint(void)
{
	return sizeof(struct sync) + SYNC_ASKS_MAX * SYNC_REPLY_CAP + 2 * MANIFEST_LEN_MAX +
	       SYNC_BATCH_LEN;
}

/* --- callers --- */

static int caller_add(struct followed *followed, struct follow_caller caller,
		      struct follow_sync **out_sync)
{
	struct follow_sync *sync = calloc(1, sizeof(*sync));

	if (!sync)
		return -ENOMEM;
	sync->caller = caller;
	list_push_back(&followed->callers, &sync->node);
	*out_sync = sync;
	return 0;
}

/* A caller may do anything, even unfollow: nothing but the list is looked at. */
static void callers_tell(struct list_node *callers, const struct follow_synced *synced,
			 uint64_t now_ns)
{
	while (!list_is_empty(callers)) {
		struct follow_sync *sync = container_of(callers->next, struct follow_sync, node);
		struct follow_caller caller = sync->caller;

		list_unlink(&sync->node);
		free(sync);
		caller.synced(caller.arg, synced, now_ns);
	}
}

static void callers_move(struct list_node *from, struct list_node *to)
{
	list_init(to);
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

void shares_follow_sync_cancel(struct follow_sync *sync)
{
	list_unlink(&sync->node);
	free(sync);
}

/* --- begin --- */

static void sync_begin(struct followed *followed, uint64_t now_ns)
{
	struct follows *follows = followed->follows;
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync) {
		shares_followed_schedule(followed, now_ns + RETRY_NS);
		return;
	}
	sync->follows = follows;
	sync->followed = followed;
	followed->sync = sync;
	followed->view.is_syncing = true;
	follows->sync_cnt++;
	shares_sync_heads_begin(sync, now_ns);
}

/* One that ends at once gives its place to the next in this loop, not in a deeper one. */
static void syncs_begin(struct follows *follows, uint64_t now_ns)
{
	if (follows->is_beginning)
		return;
	follows->is_beginning = true;
	while (!list_is_empty(&follows->waiting) &&
	       follows->sync_cnt < follows->params.config.sync_cap) {
		struct followed *followed = followed_of(follows->waiting.next, turn);

		list_unlink(&followed->turn);
		sync_begin(followed, now_ns);
	}
	follows->is_beginning = false;
}

void shares_followed_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct followed *followed = container_of(timer, struct followed, timer);

	followed->follows->now_ns = now_ns;
	if (followed->sync || !list_is_empty(&followed->turn))
		return;
	list_push_back(&followed->follows->waiting, &followed->turn);
	syncs_begin(followed->follows, now_ns);
}

void shares_followed_schedule(struct followed *followed, uint64_t at_ns)
{
	followed->view.next_ns = at_ns;
	timer_set(followed->follows->params.timers, &followed->timer, at_ns);
}

int shares_follow_sync_start(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
			     struct follow_caller caller, uint64_t now_ns,
			     struct follow_sync **out_sync)
{
	struct followed *followed = shares_follows_lookup(follows, share_id);
	int err;

	if (!followed || followed->is_leaving)
		return WEFT_EABSENT;
	err = caller_add(followed, caller, out_sync);
	if (err == 0 && !followed->sync && list_is_empty(&followed->turn))
		shares_followed_schedule(followed, now_ns);
	return err;
}

int shares_follow_resolve_start(struct follows *follows, const struct link *link,
				struct follow_caller caller, uint64_t now_ns,
				struct follow_sync **out_sync)
{
	uint8_t share_id[SHARE_ID_LEN];
	struct followed *followed;
	int err;

	if (follows->passing_cnt == FOLLOW_RESOLVES_MAX)
		return WEFT_EFULL;
	share_id_of(link->public_key, share_id);
	followed = shares_followed_new(follows, share_id);
	if (!followed)
		return -ENOMEM;
	followed->is_passing = true;
	followed->view.hint_cnt = link->node_cnt;
	memcpy(followed->hints, link->nodes, sizeof(followed->hints));
	err = caller_add(followed, caller, out_sync);
	if (err < 0) {
		shares_followed_free(followed);
		return err;
	}
	list_push_back(&follows->passing, &followed->node);
	follows->passing_cnt++;
	shares_followed_schedule(followed, now_ns);
	return 0;
}

/* --- end --- */

void shares_sync_free_unused(struct sync *sync)
{
	if (sync->job_cnt || sync->save_cnt)
		return;
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		free(sync->asks[i].buf);
	blobs_manifest_free(sync->root);
	free(sync->root_bytes);
	free(sync->part_ids);
	shares_blocklist_fini(&sync->blocklist);
	store_batch_free(sync->batch);
	free(sync);
}

/* No callback of the sync comes any more; jobs and batches end by themselves. */
static void sync_leave(struct sync *sync)
{
	struct followed *followed = sync->followed;

	shares_sync_heads_cancel(sync);
	if (sync->swarm)
		blobs_swarm_leave(sync->swarm);
	sync->swarm = NULL;
	sync->followed = NULL;
	followed->sync = NULL;
	followed->view.is_syncing = false;
	followed->follows->sync_cnt--;
	if (sync->root)
		blobs_holder_changed(followed->follows->params.content);
	shares_sync_free_unused(sync);
}

bool shares_sync_kept_each(const struct followed *followed, blobs_holder_fn fn, void *arg)
{
	const struct sync *sync = followed->sync;

	return !sync || !sync->root ||
	       fn(arg, sync->revision.manifest_id, sync->part_ids, (size_t)sync->part_cnt);
}

void shares_followed_stop(struct followed *followed)
{
	const struct follows_params *params = &followed->follows->params;
	struct follow_synced synced = {.err = WEFT_ECANCELLED, .head = followed->view.head};
	struct list_node callers;

	memcpy(synced.share_id, followed->view.share_id, sizeof(synced.share_id));
	timer_cancel(params->timers, &followed->timer);
	list_unlink(&followed->turn);
	if (followed->put_run)
		params->overlay.ops->cancel(followed->put_run);
	followed->put_run = NULL;
	if (followed->sync)
		sync_leave(followed->sync);
	callers_move(&followed->callers, &callers);
	callers_tell(&callers, &synced, followed->follows->now_ns);
}

static void next_plan(struct followed *followed, uint64_t now_ns)
{
	struct follows *follows = followed->follows;
	uint64_t wait_ns = follows->params.config.interval_ns;
	unsigned doubled = followed->fail_cnt - 1; /* times */

	if (followed->fail_cnt && doubled < 16 && RETRY_NS << doubled < wait_ns)
		wait_ns = RETRY_NS << doubled;
	/* Those that began together do not stay together. */
	wait_ns += random_below(follows->params.random, wait_ns / 4 + 1) - wait_ns / 8;
	shares_followed_schedule(followed, now_ns + wait_ns);
}

static void outcome_note(struct followed *followed, const struct sync *sync)
{
	followed->view.err = sync->err;
	snprintf(followed->detail, sizeof(followed->detail), "%s", sync->note);
	if (sync->err < 0) {
		followed->fail_cnt++;
		followed->follows->stats.failed_cnt++;
		snprintf(followed->detail, sizeof(followed->detail), "%s: %s%s%s", sync->what,
			 weft_err_text(sync->err), sync->note[0] ? "; " : "", sync->note);
	} else {
		followed->fail_cnt = 0;
		followed->follows->stats.synced_cnt++;
	}
}

static void sync_end(struct sync *sync, bool is_changed, uint64_t now_ns)
{
	struct followed *followed = sync->followed;
	struct follows *follows = followed->follows;
	struct follow_synced synced = {
		.err = sync->err, .head = followed->view.head, .is_changed = is_changed};
	struct list_node callers;
	int sync_err = sync->err;

	memcpy(synced.share_id, followed->view.share_id, sizeof(synced.share_id));
	memcpy(synced.hint_errs, followed->view.hint_errs, sizeof(synced.hint_errs));
	outcome_note(followed, sync);
	shares_sync_put(sync, now_ns);
	sync_leave(sync);
	callers_move(&followed->callers, &callers);
	if (followed->is_passing) {
		follows->passing_cnt--;
		shares_followed_free(followed);
	} else {
		next_plan(followed, now_ns);
		shares_followed_refresh(followed, is_changed);
		if (is_changed)
			shares_follows_refresh(follows);
		if (sync_err == 0)
			shares_followed_folder_retry(followed);
	}
	callers_tell(&callers, &synced, now_ns);
	syncs_begin(follows, now_ns);
}

void shares_sync_fail(struct sync *sync, int err, const char *what)
{
	if (sync->err)
		return;
	sync->err = err;
	sync->what = what;
}

/* --- a revision that is whole --- */

static bool is_new_revision(const struct sync *sync)
{
	const struct follow *view = &sync->followed->view;

	return !view->revision_cnt ||
	       memcmp(view->revisions[0].manifest_id, sync->revision.manifest_id, 32) != 0;
}

/* The blocklist that counts from now on; NULL: none. */
static const uint8_t *blocklist_of(const struct sync *sync)
{
	if (!sync->has_blocklist)
		return NULL;
	if (sync->is_blocklist_here)
		return sync->blocklist_id;
	return sync->followed->view.has_blocklist ? sync->followed->blocklist_id : NULL;
}

static void save_begin(struct sync *sync, uint64_t now_ns)
{
	struct followed *followed = sync->followed;
	const uint8_t *blocklist_id = blocklist_of(sync);

	sync->step = SYNC_SAVING;
	followed->move_cnt = 0;
	followed->is_blocklist_due =
		sync->has_blocklist &&
		(!blocklist_id || memcmp(blocklist_id, sync->blocklist_id, 32) != 0);
	shares_follow_row_put(shares_sync_batch(sync), followed,
			      is_new_revision(sync) ? &sync->revision : NULL, blocklist_id);
	sync->row_cnt = followed->row_cnt;
	shares_sync_save_flush(sync);
	if (!sync->save_cnt)
		shares_sync_step_done(sync, now_ns);
}

static void revision_take(struct sync *sync)
{
	struct followed *followed = sync->followed;
	struct follow *view = &followed->view;
	const unsigned last = FOLLOW_REVISIONS_MAX - 1;

	free(followed->parts[last].ids);
	memmove(&followed->parts[1], &followed->parts[0], last * sizeof(followed->parts[0]));
	memmove(&view->revisions[1], &view->revisions[0], last * sizeof(view->revisions[0]));
	view->revisions[0] = sync->revision;
	followed->parts[0].ids = sync->part_ids;
	followed->parts[0].cnt = sync->part_cnt;
	sync->part_ids = NULL;
	sync->part_cnt = 0;
	if (view->revision_cnt < FOLLOW_REVISIONS_MAX)
		view->revision_cnt++;
}

static void blocklist_take(struct sync *sync)
{
	struct followed *followed = sync->followed;
	const uint8_t *id = blocklist_of(sync);

	if (id == followed->blocklist_id)
		return;
	shares_blocklist_fini(&followed->blocklist);
	followed->view.has_blocklist = id != NULL;
	if (!id)
		return;
	memcpy(followed->blocklist_id, id, 32);
	followed->blocklist = sync->blocklist;
	sync->blocklist = (struct blocklist){0};
}

/* All of it is durable: from now on it counts. */
static void sync_commit(struct sync *sync, uint64_t now_ns)
{
	struct followed *followed = sync->followed;
	bool is_new = is_new_revision(sync);
	int err = shares_followed_describe(followed, sync->root);

	if (err < 0) {
		shares_sync_fail(sync, err, "no memory for its description");
		sync_end(sync, false, now_ns);
		return;
	}
	if (is_new)
		revision_take(sync);
	blocklist_take(sync);
	if (followed->row_cnt != sync->row_cnt)
		shares_followed_row_again(followed);
	if (is_new) {
		followed->follows->stats.revision_cnt++;
		shares_followed_tell(followed, FOLLOW_REVISION, sync->revision.seq, NULL, 0);
	}
	sync_end(sync, true, now_ns);
}

/* --- step by step --- */

static bool has_newest(const struct followed *followed)
{
	const struct follow *view = &followed->view;

	return view->revision_cnt && !followed->is_blocklist_due &&
	       memcmp(view->revisions[0].manifest_id, view->head.manifest_id, 32) == 0;
}

static bool is_wanted(const struct followed *followed)
{
	const struct follow *view = &followed->view;

	return !followed->is_passing && view->head.seq && !shares_head_is_revoked(&view->head) &&
	       !shares_follow_blocker(followed->follows, BLOCKLIST_SHARE, view->share_id) &&
	       !has_newest(followed);
}

static void fetch_begin(struct sync *sync, uint64_t now_ns)
{
	struct followed *followed = sync->followed;
	const struct share_head *head = &followed->view.head;
	struct mesh_peer hints[SYNC_NODES_MAX] = {0};
	unsigned hint_cnt = followed->view.hint_cnt;

	if (memcmp(head->manifest_id, followed->bad_manifest_id, 32) == 0) {
		shares_sync_fail(sync, WEFT_EMALFORMED,
				 "what its head names is no revision of the share");
		sync_end(sync, false, now_ns);
		return;
	}
	for (unsigned i = 0; i < followed->view.hint_cnt; i++)
		hints[i] = mesh_peer_at(followed->hints[i].key, &followed->hints[i].places);
	for (unsigned i = 0; i < sync->keeper_cnt; i++, hint_cnt++) {
		hints[hint_cnt] = mesh_peer_at(sync->keepers[i].key, &sync->keepers[i].places);
		hints[hint_cnt].told_cnt = hints[hint_cnt].addr_cnt;
	}
	sync->swarm = blobs_swarm_join(
		sync->follows->params.content,
		&(struct swarm_join){.id = head->manifest_id, .hints = hints, .hint_cnt = hint_cnt},
		now_ns);
	if (!sync->swarm) {
		shares_sync_fail(sync, WEFT_EFULL, "too much is fetched at once");
		sync_end(sync, false, now_ns);
		return;
	}
	sync->revision.seq = head->seq;
	memcpy(sync->revision.manifest_id, head->manifest_id, 32);
	shares_sync_manifests_begin(sync, now_ns);
}

static void heads_done(struct sync *sync, uint64_t now_ns)
{
	int err = shares_sync_heads_judge(sync);

	if (shares_sync_move(sync)) {
		shares_sync_heads_begin(sync, now_ns);
		return;
	}
	if (is_wanted(sync->followed)) {
		fetch_begin(sync, now_ns);
		return;
	}
	if (err < 0)
		shares_sync_fail(sync, err,
				 err == WEFT_EABSENT
					 ? "nobody knows a head of it"
					 : "neither the overlay nor a node of its link answers");
	/* Until it is durable that the head was seen. */
	sync->step = SYNC_SAVING;
	if (!sync->save_cnt)
		shares_sync_step_done(sync, now_ns);
}

void shares_sync_step_done(struct sync *sync, uint64_t now_ns)
{
	sync->follows->now_ns = now_ns;
	switch (sync->step) {
	case SYNC_HEADS:
		heads_done(sync, now_ns);
		break;
	case SYNC_MANIFESTS:
		if (sync->err)
			sync_end(sync, false, now_ns);
		else
			shares_sync_blocklist_begin(sync, now_ns);
		break;
	case SYNC_BLOCKLIST:
		save_begin(sync, now_ns);
		break;
	case SYNC_SAVING:
		if (sync->root && !sync->err)
			sync_commit(sync, now_ns);
		else
			sync_end(sync, false, now_ns);
	}
}
