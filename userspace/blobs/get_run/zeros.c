/* SPDX-License-Identifier: Apache-2.0 */
#include "zeros.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "get_run.h"
#include "crypto/blake3/blake3.h"

#define CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)

bool blobs_zeros_only(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static int zeros_write(int fd, uint64_t off, uint64_t len)
{
	static const uint8_t page[4096];

	while (len > 0) {
		size_t part = len < sizeof(page) ? (size_t)len : sizeof(page);
		int err = blobs_get_run_write_at(fd, off, page, part);

		if (err)
			return err;
		off += part;
		len -= part;
	}
	return 0;
}

int blobs_zeros_punch(int fd, uint64_t off, uint64_t len)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
		return -errno;
	return zeros_write(fd, off, len);
}

bool blobs_zeros_at(const struct zeros *zeros, uint64_t idx)
{
	uint64_t left = zeros->size - idx * BLAKE3_CHUNK_LEN;
	size_t len = left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_subtree(zeros->zeros, len, idx * CHUNK_LEAVES, false, hash);
	return memcmp(hash, zeros->hashes + idx * BLAKE3_HASH_LEN, sizeof(hash)) == 0;
}

unsigned blobs_zeros_sample_cnt(uint64_t chunk_cnt)
{
	uint64_t cnt = chunk_cnt / 8;

	if (chunk_cnt < ZEROS_CHUNKS_MIN)
		return 0;
	return cnt < ZEROS_SAMPLES_MAX ? (unsigned)cnt : ZEROS_SAMPLES_MAX;
}

uint64_t blobs_zeros_sample(uint64_t chunk_cnt, unsigned sample)
{
	uint64_t gap = chunk_cnt / blobs_zeros_sample_cnt(chunk_cnt);

	return sample * gap + gap / 2;
}

void blobs_zeros_run(const struct zeros *zeros, uint64_t idx, const struct zeros_span *span,
		     uint64_t *out_begin, uint64_t *out_end)
{
	uint64_t begin = idx, end = idx + 1;

	while (begin > 0 && idx - begin < span->before_max && blobs_zeros_at(zeros, begin - 1))
		begin--;
	while (end < zeros->chunk_cnt && end - idx <= span->behind_max &&
	       blobs_zeros_at(zeros, end))
		end++;
	*out_begin = begin;
	*out_end = end;
}
