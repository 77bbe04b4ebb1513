/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream machine: what all kinds of streams do alike (mesh_stream.h), and the events by which
 * their transport drives it. Home worker.
 */
#include "mesh_stream.h"

#include "mesh/mesh_state.h"

/* The bytes that may still come from a peer when nothing more is wanted of it. */
#define SKIP_LEN_MAX (64u * 1024)

static const struct transport_ops *stream_ops(const struct mesh_stream *stream)
{
	return mesh_transport_ops(stream->mesh);
}

/* --- life --- */

static void stream_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_stream *stream = container_of(timer, struct mesh_stream, timer);

	mesh_turn(stream->mesh, now_ns);
	if (stream->state < MESH_STATE_QUEUED)
		mesh_stream_await_expire(stream);
	else
		stream->kind->expire(stream);
}

void mesh_stream_init(struct mesh_stream *stream, struct mesh *mesh,
		      const struct mesh_stream_kind *kind, enum mesh_stream_role role)
{
	stream->kind = kind;
	stream->role = role;
	stream->mesh = mesh;
	mesh->stream_cnts[role]++;
	list_init(&stream->node);
	timer_init(&stream->timer, stream_expire);
}

void *mesh_stream_make(struct mesh *mesh, struct pool *pool, const struct mesh_stream_kind *kind,
		       enum mesh_stream_role role)
{
	struct mesh_stream *stream = pool_acquire(pool);

	if (stream) {
		stream->pool = pool;
		mesh_stream_init(stream, mesh, kind, role);
	}
	return stream;
}

void mesh_stream_bind(struct mesh_stream *stream, struct mesh_session *session,
		      struct transport_stream *transport)
{
	stream->session = session;
	session->stream_cnts[stream->role] += !stream->is_spare;
	if (!stream->is_spare)
		session->used_ns = stream->mesh->now_ns;
	memcpy(stream->peer.key, session->key, sizeof(stream->peer.key));
	memcpy(stream->peer.session_id, session->id, sizeof(stream->peer.session_id));
	stream->transport = transport;
	transport->user = stream;
	stream->state = MESH_STATE_OPEN;
	list_push_back(&session->streams, &stream->node);
}

bool mesh_stream_enter(struct mesh_stream *stream)
{
	bool was_busy = stream->is_busy;

	stream->is_busy = true;
	return was_busy;
}

void mesh_stream_leave(struct mesh_stream *stream, bool was_busy)
{
	stream->is_busy = was_busy;
	if (!stream->is_over || stream->is_kept || was_busy)
		return;
	if (stream->pool)
		pool_release(stream->pool, stream);
	else
		pool_release(&stream->mesh->sessions,
			     container_of(stream, struct mesh_session, control.stream));
}

void mesh_stream_release(struct mesh_stream *stream)
{
	stream->is_kept = false;
	mesh_stream_leave(stream, stream->is_busy);
}

void mesh_stream_quit(struct mesh_stream *stream)
{
	struct mesh_session *session = stream->session;

	list_unlink(&stream->node);
	timer_cancel(stream->mesh->timers, &stream->timer);
	if (session && stream->is_spare) {
		session->has_spare = false;
	} else if (session) {
		session->stream_cnts[stream->role]--;
		session->used_ns = stream->mesh->now_ns;
	}
	stream->session = NULL;
	if (stream->wait.dial)
		mesh_dial_leave(stream);
	stream->wait.dial = NULL;
}

static void carrier_leave(struct mesh_stream *stream)
{
	if (stream->transport && stream->unused_len)
		stream_ops(stream)->consume(stream->transport, stream->unused_len);
	if (stream->transport)
		stream->transport->user = NULL;
	else if (stream->foreign)
		stream->foreign->leave(stream->carrier);
	stream->transport = NULL;
	stream->foreign = NULL;
}

static void carrier_reset(struct mesh_stream *stream, uint64_t code)
{
	if (stream->transport)
		stream_ops(stream)->reset(stream->transport, code);
	else if (stream->foreign)
		stream->foreign->reset(stream->carrier, code);
	stream->foreign = NULL;
}

static void unsent_release(struct mesh_stream *stream)
{
	mesh_buffers_release(&stream->mesh->buffers, stream->unsent.buffer);
	stream->unsent.buffer = NULL;
	stream->unsent.start_len = 0;
}

/* The stream is over; its memory is left until mesh_stream_leave. */
static void stream_detach(struct mesh_stream *stream)
{
	struct mesh *mesh = stream->mesh;
	struct transport_span tail = stream->unsent.tail;

	unsent_release(stream);
	stream->unsent.tail.data = NULL;
	mesh_stream_quit(stream);
	carrier_leave(stream);
	mesh->stream_cnts[stream->role]--;
	fair_release(&mesh->slots.pools[stream->kind->slots], &stream->slot, mesh->now_ns);
	stream->is_over = true;
	if (stream->kind->left)
		stream->kind->left(stream);
	if (tail.data && tail.done)
		tail.done(tail.arg);
}

void mesh_stream_end(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	bool was_busy = mesh_stream_enter(stream);

	stream_detach(stream);
	stream->kind->ended(stream, end);
	mesh_stream_leave(stream, was_busy);
}

void mesh_stream_drop(struct mesh_stream *stream, uint64_t code)
{
	bool was_busy = mesh_stream_enter(stream);

	if (!stream->is_over) {
		carrier_reset(stream, code);
		stream_detach(stream);
	}
	mesh_stream_leave(stream, was_busy);
}

void mesh_stream_break(struct mesh_stream *stream, const struct mesh_stream_end *end, uint64_t code)
{
	carrier_reset(stream, code);
	mesh_stream_end(stream, end);
}

void mesh_stream_give_up(struct mesh_stream *stream, int err, uint64_t code)
{
	mesh_stream_break(stream, &(struct mesh_stream_end){.err = err}, code);
}

void mesh_stream_peer_addr(const struct mesh_stream *stream, struct addr *out_addr)
{
	struct transport_conn_info info = {.remote.family = ADDR_NONE};
	const struct mesh_peer_entry *entry = NULL;

	if (stream->session)
		stream_ops(stream)->info(stream->session->conn, &info);
	else if (stream->foreign)
		entry = mesh_peers_lookup(&stream->mesh->peers, stream->peer.key);
	*out_addr = entry ? entry->foreign_at : info.remote;
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

/* --- what arrives --- */

/* Takes bytes of the payload; returns how many of them were handed out. */
static size_t payload_take(struct mesh_stream *stream, struct cursor *c)
{
	struct mesh_frame_in *in = &stream->in;
	size_t len = in->frame.payload_len - in->body_len;

	if (in->body || !stream->kind->data) {
		(void)mesh_frame_in_body(in, c);
		return 0;
	}
	if (len > cursor_left(c))
		len = cursor_left(c);
	if (!len)
		return 0;
	in->body_len += len;
	stream->unused_len += len;
	stream->kind->data(stream, cursor_bytes(c, len), len);
	return len;
}

/* Takes bytes up to the end of a frame at most; returns how many of them were handed out. */
static size_t frame_take(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	const struct mesh_stream_kind *kind = stream->kind;
	struct mesh_frame_in *in = &stream->in;
	int got = mesh_frame_in_head(in, c);
	size_t held;

	if (got > 0 && !stream->is_admitted) {
		stream->is_admitted = true;
		got = kind->admit(stream) ?: 1;
	}
	if (stream->is_over || stream->is_read)
		return 0;
	if (got < 0)
		kind->bad(stream, got);
	if (got <= 0)
		return 0;
	/* A payload's place is taken when there is something to put into it. */
	if (kind->place && !in->body) {
		if (in->frame.payload_len && !cursor_left(c))
			return 0;
		if (!kind->place(stream))
			return 0;
	}
	held = payload_take(stream, c);
	if (stream->is_over || in->body_len < in->frame.payload_len)
		return held;
	stream->mesh->stats.frame_in_cnt++;
	kind->whole(stream, cursor_left(c), fin);
	stream->is_admitted = false;
	mesh_frame_in_reset(in);
	return held;
}

static void stream_skip(struct mesh_stream *stream, struct cursor *c)
{
	stream->skipped_len += cursor_left(c);
	if (stream->skipped_len > SKIP_LEN_MAX)
		mesh_stream_give_up(stream, WEFT_EMALFORMED, MESH_CODE_MALFORMED);
}

size_t mesh_stream_input(struct mesh_stream *stream, struct cursor *c, bool fin)
{
	bool was_busy = mesh_stream_enter(stream);
	size_t held = 0;

	stream->progress_ns = stream->mesh->now_ns;
	if (stream->is_read) {
		stream_skip(stream, c);
	} else {
		do
			held += frame_take(stream, c, fin);
		while (cursor_left(c) && !stream->is_over && !stream->is_read);
		if (fin && !stream->is_over && !stream->is_read)
			stream->kind->fin(stream);
	}
	mesh_stream_leave(stream, was_busy);
	return held;
}

/* --- what leaves --- */

int mesh_stream_send(struct mesh_stream *stream, const struct mesh_frame *frame, const void *head,
		     const struct transport_span *tail)
{
	struct mesh_stream_frame told = {.type = frame->type,
					 .flags = frame->flags & MESH_STREAM_FLAGS,
					 .payload_len = frame->payload_len};
	size_t head_len = frame->payload_len - (tail ? tail->len : 0);
	struct mesh *mesh = stream->mesh;
	struct writer w = writer_of(mesh->scratch, sizeof(mesh->scratch));
	int err;

	if (stream->foreign)
		return stream->foreign->send(stream->carrier, &told, head, head_len, tail);
	if (!stream->transport)
		return WEFT_ECLOSED;
	if (mesh_stream_has_unsent(stream))
		return WEFT_EFULL;
	mesh_frame_write(&w, frame);
	writer_bytes(&w, head, head_len);
	if (w.bad)
		return WEFT_ETOOLARGE;
	err = stream_ops(stream)->send_copy(stream->transport, mesh->scratch, writer_len(&w));
	if (err < 0)
		return err;
	mesh->stats.frame_out_cnt++;
	if (!tail)
		return 0;
	err = stream_ops(stream)->send(stream->transport, tail);
	if (err != WEFT_EFULL)
		return err;
	stream->unsent.tail = *tail;
	return 0;
}

int mesh_stream_keep(struct mesh_stream *stream, const struct mesh_frame *frame, const void *head,
		     const struct transport_span *tail)
{
	size_t head_len = frame->payload_len - (tail ? tail->len : 0);
	size_t cap = MESH_FRAME_HEAD_LEN_MAX + head_len;
	struct mesh_unsent *unsent = &stream->unsent;
	struct writer w;

	if (mesh_stream_has_unsent(stream))
		return WEFT_EFULL;
	unsent->buffer = mesh_buffers_acquire_own(&stream->mesh->buffers, cap);
	if (!unsent->buffer)
		return WEFT_EFULL;
	w = writer_of(unsent->buffer, cap);
	mesh_frame_write(&w, frame);
	writer_bytes(&w, head, head_len);
	unsent->start = unsent->buffer;
	unsent->start_len = writer_len(&w);
	if (tail)
		unsent->tail = *tail;
	return 0;
}

/* Passes on the start of the frame that was put aside. */
static int start_push(struct mesh_stream *stream)
{
	struct mesh_unsent *unsent = &stream->unsent;

	while (unsent->start_len) {
		size_t len = unsent->start_len < TRANSPORT_COPY_LEN_MAX ? unsent->start_len
									: TRANSPORT_COPY_LEN_MAX;
		int err = stream_ops(stream)->send_copy(stream->transport, unsent->start, len);

		if (err < 0)
			return err;
		unsent->start += len;
		unsent->start_len -= len;
	}
	if (unsent->buffer)
		stream->mesh->stats.frame_out_cnt++;
	unsent_release(stream);
	return 0;
}

int mesh_stream_push(struct mesh_stream *stream)
{
	struct transport_span *tail = &stream->unsent.tail;
	int err = start_push(stream);

	if (err == 0 && tail->data)
		err = stream_ops(stream)->send(stream->transport, tail);
	if (err < 0)
		return err;
	tail->data = NULL;
	if (!stream->is_finish_wanted || stream->is_finished)
		return 0;
	stream_ops(stream)->finish(stream->transport);
	stream->is_finished = true;
	if (stream->kind->sent)
		stream->kind->sent(stream);
	return 0;
}

void mesh_stream_finish(struct mesh_stream *stream)
{
	bool was_wanted = stream->is_finish_wanted;

	stream->is_finish_wanted = true;
	if (stream->foreign && !was_wanted)
		stream->foreign->finish(stream->carrier);
	else if (stream->transport && !mesh_stream_has_unsent(stream))
		(void)mesh_stream_push(stream); /* nothing is left that could be refused */
}

void mesh_stream_writable(struct mesh_stream *stream)
{
	int err = mesh_stream_push(stream);

	if (err < 0 && err != WEFT_EFULL)
		mesh_stream_give_up(stream, err, MESH_CODE_INTERNAL);
	else if (!err && stream->kind->writable)
		stream->kind->writable(stream);
}

void mesh_stream_error_frame(const struct mesh_stream *stream, const struct mesh_error *error,
			     struct mesh_frame *out_frame,
			     uint8_t out_payload[static MESH_ERROR_PAYLOAD_MAX])
{
	struct writer w = writer_of(out_payload, MESH_ERROR_PAYLOAD_MAX);

	mesh_error_write(&w, error);
	*out_frame = (struct mesh_frame){.type = MESH_ERROR,
					 .req_id = stream->req_id,
					 .flags = MESH_FLAG_RESPONSE | MESH_FLAG_ERROR,
					 .payload_len = writer_len(&w)};
}

int mesh_stream_say_error(struct mesh_stream *stream, const struct mesh_error *error)
{
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct mesh_frame frame;

	mesh_stream_error_frame(stream, error, &frame, payload);
	return mesh_stream_send(stream, &frame, payload, NULL);
}

/* --- events of the transport --- */

static void stream_was_reset(struct mesh_stream *stream, uint64_t code)
{
	if (stream->kind->was_reset) {
		stream->kind->was_reset(stream);
		return;
	}
	mesh_stream_break(stream, &(struct mesh_stream_end){.err = WEFT_ECANCELLED, .code = code},
			  code);
}

/* A stream's first frame may show that it is of another kind, which reads on. */
void mesh_stream_on_data(void *ctx, struct transport_stream *transport,
			 const struct transport_piece *piece, uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_stream *stream = NULL;
	struct cursor c = cursor_of(piece->data, piece->len);
	size_t held = 0;

	mesh_turn(mesh, now_ns);
	while (transport->user && transport->user != stream) {
		stream = transport->user;
		held += stream->kind->input(stream, &c, piece->fin);
	}
	/* Bytes that were not handed out count as used, whatever their outcome. */
	if (held < piece->len)
		mesh->transport->ops->consume(transport, piece->len - held);
}

void mesh_stream_on_reset(void *ctx, struct transport_stream *transport, uint64_t code,
			  uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_stream *stream = transport->user;

	mesh_turn(mesh, now_ns);
	if (stream)
		stream_was_reset(stream, code);
}

void mesh_stream_on_writable(void *ctx, struct transport_stream *transport, uint64_t now_ns)
{
	struct mesh *mesh = ctx;

	mesh_turn(mesh, now_ns);
	if (transport->user)
		mesh_stream_writable(transport->user);
}

void mesh_stream_on_closed(void *ctx, struct transport_stream *transport, uint64_t code,
			   uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_stream *stream = transport->user;

	mesh_turn(mesh, now_ns);
	if (stream)
		stream->kind->closed(stream, code);
}
