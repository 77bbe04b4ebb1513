/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_WEB_RIG_H
#define WEFT_TESTS_RELAY_WEB_RIG_H

#include "base/byte_channel.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "http/websocket.h"
#include "relay/web/web.h"
#include "relay/web/web_frame.h"

#define WEB_RIG_KEY {7} /* of the relay */

/* A relay over WebSocket and clients with channels in memory, under a virtual clock. */
struct web_rig {
	struct relay_web *web;
	struct random random;
	uint64_t now_ns;
	size_t cut_len;		   /* input comes in pieces of so many bytes; 0: whole */
	const uint8_t *banned_key; /* NULL: none */
	struct addr banned_addr;   /* whatever its port; of no family: none */
	/* Datagrams to keys that no client has; NULL: they are absent. */
	int (*send)(void *ctx, const struct relay_web_dgram *dgram);
};

/* What clients of a rig get stays here until it is heard. */
#define WEB_CLIENT_OUT_CAP (2u << 20)
struct web_client {
	struct byte_channel channel; /* first */
	struct web_rig *rig;
	uint8_t *out;
	size_t out_len, heard_len;
	uint8_t tls; /* what its TLS exports differs by this */
	bool is_open, is_full, is_reading, is_shut;
};

void web_rig_init(struct web_rig *rig, const struct relay_web_config *config);
void web_rig_fini(struct web_rig *rig);
/* web_rig_run lets time pass, in steps of 100 ms, with flushes. */
void web_rig_run(struct web_rig *rig, uint64_t ns);
void web_rig_flush(struct web_rig *rig);

/* web_client_open: false: the relay did not want it. */
bool web_client_open(struct web_client *client, struct web_rig *rig, const char *addr);
void web_client_fini(struct web_client *client);
void web_client_end(struct web_client *client); /* the client closes TCP */
void web_client_say(struct web_client *client, const void *data, size_t len);
/* web_client_upgrade: fields may be "". True: 101 with protocol. */
bool web_client_upgrade(struct web_client *client, const char *protocol, const char *fields);
/* web_client_message: one masked message of opcode; is_final false begins or goes on with it. */
void web_client_message(struct web_client *client, unsigned opcode, bool is_final, const void *data,
			size_t len);
void web_client_frame(struct web_client *client, const struct relay_web_frame *frame);
/* web_client_hear: the next frame of WebSocket, or false. data is in client->out. */
bool web_client_hear(struct web_client *client, unsigned *out_opcode, const uint8_t **out_data,
		     size_t *out_len);
/* web_client_hear_frame: the next is a binary message with a frame of version. */
bool web_client_hear_frame(struct web_client *client, enum relay_web_version version,
			   struct relay_web_frame *out_frame);
/* web_client_hears_close: the next is a close with code. */
bool web_client_hears_close(struct web_client *client, unsigned code);
/* web_client_answer: the challenge is heard, signed by key and answered. */
bool web_client_answer(struct web_client *client, const struct node_key *key);
/* web_client_join: open, upgraded, proved and confirmed. */
bool web_client_join(struct web_client *client, struct web_rig *rig, const char *addr,
		     const struct node_key *key);
/* web_client_proof writes the field by which client proves key by its TLS. */
void web_client_proof(const struct web_client *client, const struct node_key *key,
		      char out[static 256]);
struct node_key *web_key(uint8_t number);

#endif
