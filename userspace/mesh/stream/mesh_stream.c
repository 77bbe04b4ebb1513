/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of frames (seam_stream.h): from waiting for a session to the
 * last acknowledgement. What arrives is mesh_stream_read.c; what others carry,
 * foreign.c. Home worker.
 *
 * One frame at most waits here, while there is no transport stream or it
 * is full: its head in a buffer, its tail where it was lent.
 *
 * A user may reset its stream inside any event, so a stream is released
 * only when no event is being raised.
 */
#include "mesh_stream.h"

#include "base/assert.h"
#include "base/monotonic.h"

/* Time for the last bytes of a stream that both sides finished to be acknowledged. */
#define DRAIN_TIMEOUT_NS (60 * NS_PER_S)

/* For each stream that is in use another may lack but the peer's last acknowledgement. */
#define STREAMS_PER_USED 2

_Static_assert(MESH_STREAM_HEAD_LEN_MAX + MESH_FRAME_HEAD_LEN_MAX <= TRANSPORT_COPY_LEN_MAX,
	       "a head goes out in one piece");

static const struct transport_ops *stream_ops(const struct mesh_stream *stream)
{
	return mesh_transport_ops(stream->mesh);
}

bool mesh_stream_enter(struct mesh_stream *stream)
{
	bool was_telling = stream->is_telling;

	stream->is_telling = true;
	return was_telling;
}

void mesh_stream_leave(struct mesh_stream *stream, bool was_telling)
{
	stream->is_telling = was_telling;
	if (stream->is_over && !was_telling)
		pool_release(&stream->mesh->streams, stream);
}

/* Takes the stream out of everything; its memory is left until mesh_stream_leave. */
static void stream_detach(struct mesh_stream *stream)
{
	struct mesh *mesh = stream->mesh;
	struct transport_span tail = mesh_unsent_drop(&stream->unsent, &mesh->buffers);

	list_unlink(&stream->node);
	timer_cancel(mesh->timers, &stream->timer);
	if (stream->transport) {
		if (stream->unused_len)
			stream_ops(stream)->consume(stream->transport, stream->unused_len);
		stream->transport->user = NULL;
	}
	stream->transport = NULL;
	if (stream->session)
		stream->session->stream_cnts[stream->side]--;
	stream->session = NULL;
	if (stream->connect)
		mesh_request_cancel(stream->connect);
	stream->connect = NULL;
	mesh->stream_cnts[stream->side]--;
	fair_release(&mesh->slots.pools[MESH_POOL_STREAMS], &stream->slot, mesh->now_ns);
	stream->is_over = true;
	if (tail.data && tail.done)
		tail.done(tail.arg);
}

void mesh_stream_drop(struct mesh_stream *stream, uint64_t code)
{
	bool was_telling = mesh_stream_enter(stream);

	if (!stream->is_over) {
		if (stream->transport)
			stream_ops(stream)->reset(stream->transport, code);
		else if (stream->foreign)
			stream->foreign->reset(stream->carrier, code);
		stream_detach(stream);
	}
	mesh_stream_leave(stream, was_telling);
}

void mesh_stream_end(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	bool was_telling = mesh_stream_enter(stream);
	struct mesh_stream_end told = *end;

	told.is_unsent = stream->side == MESH_SIDE_OPENER && !stream->has_sent;
	stream_detach(stream);
	stream->events->ended(stream->arg, &told, stream->mesh->now_ns);
	mesh_stream_leave(stream, was_telling);
}

void mesh_stream_give_up(struct mesh_stream *stream, int err, uint64_t code)
{
	if (stream->transport)
		stream_ops(stream)->reset(stream->transport, code);
	mesh_stream_end(stream, &(struct mesh_stream_end){.err = err});
}

static void stream_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_stream *stream = container_of(timer, struct mesh_stream, timer);
	struct mesh *mesh = stream->mesh;
	bool is_draining = stream->has_fin && stream->is_finished;
	uint64_t due_ns = stream->progress_ns + MESH_STREAM_STALL_NS;

	mesh->now_ns = now_ns;
	if (!is_draining) {
		if (!mesh_stream_is_cut(stream))
			return;
		/* Who holds back its consume is the one we wait for. */
		if (stream->unused_len)
			due_ns = now_ns + MESH_STREAM_STALL_NS;
		if (now_ns < due_ns) {
			timer_set(mesh->timers, timer, due_ns);
			return;
		}
	}
	mesh->stats.timeout_cnt++;
	mesh_stream_give_up(stream, WEFT_ETIMEOUT, MESH_CODE_TIMEOUT);
}

void mesh_stream_half_closed(struct mesh_stream *stream)
{
	if (stream->has_fin && stream->is_finished)
		timer_set(stream->mesh->timers, &stream->timer,
			  stream->mesh->now_ns + DRAIN_TIMEOUT_NS);
}

/* Passes on what waits, and the finish behind it. 0, WEFT_EFULL or WEFT_ECLOSED. */
static int stream_push(struct mesh_stream *stream)
{
	int err = mesh_unsent_push(&stream->unsent, &stream->mesh->buffers, stream_ops(stream),
				   stream->transport);

	if (err < 0)
		return err;
	if (!stream->is_finish_wanted || stream->is_finished)
		return 0;
	stream_ops(stream)->finish(stream->transport);
	stream->is_finished = true;
	mesh_stream_half_closed(stream);
	return 0;
}

void mesh_stream_writable(struct mesh_stream *stream)
{
	int err = stream_push(stream);
	bool was_telling;

	if (err == WEFT_EFULL)
		return;
	if (err < 0) {
		mesh_stream_give_up(stream, err, MESH_CODE_INTERNAL);
		return;
	}
	if (!(stream->wants_writable || stream->wants_session) || stream->is_finish_wanted)
		return;
	stream->wants_writable = false;
	stream->wants_session = false;
	was_telling = mesh_stream_enter(stream);
	stream->events->writable(stream->arg, stream->mesh->now_ns);
	mesh_stream_leave(stream, was_telling);
}

/* A frame of an opened stream went out: its peer owes a packet now. */
static void stream_note_sent(struct mesh_stream *stream)
{
	struct mesh_peer peer = {0};

	stream->mesh->stats.frame_out_cnt++;
	if (stream->has_sent || stream->side != MESH_SIDE_OPENER)
		return;
	stream->has_sent = true;
	memcpy(peer.key, stream->peer.key, sizeof(peer.key));
	mesh_redial_asked(stream->session, &peer);
	mesh_liveness_begin(stream->session);
}

/* Gives stream a transport stream. 0, also when it has to wait for credit, or why not. */
static int stream_open(struct mesh_stream *stream, struct mesh_session *session)
{
	int err = stream_ops(stream)->open(session->conn, stream, &stream->transport);

	if (err == WEFT_EBUSY) {
		stream->transport = NULL;
		return 0;
	}
	if (err < 0) {
		stream->transport = NULL;
		return err;
	}
	list_unlink(&stream->node);
	list_push_back(&session->streams, &stream->node);
	return 0;
}

static void stream_join(struct mesh_stream *stream, struct mesh_session *session)
{
	stream->session = session;
	session->stream_cnts[stream->side]++;
	memcpy(stream->peer.key, session->key, sizeof(stream->peer.key));
	memcpy(stream->peer.session_id, session->id, sizeof(stream->peer.session_id));
	stream->has_peer = true;
}

/* Puts stream on session, behind those that wait for credit. */
static int stream_start(struct mesh_stream *stream, struct mesh_session *session)
{
	bool is_first = list_is_empty(&session->stream_queue);

	if (session->stream_cnts[MESH_SIDE_OPENER] >=
	    STREAMS_PER_USED * session->mesh->config.stream_per_session_cap)
		return WEFT_EFULL;
	stream_join(stream, session);
	list_push_back(&session->stream_queue, &stream->node);
	return is_first ? stream_open(stream, session) : 0;
}

/* What was said while there was no stream leaves now. */
static void stream_flush(struct mesh_stream *stream)
{
	bool has_frame = !mesh_unsent_is_empty(&stream->unsent);

	if (has_frame)
		stream_note_sent(stream);
	mesh_stream_writable(stream);
}

void mesh_stream_queue_run(struct mesh_session *session)
{
	while (!list_is_empty(&session->stream_queue)) {
		struct mesh_stream *stream =
			container_of(session->stream_queue.next, struct mesh_stream, node);
		int err = stream_open(stream, session);

		if (err < 0)
			mesh_stream_end(stream, &(struct mesh_stream_end){.err = err});
		else if (stream->transport)
			stream_flush(stream);
		else
			return;
	}
}

/* When the peer may be called again; 0: now, as far as it told. */
static uint64_t stream_until(const struct mesh_stream *stream)
{
	const struct mesh *mesh = stream->mesh;

	return mesh_deferrals_until(&mesh->deferrals, stream->peer.key, MESH_CALL, mesh->now_ns);
}

static void stream_connected(void *arg, int err, const uint8_t *actual_key)
{
	struct mesh_stream *stream = arg;
	struct mesh_session *session;

	session = map_lookup(&stream->mesh->sessions_by_key, stream->peer.key);
	stream->connect = NULL;
	if (!err)
		err = session ? stream_start(stream, session) : WEFT_ECLOSED;
	if (err < 0)
		mesh_stream_end(stream,
				&(struct mesh_stream_end){.err = err,
							  .not_before_ns = stream_until(stream),
							  .actual_key = actual_key});
	else if (stream->transport)
		stream_flush(stream);
}

struct mesh_stream *mesh_stream_make(struct mesh *mesh, enum mesh_stream_side side)
{
	struct mesh_stream *stream = NULL;

	if (side == MESH_SIDE_ACCEPTOR || mesh->stream_cnts[side] < mesh->config.stream_cap)
		stream = pool_acquire(&mesh->streams);
	if (!stream) {
		mesh->stats.refused_cnt++;
		return NULL;
	}
	stream->kind = MESH_STREAM_FRAMES;
	stream->side = side;
	stream->mesh = mesh;
	stream->req_id = mesh->next_stream_id++;
	mesh->stream_cnts[side]++;
	list_init(&stream->node);
	timer_init(&stream->timer, stream_expire);
	return stream;
}

struct mesh_stream *mesh_stream_make_accepted(struct mesh *mesh, const struct fair_path *path)
{
	struct mesh_stream *stream = mesh_stream_make(mesh, MESH_SIDE_ACCEPTOR);

	if (!stream || mesh_slots_take(mesh, MESH_POOL_STREAMS, path, &stream->slot))
		return stream;
	mesh->stats.refused_cnt++;
	mesh->stream_cnts[MESH_SIDE_ACCEPTOR]--;
	pool_release(&mesh->streams, stream);
	return NULL;
}

void mesh_stream_peer_addr(const struct mesh_stream *stream, struct addr *out_addr)
{
	struct transport_conn_info info = {.remote.family = ADDR_NONE};

	const struct mesh_peer_entry *entry;

	if (stream->session) {
		stream_ops(stream)->info(stream->session->conn, &info);
	} else {
		entry = mesh_peers_lookup(&stream->mesh->peers, stream->peer.key);
		if (entry)
			info.remote = entry->foreign_at;
	}
	*out_addr = info.remote;
}

void mesh_stream_evict(struct mesh_stream *stream)
{
	static const struct mesh_stream_end end = {.err = WEFT_EBUSY, .code = MESH_CODE_BUSY};

	/* One that is being accepted has nobody to tell yet. */
	if (!stream->events) {
		mesh_stream_drop(stream, MESH_CODE_BUSY);
		return;
	}
	if (stream->transport)
		stream_ops(stream)->reset(stream->transport, MESH_CODE_BUSY);
	else if (stream->foreign)
		stream->foreign->reset(stream->carrier, MESH_CODE_BUSY);
	mesh_stream_end(stream, &end);
}

bool mesh_stream_has_room(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct fair *fair = &mesh->slots.pools[MESH_POOL_STREAMS];
	const struct fair_path *path = mesh_slots_session_path(session);

	if (session->stream_cnts[MESH_SIDE_ACCEPTOR] >=
		    mesh_limits(session, mesh->config.stream_per_session_cap) ||
	    mesh->streams.used_cnt == mesh->streams.cap_cnt)
		return false;
	if (fair_may_take(fair, path, mesh->now_ns))
		return true;
	fair_refuse(fair, path, mesh->now_ns);
	return false;
}

struct mesh_stream *mesh_stream_take(struct mesh_session *session,
				     struct transport_stream *transport, uint32_t req_id)
{
	struct mesh_stream *stream =
		mesh_stream_make_accepted(session->mesh, mesh_slots_session_path(session));

	weft_assert(stream); /* mesh_stream_has_room was asked */
	stream->transport = transport;
	stream->req_id = req_id;
	transport->user = stream;
	stream_join(stream, session);
	list_push_back(&session->streams, &stream->node);
	return stream;
}

void mesh_stream_was_reset(struct mesh_stream *stream, uint64_t code)
{
	stream_ops(stream)->reset(stream->transport, code);
	mesh_stream_end(stream, &(struct mesh_stream_end){.err = WEFT_ECANCELLED, .code = code});
}

/*
 * A peer that had read our finish before it reset tells by its code alone.
 * What both sides finished is finished, though the session may have gone
 * before the last acknowledgement.
 */
void mesh_stream_closed(struct mesh_stream *stream, uint64_t code)
{
	struct mesh_stream_end end = {.err = 0};
	struct transport_conn_info info;

	if (code || !stream->has_fin || !stream->is_finished) {
		stream_ops(stream)->info(stream->session->conn, &info);
		end.err = info.has_ended ? WEFT_ECLOSED : WEFT_ECANCELLED;
		end.code = info.has_ended ? 0 : code;
	}
	/* A call of ours was answered, or a stream of ours served to its end. */
	if (!end.err && stream->side == MESH_SIDE_OPENER)
		mesh_note_useful(stream->mesh, stream->peer.key, 1);
	mesh_stream_end(stream, &end);
}

void mesh_stream_end_all(struct mesh_session *session)
{
	static const struct mesh_stream_end end = {.err = WEFT_ECLOSED};
	struct list_node *lists[] = {&session->streams, &session->stream_queue};

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while (!list_is_empty(lists[i]))
			mesh_stream_end(container_of(lists[i]->next, struct mesh_stream, node),
					&end);
}

static int op_open(struct mesh *mesh, const struct mesh_stream_open *open, uint64_t now_ns,
		   struct mesh_stream **out_stream)
{
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, open->peer.key);
	struct mesh_request_connect connect = {
		.peer = &open->peer,
		.type = MESH_CALL, /* what streams begin with is put off together */
		.timeout_ns = open->timeout_ns,
		.done = stream_connected,
	};
	struct mesh_stream *stream;
	int err;

	mesh->now_ns = now_ns;
	if ((err = mesh_request_check_peer(mesh, &open->peer)) < 0)
		return err;
	if (!(stream = mesh_stream_make(mesh, MESH_SIDE_OPENER)))
		return WEFT_EFULL;
	if (session)
		session->is_wanted |= open->peer.is_wanted;
	stream->events = open->events;
	stream->arg = open->arg;
	memcpy(stream->peer.key, open->peer.key, sizeof(stream->peer.key));
	connect.arg = stream;
	if (session && !mesh_redial_is_on(session) && !stream_until(stream))
		err = stream_start(stream, session);
	else
		err = mesh_request_connect(mesh, &connect, &stream->connect);
	stream->wants_session = !stream->session;
	if (err < 0) {
		mesh_stream_drop(stream, 0);
		return err;
	}
	*out_stream = stream;
	return 0;
}

/* Whether a frame of ours may be said on stream: 0, or what is wrong with it. */
static int frame_check(const struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		       size_t head_len, const struct transport_span *tail)
{
	enum mesh_class class =
		mesh_registry_class(frame->type, stream->side == MESH_SIDE_ACCEPTOR);

	if (class == MESH_CLASS_NONE || class == MESH_CLASS_SESSION ||
	    frame->flags & ~MESH_STREAM_FLAGS || head_len > MESH_STREAM_HEAD_LEN_MAX ||
	    (tail && !tail->len) || frame->payload_len != head_len + (tail ? tail->len : 0))
		return WEFT_EMALFORMED;
	return frame->payload_len > mesh_class_payload_max(class) ? WEFT_ETOOLARGE : 0;
}

/* The frame waits for a transport stream. */
static int stream_keep(struct mesh_stream *stream, const uint8_t *start, size_t start_len,
		       const struct transport_span *tail)
{
	struct mesh_unsent *unsent = &stream->unsent;

	unsent->start = mesh_buffers_acquire_own(&stream->mesh->buffers, start_len);
	if (!unsent->start)
		return WEFT_EFULL;
	memcpy(unsent->start, start, start_len);
	unsent->start_len = start_len;
	if (tail)
		unsent->tail = *tail;
	return 0;
}

static int stream_say(struct mesh_stream *stream, const uint8_t *start, size_t start_len,
		      const struct transport_span *tail)
{
	int err = stream_ops(stream)->send_copy(stream->transport, start, start_len);

	if (err < 0)
		return err;
	stream_note_sent(stream);
	if (!tail)
		return 0;
	err = stream_ops(stream)->send(stream->transport, tail);
	if (err != WEFT_EFULL)
		return err;
	stream->unsent.tail = *tail;
	return 0;
}

static int op_send(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		   const void *head, size_t head_len, const struct transport_span *tail)
{
	struct mesh *mesh = stream->mesh;
	struct writer w = writer_of(mesh->scratch, sizeof(mesh->scratch));
	struct mesh_frame wire = {
		.type = frame->type,
		.req_id = stream->req_id,
		.flags = frame->flags | (frame->type == MESH_ERROR ? MESH_FLAG_ERROR : 0) |
			 (stream->side == MESH_SIDE_ACCEPTOR ? MESH_FLAG_RESPONSE : 0),
		.payload_len = frame->payload_len,
	};
	int err;

	if (stream->is_over || stream->is_finish_wanted)
		return WEFT_ECLOSED;
	if ((err = frame_check(stream, frame, head_len, tail)) < 0)
		return err;
	stream->wants_session = false;
	if (stream->foreign)
		return stream->foreign->send(stream->carrier, frame, head, head_len, tail);
	if (!mesh_unsent_is_empty(&stream->unsent)) {
		stream->wants_writable = true;
		return WEFT_EFULL;
	}
	mesh_frame_write(&w, &wire);
	writer_bytes(&w, head, head_len);
	weft_assert(!w.bad);
	err = stream->transport ? stream_say(stream, mesh->scratch, writer_len(&w), tail)
				: stream_keep(stream, mesh->scratch, writer_len(&w), tail);
	stream->wants_writable |= err == WEFT_EFULL;
	return err;
}

static void op_finish(struct mesh_stream *stream)
{
	bool was_wanted = stream->is_finish_wanted;

	stream->is_finish_wanted = true;
	if (stream->foreign && !stream->is_over && !was_wanted)
		stream->foreign->finish(stream->carrier);
	else if (!stream->is_over && stream->transport && mesh_unsent_is_empty(&stream->unsent))
		(void)stream_push(stream); /* nothing is left that could be refused */
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
		stream_ops(stream)->consume(stream->transport, len);
}

static int op_peer(const struct mesh_stream *stream, struct mesh_stream_peer *out_peer)
{
	struct transport_conn_info info;

	if (!stream->has_peer)
		return WEFT_EABSENT;
	*out_peer = stream->peer;
	if (stream->side != MESH_SIDE_OPENER || !stream->session)
		return 0;
	stream_ops(stream)->info(stream->session->conn, &info);
	out_peer->heard_ns = info.heard_ns;
	if (stream->session->peer)
		out_peer->takes_trace = stream->session->peer->record.caps & MESH_CAP_TRACE;
	return 0;
}

void mesh_stream_peer_path(const struct mesh_stream *stream, struct fair_path *out_path)
{
	struct addr addr;

	if (stream->session) {
		*out_path = *mesh_slots_session_path(stream->session);
		return;
	}
	mesh_stream_peer_addr(stream, &addr);
	mesh_slots_key_path(stream->mesh, stream->peer.key, &addr, out_path);
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
