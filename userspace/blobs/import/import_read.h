/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_READ_H
#define WEFT_BLOBS_IMPORT_IMPORT_READ_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Reads files ahead of the hashing thread. It asks for up to IMPORT_READ_DEPTH blocks of 256 KiB
 * at once through io_uring. Where the kernel refuses a ring, it reads one after the other with
 * pread. One thread at a time; waits on the disk.
 */
#define IMPORT_READ_DEPTH 8

enum import_read_way { IMPORT_READ_URING, IMPORT_READ_PLAIN };

struct import_reader;

/* blobs_import_reader_new: the way asked for, or plain when there is no ring to be had. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_import_reader_new(enum import_read_way way, struct import_reader **out_reader);
void blobs_import_reader_free(struct import_reader *reader);
/* Bytes [off, off + len) of a file. */
struct import_part {
	int fd;
	uint64_t off, len;
};
typedef void (*import_block_fn)(void *arg, const uint8_t *data, size_t len);
/*
 * blobs_import_reader_run reads part and calls fn for every
 * 256 KiB of it (the last may be shorter) in order. 0, WEFT_ECHANGED (the
 * file ends before) or -errno.
 */
WEFT_MUST_CHECK
int blobs_import_reader_run(struct import_reader *reader, const struct import_part *part,
			    import_block_fn fn, void *arg);

#endif
