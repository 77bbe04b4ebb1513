/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of this node waits here before it is open. It waits for a session with its peer, for
 * the time from which the peer may be asked, and for stream credit. Home worker.
 *
 * The user of a stream is never called inside a call of its own. A wait that fails at once is
 * settled, and its user learns of it when timers next expire.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define TIMEOUT_DEFAULT_NS (30 * NS_PER_S)

int mesh_stream_check_peer(const struct mesh *mesh, const struct mesh_peer *peer)
{
	if (mesh->is_leaving)
		return WEFT_EREFUSED;
	if (peer->addr_cnt > MESH_PEER_ADDRS_MAX || peer->via_cnt > PEER_VIAS_MAX ||
	    memcmp(peer->key, mesh->own_key, MESH_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	return 0;
}

bool mesh_stream_has_room(struct mesh *mesh, const uint8_t *key)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, key);
	uint32_t cnt = (session ? session->stream_cnts[MESH_ROLE_REQUEST] : 0) +
		       (dial ? dial->waiter_cnt : 0);

	return cnt < mesh->config.request_per_session_cap;
}

uint64_t mesh_stream_deferred_until(const struct mesh_stream *stream)
{
	const struct mesh *mesh = stream->mesh;

	return mesh_deferrals_until(&mesh->deferrals, stream->peer.key, stream->wait.type,
				    mesh->now_ns);
}

/* Half of a request's time is for the answer: it waits no longer than this for the peer. */
static uint64_t wait_defer_max_ns(const struct mesh_wait *wait)
{
	return wait->deadline_ns - wait->timeout_ns / 2;
}

static void wait_settle(struct mesh_stream *stream, int err, uint64_t not_before_ns)
{
	if (stream->transport) {
		mesh_transport_ops(stream->mesh)->reset(stream->transport, MESH_CODE_INTERNAL);
		stream->transport->user = NULL;
		stream->transport = NULL;
	}
	mesh_stream_quit(stream);
	stream->state = MESH_STATE_SETTLED;
	stream->wait.err = err;
	stream->wait.not_before_ns = not_before_ns;
	timer_set(stream->mesh->timers, &stream->timer, stream->mesh->now_ns);
}

/* Takes stream out of its place. The wait goes on. */
static void wait_leave(struct mesh_stream *stream)
{
	mesh_stream_quit(stream);
	timer_set(stream->mesh->timers, &stream->timer, stream->wait.deadline_ns);
}

/* Gives stream a transport stream. 0, also when it has to wait for credit, or why not. */
static int stream_open(struct mesh_stream *stream)
{
	struct mesh_session *session = stream->session;
	int err = mesh_transport_ops(stream->mesh)->open(session->conn, stream, &stream->transport);

	if (err < 0) {
		stream->transport = NULL;
		return err == WEFT_EBUSY ? 0 : err;
	}
	list_unlink(&stream->node);
	list_push_back(&session->streams, &stream->node);
	stream->state = MESH_STATE_OPEN;
	return 0;
}

int mesh_stream_queue(struct mesh_stream *stream, struct mesh_session *session)
{
	bool is_first = list_is_empty(&session->queue);

	stream->session = session;
	session->stream_cnts[stream->role]++;
	list_push_back(&session->queue, &stream->node);
	stream->state = MESH_STATE_QUEUED;
	return is_first ? stream_open(stream) : 0;
}

void mesh_stream_queue_run(struct mesh_session *session)
{
	struct mesh_stream *stream;

	while ((stream = list_first(&session->queue, struct mesh_stream, node))) {
		int err = stream_open(stream);

		if (!err && stream->state != MESH_STATE_OPEN)
			return;
		if (!err)
			err = stream->kind->opened(stream);
		if (err < 0)
			mesh_stream_give_up(stream, err, MESH_CODE_INTERNAL);
	}
}

/* Holds stream at session until the peer may be asked, or settles it when that is too late. */
static void wait_defer(struct mesh_stream *stream, struct mesh_session *session, uint64_t until_ns)
{
	if (until_ns > wait_defer_max_ns(&stream->wait)) {
		wait_settle(stream, WEFT_EBUSY, until_ns);
		return;
	}
	stream->session = session;
	session->stream_cnts[stream->role]++;
	list_push_back(&session->deferred, &stream->node);
	stream->state = MESH_STATE_DEFERRED;
	timer_set(stream->mesh->timers, &stream->timer, until_ns);
}

void mesh_stream_start(struct mesh_stream *stream, struct mesh_session *session)
{
	uint64_t until_ns = 0;
	int err;

	wait_leave(stream);
	if (mesh_session_bars(session, stream->wait.type)) {
		const struct mesh_params *params = &stream->mesh->params;

		if (params->on_barred)
			params->on_barred(params->ctx, session->key);
		wait_settle(stream, WEFT_EREFUSED, 0);
		return;
	}
	/* A session is all that a connect waits for, and the peer has given it one. */
	if (stream->wait.type != MESH_DEFER_ALL)
		until_ns = mesh_stream_deferred_until(stream);
	if (until_ns) {
		wait_defer(stream, session, until_ns);
		return;
	}
	if (stream->kind->connected) {
		wait_settle(stream, 0, 0);
		return;
	}
	err = mesh_stream_queue(stream, session);
	if (!err && stream->state == MESH_STATE_OPEN)
		err = stream->kind->opened(stream);
	if (err < 0)
		wait_settle(stream, err, 0);
}

/* Uses a session that is there, now or when the peer may be asked. */
static void session_use(struct mesh_stream *stream, struct mesh_session *session,
			const struct mesh_peer *peer)
{
	struct mesh *mesh = stream->mesh;

	session->is_wanted |= peer->is_chosen || peer->is_wanted;
	session->is_unsought &= peer->is_unsought;
	if (peer->is_chosen)
		mesh_choose(mesh, peer->key, MESH_CHOICE_DIALLED, true, mesh->now_ns);
	mesh_stream_start(stream, session);
	if (stream->is_finished)
		mesh_redial_asked(session, peer);
}

void mesh_stream_await_init(struct mesh_stream *stream, const struct mesh_peer *peer, unsigned type,
			    uint64_t timeout_ns)
{
	struct mesh *mesh = stream->mesh;

	memcpy(stream->peer.key, peer->key, sizeof(stream->peer.key));
	stream->wait.type = type;
	stream->wait.timeout_ns = timeout_ns ?: TIMEOUT_DEFAULT_NS;
	stream->wait.deadline_ns = mesh->now_ns + stream->wait.timeout_ns;
	timer_set(mesh->timers, &stream->timer, stream->wait.deadline_ns);
}

int mesh_stream_await(struct mesh_stream *stream, const struct mesh_peer *peer)
{
	static const struct addr nowhere;
	struct mesh *mesh = stream->mesh;
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, peer->key);
	uint64_t until_ns;

	if (session && !mesh_redial_is_on(session) &&
	    (!stream->kind->wants_addr || mesh_redial_session_suits(session, peer))) {
		session_use(stream, session, peer);
		return 0;
	}
	until_ns = mesh_stream_deferred_until(stream);
	if (mesh_refuses(mesh, peer->key, &nowhere))
		wait_settle(stream, WEFT_EREFUSED, 0);
	else if (until_ns > wait_defer_max_ns(&stream->wait))
		wait_settle(stream, WEFT_EREFUSED, until_ns);
	else
		return mesh_dial_wait(mesh, peer, stream);
	return 0;
}

void mesh_stream_move(struct mesh_stream *stream)
{
	struct mesh_peer peer = {0};

	memcpy(peer.key, stream->peer.key, sizeof(peer.key));
	wait_leave(stream);
	if (mesh_stream_await(stream, &peer) < 0)
		mesh_stream_end(stream, &(struct mesh_stream_end){.err = WEFT_EBUSY});
}

static void wait_tell(struct mesh_stream *stream)
{
	if (stream->wait.err == 0)
		stream->kind->connected(stream);
	else
		mesh_stream_end(stream, &(struct mesh_stream_end){
						.err = stream->wait.err,
						.not_before_ns = stream->wait.not_before_ns});
}

/* While dialling, silence means that nothing is there. */
static void wait_time_out(struct mesh_stream *stream)
{
	struct mesh_stream_end end = {.err = WEFT_ETIMEOUT};
	uint8_t key[MESH_KEY_LEN];

	stream->mesh->stats.timeout_cnt++;
	if (stream->state == MESH_STATE_DIALLING)
		end.err = mesh_dial_verdict(stream->wait.dial);
	if (end.err == WEFT_EWRONGKEY) {
		memcpy(key, stream->wait.dial->actual_key, sizeof(key));
		end.actual_key = key;
	}
	mesh_stream_end(stream, &end);
}

void mesh_stream_await_expire(struct mesh_stream *stream)
{
	struct mesh_session *session = stream->session;

	if (stream->state == MESH_STATE_SETTLED)
		wait_tell(stream);
	else if (stream->mesh->now_ns >= stream->wait.deadline_ns)
		wait_time_out(stream);
	else if (stream->state == MESH_STATE_DEFERRED)
		mesh_stream_start(stream,
				  session); /* which puts it off anew, if the peer said so */
	else
		timer_set(stream->mesh->timers, &stream->timer, stream->wait.deadline_ns);
}
