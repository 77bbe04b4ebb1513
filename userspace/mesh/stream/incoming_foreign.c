/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of peers on sessions of another worker, whose handlers are here: each comes
 * by a foreign stream (foreign.h), is read whole, and is an incoming as any other from then
 * on. Its answer is one frame of the stream. On the mesh's own thread.
 */
#include "mesh_stream.h"

static const struct mesh_stream_ops *foreign_ops(const struct mesh_incoming *incoming)
{
	return mesh_stream_seam_of(incoming->mesh).ops;
}

static void foreign_read(struct mesh_incoming *incoming, struct cursor *c)
{
	if (!mesh_frame_in_body(&incoming->in, c))
		return;
	if (cursor_left(c))
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "bytes after the request");
	else
		mesh_incoming_hand_over(incoming);
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct mesh_incoming *incoming = arg;
	struct cursor nothing = cursor_of(NULL, 0);

	(void)now_ns;
	if (incoming->state != MESH_INCOMING_READING)
		return;
	if (incoming->in.has_frame || frame->flags) {
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "malformed frame");
		return;
	}
	incoming->in.has_frame = true;
	incoming->in.frame.type = frame->type;
	incoming->in.frame.payload_len = frame->payload_len;
	if (!frame->payload_len && mesh_incoming_take_buffer(incoming))
		foreign_read(incoming, &nothing);
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct mesh_incoming *incoming = arg;
	struct cursor c = cursor_of(data, len);

	(void)now_ns;
	foreign_ops(incoming)->consume(incoming->foreign, len);
	if (incoming->state != MESH_INCOMING_READING)
		return;
	mesh_incoming_note(incoming, len);
	if (incoming->buffer || mesh_incoming_take_buffer(incoming))
		foreign_read(incoming, &c);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct mesh_incoming *incoming = arg;

	(void)now_ns;
	if (incoming->state == MESH_INCOMING_READING)
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "request cut short");
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct mesh_incoming *incoming = arg;

	(void)end, (void)now_ns;
	mesh_incoming_foreign_leave(incoming);
	mesh_incoming_gone(incoming);
}

static const struct mesh_stream_events events = {
	.frame = on_frame,
	.data = on_data,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* --- what still comes when the request has been answered --- */

static void left_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	(void)arg, (void)frame, (void)now_ns;
}

static void left_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct mesh_stream *stream = arg;

	(void)data, (void)now_ns;
	mesh_stream_seam_of(stream->mesh).ops->consume(stream, len);
}

static void left_quietly(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
}

static void left_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	(void)arg, (void)end, (void)now_ns;
}

static const struct mesh_stream_events left_events = {
	.frame = left_frame,
	.data = left_data,
	.finished = left_quietly,
	.writable = left_quietly,
	.ended = left_ended,
};

void mesh_incoming_foreign_leave(struct mesh_incoming *incoming)
{
	incoming->foreign->events = &left_events;
	incoming->foreign->arg = incoming->foreign;
	incoming->foreign = NULL;
}

int mesh_incoming_foreign_answer(struct mesh_incoming *incoming, const struct mesh_frame *frame,
				 const void *head, size_t head_len)
{
	const struct mesh_stream_ops *ops = foreign_ops(incoming);
	struct mesh_stream_frame told = {.type = frame->type, .payload_len = frame->payload_len};
	struct transport_span *tail = &incoming->unsent.tail;
	bool has_tail = tail->data && tail->len;

	if (ops->send(incoming->foreign, &told, head, head_len, has_tail ? tail : NULL) < 0)
		return WEFT_ECLOSED;
	ops->finish(incoming->foreign);
	if (has_tail)
		tail->data = NULL; /* lent */
	return 0;
}

int mesh_incoming_accept(struct mesh *mesh, struct mesh_stream *stream,
			 const struct mesh_stream_events **out_events, void **out_arg)
{
	struct mesh_incoming *incoming = pool_acquire(&mesh->incoming);
	struct fair_path path;

	if (!incoming) {
		mesh->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	incoming->kind = MESH_STREAM_INCOMING;
	incoming->mesh = mesh;
	incoming->foreign = stream;
	mesh_incoming_path(incoming, &path);
	if (!mesh_slots_take(mesh, MESH_POOL_INCOMING, &path, &incoming->slot)) {
		mesh_incoming_note_refused(incoming,
					   mesh->slots.pools[MESH_POOL_INCOMING].config.name, 0);
		pool_release(&mesh->incoming, incoming);
		mesh->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	list_init(&incoming->node);
	timer_init(&incoming->timer, mesh_incoming_expire);
	timer_set(mesh->timers, &incoming->timer, mesh->now_ns + MESH_INCOMING_READ_NS);
	*out_events = &events;
	*out_arg = incoming;
	return 0;
}
