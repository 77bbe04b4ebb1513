/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of many chunks: slices are hashed in any order and join the tree
 * in file order. One page of its chunk list is in memory; full pages go into
 * the batch.
 */
#include "import_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

int blobs_import_big_begin(struct import *import, struct import_file *file)
{
	struct import_big *big = &import->big;
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(file->stamp.size);
	size_t page_cnt = (size_t)((chunk_cnt + OBJECT_PAGE_HASHES - 1) / OBJECT_PAGE_HASHES);
	size_t fill_max = page_cnt > 1 ? OBJECT_PAGE_HASHES : (size_t)chunk_cnt;

	free(file->page_ids);
	file->page_ids = malloc(page_cnt * OBJECT_ID_LEN);
	file->page_cnt = 0;
	*big = (struct import_big){.page = malloc(fill_max * BLAKE3_HASH_LEN)};
	if (!file->page_ids || !big->page) {
		blobs_import_big_free(big);
		return -ENOMEM;
	}
	blake3_chunk_tree_init(&big->tree);
	file->state = IMPORT_FILE_HASHING;
	big->file = file;
	return 0;
}

void blobs_import_big_free(struct import_big *big)
{
	free(big->page);
	*big = (struct import_big){0};
}

bool blobs_import_big_slice(struct import *import, struct import_task *task)
{
	struct import_big *big = &import->big;
	uint64_t left;

	if (!big->file || big->err < 0)
		return false;
	left = big->file->stamp.size - big->given_len;
	if (left == 0)
		return false;
	task->big = big->file;
	task->off = big->given_len;
	task->len = left < IMPORT_SLICE_LEN ? left : IMPORT_SLICE_LEN;
	big->given_len += task->len;
	big->slice_cnt++;
	return true;
}

static void page_flush(struct import *import)
{
	struct import_big *big = &import->big;
	struct import_file *file = big->file;
	uint8_t *id = file->page_ids + file->page_cnt * OBJECT_ID_LEN;
	size_t len = (size_t)big->page_fill * BLAKE3_HASH_LEN;

	if (big->page_fill == 0)
		return;
	blake3_hash(big->page, len, id);
	store_batch_put_blob(import->batch, id, big->page, len);
	import->batch_len += len;
	file->page_cnt++;
	big->page_fill = 0;
}

static void slice_take(struct import *import, const struct import_task *task)
{
	struct import_big *big = &import->big;

	for (unsigned i = 0; i < task->cv_cnt; i++) {
		blake3_chunk_tree_push(&big->tree, task->cvs[i]);
		memcpy(big->page + (size_t)big->page_fill * BLAKE3_HASH_LEN, task->cvs[i],
		       BLAKE3_HASH_LEN);
		if (++big->page_fill == OBJECT_PAGE_HASHES)
			page_flush(import);
	}
	big->file->is_racy |= task->is_racy;
	big->done_len += task->len;
	import->told.byte_done_cnt += task->len;
}

static void slice_release(struct import_big *big, struct import_task *task)
{
	task->is_parked = false;
	task->big = NULL;
	big->slice_cnt--;
}

/* A file that changed is begun again once, as it is now. */
static void big_give_up(struct import *import)
{
	struct import_file *file = import->big.file;
	struct object_stamp seen = import->big.seen;
	int err = import->big.err;

	import->told.byte_done_cnt -= import->big.done_len;
	blobs_import_big_free(&import->big);
	if (err == WEFT_ECHANGED && !file->was_retried && seen.size > BLAKE3_CHUNK_LEN) {
		file->was_retried = true;
		file->stamp = seen;
		err = blobs_import_big_begin(import, file);
		if (err == 0)
			return;
	}
	file->err = err;
	file->state = IMPORT_FILE_DONE;
}

static void big_finish(struct import *import)
{
	struct import_big *big = &import->big;
	struct import_file *file = big->file;

	page_flush(import);
	blake3_chunk_tree_finish(&big->tree, file->content_id);
	file->state = IMPORT_FILE_DONE;
	blobs_import_big_free(big);
}

static struct import_task *task_due(struct import_big *big, struct import_task *tasks,
				    unsigned task_cnt)
{
	for (unsigned i = 0; i < task_cnt; i++)
		if (tasks[i].is_parked &&
		    (big->err < 0 || tasks[i].err < 0 || tasks[i].off == big->done_len))
			return &tasks[i];
	return NULL;
}

void blobs_import_big_advance(struct import *import, struct import_task *tasks, unsigned task_cnt)
{
	struct import_big *big = &import->big;
	struct import_task *task;

	if (!big->file)
		return;
	while ((task = task_due(big, tasks, task_cnt))) {
		if (task->err < 0 && big->err == 0) {
			big->err = task->err;
			big->seen = task->stamp;
		}
		if (big->err == 0)
			slice_take(import, task);
		slice_release(big, task);
	}
	if (big->err < 0 && big->slice_cnt == 0)
		big_give_up(import);
	else if (big->err == 0 && big->done_len == big->file->stamp.size)
		big_finish(import);
}
