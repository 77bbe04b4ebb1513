/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection's course: what state it is in, when it parses, which part is notified of what, and
 * how long anything may take. The parser's callbacks are http_conn_head.c's, what is written is
 * reply.c's, frames of a WebSocket are websocket_server.c's.
 */
#include "gateway/http_conn_state.h"

#include <string.h>

#include "base/memory/heap.h"
#include "gateway/websocket/pass.h"
#include "gateway/refusal.h"
#include "gateway/reply.h"

/* request_begin forgets the request before. */
static void request_begin(struct gateway_conn *conn)
{
	gateway_conn_detach(conn);
	conn->route = NULL;
	conn->method = 0;
	conn->refusal = NULL;
	conn->reply = REPLY_OWED;
	conn->is_begun = conn->is_head_done = conn->wants_continue = false;
	conn->is_body_due = conn->is_message_end = conn->is_paused = conn->is_held = false;
	conn->held.data = NULL;
	conn->raw_len = conn->unread_len = conn->head_len = 0;
	conn->authority = NULL;
	conn->site[0] = '\0';
	conn->proof = GATEWAY_PROOF_NONE;
	conn->allowed = 0;
	conn->header_cnt = 0;
	heap_release(conn->shared->heap, conn->body);
	conn->body = NULL;
	conn->body_cap = conn->body_len = 0;
}

void gateway_conn_init(struct gateway_conn *conn, struct conn_shared *shared,
		       const struct addr *remote, uint64_t now_ns)
{
	conn->shared = shared;
	conn->remote = *remote;
	conn->progress_ns = conn->now_ns = now_ns;
	llhttp_init(&conn->parser, HTTP_REQUEST, &gateway_conn_parser_settings);
	conn->parser.data = conn;
	request_begin(conn);
}

void gateway_conn_detach(struct gateway_conn *conn)
{
	conn->exchange = (struct gateway_exchange){.conn = conn};
}

void gateway_conn_tell_gone(struct gateway_conn *conn)
{
	struct gateway_exchange exchange = conn->exchange;

	gateway_conn_detach(conn);
	if (exchange.events && exchange.events->gone)
		exchange.events->gone(exchange.arg);
}

void gateway_conn_over(struct gateway_conn *conn)
{
	conn->state = CONN_OVER;
}

void gateway_conn_wake(struct gateway_conn *conn)
{
	if (!conn->is_parsing && conn->shared->woken)
		conn->shared->woken(conn->shared, conn);
}

void gateway_conn_evict(struct gateway_conn *conn)
{
	conn->shared->stats.slow_cnt++;
	gateway_output_clear(&conn->output, conn->shared->heap);
	gateway_conn_over(conn);
	gateway_conn_wake(conn);
}

int gateway_conn_write(struct gateway_conn *conn, const void *data, size_t len)
{
	struct conn_shared *shared = conn->shared;
	int err;

	if (!conn->output.len) {
		conn->progress_ns = conn->now_ns;
		conn->moved_len = 0;
	}
	do {
		err = gateway_output_append(&conn->output, shared->heap, data, len);
	} while (err < 0 && shared->make_room && shared->make_room(shared, conn));
	return err;
}

void gateway_conn_uncount(struct gateway_conn *conn)
{
	struct conn_shared *shared = conn->shared;

	if (conn->is_counted && shared->socket_leaves)
		shared->socket_leaves(shared, conn);
	shared->stats.socket_cnt -= conn->is_counted;
	conn->is_counted = false;
}

void gateway_conn_fini(struct gateway_conn *conn)
{
	struct conn_shared *shared = conn->shared;

	if (conn->exchange.events && conn->reply == REPLY_OWED)
		shared->stats.gone_cnt++;
	gateway_conn_over(conn);
	gateway_conn_tell_gone(conn);
	request_begin(conn);
	gateway_output_clear(&conn->output, shared->heap);
	gateway_conn_uncount(conn);
}

void gateway_conn_next(struct gateway_conn *conn)
{
	conn->progress_ns = conn->now_ns;
	conn->moved_len = 0;
	gateway_conn_uncount(conn);
	conn->state = conn->keeps_alive && !conn->is_body_due ? CONN_READING : CONN_DRAINING;
	request_begin(conn);
	gateway_conn_wake(conn);
}

void gateway_watch(struct gateway_exchange *exchange, const struct gateway_events *events,
		   void *arg)
{
	exchange->events = events;
	exchange->arg = arg;
}

bool gateway_body_max(struct gateway_exchange *exchange, size_t len_max)
{
	struct gateway_conn *conn = exchange->conn;

	conn->body_len_max = len_max;
	return conn->body_len <= len_max && conn->parser.content_length <= len_max;
}

void gateway_allow(struct gateway_exchange *exchange, unsigned methods)
{
	exchange->conn->allowed = methods;
}

void gateway_resume(struct gateway_exchange *exchange)
{
	if (!exchange->conn->is_held)
		return;
	exchange->conn->is_held = false;
	gateway_conn_wake(exchange->conn);
}

uint64_t gateway_client(const struct gateway_exchange *exchange)
{
	return exchange->conn->client_id;
}

size_t gateway_backlog_len(const struct gateway_exchange *exchange)
{
	return exchange->conn->output.len;
}

bool gateway_conn_deliver(struct gateway_conn *conn, const struct gateway_piece *piece)
{
	const struct gateway_exchange *exchange = &conn->exchange;

	if (!exchange->events || !exchange->events->piece ||
	    exchange->events->piece(exchange->arg, piece, conn->now_ns))
		return true;
	conn->held = *piece;
	conn->is_held = true;
	return false;
}

/* conn_run hands the request to its route, or answers for it. */
static void conn_run(struct gateway_conn *conn)
{
	struct conn_shared *shared = conn->shared;
	bool is_counted = !(conn->parser.flags & F_CHUNKED);
	struct gateway_request request = {
		.method = conn->method == GATEWAY_HEAD ? GATEWAY_GET : conn->method,
		.is_head = conn->method == GATEWAY_HEAD,
		.proof = conn->proof,
		.site = conn->site,
		.path = conn->target,
		.query = conn->query,
		.body = conn->body,
		.body_len = conn->is_body_due ? 0 : conn->body_len,
		.has_body = conn->is_body_due,
		.said_len = is_counted ? conn->parser.content_length : GATEWAY_LEN_UNKNOWN,
		.remote = conn->remote,
		.conn = conn,
	};

	conn->state = CONN_WAITING;
	conn->progress_ns = conn->now_ns;
	shared->stats.request_cnt++;
	if (conn->refusal) {
		gateway_reply_error(&conn->exchange, conn->refusal, conn->now_ns);
	} else if (!shared->admits(shared, conn, conn->now_ns)) {
		shared->stats.limited_cnt++;
		gateway_reply_error(&conn->exchange, &gateway_refusal_rate, conn->now_ns);
	} else if (gateway_pass_is_for(conn)) {
		gateway_pass_answer(conn);
	} else if (conn->method == GATEWAY_OPTIONS && !(conn->route->methods & GATEWAY_OPTIONS)) {
		gateway_reply_options(conn);
	} else {
		conn->route->handle(conn->route->ctx, &conn->exchange, &request, conn->now_ns);
	}
}

/* conn_refuse ends the connection with an answer, if there was none and the client would understand it. */
static void conn_refuse(struct gateway_conn *conn, const struct gateway_error *refusal)
{
	bool is_answered = conn->reply != REPLY_OWED;

	conn->shared->stats.malformed_cnt++;
	conn->keeps_alive = false;
	gateway_conn_tell_gone(conn);
	if (is_answered) {
		gateway_conn_over(conn);
		return;
	}
	conn->state = CONN_WAITING;
	gateway_reply_error(&conn->exchange, refusal, conn->now_ns);
}

static void body_ended(struct gateway_conn *conn)
{
	const struct gateway_exchange *exchange = &conn->exchange;

	conn->is_body_due = false;
	if (exchange->events && exchange->events->finished)
		exchange->events->finished(exchange->arg, conn->now_ns);
}

/* conn_paused: the parser stopped behind a head, a message or a piece. */
static void conn_paused(struct gateway_conn *conn)
{
	bool is_message_end = conn->is_message_end;

	conn->is_message_end = false;
	if (conn->state == CONN_WAITING && is_message_end)
		body_ended(conn);
	else if (conn->state == CONN_READING)
		conn_run(conn);
	/* A route that did not refuse the request at once wants its body. */
	if (conn->state == CONN_WAITING && conn->is_body_due && conn->wants_continue &&
	    conn->reply == REPLY_OWED)
		gateway_reply_continue(conn);
}

static size_t raw_len_max(const struct gateway_conn *conn)
{
	size_t body_len_max = conn->is_head_done && conn->route ? conn->body_len_max : 0;

	return CONN_HEAD_CAP + CONN_FRAMING_MAX + 2 * body_len_max;
}

static bool conn_may_parse(const struct gateway_conn *conn)
{
	if (conn->in_begin == conn->in_end && !conn->is_paused)
		return false;
	if (conn->state == CONN_READING)
		return conn->output.len == 0;
	return conn->state == CONN_WAITING && conn->is_body_due && !conn->held.data;
}

static void conn_parse_step(struct gateway_conn *conn)
{
	const char *begin = conn->in + conn->in_begin;
	size_t len = conn->in_end - conn->in_begin;
	llhttp_errno_t err;

	if (!conn->is_begun)
		conn->began_ns = conn->now_ns;
	conn->is_begun = true;
	err = llhttp_execute(&conn->parser, begin, len);
	if (err == HPE_PAUSED) {
		len = (size_t)(llhttp_get_error_pos(&conn->parser) - begin);
		llhttp_resume(&conn->parser);
	}
	conn->is_paused = err == HPE_PAUSED && !conn->is_message_end;
	conn->in_begin += len;
	conn->raw_len += len;
	if (conn->raw_len > raw_len_max(conn) && err != HPE_USER)
		conn_refuse(conn,
			    conn->is_head_done ? &gateway_refusal_body : &gateway_refusal_head);
	else if (err == HPE_PAUSED)
		conn_paused(conn);
	else if (err != HPE_OK)
		conn_refuse(conn, conn->refusal ? conn->refusal : &gateway_refusal_malformed);
}

/* held_deliver: false: the piece that was refused is refused still. */
static bool held_deliver(struct gateway_conn *conn)
{
	struct gateway_piece piece = conn->held;

	if (!piece.data)
		return true;
	if (conn->is_held)
		return false;
	conn->held.data = NULL;
	return gateway_conn_deliver(conn, &piece);
}

void gateway_conn_turn(struct gateway_conn *conn, uint64_t now_ns)
{
	conn->now_ns = now_ns;
	conn->is_parsing = true;
	if (held_deliver(conn)) {
		while (conn_may_parse(conn))
			conn_parse_step(conn);
		if (conn->state == CONN_TUNNEL)
			gateway_tunnel_input(conn);
		else if (conn->state >= CONN_SOCKET)
			gateway_socket_input(conn);
	}
	conn->is_parsing = false;
}

size_t gateway_conn_reserve(struct gateway_conn *conn, char **out_room)
{
	if (conn->state == CONN_DRAINING)
		conn->in_begin = conn->in_end = 0;
	/* A piece that is held lies in front of what is left. */
	if (conn->in_begin && !conn->held.data) {
		memmove(conn->in, conn->in + conn->in_begin, conn->in_end - conn->in_begin);
		conn->in_end -= conn->in_begin;
		conn->in_begin = 0;
	}
	*out_room = conn->in + conn->in_end;
	return conn->state == CONN_OVER ? 0 : sizeof(conn->in) - conn->in_end;
}

/* conn_moved: bytes came or went; a client that moves few gets little more time. */
static void conn_moved(struct gateway_conn *conn, size_t len)
{
	conn->moved_len += len;
	if (conn->moved_len < CONN_PROGRESS_LEN)
		return;
	conn->moved_len = 0;
	conn->progress_ns = conn->now_ns;
}

void gateway_conn_commit(struct gateway_conn *conn, size_t len, uint64_t now_ns)
{
	conn->now_ns = now_ns;
	conn->in_end += len;
	conn->socket.heard_ns = now_ns;
	conn->socket.is_pinged = false;
	conn->shared->stats.bytes_in += len;
	if (conn->is_body_due)
		conn_moved(conn, len);
	gateway_conn_turn(conn, now_ns);
}

void gateway_conn_eof(struct gateway_conn *conn)
{
	bool is_streamed = conn->route && conn->route->is_streamed;

	conn->is_eof = true;
	if (conn->state == CONN_TUNNEL)
		gateway_tunnel_input(conn);
	if (conn->state == CONN_SOCKET || (conn->state == CONN_WAITING && is_streamed))
		gateway_conn_over(conn);
}

size_t gateway_conn_output(const struct gateway_conn *conn, const char **out_data)
{
	return gateway_output_peek(&conn->output, out_data);
}

void gateway_conn_sent(struct gateway_conn *conn, size_t len, uint64_t now_ns)
{
	bool was_behind = conn->output.len > GATEWAY_BACKLOG_LOW;
	const struct gateway_exchange *exchange = &conn->exchange;

	conn->now_ns = now_ns;
	gateway_output_drop(&conn->output, conn->shared->heap, len);
	conn->shared->stats.bytes_out += len;
	conn_moved(conn, conn->output.len ? len : CONN_PROGRESS_LEN);
	if (was_behind && conn->output.len <= GATEWAY_BACKLOG_LOW && exchange->events &&
	    exchange->events->drained)
		exchange->events->drained(exchange->arg, now_ns);
	if (!conn->output.len)
		gateway_conn_turn(conn, now_ns);
}

bool gateway_conn_is_idle(const struct gateway_conn *conn)
{
	return conn->state == CONN_READING && !conn->is_begun && !conn->output.len;
}

bool gateway_conn_is_over(const struct gateway_conn *conn)
{
	return conn->state == CONN_OVER || (conn->is_eof && conn->state != CONN_WAITING &&
					    conn->state != CONN_TUNNEL && !conn->output.len);
}

uint64_t gateway_conn_deadline_ns(const struct gateway_conn *conn)
{
	if (conn->output.len)
		return conn->progress_ns + CONN_PROGRESS_NS;
	switch (conn->state) {
	case CONN_READING:
		if (!conn->is_begun)
			return conn->progress_ns + CONN_IDLE_NS;
		return conn->began_ns + (conn->is_head_done ? CONN_REQUEST_NS : CONN_HEAD_NS);
	case CONN_WAITING:
		return conn->is_body_due && !conn->held.data ? conn->progress_ns + CONN_PROGRESS_NS
							     : UINT64_MAX;
	case CONN_SOCKET:
		return conn->socket.heard_ns + (conn->socket.is_pinged ? 2 : 1) * CONN_PING_NS;
	case CONN_TUNNEL:
		return UINT64_MAX;
	case CONN_CLOSING:
		return conn->progress_ns + CONN_CLOSE_NS;
	default:
		return conn->progress_ns + CONN_DRAIN_NS;
	}
}

void gateway_conn_expire(struct gateway_conn *conn, uint64_t now_ns)
{
	bool is_asking =
		(conn->state == CONN_READING && conn->is_begun) || conn->state == CONN_WAITING;

	if (now_ns < gateway_conn_deadline_ns(conn))
		return;
	conn->now_ns = now_ns;
	if (conn->state == CONN_SOCKET && !conn->output.len) {
		gateway_socket_expire(conn);
		return;
	}
	conn->shared->stats.slow_cnt += is_asking || conn->output.len;
	if (is_asking && !conn->output.len)
		conn_refuse(conn, &gateway_refusal_slow);
	else
		gateway_conn_over(conn);
}
