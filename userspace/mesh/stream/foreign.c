/* SPDX-License-Identifier: Apache-2.0 */
#include "foreign.h"

#include "mesh_stream.h"

int mesh_foreign_open(struct mesh *mesh, unsigned type, const struct mesh_stream_peer *peer,
		      const struct mesh_foreign_ops *ops, void *carrier, uint64_t now_ns,
		      struct mesh_stream **out_stream)
{
	const struct mesh_handler *acceptor = mesh_handler_slot(mesh, type);
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, peer->key);
	struct addr addr = {.family = ADDR_NONE};
	struct mesh_stream *stream;
	struct fair_path path;
	int err;

	mesh->now_ns = now_ns;
	if (!acceptor || (!acceptor->accept && !acceptor->fn))
		return WEFT_EUNKNOWN;
	if (entry)
		addr = entry->foreign_at;
	mesh_slots_key_path(mesh, peer->key, &addr, &path);
	if (!(stream = mesh_stream_make_accepted(mesh, &path)))
		return WEFT_EFULL;
	stream->peer = *peer;
	stream->has_peer = true;
	stream->foreign = ops;
	stream->carrier = carrier;
	*out_stream = stream;
	(void)mesh_stream_enter(stream);
	if (acceptor->fn)
		err = mesh_incoming_accept(mesh, stream, &stream->events, &stream->arg);
	else
		err = acceptor->accept(acceptor->ctx, stream, type, now_ns, &stream->events,
				       &stream->arg);
	if (stream->is_over) {
		err = WEFT_ECANCELLED;
	} else if (err < 0) {
		stream->foreign = NULL; /* its carrier is told by our answer */
		mesh_stream_drop(stream, 0);
	}
	mesh_stream_leave(stream, false);
	return err;
}

void mesh_foreign_frame(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
			uint64_t now_ns)
{
	bool was_telling = mesh_stream_enter(stream);

	stream->mesh->now_ns = now_ns;
	stream->mesh->stats.frame_in_cnt++;
	stream->events->frame(stream->arg, frame, now_ns);
	mesh_stream_leave(stream, was_telling);
}

void mesh_foreign_data(struct mesh_stream *stream, const uint8_t *data, size_t len, uint64_t now_ns)
{
	bool was_telling = mesh_stream_enter(stream);

	stream->mesh->now_ns = now_ns;
	stream->unused_len += len;
	stream->events->data(stream->arg, data, len, now_ns);
	mesh_stream_leave(stream, was_telling);
}

void mesh_foreign_finished(struct mesh_stream *stream, uint64_t now_ns)
{
	bool was_telling = mesh_stream_enter(stream);

	stream->mesh->now_ns = now_ns;
	stream->events->finished(stream->arg, now_ns);
	mesh_stream_leave(stream, was_telling);
}

void mesh_foreign_writable(struct mesh_stream *stream, uint64_t now_ns)
{
	bool was_telling = mesh_stream_enter(stream);

	stream->mesh->now_ns = now_ns;
	stream->events->writable(stream->arg, now_ns);
	mesh_stream_leave(stream, was_telling);
}

void mesh_foreign_ended(struct mesh_stream *stream, const struct mesh_stream_end *end,
			uint64_t now_ns)
{
	stream->mesh->now_ns = now_ns;
	mesh_stream_end(stream, end);
}
