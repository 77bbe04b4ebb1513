/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blobs/manifest/manifest.h"

#define CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)

int blobs_scan_init(struct scan *scan, int fd, uint64_t size)
{
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(size);

	scan->fd = fd;
	scan->size = size;
	scan->off = 0;
	scan->hashes = NULL;
	if (chunk_cnt <= 1)
		return 0;
	if (chunk_cnt > SIZE_MAX / BLAKE3_HASH_LEN)
		return -ENOMEM;
	scan->hashes = malloc((size_t)chunk_cnt * BLAKE3_HASH_LEN);
	return scan->hashes ? 0 : -ENOMEM;
}

void blobs_scan_fini(struct scan *scan)
{
	free(scan->hashes);
	scan->hashes = NULL;
}

int blobs_scan_read(int fd, uint64_t off, uint8_t *dst, size_t len)
{
	while (len > 0) {
		ssize_t got = pread(fd, dst, len, (off_t)off);

		if (got == 0)
			return WEFT_ECHANGED;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			dst += got;
			off += (uint64_t)got;
			len -= (size_t)got;
		}
	}
	return 0;
}

int blobs_scan_run(struct scan *scan, uint64_t budget, uint8_t *buffer)
{
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(scan->size);

	for (uint64_t spent = 0; scan->off < scan->size; spent += BLAKE3_CHUNK_LEN) {
		uint64_t idx = scan->off / BLAKE3_CHUNK_LEN;
		uint64_t left = scan->size - scan->off;
		size_t len = left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
		int err;

		if (spent >= budget)
			return 1;
		err = blobs_scan_read(scan->fd, scan->off, buffer, len);
		if (err)
			return err;
		blake3_subtree(buffer, len, idx * CHUNK_LEAVES, chunk_cnt == 1,
			       scan->hashes ? scan->hashes + idx * BLAKE3_HASH_LEN : scan->id);
		scan->off += len;
	}
	if (scan->hashes)
		blake3_cvs_combine(scan->hashes, (size_t)chunk_cnt, true, scan->id);
	else if (scan->size == 0)
		blake3_hash(NULL, 0, scan->id);
	return 0;
}
