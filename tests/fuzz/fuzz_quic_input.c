/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of unvalidated sources into an engine: headers, first Initials, tokens,
 * ids. The input is a run of datagrams, each after its length in two
 * bytes; afterwards time passes and nothing may be left.
 */
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "quic/engine.h"
#include "support/quic_take.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t slot_bytes[65487];

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink;
	*out_slot = (struct dgram_slot){slot_bytes, len};
	return true;
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)sink;
	(void)route;
	weft_assert(len <= slot->cap);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

/* No unvalidated source gets as far as the speaker without a handshake. */
static int on_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)now_ns;
	return WEFT_EREFUSED;
}

static void on_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
		      uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)close;
	(void)now_ns;
}

static struct quic_engine *make_engine(void)
{
	static const struct dgram_sink_ops ops = {sink_reserve, sink_commit, sink_cancel};
	static const struct transport_events events = {.conn_ready = on_ready,
						       .conn_closed = on_closed};
	static struct dgram_sink sink = {&ops, sizeof(slot_bytes)};
	static struct random random;
	struct quic_engine_params params = {
		.events = &events, .random = &random, .sink = &sink, .now_ns = NS_PER_S};
	uint8_t seed[NODE_KEY_SEED_LEN] = {2, 0, 0x51};
	static struct node_key *key; /* borrowed by the engine */
	struct quic_engine *engine;
	int err;

	random_init_seeded(&random, 1);
	err = node_key_from_seed(seed, &key);
	weft_assert(err == 0);
	params.key = key;
	quic_config_defaults(&params.config);
	params.config.conn_cap = 16;
	params.config.retry_above_cnt = 4;
	err = quic_engine_new(&params, &engine);
	weft_assert(err == 0);
	return engine;
}

static void try_token(struct quic_engine *engine, const struct dgram *dgram)
{
	ngtcp2_pkt_hd hd = {.version = NGTCP2_PROTO_VER_V1, .dcid.datalen = 8};
	uint8_t token[1500];
	struct quic_retry retry;
	struct quic_token_claim claim;
	enum quic_token found;

	if (dgram->len > sizeof(token))
		return;
	memcpy(token, dgram->data, dgram->len);
	hd.token = token;
	hd.tokenlen = dgram->len;
	/* No peer guesses a tag. */
	found = quic_token_check(engine, &dgram->remote, &hd, &retry, &claim);
	weft_assert(found == QUIC_TOKEN_NONE || found == QUIC_TOKEN_BAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct quic_engine *engine;
	struct cursor c = cursor_of(data, len);
	struct dgram dgram = {.local = {.ip = {10, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4},
			      .remote = {.ip = {10, 0, 0, 2}, .port = 7, .family = ADDR_IPV4}};
	struct quic_stats stats;
	uint8_t copy[2048];

	if (!engine)
		engine = make_engine();
	while (cursor_left(&c) > 2) {
		dgram.len = cursor_be16(&c);
		if (dgram.len == 0 || dgram.len > sizeof(copy) || dgram.len > cursor_left(&c))
			break;
		cursor_copy(&c, copy, dgram.len);
		dgram.data = copy;
		try_token(engine, &dgram);
		dgram.remote.port++;
		quic_take(engine, &dgram, engine->now_ns + NS_PER_MS);
		quic_engine_flush(engine, engine->now_ns);
	}
	for (unsigned i = 0; i < 64 && quic_engine_next_ns(engine) != UINT64_MAX; i++) {
		quic_engine_expire(engine, engine->now_ns + 15 * NS_PER_S);
		quic_engine_flush(engine, engine->now_ns);
	}
	quic_engine_stats(engine, &stats);
	weft_assert(stats.conn_cnt == 0);
	weft_assert(stats.heap_used_len == 0);
	return 0;
}
