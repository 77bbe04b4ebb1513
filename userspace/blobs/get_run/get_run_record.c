/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are whole go to their places and into the store, with their content ids and chunk
 * lists. So a later run need not hash them, and peers can be served from them.
 *
 * A filesystem may keep a file's name, size and times and lose its bytes when power fails. So
 * files wait, staged, for a sync of the whole filesystem, in a job. That is one call for
 * thousands of files, where fdatasync would be one and more for each. The job renames them then
 * (placing.c), and their records are one batch. A get goes on meanwhile, and ends after the
 * last.
 *
 * Recorded files are served to others. While another node gets the same files, a batch waits at
 * most a second. Where that is more, it waits four times as long as the last sync took. 512
 * files of 96 KiB left their source five times for five getters without this rule, and 1.24
 * times with it (tests/sim, 2026-11). Without such a node a batch waits five seconds: for so
 * long a whole file is not to be seen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "get_run.h"
#include "store/store.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

/* As much as is hashed again in a second or two when it was not recorded in time. */
#define SYNC_RECORDS	   4096u
#define SYNC_LEN	   (1ull << 30)
#define SYNC_FOR_OTHERS_NS (NS_PER_S)
#define SYNC_FOR_USERS_NS  (5 * NS_PER_S)
#define SYNC_REST	   4u /* times what the last one took */

struct store_batch *blobs_get_run_batch(struct get_run *get_run)
{
	if (!get_run->records.batch)
		get_run->records.batch = store_batch_new(get_run->content->params.store);
	return get_run->records.batch;
}

static void batch_done(void *arg, int err)
{
	struct get_run *get_run = arg;

	get_run->out_cnt--;
	blobs_get_run_wake(get_run);
	if (err)
		blobs_get_run_stop(get_run, err, "cannot store what was received: %s",
				   weft_err_text(err));
}

void blobs_get_run_records_free(struct get_run *get_run)
{
	store_batch_free(get_run->records.batch);
	store_batch_free(get_run->records.sync.batch);
	get_run->records.batch = get_run->records.sync.batch = NULL;
	blobs_placing_fini(&get_run->records.placing);
	blobs_placing_fini(&get_run->records.sync.placing);
	get_run->records.has_unsynced = false;
	get_run->records.sync.step = SYNC_NONE;
}

/* --- to the disk, to their places --- */

static void sync_run(struct job *job)
{
	struct get_run_sync *sync = (struct get_run_sync *)job;

	sync->err = blobs_placing_run(&sync->placing, &sync->get_run->target);
}

/* A file in its place is recorded, whatever became of others. */
static void placed_record(struct get_run *get_run)
{
	struct get_run_sync *sync = &get_run->records.sync;

	for (size_t i = 0; i < sync->placing.cnt; i++) {
		const struct placing_file *from = &sync->placing.files[i];
		struct object_file file = {.is_racy = from->is_racy,
					   .is_got = true,
					   .is_placed = !from->is_in_place || from->was_placed};

		if (!from->is_placed)
			continue;
		get_run->get->view.item_done_cnt++;
		/* A path too long to be recorded is not served. */
		if (from->is_changed ||
		    blobs_target_join(&get_run->target, blobs_placing_path(&sync->placing, from),
				      from->path_len, file.path) < 0)
			continue;
		file.stamp = from->stamp;
		memcpy(file.content_id, from->content_id, OBJECT_ID_LEN);
		memcpy(file.got_id, get_run->get->asked.manifest_id, OBJECT_ID_LEN);
		blobs_object_file_put(sync->batch, &file, NULL);
	}
}

static void sync_failed(struct get_run *get_run)
{
	const struct get_run_sync *sync = &get_run->records.sync;
	const struct placing *placing = &sync->placing;

	if (placing->is_sync_error) {
		get_run->records.must_clear = true;
		blobs_get_run_stop(get_run, sync->err,
				   "%s: what was received does not get to the disk: %s",
				   get_run->get->asked.target, weft_err_text(sync->err));
		blobs_get_run_records_free(get_run);
	} else {
		const struct placing_file *file = &placing->files[placing->failed_at];

		blobs_get_run_stop_at_path(get_run, blobs_placing_path(placing, file),
					   file->path_len, sync->err);
	}
}

static void sync_done(struct job *job)
{
	struct get_run_sync *sync = (struct get_run_sync *)job;
	struct get_run *get_run = sync->get_run;

	sync->step = SYNC_DONE;
	(void)blobs_get_run_job_done(get_run);
	placed_record(get_run);
	blobs_get_run_intents_end(get_run, sync->batch);
	if (sync->err)
		sync_failed(get_run);
	blobs_placing_fini(&sync->placing);
}

static void sync_begin(struct get_run *get_run)
{
	struct get_run_sync *sync = &get_run->records.sync;

	sync->get_run = get_run;
	sync->began_ns = get_run->get->gets->now_ns;
	sync->batch = blobs_get_run_batch(get_run);
	sync->placing = get_run->records.placing;
	sync->step = !get_run->records.has_unsynced		 ? SYNC_DONE
		     : blobs_get_run_intents_are_wanted(get_run) ? SYNC_NOTING
								 : SYNC_WAITING;
	get_run->records.batch = NULL;
	get_run->records.placing = (struct placing){0};
	get_run->records.has_unsynced = false;
}

static void noted(void *arg, int err)
{
	struct get_run *get_run = arg;

	get_run->out_cnt--;
	blobs_get_run_wake(get_run);
	get_run->records.sync.step = err ? SYNC_DONE : SYNC_WAITING;
	if (err)
		blobs_get_run_stop(get_run, err, "cannot store what is to be placed: %s",
				   weft_err_text(err));
}

static void sync_note(struct get_run *get_run)
{
	int err = blobs_get_run_intents_store(get_run, noted);

	if (err == WEFT_EFULL) {
		get_run->must_retry_soon = true;
	} else if (err) {
		get_run->records.sync.step = SYNC_DONE;
		blobs_get_run_stop(get_run, err, "cannot store what is to be placed: %s",
				   weft_err_text(err));
	} else {
		get_run->out_cnt++;
		get_run->records.sync.step = SYNC_NOTING_OUT;
	}
}

static void sync_store(struct get_run *get_run)
{
	struct get_run_sync *sync = &get_run->records.sync;
	uint64_t now_ns = get_run->get->gets->now_ns,
		 rest_ns = (now_ns - sync->began_ns) * SYNC_REST;
	int err = store_submit(get_run->content->params.store, sync->batch, batch_done, get_run);

	if (err == WEFT_EFULL) {
		get_run->must_retry_soon = true;
		return;
	}
	if (err) {
		store_batch_free(sync->batch);
		blobs_get_run_stop(get_run, err, "cannot store what was received: %s",
				   weft_err_text(err));
	} else {
		get_run->out_cnt++;
	}
	sync->batch = NULL;
	sync->step = SYNC_NONE;
	sync->due_ns = now_ns + (rest_ns > SYNC_FOR_OTHERS_NS ? rest_ns : SYNC_FOR_OTHERS_NS);
}

uint64_t blobs_get_run_records_due(const struct get_run *get_run)
{
	uint64_t wait_ns = blobs_swarm_has_getters(get_run->swarm) ? 0 : SYNC_FOR_USERS_NS;

	if (get_run->records.placing.cnt == 0 || get_run->records.sync.step != SYNC_NONE)
		return 0;
	return get_run->records.sync.due_ns + wait_ns;
}

static bool sync_is_due(const struct get_run *get_run)
{
	if (get_run->records.placing.cnt >= SYNC_RECORDS ||
	    get_run->records.placing.byte_cnt >= SYNC_LEN)
		return true;
	return get_run->records.placing.cnt > 0 &&
	       get_run->get->gets->now_ns >= blobs_get_run_records_due(get_run);
}

void blobs_get_run_records_run(struct get_run *get_run, bool is_last)
{
	struct get_run_sync *sync = &get_run->records.sync;

	if (sync->step == SYNC_NONE &&
	    (is_last ? blobs_get_run_records_pending(get_run) : sync_is_due(get_run)))
		sync_begin(get_run);
	if (sync->step == SYNC_NOTING)
		sync_note(get_run);
	if (sync->step == SYNC_WAITING &&
	    blobs_get_run_submit(get_run, &sync->job, sync_run, sync_done))
		sync->step = SYNC_OUT;
	if (sync->step == SYNC_DONE)
		sync_store(get_run);
}

bool blobs_get_run_records_pending(const struct get_run *get_run)
{
	return get_run->records.batch || get_run->records.placing.cnt > 0 ||
	       get_run->records.has_unsynced || get_run->records.sync.step != SYNC_NONE;
}

static void record_hashes(struct get_run *get_run, const struct manifest_item *item,
			  const uint8_t *hashes)
{
	uint64_t cnt = blobs_manifest_chunk_cnt(item->size);
	uint8_t page_ids[(GET_RUN_CHUNKS_MAX / OBJECT_PAGE_HASHES) * OBJECT_ID_LEN];
	size_t page_cnt = 0;

	/* Found in its place, as one this long is not fetched; the share lists it. */
	if (cnt > GET_RUN_CHUNKS_MAX)
		return;
	for (uint64_t at = 0; at < cnt; at += OBJECT_PAGE_HASHES) {
		uint64_t part = cnt - at < OBJECT_PAGE_HASHES ? cnt - at : OBJECT_PAGE_HASHES;
		const uint8_t *page = hashes + at * OBJECT_ID_LEN;
		uint8_t *id = page_ids + page_cnt++ * OBJECT_ID_LEN;

		blake3_hash(page, (size_t)part * OBJECT_ID_LEN, id);
		store_batch_put_blob(blobs_get_run_batch(get_run), id, page,
				     (size_t)part * OBJECT_ID_LEN);
	}
	blobs_object_pages_put(blobs_get_run_batch(get_run), item->content_id, page_ids, page_cnt);
}

static int item_add(struct get_run *get_run, uint32_t item, struct placing_file *file,
		    const uint8_t *hashes)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, item);

	memcpy(file->content_id, entry->content_id, OBJECT_ID_LEN);
	get_run->records.has_unsynced = true;
	if (hashes)
		record_hashes(get_run, entry, hashes);
	if (blobs_placing_add(&get_run->records.placing, file, entry->path, entry->path_len) < 0) {
		blobs_get_run_stop_at(get_run, item, -ENOMEM);
		return -ENOMEM;
	}
	blobs_get_run_item_done(get_run, item);
	return 0;
}

void blobs_get_run_staged(struct get_run *get_run, uint32_t item, const struct object_stamp *stamp,
			  const char *staged, const uint8_t *hashes)
{
	const struct get_run_item *entry = &get_run->items.all[item];
	const struct manifest_item *told = blobs_get_run_manifest_item(get_run, item);
	struct placing_file file = {.stamp = *stamp,
				    .is_racy = blobs_get_run_settled_is_racy(told, stamp),
				    .may_replace = entry->has_replaced,
				    .replaced_inode = entry->replaced_inode,
				    .replaced_dev = entry->replaced_dev};

	snprintf(file.staged, sizeof(file.staged), "%s", staged);
	(void)item_add(get_run, item, &file, hashes);
}

void blobs_get_run_nameless(struct get_run *get_run, struct get_run_slot *slot)
{
	const struct manifest_item *told = blobs_get_run_manifest_item(get_run, slot->item);
	struct placing_file file = {.stamp = slot->stamp,
				    .is_racy = blobs_get_run_settled_is_racy(told, &slot->stamp),
				    .has_fd = true,
				    .fd = slot->fd};

	if (item_add(get_run, slot->item, &file, NULL) == 0)
		slot->has_fd = false;
}

void blobs_get_run_found(struct get_run *get_run, uint32_t item, const struct get_run_check *check,
			 bool is_settled_racy)
{
	bool is_racy = check->found == FOUND_SCANNED || is_settled_racy;
	struct placing_file file = {
		.stamp = check->stamp, .is_racy = is_racy, .was_placed = check->was_placed};
	const uint8_t *hashes = check->scan.hashes;

	(void)item_add(get_run, item, &file, hashes);
}

void blobs_get_run_item_done(struct get_run *get_run, uint32_t item)
{
	struct get_run_item *done = &get_run->items.all[item];
	uint32_t twin = done->next_twin;

	done->state = ITEM_DONE;
	get_run->items.done_cnt++;
	while (done->twin_of == GET_RUN_NONE && twin != GET_RUN_NONE) {
		uint32_t next = get_run->items.all[twin].next_twin;

		get_run->items.all[twin].next_twin = get_run->items.ready_duplicates;
		get_run->items.ready_duplicates = twin;
		twin = next;
	}
	done->next_twin = GET_RUN_NONE;
}
