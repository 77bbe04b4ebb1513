/* SPDX-License-Identifier: Apache-2.0 */
/* One question over a WebSocket of its own, waited for. Job threads. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/monotonic.h"
#include "http_channel.h"
#include "websocket.h"

#define REQUEST_CAP   1400
#define HANDSHAKE_MAX 8192
/* Pings, and text that was not asked for, before the answer. */
#define FRAMES_MAX 64

/* Bytes of the connection that were not used yet. */
struct incoming {
	struct channel *channel;
	uint8_t data[HANDSHAKE_MAX];
	size_t begin, end;
};

static int question_begin(const struct websocket_ask *ask, const struct url *url, const char *key,
			  struct channel *channel)
{
	char text[REQUEST_CAP];
	int len = snprintf(text, sizeof(text),
			   "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weft\r\n"
			   "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
			   "Sec-WebSocket-Protocol: %s\r\n\r\n",
			   url->path, url->host, key, ask->protocol);

	if (len < 0 || (size_t)len >= sizeof(text))
		return WEFT_EMALFORMED;
	return http_channel_write(channel, text, (size_t)len);
}

/* incoming_more reads on; WEFT_ETOOLARGE when there is no room. */
static int incoming_more(struct incoming *incoming)
{
	int n;

	if (incoming->begin) {
		memmove(incoming->data, incoming->data + incoming->begin,
			incoming->end - incoming->begin);
		incoming->end -= incoming->begin;
		incoming->begin = 0;
	}
	if (incoming->end == sizeof(incoming->data))
		return WEFT_ETOOLARGE;
	n = http_channel_read(incoming->channel, incoming->data + incoming->end,
			      sizeof(incoming->data) - incoming->end);
	if (n <= 0)
		return n < 0 ? n : WEFT_EUNREACHABLE;
	incoming->end += (size_t)n;
	return 0;
}

static int handshake_read(struct websocket_ask *ask, struct incoming *incoming, const char *key)
{
	char accept[WEBSOCKET_ACCEPT_CAP];
	struct websocket_answer answer;
	int head_len, err;

	while ((head_len = http_websocket_answer_parse(incoming->data, incoming->end, &answer)) ==
	       0)
		if ((err = incoming_more(incoming)) < 0)
			return err;
	if (head_len < 0)
		return head_len;
	incoming->begin = (size_t)head_len;
	ask->status = answer.status;
	if (ask->status != WEBSOCKET_SWITCHED)
		return 0;
	http_websocket_accept(key, accept);
	if (!answer.is_upgraded || strcmp(answer.accept, accept) != 0 ||
	    strcmp(answer.protocol, ask->protocol) != 0)
		return WEFT_EMALFORMED;
	return 0;
}

/* A client's bytes are masked, so that no proxy takes them for something else (RFC 6455, 10.3). */
static int frame_send(const struct websocket_ask *ask, struct channel *channel,
		      enum websocket_opcode opcode, const uint8_t *payload, size_t len)
{
	struct websocket_head head = {
		.opcode = opcode, .is_final = true, .is_masked = true, .len = len};
	uint8_t bytes[WEBSOCKET_HEAD_LEN_MAX], masked[1200];
	int err;

	if (len > sizeof(masked))
		return WEFT_ETOOLARGE;
	memcpy(head.mask, ask->random + 16, sizeof(head.mask));
	err = http_channel_write(channel, bytes, http_websocket_head_write(&head, bytes));
	if (err < 0 || !len)
		return err;
	memcpy(masked, payload, len);
	http_websocket_mask(masked, len, head.mask, 0);
	return http_channel_write(channel, masked, len);
}

/* The next frame, whole in incoming; a server masks nothing, and messages are of one frame here. */
static int frame_read(struct incoming *incoming, struct websocket_head *out_head)
{
	int err = 0, head_len;

	while (err == 0) {
		size_t len = incoming->end - incoming->begin;

		head_len =
			http_websocket_head_parse(incoming->data + incoming->begin, len, out_head);
		if (head_len < 0 || (head_len && (out_head->is_masked || !out_head->is_final ||
						  out_head->opcode == WEBSOCKET_CONTINUATION)))
			return WEFT_EMALFORMED;
		if (head_len && out_head->len > sizeof(incoming->data) - (size_t)head_len)
			return WEFT_ETOOLARGE;
		if (head_len && len >= (size_t)head_len + out_head->len) {
			incoming->begin += (size_t)head_len;
			return 0;
		}
		err = incoming_more(incoming);
	}
	return err;
}

static int answer_read(struct websocket_ask *ask, struct incoming *incoming)
{
	struct websocket_head head;
	int err;

	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		const uint8_t *payload;

		if ((err = frame_read(incoming, &head)) < 0)
			return err;
		payload = incoming->data + incoming->begin;
		incoming->begin += head.len;
		if (head.opcode == WEBSOCKET_CLOSE)
			return WEFT_EUNREACHABLE;
		if (head.opcode == WEBSOCKET_PING &&
		    (err = frame_send(ask, incoming->channel, WEBSOCKET_PONG, payload, head.len)) <
			    0)
			return err;
		if (head.opcode != WEBSOCKET_BINARY)
			continue;
		if (head.len > ask->answer_cap)
			return WEFT_ETOOLARGE;
		memcpy(ask->answer, payload, head.len);
		ask->answer_len = head.len;
		return 0;
	}
	return WEFT_EMALFORMED;
}

/* ws and wss are http and https up to the handshake (RFC 6455, 3). */
static int ask_url_parse(const char *text, struct url *out_url)
{
	char http[URL_HOST_CAP + URL_PATH_CAP];
	bool is_tls = strncasecmp(text, "wss://", 6) == 0;

	if (!is_tls && strncasecmp(text, "ws://", 5) != 0)
		return WEFT_EMALFORMED;
	if (snprintf(http, sizeof(http), "http%s", text + 2) >= (int)sizeof(http))
		return WEFT_EMALFORMED;
	return http_url_parse(http, out_url);
}

int http_websocket_ask(struct websocket_ask *ask)
{
	struct channel channel;
	struct incoming incoming = {.channel = &channel};
	char key[WEBSOCKET_KEY_CAP];
	struct url url;
	int err;

	ask->status = 0;
	ask->answer_len = 0;
	if (ask_url_parse(ask->url, &url) < 0)
		return WEFT_EMALFORMED;
	http_websocket_key(ask->random, key);
	err = http_channel_open(&channel, &url, ask->ca_file,
				clock_monotonic_ns() + ask->timeout_ns, ask->stop_fd);
	if (err == 0 && (err = question_begin(ask, &url, key, &channel)) == 0)
		err = handshake_read(ask, &incoming, key);
	if (err == 0 && ask->status == WEBSOCKET_SWITCHED) {
		err = frame_send(ask, &channel, WEBSOCKET_BINARY, ask->question, ask->question_len);
		if (err == 0)
			err = answer_read(ask, &incoming);
	}
	http_channel_close(&channel);
	return err;
}
