/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_REQUEST_BUFFERS_H
#define WEFT_MESH_STREAM_REQUEST_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct arena;

/*
 * Buffers in a few sizes, a bounded number of each, in which peers'
 * requests are assembled and requests of this node wait to be sent. Contents
 * are not zeroed. The smallest size that holds a request is the one it
 * gets, so that many large ones cannot starve the small.
 */
enum mesh_buffer_size {
	MESH_BUFFER_SMALL,  /* datagram class and a frame's head */
	MESH_BUFFER_MEDIUM, /* announce and value class, and whatever a request may hold */
	MESH_BUFFER_LARGE,  /* envelope class */
	MESH_BUFFER_OWN,    /* medium ones for this node's requests, which peers cannot use up */
	MESH_BUFFER_SIZE_CNT,
};

struct mesh_buffer_shelf {
	uint8_t *bytes;
	uint32_t *free; /* stack of indexes */
	uint32_t free_cnt;
	uint32_t cap_cnt;
	size_t buffer_len;
};

struct mesh_buffers {
	struct mesh_buffer_shelf shelves[MESH_BUFFER_SIZE_CNT];
};

WEFT_MUST_CHECK
int mesh_buffers_init(struct mesh_buffers *buffers, struct arena *arena,
		      const uint32_t cnts[static MESH_BUFFER_SIZE_CNT]);
/* mesh_buffers_acquire gives at least len bytes, or NULL; acquire_own for a request of this node. */
uint8_t *mesh_buffers_acquire(struct mesh_buffers *buffers, size_t len);
uint8_t *mesh_buffers_acquire_own(struct mesh_buffers *buffers, size_t len);
/* mesh_buffers_size: the size that mesh_buffers_acquire takes for len; SIZE_CNT: none is enough. */
enum mesh_buffer_size mesh_buffers_size(const struct mesh_buffers *buffers, size_t len);
/* mesh_buffers_release takes what acquire gave; NULL is nothing. */
void mesh_buffers_release(struct mesh_buffers *buffers, uint8_t *bytes);

#endif
