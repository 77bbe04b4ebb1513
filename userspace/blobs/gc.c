/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four walks, each over one database, rows per step of a timer:
 *
 *	paths	   a record lives if a share or a get has its file
 *	objects	   a location lives if its path record does and names it
 *	outboards  a chunk list lives if its object has a location; the ids of
 *		   its pages are marked
 *	blobs	   a blob lives if it is marked, a holder keeps it, or it is a manifest of a share
 *		   or get
 *
 * Each walk deletes in batches and waits for them, so the next sees what the
 * one before left. Files are never touched.
 */
#include "gc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs_state.h"
#include "blobs/get/get.h"
#include "blobs/import/import.h"
#include "object.h"
#include "scope.h"
#include "blobs/serve/served_index.h"
#include "store/store.h"

#define GC_STEP_CNT 256 /* rows of one turn: well below a millisecond */
#define GC_KEY_CAP  64

enum gc_phase { GC_PATHS, GC_OBJECTS, GC_OUTBOARDS, GC_BLOBS, GC_COMPACT, GC_IDLE };

struct gc {
	struct blobs *content;
	enum gc_phase phase;
	bool deletes; /* run, not plan */
	struct blobs_gc told;
	void (*done)(void *arg, int err, const struct blobs_gc *gc);
	void *arg;
	int err;
	struct timer timer;
	struct job job;
	int64_t compacted;
	bool is_compacting; /* the job is out */
	bool is_stopped;

	/* Where the walk of this phase goes on. */
	uint8_t next[GC_KEY_CAP];
	size_t next_len;
	unsigned step_cnt;
	bool has_more;
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	struct object_file file;
	struct object_locations locations; /* scratch */

	/* Pages of chunk lists that live, and what holders keep; sorted before the walk over blobs. */
	uint8_t (*marks)[OBJECT_ID_LEN];
	size_t mark_cnt;
	size_t mark_cap;
};

static void gc_step(struct timer *timer, uint64_t now_ns);

int blobs_gc_new(struct blobs *content, struct gc **out_gc)
{
	struct gc *gc = calloc(1, sizeof(*gc));

	if (!gc)
		return -ENOMEM;
	gc->content = content;
	gc->phase = GC_IDLE;
	timer_init(&gc->timer, gc_step);
	*out_gc = gc;
	return 0;
}

void blobs_gc_stop(struct gc *gc)
{
	if (!gc)
		return;
	gc->done = NULL;
	gc->is_stopped = true;
	timer_cancel(gc->content->params.timers, &gc->timer);
	while (gc->is_compacting)
		jobs_reap_wait(gc->content->params.jobs);
}

void blobs_gc_free(struct gc *gc)
{
	if (!gc)
		return;
	store_batch_free(gc->batch);
	free(gc->marks);
	free(gc);
}

static void gc_end(struct gc *gc)
{
	free(gc->marks);
	gc->marks = NULL;
	gc->mark_cnt = gc->mark_cap = 0;
	gc->phase = GC_IDLE;
	gc->content->is_sweeping = false;
	if (gc->done)
		gc->done(gc->arg, gc->err, &gc->told);
}

/* --- which objects live --- */

static bool file_is_held(const struct gc *gc, const struct object_file *file)
{
	return blobs_served_index_holds_file(blobs_served_index(gc->content), file);
}

/* location_lives: the path record of a location row names its content and is held. */
static bool location_lives(struct gc *gc, const struct store_item *item)
{
	return blobs_object_file_at(gc->snapshot, item->key + OBJECT_ID_LEN, &gc->file) == 0 &&
	       memcmp(gc->file.content_id, item->key, OBJECT_ID_LEN) == 0 &&
	       file_is_held(gc, &gc->file);
}

static bool object_lives(struct gc *gc, const uint8_t *id)
{
	const struct object_file *file;
	bool is_held = false;
	int err;

	blobs_object_locations_begin(&gc->locations, gc->snapshot, id);
	while (!is_held && (file = blobs_object_locations_next(&gc->locations)))
		is_held = file_is_held(gc, file);
	err = blobs_object_locations_end(&gc->locations);
	/* A row that cannot be read now is kept. */
	return is_held || (err < 0 && err != WEFT_EDAMAGED);
}

static int mark_order(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_LEN);
}

/* The marks in order, each once. */
static void marks_sort(struct gc *gc)
{
	size_t cnt = 0;

	if (gc->mark_cnt)
		qsort(gc->marks, gc->mark_cnt, OBJECT_ID_LEN, mark_order);
	for (size_t i = 0; i < gc->mark_cnt; i++)
		if (i == 0 || mark_order(gc->marks[cnt - 1], gc->marks[i]) != 0)
			memmove(gc->marks[cnt++], gc->marks[i], OBJECT_ID_LEN);
	gc->mark_cnt = cnt;
}

/* It grows when half of it is of use. So ids that come again and again take no memory. */
static bool marks_have_room(struct gc *gc, size_t cnt)
{
	size_t cap = gc->mark_cap ? gc->mark_cap : 1024;
	void *marks;

	if (gc->mark_cnt + cnt <= gc->mark_cap)
		return true;
	marks_sort(gc);
	while (cap / 2 < gc->mark_cnt + cnt)
		cap *= 2;
	if (cap == gc->mark_cap)
		return true;
	marks = realloc(gc->marks, cap * OBJECT_ID_LEN);
	if (!marks) {
		gc->err = -ENOMEM;
		return false;
	}
	gc->marks = marks;
	gc->mark_cap = cap;
	gc->told.mark_max = cap;
	return true;
}

static bool ids_mark(struct gc *gc, const uint8_t *ids, size_t cnt)
{
	if (!marks_have_room(gc, cnt))
		return false;
	if (cnt)
		memcpy(gc->marks + gc->mark_cnt, ids, cnt * OBJECT_ID_LEN);
	gc->mark_cnt += cnt;
	return true;
}

static void pages_mark(struct gc *gc, const struct store_item *item)
{
	(void)ids_mark(gc, item->value, item->value_len / OBJECT_ID_LEN);
}

/* A holder may pass on ids that any peer made up: those of no blob are not noted. */
static bool kept_mark(void *arg, const uint8_t id[static 32])
{
	struct gc *gc = arg;

	return store_blob_len(gc->snapshot, id) == WEFT_EABSENT || ids_mark(gc, id, 1);
}

/* What holders keep without a manifest. One that cannot list it ends the sweep. */
static void kept_blobs_mark(struct gc *gc)
{
	gc->err = store_snapshot_open(gc->content->params.store, &gc->snapshot);
	if (gc->err < 0)
		return;
	for (unsigned i = 0; i < gc->content->holder_cnt && gc->err == 0; i++) {
		const struct blobs_retainer *holder = &gc->content->holders[i];

		if (holder->blobs_each && !holder->blobs_each(holder->ctx, kept_mark, gc) &&
		    gc->err == 0)
			gc->err = WEFT_EBUSY;
	}
	store_snapshot_close(gc->snapshot);
	gc->snapshot = NULL;
	marks_sort(gc);
}

static bool blob_lives(const struct gc *gc, const uint8_t *id)
{
	return blobs_served_index_holds_manifest(blobs_served_index(gc->content), id) ||
	       (gc->mark_cnt && bsearch(id, gc->marks, gc->mark_cnt, OBJECT_ID_LEN, mark_order));
}

/* --- one row --- */

static void path_sweep(struct gc *gc, const struct store_item *item)
{
	/* A record that cannot be read is of no use. */
	if (blobs_object_file_parse(item->value, item->value_len, &gc->file) == 0 &&
	    file_is_held(gc, &gc->file))
		return;
	gc->told.path_cnt++;
	store_batch_delete(gc->batch, STORE_PATHS, store_key(item->key, item->key_len));
}

static void blob_sweep(struct gc *gc, const struct store_item *item)
{
	int64_t len;

	if (blob_lives(gc, item->key))
		return;
	len = store_blob_len(gc->snapshot, item->key);
	gc->told.blob_cnt++;
	gc->told.byte_cnt += len > 0 ? (uint64_t)len : 0;
	store_batch_delete_blob(gc->batch, item->key);
	blobs_scope_drop(gc->batch, item->key);
}

static bool row_sweep(struct gc *gc, const struct store_item *item)
{
	if (gc->step_cnt++ == GC_STEP_CNT) {
		memcpy(gc->next, item->key, item->key_len);
		gc->next_len = item->key_len;
		gc->has_more = true;
		return false;
	}
	switch (gc->phase) {
	case GC_PATHS:
		path_sweep(gc, item);
		break;
	case GC_OBJECTS:
		if (!location_lives(gc, item)) {
			gc->told.object_cnt++;
			store_batch_delete(gc->batch, STORE_OBJECTS,
					   store_key(item->key, item->key_len));
		}
		break;
	case GC_OUTBOARDS:
		if (object_lives(gc, item->key))
			pages_mark(gc, item);
		else
			store_batch_delete(gc->batch, STORE_OUTBOARDS,
					   store_key(item->key, item->key_len));
		break;
	case GC_BLOBS:
		blob_sweep(gc, item);
		break;
	case GC_COMPACT:
	case GC_IDLE:
		break;
	}
	return gc->err == 0;
}

/* --- steps --- */

static enum store_db phase_db(enum gc_phase phase)
{
	static const enum store_db dbs[] = {
		[GC_PATHS] = STORE_PATHS,
		[GC_OBJECTS] = STORE_OBJECTS,
		[GC_OUTBOARDS] = STORE_OUTBOARDS,
		[GC_BLOBS] = STORE_BLOBS,
	};

	return dbs[phase];
}

static void gc_again(struct gc *gc)
{
	if (!gc->is_stopped)
		timer_set(gc->content->params.timers, &gc->timer, 0);
}

static void compact_run(struct job *job)
{
	struct gc *gc = container_of(job, struct gc, job);

	gc->compacted = store_compact(gc->content->params.store);
}

static void compact_done(struct job *job)
{
	struct gc *gc = container_of(job, struct gc, job);

	gc->is_compacting = false;
	if (gc->compacted < 0)
		gc->err = (int)gc->compacted;
	gc_end(gc);
}

static void gc_compact(struct gc *gc)
{
	gc->job = (struct job){.run = compact_run, .done = compact_done};
	gc->err = jobs_submit(gc->content->params.jobs, &gc->job);
	gc->is_compacting = gc->err == 0;
	if (gc->err < 0)
		gc_end(gc);
}

static void batch_swept(void *arg, int err)
{
	struct gc *gc = arg;

	if (gc->err == 0)
		gc->err = err;
	gc_again(gc);
}

/* step_finish hands the deletes over, or goes on at once when it only plans. */
static void step_finish(struct gc *gc)
{
	int err;

	if (!gc->has_more) {
		gc->next_len = 0;
		if (gc->phase == GC_OUTBOARDS)
			kept_blobs_mark(gc);
		gc->phase++;
	}
	if (!gc->deletes) {
		store_batch_free(gc->batch);
		gc->batch = NULL;
		gc_again(gc);
		return;
	}
	err = store_submit(gc->content->params.store, gc->batch, batch_swept, gc);
	if (err < 0) {
		store_batch_free(gc->batch);
		gc->err = err;
		gc_again(gc);
	}
	gc->batch = NULL;
}

static void gc_step(struct timer *timer, uint64_t now_ns)
{
	struct gc *gc = container_of(timer, struct gc, timer);
	struct store *store = gc->content->params.store;

	(void)now_ns;
	if (gc->err < 0 || (gc->phase == GC_COMPACT && !gc->deletes)) {
		gc_end(gc);
		return;
	}
	if (gc->phase == GC_COMPACT) {
		gc_compact(gc);
		return;
	}
	gc->step_cnt = 0;
	gc->has_more = false;
	gc->batch = store_batch_new(store);
	gc->err = store_snapshot_open(store, &gc->snapshot);
	if (gc->err == 0) {
		struct store_iter iter = store_iter(gc->snapshot, phase_db(gc->phase),
						    store_key(gc->next, gc->next_len));
		struct store_item item;
		int err;

		while (store_iter_next(&iter, &item) && row_sweep(gc, &item))
			;
		err = store_iter_end(&iter);
		if (gc->err == 0)
			gc->err = err;
		store_snapshot_close(gc->snapshot);
	}
	if (gc->err < 0) {
		store_batch_free(gc->batch);
		gc->batch = NULL;
		gc_end(gc);
		return;
	}
	step_finish(gc);
}

int blobs_gc(struct blobs *content, bool run,
	     void (*done)(void *arg, int err, const struct blobs_gc *gc), void *arg)
{
	struct blobs_stats stats = {0};
	struct gc *gc = content->gc;

	blobs_gets_fill_stats(content->gets, &stats);
	if (content->is_sweeping || content->unheld_cnt || blobs_imports_cnt(content->imports) ||
	    stats.get_active_cnt)
		return WEFT_EBUSY;
	/* All that is reachable must be known before anything is called garbage. */
	(void)blobs_served_index(content);
	if (content->is_served_stale)
		return -ENOMEM;
	gc->told = (struct blobs_gc){0};
	gc->phase = GC_PATHS;
	gc->deletes = run;
	gc->done = done;
	gc->arg = arg;
	gc->err = 0;
	gc->next_len = 0;
	content->is_sweeping = true;
	gc_again(gc);
	return 0;
}
