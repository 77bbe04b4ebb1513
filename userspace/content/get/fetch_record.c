/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a get writes into the store as it goes: files in their place with
 * their content ids and chunk lists, so that a later run need not hash them
 * and peers can be served from them. Many records go into one batch.
 *
 * A filesystem may keep a file's size and times and lose its bytes when
 * power fails: a stamp that is right over zeros. So a batch waits for a
 * sync of the whole filesystem, in a job: one call for thousands of files
 * and their names, where fdatasync would be one and more for each. A get
 * goes on meanwhile, and ends after the last.
 *
 * What is recorded is given to others. So while somebody else gets the same
 * a batch waits no more than a second, or four times as long as the last sync
 * took where that is more: 512 files of 96 KiB left their source five times
 * for five getters without it, and 1.24 times with it (tests/sim, 2026-11).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/get/fetch.h"
#include "store/store.h"

/* As much as is hashed again in a second or two when it was not recorded in time. */
#define SYNC_RECORDS	   4096u
#define SYNC_LEN	   (1ull << 30)
#define SYNC_FOR_OTHERS_NS (NS_PER_S)
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
	fetch->batch_cnt = 0;
	fetch->batch_len = 0;
	fetch->has_unsynced = false;
	fetch->sync.step = SYNC_NONE;
}

static void sync_run(struct job *job)
{
	struct fetch_sync *sync = (struct fetch_sync *)job;

	sync->err = syncfs(sync->fetch->target.fd) < 0 ? -errno : 0;
}

/* The kernel tells a failure once: what it may concern is not recorded by a later sync. */
static void sync_done(struct job *job)
{
	struct fetch_sync *sync = (struct fetch_sync *)job;
	struct fetch *fetch = sync->fetch;

	sync->step = SYNC_DONE;
	(void)fetch_job_done(fetch);
	if (!sync->err)
		return;
	fetch_records_free(fetch);
	fetch_stop(fetch, sync->err, "%s: what was fetched does not get to the disk: %s",
		   fetch->get->target, weft_err_text(sync->err));
}

static void sync_begin(struct fetch *fetch)
{
	struct fetch_sync *sync = &fetch->sync;

	sync->fetch = fetch;
	sync->began_ns = fetch->get->gets->now_ns;
	sync->batch = fetch_batch(fetch);
	sync->step = fetch->has_unsynced ? SYNC_WAITING : SYNC_DONE;
	fetch->batch = NULL;
	fetch->batch_cnt = 0;
	fetch->batch_len = 0;
	fetch->has_unsynced = false;
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

static bool sync_is_due(const struct fetch *fetch)
{
	if (fetch->batch_cnt >= SYNC_RECORDS || fetch->batch_len >= SYNC_LEN)
		return true;
	return fetch->batch_cnt > 0 && fetch->get->gets->now_ns >= fetch->sync.due_ns &&
	       swarm_has_getters(fetch->swarm);
}

void fetch_records_run(struct fetch *fetch, bool is_last)
{
	struct fetch_sync *sync = &fetch->sync;

	if (sync->step == SYNC_NONE &&
	    (is_last ? fetch_records_pending(fetch) : sync_is_due(fetch)))
		sync_begin(fetch);
	if (sync->step == SYNC_WAITING && fetch_submit(fetch, &sync->job, sync_run, sync_done))
		sync->step = SYNC_OUT;
	if (sync->step == SYNC_DONE)
		sync_store(fetch);
}

bool fetch_records_pending(const struct fetch *fetch)
{
	return fetch->batch || fetch->has_unsynced || fetch->sync.step != SYNC_NONE;
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

void fetch_record(struct fetch *fetch, uint32_t item, const struct object_stamp *stamp,
		  bool is_racy, const uint8_t *hashes)
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);
	struct object_file file = {.stamp = *stamp, .is_racy = is_racy, .is_got = true};

	fetch->has_unsynced = true;
	if (target_join(&fetch->target, entry->path, entry->path_len, file.path) < 0)
		return; /* a path too long to be recorded is not served */
	memcpy(file.content_id, entry->content_id, OBJECT_ID_LEN);
	memcpy(file.got_id, fetch->get->manifest_id, OBJECT_ID_LEN);
	if (hashes)
		record_hashes(fetch, entry, hashes);
	object_file_put(fetch_batch(fetch), &file, NULL);
	fetch->batch_cnt++;
	fetch->batch_len += entry->size;
}

void fetch_item_done(struct fetch *fetch, uint32_t item)
{
	struct fetch_item *done = &fetch->items[item];
	uint32_t twin = done->next_twin;

	done->state = ITEM_DONE;
	fetch->done_cnt++;
	fetch->get->view.item_done_cnt++;
	while (done->twin_of == FETCH_NONE && twin != FETCH_NONE) {
		uint32_t next = fetch->items[twin].next_twin;

		fetch->items[twin].next_twin = fetch->ready_twins;
		fetch->ready_twins = twin;
		twin = next;
	}
	done->next_twin = FETCH_NONE;
}
