/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_UNSENT_H
#define WEFT_MESH_STREAM_UNSENT_H

#include "base/transport.h"
#include "request_buffers.h"

/*
 * What a stream has not taken yet of a frame: its start in a buffer, then
 * a lent tail. Zeroed: nothing.
 */
struct mesh_unsent {
	uint8_t *start;
	size_t start_len;
	struct transport_span tail; /* lent to us while tail.data is set */
};

static inline bool mesh_unsent_is_empty(const struct mesh_unsent *unsent)
{
	return !unsent->start && !unsent->tail.data;
}

/* mesh_unsent_push: 0 when all is taken, WEFT_EFULL (stream_writable follows), WEFT_ECLOSED. */
WEFT_MUST_CHECK
int mesh_unsent_push(struct mesh_unsent *unsent, struct mesh_buffers *buffers,
		     const struct transport_ops *ops, struct transport_stream *stream);
/* mesh_unsent_drop forgets all of it and gives the tail, whose done the caller owes. */
struct transport_span mesh_unsent_drop(struct mesh_unsent *unsent, struct mesh_buffers *buffers);

#endif
