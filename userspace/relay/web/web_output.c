/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is due to bytes of one record: the answer of HTTP, then short frames, then frames that
 * wait, then the close. A frame that was begun goes before all others. Home.
 */
#include "relay/web/web_state.h"

#include <string.h>

/* Room that short frames and the close may take beside an answer: they are written once each. */
#define SHORT_FRAMES_ROOM 1024
_Static_assert(RELAY_WEB_ANSWER_CAP + SHORT_FRAMES_ROOM < BYTE_CHANNEL_WRITE_MAX, "they fit");

static void head_put(struct writer *w, enum websocket_opcode opcode, size_t len)
{
	const struct websocket_head head = {.opcode = opcode, .is_final = true, .len = len};
	uint8_t bytes[WEBSOCKET_HEAD_LEN_MAX];

	writer_bytes(w, bytes, http_websocket_head_write(&head, bytes));
}

static void frame_put(struct writer *w, const struct relay_web_frame *frame)
{
	uint8_t bytes[RELAY_WEB_SHORT_CAP];
	struct writer body = writer_of(bytes, sizeof(bytes));

	relay_web_frame_write(&body, frame);
	head_put(w, WEBSOCKET_BINARY, writer_len(&body));
	writer_bytes(w, bytes, writer_len(&body));
}

static void put_proof(struct relay_web_conn *conn, struct writer *w)
{
	if (conn->is_challenge_due)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_CHALLENGE,
						       .data = conn->challenge,
						       .len = sizeof(conn->challenge)});
	if (conn->is_confirm_due)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_CONFIRMED});
	if (conn->denied)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_DENIED,
						       .data = (const uint8_t *)conn->denied,
						       .len = strlen(conn->denied)});
	conn->is_challenge_due = conn->is_confirm_due = false;
	conn->denied = NULL;
}

/* What v2 has a number for, v1 says as text; no text is good health. */
static void put_status(struct relay_web_conn *conn, struct writer *w)
{
	static const char *const texts[RELAY_WEB_STATUS_CNT] = {
		[RELAY_WEB_HEALTHY] = "",
		[RELAY_WEB_SAME_KEY] = "a newer connection has the same key",
		[RELAY_WEB_LIMITED] = "this client sends more than the relay passes on",
	};
	const char *text = texts[conn->status];

	if (conn->version == RELAY_WEB_IROH_V1)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_HEALTH,
						       .data = (const uint8_t *)text,
						       .len = strlen(text)});
	else
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_STATUS,
						       .status = conn->status});
	conn->is_status_due = false;
}

static void put_short_frames(struct relay_web_conn *conn, struct writer *w)
{
	put_proof(conn, w);
	if (conn->is_ws_pong_due) {
		head_put(w, WEBSOCKET_PONG, conn->ws_pong_len);
		writer_bytes(w, conn->ws_pong, conn->ws_pong_len);
	}
	if (conn->is_pong_due)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_PONG,
						       .data = conn->pong,
						       .len = sizeof(conn->pong)});
	if (conn->is_ping_due)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_PING,
						       .data = (const uint8_t *)"weftping",
						       .len = RELAY_WEB_PING_LEN});
	if (conn->is_gone_due)
		frame_put(w,
			  &(struct relay_web_frame){.type = RELAY_WEB_GONE, .key = conn->gone_key});
	if (conn->is_status_due)
		put_status(conn, w);
	if (conn->is_restart_due)
		frame_put(w, &(struct relay_web_frame){.type = RELAY_WEB_RESTARTING,
						       .reconnect_ms = conn->reconnect_ms,
						       .try_ms = RELAY_WEB_TRY_FOR_MS});
	conn->is_ws_pong_due = conn->is_pong_due = conn->is_ping_due = false;
	conn->is_gone_due = conn->is_restart_due = false;
}

/* Writes what fits of message; a message that is through is forgotten. */
static void put_message(struct relay_web_message *message, struct writer *w)
{
	size_t room;

	if (!message->sent_len)
		head_put(w, WEBSOCKET_BINARY, message->len);
	room = (size_t)(w->end - w->pos);
	w->pos += relay_web_message_take(message, w->pos, room);
	if (message->sent_len == message->len)
		relay_web_message_drop(message);
}

static struct relay_web_message *next_message(const struct relay_web_conn *conn)
{
	return list_first(&conn->queue, struct relay_web_message, link);
}

/* A message goes into a record whole, unless it is longer than a record. */
static bool message_fits(const struct relay_web_message *message, const struct writer *w)
{
	return !writer_len(w) || (size_t)(w->end - w->pos) >= message->len + WEBSOCKET_HEAD_LEN_MAX;
}

static void put_close(struct relay_web_conn *conn, struct writer *w)
{
	head_put(w, WEBSOCKET_CLOSE, 2);
	writer_be16(w, conn->close_code);
	conn->is_close_due = false;
}

size_t relay_web_output_fill(struct relay_web_conn *conn)
{
	struct writer w = writer_of(conn->web->plain, sizeof(conn->web->plain));
	struct relay_web_message *message = next_message(conn);

	writer_bytes(&w, conn->answer, conn->answer_len);
	conn->answer_len = 0;
	if (message && message->sent_len) {
		put_message(message, &w);
		if ((size_t)(w.end - w.pos) < SHORT_FRAMES_ROOM)
			return writer_len(&w);
	}
	put_short_frames(conn, &w);
	while (conn->state == RELAY_WEB_CONN_OPEN && (message = next_message(conn)) &&
	       message_fits(message, &w))
		put_message(message, &w);
	if (conn->is_close_due && (size_t)(w.end - w.pos) >= WEBSOCKET_CONTROL_LEN_MAX)
		put_close(conn, &w);
	return writer_len(&w);
}
