/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of peers, each on its stream: read a frame of bounded size in
 * bounded time, hand it to the handler of its type, send what it answers.
 * Home worker.
 *
 * A bad request costs its stream, never the session: it is answered with
 * an error and what still comes of it is skipped.
 */
#include "mesh_stream.h"

#include "base/assert.h"
#include "base/monotonic.h"

/* For an answer that holds no slot; the others are held to their rate (slots.c). */
#define DRAIN_TIMEOUT_NS (30 * NS_PER_S)
/* What may still come on the stream of a refused request. */
#define SKIP_LEN_MAX (64u * 1024)

static const struct transport_ops *incoming_ops(const struct mesh_incoming *incoming)
{
	return incoming->mesh->transport->ops;
}

/* Takes incoming out of its session, if it is in one; the stream is no longer its. */
static void incoming_detach(struct mesh_incoming *incoming)
{
	struct mesh_session *session = incoming->session;

	list_unlink(&incoming->node);
	if (incoming->foreign)
		mesh_incoming_foreign_leave(incoming);
	if (incoming->stream)
		incoming->stream->user = NULL;
	incoming->stream = NULL;
	if (session && incoming->is_spare)
		session->has_spare = false;
	else if (session)
		session->incoming_cnt--;
	incoming->session = NULL;
	timer_cancel(incoming->mesh->timers, &incoming->timer);
	fair_release(&incoming->mesh->slots.pools[MESH_POOL_INCOMING], &incoming->slot,
		     incoming->mesh->now_ns);
	mesh_incoming_release_buffer(incoming);
}

static void incoming_free(struct mesh_incoming *incoming)
{
	struct transport_span tail = mesh_unsent_drop(&incoming->unsent, &incoming->mesh->buffers);

	incoming_detach(incoming);
	pool_release(&incoming->mesh->incoming, incoming);
	if (tail.data && tail.done)
		tail.done(tail.arg);
}

void mesh_incoming_gone(struct mesh_incoming *incoming)
{
	void (*gone)(void *arg) = incoming->gone;
	void *arg = incoming->gone_arg;

	if (incoming->state != MESH_INCOMING_HANDED) {
		incoming_free(incoming);
		return;
	}
	incoming_detach(incoming);
	if (!gone) {
		incoming->state = MESH_INCOMING_ORPHAN;
		return;
	}
	incoming_free(incoming);
	gone(arg);
}

void mesh_incoming_reset(struct mesh_incoming *incoming, uint64_t code)
{
	struct mesh_stream *foreign = incoming->foreign;

	if (foreign)
		mesh_incoming_foreign_leave(incoming);
	if (foreign)
		mesh_stream_drop(foreign, code);
	else
		incoming_ops(incoming)->reset(incoming->stream, code);
	mesh_incoming_gone(incoming);
}

void mesh_incoming_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_incoming *incoming = container_of(timer, struct mesh_incoming, timer);

	incoming->mesh->now_ns = now_ns;
	incoming->mesh->stats.timeout_cnt++;
	mesh_incoming_reset(incoming, MESH_CODE_TIMEOUT);
}

/* Sends what is left of an answer. 0, WEFT_EFULL (stream_writable follows), WEFT_ECLOSED. */
static int incoming_push(struct mesh_incoming *incoming)
{
	int err = mesh_unsent_push(&incoming->unsent, &incoming->mesh->buffers,
				   incoming_ops(incoming), incoming->stream);

	if (err < 0)
		return err;
	incoming_ops(incoming)->finish(incoming->stream);
	incoming->is_finished = true;
	return 0;
}

void mesh_incoming_writable(struct mesh_incoming *incoming)
{
	int err;

	if (incoming->state != MESH_INCOMING_ANSWERED || incoming->is_finished)
		return;
	err = incoming_push(incoming);
	if (err < 0 && err != WEFT_EFULL)
		mesh_incoming_reset(incoming, MESH_CODE_INTERNAL);
}

/* The request is decided, and a stream of another worker takes all of the answer or nothing. */
static int incoming_send_foreign(struct mesh_incoming *incoming, const struct mesh_frame *frame,
				 const void *head, size_t head_len)
{
	int err = mesh_incoming_foreign_answer(incoming, frame, head, head_len);

	if (err < 0)
		return err;
	incoming->mesh->stats.frame_out_cnt++;
	incoming_free(incoming);
	return 0;
}

/*
 * The request is decided: instead of its payload a buffer holds the
 * answer's start, until the stream takes it.
 */
static int incoming_send(struct mesh_incoming *incoming, const struct mesh_frame *frame,
			 const void *head, size_t head_len)
{
	const size_t cap = MESH_FRAME_HEAD_LEN_MAX + MESH_HEAD_LEN_MAX;
	struct mesh *mesh = incoming->mesh;
	uint8_t *buffer;
	struct writer w;
	int err;

	if (incoming->foreign)
		return incoming_send_foreign(incoming, frame, head, head_len);
	buffer = mesh_buffers_acquire(&mesh->buffers, cap);
	/* The shelf has one for each request, but frames that wait for a stream take of it too. */
	if (!buffer)
		return WEFT_EFULL;
	w = writer_of(buffer, cap);
	mesh_frame_write(&w, frame);
	writer_bytes(&w, head, head_len); /* which may lie in the request's payload */
	weft_assert(!w.bad);
	mesh_incoming_release_buffer(incoming);
	incoming->unsent.start = buffer;
	incoming->unsent.start_len = writer_len(&w);
	incoming->state = MESH_INCOMING_ANSWERED;
	incoming->in.body = NULL;
	mesh->stats.frame_out_cnt++;
	if (fair_item_holds(&incoming->slot))
		mesh_slots_wait_peer(incoming);
	else
		timer_set(mesh->timers, &incoming->timer, mesh->now_ns + DRAIN_TIMEOUT_NS);
	err = incoming_push(incoming);
	return err == WEFT_EFULL ? 0 : err;
}

int mesh_incoming_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			 size_t head_len, const struct transport_span *tail)
{
	struct mesh_frame frame = {.type = type,
				   .req_id = incoming->req_id,
				   .flags = MESH_FLAG_RESPONSE,
				   .payload_len = head_len + (tail ? tail->len : 0)};

	if (incoming->state == MESH_INCOMING_ORPHAN) {
		incoming_free(incoming);
		return WEFT_ECLOSED;
	}
	weft_assert(incoming->state == MESH_INCOMING_HANDED);
	if (tail)
		incoming->unsent.tail = *tail;
	if (incoming_send(incoming, &frame, head, head_len) < 0) {
		incoming->unsent.tail.data = NULL; /* stays the caller's */
		mesh_incoming_reset(incoming, MESH_CODE_INTERNAL);
		return WEFT_ECLOSED;
	}
	return 0;
}

void mesh_incoming_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				const char *text, uint64_t not_before_ms)
{
	struct mesh_error error = {.code = code, .not_before_ms = not_before_ms};
	struct mesh_frame frame = {.type = MESH_ERROR,
				   .req_id = incoming->req_id,
				   .flags = MESH_FLAG_RESPONSE | MESH_FLAG_ERROR};
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	if (incoming->state == MESH_INCOMING_ORPHAN) {
		incoming_free(incoming);
		return;
	}
	strncpy(error.text, text, sizeof(error.text) - 1);
	mesh_error_write(&w, &error);
	frame.payload_len = writer_len(&w);
	if (incoming_send(incoming, &frame, payload, frame.payload_len) < 0)
		mesh_incoming_reset(incoming, MESH_CODE_INTERNAL);
}

void mesh_incoming_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	incoming->gone = gone;
	incoming->gone_arg = arg;
	if (incoming->state == MESH_INCOMING_ORPHAN) {
		incoming_free(incoming);
		gone(arg);
	}
}

void mesh_incoming_refuse(struct mesh_incoming *incoming, enum mesh_code code, const char *text)
{
	struct mesh_stats *stats = &incoming->mesh->stats;

	if (code == MESH_CODE_UNKNOWN)
		stats->unknown_type_cnt++;
	else
		stats->malformed_cnt++;
	mesh_incoming_answer_error(incoming, code, text, 0);
}

int mesh_incoming_open(struct mesh_session *session, struct transport_stream *stream)
{
	struct mesh *mesh = session->mesh;
	const struct fair_path *path = mesh_slots_session_path(session);
	struct mesh_incoming *incoming = pool_acquire(&mesh->incoming);
	const char *pool = mesh->slots.pools[MESH_POOL_INCOMING].config.name;
	bool is_over, is_spare;

	if (!incoming)
		return mesh_incoming_refuse_stream(session, stream, pool);
	is_over = session->incoming_cnt >=
		  mesh_limits(session, mesh->config.incoming_per_session_cap);
	if (is_over)
		pool = "mesh.incoming_per_session_cap";
	else
		is_over = !mesh_slots_take(mesh, MESH_POOL_INCOMING, path, &incoming->slot);
	/* The stream that brings HELLO must get through however busy we are. */
	is_spare =
		is_over && !session->is_dialler && !session->control.stream && !session->has_spare;
	if (is_over && !is_spare) {
		pool_release(&mesh->incoming, incoming);
		return mesh_incoming_refuse_stream(session, stream, pool);
	}
	incoming->kind = MESH_STREAM_INCOMING;
	incoming->mesh = mesh;
	incoming->session = session;
	incoming->stream = stream;
	incoming->is_spare = is_spare;
	stream->user = incoming;
	list_push_back(&session->incoming, &incoming->node);
	if (is_spare)
		session->has_spare = true;
	else
		session->incoming_cnt++;
	timer_init(&incoming->timer, mesh_incoming_expire);
	timer_set(mesh->timers, &incoming->timer, mesh->now_ns + MESH_INCOMING_READ_NS);
	return 0;
}

enum incoming_admitted {
	INCOMING_REQUEST, /* its payload is to be read */
	INCOMING_STREAM,  /* it begins a stream, which there is room for */
	INCOMING_REFUSED, /* incoming may be gone: the refusal could not be said either */
};

/* The head is known: refuse, or go on. */
static enum incoming_admitted incoming_admit(struct mesh_incoming *incoming)
{
	const struct mesh_frame *frame = &incoming->in.frame;
	struct mesh *mesh = incoming->mesh;
	const struct mesh_handler *handler = mesh_handler_slot(mesh, frame->type);
	enum mesh_class class = mesh_registry_class(frame->type, false);

	incoming->req_id = frame->req_id;
	if (incoming->is_spare)
		mesh_incoming_defer(incoming, MESH_POOL_INCOMING, "too many requests");
	else if (frame->flags)
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "flags of an answer");
	else if (!handler || (!handler->fn && !handler->accept))
		mesh_incoming_refuse(incoming, MESH_CODE_UNKNOWN, "unknown type");
	else if (frame->payload_len > mesh_class_payload_max(class))
		mesh_incoming_refuse(incoming, MESH_CODE_TOO_LARGE, "request too large");
	else if (handler->accept && mesh_stream_has_room(incoming->session))
		return INCOMING_STREAM;
	else if (handler->accept)
		mesh_incoming_defer(incoming, MESH_POOL_STREAMS, "too many streams");
	else
		return INCOMING_REQUEST;
	return INCOMING_REFUSED;
}

void mesh_incoming_hand_over(struct mesh_incoming *incoming)
{
	const struct mesh_frame *frame = &incoming->in.frame;
	struct mesh *mesh = incoming->mesh;
	unsigned idx = mesh_registry_idx(mesh_registry_lookup(frame->type));
	struct mesh_call call = {
		.incoming = incoming,
		.peer_key =
			incoming->foreign ? incoming->foreign->peer.key : incoming->session->key,
		.type = frame->type,
		.payload = incoming->buffer,
		.payload_len = frame->payload_len,
	};

	mesh->stats.frame_in_cnt++;
	timer_cancel(mesh->timers, &incoming->timer);
	incoming->state = MESH_INCOMING_HANDED;
	mesh_incoming_rest(incoming);
	mesh->handlers[idx].fn(mesh->handlers[idx].ctx, &call, mesh->now_ns);
}

/* The first frame shows what the stream is for, and that is not a request: incoming gives way. */
static size_t incoming_give_way(struct mesh_incoming *incoming, struct cursor *c, bool fin)
{
	struct mesh_session *session = incoming->session;
	struct transport_stream *stream = incoming->stream;
	struct mesh_frame_in in = incoming->in;

	incoming_free(incoming);
	if (in.frame.type != MESH_HELLO)
		return mesh_stream_adopt(session, stream, &in, c, fin);
	if (session->is_dialler || session->control.stream)
		mesh_session_close(session, MESH_BYE_PROTOCOL, "second control stream");
	else
		mesh_control_adopt(session, stream, &in, c, fin);
	return 0;
}

static size_t incoming_read(struct mesh_incoming *incoming, struct cursor *c, bool fin)
{
	bool had_frame = incoming->in.has_frame;
	int got = mesh_frame_in_head(&incoming->in, c);

	if (got < 0) {
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "malformed frame");
		return 0;
	}
	if (got && !had_frame) {
		enum incoming_admitted admitted = INCOMING_STREAM;

		if (incoming->in.frame.type != MESH_HELLO || incoming->in.frame.flags)
			admitted = incoming_admit(incoming);
		if (admitted == INCOMING_STREAM)
			return incoming_give_way(incoming, c, fin);
		if (admitted == INCOMING_REFUSED)
			return 0;
	}
	/* A payload's place is taken when there is something to put into it. */
	if (got && !incoming->buffer && (cursor_left(c) || !incoming->in.frame.payload_len) &&
	    !mesh_incoming_take_buffer(incoming))
		return 0;
	if (got && incoming->buffer && mesh_frame_in_body(&incoming->in, c)) {
		if (cursor_left(c))
			mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED,
					     "bytes after the request");
		else
			mesh_incoming_hand_over(incoming);
	} else if (fin) {
		mesh_incoming_refuse(incoming, MESH_CODE_MALFORMED, "request cut short");
	}
	return 0;
}

size_t mesh_incoming_data(struct mesh_incoming *incoming, struct cursor *c, bool fin)
{
	if (incoming->state == MESH_INCOMING_READING) {
		mesh_incoming_note(incoming, cursor_left(c));
		return incoming_read(incoming, c, fin);
	}
	incoming->skipped_len += cursor_left(c);
	if (incoming->skipped_len > SKIP_LEN_MAX)
		mesh_incoming_reset(incoming, MESH_CODE_MALFORMED);
	return 0;
}
