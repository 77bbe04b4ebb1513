/* SPDX-License-Identifier: Apache-2.0 */
#include "support/relay_web_end_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "crypto/blake3/blake3.h"

#define STEP_NS (10 * NS_PER_MS)

static int op_write(struct byte_channel *channel, const void *data, size_t len)
{
	struct web_end_rig *rig = (struct web_end_rig *)channel;

	weft_assert(rig->is_open && len <= BYTE_CHANNEL_WRITE_MAX &&
		    rig->out_len + len <= WEB_END_OUT_CAP);
	memcpy(rig->out + rig->out_len, data, len);
	rig->out_len += len;
	return rig->is_full ? 0 : 1;
}

static void op_close(struct byte_channel *channel)
{
	struct web_end_rig *rig = (struct web_end_rig *)channel;

	weft_assert(rig->is_open);
	rig->is_open = false;
}

/* Stands for TLS: it depends on the label and the context. */
static int op_exporter(struct byte_channel *channel, const char *label, const uint8_t *context,
		       uint8_t *out)
{
	(void)channel;
	blake3_derive_key(label, context, 32, out, BYTE_CHANNEL_EXPORTER_LEN);
	return 0;
}

static const struct byte_channel_ops ops = {
	.write = op_write, .close = op_close, .exporter = op_exporter};

static int on_dial(void *ctx, const struct relay_web_place *place, void *user,
		   struct byte_channel **out_channel)
{
	struct web_end_rig *rig = ctx;

	weft_assert(!rig->is_open);
	rig->dial_cnt++;
	rig->dialled_ns = rig->now_ns;
	rig->place = *place;
	if (rig->is_refused)
		return WEFT_EFULL;
	rig->channel = (struct byte_channel){.ops = &ops, .user = user, .remote = place->addr};
	rig->is_open = true;
	rig->is_full = false;
	rig->out_len = rig->heard_len = 0;
	*out_channel = &rig->channel;
	return 0;
}

static bool on_refuses(void *ctx, const struct relay_web_place *place)
{
	(void)place;
	return ((const struct web_end_rig *)ctx)->is_banned;
}

static void on_input(void *ctx, const uint8_t *relay, const struct relay_web_end_dgram *dgram,
		     uint64_t now_ns)
{
	struct web_end_rig *rig = ctx;

	weft_assert(memcmp(relay, rig->place.key, RELAY_WEB_KEY_LEN) == 0 &&
		    now_ns == rig->now_ns && dgram->len && dgram->len <= sizeof(rig->bytes));
	rig->input_cnt++;
	memcpy(rig->peer, dgram->peer, sizeof(rig->peer));
	memcpy(rig->bytes, dgram->data, dgram->len);
	rig->len = dgram->len;
	rig->ecn = dgram->ecn;
	/* QUIC decrypts in place. */
	memset(dgram->data, 0xee, dgram->len);
}

static void on_gone(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t now_ns)
{
	struct web_end_rig *rig = ctx;

	(void)relay, (void)now_ns;
	rig->gone_cnt++;
	memcpy(rig->peer, peer, sizeof(rig->peer));
}

static void on_changed(void *ctx, const uint8_t *relay, bool is_up, uint64_t now_ns)
{
	struct web_end_rig *rig = ctx;

	(void)now_ns;
	weft_assert(relay_web_end_is_up(rig->end, relay) == is_up);
	*(is_up ? &rig->up_cnt : &rig->down_cnt) += 1;
}

void web_end_rig_init(struct web_end_rig *rig, const struct relay_web_end_config *config)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	struct relay_web_end_params params = {
		.random = &rig->random,
		.dial = on_dial,
		.refuses = on_refuses,
		.input = on_input,
		.gone = on_gone,
		.changed = on_changed,
		.ctx = rig,
		.now_ns = NS_PER_S,
	};

	memset(rig, 0, sizeof(*rig));
	random_init_seeded(&rig->random, 1);
	rig->now_ns = params.now_ns;
	rig->out = malloc(WEB_END_OUT_CAP);
	weft_assert(rig->out && node_key_from_seed(seed, &rig->key) == 0);
	params.key = rig->key;
	relay_web_end_config_defaults(&params.config);
	if (config)
		params.config = *config;
	if (!params.config.relays[0])
		snprintf(params.config.relays, sizeof(params.config.relays), WEB_END_RELAY);
	weft_assert(relay_web_end_new(&params, &rig->end) == 0);
	relay_web_end_want(rig->end, true, rig->now_ns);
	web_end_rig_turn(rig);
}

void web_end_rig_fini(struct web_end_rig *rig)
{
	relay_web_end_free(rig->end);
	weft_assert(!rig->is_open);
	node_key_free(rig->key);
	free(rig->out);
}

void web_end_rig_turn(struct web_end_rig *rig)
{
	for (unsigned i = 0; i < 64 && relay_web_end_next_ns(rig->end) <= rig->now_ns; i++)
		relay_web_end_turn(rig->end, rig->now_ns);
}

void web_end_rig_run(struct web_end_rig *rig, uint64_t ns)
{
	uint64_t until_ns = rig->now_ns + ns;

	while (rig->now_ns < until_ns) {
		rig->now_ns += STEP_NS;
		web_end_rig_turn(rig);
	}
}

void web_end_rig_say(struct web_end_rig *rig, const void *data, size_t len)
{
	const uint8_t *at = data;
	unsigned dial_cnt = rig->dial_cnt;

	while (len && rig->is_open && rig->dial_cnt == dial_cnt) {
		size_t part = rig->cut_len && rig->cut_len < len ? rig->cut_len : len;
		uint8_t *copy = malloc(part);

		weft_assert(copy);
		memcpy(copy, at, part);
		relay_web_end_events.input(&rig->channel, copy, part, rig->now_ns);
		free(copy);
		at += part;
		len -= part;
	}
	web_end_rig_turn(rig);
}

void web_end_rig_message(struct web_end_rig *rig, unsigned opcode, bool is_final, const void *data,
			 size_t len)
{
	const struct websocket_head head = {
		.opcode = (enum websocket_opcode)opcode, .is_final = is_final, .len = len};
	uint8_t *bytes = malloc(WEBSOCKET_HEAD_LEN_MAX + len);
	size_t head_len;

	weft_assert(bytes);
	head_len = http_websocket_head_write(&head, bytes);
	if (len)
		memcpy(bytes + head_len, data, len);
	web_end_rig_say(rig, bytes, head_len + len);
	free(bytes);
}

void web_end_rig_frame(struct web_end_rig *rig, const struct relay_web_frame *frame)
{
	static uint8_t bytes[RELAY_WEB_FRAME_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_web_frame_write(&w, frame);
	weft_assert(!w.bad);
	web_end_rig_message(rig, WEBSOCKET_BINARY, true, bytes, writer_len(&w));
}

void web_end_rig_lose(struct web_end_rig *rig)
{
	if (rig->is_open)
		relay_web_end_events.lost(&rig->channel, rig->now_ns);
	web_end_rig_turn(rig);
}

void web_end_rig_accept(struct web_end_rig *rig, char *out_request, size_t cap)
{
	weft_assert(rig->is_open && relay_web_end_events.opened(NULL, &rig->channel, rig->now_ns));
	web_end_rig_turn(rig);
	if (out_request)
		snprintf(out_request, cap, "%.*s", (int)rig->out_len, (const char *)rig->out);
}

void web_end_rig_upgrade(struct web_end_rig *rig, const char *protocol)
{
	char request[2048], accept[WEBSOCKET_ACCEPT_CAP], answer[512];
	char nonce[WEBSOCKET_KEY_CAP] = "", *at;

	web_end_rig_accept(rig, request, sizeof(request));
	at = strstr(request, "Sec-WebSocket-Key: ");
	weft_assert(at);
	snprintf(nonce, sizeof(nonce), "%s", at + strlen("Sec-WebSocket-Key: "));
	rig->heard_len = rig->out_len;
	http_websocket_accept(nonce, accept);
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		 accept, protocol);
	web_end_rig_say(rig, answer, strlen(answer));
}

void web_end_rig_join(struct web_end_rig *rig)
{
	web_end_rig_upgrade(rig, "iroh-relay-v2");
	web_end_rig_frame(rig, &(struct relay_web_frame){.type = RELAY_WEB_CONFIRMED});
}

bool web_end_rig_hear(struct web_end_rig *rig, struct relay_web_frame *out_frame)
{
	struct websocket_head head;
	int head_len = http_websocket_head_parse(rig->out + rig->heard_len,
						 rig->out_len - rig->heard_len, &head);
	uint8_t *payload = rig->out + rig->heard_len + head_len;
	struct cursor c;

	weft_assert(head_len >= 0);
	if (head_len == 0)
		return false;
	weft_assert(head.is_masked && head.is_final &&
		    rig->heard_len + (size_t)head_len + head.len <= rig->out_len);
	http_websocket_mask(payload, head.len, head.mask, 0);
	rig->heard_len += (size_t)head_len + head.len;
	*out_frame = (struct relay_web_frame){.data = payload, .len = head.len};
	if (head.opcode != WEBSOCKET_BINARY)
		return true;
	c = cursor_of(payload, head.len);
	return relay_web_frame_parse(&c, RELAY_WEB_IROH_V2, out_frame) == 0;
}

void web_end_rig_send(struct web_end_rig *rig, uint8_t peer, size_t len, uint8_t ecn)
{
	uint8_t bytes[2048], key[RELAY_WEB_KEY_LEN];

	memset(bytes, peer, sizeof(bytes));
	memset(key, peer, sizeof(key));
	relay_web_end_send(
		rig->end, rig->place.key,
		&(struct relay_web_end_dgram){.peer = key, .data = bytes, .len = len, .ecn = ecn});
}

struct relay_web_end_stats web_end_rig_stats(const struct web_end_rig *rig)
{
	struct relay_web_end_stats stats;

	relay_web_end_read_stats(rig->end, &stats);
	return stats;
}

struct relay_web_end_view web_end_rig_view(const struct web_end_rig *rig)
{
	struct relay_web_end_view view;

	weft_assert(relay_web_end_view(rig->end, 0, &view));
	return view;
}
