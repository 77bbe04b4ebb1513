/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing a tree, on home: this file decides, jobs do.
 *
 *	count	walk steps that only count (import_list.c)
 *	hash	walk steps fill a window of files in order. Tasks hash runs and
 *		slices of them (import_hash.c, import_big.c). Hashed files at the
 *		window's head go into manifest and store (import_take.c)
 *	save	the manifest and the share, in one commit
 *
 * Everything is bounded: the window, the tasks, one batch in flight and one being filled. An
 * import may end early for any reason. The files hashed so far are kept and not read again the
 * next time.
 */
#include "import_state.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "blobs/blobs_state.h"
#include "walk.h"
#include "store/store.h"

#define WINDOW_CNT    1024 /* files between walk and manifest */
#define BATCH_LEN_MAX (32u << 20)

/* --- storing --- */

static void batch_stored(void *arg, int err)
{
	struct import *import = arg;

	import->is_storing = false;
	if (err < 0)
		blobs_import_fail(import, err, "cannot store what was hashed: %s",
				  weft_err_text(err));
	blobs_import_pump(import);
}

static void batch_flush(struct import *import)
{
	struct store *store = import->imports->content->params.store;
	int err;

	if (import->is_storing || import->batch_len == 0)
		return;
	err = store_submit(store, import->batch, batch_stored, import);
	if (err < 0) {
		/* Not kept, then: it would be tried for ever. */
		import->batch_len = 0;
		blobs_import_fail(import, err, "cannot store what was hashed: %s",
				  weft_err_text(err));
		return;
	}
	import->is_storing = true;
	import->batch = store_batch_new(store);
	import->batch_len = 0;
}

/* --- walking --- */

static void window_add(struct import *import)
{
	struct import_list *list = &import->list;

	if (!import->cursor)
		import->cursor = list->first;
	*import->last = list->first;
	import->window_cnt += list->cnt;
	for (struct import_file *file = list->first; file; file = file->next) {
		import->last = &file->next;
		if (file->is_reused)
			import->told.byte_done_cnt += file->stamp.size;
	}
	list->first = NULL;
	list->cnt = 0;
}

static void root_take(struct import *import)
{
	struct import_list *list = &import->list;

	if (!list->resolved)
		return;
	free(import->root);
	import->root = list->root = list->resolved;
	list->resolved = NULL;
	if (!blobs_import_path_is_shareable(import->root))
		blobs_import_fail(import, WEFT_EUNSAFE, "it leads to a path that cannot be shared");
}

static void list_done(struct job *job)
{
	struct import_list *list = container_of(job, struct import_list, job);
	struct import *import = list->owner;

	import->is_listing = false;
	root_take(import);
	if (list->special)
		blobs_import_fail(import, list->err, "it is %s, not a regular file or folder",
				  list->special);
	else if (list->err < 0)
		blobs_import_fail(import, list->err, "cannot walk it: %s",
				  weft_err_text(list->err));
	import->told.file_cnt += list->file_cnt;
	import->told.byte_cnt += list->byte_cnt;
	if (list->first)
		window_add(import);
	if (import->phase == IMPORT_COUNTING && list->has_ended) {
		import->phase = IMPORT_HASHING;
		blobs_import_collect_expect(import->collect, import->told.file_cnt);
		list->counts_only = false;
		list->has_ended = false;
		blobs_import_tell(import);
	}
	blobs_import_pump(import);
}

static void list_step(struct import *import)
{
	struct import_list *list = &import->list;

	if (import->is_listing || list->has_ended ||
	    import->window_cnt + IMPORT_LIST_CNT > WINDOW_CNT)
		return;
	list->job = (struct job){.run = blobs_import_list_run, .done = list_done};
	import->is_listing = jobs_submit(import->imports->pool, &list->job) == 0;
}

/* --- hashing --- */

static void run_done(struct import *import, struct import_task *task)
{
	for (unsigned i = 0; i < task->run_cnt; i++) {
		task->run[i]->state = IMPORT_FILE_DONE;
		if (task->run[i]->err == 0)
			import->told.byte_done_cnt += task->run[i]->stamp.size;
	}
	task->run_cnt = 0;
}

static void task_done(struct job *job)
{
	struct import_task *task = container_of(job, struct import_task, job);
	struct import *import = task->owner;

	task->is_busy = false;
	if (task->big)
		task->is_parked = true;
	else
		run_done(import, task);
	blobs_import_pump(import);
}

static bool file_is_big(const struct import_file *file)
{
	return file->stamp.size > BLAKE3_CHUNK_LEN;
}

static void run_load(struct import *import, struct import_task *task)
{
	struct import_file *file = import->cursor;
	uint64_t len = 0;

	task->big = NULL;
	for (; file && task->run_cnt < IMPORT_RUN_CNT && len < IMPORT_RUN_LEN; file = file->next) {
		if (file->state != IMPORT_FILE_WAITING)
			continue;
		if (file_is_big(file))
			break;
		file->state = IMPORT_FILE_HASHING;
		len += file->stamp.size;
		task->run[task->run_cnt++] = file;
	}
	import->cursor = file;
}

/* task_load gives a task something to do; false when there is nothing now. */
static bool task_load(struct import *import, struct import_task *task)
{
	struct import_file *file;
	int err;

	if (blobs_import_big_slice(import, task))
		return true;
	while ((file = import->cursor) && file->state != IMPORT_FILE_WAITING)
		import->cursor = file->next;
	if (!file)
		return false;
	if (!file_is_big(file)) {
		run_load(import, task);
		return true;
	}
	if (import->big.file)
		return false;
	err = blobs_import_big_begin(import, file);
	if (err < 0) {
		blobs_import_fail(import, err, "cannot share %s: %s", file->path,
				  weft_err_text(err));
		return false;
	}
	import->cursor = file->next;
	return blobs_import_big_slice(import, task);
}

static void tasks_fill(struct import *import)
{
	struct imports *imports = import->imports;

	for (unsigned i = 0; i < imports->task_cnt && import->err == 0; i++) {
		struct import_task *task = &imports->tasks[i];

		if (task->is_busy || task->is_parked)
			continue;
		if (import->batch_len >= BATCH_LEN_MAX || !task_load(import, task))
			return;
		task->job = (struct job){.run = blobs_import_task_run, .done = task_done};
		task->owner = import;
		task->walk = import->list.walk;
		task->is_busy = true;
		/* The pool has room for all tasks and the list. */
		if (jobs_submit(imports->pool, &task->job) < 0)
			weft_assert(!"the import pool is full");
	}
}

/* --- the turn --- */

static bool is_working(const struct import *import)
{
	const struct imports *imports = import->imports;

	for (unsigned i = 0; i < imports->task_cnt; i++)
		if (imports->tasks[i].is_busy)
			return true;
	return import->is_listing;
}

static void tasks_forget(struct imports *imports)
{
	for (unsigned i = 0; i < imports->task_cnt; i++) {
		imports->tasks[i].is_parked = false;
		imports->tasks[i].big = NULL;
	}
}

int blobs_import_begin(struct import *import)
{
	int err = blobs_import_collect_new(import->imports->content->params.config.item_cap,
					   &import->collect);

	if (err < 0)
		return err;
	import->batch = store_batch_new(import->imports->content->params.store);
	import->phase = IMPORT_COUNTING;
	return import->batch ? 0 : -ENOMEM;
}

static void hashing_pump(struct import *import)
{
	struct imports *imports = import->imports;

	blobs_import_big_advance(import, imports->tasks, imports->task_cnt);
	blobs_import_take(import);
	batch_flush(import);
	if (import->err == 0 && import->batch_len == 0)
		blobs_import_take(import);
	if (import->err < 0)
		return;
	list_step(import);
	tasks_fill(import);
	if (!import->first && !is_working(import) && import->list.has_ended)
		import->phase = IMPORT_SAVING;
}

/* A single file that cannot be shared is an error, a folder with one is not. */
static bool is_nothing(const struct import *import)
{
	const struct blobs_import *told = &import->told;

	return blobs_import_collect_item_cnt(import->collect) == 0 &&
	       blobs_walk_is_file(import->list.walk) && told->first_skipped[0];
}

void blobs_import_pump(struct import *import)
{
	int err;

	if (import->imports->is_closing)
		return;
	if (import->phase == IMPORT_QUEUED && import->err == 0) {
		err = blobs_import_begin(import);
		if (err < 0)
			blobs_import_fail(import, err, "cannot begin: %s", weft_err_text(err));
	}
	if (import->phase == IMPORT_COUNTING && import->err == 0)
		list_step(import);
	if (import->phase == IMPORT_HASHING && import->err == 0)
		hashing_pump(import);
	if (import->phase == IMPORT_SAVING && import->err == 0 && !import->is_storing) {
		if (is_nothing(import))
			blobs_import_fail(import, WEFT_EUNSAFE, "%s", import->told.first_skipped);
		else
			blobs_import_save(import);
	}
	if (import->err < 0 && !is_working(import)) {
		tasks_forget(import->imports);
		batch_flush(import);
		if (!import->is_storing)
			blobs_import_end(import);
	}
}
