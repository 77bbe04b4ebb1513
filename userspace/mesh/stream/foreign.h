/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_FOREIGN_H
#define WEFT_MESH_STREAM_FOREIGN_H

#include "base/list.h"
#include "mesh/seam_stream.h"

/*
 * Streams that peers open on sessions of another worker of this node, whose
 * users are here: a carrier stands between them. To their users they are like
 * any other (seam_stream.h), and so is a request that begins one to its handler
 * (seam.h). On the mesh's own thread.
 */
struct mesh_foreign_ops {
	/* As of struct mesh_stream_ops; none raises an event. */
	int (*send)(void *carrier, const struct mesh_stream_frame *frame, const void *head,
		    size_t head_len, const struct transport_span *tail);
	void (*finish)(void *carrier);
	void (*consume)(void *carrier, size_t len);
	/* The user reset the stream, or refused it: it is gone. */
	void (*reset)(void *carrier, uint64_t code);
	/* It is gone, and what was sent is still to arrive: what comes is consumed unseen. */
	void (*leave)(void *carrier);
};

/* A stream of a peer that begins with a frame of type. */
struct mesh_foreign {
	unsigned type;
	const struct mesh_stream_peer *peer;
	const struct mesh_foreign_ops *ops;
	void *carrier;
};

/* Where carriers of another worker's streams are, also of those that were left; of the list of the mesh. */
struct mesh_foreign_source {
	struct list_node node;
	/* Answers whose tail has arg, and that are not sent whole, are reset with code. */
	void (*recall)(struct mesh_foreign_source *source, const void *arg, uint64_t code);
};
/* mesh_foreign_attach: until detach, which takes one that was not attached, but zeroed. */
void mesh_foreign_attach(struct mesh *mesh, struct mesh_foreign_source *source);
void mesh_foreign_detach(struct mesh_foreign_source *source);

/*
 * mesh_foreign_open gives the stream to the acceptor of type, or to its handler what the stream
 * asks. 0 with *out_stream; else there is none: WEFT_EUNKNOWN (neither is there), WEFT_EFULL (too
 * many streams of peers), WEFT_ECANCELLED (the acceptor reset it, by reset), or what the acceptor
 * said.
 */
WEFT_MUST_CHECK
int mesh_foreign_open(struct mesh *mesh, const struct mesh_foreign *foreign, uint64_t now_ns,
		      struct mesh_stream **out_stream);
/* Its events, as struct mesh_stream_events. Nothing may follow reset, leave or ended. */
void mesh_foreign_frame(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
			uint64_t now_ns);
void mesh_foreign_data(struct mesh_stream *stream, const uint8_t *data, size_t len,
		       uint64_t now_ns);
void mesh_foreign_finished(struct mesh_stream *stream, uint64_t now_ns);
void mesh_foreign_writable(struct mesh_stream *stream, uint64_t now_ns);
void mesh_foreign_ended(struct mesh_stream *stream, const struct mesh_stream_end *end,
			uint64_t now_ns);

#endif
