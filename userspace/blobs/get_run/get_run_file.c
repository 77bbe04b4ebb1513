/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of more than one chunk while it is fetched. It has three parts: its chunk list, which
 * must lead to its content id; the staged file; its chunks. Chunks that an earlier run staged
 * are hashed before they count. The staged file is sparse. So its content after a crash is found
 * by its data extents and its hashes alone. Chunks of zeros stay holes, and most are never asked
 * for (zeros.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "get_run.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

#define CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)
/* The list of a file of 8 GiB. Larger files are rare, and their lists are given back. */
#define KEPT_CHUNKS	 OBJECT_PAGE_HASHES
#define ORDER_CHUNKS_MIN 64u /* 16 MiB */

/* One that no reader needs: better one that was not used than one that is kept open. */
static struct get_run_file *file_unused(struct get_run *get_run)
{
	struct get_run_file *whole = NULL;

	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++) {
		if (get_run->files[i].step == FILE_UNUSED)
			return &get_run->files[i];
		if (get_run->files[i].step == FILE_WHOLE)
			whole = &get_run->files[i];
	}
	if (whole)
		blobs_get_run_file_end(whole);
	return whole;
}

size_t blobs_get_run_file_chunk_len(const struct get_run_file *file, uint64_t idx)
{
	uint64_t left = file->size - idx * BLAKE3_CHUNK_LEN;

	return left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
}

static struct in_progress *file_in_progress(const struct get_run_file *file)
{
	return blobs_serve_in_progress(file->get_run->content->serve);
}

/* From now on others may have what is there; what an earlier run left at once. */
static void file_serve(struct get_run_file *file)
{
	if (!blobs_get_is_seeded(&file->get_run->get->view))
		return;
	file->partial = blobs_in_progress_add(file_in_progress(file), file->content_id, file->size,
					      file->fd, file->list.hashes);
	if (file->partial)
		blobs_in_progress_file_set_manifest(file->partial,
						    file->get_run->get->asked.manifest_id);
	for (uint64_t i = 0; file->partial && i < file->chunk_cnt; i++)
		if (file->chunks[i] == CHUNK_HAVE)
			blobs_in_progress_file_note(file_in_progress(file), file->partial, i);
}

void blobs_get_run_serve_less(struct get_run *get_run)
{
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++) {
		struct get_run_file *file = &get_run->files[i];

		if (file->partial)
			blobs_in_progress_drop(file_in_progress(file), file->partial);
		file->partial = NULL;
	}
}

static void chunks_free(struct get_run_file *file)
{
	free(file->list.hashes);
	free(file->chunks);
	file->list.hashes = file->chunks = NULL;
	file->chunk_cap = 0;
	blobs_rarest_fini(&file->order);
}

static int chunks_lay_out(struct get_run_file *file, uint64_t cnt)
{
	if (cnt > file->chunk_cap) {
		chunks_free(file);
		file->list.hashes = malloc((size_t)cnt * BLAKE3_HASH_LEN);
		file->chunks = malloc((size_t)cnt);
		if (!file->list.hashes || !file->chunks) {
			chunks_free(file);
			return -ENOMEM;
		}
		file->chunk_cap = cnt;
	}
	memset(file->chunks, CHUNK_MISSING, (size_t)cnt);
	return 0;
}

/*
 * The chunk at which a file begins is this node's own, and the same in every run of a get. A get
 * that is over before others could take part begins at the file's beginning.
 */
static uint64_t order_seed(const struct get_run_file *file, uint64_t chunk_cnt)
{
	struct blake3 hash;
	uint8_t seed[8];
	struct cursor c = cursor_of(seed, sizeof(seed));

	if (chunk_cnt < ORDER_CHUNKS_MIN || file->get_run->get->view.choice.is_sequential)
		return 0;
	blake3_init_keyed(&hash, file->content_id);
	blake3_update(&hash, file->get_run->content->params.own_key, MESH_KEY_LEN);
	blake3_final(&hash, seed, sizeof(seed));
	return cursor_be64(&c);
}

void blobs_get_run_file_end(struct get_run_file *file)
{
	struct get_run_file kept = {.fd = -1};

	if (file->partial)
		blobs_in_progress_drop(file_in_progress(file), file->partial);
	if (file->fd >= 0)
		close(file->fd);
	if (file->chunk_cap > KEPT_CHUNKS)
		chunks_free(file);
	kept.list.hashes = file->list.hashes;
	kept.chunks = file->chunks;
	kept.chunk_cap = file->chunk_cap;
	kept.order = file->order;
	*file = kept;
}

void blobs_get_run_file_fini(struct get_run_file *file)
{
	blobs_get_run_file_end(file);
	chunks_free(file);
}

int blobs_get_run_file_start(struct get_run *get_run, uint32_t item)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, item);
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(entry->size);
	struct get_run_file *file = file_unused(get_run);

	if (!file)
		return WEFT_EFULL;
	if (chunk_cnt > GET_RUN_CHUNKS_MAX) {
		blobs_get_run_stop_at(get_run, item, WEFT_ETOOLARGE);
		return WEFT_ETOOLARGE;
	}
	file->get_run = get_run;
	memcpy(file->content_id, entry->content_id, sizeof(file->content_id));
	if (chunks_lay_out(file, chunk_cnt) < 0 ||
	    blobs_rarest_begin(&file->order, chunk_cnt, order_seed(file, chunk_cnt)) < 0) {
		blobs_get_run_stop_at(get_run, item, -ENOMEM);
		return -ENOMEM;
	}
	file->step = FILE_LIST;
	file->item = item;
	file->size = entry->size;
	file->chunk_cnt = chunk_cnt;
	file->zeros.idx = GET_RUN_NO_CHUNK;
	blobs_get_run_name(get_run, item, file->name);
	get_run->items.all[item].state = ITEM_LARGE;
	get_run->items.needed_len -= entry->size;
	return 0;
}

bool blobs_get_run_file_list_check(const struct get_run_file *file,
				   const struct message_answer *answer)
{
	uint64_t left = file->chunk_cnt - file->list.hash_cnt;
	uint64_t cnt = left < MESSAGE_HASHES_MAX ? left : MESSAGE_HASHES_MAX;

	return answer->total == file->chunk_cnt && answer->len == cnt * BLAKE3_HASH_LEN;
}

void blobs_get_run_file_list_arrived(struct get_run_file *file, const struct message_answer *answer)
{
	file->list.is_asked = false;
	memcpy(file->list.hashes + file->list.hash_cnt * BLAKE3_HASH_LEN, answer->bytes,
	       answer->len);
	file->list.hash_cnt += answer->len / BLAKE3_HASH_LEN;
	if (file->list.hash_cnt == file->chunk_cnt)
		file->step = FILE_FOLDING;
}

void blobs_get_run_file_list_failed(struct get_run_file *file)
{
	file->list.hash_cnt = 0;
}

/* --- does the list lead to the content id --- */

static void list_hash_run(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	uint8_t root[BLAKE3_HASH_LEN];

	blake3_cvs_combine(file->list.hashes, (size_t)file->chunk_cnt, true, root);
	file->err = memcmp(root, file->content_id, sizeof(root)) ? WEFT_EDAMAGED : 0;
}

static bool file_job_done(struct get_run_file *file)
{
	file->job_is_out = false;
	return blobs_get_run_job_done(file->get_run);
}

static void list_hash_done(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	struct swarm_fault fault = {.item = file->item};

	if (!file_job_done(file))
		return;
	if (!file->err) {
		file->step = FILE_OPENING;
		return;
	}
	file->list.hash_cnt = 0;
	file->step = FILE_LIST;
	memcpy(fault.key, file->list.key, sizeof(fault.key));
	blobs_swarm_blame(file->get_run->swarm, &fault, file->get_run->get->gets->now_ns);
}

/* --- what an earlier run left --- */

/*
 * Reserves the space of all chunks at once, in one piece where the filesystem can. A lack of
 * room shows before anything is fetched. The space is still holes to SEEK_DATA.
 */
static int staged_reserve(const struct get_run_file *file)
{
	uint64_t begin = 0, end;

	while (begin < file->chunk_cnt) {
		uint64_t off = begin * BLAKE3_CHUNK_LEN;
		uint64_t len;

		if (file->chunks[begin] == CHUNK_HAVE) {
			begin++;
			continue;
		}
		for (end = begin; end < file->chunk_cnt && file->chunks[end] != CHUNK_HAVE; end++)
			;
		len = end == file->chunk_cnt ? file->size - off : end * BLAKE3_CHUNK_LEN - off;
		begin = end;
		if (fallocate(file->fd, 0, (off_t)off, (off_t)len) == 0 || errno == EINTR)
			continue;
		return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
	}
	return 0;
}

static int staged_open(struct get_run_file *file)
{
	struct stat st;

	file->fd = blobs_target_stage_open(&file->get_run->target, file->name, &file->scan.is_done);
	if (file->fd < 0)
		return file->fd;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size != file->size && ftruncate(file->fd, (off_t)file->size) < 0
		       ? -errno
		       : 0;
}

/* Moves scan.idx over chunks that are holes as a whole. */
static void staged_skip_hole(struct get_run_file *file)
{
	off_t at = lseek(file->fd, (off_t)(file->scan.idx * BLAKE3_CHUNK_LEN), SEEK_DATA);

	if (at < 0 && errno == ENXIO)
		file->scan.idx = file->chunk_cnt;
	else if (at >= 0 && (uint64_t)at / BLAKE3_CHUNK_LEN > file->scan.idx)
		file->scan.idx = (uint64_t)at / BLAKE3_CHUNK_LEN;
}

static int staged_scan(struct get_run_file *file, uint8_t *buffer)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	uint64_t read_len = 0;

	for (staged_skip_hole(file); file->scan.idx < file->chunk_cnt && read_len < GET_RUN_JOB_LEN;
	     staged_skip_hole(file)) {
		uint64_t idx = file->scan.idx++;
		size_t len = blobs_get_run_file_chunk_len(file, idx);
		int err = blobs_scan_read(file->fd, idx * BLAKE3_CHUNK_LEN, buffer, len);

		if (err)
			return err;
		read_len += len;
		blake3_subtree(buffer, len, idx * CHUNK_LEAVES, false, hash);
		if (memcmp(hash, file->list.hashes + idx * BLAKE3_HASH_LEN, sizeof(hash)) != 0)
			continue;
		file->chunks[idx] = CHUNK_HAVE;
		file->have_cnt++;
		file->scan.found_len += len;
	}
	file->scan.is_done = file->scan.idx >= file->chunk_cnt;
	return 0;
}

static void open_run(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	uint8_t *buffer = NULL;

	file->scan.found_len = 0;
	file->err = file->fd < 0 ? staged_open(file) : 0;
	if (!file->err && !file->scan.is_done) {
		buffer = malloc(BLAKE3_CHUNK_LEN);
		file->err = buffer ? staged_scan(file, buffer) : -ENOMEM;
		free(buffer);
	} else if (!file->err) {
		file->err = blobs_get_run_zeros_sample(file);
	}
	if (!file->err && file->scan.is_done && file->zeros.is_sampled)
		file->err = staged_reserve(file);
}

/* The chunks that the job found need not be asked for. */
static void found_note(struct get_run_file *file)
{
	for (uint64_t i = 0; i < file->chunk_cnt; i++)
		if (file->chunks[i] == CHUNK_HAVE)
			blobs_rarest_take(&file->order, i);
}

static void open_done(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	struct blobs_get *view = &file->get_run->get->view;

	if (!file_job_done(file))
		return;
	if (file->err) {
		blobs_get_run_stop_at(file->get_run, file->item, file->err);
		return;
	}
	view->byte_done_cnt += file->scan.found_len;
	view->reused_byte_cnt += file->scan.found_len;
	if (!file->scan.is_done || !file->zeros.is_sampled)
		return;
	found_note(file);
	blobs_get_run_file_order(file);
	file_serve(file);
	file->step = file->have_cnt == file->chunk_cnt ? FILE_SETTLING : FILE_CHUNKS;
	file->get_run->requests.counted_ns = 0; /* how many have what of it */
}

void blobs_get_run_file_take(struct get_run_file *file, uint64_t idx)
{
	file->chunks[idx] = CHUNK_ASKED;
	blobs_rarest_take(&file->order, idx);
}

void blobs_get_run_file_again(struct get_run_file *file, uint64_t idx)
{
	file->chunks[idx] = CHUNK_MISSING;
	blobs_rarest_give_back(&file->order, idx);
}

void blobs_get_run_file_chunk_done(struct get_run_file *file, uint64_t idx, size_t len)
{
	file->chunks[idx] = CHUNK_HAVE;
	file->have_cnt++;
	if (file->partial)
		blobs_in_progress_file_note(file_in_progress(file), file->partial, idx);
	file->get_run->get->view.byte_done_cnt += len;
	if (file->have_cnt == file->chunk_cnt)
		file->step = FILE_SETTLING;
}

/* --- it is whole --- */

static int place_prepare(const struct get_run_file *file)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(file->get_run, file->item);
	struct target_dir dir;
	int err;

	blobs_target_dir_init(&dir, &file->get_run->target);
	err = blobs_target_dir_make(&dir, entry->path, entry->path_len);
	blobs_target_dir_fini(&dir);
	return err;
}

static void settle_run(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;

	file->err = place_prepare(file);
	if (!file->err)
		file->err = blobs_get_run_settle(
			file->fd, blobs_get_run_manifest_item(file->get_run, file->item),
			&file->stamp);
}

static void settle_done(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	struct get_run *get_run = file->get_run;

	if (!file_job_done(file))
		return;
	if (file->err) {
		blobs_get_run_stop_at(get_run, file->item, file->err);
		return;
	}
	file->step = FILE_WHOLE;
	blobs_get_run_staged(get_run, file->item, &file->stamp, file->name, file->list.hashes);
}

void blobs_get_run_file_run(struct get_run_file *file)
{
	struct get_run *get_run = file->get_run;

	if (file->job_is_out)
		return;
	switch (file->step) {
	case FILE_FOLDING:
		file->job_is_out =
			blobs_get_run_submit(get_run, &file->job, list_hash_run, list_hash_done);
		break;
	case FILE_OPENING:
		blobs_get_state_set(get_run->get, BLOBS_GET_VERIFYING);
		file->job_is_out = blobs_get_run_submit(get_run, &file->job, open_run, open_done);
		break;
	case FILE_SETTLING:
		file->job_is_out =
			blobs_get_run_submit(get_run, &file->job, settle_run, settle_done);
		break;
	case FILE_CHUNKS:
		if (file->zeros.idx != GET_RUN_NO_CHUNK)
			file->job_is_out =
				blobs_get_run_submit(get_run, &file->job, blobs_get_run_zeros_run,
						     blobs_get_run_zeros_done);
		break;
	case FILE_UNUSED:
	case FILE_LIST:
	case FILE_WHOLE:
		break;
	}
}
