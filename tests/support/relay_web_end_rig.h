/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_WEB_END_RIG_H
#define WEFT_TESTS_RELAY_WEB_END_RIG_H

#include "base/random.h"
#include "crypto/node_key.h"
#include "http/websocket.h"
#include "relay/web_end/web_end.h"

/*
 * This node as a client of one scripted relay over WebSocket, under a virtual clock. The relay's key
 * is WEB_END_RELAY; its channel is in memory. What the client writes stays until it is heard.
 */
#define WEB_END_RELAY	"yhyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy@192.0.2.1:7001"
#define WEB_END_OUT_CAP (2u << 20)

struct web_end_rig {
	struct byte_channel channel; /* first */
	struct relay_web_end *end;
	struct random random;
	struct node_key *key;
	uint64_t now_ns;
	uint64_t dialled_ns; /* the last time */
	struct relay_web_place place;
	bool is_open;	 /* it was dialled and not closed */
	bool is_full;	 /* the relay reads nothing */
	bool is_refused; /* no dial can be begun */
	bool is_banned;
	size_t cut_len; /* input comes in pieces of so many bytes; 0: whole */
	uint8_t *out;
	size_t out_len, heard_len;
	unsigned dial_cnt, up_cnt, down_cnt, gone_cnt, input_cnt;
	/* The last datagram. */
	uint8_t peer[RELAY_WEB_KEY_LEN], bytes[RELAY_WEB_DGRAM_MAX], ecn;
	size_t len;
};

/* web_end_rig_init: relays as relay.websocket has them, NULL: the one. */
void web_end_rig_init(struct web_end_rig *rig, const struct relay_web_end_config *config);
void web_end_rig_fini(struct web_end_rig *rig);
/* web_end_rig_run lets time pass, in turns of 10 ms. web_end_rig_turn: none passes. */
void web_end_rig_run(struct web_end_rig *rig, uint64_t ns);
void web_end_rig_turn(struct web_end_rig *rig);
/* web_end_rig_say: bytes of the relay. web_end_rig_message: one unmasked frame of WebSocket. */
void web_end_rig_say(struct web_end_rig *rig, const void *data, size_t len);
void web_end_rig_message(struct web_end_rig *rig, unsigned opcode, bool is_final, const void *data,
			 size_t len);
void web_end_rig_frame(struct web_end_rig *rig, const struct relay_web_frame *frame);
void web_end_rig_lose(struct web_end_rig *rig);
/* web_end_rig_accept: TLS is made, and the request has come; out_proof may be NULL. */
void web_end_rig_accept(struct web_end_rig *rig, char *out_request, size_t cap);
/* web_end_rig_upgrade: accepted, and 101 with protocol. */
void web_end_rig_upgrade(struct web_end_rig *rig, const char *protocol);
/* web_end_rig_join: upgraded with iroh-relay-v2, and confirmed. */
void web_end_rig_join(struct web_end_rig *rig);
/* web_end_rig_hear: the next message of the client, unmasked in rig->out. False: there is none. */
bool web_end_rig_hear(struct web_end_rig *rig, struct relay_web_frame *out_frame);
/* web_end_rig_send: a datagram of len bytes for peer. */
void web_end_rig_send(struct web_end_rig *rig, uint8_t peer, size_t len, uint8_t ecn);
struct relay_web_end_stats web_end_rig_stats(const struct web_end_rig *rig);
struct relay_web_end_view web_end_rig_view(const struct web_end_rig *rig);

#endif
