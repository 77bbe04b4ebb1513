/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of any number of frames (seam_stream.h). Payloads are handed through as the packets
 * bring them. A frame that breaks the rules costs its stream. Home worker.
 *
 * At most one frame waits here, while there is no transport stream or it is full. Its head lies
 * in a buffer, its tail where it was lent.
 */
#include "base/assert.h"
#include "base/monotonic.h"
#include "mesh/mesh_state.h"

/* A frame that was begun goes on within this. */
#define STALL_NS (30 * NS_PER_S)
/* Time for the last bytes of a stream that both sides finished to be acknowledged. */
#define DRAIN_TIMEOUT_NS (60 * NS_PER_S)

/* For each stream that is in use another may lack but the peer's last acknowledgement. */
#define STREAMS_PER_USED 2

_Static_assert(MESH_STREAM_HEAD_LEN_MAX + MESH_FRAME_HEAD_LEN_MAX <= TRANSPORT_COPY_LEN_MAX,
	       "a head goes out in one piece");

static struct mesh_frame_stream *frames_of(struct mesh_stream *stream)
{
	return container_of(stream, struct mesh_frame_stream, stream);
}

static bool stream_is_opened(const struct mesh_stream *stream)
{
	return stream->role == MESH_ROLE_OPENED;
}

/* --- what arrives --- */

/* The head of a frame is known: report it, or say what is wrong with it. */
static int frames_admit(struct mesh_stream *stream)
{
	struct mesh_frame_stream *frames = frames_of(stream);
	const struct mesh_frame *frame = &stream->in.frame;
	bool is_answer = stream_is_opened(stream);
	unsigned flags = frame->flags ^ (is_answer ? MESH_FLAG_RESPONSE : 0);
	struct mesh_stream_frame told = {frame->type, flags, frame->payload_len};
	enum mesh_class class = mesh_registry_class(frame->type, is_answer);

	/* A peer too busy to read the first frame does not know its number. */
	if (frame->req_id != stream->req_id && (flags != MESH_FLAG_ERROR || frame->req_id))
		return WEFT_EMALFORMED;
	if (is_answer && flags == MESH_FLAG_ERROR) {
		stream->in.body = frames->error;
		if (frame->type != MESH_ERROR)
			return WEFT_EMALFORMED;
		return frame->payload_len > sizeof(frames->error) ? WEFT_ETOOLARGE : 0;
	}
	if (flags & ~MESH_STREAM_FLAGS || class == MESH_CLASS_NONE || class == MESH_CLASS_SESSION)
		return WEFT_EMALFORMED;
	if (frame->payload_len > mesh_class_payload_max(class))
		return WEFT_ETOOLARGE;
	frames->events->frame(frames->arg, &told, stream->mesh->now_ns);
	return 0;
}

static void frames_data(struct mesh_stream *stream, const uint8_t *data, size_t len)
{
	struct mesh_frame_stream *frames = frames_of(stream);

	frames->events->data(frames->arg, data, len, stream->mesh->now_ns);
}

/* Only an error has its payload kept. */
static void frames_whole(struct mesh_stream *stream, size_t more_len, bool fin)
{
	struct mesh_stream_end end;

	(void)more_len, (void)fin;
	if (!stream->in.body)
		return;
	mesh_request_read_error(stream, stream->in.body, &end);
	mesh_transport_ops(stream->mesh)->reset(stream->transport, 0);
	mesh_stream_end(stream, &end);
}

static void frames_bad(struct mesh_stream *stream, int err)
{
	stream->mesh->stats.malformed_cnt++;
	mesh_stream_give_up(stream, err,
			    err == WEFT_ETOOLARGE ? MESH_CODE_TOO_LARGE : MESH_CODE_MALFORMED);
}

/* One direction more is finished. */
static void frames_half_closed(struct mesh_stream *stream)
{
	if (stream->has_fin && stream->is_finished)
		timer_set(stream->mesh->timers, &stream->timer,
			  stream->mesh->now_ns + DRAIN_TIMEOUT_NS);
}

static void frames_fin(struct mesh_stream *stream)
{
	struct mesh_frame_stream *frames = frames_of(stream);

	if (mesh_stream_is_cut(stream)) {
		frames_bad(stream, WEFT_EMALFORMED);
		return;
	}
	stream->has_fin = true;
	frames_half_closed(stream);
	frames->events->finished(frames->arg, stream->mesh->now_ns);
}

static size_t frames_input(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	struct mesh *mesh = stream->mesh;
	bool was_busy = mesh_stream_enter(stream);
	size_t held = mesh_stream_input(stream, c, fin);

	if (!stream->is_over && !stream->foreign && mesh_stream_is_cut(stream) &&
	    !timer_is_set(&stream->timer))
		timer_set(mesh->timers, &stream->timer, mesh->now_ns + STALL_NS);
	mesh_stream_leave(stream, was_busy);
	return held;
}

static void frames_expire(struct mesh_stream *stream)
{
	struct mesh *mesh = stream->mesh;
	bool is_draining = stream->has_fin && stream->is_finished;
	uint64_t due_ns = stream->progress_ns + STALL_NS;

	if (!is_draining) {
		if (!mesh_stream_is_cut(stream))
			return;
		/* A user that holds back its consume is the one to be waited for. */
		if (stream->unused_len)
			due_ns = mesh->now_ns + STALL_NS;
		if (mesh->now_ns < due_ns) {
			timer_set(mesh->timers, &stream->timer, due_ns);
			return;
		}
	}
	mesh->stats.timeout_cnt++;
	mesh_stream_give_up(stream, WEFT_ETIMEOUT, MESH_CODE_TIMEOUT);
}

/* --- the way to a session, and its end --- */

static void frames_writable(struct mesh_stream *stream)
{
	struct mesh_frame_stream *frames = frames_of(stream);
	bool was_busy;

	if (!(frames->wants_writable || frames->wants_session) || stream->is_finish_wanted)
		return;
	frames->wants_writable = false;
	frames->wants_session = false;
	was_busy = mesh_stream_enter(stream);
	frames->events->writable(frames->arg, stream->mesh->now_ns);
	mesh_stream_leave(stream, was_busy);
}

/* The first frame of an opened stream went out: its peer owes a packet now. */
static void frames_note_sent(struct mesh_frame_stream *frames)
{
	struct mesh_stream *stream = &frames->stream;
	struct mesh_peer peer = {0};

	if (frames->has_sent || !stream_is_opened(stream))
		return;
	frames->has_sent = true;
	memcpy(peer.key, stream->peer.key, sizeof(peer.key));
	mesh_redial_asked(stream->session, &peer);
	mesh_liveness_begin(stream->session);
}

/* Frames that were queued without a stream leave now. */
static int frames_opened(struct mesh_stream *stream)
{
	if (mesh_stream_has_unsent(stream))
		frames_note_sent(frames_of(stream));
	mesh_stream_writable(stream);
	return 0;
}

/* Puts the stream on session, behind those that wait for credit. */
static int frames_start(struct mesh_frame_stream *frames, struct mesh_session *session)
{
	struct mesh_stream *stream = &frames->stream;

	if (session->stream_cnts[MESH_ROLE_OPENED] >=
	    STREAMS_PER_USED * session->mesh->config.stream_per_session_cap)
		return WEFT_EFULL;
	memcpy(stream->peer.session_id, session->id, sizeof(stream->peer.session_id));
	frames->has_peer = true;
	timer_cancel(stream->mesh->timers, &stream->timer);
	return mesh_stream_queue(stream, session);
}

static void frames_connected(struct mesh_stream *stream)
{
	struct mesh_session *session = map_lookup(&stream->mesh->sessions_by_key, stream->peer.key);
	int err = session ? frames_start(frames_of(stream), session) : WEFT_ECLOSED;

	if (err < 0)
		mesh_stream_end(stream, &(struct mesh_stream_end){.err = err});
	else if (stream->state == MESH_STATE_OPEN)
		(void)frames_opened(stream);
}

static void frames_ended(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	struct mesh_frame_stream *frames = frames_of(stream);
	struct mesh_stream_end told = *end;

	told.is_unsent = stream_is_opened(stream) && !frames->has_sent;
	if (!frames->has_peer)
		told.not_before_ns = mesh_stream_deferred_until(stream);
	/* One that is being accepted has no user yet. */
	if (frames->events)
		frames->events->ended(frames->arg, &told, stream->mesh->now_ns);
}

/*
 * The reset of a peer that had read this side's finish says so by its code alone. A stream that
 * both sides finished is finished, though the session may have gone before the last
 * acknowledgement.
 */
static void frames_closed(struct mesh_stream *stream, uint64_t code)
{
	struct mesh_stream_end end = {.err = 0};
	struct transport_conn_info info;

	if (code || !stream->has_fin || !stream->is_finished) {
		mesh_transport_ops(stream->mesh)->info(stream->session->conn, &info);
		end.err = info.has_ended ? WEFT_ECLOSED : WEFT_ECANCELLED;
		end.code = info.has_ended ? 0 : code;
	}
	/* A call of this node was answered, or a stream of it served to its end. */
	if (!end.err && stream_is_opened(stream)) {
		mesh_note_useful(stream->mesh, stream->peer.key, 1);
		mesh_note_work(stream->mesh, stream->peer.key, MESH_WORK_ANSWERED, 0);
	}
	mesh_stream_end(stream, &end);
}

static const struct mesh_stream_kind frames_kind = {
	.slots = MESH_POOL_STREAMS,
	.input = frames_input,
	.admit = frames_admit,
	.data = frames_data,
	.whole = frames_whole,
	.bad = frames_bad,
	.fin = frames_fin,
	.connected = frames_connected,
	.opened = frames_opened,
	.sent = frames_half_closed,
	.writable = frames_writable,
	.expire = frames_expire,
	.closed = frames_closed,
	.ended = frames_ended,
};

/* --- made for a peer --- */

void mesh_frame_stream_evict(struct mesh_stream *stream)
{
	mesh_stream_break(stream,
			  &(struct mesh_stream_end){.err = WEFT_EBUSY, .code = MESH_CODE_BUSY},
			  MESH_CODE_BUSY);
}

bool mesh_frame_stream_has_room(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct fair *fair = &mesh->slots.pools[MESH_POOL_STREAMS];
	const struct fair_path *path = mesh_slots_session_path(session);

	if (session->stream_cnts[MESH_ROLE_ACCEPTED] >=
		    mesh_limits(session, mesh->config.stream_per_session_cap) ||
	    mesh->streams.used_cnt == mesh->streams.cap_cnt)
		return false;
	if (fair_may_take(fair, path, mesh->now_ns))
		return true;
	fair_refuse(fair, path, mesh->now_ns);
	return false;
}

struct mesh_frame_stream *mesh_frame_stream_make(struct mesh *mesh, const struct fair_path *path)
{
	struct mesh_frame_stream *frames =
		mesh_stream_make(mesh, &mesh->streams, &frames_kind, MESH_ROLE_ACCEPTED);

	if (frames && mesh_slots_take(mesh, MESH_POOL_STREAMS, path, &frames->stream.slot)) {
		frames->has_peer = true;
		return frames;
	}
	if (frames)
		mesh_stream_drop(&frames->stream, 0);
	mesh->stats.refused_cnt++;
	return NULL;
}

int mesh_frame_stream_accept(struct mesh_frame_stream *frames, unsigned type)
{
	struct mesh_stream *stream = &frames->stream;
	const struct mesh_handler *acceptor = mesh_handler_slot(stream->mesh, type);
	struct mesh_stream_user user = {0};
	int err = acceptor->accept(acceptor->ctx, stream, type, stream->mesh->now_ns, &user);

	frames->events = user.events;
	frames->arg = user.arg;
	return err;
}

void mesh_frame_stream_adopt(struct mesh_session *session, struct transport_stream *transport,
			     const struct mesh_frame_in *in)
{
	struct mesh_frame_stream *frames =
		mesh_frame_stream_make(session->mesh, mesh_slots_session_path(session));
	struct mesh_stream *stream = &frames->stream;
	bool was_busy;

	weft_assert(frames); /* mesh_frame_stream_has_room was asked */
	mesh_stream_bind(stream, session, transport);
	stream->in = *in;
	stream->req_id = in->frame.req_id;
	was_busy = mesh_stream_enter(stream);
	if (mesh_frame_stream_accept(frames, in->frame.type) < 0)
		mesh_stream_drop(stream, MESH_CODE_REFUSED);
	mesh_stream_leave(stream, was_busy);
}

/* --- the seam --- */

static int op_open(struct mesh *mesh, const struct mesh_stream_open *open, uint64_t now_ns,
		   struct mesh_stream **out_stream)
{
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, open->peer.key);
	struct mesh_frame_stream *frames = NULL;
	struct mesh_stream *stream;
	int err;

	mesh_turn(mesh, now_ns);
	if ((err = mesh_stream_check_peer(mesh, &open->peer)) < 0)
		return err;
	if (mesh->stream_cnts[MESH_ROLE_OPENED] < mesh->config.stream_cap)
		frames = mesh_stream_make(mesh, &mesh->streams, &frames_kind, MESH_ROLE_OPENED);
	if (!frames) {
		mesh->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	if (session) {
		session->is_wanted |= open->peer.is_wanted;
		session->is_unsought &= open->peer.is_unsought;
	}
	frames->events = open->events;
	frames->arg = open->arg;
	stream = &frames->stream;
	stream->req_id = mesh->next_stream_id++;
	/* The first frames of streams are put off together. */
	mesh_stream_await_init(stream, &open->peer, MESH_CALL, open->timeout_ns);
	if (session && !mesh_redial_is_on(session) && !mesh_stream_deferred_until(stream))
		err = frames_start(frames, session);
	else if (mesh_stream_has_room(mesh, open->peer.key))
		err = mesh_stream_await(stream, &open->peer);
	else
		err = WEFT_EFULL;
	frames->wants_session = !frames->has_peer;
	if (err < 0) {
		mesh_stream_drop(stream, 0);
		return err;
	}
	*out_stream = stream;
	return 0;
}

/* Whether this node may send frame on stream: 0, or what is wrong with it. */
static int frame_check(const struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		       size_t head_len, const struct transport_span *tail)
{
	enum mesh_class class = mesh_registry_class(frame->type, !stream_is_opened(stream));

	if (class == MESH_CLASS_NONE || class == MESH_CLASS_SESSION ||
	    frame->flags & ~MESH_STREAM_FLAGS || head_len > MESH_STREAM_HEAD_LEN_MAX ||
	    (tail && !tail->len) || frame->payload_len != head_len + (tail ? tail->len : 0))
		return WEFT_EMALFORMED;
	return frame->payload_len > mesh_class_payload_max(class) ? WEFT_ETOOLARGE : 0;
}

static int op_send(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		   const void *head, size_t head_len, const struct transport_span *tail)
{
	struct mesh_frame_stream *frames = frames_of(stream);
	bool has_carrier = stream->transport || stream->foreign;
	struct mesh_frame wire = {
		.type = frame->type,
		.req_id = stream->req_id,
		.flags = frame->flags | (frame->type == MESH_ERROR ? MESH_FLAG_ERROR : 0) |
			 (stream_is_opened(stream) ? 0 : MESH_FLAG_RESPONSE),
		.payload_len = frame->payload_len,
	};
	int err;

	if (stream->is_over || stream->is_finish_wanted)
		return WEFT_ECLOSED;
	if ((err = frame_check(stream, frame, head_len, tail)) < 0)
		return err;
	frames->wants_session = false;
	if (has_carrier)
		err = mesh_stream_send(stream, &wire, head, tail);
	else
		err = mesh_stream_keep(stream, &wire, head, tail);
	if (!err && has_carrier)
		frames_note_sent(frames);
	frames->wants_writable |= err == WEFT_EFULL;
	return err;
}

static void op_finish(struct mesh_stream *stream)
{
	if (!stream->is_over)
		mesh_stream_finish(stream);
}

static void op_consume(struct mesh_stream *stream, size_t len)
{
	weft_assert(stream->is_over || len <= stream->unused_len);
	if (stream->is_over)
		return;
	stream->unused_len -= len;
	if (stream->foreign)
		stream->foreign->consume(stream->carrier, len);
	else
		mesh_transport_ops(stream->mesh)->consume(stream->transport, len);
}

static int op_peer(const struct mesh_stream *stream, struct mesh_stream_peer *out_peer)
{
	const struct mesh_frame_stream *frames =
		container_of(stream, const struct mesh_frame_stream, stream);
	struct transport_conn_info info;

	if (!frames->has_peer)
		return WEFT_EABSENT;
	*out_peer = stream->peer;
	if (!stream_is_opened(stream) || !stream->session)
		return 0;
	mesh_transport_ops(stream->mesh)->info(stream->session->conn, &info);
	out_peer->heard_ns = info.heard_ns;
	if (stream->session->peer)
		out_peer->takes_trace = stream->session->peer->record.caps & MESH_CAP_TRACE;
	return 0;
}

static int op_accept(struct mesh *mesh, unsigned type, mesh_accept_fn accept, void *ctx)
{
	return mesh_handler_set(mesh, type, &(struct mesh_handler){.accept = accept, .ctx = ctx});
}

static const struct mesh_stream_ops stream_seam_ops = {
	.open = op_open,
	.send = op_send,
	.finish = op_finish,
	.reset = mesh_stream_drop,
	.consume = op_consume,
	.peer = op_peer,
	.peer_path = mesh_stream_peer_path,
	.accept = op_accept,
};

struct mesh_stream_seam mesh_stream_seam_of(struct mesh *mesh)
{
	return (struct mesh_stream_seam){&stream_seam_ops, mesh};
}
