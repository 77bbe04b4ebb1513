/* SPDX-License-Identifier: Apache-2.0 */
/* The shares that transports have of their connections and handshakes. */
#include "base/fair/fair_conns.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

#define OPEN_CAP      16
#define HANDSHAKE_CAP 4

struct conn {
	struct fair_item item;
	struct addr remote;
	uint8_t key[32];
	bool is_dialler, is_shaking;
	unsigned away_cnt, ended_cnt;
	uint32_t wait_ms;
	bool was_at_once;
};

static struct {
	struct arena arena;
	struct fair_conns conns;
	struct conn list[OPEN_CAP + 2];
} bench;

static struct conn *conn_of(const struct fair_item *item)
{
	return container_of((struct fair_item *)item, struct conn, item);
}

static struct fair_conn bench_conn(const struct fair_item *item)
{
	const struct conn *conn = conn_of(item);

	return (struct fair_conn){.remote = &conn->remote,
				  .key = conn->key,
				  .is_dialler = conn->is_dialler,
				  .is_shaking = conn->is_shaking,
				  .class = conn->is_dialler ? FAIR_CHOSEN : FAIR_UNKNOWN};
}

static void bench_send_away(struct fair_item *item, uint32_t wait_ms, bool is_at_once)
{
	struct conn *conn = conn_of(item);

	conn->away_cnt++;
	conn->wait_ms = wait_ms;
	conn->was_at_once = is_at_once;
}

static void bench_end_handshake(struct fair_item *item)
{
	conn_of(item)->ended_cnt++;
}

static void bench_init(void)
{
	static const struct fair_conns_ops ops = {bench_conn, bench_send_away, bench_end_handshake};
	static const struct fair_conns_config config = {.open_name = "open",
							.handshake_name = "handshakes",
							.open_cap = OPEN_CAP,
							.handshake_cap = HANDSHAKE_CAP};
	struct random random;

	memset(&bench, 0, sizeof(bench));
	random_init_seeded(&random, 1);
	CHECK_EQ(arena_open(&bench.arena, ARENA_GROWS), 0);
	bench.conns.ops = &ops;
	CHECK_EQ(fair_conns_init(&bench.conns, &bench.arena, &config, &random), 0);
}

static struct conn *conn_at(unsigned idx, const char *from)
{
	struct conn *conn = &bench.list[idx];

	conn->key[0] = (uint8_t)idx;
	if (addr_parse(from, &conn->remote) < 0)
		abort();
	return conn;
}

static void fill(void)
{
	for (unsigned i = 0; i < OPEN_CAP; i++)
		CHECK(fair_conns_take(&bench.conns, &conn_at(i, "192.0.2.1:9")->item,
				      NS_PER_S + i));
}

static unsigned away_cnt(void)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < OPEN_CAP; i++)
		cnt += bench.list[i].away_cnt;
	return cnt;
}

static void test_one_more_of_the_same_address_is_refused(void)
{
	struct fair_item *more;

	bench_init();
	fill();
	more = &conn_at(OPEN_CAP, "192.0.2.1:9")->item;
	CHECK(!fair_conns_take(&bench.conns, more, 2 * NS_PER_S));
	CHECK_EQ(bench.conns.refused_cnt, 1);
	CHECK_EQ(away_cnt(), 0);
	fair_conns_refuse(&bench.conns, more, 2 * NS_PER_S);
	CHECK(conn_of(more)->away_cnt == 1 && conn_of(more)->wait_ms > 0);
	CHECK_EQ(bench.conns.peak_cnt, OPEN_CAP);
	arena_close(&bench.arena);
}

/* A dial is the speaker's own call, in which it hears of no end. */
static void test_newcomer_sends_one_away_at_once_and_a_dial_does_so_later(void)
{
	struct conn *newcomer;

	for (int is_dialler = 0; is_dialler < 2; is_dialler++) {
		bench_init();
		fill();
		newcomer = conn_at(OPEN_CAP, "198.51.100.1:9");
		newcomer->is_dialler = is_dialler;
		CHECK(fair_conns_take(&bench.conns, &newcomer->item, 2 * NS_PER_S));
		CHECK_EQ(away_cnt(), 1);
		for (unsigned i = 0; i < OPEN_CAP; i++)
			if (bench.list[i].away_cnt)
				CHECK_EQ(bench.list[i].was_at_once, !is_dialler);
		arena_close(&bench.arena);
	}
}

static void test_oldest_handshake_of_the_largest_address_makes_room(void)
{
	struct conn *newcomer;

	bench_init();
	for (unsigned i = 0; i < HANDSHAKE_CAP; i++) {
		struct conn *conn = conn_at(i, "192.0.2.1:9");

		conn->is_shaking = true;
		CHECK(fair_conns_take_handshake(&bench.conns, &conn->item, NS_PER_S + i));
	}
	newcomer = conn_at(HANDSHAKE_CAP, "198.51.100.1:9");
	newcomer->is_shaking = true;
	CHECK(fair_conns_take_handshake(&bench.conns, &newcomer->item, 2 * NS_PER_S));
	CHECK_EQ(bench.list[0].ended_cnt, 1);
	CHECK_EQ(bench.conns.evicted_handshake_cnt, 1);
	fair_conns_release(&bench.conns, &newcomer->item, 2 * NS_PER_S);
	CHECK_EQ(bench.conns.handshakes.held_cnt, HANDSHAKE_CAP - 1);
	arena_close(&bench.arena);
}

static void test_idle_unknown_peers_go_until_a_tenth_is_free(void)
{
	bench_init();
	fill();
	CHECK(!fair_conns_take(&bench.conns, &conn_at(OPEN_CAP, "192.0.2.1:9")->item,
			       2 * NS_PER_S));
	CHECK_EQ(bench.conns.next_ns, 2 * NS_PER_S);
	fair_conns_expire(&bench.conns, 2 * NS_PER_S);
	CHECK_EQ(away_cnt(), 0);
	fair_conns_expire(&bench.conns, 60 * NS_PER_S);
	CHECK_EQ(away_cnt(), OPEN_CAP / 10 + 1);
	CHECK_EQ(bench.conns.next_ns, 61 * NS_PER_S);
	arena_close(&bench.arena);
}

int main(void)
{
	RUN(test_one_more_of_the_same_address_is_refused);
	RUN(test_newcomer_sends_one_away_at_once_and_a_dial_does_so_later);
	RUN(test_oldest_handshake_of_the_largest_address_makes_room);
	RUN(test_idle_unknown_peers_go_until_a_tenth_is_free);
	return check_done();
}
