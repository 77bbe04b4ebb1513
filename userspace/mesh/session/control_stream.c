/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control stream: HELLO from both sides, PING, PONG, GOODBYE. The
 * dialler opens it; the accepting side takes the stream on which HELLO
 * arrives, since streams may become visible in any order. Home worker.
 *
 * A breach of its rules ends the session: unlike on a request's stream, nothing after a violation
 * can be understood.
 */
#include "mesh/mesh_state.h"

#include "base/assert.h"
#include "base/monotonic.h"

static const struct transport_ops *session_ops(const struct mesh_session *session)
{
	return session->mesh->transport->ops;
}

static struct mesh_session *session_of(struct mesh_stream *stream)
{
	return container_of(stream, struct mesh_session, control.stream);
}

int mesh_control_send(struct mesh_session *session, const struct mesh_frame *frame,
		      const void *payload)
{
	return mesh_stream_send(&session->control.stream, frame, payload, NULL);
}

void mesh_control_say_hello(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct mesh_hello hello = {
		.caps = mesh->config.caps,
		.unix_s = mesh_wall_now_s(mesh),
		.addr_cnt = mesh->config.addr_cnt,
	};
	uint8_t payload[1200];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_frame frame = {.type = MESH_HELLO};

	memcpy(hello.addrs, mesh->config.addrs, sizeof(hello.addrs));
	memcpy(hello.agent, mesh->config.agent, sizeof(hello.agent));
	mesh_hello_write(&w, &hello);
	frame.payload_len = writer_len(&w);
	/* A full stream asks again by stream_writable. */
	if (mesh_control_send(session, &frame, payload) == 0)
		session->control.is_hello_sent = true;
}

static void control_writable(struct mesh_stream *stream)
{
	struct mesh_session *session = session_of(stream);

	if (!session->control.is_hello_sent)
		mesh_control_say_hello(session);
}

void mesh_control_open(struct mesh_session *session)
{
	struct mesh_stream *stream = &session->control.stream;
	struct transport_stream *transport;

	/* A peer that gives no credit for one stream: conn_streams_available may come. */
	if (session_ops(session)->open(session->conn, stream, &transport) < 0)
		return;
	mesh_stream_bind(stream, session, transport);
	mesh_control_say_hello(session);
}

static void control_left(struct mesh_stream *stream)
{
	struct mesh_session *session = session_of(stream);

	mesh_buffers_release(&stream->mesh->buffers, session->control.buffer);
	session->control.buffer = NULL;
	timer_cancel(stream->mesh->timers, &session->ping.timer);
}

static void control_ended(struct mesh_stream *stream, const struct mesh_stream_end *end)
{
	struct mesh_ping *ping = &session_of(stream)->ping;
	mesh_ping_fn done = ping->done;

	ping->done = NULL;
	if (done)
		done(ping->arg, end->err, 0);
}

static void ping_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, ping.timer);
	mesh_ping_fn done = session->ping.done;

	mesh_turn(session->mesh, now_ns);
	session->mesh->stats.timeout_cnt++;
	session->ping.done = NULL;
	done(session->ping.arg, WEFT_ETIMEOUT, 0);
}

static void ping_answered(struct mesh_session *session, int err)
{
	mesh_ping_fn done = session->ping.done;

	timer_cancel(session->mesh->timers, &session->ping.timer);
	session->ping.done = NULL;
	done(session->ping.arg, err, session->mesh->now_ns - session->ping.sent_ns);
}

int mesh_control_say_ping(struct mesh_session *session)
{
	struct mesh_frame frame = {.type = MESH_PING, .req_id = session->next_req_id};
	int err;

	if (!session->control.is_hello_sent)
		return WEFT_EBUSY;
	if ((err = mesh_control_send(session, &frame, "")) < 0)
		return err;
	session->next_req_id++;
	return 0;
}

int mesh_ping(struct mesh *mesh, const struct mesh_ping_ask *ask, uint64_t now_ns)
{
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, ask->key);
	uint32_t req_id;
	int err;

	now_ns = mesh_turn(mesh, now_ns);
	if (!session)
		return WEFT_EABSENT;
	req_id = session->next_req_id;
	if (session->ping.done)
		return WEFT_EBUSY;
	if ((err = mesh_control_say_ping(session)) < 0)
		return err;
	session->ping.req_id = req_id;
	session->ping.sent_ns = now_ns;
	session->ping.done = ask->done;
	session->ping.arg = ask->arg;
	timer_init(&session->ping.timer, ping_expire);
	timer_set(mesh->timers, &session->ping.timer, now_ns + ask->timeout_ns);
	return 0;
}

/* Functions that refuse end the session. */

static void control_refuse(struct mesh_session *session, enum mesh_goodbye_reason reason,
			   const char *text)
{
	session->mesh->stats.malformed_cnt++;
	mesh_session_close(session, reason, text);
}

static void hello_note_skew(struct mesh_session *session, struct mesh_peer_record *record,
			    uint64_t unix_s)
{
	struct mesh *mesh = session->mesh;
	uint64_t wall_s = mesh_wall_now_s(mesh);
	uint64_t skew_s = unix_s > wall_s ? unix_s - wall_s : wall_s - unix_s;

	record->skew_s = unix_s > wall_s ? (int64_t)skew_s : -(int64_t)skew_s;
	if (skew_s > mesh->config.skew_max_s)
		mesh->stats.skew_cnt++;
}

static void hello_keep(struct mesh_session *session, const struct mesh_hello *hello)
{
	struct mesh *mesh = session->mesh;
	struct mesh_peer_entry *entry = mesh_peers_acquire(&mesh->peers, session->key);
	struct mesh_peer_record *record;

	weft_assert(entry); /* the table holds more peers than there are sessions */
	record = &entry->record;
	record->caps = hello->caps;
	mesh_peer_place(&record->last_addr, &session->remote, session->is_dialler);
	memcpy(record->addrs, hello->addrs, sizeof(record->addrs));
	record->addr_cnt = hello->addr_cnt;
	if (record->addr_seq < session->addr_seq)
		record->addr_seq = session->addr_seq;
	if (session->addr_seq)
		mesh_peer_set_vias(entry, session->vias, session->via_cnt);
	memcpy(record->agent, hello->agent, sizeof(record->agent));
	record->last_seen_s = mesh_wall_now_s(mesh);
	if (!record->first_seen_s)
		record->first_seen_s = record->last_seen_s;
	hello_note_skew(session, record, hello->unix_s);
	if (session->is_dialler) {
		mesh_peer_place(&record->good_addr, &session->remote, true);
		record->good_s = record->last_seen_s;
	}
	if (session->token.len)
		record->token = session->token; /* it came before HELLO */
	if (mesh->params.choices)
		record->choices = (record->choices & MESH_CHOICE_DIALLED) |
				  mesh->params.choices(mesh->params.ctx, session->key);
	if (session->is_chosen)
		record->choices |= MESH_CHOICE_DIALLED;
	mesh_peers_take(&mesh->peers, entry);
	entry->session_cnt++;
	/* It came by itself. */
	mesh_deferrals_forget(&mesh->deferrals, session->key, MESH_DEFER_ALL);
	session->peer = entry;
	mesh_upgrade_begin(session);
	mesh_peers_changed(&mesh->peers, entry, mesh->now_ns);
}

/* What the peer does for others has changed; the rest is what it said at first. */
static void hello_renew(struct mesh_session *session, const struct mesh_hello *hello)
{
	struct mesh *mesh = session->mesh;

	if (session->peer->record.caps == hello->caps)
		return;
	session->peer->record.caps = hello->caps;
	mesh_peers_changed(&mesh->peers, session->peer, mesh->now_ns);
}

static void control_hello(struct mesh_session *session, const uint8_t *payload, size_t len)
{
	struct mesh *mesh = session->mesh;
	struct mesh_peer_info info;
	struct mesh_hello hello;
	int err = mesh_hello_parse(payload, len, &hello);

	if (err < 0) {
		if (err == WEFT_EUNKNOWN)
			control_refuse(session, MESH_BYE_VERSION, "only mesh version 1 is spoken");
		else
			control_refuse(session, MESH_BYE_PROTOCOL, "malformed hello");
		return;
	}
	if (session->has_hello) {
		hello_renew(session, &hello);
		return;
	}
	session->has_hello = true;
	hello_keep(session, &hello);
	mesh->stats.hello_cnt++;
	if (mesh->params.on_session && session->peer->session_cnt == 1) {
		mesh_session_fill_info(session, &info);
		mesh->params.on_session(mesh->params.ctx, &info, true);
	}
}

static void control_goodbye(struct mesh_session *session, const uint8_t *payload, size_t len)
{
	struct mesh *mesh = session->mesh;
	struct mesh_bye bye;

	if (mesh_bye_parse(payload, len, &bye) < 0) {
		control_refuse(session, MESH_BYE_PROTOCOL, "malformed goodbye");
		return;
	}
	if (bye.not_before_ms > MESH_NOT_BEFORE_MS_MAX)
		bye.not_before_ms = MESH_NOT_BEFORE_MS_MAX;
	mesh_deferrals_note(&mesh->deferrals, session->key, MESH_DEFER_ALL,
			    mesh->now_ns + bye.not_before_ms * NS_PER_MS, mesh->now_ns);
	session->end =
		(struct transport_close){.err = WEFT_ECLOSED, .code = bye.reason, .by_peer = true};
	mesh_session_close(session, MESH_BYE_DONE, "goodbye");
}

static void control_answer_ping(struct mesh_session *session)
{
	struct mesh_frame frame = {.type = MESH_PONG,
				   .req_id = session->control.stream.in.frame.req_id,
				   .flags = MESH_FLAG_RESPONSE};

	/* A peer that pings faster than it reads gets fewer answers. */
	(void)mesh_control_send(session, &frame, "");
}

static void control_answer_unknown(struct mesh_session *session)
{
	struct mesh_error error = {.code = MESH_CODE_UNKNOWN, .text = "unknown type"};
	struct mesh_stream *stream = &session->control.stream;

	session->mesh->stats.unknown_type_cnt++;
	stream->req_id = stream->in.frame.req_id;
	mesh_stream_say_error(stream, &error);
}

static void control_dispatch(struct mesh_session *session, const struct mesh_frame *frame)
{
	const uint8_t *payload = session->control.buffer;

	if (frame->flags & MESH_FLAG_RESPONSE) {
		/* Only PING asks here; a late answer, or one that nothing waits for, is nothing. */
		if (session->ping.done && frame->req_id == session->ping.req_id)
			ping_answered(session, frame->type == MESH_PONG ? 0 : WEFT_EUNKNOWN);
		return;
	}
	switch (frame->type) {
	case MESH_HELLO:
		control_hello(session, payload, frame->payload_len);
		break;
	case MESH_GOODBYE:
		control_goodbye(session, payload, frame->payload_len);
		break;
	case MESH_PING:
		control_answer_ping(session);
		break;
	default:
		control_answer_unknown(session);
		break;
	}
}

static void control_whole(struct mesh_stream *stream, size_t more_len, bool fin)
{
	struct mesh_session *session = session_of(stream);

	(void)more_len, (void)fin;
	control_dispatch(session, &stream->in.frame);
	mesh_buffers_release(&stream->mesh->buffers, session->control.buffer);
	session->control.buffer = NULL;
}

/* The head of a frame is known: may it be here, and where does its payload go? */
static int control_admit(struct mesh_stream *stream)
{
	struct mesh_session *session = session_of(stream);
	const struct mesh_frame *frame = &stream->in.frame;
	const struct mesh_message_info *info = mesh_registry_lookup(frame->type);
	bool is_control = info && (info->request_class == MESH_CLASS_SESSION ||
				   info->answer_class == MESH_CLASS_SESSION);
	enum mesh_class class = is_control ? MESH_CLASS_SESSION : MESH_CLASS_ENVELOPE;

	if (!session->has_hello && frame->type != MESH_HELLO && frame->type != MESH_GOODBYE) {
		control_refuse(session, MESH_BYE_PROTOCOL, "hello expected");
	} else if (frame->flags == MESH_FLAG_ERROR ||
		   frame->flags > (MESH_FLAG_RESPONSE | MESH_FLAG_ERROR)) {
		control_refuse(session, MESH_BYE_PROTOCOL, "malformed flags");
	} else if (frame->payload_len > mesh_class_payload_max(class)) {
		control_refuse(session, MESH_BYE_PROTOCOL, "frame too large");
	} else if (is_control) { /* others are skipped */
		session->control.buffer =
			mesh_buffers_acquire(&stream->mesh->buffers, frame->payload_len);
		stream->in.body = session->control.buffer;
		if (!session->control.buffer)
			mesh_session_close(session, MESH_BYE_FULL, "no buffer");
	}
	return 0;
}

static void control_bad(struct mesh_stream *stream, int err)
{
	(void)err;
	control_refuse(session_of(stream), MESH_BYE_PROTOCOL, "malformed frame");
}

static void control_fin(struct mesh_stream *stream)
{
	mesh_session_close(session_of(stream), MESH_BYE_DONE, "control stream ended");
}

static void control_was_reset(struct mesh_stream *stream)
{
	mesh_session_close(session_of(stream), MESH_BYE_PROTOCOL, "control stream reset");
}

/* Either the connection ends, too, and says why, or the peer broke the session. */
static void control_closed(struct mesh_stream *stream, uint64_t code)
{
	struct mesh_session *session = session_of(stream);
	struct transport_conn_info info;

	(void)code;
	session_ops(session)->info(session->conn, &info);
	if (info.has_ended)
		mesh_session_closed(session, &info.end);
	else
		mesh_session_close(session, MESH_BYE_PROTOCOL, "control stream closed");
}

static const struct mesh_stream_kind control_kind = {
	.input = mesh_stream_input,
	.admit = control_admit,
	.whole = control_whole,
	.bad = control_bad,
	.fin = control_fin,
	.writable = control_writable,
	.was_reset = control_was_reset,
	.closed = control_closed,
	.ended = control_ended,
	.left = control_left,
};

void mesh_control_init(struct mesh_session *session)
{
	mesh_stream_init(&session->control.stream, session->mesh, &control_kind, MESH_ROLE_CONTROL);
	session->control.stream.is_kept = true;
}

void mesh_control_adopt(struct mesh_session *session, struct transport_stream *transport,
			const struct mesh_frame_in *in)
{
	mesh_stream_bind(&session->control.stream, session, transport);
	session->control.stream.in = *in;
	mesh_control_say_hello(session);
}
