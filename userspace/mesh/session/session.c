/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's life, from a connection whose key is proved to its end, and the choice between two
 * sessions of the same keys. Home worker.
 *
 * Two nodes that dial each other at the same moment get two connections. Both sides prefer the
 * one dialled by the smaller key, so they agree without a word. Of two transports they prefer
 * QUIC, then TCP, then a relay. If the second one comes later than SIMULTANEOUS_NS, its dialler had
 * lost the first (a crash, a new address), and the newest is preferred. The other is retired. It
 * carries the streams it has begun, no new ones are put on it, and its dialler closes it when it is
 * quiet. A dialler that is one of several workers may not know of the other session. A session that it
 * leaves alone for long is closed by the side that does know. redial.c doubts a session that
 * owes an answer and is silent.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define SIMULTANEOUS_NS	 (2 * NS_PER_S)
#define RETIRED_QUIET_NS (2 * NS_PER_S)
#define RETIRED_LEFT_NS	 (10 * NS_PER_S)
#define HELLO_TIMEOUT_NS (10 * NS_PER_S)
/* Time for GOODBYE to be acknowledged; a polite peer closes before. */
#define LEAVE_LINGER_NS (200 * NS_PER_MS)

#define SESSIONS_PER_KEY_MAX 3

#define SESSION_ID_LABEL "EXPORTER-mesh-session-v1"

static bool session_is_quiet(const struct mesh_session *session)
{
	uint32_t cnt = 0;

	for (unsigned role = MESH_ROLE_REQUEST; role < MESH_ROLE_CNT; role++)
		cnt += session->stream_cnts[role];
	return !cnt && !session->ping.done;
}

/*
 * Whether the session in use is one for its dialler too. A dialler that gave it up before it was
 * ready says no HELLO on it, and its word of that can be lost.
 */
static bool successor_is_heard(const struct mesh_session *session)
{
	const struct mesh_session *used = map_lookup(&session->mesh->sessions_by_key, session->key);

	return used && used->has_hello;
}

static bool session_is_over(const struct mesh_session *session, uint64_t now_ns)
{
	if (!session->is_retired || !session_is_quiet(session))
		return false;
	return session->is_dialler ||
	       (now_ns >= session->retired_ns + RETIRED_LEFT_NS && successor_is_heard(session));
}

static void session_arm(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	uint64_t next_ns = TIMER_NEVER;

	if (!session->has_hello)
		next_ns = session->ready_ns + HELLO_TIMEOUT_NS;
	if (session->is_retired && next_ns > mesh->now_ns + RETIRED_QUIET_NS)
		next_ns = mesh->now_ns + RETIRED_QUIET_NS;
	if (next_ns != TIMER_NEVER)
		timer_set(mesh->timers, &session->timer, next_ns);
}

static void session_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, timer);
	struct mesh *mesh = session->mesh;

	now_ns = mesh_turn(mesh, now_ns);
	if (session->is_leaving) {
		mesh_session_close(session, MESH_BYE_SHUTDOWN, "goodbye");
	} else if (!session->has_hello && now_ns >= session->ready_ns + HELLO_TIMEOUT_NS) {
		mesh->stats.timeout_cnt++;
		mesh_session_close(session, MESH_BYE_NO_HELLO, "no hello in time");
	} else if (session_is_over(session, now_ns)) {
		mesh_session_close(session, MESH_BYE_DUPLICATE, "another session is used");
	} else {
		session_arm(session);
	}
}

static void session_retire(struct mesh_session *session)
{
	session->is_retired = true;
	session->retired_ns = session->mesh->now_ns;
	session_arm(session);
}

/* Is the newcomer the one to use from now on? */
static bool session_beats(const struct mesh_session *newcomer, const struct mesh_session *other)
{
	bool is_own_smaller;

	if (newcomer->ready_ns - other->ready_ns > SIMULTANEOUS_NS)
		return true;
	if (newcomer->remote.transport != other->remote.transport)
		return newcomer->remote.transport < other->remote.transport;
	if (newcomer->is_dialler == other->is_dialler)
		return true;
	is_own_smaller = memcmp(newcomer->mesh->own_key, newcomer->key, MESH_KEY_LEN) < 0;
	return newcomer->is_dialler == is_own_smaller;
}

/* The map names the preferred session of a key; retired ones hang behind it. */
static int session_place(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct mesh_session *other = map_lookup(&mesh->sessions_by_key, session->key);

	if (other && !session_beats(session, other)) {
		session->twin = other->twin;
		other->twin = session;
		session_retire(session);
		return 0;
	}
	if (map_put(&mesh->sessions_by_key, session->key, session) < 0)
		return WEFT_EFULL;
	session->twin = other;
	if (other)
		session_retire(other);
	return 0;
}

static void session_displace(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct mesh_session *at = map_lookup(&mesh->sessions_by_key, session->key);
	struct mesh_session *twin = session->twin;

	session->twin = NULL;
	if (at != session) {
		while (at && at->twin != session)
			at = at->twin;
		if (at)
			at->twin = twin;
		return;
	}
	map_delete(&mesh->sessions_by_key, session->key);
	/* There is room: the key's place was just freed. */
	if (twin && map_put(&mesh->sessions_by_key, twin->key, twin) == 0)
		twin->is_retired = false;
}

/* A peer that connects over and over cannot pile up sessions. */
static void session_limit_twins(struct mesh_session *session)
{
	struct mesh_session *at = map_lookup(&session->mesh->sessions_by_key, session->key);

	for (unsigned i = 0; at && i < SESSIONS_PER_KEY_MAX; i++)
		at = at->twin;
	if (at)
		mesh_session_close(at, MESH_BYE_DUPLICATE, "too many sessions");
}

struct mesh_session *mesh_session_make(struct mesh *mesh, struct transport_conn *conn,
				       const struct transport_conn_info *info)
{
	struct mesh_session *session = pool_acquire(&mesh->sessions);

	if (!session) {
		mesh->stats.refused_cnt++;
		return NULL;
	}
	session->kind = MESH_CONN_SESSION;
	session->mesh = mesh;
	session->conn = conn;
	memcpy(session->key, info->peer_key, sizeof(session->key));
	session->remote = info->remote;
	session->is_dialler = info->is_dialler;
	session->ready_ns = mesh->now_ns;
	session->ready_wall_s = mesh_wall_now_s(mesh);
	session->next_req_id = 1;
	list_init(&session->queue);
	list_init(&session->deferred);
	list_init(&session->streams);
	mesh_control_init(session);
	timer_init(&session->timer, session_expire);
	timer_init(&session->liveness, mesh_liveness_expire);
	if (mesh->transport->ops->exporter(conn, SESSION_ID_LABEL, session->id,
					   sizeof(session->id)) < 0 ||
	    session_place(session) < 0) {
		mesh_stream_drop(&session->control.stream, 0);
		mesh_stream_release(&session->control.stream);
		mesh->stats.refused_cnt++;
		return NULL;
	}
	conn->user = session;
	session_arm(session);
	session_limit_twins(session);
	if (session->is_dialler)
		mesh_control_open(session);
	return session;
}

void mesh_session_moved(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct transport_conn_info info;
	bool is_told;

	mesh->transport->ops->info(session->conn, &info);
	if (addr_equal(&info.remote, &session->remote))
		return;
	/* A peer may move with each datagram. */
	is_told = !session->has_moved || mesh->now_ns >= session->moved_ns + NS_PER_S;
	session->remote = info.remote;
	session->has_moved = true;
	session->moved_ns = mesh->now_ns;
	if (!session->peer)
		return;
	mesh_peer_place(&session->peer->record.last_addr, &session->remote, session->is_dialler);
	mesh_peers_changed(&mesh->peers, session->peer, mesh->now_ns);
	mesh_upgrade_drop(session);
	mesh_upgrade_begin(session);
	if (is_told && mesh->params.on_moved)
		mesh->params.on_moved(mesh->params.ctx, session->key, &session->remote);
}

static void session_note_end(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	struct mesh_peer_entry *entry = session->peer;
	struct mesh_peer_info info;

	if (!entry)
		return;
	mesh_session_fill_info(session, &info);
	info.is_connected = false;
	info.end = session->end;
	entry->session_cnt--;
	mesh_peer_place(&entry->record.last_addr, &info.last_addr, session->is_dialler);
	entry->record.last_seen_s = mesh_wall_now_s(mesh);
	mesh_peers_changed(&mesh->peers, entry, mesh->now_ns);
	session->peer = NULL;
	if (entry->session_cnt)
		return;
	mesh_peers_settle(&mesh->peers, entry);
	if (mesh->params.on_session)
		mesh->params.on_session(mesh->params.ctx, &info, false);
}

/*
 * A stream that has sent nothing yet has lost nothing: a second session to the key may carry it, or
 * one after the time stated. A queued stream of frames cannot move: its user may have read the
 * session's id.
 */
static void session_end_waiting(struct mesh_session *session, struct mesh_stream *stream)
{
	struct mesh_session *twin = map_lookup(&session->mesh->sessions_by_key, session->key);
	bool may_move = stream->state == MESH_STATE_DEFERRED || stream->role == MESH_ROLE_REQUEST;

	if (may_move && twin &&
	    twin->stream_cnts[MESH_ROLE_REQUEST] < twin->mesh->config.request_per_session_cap)
		mesh_stream_start(stream, twin);
	else if (may_move && session->end.not_before_ms)
		mesh_stream_move(stream);
	else
		mesh_stream_end(stream, &(struct mesh_stream_end){.err = WEFT_ECLOSED});
}

static void session_end_streams(struct mesh_session *session)
{
	struct mesh_stream *stream;

	while ((stream = list_first(&session->queue, struct mesh_stream, node)) ||
	       (stream = list_first(&session->deferred, struct mesh_stream, node)))
		session_end_waiting(session, stream);
	while ((stream = list_first(&session->streams, struct mesh_stream, node))) {
		struct mesh_stream_end end = {.err = WEFT_ECLOSED};

		if (stream->role == MESH_ROLE_REQUEST && session->end.not_before_ms)
			end.err = WEFT_EBUSY;
		mesh_stream_end(stream, &end);
	}
}

void mesh_session_end(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;

	session->conn->user = NULL;
	mesh_lost_note(session);
	session_displace(session);
	mesh_dial_session_ended(session);
	timer_cancel(mesh->timers, &session->timer);
	timer_cancel(mesh->timers, &session->liveness);
	mesh_upgrade_drop(session);
	mesh_stream_end(&session->control.stream, &(struct mesh_stream_end){.err = WEFT_ECLOSED});
	session_note_end(session);
	session_end_streams(session);
	mesh_stream_release(&session->control.stream); /* and the session with it */
}

void mesh_session_note_deferral(struct mesh_session *session, const struct transport_close *close)
{
	struct mesh *mesh = session->mesh;

	if (close->not_before_ms)
		mesh_deferrals_note(&mesh->deferrals, session->key, MESH_DEFER_ALL,
				    mesh->now_ns + close->not_before_ms * NS_PER_MS, mesh->now_ns);
}

void mesh_session_closed(struct mesh_session *session, const struct transport_close *close)
{
	session->end = *close;
	mesh_session_note_deferral(session, close);
	mesh_session_end(session);
}

void mesh_session_close(struct mesh_session *session, enum mesh_goodbye_reason reason,
			const char *text)
{
	session->mesh->transport->ops->close(session->conn, reason, text);
	/* A close that answers GOODBYE is for the peer's reason. */
	if (!session->end.err)
		session->end = (struct transport_close){.err = WEFT_ECLOSED, .code = reason};
	mesh_session_end(session);
}

void mesh_session_leave(struct mesh_session *session, unsigned reason, uint64_t not_before_ms)
{
	struct mesh_bye bye = {.reason = reason, .not_before_ms = not_before_ms};
	uint8_t payload[32];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_frame frame = {.type = MESH_GOODBYE};

	mesh_bye_write(&w, &bye);
	frame.payload_len = writer_len(&w);
	/* Without a control stream the close alone must do. */
	(void)mesh_control_send(session, &frame, payload);
	session->is_leaving = true;
	timer_set(session->mesh->timers, &session->timer, session->mesh->now_ns + LEAVE_LINGER_NS);
}

bool mesh_session_bars(const struct mesh_session *session, unsigned type)
{
	struct transport_conn_info info;

	if (type < MESH_HOLDERS || type > MESH_RANGE_PROOF)
		return false;
	session->mesh->transport->ops->info(session->conn, &info);
	return addr_is_relayed_control(&info.remote);
}

void mesh_session_fill_info(const struct mesh_session *session, struct mesh_peer_info *out_info)
{
	const struct mesh_peer_entry *entry = session->peer;
	struct mesh_peer_info info = {
		.is_connected = true, .last_addr = session->remote, .share_cnt = 1};

	memcpy(info.key, session->key, sizeof(info.key));
	if (entry) {
		info.caps = entry->record.caps;
		info.first_seen_s = entry->record.first_seen_s;
		info.last_seen_s = mesh_wall_now_s(session->mesh);
		info.skew_s = entry->record.skew_s;
		if (entry->record.share_cnt > 1)
			info.share_cnt = entry->record.share_cnt;
		memcpy(info.vias, entry->vias, sizeof(info.vias));
		info.via_cnt = entry->via_cnt;
		memcpy(info.agent, entry->record.agent, sizeof(info.agent));
	}
	info.connected_since_s = session->ready_wall_s;
	session->mesh->transport->ops->info(session->conn, &info.conn);
	if (info.conn.remote.family != ADDR_NONE)
		info.last_addr = info.conn.remote; /* it may have moved */
	info.requests_in_flight = session->stream_cnts[MESH_ROLE_REQUEST];
	info.incoming_in_flight = session->stream_cnts[MESH_ROLE_INCOMING];
	*out_info = info;
}
