/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_WEB_FRAME_H
#define WEFT_RELAY_WEB_WEB_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "relay/web/web.h"
#include "weft/err.h"

/*
 * Frames of a relay over WebSocket, as iroh's relays speak them (docs/wire/relay_web.md). One
 * binary message is one frame: the type as a varint of QUIC, then the body. Numbers are big-endian.
 */
enum relay_web_version {
	RELAY_WEB_IROH_V1,
	RELAY_WEB_IROH_V2,
	RELAY_WEB_MESH_V1, /* today the frames of iroh's v2 */
	RELAY_WEB_VERSION_CNT,
};
/* relay_web_protocol: the sub-protocol of WebSocket. */
const char *relay_web_protocol(enum relay_web_version version);

enum relay_web_type {
	RELAY_WEB_CHALLENGE = 0,  /* data: what the client signs */
	RELAY_WEB_AUTH = 1,	  /* key, data: the signature */
	RELAY_WEB_CONFIRMED = 2,  /* the relay knows the client's key */
	RELAY_WEB_DENIED = 3,	  /* data: why, as text */
	RELAY_WEB_SEND = 4,	  /* to the relay: key of the receiver, ecn, data */
	RELAY_WEB_SEND_BATCH = 5, /* and segment_len: data is so many bytes each, the last fewer */
	RELAY_WEB_RECV = 6,	  /* from the relay: as SEND, with the sender's key */
	RELAY_WEB_RECV_BATCH = 7,
	RELAY_WEB_GONE = 8, /* key: no client has it any more */
	RELAY_WEB_PING = 9, /* data: 8 bytes, any */
	RELAY_WEB_PONG = 10,
	RELAY_WEB_HEALTH = 11,	   /* v1 alone; data: text, empty when all is well */
	RELAY_WEB_RESTARTING = 12, /* reconnect_ms, try_ms */
	RELAY_WEB_STATUS = 13,	   /* not in v1; status */
};

enum relay_web_status {
	RELAY_WEB_HEALTHY = 0,
	RELAY_WEB_SAME_KEY = 1, /* a newer connection has this client's key */
	RELAY_WEB_LIMITED = 2,	/* the client sends more than it may */
	RELAY_WEB_STATUS_CNT,
};

#define RELAY_WEB_KEY_LEN	32
#define RELAY_WEB_SIGNATURE_LEN 64
#define RELAY_WEB_CHALLENGE_LEN 16
#define RELAY_WEB_PING_LEN	8
#define RELAY_WEB_TEXT_MAX	127u /* of DENIED: its length is one byte */
/* The head of a batch, and so the most before a packet. */
#define RELAY_WEB_HEAD_MAX  (1 + RELAY_WEB_KEY_LEN + 1 + 2)
#define RELAY_WEB_FRAME_MAX (RELAY_WEB_HEAD_MAX + RELAY_WEB_PACKET_MAX)
/* Room for any frame without a packet. */
#define RELAY_WEB_SHORT_CAP 132

struct relay_web_frame {
	enum relay_web_type type;
	const uint8_t *key;  /* RELAY_WEB_KEY_LEN bytes */
	const uint8_t *data; /* len bytes */
	size_t len;
	uint32_t reconnect_ms, try_ms;
	uint16_t segment_len;
	uint8_t ecn; /* as it came: a relay passes it on unchanged */
	uint8_t status;
};

/*
 * relay_web_frame_parse reads the whole of c as one frame of version. Key and data point into c.
 * WEFT_EMALFORMED: no such frame; WEFT_ETOOLARGE: a packet beyond RELAY_WEB_PACKET_MAX.
 */
WEFT_MUST_CHECK
int relay_web_frame_parse(struct cursor *c, enum relay_web_version version,
			  struct relay_web_frame *out_frame);
/* relay_web_frame_write: a frame that parses. */
void relay_web_frame_write(struct writer *w, const struct relay_web_frame *frame);

#endif
