/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_SERVE_BUFFERS_H
#define WEFT_CONTENT_SERVE_BUFFERS_H

#include <stdint.h>

#include "base/arena.h"
#include "crypto/blake3.h"

/*
 * The fixed number of buffers that chunks pass through, to peers and from
 * them. A buffer holds one chunk and the fields around it; its pages are
 * touched only when it is used. Home worker; a job may fill or read a
 * buffer that its owner holds for it.
 */
#define CHUNK_BUFFER_LEN (BLAKE3_CHUNK_LEN + 4096u)

struct chunk_buffers {
	struct arena arena;
	uint8_t *bytes;
	uint32_t *free; /* a stack of indexes: the buffer used last is still in the cache */
	uint32_t free_cnt;
	uint32_t cap_cnt;
};

WEFT_MUST_CHECK
int chunk_buffers_init(struct chunk_buffers *buffers, uint32_t cnt);
void chunk_buffers_fini(struct chunk_buffers *buffers);
/* chunk_buffers_acquire: yours until release, contents undefined; NULL when all are in use. */
uint8_t *chunk_buffers_acquire(struct chunk_buffers *buffers);
void chunk_buffers_release(struct chunk_buffers *buffers, uint8_t *buffer);

#endif
