/* SPDX-License-Identifier: Apache-2.0 */
/* Which source's handshake has its crypto first, and how many have it in a turn. */
#include "support/check.h"
#include "support/quic_net.h"
#include "support/quic_take.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/fair/load.h"
#include "quic/engine.h"

#define CONN_CAP    512
#define DIAL_CNT    200
#define CAUGHT_CAP  1024
#define DGRAM_BYTES 1600

/* b serves and asks every client for a Retry; a dials many times, c is in another /24. */
static struct quic_pair pair;
static struct quic_node *a, *c;
static struct arena arena;
static struct load load;

/* What came for b with a token: it is kept back, and handed over as one batch. */
static struct caught {
	struct addr from;
	size_t len;
	uint8_t data[DGRAM_BYTES];
} caught[CAUGHT_CAP];
static unsigned caught_cnt;

static bool has_token(const struct quic_net_dgram *dgram)
{
	ngtcp2_pkt_hd hd;

	return ngtcp2_accept(&hd, dgram->data, dgram->len) == 0 && hd.tokenlen > 0;
}

static bool catch (struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	if (!addr_equal(&dgram->to, &pair.b->outer) || dgram->len > DGRAM_BYTES ||
	    !(dgram->data[0] & 0x80) || !has_token(dgram) || caught_cnt == CAUGHT_CAP)
		return true;
	caught[caught_cnt].from = dgram->from;
	caught[caught_cnt].len = dgram->len;
	memcpy(caught[caught_cnt++].data, dgram->data, dgram->len);
	return false;
}

static void bench_make(uint64_t seed)
{
	static const uint64_t secret[2] = {1, 2};
	struct quic_config config;

	quic_net_config(&config);
	config.conn_cap = CONN_CAP;
	config.conn_per_key_cap = CONN_CAP;
	config.retry_above_cnt = 0;
	quic_pair_init(&pair, seed, &config);
	a = quic_net_add(&pair.net, 4, &config);
	c = quic_net_add(&pair.net, 3, NULL);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    load_init(&load, &arena, LOAD_LINE_CNT, secret) < 0)
		abort();
	pair.b->engine->shares.load = &load;
	pair.net.tap = catch;
	caught_cnt = 0;
}

static void bench_fini(void)
{
	quic_pair_fini(&pair);
	arena_close(&arena);
}

/* The first datagram with a token of each of cnt dials of node. Returns how many came. */
static unsigned dials_catch(struct quic_node *node, unsigned cnt)
{
	unsigned before_cnt = caught_cnt;

	for (unsigned i = 0; i < cnt; i++)
		if (!quic_net_dial(node, pair.b))
			abort();
	quic_net_settle(&pair.net, 100 * NS_PER_MS);
	return caught_cnt - before_cnt;
}

/* All that was caught in [begin, end), as one batch of the worker's. */
static void batch_input(unsigned begin, unsigned end)
{
	for (unsigned i = begin; i < end; i++) {
		struct dgram dgram = {.data = caught[i].data,
				      .len = caught[i].len,
				      .local = pair.b->inner,
				      .remote = caught[i].from};

		quic_take(pair.b->engine, &dgram, pair.net.now_ns);
	}
}

/* Connections of b with node; of them, those whose handshake is complete. */
static unsigned conn_cnt(const struct quic_node *node, bool is_open)
{
	struct quic_conn *conn = NULL;
	unsigned cnt = 0;

	while ((conn = pool_next(&pair.b->engine->conns, conn)))
		cnt += addr_equal(&conn->remote, &node->outer) &&
		       (!is_open || conn->state == QUIC_CONN_OPEN);
	return cnt;
}

static struct quic_stats stats_now(void)
{
	struct quic_stats stats;

	quic_node_stats(pair.b, &stats);
	return stats;
}

static void test_turn_has_a_budget_and_the_rest_waits(void)
{
	unsigned cnt;

	bench_make(1);
	cnt = dials_catch(a, 24);
	CHECK(cnt >= 2 * BACKLOG_TURN_MAX - 8 && cnt <= BACKLOG_CAP);
	batch_input(0, cnt);
	CHECK_EQ(stats_now().waiting_cnt, cnt);
	CHECK_EQ(stats_now().accepted_cnt, 0);
	quic_engine_flush(pair.b->engine, pair.net.now_ns);
	CHECK_EQ(stats_now().waiting_cnt, cnt - BACKLOG_TURN_MAX);
	CHECK_EQ(quic_engine_next_ns(pair.b->engine), pair.net.now_ns);
	while (stats_now().waiting_cnt > 0)
		quic_engine_flush(pair.b->engine, pair.net.now_ns);
	CHECK(stats_now().accepted_cnt >= 24);
	CHECK_EQ(stats_now().waiting_dropped_cnt, 0);
	bench_fini();
}

/* A /24 floods handshakes that are proven; another network's comes last of the batch. */
static void test_network_that_costs_less_goes_first(void)
{
	unsigned flood_cnt, all_cnt;

	bench_make(2);
	flood_cnt = dials_catch(a, 40);
	all_cnt = flood_cnt + dials_catch(c, 1);
	CHECK(flood_cnt >= 40 && all_cnt > flood_cnt);
	batch_input(0, all_cnt);
	quic_engine_flush(pair.b->engine, pair.net.now_ns);
	CHECK_EQ(conn_cnt(c, false), 1);
	CHECK(stats_now().waiting_cnt > 0);
	bench_fini();
}

static void test_full_backlog_makes_room_for_the_network_that_costs_less(void)
{
	unsigned flood_cnt, all_cnt;

	bench_make(3);
	flood_cnt = dials_catch(a, DIAL_CNT);
	all_cnt = flood_cnt + dials_catch(c, 1);
	CHECK(flood_cnt > BACKLOG_CAP && all_cnt > flood_cnt);
	batch_input(0, BACKLOG_CAP);
	CHECK_EQ(stats_now().waiting_dropped_cnt, 0);
	/* One more than there is room for, of the same network. */
	batch_input(BACKLOG_CAP, BACKLOG_CAP + 1);
	CHECK_EQ(stats_now().waiting_dropped_cnt, 1);
	CHECK_EQ(stats_now().waiting_cnt, BACKLOG_CAP);
	batch_input(flood_cnt, all_cnt);
	CHECK_EQ(stats_now().waiting_dropped_cnt, 1 + all_cnt - flood_cnt);
	quic_engine_flush(pair.b->engine, pair.net.now_ns);
	CHECK_EQ(conn_cnt(c, false), 1);
	bench_fini();
}

static bool catch_of_c(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	if (!addr_equal(&dgram->from, &c->outer) || dgram->len > DGRAM_BYTES)
		return true;
	caught[caught_cnt].from = dgram->from;
	caught[caught_cnt].len = dgram->len;
	memcpy(caught[caught_cnt++].data, dgram->data, dgram->len);
	return caught_cnt == CAUGHT_CAP;
}

/* Each flight of an honest client has its crypto in the turn in which it comes. */
static void test_flood_of_one_network_delays_no_flight_of_another(void)
{
	unsigned flood_cnt, all_cnt;

	bench_make(4);
	flood_cnt = dials_catch(a, DIAL_CNT);
	CHECK(flood_cnt > BACKLOG_CAP);
	for (unsigned round = 0; round < 5; round++) {
		pair.net.tap = catch;
		caught_cnt = flood_cnt;
		all_cnt = flood_cnt + dials_catch(c, 1);
		CHECK(all_cnt > flood_cnt);
		batch_input(0, all_cnt);
		quic_engine_flush(pair.b->engine, pair.net.now_ns);
		CHECK_EQ(conn_cnt(c, false), round + 1);
		CHECK_EQ(conn_cnt(c, true), round);
		pair.net.tap = catch_of_c;
		caught_cnt = flood_cnt;
		quic_net_settle(&pair.net, 30 * NS_PER_MS);
		CHECK(caught_cnt > flood_cnt);
		batch_input(0, caught_cnt);
		quic_engine_flush(pair.b->engine, pair.net.now_ns);
		CHECK_EQ(conn_cnt(c, true), round + 1);
		pair.net.tap = NULL;
		quic_net_settle(&pair.net, 30 * NS_PER_MS);
	}
	CHECK(stats_now().waiting_dropped_cnt > 0);
	bench_fini();
}

/* Nothing waits, and no source is counted, where there is no table of load. */
static void test_engine_without_load_serves_at_once(void)
{
	unsigned cnt;

	bench_make(5);
	pair.b->engine->shares.load = NULL;
	cnt = dials_catch(a, 20);
	batch_input(0, cnt);
	CHECK_EQ(stats_now().waiting_cnt, 0);
	CHECK(stats_now().accepted_cnt >= 20);
	bench_fini();
}

/* The client's certificate and its first request come in one batch. */
static void test_connections_with_load_keep_the_order_of_their_datagrams(void)
{
	struct quic_test_conn *conn;

	bench_make(6);
	pair.net.tap = NULL;
	for (unsigned i = 0; i < 20; i++) {
		conn = quic_net_connect(i % 2 ? c : a, pair.b);
		CHECK(conn->is_ready);
		CHECK(quic_net_transfer(conn, 20000, NS_PER_S));
	}
	CHECK_EQ(stats_now().completed_cnt, 20);
	CHECK_EQ(stats_now().waiting_cnt, 0);
	CHECK_EQ(stats_now().waiting_dropped_cnt, 0);
	bench_fini();
}

int main(void)
{
	RUN(test_turn_has_a_budget_and_the_rest_waits);
	RUN(test_network_that_costs_less_goes_first);
	RUN(test_full_backlog_makes_room_for_the_network_that_costs_less);
	RUN(test_flood_of_one_network_delays_no_flight_of_another);
	RUN(test_engine_without_load_serves_at_once);
	RUN(test_connections_with_load_keep_the_order_of_their_datagrams);
	return check_done();
}
