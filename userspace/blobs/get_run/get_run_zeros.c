/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of a large file that need not be asked for, as its list says that they are zeros. One
 * job takes samples before anything is asked for. Another looks at the neighbours of each chunk
 * of zeros that came. Such a job reckons hashes and makes holes; home alone says which chunks
 * are here.
 */
#include <errno.h>
#include <stdlib.h>

#include "get_run.h"
#include "zeros.h"
#include "blobs/get/get_state.h"

/* To each side of a chunk, in one job: some 4 ms, and 250 ms before anything is asked for. */
#define LOOK_CHUNKS   64u
#define SAMPLE_CHUNKS 4096u

static struct zeros file_zeros(const struct get_run_file *file, const uint8_t *zeros)
{
	return (struct zeros){.hashes = file->list.hashes,
			      .size = file->size,
			      .chunk_cnt = file->chunk_cnt,
			      .zeros = zeros};
}

static int zeros_drop(const struct get_run_file *file, uint64_t begin, uint64_t end)
{
	uint64_t off = begin * BLAKE3_CHUNK_LEN;
	uint64_t till = end == file->chunk_cnt ? file->size : end * BLAKE3_CHUNK_LEN;

	return blobs_zeros_punch(file->fd, off, till - off);
}

/* One sample, and all around it when it is zeros. Nothing is asked for yet. */
static int sample_look(struct get_run_file *file, const struct zeros *zeros, uint64_t *io_len)
{
	uint64_t idx = blobs_zeros_sample(file->chunk_cnt, file->zeros.sample_idx), begin, end;

	*io_len += BLAKE3_CHUNK_LEN;
	if (file->chunks[idx] == CHUNK_HAVE || !blobs_zeros_at(zeros, idx))
		return 0;
	blobs_zeros_run(zeros, idx, &(struct zeros_span){SAMPLE_CHUNKS, SAMPLE_CHUNKS}, &begin,
			&end);
	*io_len += (end - begin) * BLAKE3_CHUNK_LEN;
	for (uint64_t i = begin; i < end; i++) {
		if (file->chunks[i] == CHUNK_HAVE)
			continue;
		file->chunks[i] = CHUNK_HAVE;
		file->have_cnt++;
		file->scan.found_len += blobs_get_run_file_chunk_len(file, i);
	}
	return zeros_drop(file, begin, end);
}

int blobs_get_run_zeros_sample(struct get_run_file *file)
{
	unsigned cnt = blobs_zeros_sample_cnt(file->chunk_cnt);
	uint8_t *buffer = cnt ? calloc(1, BLAKE3_CHUNK_LEN) : NULL;
	const struct zeros zeros = file_zeros(file, buffer);
	uint64_t len = 0;
	int err = cnt && !buffer ? -ENOMEM : 0;

	for (; !err && file->zeros.sample_idx < cnt && len < GET_RUN_JOB_LEN;
	     file->zeros.sample_idx++)
		err = sample_look(file, &zeros, &len);
	file->zeros.is_sampled = file->zeros.sample_idx == cnt;
	free(buffer);
	return err;
}

void blobs_get_run_zeros_run(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	uint8_t *buffer = calloc(1, BLAKE3_CHUNK_LEN);
	const struct zeros zeros = file_zeros(file, buffer);

	file->zeros.begin = file->zeros.end = file->zeros.idx;
	file->err = 0;
	if (!buffer)
		return; /* it is fetched, then */
	blobs_zeros_run(&zeros, file->zeros.idx,
			&(struct zeros_span){file->zeros.goes_on ? 0 : LOOK_CHUNKS, LOOK_CHUNKS},
			&file->zeros.begin, &file->zeros.end);
	free(buffer);
	file->err = zeros_drop(file, file->zeros.begin, file->zeros.end);
}

void blobs_get_run_zeros_done(struct job *job)
{
	struct get_run_file *file = (struct get_run_file *)job;
	uint64_t last = file->zeros.idx;

	file->zeros.idx = GET_RUN_NO_CHUNK;
	file->job_is_out = false;
	if (!blobs_get_run_job_done(file->get_run))
		return;
	if (file->err) {
		blobs_get_run_stop_at(file->get_run, file->item, file->err);
		return;
	}
	for (uint64_t i = file->zeros.begin; i < file->zeros.end; i++) {
		size_t len = blobs_get_run_file_chunk_len(file, i);

		/* Chunks that are asked for already come all the same. */
		if (file->chunks[i] != CHUNK_MISSING)
			continue;
		blobs_rarest_take(&file->order, i);
		file->get_run->get->view.reused_byte_cnt += len;
		blobs_get_run_file_chunk_done(file, i, len);
	}
	/* It goes on behind what one job looks at. */
	file->zeros.goes_on =
		file->zeros.end == last + 1 + LOOK_CHUNKS && file->zeros.end < file->chunk_cnt;
	if (file->zeros.goes_on)
		file->zeros.idx = file->zeros.end - 1;
}

void blobs_get_run_file_zeros(struct get_run_file *file, uint64_t idx)
{
	bool is_alone = (idx == 0 || file->chunks[idx - 1] != CHUNK_MISSING) &&
			(idx + 1 == file->chunk_cnt || file->chunks[idx + 1] != CHUNK_MISSING);

	if (file->job_is_out || file->zeros.idx != GET_RUN_NO_CHUNK || is_alone)
		return;
	file->zeros.idx = idx;
	file->zeros.goes_on = false;
}
