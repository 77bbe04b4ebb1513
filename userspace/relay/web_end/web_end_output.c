/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node says to a relay: the request, its proof, short frames, then datagrams. Datagrams of
 * one length to one peer share a frame, as far as a record of TLS has room. All is masked, so that no
 * proxy takes it for something else (RFC 6455, 10.3). Home.
 */
#include "relay/web_end/web_end_state.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "crypto/node_key.h"
#include "relay/web/web_proof.h"

/* Short frames of one turn, each with its head; a datagram alone has room behind them. */
#define SHORT_ROOM 1024
/* A frame is written behind the room of the longest head, and moved. */
#define HEAD_ROOM WEBSOCKET_HEAD_LEN_MAX
/* Shorter ones of a batch are no packets of QUIC, and our relay drops them. */
#define BATCH_LEN_MIN 1200

static void put_masked(struct web_end_relay *relay, struct writer *w, enum websocket_opcode opcode,
		       size_t len)
{
	struct websocket_head head = {
		.opcode = opcode, .is_final = true, .is_masked = true, .len = len};
	uint8_t bytes[WEBSOCKET_HEAD_LEN_MAX], *payload = w->pos + HEAD_ROOM;
	size_t head_len;

	random_fill(relay->end->params.random, head.mask, sizeof(head.mask));
	head_len = http_websocket_head_write(&head, bytes);
	http_websocket_mask(payload, len, head.mask, 0);
	memmove(w->pos + head_len, payload, len);
	memcpy(w->pos, bytes, head_len);
	w->pos += head_len + len;
}

/* False: there is no room. */
static bool put_frame(struct web_end_relay *relay, struct writer *w,
		      const struct relay_web_frame *frame)
{
	size_t room = (size_t)(w->end - w->pos);
	struct writer body;

	if (room < HEAD_ROOM)
		return false;
	body = writer_of(w->pos + HEAD_ROOM, room - HEAD_ROOM);
	relay_web_frame_write(&body, frame);
	if (body.bad)
		return false;
	put_masked(relay, w, WEBSOCKET_BINARY, writer_len(&body));
	return true;
}

static void put_ws_pong(struct web_end_relay *relay, struct writer *w)
{
	memcpy(w->pos + HEAD_ROOM, relay->ws_pong, relay->ws_pong_len);
	put_masked(relay, w, WEBSOCKET_PONG, relay->ws_pong_len);
}

/* The proof is of this TLS connection, so it is of no use to the relay anywhere else. */
static void put_request(struct web_end_relay *relay, struct writer *w)
{
	const struct relay_web_end_params *params = &relay->end->params;
	uint8_t exported[RELAY_WEB_EXPORTED_LEN], random[16];
	char proof[RELAY_WEB_PROOF_TEXT_CAP], addr_text[ADDR_TEXT_CAP];
	struct addr addr = relay->place.addr;
	bool has_proof = relay->channel->ops->exporter(relay->channel, RELAY_WEB_EXPORTER_LABEL,
						       node_key_public(params->key), exported) == 0;
	bool offers_mesh = relay_web_end_offers(relay, RELAY_WEB_MESH_V1);
	char text[1024];
	int len;

	if (has_proof)
		relay_web_proof_write(params->key, exported, proof);
	random_fill(params->random, random, sizeof(random));
	http_websocket_key(random, relay->nonce);
	addr.transport = ADDR_UDP; /* the text of TCP has a word in front */
	len = snprintf(text, sizeof(text),
		       "GET /relay HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s%s%s, %s\r\n%s%s%s\r\n",
		       relay->place.name[0] ? relay->place.name : addr_format(&addr, addr_text),
		       relay->nonce, offers_mesh ? relay_web_protocol(RELAY_WEB_MESH_V1) : "",
		       offers_mesh ? ", " : "", relay_web_protocol(RELAY_WEB_IROH_V2),
		       relay_web_protocol(RELAY_WEB_IROH_V1),
		       has_proof ? RELAY_WEB_AUTH_FIELD ": " : "", has_proof ? proof : "",
		       has_proof ? "\r\n" : "");
	writer_bytes(w, text, (size_t)len);
	relay->is_request_due = false;
}

static void put_auth(struct web_end_relay *relay, struct writer *w)
{
	const struct node_key *key = relay->end->params.key;
	const struct relay_web_challenge challenge = {.version = relay->version,
						      .bytes = relay->challenge,
						      .relay_key = relay->place.key};
	uint8_t signature[RELAY_WEB_SIGNATURE_LEN];

	relay_web_challenge_sign(&challenge, key, signature);
	(void)put_frame(relay, w,
			&(struct relay_web_frame){.type = RELAY_WEB_AUTH,
						  .key = node_key_public(key),
						  .data = signature,
						  .len = sizeof(signature)});
}

static void put_short_frames(struct web_end_relay *relay, struct writer *w)
{
	uint8_t ping[RELAY_WEB_PING_LEN];

	if (relay->is_auth_due)
		put_auth(relay, w);
	if (relay->is_ws_pong_due)
		put_ws_pong(relay, w);
	if (relay->is_pong_due)
		(void)put_frame(relay, w,
				&(struct relay_web_frame){.type = RELAY_WEB_PONG,
							  .data = relay->pong,
							  .len = sizeof(relay->pong)});
	if (relay->is_ping_due) {
		random_fill(relay->end->params.random, ping, sizeof(ping));
		(void)put_frame(relay, w,
				&(struct relay_web_frame){
					.type = RELAY_WEB_PING, .data = ping, .len = sizeof(ping)});
	}
	relay->is_auth_due = relay->is_ws_pong_due = false;
	relay->is_pong_due = relay->is_ping_due = false;
}

static const struct web_end_queued *queued_at(const struct web_end_relay *relay, unsigned idx)
{
	return &relay->queue[(relay->queue_at + idx) % RELAY_WEB_QUEUE_MAX];
}

/* How many of the queue's first datagrams go into a frame of room bytes; all but the last are alike. */
static unsigned run_cnt(const struct web_end_relay *relay, size_t room)
{
	const struct web_end_queued *first = queued_at(relay, 0);
	size_t len = first->len;
	unsigned cnt = 1;

	while (first->len >= BATCH_LEN_MIN && cnt < relay->queue_cnt) {
		const struct web_end_queued *next = queued_at(relay, cnt);

		if (next->len > first->len || next->ecn != first->ecn || len + next->len > room ||
		    memcmp(next->peer, first->peer, sizeof(first->peer)) != 0)
			break;
		len += next->len;
		cnt++;
		if (next->len < first->len)
			break;
	}
	return cnt;
}

/* False: the record is full. */
static bool put_run(struct web_end_relay *relay, struct writer *w)
{
	struct relay_web_end *end = relay->end;
	const struct web_end_queued *first = queued_at(relay, 0);
	size_t room = (size_t)(w->end - w->pos), overhead = HEAD_ROOM + RELAY_WEB_HEAD_MAX;
	struct relay_web_frame frame = {
		.type = RELAY_WEB_SEND, .key = first->peer, .ecn = first->ecn, .data = end->batch};
	unsigned cnt;

	if (room < overhead + first->len)
		return false;
	cnt = run_cnt(relay, room - overhead);
	for (unsigned i = 0; i < cnt; i++) {
		const struct web_end_queued *queued = queued_at(relay, i);

		memcpy(end->batch + frame.len, queued->bytes, queued->len);
		frame.len += queued->len;
	}
	if (cnt > 1) {
		frame.type = RELAY_WEB_SEND_BATCH;
		frame.segment_len = first->len;
		end->stats.batch_cnt++;
	}
	(void)put_frame(relay, w, &frame);
	end->stats.sent_cnt += cnt;
	relay->queue_at = (relay->queue_at + cnt) % RELAY_WEB_QUEUE_MAX;
	relay->queue_cnt -= cnt;
	return true;
}

bool relay_web_end_has_output(const struct web_end_relay *relay)
{
	return relay->is_request_due || relay->is_auth_due || relay->is_pong_due ||
	       relay->is_ws_pong_due || relay->is_ping_due ||
	       (relay->state == RELAY_WEB_END_OPEN && relay->queue_cnt);
}

size_t relay_web_end_fill(struct web_end_relay *relay)
{
	struct relay_web_end *end = relay->end;
	struct writer w = writer_of(end->plain, sizeof(end->plain));

	_Static_assert(sizeof(end->plain) > SHORT_ROOM + RELAY_WEB_DGRAM_MAX + RELAY_WEB_HEAD_MAX,
		       "a datagram goes beside short frames");
	if (relay->is_request_due)
		put_request(relay, &w);
	put_short_frames(relay, &w);
	while (relay->state == RELAY_WEB_END_OPEN && relay->queue_cnt)
		if (!put_run(relay, &w))
			break;
	return writer_len(&w);
}
