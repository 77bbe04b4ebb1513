/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing a tree, on home: this file decides, jobs do.
 *
 *	count	walk steps that only count (import_list.c)
 *	hash	walk steps fill a window of files in order; tasks hash runs
 *		and slices of them (import_hash.c, import_big.c); what is done
 *		at the window's head goes into manifest and store (import_take.c)
 *	save	the manifest and the share, in one commit
 *
 * Everything is bounded: the window, the tasks, one batch in flight and one
 * being filled. Whatever ends an import early, files hashed so far are kept
 * and not read again the next time.
 */
#include "content/import.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/timer.h"
#include "content/content_state.h"
#include "content/import_state.h"
#include "content/share.h"
#include "content/walk.h"
#include "store/store.h"

#define WINDOW_CNT	 1024 /* files between walk and manifest */
#define BATCH_LEN_MAX	 (8u << 20)
#define PROGRESS_STEP_NS (100 * NS_PER_MS)

struct imports {
	struct content *content;
	struct jobs *pool;
	struct import_task *tasks;
	unsigned task_cnt;
	struct import *first; /* runs; the others wait */
	uint32_t cnt;
	uint64_t last_id;
	uint64_t now_ns;
	bool is_closing;
	struct timer cancelled; /* some that wait were taken back */
};

static void import_pump(struct import *import);

void import_fail(struct import *import, int err, const char *fmt, ...)
{
	va_list args;

	if (import->err < 0)
		return;
	import->err = err;
	va_start(args, fmt);
	vsnprintf(import->detail, sizeof(import->detail), fmt, args);
	va_end(args);
}

/* --- life --- */

static void window_free(struct import *import)
{
	while (import->first) {
		struct import_file *file = import->first;

		import->first = file->next;
		import_file_free(file);
	}
	import->last = &import->first;
	import->cursor = NULL;
	import->window_cnt = 0;
}

static void import_free(struct import *import)
{
	if (!import)
		return;
	window_free(import);
	while (import->list.first) {
		struct import_file *file = import->list.first;

		import->list.first = file->next;
		import_file_free(file);
	}
	import_big_free(&import->big);
	walk_free(import->list.walk);
	import_collect_free(import->collect);
	store_batch_free(import->batch);
	free(import->root);
	free(import);
}

/* Their buffers are 2 MiB each: kept while there is work, not longer. */
static void readers_free(struct imports *imports)
{
	for (unsigned i = 0; imports->tasks && i < imports->task_cnt; i++) {
		import_reader_free(imports->tasks[i].reader);
		imports->tasks[i].reader = NULL;
	}
}

static void cancelled_end(struct timer *timer, uint64_t now_ns);

int imports_new(struct content *content, struct imports **out_imports)
{
	unsigned thread_cnt = content->params.config.import_threads;
	struct imports *imports = calloc(1, sizeof(*imports));
	int err = -ENOMEM;

	if (!imports)
		return -ENOMEM;
	imports->content = content;
	imports->now_ns = content->params.now_ns;
	timer_init(&imports->cancelled, cancelled_end);
	/* One more than threads: each finds work when it ends some. */
	imports->task_cnt = thread_cnt + 1;
	imports->tasks = calloc(imports->task_cnt, sizeof(*imports->tasks));
	if (imports->tasks)
		err = jobs_new(thread_cnt, imports->task_cnt + 1, &imports->pool);
	if (err < 0) {
		imports_free(imports);
		return err;
	}
	*out_imports = imports;
	return 0;
}

void imports_stop(struct imports *imports)
{
	if (!imports)
		return;
	imports->is_closing = true;
	timer_cancel(imports->content->params.timers, &imports->cancelled);
	for (struct import *import = imports->first; import; import = import->next) {
		import->progress = NULL;
		import->done = NULL;
	}
	/* What runs ends; after this no job touches a file or a task. */
	jobs_free(imports->pool);
	imports->pool = NULL;
}

void imports_free(struct imports *imports)
{
	if (!imports)
		return;
	jobs_free(imports->pool);
	readers_free(imports);
	free(imports->tasks);
	while (imports->first) {
		struct import *import = imports->first;

		imports->first = import->next;
		import_free(import);
	}
	free(imports);
}

int imports_fd(const struct imports *imports)
{
	return jobs_fd(imports->pool);
}

uint32_t imports_cnt(const struct imports *imports)
{
	return imports->cnt;
}

static void import_tell(struct import *import)
{
	struct imports *imports = import->imports;

	import->progress_ns = imports->now_ns;
	if (import->progress)
		import->progress(import->arg, &import->told);
	content_tell(imports->content, &(struct content_event){.kind = CONTENT_IMPORT_PROGRESS,
							       .id = import->told.id,
							       .text = import->root});
}

void imports_reap(struct imports *imports, uint64_t now_ns)
{
	struct import *import;

	imports->now_ns = now_ns;
	(void)jobs_reap(imports->pool);
	import = imports->first;
	if (import && now_ns - import->progress_ns >= PROGRESS_STEP_NS)
		import_tell(import);
}

/* --- the end --- */

static void import_end(struct import *import)
{
	struct imports *imports = import->imports;

	imports->first = import->next;
	imports->cnt--;
	if (import->done)
		import->done(import->arg, import->err, &import->told, import->detail);
	import_free(import);
	if (imports->first)
		import_pump(imports->first);
	else
		readers_free(imports);
}

static void cancelled_end(struct timer *timer, uint64_t now_ns)
{
	struct imports *imports = (void *)((char *)timer - offsetof(struct imports, cancelled));
	struct import **link = &imports->first;

	imports->now_ns = now_ns;
	while (*link) {
		struct import *import = *link;

		if (import->phase != IMPORT_QUEUED || import->err == 0) {
			link = &import->next;
			continue;
		}
		*link = import->next;
		imports->cnt--;
		if (import->done)
			import->done(import->arg, import->err, &import->told, import->detail);
		import_free(import);
	}
}

static void share_stored(void *arg, int err)
{
	struct import *import = arg;

	import->is_storing = false;
	if (err < 0)
		import_fail(import, err, "cannot store the share of %s", import->root);
	import_end(import);
}

/*
 * The same files under the same path keep their name: the time in the
 * manifest is that of the first share, if that makes it one we have.
 */
static const uint8_t *manifest_make(struct import *import, uint64_t *out_added_s, size_t *out_len)
{
	struct content *content = import->imports->content;
	const uint8_t *bytes;
	uint64_t added_s;

	if (shares_added_s(content->shares, import->root, &added_s)) {
		bytes = import_collect_encode(import->collect, added_s, import->title, out_len,
					      import->told.manifest_id);
		*out_added_s = added_s;
		if (shares_has_manifest(content->shares, import->told.manifest_id))
			return bytes;
	}
	*out_added_s = content->params.wall_s ? content->params.wall_s(content->params.ctx) : 0;
	return import_collect_encode(import->collect, *out_added_s, import->title, out_len,
				     import->told.manifest_id);
}

static void import_save(struct import *import)
{
	struct content *content = import->imports->content;
	struct share_ask ask = {.path = import->root, .title = import->title};
	const uint8_t *bytes;
	size_t len;
	int err;

	err = import_collect_finish(import->collect, import->batch, &import->batch_len);
	if (err < 0) {
		import_fail(import, err, "too many files in %s for one collection", import->root);
		return;
	}
	bytes = manifest_make(import, &ask.added_s, &len);
	store_batch_put_blob(import->batch, import->told.manifest_id, bytes, len);
	ask.manifest_id = import->told.manifest_id;
	ask.item_cnt = import_collect_item_cnt(import->collect);
	ask.byte_cnt = import_collect_byte_cnt(import->collect);
	ask.part_ids = import_collect_part_ids(import->collect, &ask.part_cnt);
	err = shares_add(content->shares, import->batch, &ask, share_stored, import);
	if (err < 0) {
		import_fail(import, err, "cannot store the share of %s", import->root);
		return;
	}
	import->batch = NULL;
	import->is_storing = true;
}

/* --- storing --- */

static void batch_stored(void *arg, int err)
{
	struct import *import = arg;

	import->is_storing = false;
	if (err < 0)
		import_fail(import, err, "cannot store what was hashed of %s", import->root);
	import_pump(import);
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
		import_fail(import, err, "cannot store what was hashed of %s", import->root);
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

static void list_done(struct job *job)
{
	struct import_list *list = (void *)((char *)job - offsetof(struct import_list, job));
	struct import *import = list->owner;

	import->is_listing = false;
	if (list->err < 0)
		import_fail(import, list->err, "cannot walk %s", import->root);
	import->told.file_cnt += list->file_cnt;
	import->told.byte_cnt += list->byte_cnt;
	if (list->first)
		window_add(import);
	if (import->phase == IMPORT_COUNTING && list->has_ended) {
		import->phase = IMPORT_HASHING;
		list->counts_only = false;
		list->has_ended = false;
		import_tell(import);
	}
	import_pump(import);
}

static void list_step(struct import *import)
{
	struct import_list *list = &import->list;

	if (import->is_listing || list->has_ended ||
	    import->window_cnt + IMPORT_LIST_CNT > WINDOW_CNT)
		return;
	list->job = (struct job){.run = import_list_run, .done = list_done};
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
	struct import_task *task = (void *)((char *)job - offsetof(struct import_task, job));
	struct import *import = task->owner;

	task->is_busy = false;
	if (task->big)
		task->is_parked = true;
	else
		run_done(import, task);
	import_pump(import);
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

	if (import_big_slice(import, task))
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
	err = import_big_begin(import, file);
	if (err < 0) {
		import_fail(import, err, "cannot share %s", file->path);
		return false;
	}
	import->cursor = file->next;
	return import_big_slice(import, task);
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
		task->job = (struct job){.run = import_task_run, .done = task_done};
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

static int import_begin(struct import *import)
{
	int err = import_collect_new(&import->collect);

	if (err < 0)
		return err;
	import->batch = store_batch_new(import->imports->content->params.store);
	import->phase = IMPORT_COUNTING;
	return import->batch ? 0 : -ENOMEM;
}

static void hashing_pump(struct import *import)
{
	struct imports *imports = import->imports;

	import_big_advance(import, imports->tasks, imports->task_cnt);
	import_take(import);
	batch_flush(import);
	if (import->err == 0 && import->batch_len == 0)
		import_take(import);
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
	const struct content_import *told = &import->told;

	return import_collect_item_cnt(import->collect) == 0 && walk_is_file(import->list.walk) &&
	       told->first_skipped[0];
}

static void import_pump(struct import *import)
{
	int err;

	if (import->imports->is_closing)
		return;
	if (import->phase == IMPORT_QUEUED && import->err == 0) {
		err = import_begin(import);
		if (err < 0)
			import_fail(import, err, "cannot share %s", import->root);
	}
	if (import->phase == IMPORT_COUNTING && import->err == 0)
		list_step(import);
	if (import->phase == IMPORT_HASHING && import->err == 0)
		hashing_pump(import);
	if (import->phase == IMPORT_SAVING && import->err == 0 && !import->is_storing) {
		if (is_nothing(import))
			import_fail(import, WEFT_EUNSAFE, "%s", import->told.first_skipped);
		else
			import_save(import);
	}
	if (import->err < 0 && !is_working(import)) {
		tasks_forget(import->imports);
		batch_flush(import);
		if (!import->is_storing)
			import_end(import);
	}
}

/* --- asking --- */

static bool path_is_shareable(const char *path)
{
	size_t len = strlen(path);

	return len == 1 || (len < OBJECT_PATH_LEN_MAX && manifest_path_is_safe(path + 1, len - 1));
}

static int ask_check(const struct imports *imports, const char *path, const char *title)
{
	const struct content *content = imports->content;

	if (path[0] != '/' || !path_is_shareable(path))
		return WEFT_EUNSAFE;
	if (title && !manifest_title_is_safe(title))
		return WEFT_EMALFORMED;
	if (content->is_sweeping)
		return WEFT_EBUSY;
	if (imports->cnt >= IMPORTS_MAX ||
	    shares_cnt(content->shares) >= content->params.config.share_cap)
		return WEFT_EFULL;
	return 0;
}

static struct import *import_make(struct imports *imports, const char *root, const char *title)
{
	struct import *import = calloc(1, sizeof(*import));
	const char *last = strrchr(root, '/') + 1;

	if (!import)
		return NULL;
	import->imports = imports;
	import->last = &import->first;
	import->root = strdup(root);
	if (!import->root) {
		free(import);
		return NULL;
	}
	snprintf(import->title, sizeof(import->title), "%s", title ? title : last);
	import->list.owner = import;
	import->list.store = imports->content->params.store;
	import->list.root = import->root;
	import->list.counts_only = true;
	return import;
}

int content_share_add(struct content *content, const struct content_share_ask *ask, uint64_t now_ns,
		      uint64_t *out_import_id)
{
	struct imports *imports = content->imports;
	struct import **link = &imports->first;
	size_t len = strnlen(ask->path, OBJECT_PATH_LEN_MAX);
	char root[OBJECT_PATH_LEN_MAX];
	struct import *import;
	int err;

	if (len == OBJECT_PATH_LEN_MAX)
		return WEFT_ETOOLARGE;
	memcpy(root, ask->path, len + 1);
	while (len > 1 && root[len - 1] == '/')
		root[--len] = '\0';
	err = ask_check(imports, root, ask->title);
	if (err < 0)
		return err;
	import = import_make(imports, root, ask->title);
	if (!import)
		return -ENOMEM;
	import->progress = ask->progress;
	import->done = ask->done;
	import->arg = ask->arg;
	import->told.id = ++imports->last_id;
	import->progress_ns = now_ns;
	imports->now_ns = now_ns;
	imports->cnt++;
	while (*link)
		link = &(*link)->next;
	*link = import;
	*out_import_id = import->told.id;
	/* The first step of an import is a job, so done never comes from here. */
	if (imports->first == import)
		import_pump(import);
	return 0;
}

int content_import_cancel(struct content *content, uint64_t import_id)
{
	struct imports *imports = content->imports;
	struct import **link = &imports->first;
	struct import *import;

	while (*link && (*link)->told.id != import_id)
		link = &(*link)->next;
	import = *link;
	if (!import || import->err < 0 || import->phase == IMPORT_SAVING)
		return WEFT_EABSENT;
	import_fail(import, WEFT_ECANCELLED, "taken back");
	/* The one that runs ends with its last job. */
	if (import->phase == IMPORT_QUEUED)
		timer_set(content->params.timers, &imports->cancelled, imports->now_ns);
	return 0;
}
