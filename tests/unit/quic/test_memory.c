/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>

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

int main(void)
{
	RUN(test_idle_connection_costs_less_than_32_kib);
	RUN(test_idle_connections_cost_nothing_per_tick);
	return check_done();
}
