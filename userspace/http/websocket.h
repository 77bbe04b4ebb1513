/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_WEBSOCKET_H
#define WEFT_HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * WebSocket (RFC 6455) without extensions: frames and the handshake's
 * proof, which the server (websocket_server.c) shares. The client here asks
 * one question and gets one answer over a connection of its own, in one
 * frame each.
 */
enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

struct websocket_head {
	enum websocket_opcode opcode;
	bool is_final;
	bool is_masked;
	uint8_t mask[4];
	uint64_t len; /* of the payload */
};
#define WEBSOCKET_HEAD_LEN_MAX	  14
#define WEBSOCKET_CONTROL_LEN_MAX 125 /* of a control frame's payload */

/*
 * http_websocket_head_parse: the head's length, 0 when more bytes are needed, or
 * WEFT_EMALFORMED. Malformed are reserved bits or opcodes, a length not written
 * the shortest way, and a control frame that is long or in pieces.
 */
WEFT_MUST_CHECK
int http_websocket_head_parse(const uint8_t *data, size_t len, struct websocket_head *out_head);
size_t http_websocket_head_write(const struct websocket_head *head,
				 uint8_t out[static WEBSOCKET_HEAD_LEN_MAX]);
/* http_websocket_mask masks or unmasks part of a payload that begins off bytes behind its first. */
void http_websocket_mask(uint8_t *data, size_t len, const uint8_t mask[static 4], uint64_t off);

#define WEBSOCKET_KEY_CAP    25 /* base64 of 16 random bytes */
#define WEBSOCKET_ACCEPT_CAP 29
void http_websocket_key(const uint8_t nonce[static 16], char out[static WEBSOCKET_KEY_CAP]);
/* http_websocket_accept: what a server answers to key, to show that it speaks WebSocket (4.2.2). */
void http_websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_CAP]);

/*
 * A server's answer to the handshake, as far as it decides; texts are "" where they are missing.
 * http_websocket_answer_parse: how many bytes of data its head takes; 0: more are needed;
 * WEFT_EMALFORMED: it is none of HTTP.
 */
#define WEBSOCKET_FIELD_CAP 64
struct websocket_answer {
	unsigned status; /* of HTTP */
	bool is_upgraded;
	char accept[WEBSOCKET_FIELD_CAP], protocol[WEBSOCKET_FIELD_CAP];
};
#define WEBSOCKET_SWITCHED 101 /* the status of one that agrees */
WEFT_MUST_CHECK
int http_websocket_answer_parse(const void *data, size_t len, struct websocket_answer *out_answer);

/*
 * http_websocket_ask connects, sends question as a binary message, and waits for
 * the first binary one; pings in between are answered. url begins with
 * ws:// or wss://. Errors as http_get_run, which this stands beside; status is
 * that of HTTP when the server would not switch, else 101.
 * Context: a job thread; it reads the clock itself.
 */
struct websocket_ask {
	const char *url;
	const char *protocol; /* Sec-WebSocket-Protocol, which the server has to choose */
	const char *ca_file;  /* PEM; NULL: the machine's own authorities */
	const uint8_t *question;
	size_t question_len;
	const uint8_t *random; /* 20 bytes that no peer can guess: nonce and mask */
	uint64_t timeout_ns;
	int stop_fd;	 /* as fetch's */
	uint8_t *answer; /* room for answer_cap bytes */
	size_t answer_cap;

	unsigned status;
	size_t answer_len;
};
WEFT_MUST_CHECK
int http_websocket_ask(struct websocket_ask *ask);

#endif
