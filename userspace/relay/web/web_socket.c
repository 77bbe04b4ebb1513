/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of WebSocket (RFC 6455) from a client: heads may be cut anywhere, payloads are unmasked
 * where they are. Messages are put together in blocks. No extension is offered, so reserved bits
 * are errors, and text is not understood. Home.
 */
#include "relay/web/web_state.h"

#include <string.h>

/* A client that has no key yet says AUTH and nothing else. */
#define PROVING_LEN_MAX 256

static void message_fail(struct relay_web_conn *conn, uint64_t *counter)
{
	++*counter;
	conn->is_skipping = true;
	if (conn->incoming)
		relay_web_message_drop(conn->incoming);
}

static void message_piece(struct relay_web_conn *conn, const uint8_t *data, size_t len)
{
	struct relay_web_stats *stats = &conn->web->stats;
	bool is_end = conn->frame.is_final && !conn->left;

	if (!conn->is_skipping && !conn->incoming)
		conn->incoming = relay_web_message_new(conn);
	if (!conn->is_skipping && !conn->incoming)
		message_fail(conn, &stats->no_memory_cnt);
	if (!conn->is_skipping && conn->incoming->len + len > RELAY_WEB_FRAME_MAX)
		message_fail(conn, &stats->too_large_cnt);
	if (!conn->is_skipping && !relay_web_message_append(conn->incoming, data, len))
		message_fail(conn, &stats->no_memory_cnt);
	if (!is_end)
		return;
	if (!conn->is_skipping)
		relay_web_message_arrived(conn, conn->incoming);
	if (conn->incoming)
		relay_web_message_drop(conn->incoming);
	conn->is_skipping = false;
}

static void control_arrived(struct relay_web_conn *conn)
{
	uint16_t code = RELAY_WEB_CLOSE_NORMAL;

	if (conn->frame.opcode == WEBSOCKET_CLOSE) {
		if (conn->control_len >= 2)
			code = (uint16_t)(conn->control[0] << 8 | conn->control[1]);
		/* A code that may not stand in a close is not repeated. */
		if (code < 1000 || code > 4999 || (code >= 1004 && code <= 1006) || code == 1015)
			code = RELAY_WEB_CLOSE_PROTOCOL;
		relay_web_conn_close(conn, code);
	} else if (conn->frame.opcode == WEBSOCKET_PING) {
		memcpy(conn->ws_pong, conn->control, conn->control_len);
		conn->ws_pong_len = (uint8_t)conn->control_len;
		conn->is_ws_pong_due = true;
		relay_web_conn_want_write(conn);
	}
}

/* Judges a frame's place among the others; false: it broke the rules. */
static bool frame_begin(struct relay_web_conn *conn, const struct websocket_head *head)
{
	uint64_t len_max =
		conn->state == RELAY_WEB_CONN_OPEN ? RELAY_WEB_MESSAGE_MAX : PROVING_LEN_MAX;

	conn->frame = *head;
	conn->left = head->len;
	conn->is_in_frame = true;
	conn->control_len = 0;
	if (!head->is_masked) {
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_PROTOCOL);
		return false;
	}
	if (head->opcode >= WEBSOCKET_CLOSE)
		return true;
	if ((head->opcode == WEBSOCKET_CONTINUATION) != conn->is_in_message) {
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_PROTOCOL);
		return false;
	}
	if (head->opcode == WEBSOCKET_TEXT) {
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_BINARY);
		return false;
	}
	if (!conn->is_in_message)
		conn->message_len = 0;
	if (head->len > len_max - conn->message_len) {
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_TOO_LARGE);
		return false;
	}
	conn->message_len += head->len;
	conn->is_in_message = !head->is_final;
	return true;
}

/* How many bytes of data were used for a head; 0: conn is closing. */
static size_t head_input(struct relay_web_conn *conn, const uint8_t *data, size_t len)
{
	struct websocket_head head;
	size_t used = 0;
	int rv = 0;

	while (rv == 0 && used < len) {
		conn->in[conn->in_len++] = data[used++];
		rv = http_websocket_head_parse(conn->in, conn->in_len, &head);
	}
	if (rv == 0)
		return used;
	conn->in_len = 0;
	if (rv < 0) {
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_PROTOCOL);
		return 0;
	}
	return frame_begin(conn, &head) ? used : 0;
}

static size_t payload_input(struct relay_web_conn *conn, uint8_t *data, size_t len)
{
	if (len > conn->left)
		len = (size_t)conn->left;
	http_websocket_mask(data, len, conn->frame.mask, conn->frame.len - conn->left);
	conn->left -= len;
	conn->is_in_frame = conn->left > 0;
	if (conn->frame.opcode < WEBSOCKET_CLOSE) {
		message_piece(conn, data, len);
	} else {
		memcpy(conn->control + conn->control_len, data, len);
		conn->control_len += len;
		if (!conn->is_in_frame)
			control_arrived(conn);
	}
	return len;
}

void relay_web_socket_input(struct relay_web_conn *conn, uint8_t *data, size_t len)
{
	/* A frame without a payload ends where its head does. */
	while (conn->state != RELAY_WEB_CONN_CLOSING &&
	       (len || (conn->is_in_frame && !conn->left))) {
		size_t used = conn->is_in_frame ? payload_input(conn, data, len)
						: head_input(conn, data, len);

		data += used;
		len -= used;
	}
}
