/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "quic/engine.h"

static uint32_t ready_cnt(const struct quic_node *node)
{
	uint32_t cnt = 0;

	for (unsigned i = 0; i < node->conn_cnt; i++)
		cnt += node->conns[i].is_ready && !node->conns[i].is_closed;
	return cnt;
}

/* Nothing of any connection is left: ids, counts, heap, timers, slots. */
static bool is_empty(const struct quic_node *node)
{
	const struct quic_engine *engine = node->engine;
	struct heap_usage usage;

	heap_usage(engine->heap, &usage);
	return engine->conns.used_cnt == 0 && engine->streams.used_cnt == 0 &&
	       engine->cids.ours.used_cnt == 0 && engine->cids.origins.used_cnt == 0 &&
	       engine->cids.reset_tokens.used_cnt == 0 && engine->limits.counts.used_cnt == 0 &&
	       engine->limits.half_open.cnt == 0 && engine->shares.handshakes.held_cnt == 0 &&
	       engine->shares.open.held_cnt == 0 && engine->stats.handshake_cnt == 0 &&
	       engine->lingering_cnt == 0 && usage.used_len == 0 &&
	       quic_engine_next_ns(engine) == UINT64_MAX;
}

static void test_one_connection_too_many_is_refused(void)
{
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_cap = 3;
	config.conn_per_key_cap = 16;
	quic_pair_init(&p, 60, &config);
	for (unsigned i = 0; i < 4; i++)
		CHECK(quic_net_connect(p.a, p.b));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(ready_cnt(p.b), 3);
	CHECK_EQ(ready_cnt(p.a), 3);
	CHECK(p.a->conns[3].is_closed);
	CHECK_EQ(p.a->conns[3].close.err, WEFT_EREFUSED);
	CHECK_EQ(p.a->conns[3].close.code >> 32, QUIC_CLOSE_BUSY >> 32);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.refused_full_cnt, 1);
	CHECK_EQ(stats.conn_peak_cnt, 3);
	/* Room comes back. */
	p.a->transport->ops->close(p.a->conns[0].conn, 0, NULL);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_pair_fini(&p);
}

static void test_one_connection_too_many_of_a_key_is_refused(void)
{
	struct quic_config config;
	struct quic_stats stats;
	struct quic_node *c;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_per_key_cap = 2;
	quic_pair_init(&p, 62, &config);
	for (unsigned i = 0; i < 3; i++)
		CHECK(quic_net_connect(p.a, p.b));
	quic_net_settle(&p.net, NS_PER_S);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.refused_key_cnt, 1);
	CHECK_EQ(ready_cnt(p.b), 2);
	CHECK_EQ(p.b->conn_cnt, 2);
	CHECK_EQ(p.a->conns[2].close.err, WEFT_EREFUSED);
	CHECK_EQ(p.a->conns[2].close.code, QUIC_CLOSE_REFUSED);
	c = quic_net_add(&p.net, 3, NULL);
	CHECK(quic_net_connect(c, p.b)->is_ready);
	quic_pair_fini(&p);
}

static void test_one_stream_too_many_of_a_peer_waits_for_credit(void)
{
	struct quic_test_conn *conn;
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.stream_per_conn_cap = 2;
	quic_pair_init(&p, 63, &config);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	CHECK(quic_net_send(conn, 10));
	CHECK(quic_net_send(conn, 10));
	CHECK(!quic_net_send(conn, 10));
	CHECK_EQ(conn->streams_available_cnt, 0);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(conn->streams_available_cnt, 1);
	CHECK(quic_net_transfer(conn, 10, NS_PER_S));
	quic_pair_fini(&p);
}

static void test_one_stream_too_many_in_all_is_reset(void)
{
	struct quic_test_stream unfinished[2] = {0}, *third;
	struct quic_test_conn *conn;
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.stream_cap = 2;
	quic_pair_init(&p, 64, &config);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	for (unsigned i = 0; i < 2; i++) {
		struct transport_stream *stream;

		/* Never finished, so it stays. */
		CHECK_EQ(p.a->transport->ops->open(conn->conn, &unfinished[i], &stream), 0);
		CHECK_EQ(p.a->transport->ops->send_copy(stream, "x", 1), 0);
	}
	quic_net_settle(&p.net, NS_PER_S);
	third = quic_net_send(conn, 10);
	CHECK(third);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(third->is_closed);
	CHECK_EQ(third->close_code, QUIC_STREAM_REFUSED);
	CHECK_EQ(p.b->stream_cnt, 2);
	CHECK(conn->conn && p.b->conns[0].conn);
	quic_pair_fini(&p);
}

static bool drop_all(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	(void)dgram;
	return false;
}

static bool drop_answers(struct quic_net *net, struct quic_net_dgram *dgram)
{
	return addr_equal(&dgram->to, &net->nodes[1]->outer);
}

/* Eight of them in the lane; the rest were asked for a Retry that never came. */
static void test_hundred_dead_handshakes_leave_nothing(void)
{
	struct quic_config config;
	struct quic_stats stats;
	struct quic_net net;
	struct quic_node *a, *b;

	quic_net_config(&config);
	config.conn_cap = 200;
	quic_net_init(&net, 65);
	a = quic_net_add(&net, 1, &config);
	b = quic_net_add(&net, 2, &config);
	net.tap = drop_answers;
	for (unsigned i = 0; i < 100; i++)
		CHECK(quic_net_dial(a, b));
	quic_net_settle(&net, NS_PER_S);
	quic_node_stats(b, &stats);
	CHECK_EQ(stats.handshake_cnt, QUIC_HALF_OPEN_PREFIX_MAX);
	CHECK(stats.heap_used_len > 0);
	quic_net_settle(&net, 30 * NS_PER_S);
	quic_node_stats(b, &stats);
	CHECK(stats.handshake_timeout_cnt >= QUIC_HALF_OPEN_PREFIX_MAX);
	CHECK(is_empty(b));
	CHECK(is_empty(a));
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(a->conns[i].close.err, WEFT_EUNREACHABLE);
	CHECK_EQ(b->conn_cnt, 0);
	quic_net_fini(&net);
}

static void test_handshake_time_is_enforced(void)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;
	struct quic_pair p;
	uint64_t from_ns;

	quic_pair_init(&p, 66, NULL);
	p.net.tap = drop_all;
	from_ns = p.net.now_ns;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_closed);
	CHECK(p.net.now_ns - from_ns >= 5 * NS_PER_S && p.net.now_ns - from_ns < 6 * NS_PER_S);
	quic_node_stats(p.a, &stats);
	CHECK_EQ(stats.handshake_timeout_cnt, 1);
	CHECK(is_empty(p.a));
	quic_pair_fini(&p);
}

static void test_idle_time_is_enforced_on_both_ends(void)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 67, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, 29 * NS_PER_S);
	CHECK(!conn->is_closed);
	quic_net_settle(&p.net, 3 * NS_PER_S);
	CHECK(conn->is_closed && p.b->conns[0].is_closed);
	CHECK_EQ(conn->close.err, WEFT_ETIMEOUT);
	CHECK_EQ(p.b->conns[0].close.err, WEFT_ETIMEOUT);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.idle_timeout_cnt, 1);
	CHECK(is_empty(p.a) && is_empty(p.b));
	quic_pair_fini(&p);
}

static void test_keepalive_holds_an_idle_connection(void)
{
	struct quic_test_conn *conn;
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.keepalive_ns = 10 * NS_PER_S;
	quic_pair_init(&p, 68, &config);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, 300 * NS_PER_S);
	CHECK(conn->is_ready && !conn->is_closed);
	quic_pair_fini(&p);
}

static void test_closed_connections_leave_nothing(void)
{
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_per_key_cap = 32;
	quic_pair_init(&p, 69, &config);
	for (unsigned i = 0; i < 20; i++) {
		struct quic_test_conn *conn = quic_net_connect(p.a, p.b);

		CHECK(conn->is_ready);
		CHECK(quic_net_send(conn, 200000));
		quic_net_settle(&p.net, 30 * NS_PER_MS);
		/* In the middle of things, from either end. */
		if (i % 2)
			p.a->transport->ops->close(conn->conn, 1, "enough");
		else
			p.b->transport->ops->close(p.b->conns[i].conn, 1, "enough");
	}
	quic_net_settle(&p.net, 60 * NS_PER_S);
	CHECK(is_empty(p.a));
	CHECK(is_empty(p.b));
	for (unsigned i = 0; i < p.a->stream_cnt; i++)
		CHECK(p.a->streams[i].is_closed && p.a->streams[i].spans_out == 0);
	quic_pair_fini(&p);
}

static void test_dial_can_be_taken_back(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 76, NULL);
	conn = quic_net_dial(p.a, p.b);
	p.a->transport->ops->close(conn->conn, 5, NULL);
	CHECK(!conn->is_closed);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK(conn->is_closed && !conn->is_ready);
	CHECK_EQ(conn->close.err, WEFT_ECLOSED);
	CHECK_EQ(p.b->conn_cnt, 0);
	CHECK(is_empty(p.a) && is_empty(p.b));
	quic_pair_fini(&p);
}

static void test_lingering_connections_are_bounded(void)
{
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_cap = 16;
	config.conn_per_key_cap = 16;
	quic_pair_init(&p, 70, &config);
	for (unsigned i = 0; i < 16; i++)
		CHECK(quic_net_dial(p.a, p.b));
	quic_net_settle(&p.net, 50 * NS_PER_MS);
	for (unsigned i = 0; i < 16; i++)
		p.b->transport->ops->close(p.b->conns[i].conn, 1, NULL);
	quic_net_settle(&p.net, 6 * NS_PER_MS);
	CHECK_EQ(p.b->engine->linger_cap, 8);
	CHECK_EQ(p.b->engine->lingering_cnt, 8);
	for (unsigned i = 0; i < 16; i++)
		CHECK(p.b->conns[i].is_closed && p.a->conns[i].is_closed);
	quic_net_settle(&p.net, 5 * NS_PER_S);
	CHECK(is_empty(p.b));
	quic_pair_fini(&p);
}

static void test_garbage_flood_does_not_grow_anything(void)
{
	struct heap_usage before, after;
	struct quic_test_conn *conn;
	struct random dice;
	struct quic_pair p;
	uint8_t data[1300];

	quic_pair_init(&p, 71, NULL);
	random_init_seeded(&dice, 71);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, 2 * NS_PER_S);
	heap_usage(p.b->engine->heap, &before);
	for (unsigned i = 0; i < 100000; i++) {
		struct addr from = {.port = 1, .family = ADDR_IPV4};
		size_t len = 1 + random_below(&dice, sizeof(data));

		random_fill(&dice, from.ip, 4);
		random_fill(&dice, data, len < 64 ? len : 64);
		/* A third look like long headers of version 1, to get further in. */
		if (i % 3 == 0 && len > 5)
			memcpy(data, "\xc0\0\0\0\1", 5);
		quic_net_inject(p.b, &from, data, len);
		CHECK(p.net.queue_cnt < 100000);
	}
	heap_usage(p.b->engine->heap, &after);
	CHECK_EQ(after.used_len, before.used_len);
	CHECK_EQ(p.b->engine->conns.used_cnt, 1);
	CHECK_EQ(p.b->engine->stats.handshake_cnt, 0);
	CHECK(quic_net_transfer(conn, 100000, 60 * NS_PER_S));
	quic_pair_fini(&p);
}

static void test_heap_exhaustion_is_survived(void)
{
	struct quic_config config;
	struct quic_stats stats;
	unsigned ready = 0;
	struct quic_pair p;

	/* Enough for a few connections; the rest must fail cleanly. */
	quic_net_config(&config);
	config.heap_cap = 24 << 16; /* in slabs of 64 KiB */
	config.conn_per_key_cap = 64;
	quic_pair_init(&p, 72, &config);
	for (unsigned i = 0; i < 31; i++) {
		struct quic_test_conn *conn = quic_net_connect(p.a, p.b);

		CHECK(conn);
		ready += conn->is_ready && !conn->is_closed;
		if (conn->conn)
			(void)quic_net_send(conn, 500000);
	}
	quic_net_settle(&p.net, 300 * NS_PER_S);
	printf("# %u of 31 connections found memory\n", ready);
	CHECK(ready >= 1);
	quic_node_stats(p.b, &stats);
	CHECK(ready < 31 || stats.heap_peak_len > stats.heap_cap / 2);
	CHECK(is_empty(p.a));
	CHECK(is_empty(p.b));
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_pair_fini(&p);
}

/* The n-th allocation fails, and only that one. */
static unsigned fail_countdown;
static ngtcp2_mem real_mem;

static bool is_failing(void)
{
	return fail_countdown && --fail_countdown == 0;
}

static void *failing_alloc(size_t len, void *user)
{
	return is_failing() ? NULL : real_mem.malloc(len, user);
}

static void *failing_zalloc(size_t cnt, size_t len, void *user)
{
	return is_failing() ? NULL : real_mem.calloc(cnt, len, user);
}

static void *failing_resize(void *block, size_t len, void *user)
{
	return is_failing() ? NULL : real_mem.realloc(block, len, user);
}

static void test_every_failing_allocation_is_survived(void)
{
	unsigned failed_cnt = 0;

	for (unsigned n = 1, is_over = 0; !is_over; n++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 75, NULL);
		real_mem = p.b->engine->mem;
		p.b->engine->mem.malloc = failing_alloc;
		p.b->engine->mem.calloc = failing_zalloc;
		p.b->engine->mem.realloc = failing_resize;
		fail_countdown = n;
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn);
		if (!conn->is_closed)
			(void)quic_net_transfer(conn, 50000, 5 * NS_PER_S);
		is_over = fail_countdown > 0;
		failed_cnt += conn->is_closed;
		fail_countdown = 0;
		quic_net_settle(&p.net, 70 * NS_PER_S);
		CHECK(is_empty(p.a) && is_empty(p.b));
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		quic_pair_fini(&p);
	}
	CHECK(failed_cnt > 10);
}

static void test_draining_engine_accepts_no_new_peer(void)
{
	struct quic_test_conn *conn, *late;
	struct quic_pair p;

	quic_pair_init(&p, 73, NULL);
	conn = quic_net_connect(p.a, p.b);
	quic_engine_drain(p.b->engine);
	late = quic_net_connect(p.a, p.b);
	CHECK(late->is_closed);
	CHECK_EQ(late->close.code, NGTCP2_CONNECTION_REFUSED);
	CHECK(quic_net_transfer(conn, 1000, NS_PER_S));
	CHECK(!quic_net_dial(p.b, p.a));
	quic_pair_fini(&p);
}

static void test_speaker_may_refuse_a_connection(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 74, NULL);
	p.b->ready_answer = WEFT_EREFUSED;
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_EREFUSED);
	CHECK_EQ(conn->close.code, QUIC_CLOSE_REFUSED);
	CHECK(p.b->conns[0].is_closed);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_one_connection_too_many_is_refused);
	RUN(test_one_connection_too_many_of_a_key_is_refused);
	RUN(test_one_stream_too_many_of_a_peer_waits_for_credit);
	RUN(test_one_stream_too_many_in_all_is_reset);
	RUN(test_hundred_dead_handshakes_leave_nothing);
	RUN(test_handshake_time_is_enforced);
	RUN(test_idle_time_is_enforced_on_both_ends);
	RUN(test_keepalive_holds_an_idle_connection);
	RUN(test_closed_connections_leave_nothing);
	RUN(test_dial_can_be_taken_back);
	RUN(test_lingering_connections_are_bounded);
	RUN(test_garbage_flood_does_not_grow_anything);
	RUN(test_heap_exhaustion_is_survived);
	RUN(test_every_failing_allocation_is_survived);
	RUN(test_draining_engine_accepts_no_new_peer);
	RUN(test_speaker_may_refuse_a_connection);
	return check_done();
}
