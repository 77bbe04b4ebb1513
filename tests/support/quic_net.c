/* SPDX-License-Identifier: Apache-2.0 */
#include "support/quic_net.h"
#include "support/quic_take.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"

#define SLOT_LEN    65487
#define SPAN_LEN    65536
#define PATTERN_LEN (1 << 20)

/* Period 2^20, so that a span is always one piece of it; not a power of 256 by rows. */
uint8_t quic_net_byte(uint64_t off)
{
	off %= PATTERN_LEN;
	return (uint8_t)(off * 131 + (off >> 8) * 7 + (off >> 16));
}

static const uint8_t *pattern_at(uint64_t off)
{
	static uint8_t pattern[PATTERN_LEN + SPAN_LEN];

	if (!pattern[1])
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = quic_net_byte(i);
	return pattern + off % PATTERN_LEN;
}

static struct quic_node *node_of(struct dgram_sink *sink)
{
	return container_of(sink, struct quic_node, sink);
}

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct quic_node *node = node_of(sink);

	if (node->is_sink_full)
		return false;
	weft_assert(len <= SLOT_LEN);
	*out_slot = (struct dgram_slot){node->slot, len};
	return true;
}

static void wire_put(struct quic_net *net, const struct quic_net_dgram *dgram)
{
	if (net->queue_cnt == net->queue_cap) {
		net->queue_cap = net->queue_cap ? 2 * net->queue_cap : 256;
		net->queue = realloc(net->queue, net->queue_cap * sizeof(*net->queue));
		weft_assert(net->queue);
	}
	net->queue[net->queue_cnt++] = *dgram;
}

static void wire_send(struct quic_node *node, const uint8_t *data, size_t len,
		      const struct dgram_route *route)
{
	struct quic_net *net = node->net;
	struct quic_net_dgram dgram = {.at_ns = net->now_ns + net->delay_ns,
				       .from = node->outer,
				       .to = route->remote,
				       .ecn = route->ecn,
				       .len = len};

	weft_assert(route->local.family == ADDR_NONE ||
		    route->local.family == route->remote.family);
	node->sent_cnt++;
	dgram.data = malloc(len);
	weft_assert(dgram.data);
	memcpy(dgram.data, data, len);
	if ((net->tap && !net->tap(net, &dgram)) || len > net->mtu_len ||
	    random_below(&net->random, 1000) < net->loss_per_1000)
		free(dgram.data);
	else
		wire_put(net, &dgram);
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	size_t step = route->segment_len ? route->segment_len : len;

	weft_assert(len > 0 && len <= slot->cap);
	for (size_t off = 0; off < len; off += step)
		wire_send(node_of(sink), slot->data + off, len - off < step ? len - off : step,
			  route);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

static const struct dgram_sink_ops sink_ops = {sink_reserve, sink_commit, sink_cancel};

/* The speaker. */

static int on_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct quic_node *node = ctx;
	struct quic_test_conn *record = conn->user;

	(void)now_ns;
	if (!record) {
		weft_assert(node->conn_cnt < QUIC_NET_CONNS);
		record = &node->conns[node->conn_cnt++];
		record->node = node;
		record->conn = conn;
		conn->user = record;
	}
	weft_assert(!record->is_ready && !record->is_closed);
	record->is_ready = true;
	if (++node->open_cnt > node->open_peak_cnt)
		node->open_peak_cnt = node->open_cnt;
	node->transport->ops->info(conn, &record->info);
	return node->ready_answer;
}

static void on_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
		      uint64_t now_ns)
{
	struct quic_test_conn *record = conn->user;

	(void)now_ns;
	weft_assert(!record->is_closed);
	record->is_closed = true;
	((struct quic_node *)ctx)->open_cnt -= record->is_ready;
	record->close = *close;
	record->conn = NULL;
}

static void on_token(void *ctx, struct transport_conn *conn, const uint8_t *data, size_t len,
		     uint64_t now_ns)
{
	struct quic_node *node = ctx;

	(void)now_ns;
	weft_assert(((struct quic_test_conn *)conn->user)->is_ready && len <= sizeof(node->token));
	memcpy(node->token, data, len);
	node->token_len = len;
	node->token_cnt++;
}

static uint64_t on_key_met_s(void *ctx, const uint8_t key[TRANSPORT_KEY_LEN])
{
	(void)key;
	return ((struct quic_node *)ctx)->met_s;
}

static void on_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	((struct quic_test_conn *)conn->user)->streams_available_cnt++;
}

static int on_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
		     uint64_t now_ns)
{
	struct quic_node *node = ctx;
	struct quic_test_stream *record;

	(void)now_ns;
	if (node->opened_answer < 0)
		return node->opened_answer;
	weft_assert(node->stream_cnt < QUIC_NET_STREAMS);
	record = &node->streams[node->stream_cnt++];
	record->conn = conn->user;
	record->stream = stream;
	stream->user = record;
	return 0;
}

static void take_reply(struct quic_test_stream *record, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len && record->reply_len < 8; i++, record->reply_len++)
		record->reply |= (uint64_t)data[i] << (8 * record->reply_len);
}

static void span_done(void *arg)
{
	((struct quic_test_stream *)arg)->spans_out--;
}

static void stream_fill(struct quic_test_stream *record)
{
	const struct transport_ops *ops = record->conn->node->transport->ops;

	while (record->queued_len < record->to_send_len) {
		uint64_t left = record->to_send_len - record->queued_len;
		struct transport_span span = {pattern_at(record->queued_len),
					      left < SPAN_LEN ? (size_t)left : SPAN_LEN, span_done,
					      record};

		if (ops->send(record->stream, &span) < 0)
			return;
		record->spans_out++;
		record->queued_len += span.len;
		if (record->queued_len == record->to_send_len)
			ops->finish(record->stream);
	}
}

static void stream_answer(struct quic_test_stream *record)
{
	struct quic_node *node = record->conn->node;
	const struct transport_ops *ops = node->transport->ops;
	uint8_t reply[8];

	for (unsigned i = 0; i < 8; i++)
		reply[i] = (uint8_t)(record->received_len >> (8 * i));
	if (ops->send_copy(record->stream, reply, sizeof(reply)) < 0)
		return;
	record->to_send_len = node->more_len;
	if (record->to_send_len)
		stream_fill(record);
	else
		ops->finish(record->stream);
}

static void on_data(void *ctx, struct transport_stream *stream, const struct transport_piece *piece,
		    uint64_t now_ns)
{
	struct quic_node *node = ctx;
	const struct transport_ops *ops = node->transport->ops;
	struct quic_test_stream *record = stream->user;

	(void)now_ns;
	weft_assert(!record->has_fin && !record->is_closed);
	if (record->is_ours)
		take_reply(record, piece->data, piece->len);
	else
		for (size_t i = 0; i < piece->len; i++)
			record->is_damaged |=
				piece->data[i] != quic_net_byte(record->received_len + i);
	record->received_len += piece->len;
	if (node->is_consuming)
		ops->consume(stream, piece->len);
	else
		record->unconsumed_len += piece->len;
	if (!piece->fin)
		return;
	record->has_fin = true;
	if (!record->is_ours && !node->is_thinking)
		stream_answer(record);
}

static void on_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	struct quic_test_stream *record = stream->user;

	(void)ctx;
	(void)now_ns;
	record->is_reset = true;
	record->reset_code = code;
}

static void on_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	struct quic_test_stream *record = stream->user;

	(void)ctx;
	(void)now_ns;
	record->writable_cnt++;
	stream_fill(record);
}

static void on_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	struct quic_test_stream *record = stream->user;

	(void)ctx;
	(void)now_ns;
	weft_assert(!record->is_closed);
	record->is_closed = true;
	record->close_code = code;
	record->stream = NULL;
}

static const struct transport_events speaker = {
	.conn_ready = on_ready,
	.conn_token = on_token,
	.key_met_s = on_key_met_s,
	.conn_closed = on_closed,
	.conn_streams_available = on_streams_available,
	.stream_opened = on_opened,
	.stream_data = on_data,
	.stream_reset = on_reset,
	.stream_writable = on_writable,
	.stream_closed = on_stream_closed,
};

/* Nodes and time. */

void quic_net_init(struct quic_net *net, uint64_t seed)
{
	memset(net, 0, sizeof(*net));
	net->now_ns = NS_PER_S;
	net->delay_ns = 5 * NS_PER_MS;
	net->mtu_len = 1452;
	random_init_seeded(&net->random, seed);
}

void quic_net_fini(struct quic_net *net)
{
	for (unsigned i = 0; i < net->node_cnt; i++)
		quic_node_free(net->nodes[i]);
	for (size_t i = 0; i < net->queue_cnt; i++)
		free(net->queue[i].data);
	free(net->queue);
}

void quic_net_config(struct quic_config *config)
{
	quic_config_defaults(config);
	config->conn_cap = 32;
	config->conn_per_key_cap = 32;
	config->stream_cap = 256;
	config->heap_cap = 128 << 20; /* windows depend on it */
	config->handshake_timeout_ns = 5 * NS_PER_S;
	config->idle_timeout_ns = 30 * NS_PER_S;
	config->keepalive_ns = 0;
}

static void node_start(struct quic_node *node, const struct quic_config *config)
{
	struct quic_engine_params params = {
		.key = node->key,
		.events = &speaker,
		.ctx = node,
		.random = &node->net->random,
		.sink = &node->sink,
		.now_ns = node->net->now_ns,
	};
	int err;

	if (config)
		params.config = *config;
	else
		quic_net_config(&params.config);
	err = quic_engine_new(&params, &node->engine);
	weft_assert(err == 0);
	node->transport = quic_engine_transport(node->engine);
}

struct quic_node *quic_net_add(struct quic_net *net, unsigned seed,
			       const struct quic_config *config)
{
	struct quic_node *node = calloc(1, sizeof(*node));
	uint8_t key_seed[NODE_KEY_SEED_LEN] = {(uint8_t)seed, (uint8_t)(seed >> 8), 0x51};
	unsigned idx = net->node_cnt;
	int err;

	weft_assert(node && net->node_cnt < QUIC_NET_NODES);
	net->nodes[net->node_cnt++] = node;
	node->net = net;
	node->slot = malloc(SLOT_LEN);
	weft_assert(node->slot);
	node->is_consuming = true;
	node->sink = (struct dgram_sink){&sink_ops, SLOT_LEN};
	node->inner =
		(struct addr){.ip = {10, 0, (uint8_t)idx, 1}, .port = 7000, .family = ADDR_IPV4};
	node->outer = node->inner;
	err = node_key_from_seed(key_seed, &node->key);
	weft_assert(err == 0);
	node_start(node, config);
	return node;
}

void quic_node_free(struct quic_node *node)
{
	quic_engine_free(node->engine);
	node_key_free(node->key);
	free(node->slot);
	free(node);
}

const uint8_t *quic_node_key(const struct quic_node *node)
{
	return node_key_public(node->key);
}

static void deliver(struct quic_net *net, const struct quic_net_dgram *flying)
{
	for (unsigned i = 0; i < net->node_cnt; i++) {
		struct quic_node *node = net->nodes[i];
		struct dgram dgram = {.data = flying->data,
				      .len = flying->len,
				      .local = addr_is_relayed(&flying->from) ? flying->from
									      : node->inner,
				      .remote = flying->from,
				      .ecn = flying->ecn};

		if (!addr_equal(&node->outer, &flying->to))
			continue;
		quic_take(node->engine, &dgram, net->now_ns);
	}
	free(flying->data);
}

static uint64_t next_event_ns(const struct quic_net *net)
{
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < net->queue_cnt; i++)
		if (net->queue[i].at_ns < next_ns)
			next_ns = net->queue[i].at_ns;
	for (unsigned i = 0; i < net->node_cnt; i++) {
		uint64_t at_ns = quic_engine_next_ns(net->nodes[i]->engine);

		if (at_ns < next_ns)
			next_ns = at_ns;
	}
	return next_ns;
}

static void net_turn(struct quic_net *net)
{
	size_t due_cnt = 0, kept_cnt = 0;
	struct quic_net_dgram *due = malloc((net->queue_cnt + 1) * sizeof(*due));

	weft_assert(due);
	for (size_t i = 0; i < net->queue_cnt; i++) {
		if (net->queue[i].at_ns <= net->now_ns)
			due[due_cnt++] = net->queue[i];
		else
			net->queue[kept_cnt++] = net->queue[i];
	}
	net->queue_cnt = kept_cnt;
	for (size_t i = 0; i < due_cnt; i++)
		deliver(net, &due[i]);
	free(due);
	for (unsigned i = 0; i < net->node_cnt; i++) {
		quic_engine_expire(net->nodes[i]->engine, net->now_ns);
		quic_engine_flush(net->nodes[i]->engine, net->now_ns);
	}
}

bool quic_net_run(struct quic_net *net, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = net->now_ns + for_ns, next_ns;

	for (;;) {
		net_turn(net);
		if (done && done(arg))
			return true;
		next_ns = next_event_ns(net);
		if (next_ns > end_ns)
			break;
		if (next_ns > net->now_ns)
			net->now_ns = next_ns;
	}
	net->now_ns = end_ns;
	return false;
}

void quic_net_settle(struct quic_net *net, uint64_t for_ns)
{
	(void)quic_net_run(net, for_ns, NULL, NULL);
}

void quic_net_inject(struct quic_node *node, const struct addr *from, const void *data, size_t len)
{
	struct dgram dgram = {
		.data = malloc(len), .len = len, .local = node->inner, .remote = *from};

	weft_assert(dgram.data);
	memcpy(dgram.data, data, len);
	quic_take(node->engine, &dgram, node->net->now_ns);
	quic_engine_flush(node->engine, node->net->now_ns);
	free(dgram.data);
}

struct quic_test_conn *quic_net_dial_key(struct quic_node *from, const struct addr *to,
					 const uint8_t key[static 32])
{
	struct transport_dial dial = {.remote = *to, .unheard_max = from->unheard_max};
	struct quic_test_conn *record = &from->conns[from->conn_cnt];

	weft_assert(from->conn_cnt < QUIC_NET_CONNS);
	memcpy(dial.peer_key, key, sizeof(dial.peer_key));
	dial.user = record;
	if (from->is_showing_token) {
		dial.token = from->token;
		dial.token_len = from->token_len;
	}
	if (from->transport->ops->dial(from->transport, &dial, from->net->now_ns, &record->conn) <
	    0)
		return NULL;
	record->node = from;
	from->conn_cnt++;
	return record;
}

struct quic_test_conn *quic_net_dial(struct quic_node *from, struct quic_node *to)
{
	return quic_net_dial_key(from, &to->outer, quic_node_key(to));
}

static bool is_settled(void *arg)
{
	struct quic_test_conn *record = arg;

	return record->is_ready || record->is_closed;
}

struct quic_test_conn *quic_net_connect(struct quic_node *from, struct quic_node *to)
{
	struct quic_test_conn *record = quic_net_dial(from, to);

	if (record)
		(void)quic_net_run(from->net, 60 * NS_PER_S, is_settled, record);
	return record;
}

struct quic_test_stream *quic_net_send(struct quic_test_conn *conn, uint64_t len)
{
	struct quic_node *node = conn->node;
	struct quic_test_stream *record = &node->streams[node->stream_cnt];

	weft_assert(node->stream_cnt < QUIC_NET_STREAMS);
	if (node->transport->ops->open(conn->conn, record, &record->stream) < 0)
		return NULL;
	node->stream_cnt++;
	record->conn = conn;
	record->is_ours = true;
	record->to_send_len = len;
	stream_fill(record);
	if (len == 0)
		node->transport->ops->finish(record->stream);
	return record;
}

void quic_net_answer(struct quic_node *node)
{
	node->is_thinking = false;
	for (unsigned i = 0; i < node->stream_cnt; i++)
		if (node->streams[i].has_fin && !node->streams[i].is_ours &&
		    !node->streams[i].is_closed)
			stream_answer(&node->streams[i]);
	quic_engine_flush(node->engine, node->net->now_ns);
}

static bool is_stream_over(void *arg)
{
	struct quic_test_stream *record = arg;

	return record->is_closed;
}

bool quic_net_transfer(struct quic_test_conn *conn, uint64_t len, uint64_t for_ns)
{
	struct quic_test_stream *record = quic_net_send(conn, len);

	return record && quic_net_run(conn->node->net, for_ns, is_stream_over, record) &&
	       record->reply_len == 8 && record->reply == len && record->spans_out == 0;
}

void quic_node_stats(const struct quic_node *node, struct quic_stats *out_stats)
{
	quic_engine_stats(node->engine, out_stats);
}

void quic_pair_init(struct quic_pair *pair, uint64_t seed, const struct quic_config *config)
{
	quic_net_init(&pair->net, seed);
	pair->a = quic_net_add(&pair->net, 1, NULL);
	pair->b = quic_net_add(&pair->net, 2, config);
}

void quic_pair_fini(struct quic_pair *pair)
{
	quic_net_fini(&pair->net);
}
