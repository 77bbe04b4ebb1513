/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_END_WEB_END_STATE_H
#define WEFT_RELAY_WEB_END_WEB_END_STATE_H

#include "base/memory/arena.h"
#include "http/websocket.h"
#include "relay/web_end/web_end.h"

/* Private to relay/web_end/: a relay, its connection, and what its files call in each other. */

struct web_end_queued {
	uint8_t peer[RELAY_WEB_KEY_LEN];
	uint16_t len;
	uint8_t ecn;
	uint8_t bytes[RELAY_WEB_DGRAM_MAX];
};

struct web_end_relay {
	struct relay_web_end *end;
	struct relay_web_place place;
	bool is_used;		      /* of a kept one: there is one */
	bool is_leaving;	      /* it is kept no more */
	struct byte_channel *channel; /* NULL: none */
	enum relay_web_end_state state;
	enum relay_web_version version;
	uint64_t since_ns; /* state */
	uint64_t retry_ns; /* not before */
	uint64_t try_ns;   /* until then the relay restarts, and is dialled often */
	uint64_t heard_ns, pinged_ns, blocked_ns;
	uint64_t pause_ns; /* at least, behind this connection */
	unsigned fail_cnt; /* in a row */
	const char *why;
	char said[RELAY_WEB_END_SAID_CAP];
	unsigned status;
	char nonce[WEBSOCKET_KEY_CAP];

	/* Input: HTTP's answer, then the head of a frame of WebSocket that is not complete. */
	uint8_t in[RELAY_WEB_HEAD_LEN_MAX];
	size_t in_len;
	struct websocket_head frame; /* its payload is coming */
	uint64_t left;		     /* of it */
	uint64_t message_len;	     /* so far, with the frame's */
	uint8_t control[WEBSOCKET_CONTROL_LEN_MAX];
	size_t control_len;
	uint8_t *message; /* RELAY_WEB_FRAME_MAX bytes */
	size_t got_len;	  /* of it */

	/* Output, in this order. */
	uint8_t challenge[RELAY_WEB_CHALLENGE_LEN];
	uint8_t pong[RELAY_WEB_PING_LEN];
	uint8_t ws_pong[WEBSOCKET_CONTROL_LEN_MAX];
	uint8_t ws_pong_len;
	struct web_end_queued *queue; /* RELAY_WEB_QUEUE_MAX, a ring */
	unsigned queue_at, queue_cnt;

	bool is_blocked, is_limited;
	bool is_in_frame, is_in_message, is_skipping;
	bool has_answered; /* a challenge; one is enough */
	bool is_request_due, is_auth_due, is_pong_due, is_ws_pong_due, is_ping_due;
};

struct relay_web_end {
	struct relay_web_end_params params;
	struct arena arena;
	struct web_end_relay relays[RELAY_WEB_END_CAP]; /* those of the configuration first */
	unsigned configured_cnt, relay_cnt;
	bool is_wanted;
	uint64_t now_ns;
	struct relay_web_end_stats stats;
	uint8_t plain[BYTE_CHANNEL_WRITE_MAX];
	uint8_t batch[BYTE_CHANNEL_WRITE_MAX];
};

/* web_end.c. end: the connection ends at once, and another is begun later. why is static. */
void relay_web_end_cut(struct web_end_relay *relay, const char *why);
void relay_web_end_break(struct web_end_relay *relay); /* it broke a rule */
void relay_web_end_enter(struct web_end_relay *relay, enum relay_web_end_state state);

/* web_end_input.c: bytes of the relay's. The connection may be gone when it returns. */
void relay_web_end_hear(struct web_end_relay *relay, uint8_t *data, size_t len);

/* relay_web_end_offers: mesh-relay-v1 proves by the relay's key, which a named one does not show. */
static inline bool relay_web_end_offers(const struct web_end_relay *relay,
					enum relay_web_version version)
{
	return version != RELAY_WEB_MESH_V1 || !relay->place.name[0];
}

/* web_end_output.c: bytes for one write into end->plain. 0: there is nothing to say. */
size_t relay_web_end_fill(struct web_end_relay *relay);
bool relay_web_end_has_output(const struct web_end_relay *relay);

#endif
