/* SPDX-License-Identifier: Apache-2.0 */
#include "support/quic_duel.h"
#include "support/quic_take.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "quic/engine.h"

#define SLOT_LEN     65487
#define QUEUE_CNT    256 /* datagrams; more are lost */
#define DGRAM_MAX    2048
#define GREETING_LEN 3000
#define STREAM_MAX   64
#define TURN_MAX     16

struct queue {
	unsigned cnt;
	struct {
		size_t len;
		uint8_t data[DGRAM_MAX];
	} dgrams[QUEUE_CNT];
};

static struct queue to_engine, to_peer;
static uint8_t slot_bytes[SLOT_LEN];
static struct random dice;
static uint8_t greeting[GREETING_LEN];

static void queue_put(struct queue *queue, const uint8_t *data, size_t len)
{
	if (queue->cnt == QUEUE_CNT || len > DGRAM_MAX)
		return;
	memcpy(queue->dgrams[queue->cnt].data, data, len);
	queue->dgrams[queue->cnt++].len = len;
}

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink;
	weft_assert(len <= SLOT_LEN);
	*out_slot = (struct dgram_slot){slot_bytes, len};
	return true;
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	size_t step = route->segment_len ? route->segment_len : len;

	(void)sink;
	weft_assert(len > 0 && len <= slot->cap);
	for (size_t off = 0; off < len; off += step)
		queue_put(&to_peer, slot->data + off, len - off < step ? len - off : step);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

static const struct dgram_sink_ops sink_ops = {sink_reserve, sink_commit, sink_cancel};
static struct dgram_sink sink = {&sink_ops, SLOT_LEN};

/* The speaker: ctx is a pointer to the duel of now. */

static int on_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct quic_duel *duel = *(struct quic_duel **)ctx;
	const struct transport_ops *ops = quic_engine_transport(duel->engine)->ops;
	struct transport_stream *stream;

	(void)now_ns;
	duel->was_ready = true;
	if (ops->open(conn, NULL, &stream) == 0 &&
	    ops->send_copy(stream, greeting, sizeof(greeting)) == 0)
		ops->finish(stream);
	return 0;
}

static void on_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
		      uint64_t now_ns)
{
	struct quic_duel *duel = *(struct quic_duel **)ctx;

	(void)conn;
	(void)now_ns;
	duel->is_over = true;
	duel->close_err = close->err;
}

static int on_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
		     uint64_t now_ns)
{
	struct quic_duel *duel = *(struct quic_duel **)ctx;

	(void)conn;
	(void)stream;
	(void)now_ns;
	return ++duel->stream_cnt > STREAM_MAX ? WEFT_EREFUSED : 0;
}

static void on_data(void *ctx, struct transport_stream *stream, const struct transport_piece *piece,
		    uint64_t now_ns)
{
	struct quic_duel *duel = *(struct quic_duel **)ctx;
	const struct transport_ops *ops = quic_engine_transport(duel->engine)->ops;

	(void)now_ns;
	duel->received_len += piece->len;
	ops->consume(stream, piece->len);
	if (piece->fin &&
	    ops->send_copy(stream, greeting, piece->len < GREETING_LEN ? piece->len : 1) == 0)
		ops->finish(stream);
}

static void on_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	struct quic_duel *duel = *(struct quic_duel **)ctx;

	(void)code;
	(void)now_ns;
	quic_engine_transport(duel->engine)->ops->reset(stream, 1);
}

static void on_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx;
	(void)stream;
	(void)now_ns;
}

static void on_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	(void)ctx;
	(void)stream;
	(void)code;
	(void)now_ns;
}

static void on_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)now_ns;
}

static const struct transport_events events = {
	.conn_ready = on_ready,
	.conn_closed = on_closed,
	.conn_streams_available = on_streams_available,
	.stream_opened = on_opened,
	.stream_data = on_data,
	.stream_reset = on_reset,
	.stream_writable = on_writable,
	.stream_closed = on_stream_closed,
};

static struct quic_duel *current;

static struct quic_engine *make_engine(void)
{
	struct quic_engine_params params = {.events = &events,
					    .ctx = &current,
					    .random = &dice,
					    .sink = &sink,
					    .now_ns = NS_PER_S};
	uint8_t seed[NODE_KEY_SEED_LEN] = {3, 0, 0x51};
	static struct node_key *key; /* borrowed by the engine */
	struct quic_engine *engine;
	int err;

	random_init_seeded(&dice, 1);
	err = node_key_from_seed(seed, &key);
	weft_assert(err == 0);
	params.key = key;
	quic_config_defaults(&params.config);
	params.config.conn_cap = 16;
	params.config.keepalive_ns = 0;
	params.config.stream_cap = 256;
	params.config.heap_cap = 16 << 20;
	err = quic_engine_new(&params, &engine);
	weft_assert(err == 0);
	return engine;
}

static void peer_send(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	queue_put(&to_engine, data, len);
}

static struct addr peer_addr(const struct quic_duel *duel)
{
	return (struct addr){.ip = {10, 0, 0, 2}, .port = duel->port, .family = ADDR_IPV4};
}

static void duel_dial(struct quic_duel *duel)
{
	struct transport *transport = quic_engine_transport(duel->engine);
	struct transport_dial dial = {.remote = peer_addr(duel)};
	struct transport_conn *conn;
	struct node_key *key;
	int err;

	err = node_key_from_seed(duel->peer.config.seed, &key);
	weft_assert(err == 0);
	memcpy(dial.peer_key, node_key_public(key), sizeof(dial.peer_key));
	memcpy(duel->key, dial.peer_key, sizeof(duel->key));
	node_key_free(key);
	/* What cannot begin is over. */
	duel->close_err = transport->ops->dial(transport, &dial, duel->engine->now_ns, &conn);
	duel->is_over = duel->close_err < 0;
}

void quic_duel_begin(struct quic_duel *duel, const struct quic_peer_config *config)
{
	static struct quic_engine *engine;
	struct quic_peer_config with = *config;

	if (!engine)
		engine = make_engine();
	memset(duel, 0, sizeof(*duel));
	current = duel;
	duel->engine = engine;
	duel->port = 7;
	to_engine.cnt = to_peer.cnt = 0;
	random_init_seeded(&dice, 1);
	memset(with.seed, 0x5a, sizeof(with.seed));
	with.send = peer_send;
	quic_peer_init(&duel->peer, &with);
	if (with.is_server)
		duel_dial(duel);
	else
		quic_peer_start(&duel->peer);
}

static void engine_turn(struct quic_duel *duel)
{
	struct dgram dgram = {.local = {.ip = {10, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4},
			      .remote = peer_addr(duel)};

	for (unsigned i = 0; i < to_engine.cnt; i++) {
		/* Of its own size, so that a sanitizer sees a read past the end. */
		dgram.len = to_engine.dgrams[i].len;
		dgram.data = malloc(dgram.len);
		weft_assert(dgram.data);
		memcpy(dgram.data, to_engine.dgrams[i].data, dgram.len);
		quic_take(duel->engine, &dgram, duel->engine->now_ns);
		free(dgram.data);
	}
	to_engine.cnt = 0;
	quic_engine_flush(duel->engine, duel->engine->now_ns);
}

void quic_duel_run(struct quic_duel *duel)
{
	/* A few turns end a handshake; what goes on for ever is cut. */
	for (unsigned turn = 0; turn < TURN_MAX; turn++) {
		engine_turn(duel);
		if (!to_peer.cnt) {
			/* Nothing, or the pace forbids it. */
			quic_engine_expire(duel->engine, duel->engine->now_ns + NS_PER_MS);
			quic_engine_flush(duel->engine, duel->engine->now_ns);
		}
		if (!to_peer.cnt)
			return;
		for (unsigned i = 0; i < to_peer.cnt; i++)
			quic_peer_input(&duel->peer, to_peer.dgrams[i].data, to_peer.dgrams[i].len);
		to_peer.cnt = 0;
	}
}

void quic_duel_wait(struct quic_duel *duel, uint64_t for_ns)
{
	quic_engine_expire(duel->engine, duel->engine->now_ns + for_ns);
	quic_duel_run(duel);
}

void quic_duel_end(struct quic_duel *duel)
{
	struct quic_engine *engine = duel->engine;
	struct quic_stats stats;

	for (unsigned i = 0; i < 64 && quic_engine_next_ns(engine) != UINT64_MAX; i++) {
		quic_engine_expire(engine, engine->now_ns + 15 * NS_PER_S);
		quic_engine_flush(engine, engine->now_ns);
	}
	to_peer.cnt = 0;
	/* Its ticket would serve the next duel, and lies where no leak checker looks. */
	SSL_free(tls_dial(&engine->tls, duel->key));
	quic_engine_stats(engine, &stats);
	weft_assert(stats.conn_cnt == 0);
	weft_assert(stats.heap_used_len == 0);
	quic_peer_fini(&duel->peer);
}
