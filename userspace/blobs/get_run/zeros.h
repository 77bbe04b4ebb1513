/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_RUN_ZEROS_H
#define WEFT_BLOBS_GET_RUN_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Chunks of nothing but zeros. They take no room in a staged file, and need not be fetched where
 * the file's chunk list says that they are zeros. The hash of a chunk of zeros is known by its
 * place. To reckon it costs as much as to verify a chunk, so not all of a file is looked at.
 * Some chunks of a large file are looked at before it is asked for, and later the neighbours of
 * each chunk of zeros. Images of disks are long runs of them. Called from jobs.
 */
#define ZEROS_SAMPLES_MAX 64u /* some 4 ms of hashing at 4 GB/s */
#define ZEROS_CHUNKS_MIN  16u /* of a file; the sample of a small one costs more than it saves */

bool blobs_zeros_only(const uint8_t *bytes, size_t len);
/*
 * blobs_zeros_punch makes [off, off + len) of fd a hole; where there are none it
 * writes zeros. 0 or -errno.
 */
WEFT_MUST_CHECK
int blobs_zeros_punch(int fd, uint64_t off, uint64_t len);

/* The list of a file's chunks, and a chunk of zeros to hash. */
struct zeros {
	const uint8_t *hashes;
	uint64_t size, chunk_cnt;
	const uint8_t *zeros; /* BLAKE3_CHUNK_LEN of them */
};
/* blobs_zeros_at: chunk idx is zeros, by its hash. */
bool blobs_zeros_at(const struct zeros *zeros, uint64_t idx);
/* blobs_zeros_sample_cnt, blobs_zeros_sample: the chunks that are looked at first, over all of the file. */
unsigned blobs_zeros_sample_cnt(uint64_t chunk_cnt);
uint64_t blobs_zeros_sample(uint64_t chunk_cnt, unsigned sample);
/*
 * blobs_zeros_run: the chunks of zeros around idx, which is one, as [*out_begin,
 * *out_end); no more than span says to either side.
 */
struct zeros_span {
	uint64_t before_max, behind_max; /* chunks */
};
void blobs_zeros_run(const struct zeros *zeros, uint64_t idx, const struct zeros_span *span,
		     uint64_t *out_begin, uint64_t *out_end);

#endif
