/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are whole go to their places and into the store, with their
 * content ids and chunk lists, so that a later run need not hash them and
 * peers can be served from them.
 *
 * A filesystem may keep a file's name, size and times and lose its bytes
 * when power fails. So files wait, staged, for a sync of the whole
 * filesystem, in a job: one call for thousands of files, where fdatasync
 * would be one and more for each. The job renames them then (placing.c), and
 * their records are one batch. A get goes on meanwhile, and ends after the
 * last.
 *
 * What is recorded is given to others. So while somebody else gets the same
 * a batch waits no more than a second, or four times as long as the last sync
 * took where that is more: 512 files of 96 KiB left their source five times
 * for five getters without it, and 1.24 times with it (tests/sim, 2026-11).
 * When nobody does it waits five seconds: that long is a file whole and not
 * to be seen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "content/get/fetch.h"
#include "store/store.h"

/* As much as is hashed again in a second or two when it was not recorded in time. */
#define SYNC_RECORDS	   4096u
#define SYNC_LEN	   (1ull << 30)
#define SYNC_FOR_OTHERS_NS (NS_PER_S)
#define SYNC_FOR_USERS_NS  (5 * NS_PER_S)
#define SYNC_REST	   4u /* times what the last one took */

struct store_batch *fetch_batch(struct fetch *fetch)
{
	if (!fetch->batch)
		fetch->batch = store_batch_new(fetch->content->params.store);
	return fetch->batch;
}

static void batch_done(void *arg, int err)
{
	struct fetch *fetch = arg;

	fetch->out_cnt--;
	fetch_wake(fetch);
	if (err)
		fetch_stop(fetch, err, "cannot store what was fetched: %s", weft_err_text(err));
}

void fetch_records_free(struct fetch *fetch)
{
	store_batch_free(fetch->batch);
	store_batch_free(fetch->sync.batch);
	fetch->batch = fetch->sync.batch = NULL;
	placing_fini(&fetch->placing);
	placing_fini(&fetch->sync.placing);
	fetch->has_unsynced = false;
	fetch->sync.step = SYNC_NONE;
}

/* --- to the disk, to their places --- */

static void sync_run(struct job *job)
{
	struct fetch_sync *sync = (struct fetch_sync *)job;

	sync->err = placing_run(&sync->placing, &sync->fetch->target);
}

/* What is in its place is recorded, whatever became of others. */
static void placed_record(struct fetch *fetch)
{
	struct fetch_sync *sync = &fetch->sync;

	for (size_t i = 0; i < sync->placing.cnt; i++) {
		const struct placing_file *from = &sync->placing.files[i];
		struct object_file file = {.is_racy = from->is_racy,
					   .is_got = true,
					   .is_placed = !from->is_in_place || from->was_placed};

		if (!from->is_placed)
			continue;
		fetch->get->view.item_done_cnt++;
		/* A path too long to be recorded is not served. */
		if (from->is_changed ||
		    target_join(&fetch->target, placing_path(&sync->placing, from), from->path_len,
				file.path) < 0)
			continue;
		file.stamp = from->stamp;
		memcpy(file.content_id, from->content_id, OBJECT_ID_LEN);
		memcpy(file.got_id, fetch->get->manifest_id, OBJECT_ID_LEN);
		object_file_put(sync->batch, &file, NULL);
	}
}

static void sync_failed(struct fetch *fetch)
{
	const struct fetch_sync *sync = &fetch->sync;
	const struct placing *placing = &sync->placing;

	if (placing->is_sync_error) {
		fetch->must_clear = true;
		fetch_stop(fetch, sync->err, "%s: what was fetched does not get to the disk: %s",
			   fetch->get->target, weft_err_text(sync->err));
		fetch_records_free(fetch);
	} else {
		const struct placing_file *file = &placing->files[placing->failed_at];

		fetch_stop_at_path(fetch, placing_path(placing, file), file->path_len, sync->err);
	}
}

static void sync_done(struct job *job)
{
	struct fetch_sync *sync = (struct fetch_sync *)job;
	struct fetch *fetch = sync->fetch;

	sync->step = SYNC_DONE;
	(void)fetch_job_done(fetch);
	placed_record(fetch);
	fetch_intents_end(fetch, sync->batch);
	if (sync->err)
		sync_failed(fetch);
	placing_fini(&sync->placing);
}

static void sync_begin(struct fetch *fetch)
{
	struct fetch_sync *sync = &fetch->sync;

	sync->fetch = fetch;
	sync->began_ns = fetch->get->gets->now_ns;
	sync->batch = fetch_batch(fetch);
	sync->placing = fetch->placing;
	sync->step = !fetch->has_unsynced	       ? SYNC_DONE
		     : fetch_intents_are_wanted(fetch) ? SYNC_NOTING
						       : SYNC_WAITING;
	fetch->batch = NULL;
	fetch->placing = (struct placing){0};
	fetch->has_unsynced = false;
}

static void noted(void *arg, int err)
{
	struct fetch *fetch = arg;

	fetch->out_cnt--;
	fetch_wake(fetch);
	fetch->sync.step = err ? SYNC_DONE : SYNC_WAITING;
	if (err)
		fetch_stop(fetch, err, "cannot store what is to be placed: %s", weft_err_text(err));
}

static void sync_note(struct fetch *fetch)
{
	int err = fetch_intents_store(fetch, noted);

	if (err == WEFT_EFULL) {
		fetch->must_retry_soon = true;
	} else if (err) {
		fetch->sync.step = SYNC_DONE;
		fetch_stop(fetch, err, "cannot store what is to be placed: %s", weft_err_text(err));
	} else {
		fetch->out_cnt++;
		fetch->sync.step = SYNC_NOTING_OUT;
	}
}

static void sync_store(struct fetch *fetch)
{
	struct fetch_sync *sync = &fetch->sync;
	uint64_t now_ns = fetch->get->gets->now_ns, rest_ns = (now_ns - sync->began_ns) * SYNC_REST;
	int err = store_submit(fetch->content->params.store, sync->batch, batch_done, fetch);

	if (err == WEFT_EFULL) {
		fetch->must_retry_soon = true;
		return;
	}
	if (err) {
		store_batch_free(sync->batch);
		fetch_stop(fetch, err, "cannot store what was fetched: %s", weft_err_text(err));
	} else {
		fetch->out_cnt++;
	}
	sync->batch = NULL;
	sync->step = SYNC_NONE;
	sync->due_ns = now_ns + (rest_ns > SYNC_FOR_OTHERS_NS ? rest_ns : SYNC_FOR_OTHERS_NS);
}

uint64_t fetch_records_due(const struct fetch *fetch)
{
	uint64_t wait_ns = swarm_has_getters(fetch->swarm) ? 0 : SYNC_FOR_USERS_NS;

	if (fetch->placing.cnt == 0 || fetch->sync.step != SYNC_NONE)
		return 0;
	return fetch->sync.due_ns + wait_ns;
}

static bool sync_is_due(const struct fetch *fetch)
{
	if (fetch->placing.cnt >= SYNC_RECORDS || fetch->placing.byte_cnt >= SYNC_LEN)
		return true;
	return fetch->placing.cnt > 0 && fetch->get->gets->now_ns >= fetch_records_due(fetch);
}

void fetch_records_run(struct fetch *fetch, bool is_last)
{
	struct fetch_sync *sync = &fetch->sync;

	if (sync->step == SYNC_NONE &&
	    (is_last ? fetch_records_pending(fetch) : sync_is_due(fetch)))
		sync_begin(fetch);
	if (sync->step == SYNC_NOTING)
		sync_note(fetch);
	if (sync->step == SYNC_WAITING && fetch_submit(fetch, &sync->job, sync_run, sync_done))
		sync->step = SYNC_OUT;
	if (sync->step == SYNC_DONE)
		sync_store(fetch);
}

bool fetch_records_pending(const struct fetch *fetch)
{
	return fetch->batch || fetch->placing.cnt > 0 || fetch->has_unsynced ||
	       fetch->sync.step != SYNC_NONE;
}

static void record_hashes(struct fetch *fetch, const struct manifest_item *item,
			  const uint8_t *hashes)
{
	uint64_t cnt = manifest_chunk_cnt(item->size);
	uint8_t page_ids[(FETCH_CHUNKS_MAX / OBJECT_PAGE_HASHES) * OBJECT_ID_LEN];
	size_t page_cnt = 0;

	/* Found in its place, as one this long is not fetched; whoever shares it lists it. */
	if (cnt > FETCH_CHUNKS_MAX)
		return;
	for (uint64_t at = 0; at < cnt; at += OBJECT_PAGE_HASHES) {
		uint64_t part = cnt - at < OBJECT_PAGE_HASHES ? cnt - at : OBJECT_PAGE_HASHES;
		const uint8_t *page = hashes + at * OBJECT_ID_LEN;
		uint8_t *id = page_ids + page_cnt++ * OBJECT_ID_LEN;

		blake3_hash(page, (size_t)part * OBJECT_ID_LEN, id);
		store_batch_put_blob(fetch_batch(fetch), id, page, (size_t)part * OBJECT_ID_LEN);
	}
	object_pages_put(fetch_batch(fetch), item->content_id, page_ids, page_cnt);
}

static int item_add(struct fetch *fetch, uint32_t item, struct placing_file *file,
		    const uint8_t *hashes)
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);

	memcpy(file->content_id, entry->content_id, OBJECT_ID_LEN);
	fetch->has_unsynced = true;
	if (hashes)
		record_hashes(fetch, entry, hashes);
	if (placing_add(&fetch->placing, file, entry->path, entry->path_len) < 0) {
		fetch_stop_at(fetch, item, -ENOMEM);
		return -ENOMEM;
	}
	fetch_item_done(fetch, item);
	return 0;
}

void fetch_staged(struct fetch *fetch, uint32_t item, const struct object_stamp *stamp,
		  const char *staged, const uint8_t *hashes)
{
	const struct fetch_item *entry = &fetch->items[item];
	const struct manifest_item *told = fetch_manifest_item(fetch, item);
	struct placing_file file = {.stamp = *stamp,
				    .is_racy = fetch_settled_is_racy(told, stamp),
				    .may_replace = entry->has_replaced,
				    .replaced_inode = entry->replaced_inode,
				    .replaced_dev = entry->replaced_dev};

	snprintf(file.staged, sizeof(file.staged), "%s", staged);
	(void)item_add(fetch, item, &file, hashes);
}

void fetch_nameless(struct fetch *fetch, struct fetch_slot *slot)
{
	const struct manifest_item *told = fetch_manifest_item(fetch, slot->item);
	struct placing_file file = {.stamp = slot->stamp,
				    .is_racy = fetch_settled_is_racy(told, &slot->stamp),
				    .has_fd = true,
				    .fd = slot->fd};

	if (item_add(fetch, slot->item, &file, NULL) == 0)
		slot->has_fd = false;
}

void fetch_found(struct fetch *fetch, uint32_t item, const struct fetch_check *check,
		 bool is_settled_racy)
{
	bool is_racy = check->found == FOUND_SCANNED || is_settled_racy;
	struct placing_file file = {
		.stamp = check->stamp, .is_racy = is_racy, .was_placed = check->was_placed};
	const uint8_t *hashes = check->scan.hashes;

	(void)item_add(fetch, item, &file, hashes);
}

void fetch_item_done(struct fetch *fetch, uint32_t item)
{
	struct fetch_item *done = &fetch->items[item];
	uint32_t twin = done->next_twin;

	done->state = ITEM_DONE;
	fetch->done_cnt++;
	while (done->twin_of == FETCH_NONE && twin != FETCH_NONE) {
		uint32_t next = fetch->items[twin].next_twin;

		fetch->items[twin].next_twin = fetch->ready_twins;
		fetch->ready_twins = twin;
		twin = next;
	}
	done->next_twin = FETCH_NONE;
}
