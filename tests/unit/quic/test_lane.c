/* SPDX-License-Identifier: Apache-2.0 */
/* An unvalidated source is charged nothing and refused nothing: it is asked for a Retry. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

#define WALL_S 1800000000u

static struct quic_stats stats_of(const struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats;
}

/* b's table is large; a is an honest client, forger sends Initials under borrowed addresses. */
struct scene {
	struct quic_pair p;
	struct quic_node *forger;
	uint16_t port;
};

static void scene_init(struct scene *scene, uint64_t seed)
{
	struct quic_config config;

	quic_net_config(&config);
	config.conn_cap = 1024;
	quic_pair_init(&scene->p, seed, &config);
	quic_engine_set_wall(scene->p.b->engine, WALL_S, scene->p.net.now_ns);
	scene->forger = quic_net_add(&scene->p.net, 3, NULL);
	scene->port = 20000;
}

/* One Initial of which no answer is heard; nothing of the forger's repeats it. */
static void forge(struct scene *scene, const struct addr *as)
{
	struct quic_test_conn *conn;

	scene->forger->outer = *as;
	scene->forger->outer.port = scene->port++;
	conn = quic_net_dial(scene->forger, scene->p.b);
	CHECK(conn);
	quic_engine_flush(scene->forger->engine, scene->p.net.now_ns);
	scene->forger->outer.port = 1;
	if (conn)
		quic_conn_abandon((struct quic_conn *)conn->conn);
}

static void run(struct scene *scene, uint64_t for_ns)
{
	quic_net_settle(&scene->p.net, for_ns);
}

static void test_half_open_handshakes_lock_out_no_peer_at_their_address(void)
{
	static const struct {
		const char *name;
		bool has_token, is_retry_always;
	} rows[] = {{"known token", true, false}, {"Retry", false, true}, {"fresh", false, false}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quic_test_conn *conn;
		struct scene s;

		scene_init(&s, 100 + i);
		if (rows[i].has_token) {
			CHECK(quic_net_connect(s.p.a, s.p.b)->is_ready);
			run(&s, NS_PER_S);
			CHECK_EQ(s.p.a->token_cnt, 1);
			s.p.a->is_showing_token = true;
		}
		for (unsigned k = 0; k < 64; k++)
			forge(&s, &s.p.a->outer);
		run(&s, 10 * NS_PER_MS);
		CHECK_EQ(stats_of(s.p.b).half_open_cnt, QUIC_HALF_OPEN_PREFIX_MAX);
		if (rows[i].is_retry_always) {
			struct quic_config config;

			quic_net_config(&config);
			config.retry_above_cnt = 0;
			quic_engine_configure(s.p.b->engine, &config);
		}
		conn = quic_net_connect(s.p.a, s.p.b);
		if (!conn->is_ready)
			printf("# %s\n", rows[i].name);
		CHECK(conn->is_ready && !conn->is_closed);
		CHECK_EQ(stats_of(s.p.b).refused_full_cnt, 0);
		quic_pair_fini(&s.p);
	}
}

static void test_one_handshake_too_many_of_a_prefix_is_asked_for_a_retry(void)
{
	struct quic_stats stats;
	struct scene s;

	scene_init(&s, 110);
	for (unsigned i = 0; i < QUIC_HALF_OPEN_PREFIX_MAX; i++)
		forge(&s, &s.p.a->outer);
	run(&s, 6 * NS_PER_MS);
	stats = stats_of(s.p.b);
	CHECK_EQ(stats.half_open_cnt, QUIC_HALF_OPEN_PREFIX_MAX);
	CHECK_EQ(stats.retry_sent_cnt, 0);
	forge(&s, &s.p.a->outer);
	run(&s, 6 * NS_PER_MS);
	stats = stats_of(s.p.b);
	CHECK_EQ(stats.half_open_cnt, QUIC_HALF_OPEN_PREFIX_MAX);
	CHECK_EQ(stats.retry_sent_cnt, 1);
	CHECK_EQ(stats.half_open_retry_cnt, 1);
	/* Another prefix is not asked. */
	CHECK(quic_net_connect(quic_net_add(&s.p.net, 4, NULL), s.p.b)->is_ready);
	CHECK_EQ(stats_of(s.p.b).retry_sent_cnt, 1);
	/* They leave when their time is over. */
	run(&s, 10 * NS_PER_S);
	CHECK_EQ(stats_of(s.p.b).half_open_cnt, 0);
	quic_pair_fini(&s.p);
}

/* All half-open places, by a source for each: a validated source takes none of them. */
static void test_full_half_open_limit_asks_every_peer_for_a_retry_and_refuses_none(void)
{
	struct quic_stats stats;
	struct scene s;

	scene_init(&s, 120);
	for (unsigned i = 0; i < 260; i++) {
		const struct addr as = {.ip = {192, 0, (uint8_t)(i >> 8), (uint8_t)i},
					.port = 1,
					.family = ADDR_IPV4};

		forge(&s, &as);
	}
	run(&s, 6 * NS_PER_MS);
	stats = stats_of(s.p.b);
	CHECK_EQ(stats.half_open_cap, 256);
	CHECK_EQ(stats.half_open_cnt, 256);
	CHECK_EQ(stats.half_open_retry_cnt, 4);
	CHECK(quic_net_connect(s.p.a, s.p.b)->is_ready);
	stats = stats_of(s.p.b);
	CHECK_EQ(stats.half_open_retry_cnt, 5);
	CHECK_EQ(stats.half_open_cnt, 256);
	CHECK_EQ(stats.refused_full_cnt, 0);
	quic_pair_fini(&s.p);
}

/* The audit's forger: 30 Initials a second in the name of one address; of 11 honest ones 2 got in. */
static void test_forger_of_an_address_does_not_keep_its_owner_out(void)
{
	unsigned ready_cnt = 0;
	struct scene s;

	scene_init(&s, 130);
	for (unsigned i = 0; i < 11; i++) {
		struct quic_test_conn *conn;

		for (unsigned k = 0; k < 30; k++) {
			forge(&s, &s.p.a->outer);
			run(&s, NS_PER_S / 30);
		}
		conn = quic_net_connect(s.p.a, s.p.b);
		ready_cnt += conn->is_ready;
		if (conn->conn)
			s.p.a->transport->ops->close(conn->conn, 0, NULL);
	}
	CHECK_EQ(ready_cnt, 11);
	quic_pair_fini(&s.p);
}

/* Beyond the limit each has the same chance, whichever comes first in a tick of the clock. */
static void test_answers_beyond_the_limit_are_chosen_at_random(void)
{
	static const struct weft_bucket_rate rate = {NS_PER_S / 1000, NS_PER_S / 4};
	static const __u64 salt[3] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb};
	unsigned sent_cnt = 0, first_cnt = 0, last_cnt = 0;
	struct weft_random_drop draw = {0};

	/* 20,000 a second in bunches of 80, each in one instant; the first second is the burst. */
	for (unsigned tick = 0; tick < 11 * 250; tick++) {
		for (unsigned i = 0; i < 80; i++) {
			bool is_sent = weft_random_drop_take(&draw, &rate, salt,
							     NS_PER_S + tick * 4 * NS_PER_MS);

			if (tick < 250)
				continue;
			sent_cnt += is_sent;
			first_cnt += is_sent && i < 8;
			last_cnt += is_sent && i >= 72;
		}
	}
	printf("# %u answers in 10 s, %u to the first of a bunch, %u to the last\n", sent_cnt,
	       first_cnt, last_cnt);
	CHECK(sent_cnt > 8000 && sent_cnt <= 10000 + 250);
	CHECK(first_cnt > 600 && first_cnt < 1400);
	CHECK(last_cnt > 600 && last_cnt < 1400);
}

static void test_one_answer_more_than_the_burst_is_not_sent(void)
{
	static const struct weft_bucket_rate rate = {NS_PER_S / 10, NS_PER_S};
	static const __u64 salt[3] = {1, 2, 3};
	struct weft_random_drop draw = {0};
	unsigned sent_cnt = 0;

	for (unsigned i = 0; i < 11; i++)
		sent_cnt += weft_random_drop_take(&draw, &rate, salt, 5 * NS_PER_S);
	CHECK(sent_cnt >= 5 && sent_cnt <= 10);
	draw = (struct weft_random_drop){0};
	sent_cnt = 0;
	/* At its rate all are answered. */
	for (unsigned i = 0; i < 100; i++)
		sent_cnt += weft_random_drop_take(&draw, &rate, salt,
						  5 * NS_PER_S + i * (NS_PER_S / 10));
	CHECK_EQ(sent_cnt, 100);
}

int main(void)
{
	RUN(test_half_open_handshakes_lock_out_no_peer_at_their_address);
	RUN(test_one_handshake_too_many_of_a_prefix_is_asked_for_a_retry);
	RUN(test_full_half_open_limit_asks_every_peer_for_a_retry_and_refuses_none);
	RUN(test_forger_of_an_address_does_not_keep_its_owner_out);
	RUN(test_answers_beyond_the_limit_are_chosen_at_random);
	RUN(test_one_answer_more_than_the_burst_is_not_sent);
	return check_done();
}
