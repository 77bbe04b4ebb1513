/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a get writes into the store as it goes: files in their place with
 * their content ids and chunk lists, so that a later run need not hash them
 * and peers can be served from them. Many records go into one batch.
 */
#include <string.h>

#include "content/fetch.h"
#include "store/store.h"

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

void fetch_batch_submit(struct fetch *fetch)
{
	int err;

	if (!fetch->batch)
		return;
	err = store_submit(fetch->content->params.store, fetch->batch, batch_done, fetch);
	if (err == WEFT_EFULL) {
		fetch->must_retry_soon = true;
		return;
	}
	if (err) {
		store_batch_free(fetch->batch);
		fetch_stop(fetch, err, "cannot store what was fetched: %s", weft_err_text(err));
	} else {
		fetch->out_cnt++;
	}
	fetch->batch = NULL;
	fetch->batch_cnt = 0;
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

	if (target_join(&fetch->target, entry->path, entry->path_len, file.path) < 0)
		return; /* a path too long to be recorded is not served */
	memcpy(file.content_id, entry->content_id, OBJECT_ID_LEN);
	memcpy(file.got_id, fetch->get->link.manifest_id, OBJECT_ID_LEN);
	if (hashes)
		record_hashes(fetch, entry, hashes);
	object_file_put(fetch_batch(fetch), &file, NULL);
	fetch->batch_cnt++;
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
