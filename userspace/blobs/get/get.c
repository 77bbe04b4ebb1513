/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of gets and their life: queued until the record is durable and
 * a place is free, then run by get_run.c, then ended. Each change of state is
 * written to the store; an end is reported only after its write.
 */
#include "get.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "get_run_calls.h"
#include "get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/target/removal.h"
#include "blobs/serve/served_index.h"
#include "blobs/serve/serve.h"
#include "blobs/swarm/swarm.h"
#include "store/store.h"

bool blobs_get_is_ended(const struct get *get)
{
	return get->view.state >= BLOBS_GET_FINISHED;
}

void blobs_get_state_set(struct get *get, enum blobs_get_state state)
{
	struct blobs_get *view = &get->view;

	view->state = state;
	if (state < BLOBS_GET_FINISHED && view->shown_state < BLOBS_GET_FINISHED)
		view->shown_state = state;
}

void blobs_get_tell(const struct get *get, enum blobs_event_kind kind, int err, const char *text)
{
	struct blobs_event event = {
		.kind = kind,
		.id = get->view.id,
		.manifest_id = get->asked.manifest_id,
		.peer_key = get->view.node_cnt ? get->asked.nodes[0].key : NULL,
		.err = err,
		.text = text,
	};

	blobs_tell(get->gets->content, &event);
}

static void get_free(struct get *get)
{
	blobs_removal_free(get->leave.removal);
	free(get->manifest.part_ids);
	get->choosing.save_cnt = 1;
	blobs_get_choose_saved(get, WEFT_ECANCELLED);
	blobs_get_choice_free(get);
	if (get->choosing.chosen)
		get_free(get->choosing.chosen);
	free(get);
}

static struct get *get_make(struct gets *gets, uint64_t id)
{
	struct get *get = calloc(1, sizeof(*get));

	if (!get)
		return NULL;
	get->gets = gets;
	get->view.id = id;
	get->view.detail = get->ending.detail;
	get->view.manifest_id = get->asked.manifest_id;
	get->view.nodes = get->asked.nodes;
	get->view.priority = BLOBS_GET_PRIORITY;
	get->view.target = get->asked.target;
	get->view.title = get->manifest.title;
	get->manifest.scope.is_closed = true;
	return get;
}

static void gets_append(struct gets *gets, struct get *get)
{
	blobs_served_changed(gets->content);
	gets->slots[gets->cnt++] = get;
	gets->next_id = get->view.id + 1;
}

struct get *blobs_gets_lookup(const struct gets *gets, uint64_t id)
{
	for (uint32_t i = 0; i < gets->cnt; i++)
		if (gets->slots[i]->view.id == id)
			return gets->slots[i];
	return NULL;
}

void blobs_gets_serve_less(struct gets *gets)
{
	blobs_served_changed(gets->content);
	blobs_serve_forget_files(gets->content->serve);
}

void blobs_gets_drop(struct gets *gets, struct get *get)
{
	uint32_t at = 0;

	while (gets->slots[at] != get)
		at++;
	gets->cnt--;
	memmove(&gets->slots[at], &gets->slots[at + 1], (gets->cnt - at) * sizeof(gets->slots[0]));
	get_free(get);
	blobs_gets_serve_less(gets);
}

static void get_begin(struct get *get, bool is_clearing)
{
	struct gets *gets = get->gets;
	int err = blobs_get_run_start(get, is_clearing);

	get->ending.is_told = false;
	if (err) {
		blobs_get_state_set(get, BLOBS_GET_STOPPED);
		get->view.err = err;
		snprintf(get->ending.detail, sizeof(get->ending.detail), "cannot start: %s",
			 weft_err_text(err));
		blobs_get_save_soon(get);
		return;
	}
	gets->active_cnt++;
	get->view.started_ns = gets->now_ns;
	get->view.ended_ns = 0;
	get->view.err = 0;
	get->ending.detail[0] = '\0';
	if (!is_clearing)
		blobs_get_tell(get, BLOBS_GET_STARTED, 0, get->asked.target);
}

/* Those that run leave more to those of higher priority. */
static void gets_rank(struct gets *gets)
{
	gets->top_priority = 0;
	for (uint32_t i = 0; i < gets->cnt; i++)
		if (gets->slots[i]->get_run && gets->slots[i]->view.priority > gets->top_priority)
			gets->top_priority = gets->slots[i]->view.priority;
}

/* The one of highest priority that waits, the oldest of those; NULL: none. */
static struct get *gets_first_queued(const struct gets *gets)
{
	struct get *found = NULL;

	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (get->view.state == BLOBS_GET_QUEUED && get->record.is_durable &&
		    !get->get_run && (!found || get->view.priority > found->view.priority))
			found = get;
	}
	return found;
}

void blobs_gets_run_next(struct gets *gets)
{
	struct get *get;

	while (!gets->is_closing &&
	       gets->active_cnt < gets->content->params.config.get_active_cap &&
	       (get = gets_first_queued(gets)))
		get_begin(get, get->ending.is_cancelled);
	gets_rank(gets);
}

/* It ended only because other files are wanted now. */
static void get_begin_anew(struct get *get)
{
	blobs_get_state_set(get, BLOBS_GET_QUEUED);
	get->view.err = 0;
	get->ending.detail[0] = '\0';
	get->record.is_continued = true;
}

static void get_choose_now(struct get *get)
{
	if (!get->choosing.chosen)
		return;
	blobs_get_choice_move(get, get->choosing.chosen);
	get_free(get->choosing.chosen);
	get->choosing.chosen = NULL;
}

void blobs_get_ended(struct get *get, int err, const char *detail)
{
	struct blobs_get *view = &get->view;

	get->gets->active_cnt--;
	get->get_run = NULL;
	view->ended_ns = get->gets->now_ns;
	view->err = err;
	snprintf(get->ending.detail, sizeof(get->ending.detail), "%s", detail);
	blobs_served_changed(get->gets->content);
	if (get->ending.is_cancelled)
		blobs_get_state_set(get, BLOBS_GET_TAKEN_BACK);
	else if (get->choosing.chosen && !get->ending.is_pausing && !view->is_leaving)
		get_begin_anew(get);
	else if (get->ending.is_pausing && err)
		blobs_get_state_set(get, BLOBS_GET_PAUSED);
	else
		blobs_get_state_set(get, err ? BLOBS_GET_STOPPED : BLOBS_GET_FINISHED);
	if (view->state == BLOBS_GET_PAUSED)
		view->err = 0;
	if (view->state == BLOBS_GET_FINISHED)
		blobs_get_seed_begin(get);
	get->ending.is_pausing = false;
	get_choose_now(get);
	blobs_gets_seed_look(get->gets);
	gets_rank(get->gets);
	blobs_get_save_soon(get);
	blobs_gets_run_next(get->gets);
}

/* Whatever was running when the daemon ended runs again. */
static void gets_load_one(struct gets *gets, const struct store_item *item)
{
	struct cursor c = cursor_of(item->key, item->key_len);
	uint64_t id = cursor_be64(&c);
	struct get *get = get_make(gets, id);

	/* Its number stays taken, also when there is no place for it. */
	gets->next_id = id + 1;
	if (!get || gets->cnt >= gets->content->params.config.get_cap ||
	    blobs_get_record_parse(item->value, item->value_len, get) < 0) {
		if (get)
			get_free(get);
		return;
	}
	get->record.is_durable = get->record.is_continued = get->view.is_stored = true;
	get->ending.is_told = true;
	/* How long it took is not kept. */
	get->view.started_ns = get->view.ended_ns = gets->now_ns;
	if (!blobs_get_is_ended(get)) {
		blobs_get_state_set(get, BLOBS_GET_QUEUED);
		get->view.err = 0;
	}
	get->view.shown_state = get->view.state;
	gets_append(gets, get);
	blobs_get_seed_begin(get);
}

/* A get that was leaving goes on with it; blobs_get_leave may take it off the table. */
static void gets_leave_again(struct gets *gets)
{
	for (uint32_t i = 0; i < gets->cnt; i++)
		blobs_get_folder_done(gets->slots[i]);
	for (uint32_t i = gets->cnt; i-- > 0;)
		if (gets->slots[i]->view.is_leaving)
			blobs_get_leave(gets->slots[i]);
}

static int gets_load(struct gets *gets)
{
	struct store_iter iter =
		store_iter_fresh(gets->content->params.store, STORE_GETS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item))
		gets_load_one(gets, &item);
	return store_iter_end(&iter);
}

int blobs_gets_new(struct blobs *content, struct gets **out_gets)
{
	struct gets *gets = calloc(1, sizeof(*gets));
	int err = -ENOMEM;

	if (!gets)
		return err;
	gets->content = content;
	gets->next_id = 1;
	gets->now_ns = content->params.now_ns;
	timer_init(&gets->save_timer, blobs_gets_save_timer);
	timer_init(&gets->seed_timer, blobs_gets_seed_timer);
	gets->slots = calloc(content->params.config.get_cap, sizeof(struct get *));
	if (gets->slots)
		err = gets_load(gets);
	if (err) {
		blobs_gets_free(gets);
		return err;
	}
	*out_gets = gets;
	blobs_gets_seed_look(gets);
	gets_leave_again(gets);
	blobs_gets_run_next(gets);
	return 0;
}

void blobs_gets_free(struct gets *gets)
{
	if (!gets)
		return;
	gets->is_closing = true;
	blobs_gets_save_counts(gets);
	timer_cancel(gets->content->params.timers, &gets->save_timer);
	timer_cancel(gets->content->params.timers, &gets->seed_timer);
	/* Store batches under way still refer to gets: their callbacks run before the free. */
	store_flush(gets->content->params.store);
	for (uint32_t i = 0; i < gets->cnt; i++)
		if (gets->slots[i]->get_run)
			blobs_get_run_abandon(gets->slots[i]->get_run);
	for (uint32_t i = 0; i < gets->cnt; i++)
		blobs_get_leave_cancel(gets->slots[i]);
	for (uint32_t i = 0; i < gets->cnt; i++)
		get_free(gets->slots[i]);
	free(gets->slots);
	free(gets);
}

/* A get's own word first: what it fetched may not be stored yet. */
void blobs_gets_fill_stats(const struct gets *gets, struct blobs_stats *stats)
{
	stats->get_cnt += gets->cnt;
	stats->get_active_cnt += gets->active_cnt;
	stats->received_byte_cnt += gets->received_byte_cnt;
	stats->bad_chunk_cnt += gets->bad_chunk_cnt;
}

/* The get under way that brings the same collection into the same target. */
static struct get *gets_twin(const struct gets *gets, const struct get *of)
{
	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (get != of && !blobs_get_is_ended(get) &&
		    strcmp(get->asked.target, of->asked.target) == 0 &&
		    memcmp(get->asked.manifest_id, of->asked.manifest_id, OBJECT_ID_LEN) == 0)
			return get;
	}
	return NULL;
}

/* Nodes may differ: they are ways to the same bytes. */
static bool get_does_same(const struct get *get, const struct get *other)
{
	size_t ranges_len = other->asked.range_cnt * sizeof(other->asked.ranges[0]);

	/* Gets of a share's folder differ by their manifest alone. */
	if (get->view.folder && other->view.folder)
		return !get->ending.is_cancelled;
	return !get->ending.is_cancelled && get->asked.is_replacing == other->asked.is_replacing &&
	       get->asked.range_cnt == other->asked.range_cnt &&
	       memcmp(get->asked.ranges, other->asked.ranges, ranges_len) == 0 &&
	       blobs_get_choice_equal(get->choosing.chosen ? get->choosing.chosen : get, other);
}

int blobs_get_start(struct blobs *content, const struct blobs_get_ask *ask, uint64_t now_ns,
		    uint64_t *out_id)
{
	struct gets *gets = content->gets;
	struct get *get, *twin;
	int err;

	gets->now_ns = now_ns;
	if (content->is_sweeping)
		return WEFT_EBUSY;
	get = get_make(gets, gets->next_id);
	if (!get)
		return -ENOMEM;
	err = blobs_get_ask_take(get, ask);
	if (err)
		goto free_get;
	twin = gets_twin(gets, get);
	if (twin) {
		err = get_does_same(twin, get) ? 1 : WEFT_EEXISTS;
		if (err == 1) {
			blobs_get_ask_merge(twin, get);
			*out_id = twin->view.id;
		}
		goto free_get;
	}
	/* Before the get that it inherits from may give way, and as part of its first record. */
	blobs_get_seed_inherit(get);
	err = blobs_gets_make_room(gets);
	if (!err)
		err = blobs_get_save(get);
	if (err)
		goto free_get;
	gets_append(gets, get);
	*out_id = get->view.id;
	return 0;
free_get:
	get_free(get);
	return err;
}

const struct blobs_get *blobs_get_lookup(struct blobs *content, uint64_t id)
{
	const struct get *get = blobs_gets_lookup(content->gets, id);

	return get ? &get->view : NULL;
}

const struct blobs_get *blobs_gets_next(struct blobs_get_iter *iter)
{
	const struct gets *gets = iter->content->gets;

	if (iter->idx == 0)
		blobs_collect_served(iter->content);
	return iter->idx < gets->cnt ? &gets->slots[iter->idx++]->view : NULL;
}

/* A cancelled get that keeps its data may still be asked to discard it. */
static bool get_is_cancelled_so(const struct get *get, bool discards)
{
	return get->ending.is_cancelled && !(discards && get->ending.keeps_staged);
}

int blobs_get_cancel(struct blobs *content, uint64_t id, bool discards, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);

	if (!get)
		return WEFT_EABSENT;
	content->gets->now_ns = now_ns;
	if (get->view.state == BLOBS_GET_FINISHED || get->view.is_leaving ||
	    get_is_cancelled_so(get, discards))
		return 0;
	get->ending.is_cancelled = true;
	get->ending.keeps_staged = !discards;
	if (get->get_run) {
		get->ending.has_staged |= blobs_get_run_has_target(get->get_run);
		blobs_get_run_stop(get->get_run, WEFT_ECANCELLED, "taken back");
	} else {
		/* Nothing runs: a run that only clears removes what was staged. */
		blobs_get_state_set(get, discards ? BLOBS_GET_QUEUED : BLOBS_GET_TAKEN_BACK);
	}
	blobs_get_save_soon(get);
	blobs_gets_run_next(content->gets);
	return 0;
}

int blobs_get_resume(struct blobs *content, uint64_t id, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);

	if (!get)
		return WEFT_EABSENT;
	content->gets->now_ns = now_ns;
	if (content->is_sweeping || get->get_run || get->view.is_leaving ||
	    get->view.state == BLOBS_GET_FINISHED || !blobs_get_is_ended(get) ||
	    blobs_gets_folder_other(content->gets, get, id) || gets_twin(content->gets, get))
		return WEFT_EBUSY;
	get->ending.is_cancelled = get->ending.keeps_staged = false;
	get->record.is_continued = true;
	get->record.is_durable = false; /* a caller hears that it goes on when that is stored */
	blobs_get_state_set(get, BLOBS_GET_QUEUED);
	/* A caller that resumes it wants these nodes, whatever they did before. */
	for (unsigned i = 0; i < get->view.node_cnt; i++)
		blobs_swarms_pardon(content->swarms, get->asked.nodes[i].key);
	blobs_get_save_soon(get);
	blobs_gets_run_next(content->gets);
	return 0;
}

void blobs_gets_again(struct gets *gets, const uint8_t manifest_id[static 32])
{
	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (get->view.state != BLOBS_GET_FINISHED || get->asked.range_cnt > 0 ||
		    get->get_run || get->view.is_leaving ||
		    memcmp(get->asked.manifest_id, manifest_id, OBJECT_ID_LEN) != 0 ||
		    gets_twin(gets, get))
			continue;
		get->record.is_continued = true;
		/* It waits for the record of the file, which is committed before its own. */
		get->record.is_durable = false;
		blobs_get_state_set(get, BLOBS_GET_QUEUED);
		blobs_get_save_soon(get);
	}
}

int blobs_get_pause(struct blobs *content, uint64_t id, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);

	if (!get)
		return WEFT_EABSENT;
	content->gets->now_ns = now_ns;
	if (get->view.state == BLOBS_GET_PAUSED)
		return 0;
	if (blobs_get_is_ended(get) || get->ending.is_cancelled || get->view.is_leaving)
		return WEFT_EBUSY;
	if (get->get_run) {
		get->ending.is_pausing = true;
		blobs_get_run_stop(get->get_run, WEFT_ECANCELLED, "%s", "");
	} else {
		blobs_get_state_set(get, BLOBS_GET_PAUSED);
	}
	blobs_get_save_soon(get);
	return 0;
}

static void get_choose(struct get *get, struct get *chosen)
{
	if (get->choosing.chosen)
		get_free(get->choosing.chosen);
	get->choosing.chosen = chosen;
	/* Jobs may look at what was wanted, until the run has ended. */
	if (get->get_run) {
		blobs_get_run_stop(get->get_run, WEFT_ECANCELLED, "%s", "");
	} else {
		get_choose_now(get);
		if (get->view.state == BLOBS_GET_FINISHED) {
			get->record.is_durable =
				false; /* what is wanted is stored before it begins */
			get_begin_anew(get);
		}
	}
	blobs_served_changed(get->gets->content);
	blobs_get_save_soon(get);
	/* When there was no room for it, the next batch is the one. */
	get->choosing.save_cnt = get->record.save_cnt + get->record.is_unsaved;
	blobs_gets_run_next(get->gets);
}

int blobs_get_choose(struct blobs *content, uint64_t id,
		     const struct blobs_get_selection *selection, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id), *chosen;
	int err;

	if (!get)
		return WEFT_EABSENT;
	if (get->ending.is_cancelled || get->view.is_leaving || get->choosing.done ||
	    get->view.state == BLOBS_GET_TAKEN_BACK)
		return WEFT_EBUSY;
	if (get->view.folder)
		return WEFT_EREFUSED;
	content->gets->now_ns = now_ns;
	chosen = calloc(1, sizeof(*chosen));
	if (!chosen)
		return -ENOMEM;
	err = blobs_get_only_take(chosen, selection->only, selection->only_len);
	if (err == 0)
		err = blobs_get_choice_take(chosen, &selection->choice);
	if (err == 0 && get->asked.range_cnt && blobs_get_is_partial(chosen))
		err = WEFT_EMALFORMED;
	if (err == 0 &&
	    blobs_get_choice_equal(get->choosing.chosen ? get->choosing.chosen : get, chosen))
		err = 1;
	if (err) {
		get_free(chosen);
		return err;
	}
	get->choosing.done = selection->done;
	get->choosing.arg = selection->arg;
	get_choose(get, chosen);
	return 0;
}

int blobs_get_prioritise(struct blobs *content, uint64_t id, unsigned priority, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);

	if (!get)
		return WEFT_EABSENT;
	if (priority > BLOBS_GET_PRIORITY_MAX)
		return WEFT_EMALFORMED;
	content->gets->now_ns = now_ns;
	get->view.priority = priority;
	gets_rank(content->gets);
	blobs_get_save_soon(get);
	return 0;
}

const struct swarm *blobs_get_swarm(const struct blobs *content, uint64_t id)
{
	const struct get *get = blobs_gets_lookup(content->gets, id);

	return get && get->get_run ? blobs_get_run_swarm(get->get_run) : NULL;
}
