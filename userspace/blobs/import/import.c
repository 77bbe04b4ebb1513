/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports from asking to telling; what happens in between is in
 * import_run.c.
 */
#include "import.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "blobs/blobs_state.h"
#include "import_state.h"
#include "blobs/scope.h"
#include "blobs/share_table.h"
#include "walk.h"
#include "store/store.h"

#define PROGRESS_STEP_NS (100 * NS_PER_MS)

void blobs_import_fail(struct import *import, int err, const char *fmt, ...)
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
		blobs_import_file_free(file);
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
		blobs_import_file_free(file);
	}
	blobs_import_big_free(&import->big);
	blobs_walk_free(import->list.walk);
	blobs_import_collect_free(import->collect);
	store_batch_free(import->batch);
	free(import->list.resolved);
	free(import->root);
	free(import);
}

/* Their buffers are 2 MiB each: kept while there is work, not longer. */
static void blobs_readers_free(struct imports *imports)
{
	for (unsigned i = 0; imports->tasks && i < imports->task_cnt; i++) {
		blobs_import_reader_free(imports->tasks[i].reader);
		imports->tasks[i].reader = NULL;
	}
}

static void cancelled_end(struct timer *timer, uint64_t now_ns);

int blobs_imports_new(struct blobs *content, struct imports **out_imports)
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
		err = jobs_new_as(SANDBOX_IMPORT, thread_cnt, imports->task_cnt + 1,
				  &imports->pool);
	if (err < 0) {
		blobs_imports_free(imports);
		return err;
	}
	*out_imports = imports;
	return 0;
}

void blobs_imports_stop(struct imports *imports)
{
	if (!imports)
		return;
	imports->is_closing = true;
	timer_cancel(imports->content->params.timers, &imports->cancelled);
	for (struct import *import = imports->first; import; import = import->next) {
		import->progress = NULL;
		import->done = NULL;
	}
	/* Running jobs end; after this no job touches a file or a task. */
	jobs_free(imports->pool);
	imports->pool = NULL;
}

void blobs_imports_free(struct imports *imports)
{
	if (!imports)
		return;
	jobs_free(imports->pool);
	blobs_readers_free(imports);
	free(imports->tasks);
	while (imports->first) {
		struct import *import = imports->first;

		imports->first = import->next;
		import_free(import);
	}
	free(imports);
}

int blobs_imports_fd(const struct imports *imports)
{
	return jobs_fd(imports->pool);
}

bool blobs_imports_is_hashing(const struct imports *imports)
{
	return jobs_in_flight(imports->pool) > 0;
}

uint32_t blobs_imports_cnt(const struct imports *imports)
{
	return imports->cnt;
}

static void event_tell(const struct import *import, enum blobs_event_kind kind)
{
	blobs_tell(import->imports->content, &(struct blobs_event){.kind = kind,
								   .id = import->told.id,
								   .err = import->err,
								   .text = import->root,
								   .import = &import->told});
}

void blobs_import_tell(struct import *import)
{
	import->progress_ns = import->imports->now_ns;
	if (import->progress)
		import->progress(import->arg, &import->told);
	event_tell(import, BLOBS_IMPORT_PROGRESS);
}

void blobs_imports_reap(struct imports *imports, uint64_t now_ns)
{
	struct import *import;

	imports->now_ns = now_ns;
	(void)jobs_reap(imports->pool);
	import = imports->first;
	if (import && now_ns - import->progress_ns >= PROGRESS_STEP_NS)
		blobs_import_tell(import);
}

/* --- the end --- */

/* import is in no list any more. */
static void outcome_tell(struct import *import)
{
	import->imports->cnt--;
	event_tell(import, import->err == 0		    ? BLOBS_IMPORT_DONE
			   : import->err == WEFT_ECANCELLED ? BLOBS_IMPORT_CANCELLED
							    : BLOBS_IMPORT_FAILED);
	if (import->done)
		import->done(import->arg, import->err, &import->told, import->detail);
	import_free(import);
}

void blobs_import_end(struct import *import)
{
	struct imports *imports = import->imports;

	imports->first = import->next;
	outcome_tell(import);
	if (imports->first)
		blobs_import_pump(imports->first);
	else
		blobs_readers_free(imports);
}

static void cancelled_end(struct timer *timer, uint64_t now_ns)
{
	struct imports *imports = container_of(timer, struct imports, cancelled);
	struct import **link = &imports->first;

	imports->now_ns = now_ns;
	while (*link) {
		struct import *import = *link;

		if (import->phase != IMPORT_QUEUED || import->err == 0) {
			link = &import->next;
			continue;
		}
		*link = import->next;
		outcome_tell(import);
	}
}

static void share_stored(void *arg, int err)
{
	struct import *import = arg;

	import->is_storing = false;
	if (err < 0)
		blobs_import_fail(import, err, "cannot store the share: %s", weft_err_text(err));
	blobs_import_end(import);
}

/*
 * The same files under the same path keep their name. The time in the manifest is that of the
 * first share, if that makes it one that is here already.
 */
static const uint8_t *manifest_make(struct import *import, uint64_t *out_added_s, size_t *out_len)
{
	struct blobs *content = import->imports->content;
	const uint8_t *bytes;
	uint64_t added_s;

	if (blobs_shares_added_s(content, import->root, &added_s)) {
		bytes = blobs_import_collect_encode(import->collect, added_s, import->title,
						    out_len, import->told.manifest_id);
		*out_added_s = added_s;
		if (blobs_shares_has_manifest(content->shares, import->told.manifest_id))
			return bytes;
	}
	*out_added_s = blobs_wall_s(content);
	return blobs_import_collect_encode(import->collect, *out_added_s, import->title, out_len,
					   import->told.manifest_id);
}

/* unchanged_save: files were hashed, maybe, but the share is as it was. */
static void unchanged_save(struct import *import)
{
	int err = store_submit(import->imports->content->params.store, import->batch, share_stored,
			       import);

	if (err < 0) {
		blobs_import_fail(import, err, "cannot store what was hashed: %s",
				  weft_err_text(err));
		return;
	}
	import->batch = NULL;
	import->is_storing = true;
}

/* sealed_make: as import_seal.seal. */
static int sealed_make(struct import *import, struct share_ask *ask, const uint8_t **out_bytes,
		       size_t *out_len)
{
	struct import_sealed sealed = {
		.builder = blobs_import_collect_builder(import->collect),
		.shape = blobs_import_collect_shape(import->collect),
		.item_cnt = ask->item_cnt,
		.byte_cnt = ask->byte_cnt,
		.part_ids = ask->part_ids,
		.part_cnt = ask->part_cnt,
		.batch = import->batch,
	};
	int err = import->seal.seal(import->seal.ctx, &sealed);

	if (err != 0)
		return err;
	ask->replaced_id = sealed.replaced_id;
	ask->is_published = true;
	ask->added_s = blobs_wall_s(import->imports->content);
	*out_bytes = sealed.bytes;
	*out_len = sealed.len;
	blake3_hash(sealed.bytes, sealed.len, import->told.manifest_id);
	return 0;
}

void blobs_import_save(struct import *import)
{
	struct blobs *content = import->imports->content;
	struct share_ask ask = {.path = import->root, .title = import->title, .only = import->only};
	const uint8_t *bytes;
	size_t len;
	int err;

	err = blobs_import_collect_finish(import->collect, import->batch, &import->batch_len);
	if (err < 0) {
		blobs_import_fail(import, err, "too many files for one collection: %s",
				  weft_err_text(err));
		return;
	}
	ask.item_cnt = blobs_import_collect_item_cnt(import->collect);
	ask.byte_cnt = blobs_import_collect_byte_cnt(import->collect);
	ask.part_ids = blobs_import_collect_part_ids(import->collect, &ask.part_cnt);
	if (!import->seal.seal) {
		bytes = manifest_make(import, &ask.added_s, &len);
	} else if ((err = sealed_make(import, &ask, &bytes, &len)) != 0) {
		if (err < 0)
			blobs_import_fail(import, err, "cannot sign it: %s", weft_err_text(err));
		else
			unchanged_save(import);
		return;
	}
	store_batch_put_blob(import->batch, import->told.manifest_id, bytes, len);
	blobs_scope_put(import->batch, import->told.manifest_id, bytes, len);
	ask.manifest_id = import->told.manifest_id;
	err = blobs_shares_add(content, import->batch, &ask, share_stored, import);
	if (err < 0) {
		blobs_import_fail(import, err, "cannot store the share: %s", weft_err_text(err));
		return;
	}
	import->batch = NULL;
	import->is_storing = true;
}

/* --- asking --- */

bool blobs_import_path_is_shareable(const char *path)
{
	size_t len = strlen(path);

	return len == 1 ||
	       (len < OBJECT_PATH_LEN_MAX && blobs_manifest_path_is_safe(path + 1, len - 1));
}

static int ask_check(const struct imports *imports, const char *path, const char *title)
{
	const struct blobs *content = imports->content;

	if (path[0] != '/' || !blobs_import_path_is_shareable(path))
		return WEFT_EUNSAFE;
	if (title && !blobs_manifest_title_is_safe(title))
		return WEFT_EMALFORMED;
	if (content->is_sweeping)
		return WEFT_EBUSY;
	if (imports->cnt >= IMPORTS_MAX ||
	    blobs_shares_cnt(content->shares) >= content->params.config.share_cap)
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
	import->list.only = import->only;
	return import;
}

int blobs_share_add(struct blobs *content, const struct blobs_share_ask *ask, uint64_t now_ns,
		    uint64_t *out_import_id)
{
	return blobs_import_add(content, ask, NULL, now_ns, out_import_id);
}

int blobs_import_add(struct blobs *content, const struct blobs_share_ask *ask,
		     const struct import_seal *seal, uint64_t now_ns, uint64_t *out_import_id)
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
	err = blobs_only_is_sound(ask->only) ? ask_check(imports, root, ask->title) : WEFT_EUNSAFE;
	if (err < 0)
		return err;
	import = import_make(imports, root, ask->title);
	if (!import)
		return -ENOMEM;
	if (ask->only)
		memcpy(import->only, ask->only, strlen(ask->only) + 1);
	import->progress = ask->progress;
	import->done = ask->done;
	import->arg = ask->arg;
	if (seal)
		import->seal = *seal;
	import->told.id = ++imports->last_id;
	import->progress_ns = now_ns;
	imports->now_ns = now_ns;
	/* A step that can fail before the first job fails here: done never comes from inside. */
	err = imports->first ? 0 : blobs_import_begin(import);
	if (err < 0) {
		import_free(import);
		return err;
	}
	imports->cnt++;
	while (*link)
		link = &(*link)->next;
	*link = import;
	*out_import_id = import->told.id;
	if (imports->first == import)
		blobs_import_pump(import);
	return 0;
}

int blobs_import_cancel(struct blobs *content, uint64_t import_id)
{
	struct imports *imports = content->imports;
	struct import **link = &imports->first;
	struct import *import;

	while (*link && (*link)->told.id != import_id)
		link = &(*link)->next;
	import = *link;
	if (!import || import->err < 0 || import->phase == IMPORT_SAVING)
		return WEFT_EABSENT;
	blobs_import_fail(import, WEFT_ECANCELLED, "taken back");
	/* The one that runs ends with its last job. */
	if (import->phase == IMPORT_QUEUED)
		timer_set(content->params.timers, &imports->cancelled, imports->now_ns);
	return 0;
}
