/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of connections, given to the object that each concerns. An object
 * whose user is NULL has ended here; what still comes is dropped. Events of
 * streams are in mesh_stream.c.
 */
#include "mesh/mesh_state.h"

static bool conn_is(const struct transport_conn *conn, enum mesh_conn_kind kind)
{
	const enum mesh_conn_kind *of = conn->user;

	return of && *of == kind;
}

static struct mesh_session *conn_session(const struct transport_conn *conn)
{
	return conn_is(conn, MESH_CONN_SESSION) ? conn->user : NULL;
}

static bool key_is_none(const uint8_t *key)
{
	uint8_t all = 0;

	for (unsigned i = 0; i < MESH_KEY_LEN; i++)
		all |= key[i];
	return !all;
}

/* Why a connection becomes no session; its peer can read it. */
struct conn_fault {
	enum mesh_goodbye_reason reason;
	const char *text; /* NULL: none */
};

static struct conn_fault conn_find_fault(struct mesh *mesh, const struct transport_conn_info *info)
{
	if (key_is_none(info->peer_key))
		return (struct conn_fault){MESH_BYE_NO_KEY, "a node key is needed"};
	if (memcmp(info->peer_key, mesh->own_key, MESH_KEY_LEN) == 0)
		return (struct conn_fault){MESH_BYE_NO_KEY, "this is my own key"};
	if (mesh->is_leaving)
		return (struct conn_fault){MESH_BYE_SHUTDOWN, "shutting down"};
	if (mesh->sessions.used_cnt == mesh->sessions.cap_cnt)
		return (struct conn_fault){MESH_BYE_FULL, "too many sessions"};
	if (mesh_refuses(mesh, info->peer_key, &info->remote))
		return (struct conn_fault){MESH_BYE_REFUSED, "not welcome"};
	return (struct conn_fault){MESH_BYE_DONE, NULL};
}

/* 0, or why the connection was closed. */
static int conn_refuse(struct mesh *mesh, struct transport_conn *conn,
		       const struct transport_conn_info *info)
{
	struct conn_fault fault = conn_find_fault(mesh, info);
	struct mesh_failure failure = {
		.remote = info->remote,
		.is_dialler = info->is_dialler,
		.end = {.err = fault.reason == MESH_BYE_REFUSED ? WEFT_EREFUSED : WEFT_EFULL,
			.code = fault.reason},
	};

	if (!fault.text)
		return 0;
	mesh->transport->ops->close(conn, fault.reason, fault.text);
	mesh->stats.refused_cnt++;
	memcpy(failure.key, info->peer_key, sizeof(failure.key));
	if (mesh->params.on_failure)
		mesh->params.on_failure(mesh->params.ctx, &failure);
	return failure.end.err;
}

/* The peer proved the key that no node has: it is of no use. */
static int identify_ready(struct mesh *mesh, struct transport_conn *conn)
{
	static const struct transport_close nobody = {.err = WEFT_EREFUSED};
	struct mesh_identify *identify = conn->user;

	conn->user = NULL;
	mesh_identify_ended(mesh, identify, &nobody);
	return WEFT_ECLOSED;
}

static int on_conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_attempt *attempt = conn->user;
	struct mesh_session *session = NULL;
	struct transport_conn_info info;
	struct mesh_dial *dial;
	bool is_chosen = false, is_wanted = false, is_unsought = false;
	int err;

	mesh_turn(mesh, now_ns);
	if (conn_is(conn, MESH_CONN_IDENTIFY))
		return identify_ready(mesh, conn);
	mesh->transport->ops->info(conn, &info);
	if (conn_is(conn, MESH_CONN_UPGRADE)) {
		struct mesh_session *before = ((struct mesh_upgrade *)conn->user)->session;

		is_chosen = before->is_chosen;
		is_wanted = before->is_wanted;
		is_unsought = before->is_unsought;
		mesh_upgrade_won(before, conn);
		attempt = NULL;
	} else if (info.is_dialler && !attempt) {
		return WEFT_ECLOSED; /* another address won already */
	}
	conn->user = NULL;
	mesh_udp_note(mesh, attempt, &info);
	if (attempt && mesh_redial_is_over(attempt->dial)) {
		attempt->conn = NULL;
		attempt->dial->live_cnt--;
		mesh_dial_won(attempt->dial, attempt->dial->beside);
		return WEFT_ECLOSED;
	}
	err = conn_refuse(mesh, conn, &info);
	if (!err)
		session = mesh_session_make(mesh, conn, &info);
	if (!session) {
		if (attempt)
			mesh_dial_attempt_failed(attempt, err ? err : WEFT_EFULL, NULL);
		return err ? 0 : WEFT_EFULL;
	}
	session->is_chosen = is_chosen;
	session->is_wanted = is_wanted;
	session->is_unsought = is_unsought;
	dial = map_lookup(&mesh->dials_by_key, session->key);
	if (attempt) {
		attempt->conn = NULL;
		dial->live_cnt--;
	}
	if (dial && !mesh_redial_is_held(dial))
		mesh_dial_won(dial, session);
	return 0;
}

/* A label that leads nowhere is this node's own word, and no refusal of the peer. */
static int attempt_err(const struct mesh_attempt *attempt, const struct transport_close *close)
{
	bool is_relayed = addr_is_relayed(&attempt->dial->addrs[attempt->addr_idx]);

	return is_relayed && !close->by_peer && close->err == WEFT_EREFUSED ? WEFT_EUNREACHABLE
									    : close->err;
}

static void on_conn_closed(void *ctx, struct transport_conn *conn,
			   const struct transport_close *close, uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	enum mesh_conn_kind *kind = conn->user;

	mesh_turn(mesh, now_ns);
	if (!kind)
		return;
	if (*kind == MESH_CONN_IDENTIFY) {
		mesh_identify_ended(mesh, conn->user, close);
		return;
	}
	if (*kind == MESH_CONN_UPGRADE) {
		mesh_upgrade_failed(((struct mesh_upgrade *)conn->user)->session, conn, close);
		return;
	}
	if (*kind != MESH_CONN_ATTEMPT) {
		mesh_session_closed(conn->user, close);
		return;
	}
	mesh_dial_tell(conn->user, close);
	mesh_dial_attempt_failed(conn->user, attempt_err(conn->user, close),
				 close->has_key ? close->actual_key : NULL);
}

static void on_conn_token(void *ctx, struct transport_conn *conn, const uint8_t *data, size_t len,
			  uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_session *session = conn_session(conn);
	struct transport_conn_info info;

	now_ns = mesh_turn(mesh, now_ns);
	if (!session || len > MESH_TOKEN_LEN_MAX)
		return;
	mesh->transport->ops->info(conn, &info);
	if (addr_is_relayed(&info.remote))
		return;
	session->token = (struct mesh_peer_token){.addr = info.remote, .len = (uint8_t)len};
	memcpy(session->token.data, data, len);
	if (!session->peer)
		return;
	session->peer->record.token = session->token;
	mesh_peers_changed(&mesh->peers, session->peer, now_ns);
}

static uint64_t on_key_met_s(void *ctx, const uint8_t key[TRANSPORT_KEY_LEN])
{
	struct mesh *mesh = ctx;
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	return entry ? entry->record.first_seen_s : 0;
}

static void on_conn_moved(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_session *session = conn_session(conn);

	mesh_turn(mesh, now_ns);
	if (session)
		mesh_session_moved(session);
}

static void on_conn_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_session *session = conn_session(conn);

	mesh_turn(mesh, now_ns);
	if (!session)
		return;
	if (session->is_dialler && !session->control.stream.transport)
		mesh_control_open(session);
	mesh_stream_queue_run(session);
}

static int on_stream_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			    uint64_t now_ns)
{
	struct mesh *mesh = ctx;
	struct mesh_session *session = conn_session(conn);

	mesh_turn(mesh, now_ns);
	return session ? mesh_incoming_open(session, stream) : WEFT_ECLOSED;
}

const struct transport_events mesh_transport_events = {
	.conn_ready = on_conn_ready,
	.conn_token = on_conn_token,
	.key_met_s = on_key_met_s,
	.conn_moved = on_conn_moved,
	.conn_closed = on_conn_closed,
	.conn_streams_available = on_conn_streams_available,
	.stream_opened = on_stream_opened,
	.stream_data = mesh_stream_on_data,
	.stream_reset = mesh_stream_on_reset,
	.stream_writable = mesh_stream_on_writable,
	.stream_closed = mesh_stream_on_closed,
};
