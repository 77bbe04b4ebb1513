/* SPDX-License-Identifier: Apache-2.0 */
#include "foreign.h"

#include "mesh/mesh_state.h"

void mesh_foreign_bind(struct mesh_stream *stream, const struct mesh_foreign *foreign)
{
	stream->peer = *foreign->peer;
	stream->foreign = foreign->ops;
	stream->carrier = foreign->carrier;
	stream->state = MESH_STATE_OPEN;
}

void mesh_foreign_attach(struct mesh *mesh, struct mesh_foreign_source *source)
{
	list_push_back(&mesh->foreign_sources, &source->node);
}

void mesh_foreign_detach(struct mesh_foreign_source *source)
{
	if (source->node.next)
		list_unlink(&source->node);
}

void mesh_foreign_recall(struct mesh *mesh, const void *arg, uint64_t code)
{
	for (struct list_node *node = mesh->foreign_sources.next; node != &mesh->foreign_sources;
	     node = node->next) {
		struct mesh_foreign_source *source =
			container_of(node, struct mesh_foreign_source, node);

		source->recall(source, arg, code);
	}
}

static int foreign_accept(struct mesh *mesh, const struct mesh_foreign *foreign,
			  const struct fair_path *path, struct mesh_stream **out_stream)
{
	struct mesh_frame_stream *frames = mesh_frame_stream_make(mesh, path);
	struct mesh_stream *stream;
	bool was_busy;
	int err;

	if (!frames)
		return WEFT_EFULL;
	stream = &frames->stream;
	mesh_foreign_bind(stream, foreign);
	was_busy = mesh_stream_enter(stream);
	*out_stream = stream;
	err = mesh_frame_stream_accept(frames, foreign->type);
	if (stream->is_over) {
		err = WEFT_ECANCELLED;
	} else if (err < 0) {
		stream->foreign = NULL; /* its carrier learns by the returned value */
		mesh_stream_drop(stream, 0);
	}
	mesh_stream_leave(stream, was_busy);
	return err;
}

int mesh_foreign_open(struct mesh *mesh, const struct mesh_foreign *foreign, uint64_t now_ns,
		      struct mesh_stream **out_stream)
{
	const struct mesh_handler *acceptor = mesh_handler_slot(mesh, foreign->type);
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, foreign->peer->key);
	struct addr addr = {.family = ADDR_NONE};
	struct fair_path path;

	mesh_turn(mesh, now_ns);
	if (!acceptor || (!acceptor->accept && !acceptor->fn))
		return WEFT_EUNKNOWN;
	if (entry)
		addr = entry->foreign_at;
	mesh_slots_key_path(mesh, foreign->peer->key, &addr, &path);
	if (acceptor->accept)
		return foreign_accept(mesh, foreign, &path, out_stream);
	*out_stream = mesh_incoming_make_foreign(mesh, foreign, &path);
	return *out_stream ? 0 : WEFT_EFULL;
}

/* The bytes of c are consumed here, unless they were handed out. */
static void foreign_input(struct mesh_stream *stream, struct cursor c, bool fin, uint64_t now_ns)
{
	size_t len = cursor_left(&c), held;
	bool was_busy = mesh_stream_enter(stream);

	mesh_turn(stream->mesh, now_ns);
	held = stream->kind->input(stream, &c, fin);
	if (!stream->is_over && held < len)
		stream->foreign->consume(stream->carrier, len - held);
	mesh_stream_leave(stream, was_busy);
}

void mesh_foreign_frame(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
			uint64_t now_ns)
{
	if (stream->is_read)
		return;
	stream->in.has_frame = true;
	stream->in.frame = (struct mesh_frame){.type = frame->type,
					       .req_id = stream->req_id,
					       .flags = frame->flags,
					       .payload_len = frame->payload_len};
	foreign_input(stream, cursor_of(NULL, 0), false, now_ns);
}

void mesh_foreign_data(struct mesh_stream *stream, const uint8_t *data, size_t len, uint64_t now_ns)
{
	foreign_input(stream, cursor_of(data, len), false, now_ns);
}

void mesh_foreign_finished(struct mesh_stream *stream, uint64_t now_ns)
{
	foreign_input(stream, cursor_of(NULL, 0), true, now_ns);
}

void mesh_foreign_writable(struct mesh_stream *stream, uint64_t now_ns)
{
	mesh_turn(stream->mesh, now_ns);
	if (stream->kind->writable)
		stream->kind->writable(stream);
}

void mesh_foreign_ended(struct mesh_stream *stream, const struct mesh_stream_end *end,
			uint64_t now_ns)
{
	mesh_turn(stream->mesh, now_ns);
	stream->foreign = NULL;
	mesh_stream_end(stream, end);
}
