/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control stream: HELLO from both sides, PING, PONG, GOODBYE. The
 * dialler opens it; the accepting side takes the stream on which HELLO
 * arrives, since streams may become visible in any order. Home worker.
 *
 * What breaks its rules ends the session: unlike on a request's stream,
 * nothing after a violation can be understood.
 */
#include "mesh/mesh_state.h"

#include "base/assert.h"
#include "base/monotonic.h"

static const struct transport_ops *session_ops(const struct mesh_session *session)
{
	return session->mesh->transport->ops;
}

int mesh_control_send(struct mesh_session *session, const struct mesh_frame *frame,
		      const void *payload)
{
	struct mesh *mesh = session->mesh;
	struct writer w = writer_of(mesh->scratch, sizeof(mesh->scratch));
	int err;

	if (!session->control.stream)
		return WEFT_ECLOSED;
	mesh_frame_write(&w, frame);
	writer_bytes(&w, payload, frame->payload_len);
	if (w.bad)
		return WEFT_ETOOLARGE;
	err = session_ops(session)->send_copy(session->control.stream, mesh->scratch,
					      writer_len(&w));
	if (!err)
		mesh->stats.frame_out_cnt++;
	return err;
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

void mesh_control_writable(struct mesh_session *session)
{
	if (!session->control.is_hello_sent)
		mesh_control_say_hello(session);
}

void mesh_control_open(struct mesh_session *session)
{
	struct mesh_control *control = &session->control;

	if (session_ops(session)->open(session->conn, control, &control->stream) < 0) {
		/* A peer that gives no credit for one stream: conn_streams_available may come. */
		control->stream = NULL;
		return;
	}
	mesh_control_say_hello(session);
}

void mesh_control_fini(struct mesh_session *session)
{
	struct mesh_control *control = &session->control;
	struct mesh_ping ping = session->ping;

	if (control->stream)
		control->stream->user = NULL;
	control->stream = NULL;
	mesh_buffers_release(&session->mesh->buffers, control->buffer);
	control->buffer = NULL;
	timer_cancel(session->mesh->timers, &session->ping.timer);
	session->ping.done = NULL;
	if (ping.done)
		ping.done(ping.arg, WEFT_ECLOSED, 0);
}

static void ping_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, ping.timer);
	mesh_ping_fn done = session->ping.done;

	session->mesh->now_ns = now_ns;
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

int mesh_control_ping(struct mesh_session *session, uint64_t timeout_ns, mesh_ping_fn done,
		      void *arg)
{
	uint64_t now_ns = session->mesh->now_ns;
	uint32_t req_id = session->next_req_id;
	int err;

	if (session->ping.done)
		return WEFT_EBUSY;
	if ((err = mesh_control_say_ping(session)) < 0)
		return err;
	session->ping.req_id = req_id;
	session->ping.sent_ns = now_ns;
	session->ping.done = done;
	session->ping.arg = arg;
	timer_init(&session->ping.timer, ping_expire);
	timer_set(session->mesh->timers, &session->ping.timer, now_ns + timeout_ns);
	return 0;
}

/* Frames that follow return true while the session lives. */

static bool control_refuse(struct mesh_session *session, enum mesh_goodbye_reason reason,
			   const char *text)
{
	session->mesh->stats.malformed_cnt++;
	mesh_session_close(session, reason, text);
	return false;
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
	record->last_addr = session->remote;
	memcpy(record->addrs, hello->addrs, sizeof(record->addrs));
	record->addr_cnt = hello->addr_cnt;
	if (record->addr_seq < session->addr_seq)
		record->addr_seq = session->addr_seq;
	memcpy(record->agent, hello->agent, sizeof(record->agent));
	record->last_seen_s = mesh_wall_now_s(mesh);
	if (!record->first_seen_s)
		record->first_seen_s = record->last_seen_s;
	hello_note_skew(session, record, hello->unix_s);
	if (session->is_dialler) {
		record->good_addr = session->remote;
		record->good_s = record->last_seen_s;
	}
	if (session->token.len)
		record->token = session->token; /* it came before HELLO */
	if (mesh->choices)
		record->choices = (record->choices & MESH_CHOICE_DIALLED) |
				  mesh->choices(mesh->ctx, session->key);
	if (session->is_chosen)
		record->choices |= MESH_CHOICE_DIALLED;
	mesh_peers_take(&mesh->peers, entry);
	entry->session_cnt++;
	mesh_deferrals_forget(&mesh->deferrals, session->key);
	session->peer = entry;
	mesh_peers_changed(&mesh->peers, entry, mesh->now_ns);
}

static bool control_hello(struct mesh_session *session, const uint8_t *payload, size_t len)
{
	struct mesh *mesh = session->mesh;
	struct mesh_peer_info info;
	struct mesh_hello hello;
	int err;

	if (session->has_hello)
		return control_refuse(session, MESH_BYE_PROTOCOL, "second hello");
	err = mesh_hello_parse(payload, len, &hello);
	if (err == WEFT_EUNKNOWN)
		return control_refuse(session, MESH_BYE_VERSION, "only mesh version 1 is spoken");
	if (err < 0)
		return control_refuse(session, MESH_BYE_PROTOCOL, "malformed hello");
	session->has_hello = true;
	hello_keep(session, &hello);
	mesh->stats.hello_cnt++;
	if (mesh->on_session && session->peer->session_cnt == 1) {
		mesh_session_fill_info(session, &info);
		mesh->on_session(mesh->ctx, &info, true);
	}
	return true;
}

static bool control_goodbye(struct mesh_session *session, const uint8_t *payload, size_t len)
{
	struct mesh *mesh = session->mesh;
	struct mesh_bye bye;

	if (mesh_bye_parse(payload, len, &bye) < 0)
		return control_refuse(session, MESH_BYE_PROTOCOL, "malformed goodbye");
	if (bye.not_before_ms > MESH_NOT_BEFORE_MS_MAX)
		bye.not_before_ms = MESH_NOT_BEFORE_MS_MAX;
	mesh_deferrals_note(&mesh->deferrals, session->key, MESH_DEFER_ALL,
			    mesh->now_ns + bye.not_before_ms * NS_PER_MS, mesh->now_ns);
	session->end =
		(struct transport_close){.err = WEFT_ECLOSED, .code = bye.reason, .by_peer = true};
	mesh_session_close(session, MESH_BYE_DONE, "goodbye");
	return false;
}

static void control_answer_ping(struct mesh_session *session)
{
	struct mesh_frame frame = {.type = MESH_PONG,
				   .req_id = session->control.in.frame.req_id,
				   .flags = MESH_FLAG_RESPONSE};

	/* A peer that pings faster than it reads gets fewer answers. */
	(void)mesh_control_send(session, &frame, "");
}

static void control_answer_unknown(struct mesh_session *session)
{
	struct mesh_error error = {.code = MESH_CODE_UNKNOWN, .text = "unknown type"};
	uint8_t payload[MESH_ERROR_PAYLOAD_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_frame frame = {.type = MESH_ERROR,
				   .req_id = session->control.in.frame.req_id,
				   .flags = MESH_FLAG_RESPONSE | MESH_FLAG_ERROR};

	session->mesh->stats.unknown_type_cnt++;
	mesh_error_write(&w, &error);
	frame.payload_len = writer_len(&w);
	(void)mesh_control_send(session, &frame, payload);
}

static bool control_dispatch(struct mesh_session *session)
{
	const struct mesh_frame *frame = &session->control.in.frame;
	const uint8_t *payload = session->control.buffer;

	session->mesh->stats.frame_in_cnt++;
	if (frame->flags & MESH_FLAG_RESPONSE) {
		/* Only PING asks here; a late answer, or one nobody waits for, is nothing. */
		if (session->ping.done && frame->req_id == session->ping.req_id)
			ping_answered(session, frame->type == MESH_PONG ? 0 : WEFT_EUNKNOWN);
		return true;
	}
	switch (frame->type) {
	case MESH_HELLO:
		return control_hello(session, payload, frame->payload_len);
	case MESH_GOODBYE:
		return control_goodbye(session, payload, frame->payload_len);
	case MESH_PING:
		control_answer_ping(session);
		return true;
	default:
		control_answer_unknown(session);
		return true;
	}
}

/* The head of a frame is known: may it be here, and where does its payload go? */
static bool control_admit(struct mesh_session *session)
{
	struct mesh_control *control = &session->control;
	const struct mesh_frame *frame = &control->in.frame;
	const struct mesh_message_info *info = mesh_registry_lookup(frame->type);

	if (!session->has_hello && frame->type != MESH_HELLO && frame->type != MESH_GOODBYE)
		return control_refuse(session, MESH_BYE_PROTOCOL, "hello expected");
	if (frame->flags == MESH_FLAG_ERROR ||
	    frame->flags > (MESH_FLAG_RESPONSE | MESH_FLAG_ERROR))
		return control_refuse(session, MESH_BYE_PROTOCOL, "malformed flags");
	if (!info || (info->request_class != MESH_CLASS_SESSION &&
		      info->answer_class != MESH_CLASS_SESSION)) {
		if (frame->payload_len > mesh_class_payload_max(MESH_CLASS_ENVELOPE))
			return control_refuse(session, MESH_BYE_PROTOCOL, "frame too large");
		return true; /* skipped */
	}
	if (frame->payload_len > mesh_class_payload_max(MESH_CLASS_SESSION))
		return control_refuse(session, MESH_BYE_PROTOCOL, "frame too large");
	control->buffer = mesh_buffers_acquire(&session->mesh->buffers, frame->payload_len);
	if (!control->buffer) {
		mesh_session_close(session, MESH_BYE_FULL, "no buffer");
		return false;
	}
	control->in.body = control->buffer;
	return true;
}

/* One step: a frame, or all of c. False when the session ended. */
static bool control_step(struct mesh_session *session, struct cursor *c)
{
	struct mesh_control *control = &session->control;
	bool had_frame = control->in.has_frame;
	int got = mesh_frame_in_head(&control->in, c);

	if (got < 0)
		return control_refuse(session, MESH_BYE_PROTOCOL, "malformed frame");
	if (!got)
		return true;
	if (!had_frame && !control_admit(session))
		return false;
	if (!mesh_frame_in_body(&control->in, c))
		return true;
	if (!control_dispatch(session))
		return false;
	mesh_buffers_release(&session->mesh->buffers, control->buffer);
	control->buffer = NULL;
	mesh_frame_in_reset(&control->in);
	return true;
}

void mesh_control_input(struct mesh_session *session, struct cursor *c, bool fin)
{
	do {
		if (!control_step(session, c))
			return;
	} while (cursor_left(c));
	if (fin)
		mesh_session_close(session, MESH_BYE_DONE, "control stream ended");
}

void mesh_control_adopt(struct mesh_session *session, struct transport_stream *stream,
			const struct mesh_frame_in *in, struct cursor *rest, bool fin)
{
	struct mesh_control *control = &session->control;

	control->stream = stream;
	control->in = *in;
	stream->user = control;
	mesh_control_say_hello(session);
	if (control_admit(session))
		mesh_control_input(session, rest, fin);
}
