/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives on a stream of frames: heads are read here, payloads handed
 * through as the packets bring them. A frame that breaks the rules costs
 * its stream. Home worker.
 */
#include "mesh_stream.h"

/* The head of a frame is known: tell of it, or say what is wrong with it. */
static int frame_admit(struct mesh_stream *stream)
{
	const struct mesh_frame *frame = &stream->in.frame;
	bool is_answer = stream->side == MESH_SIDE_OPENER;
	unsigned flags = frame->flags ^ (is_answer ? MESH_FLAG_RESPONSE : 0);
	struct mesh_stream_frame told = {frame->type, flags, frame->payload_len};
	enum mesh_class class = mesh_registry_class(frame->type, is_answer);

	/* A peer too busy to read the first frame does not know its number. */
	if (frame->req_id != stream->req_id && (flags != MESH_FLAG_ERROR || frame->req_id))
		return WEFT_EMALFORMED;
	if (is_answer && flags == MESH_FLAG_ERROR) {
		stream->in.body = stream->error;
		if (frame->type != MESH_ERROR)
			return WEFT_EMALFORMED;
		return frame->payload_len > sizeof(stream->error) ? WEFT_ETOOLARGE : 0;
	}
	if (flags & ~MESH_STREAM_FLAGS || class == MESH_CLASS_NONE || class == MESH_CLASS_SESSION)
		return WEFT_EMALFORMED;
	if (frame->payload_len > mesh_class_payload_max(class))
		return WEFT_ETOOLARGE;
	stream->events->frame(stream->arg, &told, stream->mesh->now_ns);
	return 0;
}

static void stream_read_error(struct mesh_stream *stream)
{
	struct mesh_reply reply = {0};
	struct mesh_stream_end end = {
		.err = mesh_request_read_error(stream->mesh, stream->error,
					       stream->in.frame.payload_len, &reply),
	};

	end.code = reply.code;
	end.not_before_ns = reply.not_before_ns;
	reply.err = end.err;
	if (stream->side == MESH_SIDE_OPENER)
		mesh_request_note_deferral(stream->mesh, stream->peer.key, MESH_CALL, &reply);
	mesh_transport_ops(stream->mesh)->reset(stream->transport, 0);
	mesh_stream_end(stream, &end);
}

static void stream_bad(struct mesh_stream *stream, int err)
{
	stream->mesh->stats.malformed_cnt++;
	mesh_stream_give_up(stream, err,
			    err == WEFT_ETOOLARGE ? MESH_CODE_TOO_LARGE : MESH_CODE_MALFORMED);
}

/* Takes bytes of the payload: those of an error are kept, others handed out. */
static size_t payload_take(struct mesh_stream *stream, struct cursor *c)
{
	struct mesh_frame_in *in = &stream->in;
	size_t len = in->frame.payload_len - in->body_len;

	if (in->body) {
		(void)mesh_frame_in_body(in, c);
		return 0;
	}
	if (len > cursor_left(c))
		len = cursor_left(c);
	if (!len)
		return 0;
	in->body_len += len;
	stream->unused_len += len;
	stream->events->data(stream->arg, cursor_bytes(c, len), len, stream->mesh->now_ns);
	return len;
}

/* Takes bytes up to the end of a frame at most; the number of those handed out. */
static size_t frame_take(struct mesh_stream *stream, struct cursor *c)
{
	struct mesh_frame_in *in = &stream->in;
	bool had_frame = in->has_frame;
	int got = mesh_frame_in_head(in, c);
	size_t held;

	if (got > 0 && !had_frame)
		got = frame_admit(stream) ?: 1;
	if (stream->is_over)
		return 0;
	if (got < 0)
		stream_bad(stream, got);
	if (got <= 0)
		return 0;
	held = payload_take(stream, c);
	if (stream->is_over || in->body_len < in->frame.payload_len)
		return held;
	stream->mesh->stats.frame_in_cnt++;
	if (in->body)
		stream_read_error(stream);
	mesh_frame_in_reset(in);
	return held;
}

static void stream_finished(struct mesh_stream *stream)
{
	if (mesh_stream_is_cut(stream)) {
		stream_bad(stream, WEFT_EMALFORMED);
		return;
	}
	stream->has_fin = true;
	mesh_stream_half_closed(stream);
	stream->events->finished(stream->arg, stream->mesh->now_ns);
}

static size_t stream_read(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	struct mesh *mesh = stream->mesh;
	size_t held = 0;

	stream->progress_ns = mesh->now_ns;
	do
		held += frame_take(stream, c);
	while (cursor_left(c) && !stream->is_over);
	if (fin && !stream->is_over)
		stream_finished(stream);
	if (!stream->is_over && mesh_stream_is_cut(stream) && !timer_is_set(&stream->timer))
		timer_set(mesh->timers, &stream->timer, mesh->now_ns + MESH_STREAM_STALL_NS);
	return held;
}

size_t mesh_stream_data(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	bool was_telling = mesh_stream_enter(stream);
	size_t held = stream_read(stream, c, fin);

	mesh_stream_leave(stream, was_telling);
	return held;
}

size_t mesh_stream_adopt(struct mesh_session *session, struct transport_stream *transport,
			 const struct mesh_frame_in *in, struct cursor *c, bool fin)
{
	struct mesh *mesh = session->mesh;
	const struct mesh_handler *acceptor = mesh_handler_slot(mesh, in->frame.type);
	struct mesh_stream *stream = mesh_stream_take(session, transport, in->frame.req_id);
	bool was_telling = mesh_stream_enter(stream);
	size_t held = 0;
	int err;

	stream->in = *in;
	err = acceptor->accept(acceptor->ctx, stream, in->frame.type, mesh->now_ns, &stream->events,
			       &stream->arg);
	if (err < 0)
		mesh_stream_drop(stream, MESH_CODE_REFUSED);
	if (!stream->is_over && (err = frame_admit(stream)) < 0)
		stream_bad(stream, err);
	if (!stream->is_over)
		held = stream_read(stream, c, fin);
	mesh_stream_leave(stream, was_telling);
	return held;
}
