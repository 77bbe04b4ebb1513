/* SPDX-License-Identifier: Apache-2.0 */
/* A frame on its way into a stream that may be full. */
#include "unsent.h"

static void start_release(struct mesh_unsent *unsent, struct mesh_buffers *buffers)
{
	mesh_buffers_release(buffers, unsent->start);
	unsent->start = NULL;
	unsent->start_len = 0;
}

int mesh_unsent_push(struct mesh_unsent *unsent, struct mesh_buffers *buffers,
		     const struct transport_ops *ops, struct transport_stream *stream)
{
	int err;

	if (unsent->start) {
		err = ops->send_copy(stream, unsent->start, unsent->start_len);
		if (err < 0)
			return err;
		start_release(unsent, buffers);
	}
	if (unsent->tail.data) {
		err = ops->send(stream, &unsent->tail);
		if (err < 0)
			return err;
		unsent->tail.data = NULL;
	}
	return 0;
}

struct transport_span mesh_unsent_drop(struct mesh_unsent *unsent, struct mesh_buffers *buffers)
{
	struct transport_span tail = unsent->tail;

	start_release(unsent, buffers);
	unsent->tail.data = NULL;
	return tail;
}
