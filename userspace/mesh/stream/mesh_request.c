/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of ours: wait for a session, for stream credit, for room in
 * the stream; then for the answer, which is read into the asker's own
 * memory. Home worker.
 *
 * The asker is told exactly once, never inside its own call: whatever
 * fails at once is told when timers next expire.
 */
#include "mesh/mesh_state.h"

#include <errno.h>

#include "base/monotonic.h"

#define TIMEOUT_DEFAULT_NS (30 * NS_PER_S)

/* What a peer resets its stream with when we take a request back. */
#define RESET_CANCELLED MESH_CODE_TIMEOUT

static const struct transport_ops *request_ops(const struct mesh_request *request)
{
	return request->mesh->transport->ops;
}

/* Leaves the lists, the stream and the buffers; the object stays. */
static void request_detach(struct mesh_request *request)
{
	struct mesh *mesh = request->mesh;

	list_unlink(&request->node);
	timer_cancel(mesh->timers, &request->timer);
	if (request->stream)
		request->stream->user = NULL;
	request->stream = NULL;
	if (request->session)
		request->session->request_cnt--;
	request->session = NULL;
	if (request->dial)
		mesh_dial_leave(request);
	request->dial = NULL;
	mesh_buffers_release(&mesh->buffers, request->frame);
	request->frame = NULL;
}

/* Tells the asker; request is gone before it hears. */
static void request_finish(struct mesh_request *request, const struct mesh_reply *reply)
{
	struct mesh *mesh = request->mesh;
	struct mesh_request told = *request;

	if (reply->err == 0 && told.session && told.info && told.info->number >= MESH_FIND_NODE)
		mesh_note_useful(mesh, told.session->key, 1);
	request_detach(request);
	pool_release(&mesh->requests, request);
	if (told.connected)
		told.connected(told.arg, reply->err, reply->actual_key);
	else
		told.reply(told.arg, reply, mesh->now_ns);
}

size_t mesh_request_received(const struct mesh_request *request)
{
	return request->in.body_len;
}

/* fail_reply: err, and when the peer may be asked again if it told. */
static struct mesh_reply fail_reply(const struct mesh_request *request, int err)
{
	const struct mesh *mesh = request->mesh;

	return (struct mesh_reply){
		.err = err,
		.received_len = mesh_request_received(request),
		.not_before_ns = mesh_deferrals_until(&mesh->deferrals, request->key, request->type,
						      mesh->now_ns),
	};
}

static void request_finish_err(struct mesh_request *request, int err)
{
	struct mesh_reply reply = fail_reply(request, err);

	request_finish(request, &reply);
}

/* Ends a request whose stream still lives: the peer need not go on. */
static void request_give_up(struct mesh_request *request, int err)
{
	if (request->stream)
		request_ops(request)->reset(request->stream, RESET_CANCELLED);
	request_finish_err(request, err);
}

void mesh_request_fail(struct mesh_request *request, int err, const uint8_t *actual_key)
{
	uint8_t key[MESH_KEY_LEN];
	struct mesh_reply reply = fail_reply(request, err);

	if (actual_key) {
		memcpy(key, actual_key, sizeof(key));
		reply.actual_key = key;
	}
	request_finish(request, &reply);
}

void mesh_request_cancel(struct mesh_request *request)
{
	struct mesh *mesh = request->mesh;

	if (request->stream)
		request_ops(request)->reset(request->stream, RESET_CANCELLED);
	request_detach(request);
	pool_release(&mesh->requests, request);
}

static void request_fail_soon(struct mesh_request *request, int err, uint64_t not_before_ns)
{
	if (request->stream)
		request_ops(request)->reset(request->stream, RESET_CANCELLED);
	request_detach(request);
	request->state = MESH_REQUEST_FAILING;
	request->fail_err = err;
	request->fail_not_before_ns = not_before_ns;
	timer_set(request->mesh->timers, &request->timer, request->mesh->now_ns);
}

static uint64_t request_due_ns(const struct mesh_request *request)
{
	uint64_t stall_at_ns = request->progress_ns + request->stall_ns;
	uint64_t deadline_ns = request->deadline_ns;

	if (request->progress_len)
		deadline_ns += request->in.body_len / request->progress_len * request->timeout_ns;
	if (request->state != MESH_REQUEST_SENT || !request->stall_ns || stall_at_ns > deadline_ns)
		return deadline_ns;
	return stall_at_ns;
}

/* While dialling, silence means that nobody is there. */
static void request_expire_dialling(struct mesh_request *request)
{
	struct mesh_dial *dial = request->dial;
	int err = mesh_dial_verdict(dial);

	mesh_request_fail(request, err, err == WEFT_EWRONGKEY ? dial->actual_key : NULL);
}

static void request_resume(struct mesh_request *request);

static void request_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_request *request = container_of(timer, struct mesh_request, timer);
	struct mesh *mesh = request->mesh;

	mesh->now_ns = now_ns;
	if (request->state == MESH_REQUEST_FAILING) {
		struct mesh_reply reply = {.err = request->fail_err,
					   .received_len = mesh_request_received(request),
					   .not_before_ns = request->fail_not_before_ns};

		request_finish(request, &reply);
		return;
	}
	if (now_ns < request_due_ns(request)) {
		timer_set(mesh->timers, timer, request_due_ns(request));
		if (request->state == MESH_REQUEST_DEFERRED)
			request_resume(request);
		return;
	}
	mesh->stats.timeout_cnt++;
	if (request->state == MESH_REQUEST_DIALLING)
		request_expire_dialling(request);
	else
		request_give_up(request, WEFT_ETIMEOUT);
}

/* The payload lies behind room for the longest head; the head goes right before it. */
static void request_begin(struct mesh_request *request)
{
	struct mesh_frame frame = {.type = request->info->number,
				   .req_id = request->req_id,
				   .payload_len = request->payload_len};
	uint8_t head[MESH_FRAME_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));

	mesh_frame_write(&w, &frame);
	request->unsent = request->frame + MESH_FRAME_HEAD_LEN_MAX - writer_len(&w);
	request->unsent_len = writer_len(&w) + request->payload_len;
	memcpy(request->unsent, head, writer_len(&w));
}

/* Sends what is left of it. 0, WEFT_EFULL (stream_writable follows), WEFT_ECLOSED. */
static int request_send(struct mesh_request *request)
{
	while (request->unsent_len) {
		size_t len = request->unsent_len < TRANSPORT_COPY_LEN_MAX ? request->unsent_len
									  : TRANSPORT_COPY_LEN_MAX;
		int err = request_ops(request)->send_copy(request->stream, request->unsent, len);

		if (err < 0)
			return err;
		request->unsent += len;
		request->unsent_len -= len;
	}
	request_ops(request)->finish(request->stream);
	mesh_buffers_release(&request->mesh->buffers, request->frame);
	request->frame = NULL;
	request->state = MESH_REQUEST_SENT;
	request->progress_ns = request->mesh->now_ns;
	request->mesh->stats.frame_out_cnt++;
	mesh_liveness_begin(request->session);
	if (request->stall_ns)
		timer_set(request->mesh->timers, &request->timer, request_due_ns(request));
	return 0;
}

/* Gives request a stream. WEFT_EBUSY: no credit; otherwise it is settled. */
static int request_open(struct mesh_request *request, struct mesh_session *session)
{
	int err = request_ops(request)->open(session->conn, request, &request->stream);

	if (err == WEFT_EBUSY)
		return err;
	if (err < 0) {
		request->stream = NULL;
		request_fail_soon(request, err, 0);
		return 0;
	}
	request->req_id = session->next_req_id++;
	list_unlink(&request->node);
	list_push_back(&session->requests, &request->node);
	request->state = MESH_REQUEST_UNSENT;
	request_begin(request);
	err = request_send(request);
	if (err < 0 && err != WEFT_EFULL)
		request_fail_soon(request, err, 0);
	return 0;
}

/* Half of a request's time is for the answer: it waits no longer than this for the peer. */
static uint64_t request_defer_max_ns(const struct mesh_request *request)
{
	return request->deadline_ns - request->timeout_ns / 2;
}

static uint64_t request_deferred_until(const struct mesh_request *request)
{
	const struct mesh *mesh = request->mesh;

	return mesh_deferrals_until(&mesh->deferrals, request->key, request->type, mesh->now_ns);
}

/* Holds request at session until the peer may be asked, or fails it when that is too late. */
static void request_defer(struct mesh_request *request, struct mesh_session *session,
			  uint64_t until_ns)
{
	struct mesh *mesh = request->mesh;

	if (until_ns > request_defer_max_ns(request)) {
		request_fail_soon(request, WEFT_EBUSY, until_ns);
		return;
	}
	request->session = session;
	session->request_cnt++;
	list_push_back(&session->deferred, &request->node);
	request->state = MESH_REQUEST_DEFERRED;
	timer_set(mesh->timers, &request->timer, until_ns);
}

void mesh_request_start(struct mesh_request *request, struct mesh_session *session)
{
	bool is_first = list_is_empty(&session->queue);
	uint64_t until_ns;

	list_unlink(&request->node);
	request->dial = NULL;
	/* A session is all that a connect waits for, and the peer has given it one. */
	until_ns = request->type == MESH_DEFER_ALL ? 0 : request_deferred_until(request);
	if (until_ns) {
		request_defer(request, session, until_ns);
		return;
	}
	request->session = session;
	session->request_cnt++;
	list_push_back(&session->queue, &request->node);
	request->state = MESH_REQUEST_QUEUED;
	if (!request->info)
		request_fail_soon(request, 0, 0); /* connected was all it asked */
	else if (is_first)
		(void)request_open(request, session);
}

void mesh_request_queue_run(struct mesh_session *session)
{
	while (!list_is_empty(&session->queue))
		if (request_open(container_of(session->queue.next, struct mesh_request, node),
				 session) == WEFT_EBUSY)
			return;
}

void mesh_request_writable(struct mesh_request *request)
{
	int err;

	if (request->state != MESH_REQUEST_UNSENT)
		return;
	err = request_send(request);
	if (err < 0 && err != WEFT_EFULL)
		request_give_up(request, err);
}

/* The time that the peer told has come; start puts it off anew if it told another since. */
static void request_resume(struct mesh_request *request)
{
	struct mesh_session *session = request->session;

	session->request_cnt--;
	request->session = NULL;
	mesh_request_start(request, session);
}

static int code_err(uint32_t code)
{
	switch (code) {
	case MESH_CODE_INTERNAL:
		return -EIO;
	case MESH_CODE_MALFORMED:
		return WEFT_EMALFORMED;
	case MESH_CODE_ABSENT:
		return WEFT_EABSENT;
	case MESH_CODE_REFUSED:
		return WEFT_EREFUSED;
	case MESH_CODE_TOO_LARGE:
		return WEFT_ETOOLARGE;
	case MESH_CODE_TIMEOUT:
		return WEFT_ETIMEOUT;
	case MESH_CODE_CHANGED:
		return WEFT_ECHANGED;
	case MESH_CODE_BUSY:
		return WEFT_EBUSY;
	default:
		return WEFT_EUNKNOWN;
	}
}

/* The head of the answer is known: 0 with a place for the payload, or why not. */
static int answer_admit(struct mesh_request *request)
{
	const struct mesh_frame *frame = &request->in.frame;
	const struct mesh_message_info *info = mesh_registry_lookup(frame->type);

	if (frame->flags == (MESH_FLAG_RESPONSE | MESH_FLAG_ERROR)) {
		/* A peer too busy to read the request does not know its number. */
		if (frame->type != MESH_ERROR ||
		    (frame->req_id && frame->req_id != request->req_id))
			return WEFT_EMALFORMED;
		if (frame->payload_len > sizeof(request->error))
			return WEFT_ETOOLARGE;
		request->in.body = request->error;
		return 0;
	}
	if (frame->flags != MESH_FLAG_RESPONSE || frame->req_id != request->req_id || !info ||
	    frame->type != request->info->answered_by)
		return WEFT_EMALFORMED;
	if (frame->payload_len > mesh_class_payload_max(info->answer_class) ||
	    frame->payload_len > request->reply_cap)
		return WEFT_ETOOLARGE;
	request->in.body = request->reply_buf;
	return 0;
}

int mesh_request_read_error(const struct mesh *mesh, const uint8_t *payload, size_t len,
			    struct mesh_reply *reply)
{
	struct mesh_error error;
	int err = mesh_error_parse(payload, len, &error);

	if (err < 0)
		return err;
	reply->code = (enum mesh_code)error.code;
	if (error.not_before_ms > MESH_NOT_BEFORE_MS_MAX)
		error.not_before_ms = MESH_NOT_BEFORE_MS_MAX;
	if (error.not_before_ms)
		reply->not_before_ns = mesh->now_ns + error.not_before_ms * NS_PER_MS;
	return code_err(error.code);
}

void mesh_request_note_deferral(struct mesh *mesh, const uint8_t *key, unsigned type,
				const struct mesh_reply *reply)
{
	if (reply->err == WEFT_EBUSY || reply->err == WEFT_EREFUSED)
		mesh_deferrals_note(&mesh->deferrals, key, type, reply->not_before_ns,
				    mesh->now_ns);
}

static void answer_whole(struct mesh_request *request, bool fin)
{
	const struct mesh_frame *frame = &request->in.frame;
	struct mesh_reply reply = {.type = frame->type};

	request->mesh->stats.frame_in_cnt++;
	if (frame->flags & MESH_FLAG_ERROR) {
		reply.err = mesh_request_read_error(request->mesh, request->error,
						    frame->payload_len, &reply);
		mesh_request_note_deferral(request->mesh, request->key, request->type, &reply);
	} else {
		reply.payload = request->reply_buf;
		reply.payload_len = frame->payload_len;
	}
	/* The peer's fin may come later: the stream ends now all the same. */
	if (!fin)
		request_ops(request)->reset(request->stream, 0);
	request_finish(request, &reply);
}

static void answer_bad(struct mesh_request *request, int err)
{
	request->mesh->stats.malformed_cnt++;
	request_give_up(request, err);
}

void mesh_request_data(struct mesh_request *request, struct cursor *c, bool fin)
{
	bool had_frame = request->in.has_frame;
	int got = mesh_frame_in_head(&request->in, c);

	request->progress_ns = request->mesh->now_ns;
	if (got > 0 && !had_frame)
		got = answer_admit(request) ?: 1;
	if (got < 0) {
		answer_bad(request, got);
		return;
	}
	if (got && mesh_frame_in_body(&request->in, c)) {
		if (cursor_left(c))
			answer_bad(request, WEFT_EMALFORMED);
		else
			answer_whole(request, fin);
	} else if (fin) {
		answer_bad(request, WEFT_EMALFORMED);
	}
}

/* Room for one more request to this peer? */
static bool peer_has_room(const struct mesh *mesh, const uint8_t *key)
{
	const struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	const struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, key);
	uint32_t cnt = (session ? session->request_cnt : 0) + (dial ? dial->waiter_cnt : 0);

	return cnt < mesh->config.request_per_session_cap;
}

static struct mesh_request *request_make(struct mesh *mesh, const struct mesh_peer *peer,
					 unsigned type, uint64_t timeout_ns)
{
	struct mesh_request *request;

	if (!peer_has_room(mesh, peer->key) || !(request = pool_acquire(&mesh->requests))) {
		mesh->stats.refused_cnt++;
		return NULL;
	}
	request->kind = MESH_STREAM_REQUEST;
	request->mesh = mesh;
	memcpy(request->key, peer->key, sizeof(request->key));
	request->type = type;
	request->timeout_ns = timeout_ns ?: TIMEOUT_DEFAULT_NS;
	request->deadline_ns = mesh->now_ns + request->timeout_ns;
	list_init(&request->node);
	timer_init(&request->timer, request_expire);
	timer_set(mesh->timers, &request->timer, request->deadline_ns);
	return request;
}

/* Who asks to connect to an address is not content with a session elsewhere. */
static bool request_suits(const struct mesh_request *request, const struct mesh_session *session,
			  const struct mesh_peer *peer)
{
	return !mesh_redial_is_on(session) &&
	       (request->info || mesh_redial_session_suits(session, peer));
}

/* Sends request over a session that is there, now or when the peer may be asked. */
static void request_carry(struct mesh_request *request, struct mesh_session *session,
			  const struct mesh_peer *peer)
{
	struct mesh *mesh = request->mesh;

	session->is_wanted |= peer->is_chosen || peer->is_wanted;
	if (peer->is_chosen)
		mesh_choose(mesh, peer->key, MESH_CHOICE_DIALLED, true, mesh->now_ns);
	mesh_request_start(request, session);
	if (request->state == MESH_REQUEST_SENT)
		mesh_redial_asked(session, peer);
}

/* Sends request on its way: over the session, or to whoever dials for one. */
static int request_route(struct mesh_request *request, const struct mesh_peer *peer)
{
	static const struct addr nowhere;
	struct mesh *mesh = request->mesh;
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, peer->key);
	uint64_t until_ns;

	if (session && request_suits(request, session, peer)) {
		request_carry(request, session, peer);
		return 0;
	}
	if (mesh_refuses(mesh, peer->key, &nowhere)) {
		request_fail_soon(request, WEFT_EREFUSED, 0);
		return 0;
	}
	until_ns = request_deferred_until(request);
	if (until_ns > request_defer_max_ns(request)) {
		request_fail_soon(request, WEFT_EREFUSED, until_ns);
		return 0;
	}
	return mesh_dial_wait(mesh, peer, request);
}

void mesh_request_move(struct mesh_request *request)
{
	struct mesh_peer peer = {0};
	int err;

	memcpy(peer.key, request->key, sizeof(peer.key));
	list_unlink(&request->node);
	request->session->request_cnt--;
	request->session = NULL;
	timer_set(request->mesh->timers, &request->timer, request->deadline_ns);
	err = request_route(request, &peer);
	if (err < 0)
		mesh_request_fail(request, WEFT_EBUSY, NULL);
}

int mesh_request_check_peer(const struct mesh *mesh, const struct mesh_peer *peer)
{
	if (mesh->is_leaving)
		return WEFT_EREFUSED;
	if (peer->addr_cnt > MESH_PEER_ADDRS_MAX ||
	    memcmp(peer->key, mesh->own_key, MESH_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	return 0;
}

int mesh_request_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request)
{
	const struct mesh_message_info *info = mesh_registry_lookup(ask->type);
	struct mesh_request *request;
	int err;

	mesh->now_ns = now_ns;
	if ((err = mesh_request_check_peer(mesh, &ask->peer)) < 0)
		return err;
	if (!info || !info->answered_by || info->request_class == MESH_CLASS_SESSION)
		return WEFT_EMALFORMED;
	if (ask->payload_len > mesh_class_payload_max(info->request_class) ||
	    ask->payload_len > MESH_ASK_LEN_MAX)
		return WEFT_ETOOLARGE;
	request = request_make(mesh, &ask->peer, ask->type, ask->timeout_ns);
	if (!request)
		return WEFT_EFULL;
	request->frame = mesh_buffers_acquire_own(&mesh->buffers,
						  MESH_FRAME_HEAD_LEN_MAX + ask->payload_len);
	if (!request->frame) {
		mesh->stats.refused_cnt++;
		mesh_request_cancel(request);
		return WEFT_EFULL;
	}
	request->info = info;
	if (ask->payload_len)
		memcpy(request->frame + MESH_FRAME_HEAD_LEN_MAX, ask->payload, ask->payload_len);
	request->payload_len = ask->payload_len;
	request->reply_buf = ask->reply_buf;
	request->reply_cap = ask->reply_cap;
	request->stall_ns = ask->stall_ns;
	request->progress_len = ask->progress_len;
	request->reply = ask->reply;
	request->arg = ask->arg;
	if ((err = request_route(request, &ask->peer)) < 0) {
		mesh_request_cancel(request);
		return err;
	}
	*out_request = request;
	return 0;
}

int mesh_request_connect(struct mesh *mesh, const struct mesh_request_connect *connect,
			 struct mesh_request **out_request)
{
	struct mesh_request *request;
	int err;

	if ((err = mesh_request_check_peer(mesh, connect->peer)) < 0)
		return err;
	request = request_make(mesh, connect->peer, connect->type, connect->timeout_ns);
	if (!request)
		return WEFT_EFULL;
	request->connected = connect->done;
	request->arg = connect->arg;
	if ((err = request_route(request, connect->peer)) < 0) {
		mesh_request_cancel(request);
		return err;
	}
	*out_request = request;
	return 0;
}
