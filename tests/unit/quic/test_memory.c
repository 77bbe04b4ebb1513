/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <string.h>

#include "support/check.h"
#include "support/quic_net.h"

#include "base/clock.h"
#include "base/heap.h"
#include "quic/engine.h"

#define IDLE_CNT 100
/*
 * ngtcp2 1.22.1 alone asks for 28,550 bytes once a stream was used (its
 * connection object 9,978, blocks of sixteen streams, frames and sent
 * packets 8,240); the rest is rounding to size classes and our slot.
 */
#define IDLE_LEN_MAX (32 * 1024)

/*
 * Ours is what the heap holds for ngtcp2 and the slot in the connection
 * pool with its share of the tables; OpenSSL's share is what malloc gained.
 */
static void test_idle_connection_costs_less_than_32_kib(void)
{
	struct quic_config config;
	struct heap_usage before, after;
	size_t malloc_before, ours, openssl;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_cap = 2 * IDLE_CNT;
	config.conn_per_key_cap = 2 * IDLE_CNT;
	quic_net_init(&p.net, 80);
	p.a = quic_net_add(&p.net, 1, &config);
	p.b = quic_net_add(&p.net, 2, &config);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, 5 * NS_PER_S);
	heap_usage(p.b->engine->heap, &before);
	malloc_before = mallinfo2().uordblks;
	for (unsigned i = 0; i < IDLE_CNT; i++) {
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		CHECK(quic_net_transfer(&p.a->conns[i + 1], 20000, NS_PER_S));
	}
	quic_net_settle(&p.net, 10 * NS_PER_S);
	heap_usage(p.b->engine->heap, &after);
	ours = (after.used_len - before.used_len) / IDLE_CNT + sizeof(struct quic_conn);
	openssl = (mallinfo2().uordblks - malloc_before) / IDLE_CNT / 2;
	printf("# idle connection: %zu bytes of ours (%zu the slot), %zu of OpenSSL's\n", ours,
	       sizeof(struct quic_conn), openssl);
	CHECK(ours <= IDLE_LEN_MAX);
	CHECK_EQ(p.b->engine->stats.conn_cnt, IDLE_CNT + 1);
	quic_pair_fini(&p);
}

/* Nothing is due on idle connections until their idle timers. */
static void test_idle_connections_cost_nothing_per_tick(void)
{
	struct quic_config config;
	struct quic_pair p;
	uint64_t sent_cnt;

	quic_net_config(&config);
	config.conn_cap = 100;
	config.conn_per_key_cap = 100;
	quic_net_init(&p.net, 81);
	p.a = quic_net_add(&p.net, 1, &config);
	p.b = quic_net_add(&p.net, 2, &config);
	for (unsigned i = 0; i < 100; i++)
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, 8 * NS_PER_S);
	sent_cnt = p.b->sent_cnt;
	CHECK(quic_engine_next_ns(p.b->engine) > p.net.now_ns + 100 * NS_PER_MS);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK_EQ(p.b->sent_cnt, sent_cnt);
	quic_pair_fini(&p);
}

#define SLAB_LEN  65536 /* what a new size class takes of the heap */
#define COPY_LEN  8000
#define WAITS_CNT 40

/* What of the heap is in no size class yet. */
static void *blocks[4096];
static unsigned block_cnt;

static void exhaust(struct quic_engine *engine)
{
	for (block_cnt = 0; (blocks[block_cnt] = heap_alloc(engine->heap, SLAB_LEN)); block_cnt++)
		CHECK(block_cnt < 4095);
	CHECK(block_cnt > 0);
}

static void give_back(struct quic_engine *engine)
{
	while (block_cnt)
		quic_memory_release(engine, blocks[--block_cnt]);
}

static void refuse_all(const struct transport_ops *ops, const struct quic_test_stream *records)
{
	static const uint8_t bytes[COPY_LEN];

	for (unsigned i = 0; i < WAITS_CNT; i++)
		CHECK_EQ(ops->send_copy(records[i].stream, bytes, COPY_LEN), WEFT_EFULL);
}

/* Flushes as a loop does that nothing else wakes. */
static void flush_while_due(struct quic_engine *engine)
{
	for (unsigned i = 0; i < 1000 && quic_engine_next_ns(engine) <= engine->now_ns; i++)
		quic_engine_flush(engine, engine->now_ns);
}

static void test_refused_copy_is_told_when_memory_comes_free(void)
{
	static struct quic_test_stream records[WAITS_CNT];
	const struct transport_ops *ops;
	struct quic_test_conn *conn;
	struct quic_engine *engine;
	struct quic_pair p;

	memset(records, 0, sizeof(records));
	quic_pair_init(&p, 82, NULL);
	engine = p.a->engine;
	ops = p.a->transport->ops;
	conn = quic_net_connect(p.a, p.b);
	for (unsigned i = 0; i < WAITS_CNT; i++) {
		records[i].conn = conn;
		CHECK_EQ(ops->open(conn->conn, &records[i], &records[i].stream), 0);
	}
	quic_net_settle(&p.net, NS_PER_S);
	exhaust(engine);
	refuse_all(ops, records);
	/* Something was freed a while ago, so all may try, in vain; then it is quiet. */
	flush_while_due(engine);
	refuse_all(ops, records);
	refuse_all(ops, records);
	flush_while_due(engine);
	CHECK_EQ(engine->starved_cnt, WAITS_CNT);
	for (unsigned i = 0; i < WAITS_CNT; i++)
		CHECK_EQ(records[i].writable_cnt, 1);
	give_back(engine);
	flush_while_due(engine);
	CHECK_EQ(engine->starved_cnt, 0);
	for (unsigned i = 0; i < WAITS_CNT; i++)
		CHECK_EQ(records[i].writable_cnt, 2);
	/* Who ends while waiting leaves the line. */
	exhaust(engine);
	refuse_all(ops, records);
	CHECK_EQ(engine->starved_cnt, WAITS_CNT);
	ops->close(conn->conn, 0, NULL);
	flush_while_due(engine);
	CHECK(conn->is_closed);
	CHECK_EQ(engine->starved_cnt, 0);
	give_back(engine);
	quic_pair_fini(&p);
}

static void test_copy_for_an_ended_stream_is_not_left_waiting(void)
{
	struct quic_test_stream *stream;
	struct quic_pair p;

	quic_pair_init(&p, 83, NULL);
	stream = quic_net_send(quic_net_connect(p.a, p.b), 0);
	exhaust(p.a->engine);
	CHECK_EQ(p.a->transport->ops->send_copy(stream->stream, quic_node_key(p.a), 32),
		 WEFT_ECLOSED);
	CHECK_EQ(p.a->engine->starved_cnt, 0);
	give_back(p.a->engine);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_refused_copy_is_told_when_memory_comes_free);
	RUN(test_copy_for_an_ended_stream_is_not_left_waiting);
	RUN(test_idle_connection_costs_less_than_32_kib);
	RUN(test_idle_connections_cost_nothing_per_tick);
	return check_done();
}
