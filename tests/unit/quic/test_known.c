/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens for the next connection (RFC 9000 8.1.3), from the first to the last. */
#include <arpa/inet.h>

#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

#define WALL_S 1800000000u

static uint64_t retry_cnt(const struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats.retry_sent_cnt;
}

/* From now on a client without a token is asked for a Retry. */
static void demand_retry(struct quic_node *node)
{
	struct quic_config config;

	quic_net_config(&config);
	config.retry_above_cnt = 0;
	quic_engine_configure(node->engine, &config);
}

/* a was at b once, and shows what it got there from now on. */
static void pair_of_known(struct quic_pair *p, uint64_t seed)
{
	struct quic_test_conn *conn;

	quic_pair_init(p, seed, NULL);
	quic_engine_set_wall(p->b->engine, WALL_S, p->net.now_ns);
	conn = quic_net_connect(p->a, p->b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&p->net, NS_PER_S);
	CHECK_EQ(p->a->token_cnt, 1);
	CHECK_EQ(p->a->token_len, WEFT_TOKEN_LEN);
	CHECK_EQ(p->b->token_cnt, 0);
	p->a->is_showing_token = true;
	demand_retry(p->b);
}

static void test_token_spares_the_next_connection_a_retry(void)
{
	struct quic_pair p;

	pair_of_known(&p, 1);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 0);
	quic_net_settle(&p.net, NS_PER_S);
	/* And brings the next one. */
	CHECK_EQ(p.a->token_cnt, 2);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 0);
	p.a->is_showing_token = false;
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 1);
	quic_pair_fini(&p);
}

static void test_token_is_good_from_any_port_of_its_address(void)
{
	struct quic_pair p;

	pair_of_known(&p, 2);
	p.a->inner.port = p.a->outer.port = 7001;
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 0);
	p.a->inner.ip[3] = p.a->outer.ip[3] = 77;
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 1);
	quic_pair_fini(&p);
}

static void test_token_is_good_for_two_days(void)
{
	static const struct {
		uint32_t age_s;
		unsigned retry_cnt;
	} rows[] = {{WEFT_TOKEN_KNOWN_LIFE_S - 10, 0}, {WEFT_TOKEN_KNOWN_LIFE_S + 10, 1}};

	for (unsigned i = 0; i < 2; i++) {
		struct quic_pair p;

		pair_of_known(&p, 3 + i);
		quic_engine_set_wall(p.b->engine, WALL_S + rows[i].age_s, p.net.now_ns);
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		CHECK_EQ(retry_cnt(p.b), rows[i].retry_cnt);
		quic_pair_fini(&p);
	}
}

/* Another worker, or the next life: any process with the node's key. */
static void test_token_is_good_at_every_engine_of_the_node(void)
{
	struct quic_node *twin, *other;
	struct quic_pair p;

	pair_of_known(&p, 5);
	twin = quic_net_add(&p.net, 2, NULL);
	other = quic_net_add(&p.net, 3, NULL);
	quic_engine_set_wall(twin->engine, WALL_S + 5, p.net.now_ns);
	quic_engine_set_wall(other->engine, WALL_S + 5, p.net.now_ns);
	demand_retry(twin);
	demand_retry(other);
	CHECK(quic_net_connect(p.a, other)->is_ready);
	CHECK_EQ(retry_cnt(other), 1);
	CHECK(quic_net_connect(p.a, twin)->is_ready);
	CHECK_EQ(retry_cnt(twin), 0);
	quic_pair_fini(&p);
}

/* A reader of it may show it again from that address, and is then like any other client. */
static void test_token_is_good_once(void)
{
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 6, NULL);
	quic_engine_set_wall(p.b->engine, WALL_S, p.net.now_ns);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	p.a->is_showing_token = true;
	for (unsigned i = 0; i < 4; i++)
		CHECK(quic_net_dial(p.a, p.b));
	quic_net_settle(&p.net, 6 * NS_PER_MS);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.used_token_cnt, 3);
	CHECK_EQ(stats.validated_cnt, 1);
	CHECK_EQ(stats.half_open_cnt, 3);
	quic_net_settle(&p.net, NS_PER_S);
	for (unsigned i = 0; i < 5; i++)
		CHECK(p.a->conns[i].is_ready);
	quic_pair_fini(&p);
}

/* Two filters turn with the lifetime of tokens: none is forgotten while it may be shown. */
static void test_shown_token_is_remembered_for_its_life(void)
{
	uint8_t token[WEFT_TOKEN_LEN] = {0};
	unsigned mistaken_cnt = 0;
	struct random dice;
	struct quic_pair p;

	quic_pair_init(&p, 11, NULL);
	random_init_seeded(&dice, 11);
	quic_engine_set_wall(p.b->engine, WALL_S, p.net.now_ns);
	CHECK(quic_token_use(p.b->engine, token));
	CHECK(!quic_token_use(p.b->engine, token));
	quic_engine_set_wall(p.b->engine, WALL_S + WEFT_TOKEN_KNOWN_LIFE_S, p.net.now_ns);
	CHECK(!quic_token_use(p.b->engine, token));
	quic_engine_set_wall(p.b->engine, WALL_S + 5 * WEFT_TOKEN_KNOWN_LIFE_S, p.net.now_ns);
	CHECK(quic_token_use(p.b->engine, token));
	for (unsigned i = 0; i < 70000; i++) {
		random_fill(&dice, token, sizeof(token));
		mistaken_cnt += !quic_token_use(p.b->engine, token);
	}
	printf("# %u of 70000 mistaken\n", mistaken_cnt);
	CHECK(mistaken_cnt < 350);
	quic_pair_fini(&p);
}

static void test_client_that_moved_gets_a_token_of_where_it_is(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 7, NULL);
	quic_engine_set_wall(p.b->engine, WALL_S, p.net.now_ns);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.a->token_cnt, 1);
	p.a->outer.ip[3] = 99;
	CHECK(quic_net_transfer(conn, 1000, 10 * NS_PER_S));
	quic_net_settle(&p.net, 5 * NS_PER_S);
	CHECK_EQ(p.a->token_cnt, 2);
	p.a->is_showing_token = true;
	demand_retry(p.b);
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(retry_cnt(p.b), 0);
	quic_pair_fini(&p);
}

/* One peer's tokens have nothing in common but kind, day and address. */
static void test_tokens_do_not_show_their_owner(void)
{
	struct addr from = {.ip = {192, 0, 2, 1}, .port = 9, .family = ADDR_IPV4};
	const struct quic_token_claim claim = {.key_head = {1, 2, 3}, .met_s = WALL_S - 5000};
	uint8_t tokens[64][WEFT_TOKEN_LEN];
	struct quic_pair p;

	quic_pair_init(&p, 8, NULL);
	quic_engine_set_wall(p.b->engine, WALL_S, p.net.now_ns);
	for (unsigned i = 0; i < 64; i++)
		CHECK(quic_token_known(p.b->engine, &from, &claim, tokens[i]));
	for (unsigned at = 8; at < WEFT_TOKEN_LEN; at++) {
		unsigned equal_cnt = 0;

		for (unsigned i = 1; i < 64; i++)
			equal_cnt += tokens[i][at] == tokens[0][at];
		CHECK(equal_cnt < 8);
	}
	quic_pair_fini(&p);
}

static void test_token_has_its_owner_and_its_first_time(void)
{
	struct addr from = {.ip = {192, 0, 2, 1}, .port = 9, .family = ADDR_IPV4};
	const struct quic_token_claim claim = {.key_head = {1, 2, 3, 4, 5, 6, 7, 8}, .met_s = 4242};
	uint8_t bytes[WEFT_TOKEN_LEN];
	ngtcp2_pkt_hd hd = {.token = bytes, .tokenlen = sizeof(bytes)};
	struct quic_retry retry;
	struct quic_token_claim got;
	struct quic_pair p;

	quic_pair_init(&p, 9, NULL);
	quic_engine_set_wall(p.b->engine, WALL_S, p.net.now_ns);
	CHECK(quic_token_known(p.b->engine, &from, &claim, bytes));
	CHECK_EQ(quic_token_check(p.b->engine, &from, &hd, &retry, &got), QUIC_TOKEN_KNOWN);
	CHECK_MEM(&got, &claim, sizeof(got));
	for (unsigned bit = 0; bit < 8 * WEFT_TOKEN_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(quic_token_check(p.b->engine, &from, &hd, &retry, &got) != QUIC_TOKEN_KNOWN);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	quic_pair_fini(&p);
}

static void test_refused_client_gets_no_token(void)
{
	struct quic_pair p;

	quic_pair_init(&p, 10, NULL);
	p.b->ready_answer = WEFT_EREFUSED;
	CHECK(quic_net_connect(p.a, p.b));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(p.a->conns[0].is_closed);
	CHECK_EQ(p.a->token_cnt, 0);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_token_spares_the_next_connection_a_retry);
	RUN(test_token_is_good_from_any_port_of_its_address);
	RUN(test_token_is_good_for_two_days);
	RUN(test_token_is_good_at_every_engine_of_the_node);
	RUN(test_token_is_good_once);
	RUN(test_shown_token_is_remembered_for_its_life);
	RUN(test_client_that_moved_gets_a_token_of_where_it_is);
	RUN(test_tokens_do_not_show_their_owner);
	RUN(test_token_has_its_owner_and_its_first_time);
	RUN(test_refused_client_gets_no_token);
	return check_done();
}
