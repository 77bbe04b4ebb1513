/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <string.h>

#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "quic/engine.h"

#define IDLE_CNT 100
/*
 * ngtcp2 1.22.1 alone asks for 28,550 bytes once a stream was used: its
 * connection object 9,978; blocks of sixteen streams, frames and sent
 * packets 8,240. The rest is rounding to size classes and the engine's
 * slot.
 */
#define IDLE_LEN_MAX (32 * 1024)

/*
 * The engine's part is what the heap holds for ngtcp2 and the slot in the
 * connection pool with its share of the tables. OpenSSL's share is what
 * malloc gained.
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
	CHECK_EQ(p.b->engine->shares.open.held_cnt, IDLE_CNT + 1);
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
		heap_release(engine->heap, blocks[--block_cnt]);
	engine->is_memory_freed = true;
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

static void test_refused_copy_is_notified_when_memory_comes_free(void)
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
	/* A waiter that ends leaves the line. */
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

static struct quic_conn *conn_of(const struct quic_test_conn *record)
{
	return (struct quic_conn *)(void *)record->conn;
}

/* Beyond its share conn takes all that is common; the blocks are in blocks. */
static void take_excess(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	block_cnt = 0;
	while (engine->excess_len + SLAB_LEN <= engine->excess_cap) {
		CHECK(block_cnt < 4095);
		blocks[block_cnt] = quic_memory_alloc(conn, SLAB_LEN);
		CHECK(blocks[block_cnt++]);
	}
}

static void release_excess(struct quic_conn *conn)
{
	while (block_cnt)
		quic_memory_release(conn, blocks[--block_cnt]);
}

static void test_largest_ends_when_one_block_too_many_is_asked_for(void)
{
	for (unsigned is_own = 0; is_own < 2; is_own++) {
		struct quic_conn *large, *asking;
		struct quic_config config;
		struct quic_stats stats;
		struct quic_pair p;
		void *block;

		quic_net_config(&config);
		config.heap_cap = 4 << 20;
		quic_pair_init(&p, 84 + is_own, &config);
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		large = conn_of(&p.b->conns[0]);
		asking = is_own ? large : conn_of(&p.b->conns[1]);
		take_excess(large);
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.refused_heap_cnt, 0);
		CHECK_EQ(p.b->engine->excess_len, large->heap_len - p.b->engine->heap_share_len);
		/* Within its own share the other may ask. */
		block = quic_memory_alloc(conn_of(&p.b->conns[1]), 1000);
		CHECK(block);
		quic_memory_release(conn_of(&p.b->conns[1]), block);
		CHECK(!large->is_condemned);
		block = quic_memory_alloc(asking, SLAB_LEN);
		CHECK(large->is_condemned);
		CHECK_EQ(block == NULL, is_own);
		quic_memory_release(asking, block);
		release_excess(large);
		CHECK_EQ(p.b->engine->excess_len, 0);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(p.b->conns[0].is_closed && !p.b->conns[1].is_closed);
		CHECK_EQ(p.a->conns[0].close.code, QUIC_CLOSE_REFUSED);
		CHECK(quic_net_transfer(&p.a->conns[1], 100000, NS_PER_S));
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.refused_heap_cnt, 1);
		quic_pair_fini(&p);
	}
}

static void test_windows_shrink_as_the_heap_fills(void)
{
	struct quic_config config;
	struct quic_engine *engine;
	struct quic_pair p;

	quic_net_config(&config);
	quic_pair_init(&p, 86, &config);
	engine = p.b->engine;
	CHECK_EQ(quic_memory_window_len(engine, config.window_len_min, 64), config.window_len_min);
	CHECK_EQ(quic_memory_window_len(engine, config.window_len_max, 2), config.window_len_max);
	engine->excess_len = engine->excess_cap / 2;
	CHECK_EQ(quic_memory_window_len(engine, config.window_len_min, 64),
		 config.window_len_min / 2);
	for (unsigned i = 0; i < 2; i++) {
		engine->excess_len = engine->excess_cap + i;
		CHECK_EQ(quic_memory_window_len(engine, config.window_len_min, 64), 16 << 10);
	}
	CHECK_EQ(quic_memory_window_len(engine, 1000, 64), 1000);
	engine->excess_len = 0;
	quic_pair_fini(&p);
}

#define HOSTILE_CNT 5 /* nodes */
#define CONN_CNT    4 /* of each */
#define GROWN_LEN   (8 << 20)

/* Of each connection of sender one datagram is lost, then what follows arrives, then nothing. */
struct withhold {
	const struct addr *sender;
	enum { PASS, LOSE_FIRST, SILENT } state;
	uint8_t cids[CONN_CNT][WEFT_CID_LEN]; /* connections that lost theirs */
	unsigned cid_cnt;
};

/* Whether dgram is the first of its connection, which its destination id tells. */
static bool is_first(struct withhold *hostile, const struct quic_net_dgram *dgram)
{
	const uint8_t *cid = dgram->data + 1;

	for (unsigned i = 0; i < hostile->cid_cnt; i++)
		if (memcmp(hostile->cids[i], cid, WEFT_CID_LEN) == 0)
			return false;
	memcpy(hostile->cids[hostile->cid_cnt++ % CONN_CNT], cid, WEFT_CID_LEN);
	return true;
}

static bool withhold(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct withhold *hostile = net->tap_arg;

	for (unsigned i = 0; i < HOSTILE_CNT; i++) {
		if (!addr_equal(&dgram->from, hostile[i].sender))
			continue;
		if (hostile[i].state == LOSE_FIRST && dgram->len > 1000)
			return !is_first(&hostile[i], dgram);
		return hostile[i].state != SILENT;
	}
	return true;
}

static bool have_grown(void *arg)
{
	const struct quic_node *to = arg;

	for (unsigned i = 0; i < to->stream_cnt; i++)
		if (to->streams[i].received_len < GROWN_LEN)
			return false;
	return to->stream_cnt == HOSTILE_CNT * CONN_CNT;
}

static void send_out_of_order(struct quic_net *net, struct withhold *hostile)
{
	hostile->state = LOSE_FIRST;
	/* A round trip but a bit: what was lost is not sent again. */
	quic_net_settle(net, 9 * NS_PER_MS);
	hostile->state = SILENT;
}

/* A gap at the front of each window: without a budget the heap is full of what follows. */
static void test_data_out_of_order_ends_its_sender(void)
{
	struct withhold hostile[HOSTILE_CNT];
	struct quic_test_conn *honest;
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	quic_net_config(&config);
	config.heap_cap = 4 << 20;
	quic_pair_init(&p, 87, &config);
	honest = quic_net_connect(p.a, p.b);
	for (unsigned i = 0; i < HOSTILE_CNT; i++) {
		struct quic_node *node = quic_net_add(&p.net, 10 + i, NULL);

		hostile[i] = (struct withhold){.sender = &node->outer};
		for (unsigned j = 0; j < CONN_CNT; j++)
			CHECK(quic_net_send(quic_net_connect(node, p.b), 1 << 30));
	}
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, have_grown, p.b));
	p.net.tap = withhold;
	p.net.tap_arg = hostile;
	for (unsigned i = 0; i < HOSTILE_CNT; i++) {
		send_out_of_order(&p.net, &hostile[i]);
		CHECK(p.b->engine->excess_len <= p.b->engine->excess_cap);
		CHECK(quic_net_transfer(honest, 200000, 2 * NS_PER_S));
	}
	quic_node_stats(p.b, &stats);
	printf("# %llu of %u ended, %llu bytes held at most\n",
	       (unsigned long long)stats.refused_heap_cnt, HOSTILE_CNT * CONN_CNT,
	       (unsigned long long)stats.heap_peak_len);
	CHECK(stats.refused_heap_cnt > 0);
	CHECK(!honest->is_closed);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_largest_ends_when_one_block_too_many_is_asked_for);
	RUN(test_windows_shrink_as_the_heap_fills);
	RUN(test_data_out_of_order_ends_its_sender);
	RUN(test_refused_copy_is_notified_when_memory_comes_free);
	RUN(test_copy_for_an_ended_stream_is_not_left_waiting);
	RUN(test_idle_connection_costs_less_than_32_kib);
	RUN(test_idle_connections_cost_nothing_per_tick);
	return check_done();
}
