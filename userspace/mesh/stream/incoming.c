/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of peers: a frame of bounded size is read in bounded time and
 * handed to the handler of its type, whose answer is sent. Home worker.
 *
 * A bad request costs its stream, never the session: it is answered with
 * an error and what still comes of it is skipped.
 */
#include "mesh/mesh_state.h"

#include "base/assert.h"
#include "base/monotonic.h"

/* A request is whole within this. */
#define READ_NS (30 * NS_PER_S)
/* For an answer that holds no slot; the others are held to their rate (slots.c). */
#define DRAIN_TIMEOUT_NS (30 * NS_PER_S)

static struct mesh_incoming *incoming_of(struct mesh_stream *stream)
{
	return container_of(stream, struct mesh_incoming, stream);
}

/* --- the answer --- */

/* The request is decided, and its answer is on the way. */
static int incoming_answered(struct mesh_incoming *incoming)
{
	struct mesh_stream *stream = &incoming->stream;
	struct mesh *mesh = stream->mesh;
	int err;

	mesh_incoming_release_buffer(incoming);
	stream->in.body = NULL;
	stream->is_read = true;
	if (stream->foreign) {
		mesh_stream_finish(stream);
		mesh_stream_end(stream, &(struct mesh_stream_end){.err = 0});
		return 0;
	}
	if (fair_item_holds(&stream->slot))
		mesh_slots_wait_peer(incoming);
	else
		timer_set(mesh->timers, &stream->timer, mesh->now_ns + DRAIN_TIMEOUT_NS);
	stream->is_finish_wanted = true;
	err = mesh_stream_push(stream);
	return err == WEFT_EFULL ? 0 : err;
}

/* Sends the answer, now or when the stream takes it. Head may lie in the request's payload. */
static int incoming_send(struct mesh_incoming *incoming, const struct mesh_frame *frame,
			 const void *head, const struct transport_span *tail)
{
	struct mesh_stream *stream = &incoming->stream;
	int err;

	incoming->state = MESH_INCOMING_ANSWERED;
	err = mesh_stream_send(stream, frame, head, tail);
	if (err == WEFT_EFULL && !stream->foreign)
		err = mesh_stream_keep(stream, frame, head, tail);
	return err < 0 ? err : incoming_answered(incoming);
}

int mesh_incoming_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			 size_t head_len, const struct transport_span *tail)
{
	struct mesh_stream *stream = &incoming->stream;
	struct mesh *mesh = stream->mesh;
	struct mesh_frame frame = {.type = type,
				   .req_id = stream->req_id,
				   .flags = MESH_FLAG_RESPONSE,
				   .payload_len = head_len + (tail ? tail->len : 0)};
	const struct transport_span *lent = tail && tail->len ? tail : NULL;

	if (incoming->state == MESH_INCOMING_ORPHAN) {
		mesh_stream_release(stream);
		return WEFT_ECLOSED;
	}
	weft_assert(incoming->state == MESH_INCOMING_HANDED);
	incoming->lent = lent ? lent->arg : NULL;
	if (incoming_send(incoming, &frame, head, lent) < 0) {
		stream->unsent.tail.data = NULL; /* stays the caller's */
		mesh_stream_give_up(stream, WEFT_ECLOSED, MESH_CODE_INTERNAL);
		return WEFT_ECLOSED;
	}
	mesh->stats.served_cnt += type >= MESH_FIND_NODE;
	if (tail && !lent && tail->done)
		tail->done(tail->arg);
	return 0;
}

void mesh_incoming_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				const char *text, uint64_t not_before_ms)
{
	struct mesh_stream *stream = &incoming->stream;
	struct mesh_error error = {.code = code, .not_before_ms = not_before_ms};
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct mesh_frame frame;

	if (incoming->state == MESH_INCOMING_ORPHAN) {
		mesh_stream_release(stream);
		return;
	}
	stream->mesh->stats.faulted_cnt += code == MESH_CODE_INTERNAL || code == MESH_CODE_TIMEOUT;
	strncpy(error.text, text, sizeof(error.text) - 1);
	mesh_stream_error_frame(stream, &error, &frame, payload);
	if (incoming_send(incoming, &frame, payload, NULL) < 0)
		mesh_stream_give_up(stream, WEFT_ECLOSED, MESH_CODE_INTERNAL);
}

static void incoming_refuse(struct mesh_incoming *incoming, enum mesh_code code, const char *text)
{
	struct mesh_stats *stats = &incoming->stream.mesh->stats;

	if (code == MESH_CODE_UNKNOWN)
		stats->unknown_type_cnt++;
	else
		stats->malformed_cnt++;
	mesh_incoming_answer_error(incoming, code, text, 0);
}

/* The bytes of an answer to another worker's asker are with that worker. */
void mesh_incoming_recall(struct mesh *mesh, const void *arg)
{
	struct mesh_incoming *incoming = NULL;

	while ((incoming = pool_next(&mesh->incoming, incoming)))
		if (incoming->lent == arg && incoming->state == MESH_INCOMING_ANSWERED)
			mesh_stream_give_up(&incoming->stream, WEFT_ECANCELLED, MESH_CODE_ABSENT);
	mesh_foreign_recall(mesh, arg, MESH_CODE_ABSENT);
}

/* --- the asker leaves --- */

void mesh_incoming_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	incoming->gone = gone;
	incoming->gone_arg = arg;
	if (incoming->state == MESH_INCOMING_ORPHAN) {
		mesh_stream_release(&incoming->stream);
		gone(arg);
	}
}

/* A handler that is not called for it still has the request, and releases it by its answer. */
static void incoming_ended(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	struct mesh_incoming *incoming = incoming_of(stream);

	(void)end;
	if (incoming->state != MESH_INCOMING_HANDED)
		return;
	incoming->state = MESH_INCOMING_ORPHAN;
	stream->is_kept = !incoming->gone;
	if (incoming->gone)
		incoming->gone(incoming->gone_arg);
}

static void incoming_left(struct mesh_stream *stream)
{
	mesh_incoming_release_buffer(incoming_of(stream));
}

static void incoming_expire(struct mesh_stream *stream)
{
	stream->mesh->stats.timeout_cnt++;
	mesh_stream_give_up(stream, WEFT_ETIMEOUT, MESH_CODE_TIMEOUT);
}

static void incoming_closed(struct mesh_stream *stream, uint64_t code)
{
	mesh_stream_end(stream, &(struct mesh_stream_end){.err = WEFT_ECLOSED, .code = code});
}

/* --- the request --- */

/* The first frame shows what the stream is for, and that is not a request: incoming gives way. */
static void incoming_give_way(struct mesh_incoming *incoming)
{
	struct mesh_session *session = incoming->stream.session;
	struct transport_stream *transport = incoming->stream.transport;
	struct mesh_frame_in in = incoming->stream.in;

	mesh_stream_end(&incoming->stream, &(struct mesh_stream_end){.err = 0});
	if (in.frame.type != MESH_HELLO)
		mesh_frame_stream_adopt(session, transport, &in);
	else if (session->is_dialler || session->control.stream.transport)
		mesh_session_close(session, MESH_BYE_PROTOCOL, "second control stream");
	else
		mesh_control_adopt(session, transport, &in);
}

/* The head is known: the payload is read, the stream gives way, or the request is refused. */
static int incoming_admit(struct mesh_stream *stream)
{
	struct mesh_incoming *incoming = incoming_of(stream);
	const struct mesh_frame *frame = &stream->in.frame;
	const struct mesh_handler *handler = mesh_handler_slot(stream->mesh, frame->type);
	enum mesh_class class = mesh_registry_class(frame->type, false);

	stream->req_id = frame->req_id;
	if (frame->type == MESH_HELLO && !frame->flags && stream->session)
		incoming_give_way(incoming);
	else if (stream->is_spare)
		mesh_incoming_defer(incoming, MESH_POOL_INCOMING, "too many requests");
	else if (frame->flags)
		incoming_refuse(incoming, MESH_CODE_MALFORMED, "flags of an answer");
	else if (!handler || (!handler->fn && !handler->accept))
		incoming_refuse(incoming, MESH_CODE_UNKNOWN, "unknown type");
	else if (stream->session && mesh_session_bars(stream->session, frame->type))
		mesh_incoming_answer_error(incoming, MESH_CODE_REFUSED,
					   "content is not for a relay's control flow", 0);
	else if (frame->payload_len > mesh_class_payload_max(class))
		incoming_refuse(incoming, MESH_CODE_TOO_LARGE, "request too large");
	else if (handler->accept && mesh_frame_stream_has_room(stream->session))
		incoming_give_way(incoming);
	else if (handler->accept)
		mesh_incoming_defer(incoming, MESH_POOL_STREAMS, "too many streams");
	return 0;
}

static bool incoming_place(struct mesh_stream *stream)
{
	return mesh_incoming_take_buffer(incoming_of(stream));
}

static void incoming_whole(struct mesh_stream *stream, size_t more_len, bool fin)
{
	struct mesh_incoming *incoming = incoming_of(stream);
	const struct mesh_handler *handler = mesh_handler_slot(stream->mesh, stream->in.frame.type);
	struct mesh_call call = {
		.incoming = incoming,
		.peer_key = stream->peer.key,
		.type = stream->in.frame.type,
		.payload = incoming->buffer,
		.payload_len = stream->in.frame.payload_len,
	};

	(void)fin;
	if (more_len) {
		incoming_refuse(incoming, MESH_CODE_MALFORMED, "bytes after the request");
		return;
	}
	timer_cancel(stream->mesh->timers, &stream->timer);
	incoming->state = MESH_INCOMING_HANDED;
	stream->is_read = true;
	mesh_incoming_rest(incoming);
	handler->fn(handler->ctx, &call, stream->mesh->now_ns);
}

static void incoming_bad(struct mesh_stream *stream, int err)
{
	(void)err;
	incoming_refuse(incoming_of(stream), MESH_CODE_MALFORMED, "malformed frame");
}

static void incoming_cut(struct mesh_stream *stream)
{
	incoming_refuse(incoming_of(stream), MESH_CODE_MALFORMED, "request cut short");
}

static size_t incoming_input(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	if (!stream->is_read)
		mesh_incoming_note(incoming_of(stream), cursor_left(c));
	return mesh_stream_input(stream, c, fin);
}

static const struct mesh_stream_kind incoming_kind = {
	.slots = MESH_POOL_INCOMING,
	.input = incoming_input,
	.admit = incoming_admit,
	.place = incoming_place,
	.whole = incoming_whole,
	.bad = incoming_bad,
	.fin = incoming_cut,
	.expire = incoming_expire,
	.closed = incoming_closed,
	.ended = incoming_ended,
	.left = incoming_left,
};

static struct mesh_incoming *incoming_make(struct mesh *mesh)
{
	struct mesh_incoming *incoming =
		mesh_stream_make(mesh, &mesh->incoming, &incoming_kind, MESH_ROLE_INCOMING);

	if (incoming)
		timer_set(mesh->timers, &incoming->stream.timer, mesh->now_ns + READ_NS);
	return incoming;
}

int mesh_incoming_open(struct mesh_session *session, struct transport_stream *transport)
{
	struct mesh *mesh = session->mesh;
	const struct fair_path *path = mesh_slots_session_path(session);
	const char *pool = mesh->slots.pools[MESH_POOL_INCOMING].config.name;
	struct mesh_incoming *incoming = incoming_make(mesh);
	bool is_over;

	if (!incoming)
		return mesh_incoming_refuse_stream(session, transport, pool);
	is_over = session->stream_cnts[MESH_ROLE_INCOMING] >=
		  mesh_limits(session, mesh->config.incoming_per_session_cap);
	if (is_over)
		pool = "mesh.incoming_per_session_cap";
	else
		is_over = !mesh_slots_take(mesh, MESH_POOL_INCOMING, path, &incoming->stream.slot);
	/* The stream that brings HELLO must get through, however busy this node is. */
	incoming->stream.is_spare = is_over && !session->is_dialler &&
				    !session->control.stream.transport && !session->has_spare;
	if (is_over && !incoming->stream.is_spare) {
		mesh_stream_drop(&incoming->stream, 0);
		return mesh_incoming_refuse_stream(session, transport, pool);
	}
	session->has_spare |= incoming->stream.is_spare;
	mesh_stream_bind(&incoming->stream, session, transport);
	return 0;
}

struct mesh_stream *mesh_incoming_make_foreign(struct mesh *mesh,
					       const struct mesh_foreign *foreign,
					       const struct fair_path *path)
{
	struct mesh_incoming *incoming = incoming_make(mesh);
	const char *pool = mesh->slots.pools[MESH_POOL_INCOMING].config.name;

	if (incoming) {
		mesh_foreign_bind(&incoming->stream, foreign);
		if (mesh_slots_take(mesh, MESH_POOL_INCOMING, path, &incoming->stream.slot))
			return &incoming->stream;
	}
	mesh->stats.refused_cnt++;
	if (!incoming)
		return NULL;
	mesh_incoming_note_refused(incoming, pool, 0);
	incoming->stream.foreign = NULL; /* its carrier learns by the returned value */
	mesh_stream_drop(&incoming->stream, 0);
	return NULL;
}
