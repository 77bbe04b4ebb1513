/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what an answer consists of: on the worker when no disk must be
 * waited for, else in a job.
 */
#include <errno.h>
#include <string.h>

#include "blobs/manifest/manifest.h"
#include "in_progress.h"
#include "serve_call.h"
#include "crypto/blake3/blake3.h"
#include "mesh/seam.h"
#include "store/store.h"

static int manifest_read(struct serve_call *call)
{
	struct store_snapshot *snapshot;
	int64_t len;
	int err = store_snapshot_open(call->store, &snapshot);

	if (err)
		return err;
	len = store_blob_len(snapshot, call->request.id);
	store_snapshot_close(snapshot);
	if (len < 0 || (uint64_t)len > call->buffer_cap)
		return len < 0 ? (int)len : WEFT_EDAMAGED;
	call->answer.len = (size_t)len;
	return store_blob_read(call->store, call->request.id, 0, call->buffer, (size_t)len);
}

/* A file written shortly before it was hashed proves itself by its bytes. */
static int chunk_verify(const struct serve_call *call)
{
	const struct object_file *object = &call->file->object;
	bool is_whole = object->stamp.size <= BLAKE3_CHUNK_LEN;
	uint8_t want[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];
	int err = 0;

	if (is_whole)
		memcpy(want, object->content_id, sizeof(want));
	else
		err = blobs_object_hashes_read(
			call->store,
			&(struct object_hashes){.content_id = object->content_id,
						.size = object->stamp.size,
						.first = call->request.first,
						.cnt = 1},
			want);
	if (err)
		return err;
	blake3_subtree(call->buffer, call->answer.len,
		       call->request.first * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN), is_whole, got);
	return memcmp(got, want, sizeof(got)) == 0 ? 0 : WEFT_ECHANGED;
}

static int file_read(struct serve_call *call, uint64_t off, void *dst, size_t len, bool is_waiting)
{
	if (call->fd < 0)
		call->fd = blobs_serve_file_open(&call->file->object, is_waiting);
	if (call->fd < 0)
		return call->fd;
	return blobs_serve_file_read(call->fd, &call->file->object,
				     &(struct serve_part){off, dst, len}, is_waiting);
}

int blobs_serve_call_read(struct serve_call *call, uint64_t off, void *dst, size_t len)
{
	return file_read(call, off, dst, len, true);
}

int blobs_serve_call_recheck(const struct serve_call *call)
{
	if (call->partial)
		return 0;
	/* Not open: what stands at its path now may be another file. */
	if (call->fd < 0)
		return -EAGAIN;
	return blobs_serve_file_read(call->fd, &call->file->object,
				     &(struct serve_part){0, NULL, 0}, false);
}

/* The chunks that an in-progress file says it has were verified before they were written. */
static int in_progress_file_chunk_read(struct serve_call *call, bool is_waiting)
{
	const struct in_progress_file *partial = call->partial;
	uint64_t off = call->request.first * BLAKE3_CHUNK_LEN;
	uint64_t left = partial->size - off;

	call->answer.len = left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
	return blobs_in_progress_file_read(partial, off, call->buffer, call->answer.len,
					   is_waiting);
}

/* Before its own chunk is waited for. */
static void chunks_read_ahead(const struct serve_call *call, uint64_t end)
{
	uint64_t size = call->file->object.stamp.size;
	uint64_t len = (uint64_t)call->ahead_cnt * BLAKE3_CHUNK_LEN;

	if (call->fd >= 0 && len && end < size)
		blobs_serve_file_read_ahead(call->fd, end, len < size - end ? len : size - end);
}

static int chunk_read(struct serve_call *call, bool is_waiting)
{
	const struct object_file *object = &call->file->object;
	uint64_t off = call->request.first * BLAKE3_CHUNK_LEN;
	uint64_t left;
	int err;

	if (call->request.first >= blobs_manifest_chunk_cnt(object->stamp.size))
		return WEFT_EABSENT;
	if (call->is_racy && !is_waiting)
		return -EAGAIN;
	left = object->stamp.size - off;
	call->answer.len = left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
	if (is_waiting)
		chunks_read_ahead(call, off + call->answer.len);
	err = file_read(call, off, call->buffer, call->answer.len, is_waiting);
	return err || !call->is_racy ? err : chunk_verify(call);
}

/* hashes_cut: how many of a list of total are answered; 0: none of those that were asked for. */
static uint64_t hashes_cut(struct serve_call *call, uint64_t total)
{
	uint64_t first = call->request.first, cnt = call->request.cnt;

	if (first >= total)
		return 0;
	cnt = cnt < MESSAGE_HASHES_MAX ? cnt : MESSAGE_HASHES_MAX;
	cnt = cnt < total - first ? cnt : total - first;
	call->answer.total = total;
	call->answer.len = (size_t)cnt * BLAKE3_HASH_LEN;
	return cnt;
}

static int in_progress_file_hashes_read(struct serve_call *call)
{
	const struct in_progress_file *partial = call->partial;

	if (hashes_cut(call, partial->chunk_cnt) == 0)
		return WEFT_EABSENT;
	memcpy(call->buffer, partial->hashes + call->request.first * BLAKE3_HASH_LEN,
	       call->answer.len);
	return 0;
}

static int hashes_read(struct serve_call *call)
{
	uint64_t total = blobs_manifest_chunk_cnt(call->file->object.stamp.size);
	uint64_t cnt = hashes_cut(call, total);

	if (cnt == 0)
		return WEFT_EABSENT;
	if (total == 1) {
		memcpy(call->buffer, call->request.id, BLAKE3_HASH_LEN);
		return 0;
	}
	return blobs_object_hashes_read(
		call->store,
		&(struct object_hashes){.content_id = call->request.id,
					.size = call->file->object.stamp.size,
					.first = call->request.first,
					.cnt = (size_t)cnt},
		call->buffer);
}

/* An in-progress file's chunk list is the get's, and that lives on the worker. */
static int in_progress_file_work(struct serve_call *call, bool is_waiting)
{
	return call->type == MESH_GET_CHUNK ? in_progress_file_chunk_read(call, is_waiting)
					    : in_progress_file_hashes_read(call);
}

int blobs_serve_call_work(struct serve_call *call, bool is_waiting)
{
	call->answer = (struct message_answer){.first = call->request.first};
	memcpy(call->answer.id, call->request.id, sizeof(call->answer.id));
	if (call->partial)
		return in_progress_file_work(call, is_waiting);
	if (call->type == MESH_GET_CHUNK)
		return chunk_read(call, is_waiting);
	if (!is_waiting)
		return -EAGAIN;
	if (call->type == MESH_GET_MANIFEST)
		return manifest_read(call);
	if (call->type == MESH_GET_CHUNK_HASHES)
		return hashes_read(call);
	return blobs_serve_proof_run(call);
}
