/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of WebSocket (RFC 6455): the handshake, frames into
 * pieces of messages and back, pings, and an end that both sides know of.
 * Extensions are not offered, so reserved bits are errors.
 */
#include <string.h>
#include <strings.h>

#include "gateway/http_conn_state.h"
#include "gateway/refusal.h"
#include "gateway/reply.h"

/* RFC 6455, 7.4.1. */
#define CLOSE_PROTOCOL	1002
#define CLOSE_NO_STATUS 1005
#define CLOSE_NOT_UTF8	1007
#define CLOSE_TOO_LARGE 1009
#define CLOSE_TRY_AGAIN 1013 /* of the IANA registry of RFC 6455's codes */

/* field_has: whether a list of words separated by commas has word in it. */
static bool field_has(const char *field, const char *word)
{
	size_t word_len = strlen(word);

	while (field && *field) {
		size_t len;

		field += strspn(field, " \t,");
		len = strcspn(field, " \t,");
		if (len == word_len && strncasecmp(field, word, len) == 0)
			return true;
		field += len;
	}
	return false;
}

const struct gateway_error *gateway_socket_reserve(struct gateway_exchange *exchange,
						   const struct gateway_request *request)
{
	struct gateway_conn *conn = exchange->conn;
	struct gateway_stats *stats = &conn->shared->stats;
	const char *version = gateway_header(request, "Sec-WebSocket-Version");
	const char *key = gateway_header(request, "Sec-WebSocket-Key");

	if (request->method != GATEWAY_GET || request->is_head || request->has_body ||
	    conn->parser.http_minor < 1 ||
	    !field_has(gateway_header(request, "Upgrade"), "websocket") ||
	    !field_has(gateway_header(request, "Connection"), "upgrade") || !key ||
	    strlen(key) != WEBSOCKET_KEY_CAP - 1)
		return &gateway_refusal_handshake;
	if (!version || strcmp(version, "13") != 0)
		return &gateway_refusal_handshake_version;
	if (conn->shared->socket_enters ? !conn->shared->socket_enters(conn->shared, conn)
					: stats->socket_cnt >= stats->socket_cap)
		return &gateway_refusal_sockets;
	conn->is_counted = true;
	if (++stats->socket_cnt > stats->socket_peak_cnt)
		stats->socket_peak_cnt = stats->socket_cnt;
	return NULL;
}

void gateway_socket_accept(struct gateway_exchange *exchange, uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	char accept[WEBSOCKET_ACCEPT_CAP];
	unsigned cnt;

	conn->now_ns = now_ns;
	if (conn->state != CONN_WAITING)
		return;
	http_websocket_accept(gateway_conn_header(conn, "Sec-WebSocket-Key", &cnt), accept);
	conn->state = CONN_SOCKET;
	conn->reply = REPLY_DONE;
	conn->keeps_alive = false;
	conn->socket = (struct conn_socket){.heard_ns = now_ns};
	gateway_reply_switch(conn, accept);
	gateway_conn_wake(conn);
}

static int frame_write(struct gateway_conn *conn, enum websocket_opcode opcode, bool is_final,
		       const void *payload, size_t len)
{
	struct websocket_head head = {.opcode = opcode, .is_final = is_final, .len = len};
	uint8_t bytes[WEBSOCKET_HEAD_LEN_MAX];

	if (gateway_conn_write(conn, bytes, http_websocket_head_write(&head, bytes)) < 0)
		return WEFT_EFULL;
	if (gateway_conn_write(conn, payload, len) == 0)
		return 0;
	/* A frame that is cut off in the middle can only be ended with the connection. */
	gateway_conn_over(conn);
	return WEFT_EFULL;
}

int gateway_socket_send(struct gateway_exchange *exchange, const struct gateway_piece *piece,
			uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;
	enum websocket_opcode opcode = piece->is_text ? WEBSOCKET_TEXT : WEBSOCKET_BINARY;
	int err;

	conn->now_ns = now_ns;
	if (conn->state != CONN_SOCKET)
		return 0;
	if (conn->socket.is_sending_message)
		opcode = WEBSOCKET_CONTINUATION;
	err = frame_write(conn, opcode, piece->is_last, piece->data, piece->len);
	if (err == 0)
		conn->socket.is_sending_message = !piece->is_last;
	gateway_conn_wake(conn);
	return err;
}

/* socket_end sends our close; unless the client's came, it is waited for. */
static void socket_end(struct gateway_conn *conn, unsigned code, const char *text,
		       enum conn_state state)
{
	uint8_t payload[WEBSOCKET_CONTROL_LEN_MAX];
	size_t len = 0, text_len = strnlen(text, sizeof(payload) - 2);

	if (code != CLOSE_NO_STATUS) {
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		memcpy(payload + 2, text, text_len);
		len = 2 + text_len;
	}
	if (frame_write(conn, WEBSOCKET_CLOSE, true, payload, len) < 0) {
		gateway_conn_over(conn);
		return;
	}
	conn->state = state;
	conn->progress_ns = conn->now_ns;
}

void gateway_socket_close(struct gateway_exchange *exchange, unsigned code, const char *text,
			  uint64_t now_ns)
{
	struct gateway_conn *conn = exchange->conn;

	conn->now_ns = now_ns;
	gateway_conn_detach(conn);
	if (conn->state == CONN_SOCKET)
		socket_end(conn, code, text, CONN_CLOSING);
	gateway_conn_wake(conn);
}

/* socket_fail ends what broke the rules; nothing of it is listened to any more. */
static void socket_fail(struct gateway_conn *conn, unsigned code, const char *text)
{
	bool is_open = conn->state == CONN_SOCKET;

	conn->shared->stats.malformed_cnt++;
	conn->state = CONN_DRAINING;
	if (is_open)
		socket_end(conn, code, text, CONN_DRAINING);
	gateway_conn_tell_gone(conn);
}

void gateway_socket_yield(struct gateway_conn *conn)
{
	if (conn->state == CONN_SOCKET)
		socket_end(conn, CLOSE_TRY_AGAIN, "another client has fewer WebSockets",
			   CONN_CLOSING);
	else
		gateway_conn_over(conn); /* the gateway does not speak the frames of a tunnel */
	gateway_conn_tell_gone(conn);
	gateway_conn_uncount(conn);
	gateway_conn_wake(conn);
}

static bool close_code_is_good(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

/* close_arrived answers the client's close alike (RFC 6455, 5.5.1), or ends the wait for it. */
static void close_arrived(struct gateway_conn *conn)
{
	const struct conn_socket *socket = &conn->socket;
	unsigned code = CLOSE_NO_STATUS;

	if (socket->control_len >= 2)
		code = (unsigned)(socket->control[0] << 8 | socket->control[1]);
	if (socket->control_len == 1 || (socket->control_len && !close_code_is_good(code))) {
		socket_fail(conn, CLOSE_PROTOCOL, "a close without a good code");
		return;
	}
	if (socket->control_len &&
	    !utf8_is_valid((const char *)socket->control + 2, socket->control_len - 2)) {
		socket_fail(conn, CLOSE_NOT_UTF8, "the close's reason is no UTF-8");
		return;
	}
	if (conn->state == CONN_SOCKET)
		socket_end(conn, code, "", CONN_DRAINING);
	else
		conn->state = CONN_DRAINING;
	conn->progress_ns = conn->now_ns;
	gateway_conn_tell_gone(conn);
}

static void control_arrived(struct gateway_conn *conn)
{
	struct conn_socket *socket = &conn->socket;

	if (socket->frame.opcode == WEBSOCKET_CLOSE)
		close_arrived(conn);
	else if (socket->frame.opcode == WEBSOCKET_PING && conn->state == CONN_SOCKET &&
		 frame_write(conn, WEBSOCKET_PONG, true, socket->control, socket->control_len) < 0)
		gateway_conn_over(conn);
}

/* frame_begin judges a frame's place among the others; false: it broke the rules. */
static bool frame_begin(struct gateway_conn *conn, const struct websocket_head *head)
{
	struct conn_socket *socket = &conn->socket;
	bool is_first = head->opcode == WEBSOCKET_TEXT || head->opcode == WEBSOCKET_BINARY;

	if (!head->is_masked) {
		socket_fail(conn, CLOSE_PROTOCOL, "a frame that is not masked");
		return false;
	}
	if (head->opcode < WEBSOCKET_CLOSE && is_first == socket->is_in_message) {
		socket_fail(conn, CLOSE_PROTOCOL, "a frame out of its place");
		return false;
	}
	if (is_first) {
		socket->is_text = head->opcode == WEBSOCKET_TEXT;
		socket->message_len = 0;
		socket->utf8 = (struct utf8_stream){0};
	}
	if (head->opcode < WEBSOCKET_CLOSE) {
		if (head->len > conn->route->body_len_max - socket->message_len) {
			socket_fail(conn, CLOSE_TOO_LARGE, "a message longer than this path takes");
			return false;
		}
		socket->message_len += head->len;
		socket->is_in_message = !head->is_final;
	}
	socket->frame = *head;
	socket->left = head->len;
	socket->is_in_frame = true;
	socket->control_len = 0;
	return true;
}

/* message_piece: false: it broke the rules, or the handler holds it back. */
static bool message_piece(struct gateway_conn *conn, const uint8_t *data, size_t len)
{
	struct conn_socket *socket = &conn->socket;
	struct gateway_piece piece = {.data = data,
				      .len = len,
				      .is_text = socket->is_text,
				      .is_last = socket->frame.is_final && !socket->left};

	if (socket->is_text && (!utf8_input(&socket->utf8, data, len) ||
				(piece.is_last && !utf8_is_whole(&socket->utf8)))) {
		socket_fail(conn, CLOSE_NOT_UTF8, "text that is no UTF-8");
		return false;
	}
	/* The gateway's close is on its way: what still comes is dropped. */
	return conn->state != CONN_SOCKET || (!len && !piece.is_last) ||
	       gateway_conn_deliver(conn, &piece);
}

/* frame_payload takes what is there of the frame's payload; false: nothing more may be taken. */
static bool frame_payload(struct gateway_conn *conn)
{
	struct conn_socket *socket = &conn->socket;
	uint8_t *data = (uint8_t *)conn->in + conn->in_begin;
	size_t len = conn->in_end - conn->in_begin;

	if (len > socket->left)
		len = (size_t)socket->left;
	http_websocket_mask(data, len, socket->frame.mask, socket->frame.len - socket->left);
	conn->in_begin += len;
	socket->left -= len;
	socket->is_in_frame = socket->left > 0;
	if (socket->frame.opcode < WEBSOCKET_CLOSE)
		return message_piece(conn, data, len);
	memcpy(socket->control + socket->control_len, data, len);
	socket->control_len += len;
	if (!socket->is_in_frame)
		control_arrived(conn);
	return true;
}

static bool frame_head(struct gateway_conn *conn)
{
	struct websocket_head head;
	int len = http_websocket_head_parse((uint8_t *)conn->in + conn->in_begin,
					    conn->in_end - conn->in_begin, &head);

	if (len < 0)
		socket_fail(conn, CLOSE_PROTOCOL, "a frame that is none");
	if (len <= 0)
		return false;
	conn->in_begin += (size_t)len;
	return frame_begin(conn, &head);
}

static bool socket_may_go_on(const struct gateway_conn *conn)
{
	const struct conn_socket *socket = &conn->socket;
	bool is_empty_frame = socket->is_in_frame && !socket->left;

	/* A client that does not read the answers to its pings gets no more. */
	return (conn->state == CONN_SOCKET || conn->state == CONN_CLOSING) &&
	       (conn->in_begin < conn->in_end || is_empty_frame) && !conn->held.data &&
	       conn->output.len <= CONN_BACKLOG_MAX;
}

void gateway_socket_input(struct gateway_conn *conn)
{
	while (socket_may_go_on(conn))
		if (!(conn->socket.is_in_frame ? frame_payload(conn) : frame_head(conn)))
			return;
}

void gateway_socket_expire(struct gateway_conn *conn)
{
	if (conn->socket.is_pinged || frame_write(conn, WEBSOCKET_PING, true, NULL, 0) < 0) {
		conn->shared->stats.slow_cnt++;
		gateway_conn_over(conn);
		return;
	}
	conn->socket.is_pinged = true;
}
