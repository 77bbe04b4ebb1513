/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SCAN_H
#define WEFT_BLOBS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/blake3/blake3.h"
#include "weft/err.h"

/*
 * Hashing an open file piece by piece in jobs, so that none of them takes
 * long. A scan keeps the chunk list of a file of more than one chunk.
 */
struct scan {
	int fd;
	uint64_t size;
	uint64_t off;	 /* what is hashed so far */
	uint8_t *hashes; /* NULL: at most one chunk */
	uint8_t id[BLAKE3_HASH_LEN];
};

/* blobs_scan_init borrows fd, which has size bytes. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_scan_init(struct scan *scan, int fd, uint64_t size);
void blobs_scan_fini(struct scan *scan);
/*
 * blobs_scan_run hashes on, with buffer of a chunk's length, for at most budget
 * bytes. 1: there is more to do; 0: id and hashes are complete;
 * WEFT_ECHANGED when the file is shorter than size, -errno.
 */
WEFT_MUST_CHECK
int blobs_scan_run(struct scan *scan, uint64_t budget, uint8_t *buffer);

/* blobs_scan_read reads len bytes at off: 0, WEFT_ECHANGED when the file ends before, -errno. */
WEFT_MUST_CHECK
int blobs_scan_read(int fd, uint64_t off, uint8_t *dst, size_t len);

#endif
