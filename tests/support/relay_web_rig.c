/* SPDX-License-Identifier: Apache-2.0 */
#include "support/relay_web_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "codec/text/base64.h"
#include "crypto/blake3/blake3.h"

static struct web_client *client_of(struct byte_channel *channel)
{
	return (struct web_client *)channel;
}

static int op_write(struct byte_channel *channel, const void *data, size_t len)
{
	struct web_client *client = client_of(channel);

	weft_assert(len <= BYTE_CHANNEL_WRITE_MAX && !client->is_shut);
	weft_assert(client->out_len + len <= WEB_CLIENT_OUT_CAP);
	memcpy(client->out + client->out_len, data, len);
	client->out_len += len;
	return client->is_full ? 0 : 1;
}

static void op_read(struct byte_channel *channel, bool is_wanted)
{
	client_of(channel)->is_reading = is_wanted;
}

static void op_shut(struct byte_channel *channel)
{
	client_of(channel)->is_shut = true;
}

static void op_close(struct byte_channel *channel)
{
	client_of(channel)->is_open = false;
}

/* Stands for TLS: it depends on the connection, the label and the context. */
static int op_exporter(struct byte_channel *channel, const char *label, const uint8_t *context,
		       uint8_t *out)
{
	uint8_t material[33];

	memcpy(material, context, 32);
	material[32] = client_of(channel)->tls;
	blake3_derive_key(label, material, sizeof(material), out, BYTE_CHANNEL_EXPORTER_LEN);
	return 0;
}

static const struct byte_channel_ops ops = {
	.write = op_write,
	.read = op_read,
	.shut = op_shut,
	.close = op_close,
	.exporter = op_exporter,
};

static bool refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	const struct web_rig *rig = ctx;
	struct addr addr = *remote;

	addr.port = rig->banned_addr.port;
	return (key && rig->banned_key && memcmp(key, rig->banned_key, RELAY_WEB_KEY_LEN) == 0) ||
	       (rig->banned_addr.family != ADDR_NONE && addr_equal(&addr, &rig->banned_addr));
}

static int on_send(void *ctx, const struct relay_web_dgram *dgram)
{
	const struct web_rig *rig = ctx;

	return rig->send ? rig->send(ctx, dgram) : WEFT_EABSENT;
}

void web_rig_init(struct web_rig *rig, const struct relay_web_config *config)
{
	static const uint8_t own_key[RELAY_WEB_KEY_LEN] = WEB_RIG_KEY;
	struct relay_web_params params = {.random = &rig->random,
					  .own_key = own_key,
					  .refuses = refuses,
					  .send = on_send,
					  .ctx = rig,
					  .now_ns = NS_PER_S};

	memset(rig, 0, sizeof(*rig));
	random_init_seeded(&rig->random, 1);
	rig->now_ns = params.now_ns;
	if (config)
		params.config = *config;
	else
		relay_web_config_defaults(&params.config);
	weft_assert(relay_web_new(&params, &rig->web) == 0);
}

void web_rig_fini(struct web_rig *rig)
{
	relay_web_free(rig->web);
}

void web_rig_flush(struct web_rig *rig)
{
	while (relay_web_next_ns(rig->web) <= rig->now_ns) {
		relay_web_expire(rig->web, rig->now_ns);
		relay_web_flush(rig->web, rig->now_ns);
	}
}

void web_rig_run(struct web_rig *rig, uint64_t ns)
{
	uint64_t end_ns = rig->now_ns + ns;

	web_rig_flush(rig);
	while (rig->now_ns < end_ns) {
		uint64_t left_ns = end_ns - rig->now_ns;

		rig->now_ns += left_ns < 100 * NS_PER_MS ? left_ns : 100 * NS_PER_MS;
		web_rig_flush(rig);
	}
}

bool web_client_open(struct web_client *client, struct web_rig *rig, const char *addr)
{
	static uint8_t tls;

	memset(client, 0, sizeof(*client));
	client->channel.ops = &ops;
	client->rig = rig;
	client->tls = ++tls;
	client->is_reading = true;
	weft_assert(addr_parse(addr, &client->channel.remote) == 0);
	client->is_open = relay_web_events.opened(rig->web, &client->channel, rig->now_ns);
	client->out = client->is_open ? malloc(WEB_CLIENT_OUT_CAP) : NULL;
	return client->is_open;
}

void web_client_fini(struct web_client *client)
{
	free(client->out);
	client->out = NULL;
}

void web_client_end(struct web_client *client)
{
	if (client->is_open)
		relay_web_events.lost(&client->channel, client->rig->now_ns);
	web_rig_flush(client->rig);
}

void web_client_say(struct web_client *client, const void *data, size_t len)
{
	size_t cut = client->rig->cut_len ? client->rig->cut_len : len;
	uint8_t *bytes = malloc(cut);

	for (size_t off = 0; off < len && client->is_open; off += cut) {
		size_t part = len - off < cut ? len - off : cut;

		memcpy(bytes, (const uint8_t *)data + off, part);
		relay_web_events.input(&client->channel, bytes, part, client->rig->now_ns);
	}
	free(bytes);
	web_rig_flush(client->rig);
}

bool web_client_upgrade(struct web_client *client, const char *protocol, const char *fields)
{
	char request[1024], want[128];
	char *end;

	snprintf(request, sizeof(request),
		 "GET /relay HTTP/1.1\r\nHost: relay\r\nConnection: keep-alive, Upgrade\r\n"
		 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Sec-WebSocket-Protocol: %s\r\n%s\r\n",
		 protocol, fields);
	web_client_say(client, request, strlen(request));
	end = memmem(client->out, client->out_len, "\r\n\r\n", 4);
	if (!end || memcmp(client->out, "HTTP/1.1 101 ", 13) != 0 ||
	    !memmem(client->out, client->out_len, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
		return false;
	client->heard_len = (size_t)(end + 4 - (char *)client->out);
	snprintf(want, sizeof(want), "Sec-WebSocket-Protocol: %s\r\n",
		 strrchr(protocol, ' ') ? strrchr(protocol, ' ') + 1 : protocol);
	return memmem(client->out, client->heard_len, want, strlen(want));
}

void web_client_message(struct web_client *client, unsigned opcode, bool is_final, const void *data,
			size_t len)
{
	struct websocket_head head = {.opcode = opcode,
				      .is_final = is_final,
				      .is_masked = true,
				      .mask = {1, 2, 3, 4},
				      .len = len};
	uint8_t *bytes = malloc(WEBSOCKET_HEAD_LEN_MAX + len);
	size_t head_len = http_websocket_head_write(&head, bytes);

	if (len)
		memcpy(bytes + head_len, data, len);
	http_websocket_mask(bytes + head_len, len, head.mask, 0);
	web_client_say(client, bytes, head_len + len);
	free(bytes);
}

void web_client_frame(struct web_client *client, const struct relay_web_frame *frame)
{
	static uint8_t bytes[RELAY_WEB_FRAME_MAX + 1];
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_web_frame_write(&w, frame);
	weft_assert(!w.bad);
	web_client_message(client, WEBSOCKET_BINARY, true, bytes, writer_len(&w));
}

bool web_client_hear(struct web_client *client, unsigned *out_opcode, const uint8_t **out_data,
		     size_t *out_len)
{
	const uint8_t *at = client->out + client->heard_len;
	size_t left = client->out_len - client->heard_len;
	struct websocket_head head;
	int rv = http_websocket_head_parse(at, left, &head);

	weft_assert(rv >= 0);
	if (rv == 0 || left - (size_t)rv < head.len)
		return false;
	weft_assert(!head.is_masked && head.is_final);
	*out_opcode = head.opcode;
	*out_data = at + rv;
	*out_len = (size_t)head.len;
	client->heard_len += (size_t)rv + (size_t)head.len;
	return true;
}

bool web_client_hear_frame(struct web_client *client, enum relay_web_version version,
			   struct relay_web_frame *out_frame)
{
	const uint8_t *data;
	struct cursor c;
	unsigned opcode;
	size_t len;

	if (!web_client_hear(client, &opcode, &data, &len) || opcode != WEBSOCKET_BINARY)
		return false;
	c = cursor_of(data, len);
	return relay_web_frame_parse(&c, version, out_frame) == 0;
}

bool web_client_hears_close(struct web_client *client, unsigned code)
{
	const uint8_t *data;
	unsigned opcode;
	size_t len;

	return web_client_hear(client, &opcode, &data, &len) && opcode == WEBSOCKET_CLOSE &&
	       len == 2 && (unsigned)(data[0] << 8 | data[1]) == code;
}

bool web_client_answer(struct web_client *client, const struct node_key *key)
{
	uint8_t message[BLAKE3_HASH_LEN], signature[RELAY_WEB_SIGNATURE_LEN];
	struct relay_web_frame frame;

	if (!web_client_hear_frame(client, RELAY_WEB_IROH_V1, &frame) ||
	    frame.type != RELAY_WEB_CHALLENGE)
		return false;
	blake3_derive_key("iroh-relay handshake v1 challenge signature", frame.data, frame.len,
			  message, sizeof(message));
	node_key_sign(key, message, sizeof(message), signature);
	web_client_frame(client, &(struct relay_web_frame){.type = RELAY_WEB_AUTH,
							   .key = node_key_public(key),
							   .data = signature,
							   .len = sizeof(signature)});
	return true;
}

bool web_client_join(struct web_client *client, struct web_rig *rig, const char *addr,
		     const struct node_key *key)
{
	struct relay_web_frame frame;

	return web_client_open(client, rig, addr) &&
	       web_client_upgrade(client, "iroh-relay-v2", "") && web_client_answer(client, key) &&
	       web_client_hear_frame(client, RELAY_WEB_IROH_V2, &frame) &&
	       frame.type == RELAY_WEB_CONFIRMED;
}

void web_client_proof(const struct web_client *client, const struct node_key *key,
		      char out[static 256])
{
	uint8_t exported[32], proof[113];
	char text[BASE64_LEN(sizeof(proof)) + 1];

	op_exporter((struct byte_channel *)(uintptr_t)&client->channel, "iroh-relay handshake v1",
		    node_key_public(key), exported);
	memcpy(proof, node_key_public(key), 32);
	proof[32] = 64;
	node_key_sign(key, exported, 16, proof + 33);
	memcpy(proof + 97, exported + 16, 16);
	base64_write(proof, sizeof(proof), text);
	for (char *at = text; *at; at++)
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at == '=' ? '\0' : *at;
	snprintf(out, 256, "x-iroh-relay-client-auth-v1: %s\r\n", text);
}

struct node_key *web_key(uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct node_key *key;

	weft_assert(node_key_from_seed(seed, &key) == 0);
	return key;
}
