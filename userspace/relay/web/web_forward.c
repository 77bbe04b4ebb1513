/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client said: its proof, a frame for another client, a ping. A frame for another client
 * gets another type, and the sender's key in place of the receiver's. It waits in the memory in
 * which it came. Home.
 */
#include "relay/web/web_state.h"

#include <string.h>

#include "relay/web/web_proof.h"
#include "weft/relay_tables.h"

_Static_assert(sizeof(((struct relay_web_block *)NULL)->data) >= RELAY_WEB_SHORT_CAP,
	       "a frame without a packet, or the head of one with it, stands in one block");

static void gone_tell(struct relay_web_conn *conn, const uint8_t *key)
{
	memcpy(conn->gone_key, key, sizeof(conn->gone_key));
	conn->is_gone_due = true;
	relay_web_conn_want_write(conn);
}

/* Sends the datagrams of message to a node with a session. False: it has none here. */
static bool bridge(struct relay_web_conn *conn, struct relay_web_message *message,
		   const struct relay_web_frame *frame)
{
	const struct relay_web_params *params = &conn->web->params;
	struct relay_web_dgram dgram = {.client = conn->key, .ecn = frame->ecn};
	size_t head_len = 2 + RELAY_WEB_KEY_LEN, len = message->len, step;
	uint8_t bytes[RELAY_WEB_DGRAM_MAX], peer[RELAY_WEB_KEY_LEN];

	if (!params->send)
		return false;
	memcpy(peer, frame->key, sizeof(peer));
	dgram.peer = peer;
	dgram.data = bytes;
	head_len += frame->type == RELAY_WEB_SEND_BATCH ? 2 : 0;
	step = frame->type == RELAY_WEB_SEND_BATCH ? frame->segment_len : len - head_len;
	/* Shorter ones of a batch are no packets of QUIC, and each costs as much as a long one. */
	if (step > sizeof(bytes) || !step ||
	    (frame->type == RELAY_WEB_SEND_BATCH && step < WEFT_RELAY_INNER_LEN_MIN)) {
		conn->web->stats.unbridged_cnt++;
		return true;
	}
	(void)relay_web_message_take(message, bytes, head_len);
	while ((dgram.len = relay_web_message_take(message, bytes, step))) {
		if (params->send(params->ctx, &dgram) < 0)
			return false;
		conn->web->stats.bridged_cnt++;
	}
	return true;
}

static void forward(struct relay_web_conn *conn, struct relay_web_message *message,
		    const struct relay_web_frame *frame)
{
	struct relay_web *web = conn->web;
	struct relay_web_conn *receiver = map_lookup(&web->conn_by_key, frame->key);
	uint8_t *head;
	size_t len;

	if (!receiver) {
		if (bridge(conn, message, frame))
			return;
		web->stats.absent_cnt++;
		gone_tell(conn, frame->key);
		return;
	}
	if (receiver->queue_cnt == RELAY_WEB_QUEUE_MAX) {
		web->stats.queue_full_cnt++;
		return;
	}
	head = relay_web_message_first(message, &len);
	head[0] = (uint8_t)(frame->type + (RELAY_WEB_RECV - RELAY_WEB_SEND));
	memcpy(head + 1, conn->key, sizeof(conn->key));
	web->stats.forwarded_cnt++;
	web->stats.forwarded_len += message->len;
	relay_web_message_move(message, receiver);
	relay_web_conn_want_write(receiver);
}

static void auth_arrived(struct relay_web_conn *conn, const struct relay_web_frame *frame)
{
	const struct relay_web_challenge challenge = {.version = conn->version,
						      .bytes = conn->challenge,
						      .relay_key = conn->web->params.own_key};

	if (relay_web_challenge_verify(frame, &challenge) < 0) {
		relay_web_conn_deny(conn, "the signature does not match the challenge");
		return;
	}
	conn->web->stats.proved_cnt++;
	relay_web_conn_prove(conn, frame->key);
}

static void frame_arrived(struct relay_web_conn *conn, struct relay_web_message *message,
			  const struct relay_web_frame *frame)
{
	switch (frame->type) {
	case RELAY_WEB_SEND:
	case RELAY_WEB_SEND_BATCH:
		forward(conn, message, frame);
		break;
	case RELAY_WEB_PING:
		memcpy(conn->pong, frame->data, sizeof(conn->pong));
		conn->is_pong_due = true;
		relay_web_conn_want_write(conn);
		break;
	case RELAY_WEB_PONG:
		break;
	default:
		/* A relay's frames are not a client's. */
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_PROTOCOL);
		break;
	}
}

void relay_web_message_arrived(struct relay_web_conn *conn, struct relay_web_message *message)
{
	struct relay_web_frame frame;
	size_t len = 0;
	const uint8_t *first = message->len ? relay_web_message_first(message, &len) : NULL;
	struct cursor c = cursor_of(first, len);
	int rv;

	rv = relay_web_frame_parse(&c, conn->version, &frame);
	/* Only packets may go on in other blocks. */
	if (rv == 0 && message->len > len &&
	    (frame.type < RELAY_WEB_SEND || frame.type > RELAY_WEB_SEND_BATCH))
		rv = WEFT_EMALFORMED;
	if (rv == 0 && frame.len + (message->len - len) > RELAY_WEB_PACKET_MAX) {
		conn->web->stats.too_large_cnt++;
		return;
	}
	if (rv < 0 || (conn->state == RELAY_WEB_CONN_PROVING) != (frame.type == RELAY_WEB_AUTH))
		relay_web_conn_break(conn, RELAY_WEB_CLOSE_PROTOCOL);
	else if (frame.type == RELAY_WEB_AUTH)
		auth_arrived(conn, &frame);
	else
		frame_arrived(conn, message, &frame);
}

bool relay_web_client(const struct relay_web *web, const uint8_t *key, struct addr *out_remote)
{
	const struct relay_web_conn *conn = map_lookup(&web->conn_by_key, key);

	if (!conn)
		return false;
	*out_remote = conn->remote;
	return true;
}

void relay_web_deliver(struct relay_web *web, const struct relay_web_dgram *dgram, uint64_t now_ns)
{
	struct relay_web_conn *conn = map_lookup(&web->conn_by_key, dgram->client);
	uint8_t head[2 + RELAY_WEB_KEY_LEN] = {RELAY_WEB_RECV};
	struct relay_web_message *message;

	if (now_ns > web->now_ns)
		web->now_ns = now_ns;
	if (!conn) {
		web->stats.absent_cnt++;
		return;
	}
	if (conn->queue_cnt == RELAY_WEB_QUEUE_MAX) {
		web->stats.queue_full_cnt++;
		return;
	}
	memcpy(head + 1, dgram->peer, RELAY_WEB_KEY_LEN);
	head[1 + RELAY_WEB_KEY_LEN] = dgram->ecn;
	message = relay_web_message_new(conn);
	if (!message || !relay_web_message_append(message, head, sizeof(head)) ||
	    !relay_web_message_append(message, dgram->data, dgram->len)) {
		web->stats.no_memory_cnt++;
		if (message)
			relay_web_message_drop(message);
		return;
	}
	web->stats.delivered_cnt++;
	relay_web_message_move(message, conn);
	relay_web_conn_want_write(conn);
}

void relay_web_gone(struct relay_web *web, const uint8_t *client, const uint8_t *peer)
{
	struct relay_web_conn *conn = map_lookup(&web->conn_by_key, client);

	if (conn)
		gone_tell(conn, peer);
}
