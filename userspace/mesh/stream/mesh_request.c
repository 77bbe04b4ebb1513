/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of this node: streams with one frame each way. The answer is read
 * into the asker's own memory. Home worker.
 */
#include "mesh/mesh_state.h"

#include <errno.h>

#include "base/monotonic.h"

/* The code of a stream's reset when its request is taken back, or has waited for too long. */
#define RESET_CANCELLED MESH_CODE_TIMEOUT

static struct mesh_request *request_of(struct mesh_stream *stream)
{
	return container_of(stream, struct mesh_request, stream);
}

size_t mesh_request_received(const struct mesh_request *request)
{
	return request->stream.in.body_len;
}

void mesh_request_cancel(struct mesh_request *request)
{
	mesh_stream_drop(&request->stream, RESET_CANCELLED);
}

/* The stream is over, so the asker may ask again inside reply. */
static void request_ended(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	struct mesh_request *request = request_of(stream);
	const struct mesh_frame *frame = &stream->in.frame;
	bool is_error = stream->in.has_frame && frame->flags & MESH_FLAG_ERROR;
	struct mesh_reply reply = {
		.err = end->err == WEFT_ECANCELLED ? WEFT_ECLOSED : end->err,
		.code = is_error ? (enum mesh_code)end->code : 0,
		.type = frame->type,
		.received_len = is_error ? 0 : mesh_request_received(request),
		.not_before_ns = end->not_before_ns ?: mesh_stream_deferred_until(stream),
		.actual_key = end->actual_key,
	};

	if (request->connected) {
		request->connected(request->arg, reply.err, reply.actual_key);
		return;
	}
	if (!reply.err) {
		reply.payload = request->reply_buf;
		reply.payload_len = frame->payload_len;
		reply.received_len = 0;
		reply.not_before_ns = 0;
	}
	request->reply(request->arg, &reply, stream->mesh->now_ns);
}

static uint64_t request_due_ns(const struct mesh_request *request)
{
	const struct mesh_stream *stream = &request->stream;
	uint64_t stall_at_ns = stream->progress_ns + request->stall_ns;
	uint64_t deadline_ns = stream->wait.deadline_ns;

	if (request->progress_len)
		deadline_ns +=
			stream->in.body_len / request->progress_len * stream->wait.timeout_ns;
	if (!stream->is_finished || !request->stall_ns || stall_at_ns > deadline_ns)
		return deadline_ns;
	return stall_at_ns;
}

/* What goes with a session itself says nothing of the peer's work. */
static void request_note(const struct mesh_stream *stream, const struct mesh_message_info *info,
			 enum mesh_work work)
{
	if (info->number >= MESH_FIND_NODE)
		mesh_note_work(stream->mesh, stream->peer.key, work, 0);
}

static void request_expire(struct mesh_stream *stream)
{
	struct mesh *mesh = stream->mesh;
	uint64_t due_ns = request_due_ns(request_of(stream));

	if (mesh->now_ns < due_ns) {
		timer_set(mesh->timers, &stream->timer, due_ns);
		return;
	}
	mesh->stats.timeout_cnt++;
	if (stream->is_finished)
		request_note(stream, request_of(stream)->info, MESH_WORK_FAILED);
	mesh_stream_give_up(stream, WEFT_ETIMEOUT, RESET_CANCELLED);
}

static void request_sent(struct mesh_stream *stream)
{
	struct mesh_request *request = request_of(stream);

	stream->progress_ns = stream->mesh->now_ns;
	mesh_liveness_begin(stream->session);
	if (request->stall_ns)
		timer_set(stream->mesh->timers, &stream->timer, request_due_ns(request));
}

/* The payload lies behind room for the longest head; the head goes right before it. */
static int request_opened(struct mesh_stream *stream)
{
	struct mesh_request *request = request_of(stream);
	struct mesh_frame frame = {.type = request->info->number,
				   .req_id = stream->session->next_req_id++,
				   .payload_len = request->payload_len};
	uint8_t head[MESH_FRAME_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));
	int err;

	stream->req_id = frame.req_id;
	mesh_frame_write(&w, &frame);
	stream->unsent.start = stream->unsent.buffer + MESH_FRAME_HEAD_LEN_MAX - writer_len(&w);
	stream->unsent.start_len = writer_len(&w) + request->payload_len;
	memcpy(stream->unsent.start, head, writer_len(&w));
	stream->is_finish_wanted = true;
	err = mesh_stream_push(stream);
	return err == WEFT_EFULL ? 0 : err;
}

static int code_err(uint32_t code)
{
	switch (code) {
	case MESH_CODE_INTERNAL:
		return -EIO;
	case MESH_CODE_MALFORMED:
		return WEFT_EMALFORMED;
	case MESH_CODE_ABSENT:
		return WEFT_EABSENT;
	case MESH_CODE_REFUSED:
		return WEFT_EREFUSED;
	case MESH_CODE_TOO_LARGE:
		return WEFT_ETOOLARGE;
	case MESH_CODE_TIMEOUT:
		return WEFT_ETIMEOUT;
	case MESH_CODE_CHANGED:
		return WEFT_ECHANGED;
	case MESH_CODE_BUSY:
		return WEFT_EBUSY;
	default:
		return WEFT_EUNKNOWN;
	}
}

/* The head of the answer is known: a place for the payload, or why there is none. */
static int answer_admit(struct mesh_stream *stream)
{
	struct mesh_request *request = request_of(stream);
	const struct mesh_frame *frame = &stream->in.frame;
	const struct mesh_message_info *info = mesh_registry_lookup(frame->type);

	if (frame->flags == (MESH_FLAG_RESPONSE | MESH_FLAG_ERROR)) {
		/* A peer too busy to read the request does not know its number. */
		if (frame->type != MESH_ERROR || (frame->req_id && frame->req_id != stream->req_id))
			return WEFT_EMALFORMED;
		if (frame->payload_len > sizeof(request->error))
			return WEFT_ETOOLARGE;
		stream->in.body = request->error;
		return 0;
	}
	if (frame->flags != MESH_FLAG_RESPONSE || frame->req_id != stream->req_id || !info ||
	    !mesh_registry_is_answer(request->info, frame->type))
		return WEFT_EMALFORMED;
	if (frame->payload_len > mesh_class_payload_max(info->answer_class) ||
	    frame->payload_len > request->reply_cap)
		return WEFT_ETOOLARGE;
	stream->in.body = request->reply_buf;
	return 0;
}

void mesh_request_read_error(struct mesh_stream *stream, const uint8_t *payload,
			     struct mesh_stream_end *out_end)
{
	struct mesh *mesh = stream->mesh;
	struct mesh_error error;
	int err = mesh_error_parse(payload, stream->in.frame.payload_len, &error);

	*out_end = (struct mesh_stream_end){.err = err};
	if (err < 0)
		return;
	if (error.not_before_ms > MESH_NOT_BEFORE_MS_MAX)
		error.not_before_ms = MESH_NOT_BEFORE_MS_MAX;
	if (error.not_before_ms)
		out_end->not_before_ns = mesh->now_ns + error.not_before_ms * NS_PER_MS;
	out_end->code = error.code;
	out_end->err = code_err(error.code);
	if (out_end->err == WEFT_EBUSY || out_end->err == WEFT_EREFUSED)
		mesh_deferrals_note(&mesh->deferrals, stream->peer.key, stream->wait.type,
				    out_end->not_before_ns, mesh->now_ns);
}

static void answer_bad(struct mesh_stream *stream, int err)
{
	stream->mesh->stats.malformed_cnt++;
	request_note(stream, request_of(stream)->info, MESH_WORK_FAILED);
	mesh_stream_give_up(stream, err, RESET_CANCELLED);
}

static void answer_cut(struct mesh_stream *stream)
{
	answer_bad(stream, WEFT_EMALFORMED);
}

static void answer_whole(struct mesh_stream *stream, size_t more_len, bool fin)
{
	struct mesh_request *request = request_of(stream);
	struct mesh_stream_end end = {.err = 0};

	if (more_len) {
		answer_bad(stream, WEFT_EMALFORMED);
		return;
	}
	if (stream->in.frame.flags & MESH_FLAG_ERROR)
		mesh_request_read_error(stream, request->error, &end);
	else if (request->info->number >= MESH_FIND_NODE)
		mesh_note_useful(stream->mesh, stream->peer.key, 1);
	if (!(stream->in.frame.flags & MESH_FLAG_ERROR))
		request_note(stream, request->info, MESH_WORK_ANSWERED);
	else if (end.code == MESH_CODE_INTERNAL || end.code == MESH_CODE_TIMEOUT)
		request_note(stream, request->info, MESH_WORK_FAILED);
	/* The peer's fin may come later: the stream ends now all the same. */
	if (!fin)
		mesh_transport_ops(stream->mesh)->reset(stream->transport, 0);
	mesh_stream_end(stream, &end);
}

/* Streams end before their connection, which has the reason. */
static void request_closed(struct mesh_stream *stream, uint64_t code)
{
	struct mesh_session *session = stream->session;
	struct mesh_stream_end end = {.err = WEFT_ECLOSED};
	struct transport_conn_info info;

	(void)code;
	mesh_transport_ops(stream->mesh)->info(session->conn, &info);
	if (info.has_ended)
		mesh_session_note_deferral(session, &info.end);
	if (info.has_ended && info.end.not_before_ms)
		end.err = WEFT_EBUSY;
	mesh_stream_end(stream, &end);
}

static const struct mesh_stream_kind request_kind = {
	.input = mesh_stream_input,
	.admit = answer_admit,
	.whole = answer_whole,
	.bad = answer_bad,
	.fin = answer_cut,
	.opened = request_opened,
	.sent = request_sent,
	.expire = request_expire,
	.closed = request_closed,
	.ended = request_ended,
};

static void connect_connected(struct mesh_stream *stream)
{
	mesh_stream_end(stream, &(struct mesh_stream_end){.err = 0});
}

static const struct mesh_stream_kind connect_kind = {
	.wants_addr = true,
	.connected = connect_connected,
	.ended = request_ended,
};

static struct mesh_request *request_make(struct mesh *mesh, const struct mesh_stream_kind *kind,
					 const uint8_t *key)
{
	struct mesh_request *request = NULL;

	if (mesh_stream_has_room(mesh, key) &&
	    mesh->stream_cnts[MESH_ROLE_REQUEST] < mesh->config.request_cap)
		request = mesh_stream_make(mesh, &mesh->requests, kind, MESH_ROLE_REQUEST);
	mesh->stats.refused_cnt += !request;
	return request;
}

static int ask_check(const struct mesh *mesh, const struct mesh_ask *ask)
{
	const struct mesh_message_info *info = mesh_registry_lookup(ask->type);
	int err = mesh_stream_check_peer(mesh, &ask->peer);

	if (err < 0)
		return err;
	if (!info || !info->answered_by || info->request_class == MESH_CLASS_SESSION)
		return WEFT_EMALFORMED;
	if (ask->payload_len > mesh_class_payload_max(info->request_class) ||
	    ask->payload_len > MESH_ASK_LEN_MAX)
		return WEFT_ETOOLARGE;
	return 0;
}

/* Room for a head, then the payload. */
static int request_copy(struct mesh_request *request, const struct mesh_ask *ask)
{
	struct mesh *mesh = request->stream.mesh;
	uint8_t *buffer = mesh_buffers_acquire_own(&mesh->buffers,
						   MESH_FRAME_HEAD_LEN_MAX + ask->payload_len);

	if (!buffer) {
		mesh->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	if (ask->payload_len)
		memcpy(buffer + MESH_FRAME_HEAD_LEN_MAX, ask->payload, ask->payload_len);
	request->stream.unsent.buffer = buffer;
	request->payload_len = ask->payload_len;
	return 0;
}

int mesh_request_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request)
{
	struct mesh_request *request;
	int err;

	mesh_turn(mesh, now_ns);
	if ((err = ask_check(mesh, ask)) < 0)
		return err;
	request = request_make(mesh, &request_kind, ask->peer.key);
	if (!request)
		return WEFT_EFULL;
	request->info = mesh_registry_lookup(ask->type);
	request->reply_buf = ask->reply_buf;
	request->reply_cap = ask->reply_cap;
	request->stall_ns = ask->stall_ns;
	request->progress_len = ask->progress_len;
	request->reply = ask->reply;
	request->arg = ask->arg;
	mesh_stream_await_init(&request->stream, &ask->peer, ask->type, ask->timeout_ns);
	if ((err = request_copy(request, ask)) < 0 ||
	    (err = mesh_stream_await(&request->stream, &ask->peer)) < 0) {
		mesh_request_cancel(request);
		return err;
	}
	*out_request = request;
	return 0;
}

int mesh_request_connect(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns,
			 struct mesh_request **out_request)
{
	struct mesh_request *request;
	int err;

	mesh_turn(mesh, now_ns);
	if ((err = mesh_stream_check_peer(mesh, connect->peer)) < 0)
		return err;
	request = request_make(mesh, &connect_kind, connect->peer->key);
	if (!request)
		return WEFT_EFULL;
	request->connected = connect->done;
	request->arg = connect->arg;
	mesh_stream_await_init(&request->stream, connect->peer, MESH_DEFER_ALL,
			       connect->timeout_ns);
	if ((err = mesh_stream_await(&request->stream, connect->peer)) < 0) {
		mesh_request_cancel(request);
		return err;
	}
	*out_request = request;
	return 0;
}

int mesh_connect(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns)
{
	struct mesh_request *request;

	return mesh_request_connect(mesh, connect, now_ns, &request);
}
