/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of more than one chunk while it is fetched: its chunk list, which
 * must lead to its content id; the staged file, whose chunks of an earlier
 * run are hashed before they count; its chunks; its place. The staged file
 * is named by the content id and sparse, so what is in it after a crash is
 * found by its data extents and its hashes alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/get/fetch.h"

#define CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)
/* Of a file of 8 GiB: what is larger is rare, and its list is given back. */
#define KEPT_CHUNKS OBJECT_PAGE_HASHES

static struct fetch_file *file_unused(struct fetch *fetch)
{
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++)
		if (fetch->files[i].step == FILE_UNUSED)
			return &fetch->files[i];
	return NULL;
}

static const uint8_t *file_content_id(const struct fetch_file *file)
{
	return fetch_manifest_item(file->fetch, file->item)->content_id;
}

size_t fetch_file_chunk_len(const struct fetch_file *file, uint64_t idx)
{
	uint64_t left = file->size - idx * BLAKE3_CHUNK_LEN;

	return left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
}

static struct partials *file_partials(const struct fetch_file *file)
{
	return serve_partials(file->fetch->content->serve);
}

/* From now on others may have what is there; what an earlier run left at once. */
static void file_serve(struct fetch_file *file)
{
	file->partial = partials_add(file_partials(file), file_content_id(file), file->size,
				     file->fd, file->hashes);
	for (uint64_t i = 0; file->partial && i < file->chunk_cnt; i++)
		if (file->chunks[i] == CHUNK_HAVE)
			partial_note(file_partials(file), file->partial, i);
}

static void chunks_free(struct fetch_file *file)
{
	free(file->hashes);
	free(file->chunks);
	file->hashes = file->chunks = NULL;
	file->chunk_cap = 0;
}

static int chunks_lay_out(struct fetch_file *file, uint64_t cnt)
{
	if (cnt > file->chunk_cap) {
		chunks_free(file);
		file->hashes = malloc((size_t)cnt * BLAKE3_HASH_LEN);
		file->chunks = malloc((size_t)cnt);
		if (!file->hashes || !file->chunks) {
			chunks_free(file);
			return -ENOMEM;
		}
		file->chunk_cap = cnt;
	}
	memset(file->chunks, CHUNK_MISSING, (size_t)cnt);
	return 0;
}

void fetch_file_end(struct fetch_file *file)
{
	struct fetch_file kept = {.fd = -1};

	if (file->partial)
		partials_drop(file_partials(file), file->partial);
	if (file->fd >= 0)
		close(file->fd);
	if (file->step != FILE_UNUSED)
		target_dir_fini(&file->dir);
	if (file->chunk_cap > KEPT_CHUNKS)
		chunks_free(file);
	kept.hashes = file->hashes;
	kept.chunks = file->chunks;
	kept.chunk_cap = file->chunk_cap;
	*file = kept;
}

void fetch_file_fini(struct fetch_file *file)
{
	fetch_file_end(file);
	chunks_free(file);
}

int fetch_file_start(struct fetch *fetch, uint32_t item)
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);
	uint64_t chunk_cnt = manifest_chunk_cnt(entry->size);
	struct fetch_file *file = file_unused(fetch);

	if (!file)
		return WEFT_EFULL;
	if (chunk_cnt > FETCH_CHUNKS_MAX) {
		fetch_stop_at(fetch, item, WEFT_ETOOLARGE);
		return WEFT_ETOOLARGE;
	}
	if (chunks_lay_out(file, chunk_cnt) < 0) {
		fetch_stop_at(fetch, item, -ENOMEM);
		return -ENOMEM;
	}
	file->fetch = fetch;
	file->step = FILE_LIST;
	file->item = item;
	file->size = entry->size;
	file->chunk_cnt = chunk_cnt;
	fetch_name(entry->content_id, file->name);
	target_dir_init(&file->dir);
	fetch->items[item].state = ITEM_LARGE;
	return 0;
}

void fetch_file_list_arrived(struct fetch_file *file, const struct message_answer *answer)
{
	uint64_t cnt = answer->len / BLAKE3_HASH_LEN;

	file->list_is_asked = false;
	if (cnt == 0 || answer->len % BLAKE3_HASH_LEN || cnt > file->chunk_cnt - file->hash_cnt) {
		fetch_peer_bad(file->fetch);
		return;
	}
	memcpy(file->hashes + file->hash_cnt * BLAKE3_HASH_LEN, answer->bytes, answer->len);
	file->hash_cnt += cnt;
	if (file->hash_cnt == file->chunk_cnt)
		file->step = FILE_FOLDING;
}

/* --- does the list lead to the content id --- */

static void fold_run(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;
	uint8_t root[BLAKE3_HASH_LEN];

	blake3_cvs_combine(file->hashes, (size_t)file->chunk_cnt, true, root);
	file->err = memcmp(root, file_content_id(file), sizeof(root)) ? WEFT_EDAMAGED : 0;
}

static bool file_job_done(struct fetch_file *file)
{
	file->job_is_out = false;
	return fetch_job_done(file->fetch);
}

static void fold_done(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;

	if (!file_job_done(file))
		return;
	if (!file->err) {
		file->step = FILE_OPENING;
		return;
	}
	file->hash_cnt = 0;
	file->step = FILE_LIST;
	fetch_peer_bad(file->fetch);
}

/* --- what an earlier run left --- */

static int staged_open(struct fetch_file *file)
{
	struct stat st;

	file->fd = target_stage_open(&file->fetch->target, file->name, &file->is_scanned);
	if (file->fd < 0)
		return file->fd;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != file->size && ftruncate(file->fd, (off_t)file->size) < 0)
		return -errno;
	return 0;
}

/* Moves scan_idx over chunks that are holes as a whole. */
static void staged_skip_hole(struct fetch_file *file)
{
	off_t at = lseek(file->fd, (off_t)(file->scan_idx * BLAKE3_CHUNK_LEN), SEEK_DATA);

	if (at < 0 && errno == ENXIO)
		file->scan_idx = file->chunk_cnt;
	else if (at >= 0 && (uint64_t)at / BLAKE3_CHUNK_LEN > file->scan_idx)
		file->scan_idx = (uint64_t)at / BLAKE3_CHUNK_LEN;
}

static int staged_scan(struct fetch_file *file, uint8_t *buffer)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	uint64_t read_len = 0;

	for (staged_skip_hole(file); file->scan_idx < file->chunk_cnt && read_len < FETCH_JOB_LEN;
	     staged_skip_hole(file)) {
		uint64_t idx = file->scan_idx++;
		size_t len = fetch_file_chunk_len(file, idx);
		int err = scan_read(file->fd, idx * BLAKE3_CHUNK_LEN, buffer, len);

		if (err)
			return err;
		read_len += len;
		blake3_subtree(buffer, len, idx * CHUNK_LEAVES, false, hash);
		if (memcmp(hash, file->hashes + idx * BLAKE3_HASH_LEN, sizeof(hash)) != 0)
			continue;
		file->chunks[idx] = CHUNK_HAVE;
		file->have_cnt++;
		file->found_len += len;
	}
	file->is_scanned = file->scan_idx >= file->chunk_cnt;
	return 0;
}

static void open_run(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;
	uint8_t *buffer;

	file->found_len = 0;
	file->err = file->fd < 0 ? staged_open(file) : 0;
	if (file->err || file->is_scanned)
		return;
	buffer = malloc(BLAKE3_CHUNK_LEN);
	file->err = buffer ? staged_scan(file, buffer) : -ENOMEM;
	free(buffer);
}

static void open_done(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;
	struct content_get *view = &file->fetch->get->view;

	if (!file_job_done(file))
		return;
	if (file->err) {
		fetch_stop_at(file->fetch, file->item, file->err);
		return;
	}
	view->byte_done_cnt += file->found_len;
	view->reused_byte_cnt += file->found_len;
	if (!file->is_scanned)
		return;
	file_serve(file);
	file->step = file->have_cnt == file->chunk_cnt ? FILE_PLACING : FILE_CHUNKS;
}

void fetch_file_chunk_done(struct fetch_file *file, uint64_t idx, size_t len)
{
	file->chunks[idx] = CHUNK_HAVE;
	file->have_cnt++;
	if (file->partial)
		partial_note(file_partials(file), file->partial, idx);
	file->fetch->get->view.byte_done_cnt += len;
	if (file->have_cnt == file->chunk_cnt)
		file->step = FILE_PLACING;
}

/* --- its place --- */

static void place_run(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;

	file->err = fetch_place(file->fetch, file->item, file->fd, file->name, &file->dir,
				&file->stamp);
}

static void place_done(struct job *job)
{
	struct fetch_file *file = (struct fetch_file *)job;
	struct fetch *fetch = file->fetch;
	uint32_t item = file->item;

	if (!file_job_done(file))
		return;
	if (file->err) {
		fetch_stop_at(fetch, item, file->err);
		return;
	}
	fetch_record(fetch, item, &file->stamp, false, file->hashes);
	fetch_file_end(file);
	fetch_item_done(fetch, item);
}

void fetch_file_run(struct fetch_file *file)
{
	struct fetch *fetch = file->fetch;

	if (file->job_is_out)
		return;
	switch (file->step) {
	case FILE_FOLDING:
		file->job_is_out = fetch_submit(fetch, &file->job, fold_run, fold_done);
		break;
	case FILE_OPENING:
		fetch->get->view.state = CONTENT_GET_VERIFYING;
		file->job_is_out = fetch_submit(fetch, &file->job, open_run, open_done);
		break;
	case FILE_PLACING:
		file->job_is_out = fetch_submit(fetch, &file->job, place_run, place_done);
		break;
	case FILE_UNUSED:
	case FILE_LIST:
	case FILE_CHUNKS:
		break;
	}
}
