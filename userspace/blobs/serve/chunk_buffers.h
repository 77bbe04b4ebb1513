/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_CHUNK_BUFFERS_H
#define WEFT_BLOBS_SERVE_CHUNK_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/blake3/blake3.h"

/*
 * The fixed number of buffers that chunks pass through, to peers and from them; another such
 * table holds manifests. A buffer holds one chunk and the fields around it; its pages are
 * touched only when it is used. A buffer that holds a chunk, a part of a chunk list or a
 * manifest may be named. Calls that want the same then find it: while it is filled, while it is
 * lent, and afterwards until its room is needed. Home worker or another worker that serves. A
 * job may fill or read a buffer that its owner holds for it.
 *
 * Any peer with a session can hold buffers by asking and not reading. buffer_queue.c decides
 * which peer may take one more. An honest peer waits for its turn, or gets BUSY.
 */
#define CHUNK_BUFFER_LEN (BLAKE3_CHUNK_LEN + 4096u)

struct chunk_name {
	uint8_t content_id[32];
	uint64_t chunk; /* its number, or what else of the content it is */
};

struct chunk_buffer {
	struct list_node node;	  /* of those without a user, the one used last at the end */
	struct list_node waiting; /* users that wait until it is filled; owned by the users */
	struct list_node users;	  /* calls that use it; owned by the calls */
	uint8_t *bytes;
	uint32_t use_cnt;
	bool is_named;
	bool is_filled; /* len bytes of the named chunk are there */
	size_t len;
	uint64_t total; /* of a part of a list */
	struct chunk_name name;
};

struct chunk_buffers {
	struct arena arena;
	struct chunk_buffer *buffers;
	uint8_t *bytes;
	struct list_node unused;
	struct map by_name;
	size_t buffer_len;
	uint32_t free_cnt; /* without a user */
	uint32_t cap_cnt;
	void (*released)(void *arg); /* a use of one ended; NULL: not wanted */
	void *released_arg;
};

WEFT_MUST_CHECK
int blobs_chunk_buffers_init(struct chunk_buffers *buffers, uint32_t cnt, size_t buffer_len);
void blobs_chunk_buffers_fini(struct chunk_buffers *buffers);
/*
 * blobs_chunk_buffers_acquire: yours until release, contents undefined; NULL when
 * all are in use. It takes one without a name if there is one, else the one
 * whose use ended last: its bytes are still in the processor's cache.
 */
uint8_t *blobs_chunk_buffers_acquire(struct chunk_buffers *buffers);
/* blobs_chunk_buffers_release ends one use of a buffer. */
void blobs_chunk_buffers_release(struct chunk_buffers *buffers, uint8_t *bytes);

/* blobs_chunk_buffers_at: the buffer whose bytes these are. */
struct chunk_buffer *blobs_chunk_buffers_at(struct chunk_buffers *buffers, const uint8_t *bytes);
/* blobs_chunk_buffers_peek: the buffer of that name, maybe without a user, or NULL. */
const struct chunk_buffer *blobs_chunk_buffers_peek(const struct chunk_buffers *buffers,
						    const struct chunk_name *name);
/* blobs_chunk_buffers_find: one more use of the buffer of that name, or NULL. */
struct chunk_buffer *blobs_chunk_buffers_find(struct chunk_buffers *buffers,
					      const struct chunk_name *name);
/* blobs_chunk_buffers_name: the buffer, in use and not named, is about to hold that; no other does. */
void blobs_chunk_buffers_name(struct chunk_buffers *buffers, struct chunk_buffer *buffer,
			      const struct chunk_name *name);
/* blobs_chunk_buffers_unname: no lookup finds it any more. */
void blobs_chunk_buffers_unname(struct chunk_buffers *buffers, struct chunk_buffer *buffer);

#endif
