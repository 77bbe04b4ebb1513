/* SPDX-License-Identifier: Apache-2.0 */
/* The share of the connection table that strangers never get. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/clock.h"
#include "quic/engine.h"

#define WALL_S 1800000000u
/* Of 16 connections 4 are reserved, so one of the strangers' 12 is for handshakes alone. */
#define CONN_CAP      16
#define STRANGER_CAP  12
#define STRANGER_OPEN 11

static struct quic_stats stats_of(const struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats;
}

static void config_make(struct quic_config *config)
{
	quic_net_config(config);
	config->conn_cap = CONN_CAP;
	config->known_reserve_percent = 25;
}

static void pair_make(struct quic_pair *p, uint64_t seed)
{
	struct quic_config config;

	config_make(&config);
	quic_pair_init(p, seed, &config);
	quic_engine_set_wall(p->b->engine, WALL_S, p->net.now_ns);
}

/* Strangers take what they may have and keep it. */
static void fill_with_strangers(struct quic_pair *p)
{
	for (unsigned i = 0; i < STRANGER_OPEN; i++)
		CHECK(quic_net_connect(p->a, p->b)->is_ready);
	quic_net_settle(&p->net, NS_PER_S);
	CHECK_EQ(stats_of(p->b).stranger_cnt, STRANGER_OPEN);
	CHECK_EQ(stats_of(p->b).refused_stranger_cnt, 0);
}

static void test_one_stranger_too_many_is_refused(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	pair_make(&p, 1);
	fill_with_strangers(&p);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_EREFUSED);
	CHECK_EQ(conn->close.code, QUIC_CLOSE_REFUSED);
	CHECK_EQ(stats_of(p.b).refused_stranger_cnt, 1);
	CHECK_EQ(stats_of(p.b).conn_cnt, STRANGER_OPEN);
	/* One goes, one comes. */
	p.a->transport->ops->close(p.a->conns[0].conn, 0, NULL);
	quic_net_settle(&p.net, NS_PER_S);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(!conn->is_closed);
	quic_pair_fini(&p);
}

static void test_known_key_gets_in_beside_strangers(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	pair_make(&p, 2);
	fill_with_strangers(&p);
	p.b->met_s = WALL_S - QUIC_KNOWN_AFTER_S;
	for (unsigned i = STRANGER_OPEN; i < CONN_CAP; i++) {
		conn = quic_net_connect(p.a, p.b);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(conn->is_ready && !conn->is_closed);
	}
	CHECK_EQ(stats_of(p.b).stranger_cnt, STRANGER_OPEN);
	CHECK_EQ(stats_of(p.b).conn_cnt, CONN_CAP);
	CHECK(quic_net_connect(p.a, p.b)->is_closed);
	CHECK_EQ(stats_of(p.b).refused_full_cnt, 1);
	quic_pair_fini(&p);
}

static bool drop_answers(struct quic_net *net, struct quic_net_dgram *dgram)
{
	return addr_equal(&dgram->to, &net->nodes[1]->outer);
}

/* b gave a a token when its key was known since met_s. */
static void give_token(struct quic_pair *p, uint32_t met_s)
{
	p->b->met_s = met_s;
	CHECK(quic_net_connect(p->a, p->b)->is_ready);
	quic_net_settle(&p->net, NS_PER_S);
	CHECK_EQ(p->a->token_cnt, 1);
	p->a->transport->ops->close(p->a->conns[0].conn, 0, NULL);
	quic_net_settle(&p->net, 5 * NS_PER_S);
	CHECK_EQ(stats_of(p->b).conn_cnt, 0);
	p->b->met_s = 0;
}

/* Handshakes that never end are strangers', and leave the reserve to who shows a token. */
static void test_known_token_gets_in_beside_handshakes(void)
{
	static const struct {
		uint32_t known_for_s;
		bool is_known;
	} rows[] = {{QUIC_KNOWN_AFTER_S, true}, {QUIC_KNOWN_AFTER_S - 60, false}, {0, false}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		pair_make(&p, 3 + i);
		give_token(&p, WALL_S - rows[i].known_for_s);
		p.net.tap = drop_answers;
		for (unsigned k = 0; k < STRANGER_CAP + 1; k++)
			CHECK(quic_net_dial(p.a, p.b));
		quic_net_settle(&p.net, 10 * NS_PER_MS);
		CHECK_EQ(stats_of(p.b).handshake_cnt, STRANGER_CAP);
		CHECK_EQ(stats_of(p.b).stranger_cnt, STRANGER_CAP);
		CHECK_EQ(stats_of(p.b).refused_stranger_cnt, 1);
		p.net.tap = NULL;
		p.a->is_showing_token = true;
		conn = quic_net_connect(p.a, p.b);
		CHECK_EQ(conn->is_ready, rows[i].is_known);
		CHECK_EQ(stats_of(p.b).refused_stranger_cnt, rows[i].is_known ? 1 : 2);
		if (conn->is_closed)
			CHECK_EQ(conn->close.code, NGTCP2_CONNECTION_REFUSED);
		quic_pair_fini(&p);
	}
}

/* The key that TLS proves is not the one that the token was given to. */
static void test_lent_token_makes_nobody_known(void)
{
	struct quic_test_conn *conn;
	struct quic_node *borrower;
	struct quic_pair p;

	pair_make(&p, 6);
	give_token(&p, WALL_S - QUIC_KNOWN_AFTER_S);
	borrower = quic_net_add(&p.net, 3, NULL);
	borrower->inner = p.a->inner;
	borrower->inner.port++;
	borrower->outer = borrower->inner;
	memcpy(borrower->token, p.a->token, p.a->token_len);
	borrower->token_len = p.a->token_len;
	borrower->is_showing_token = true;
	fill_with_strangers(&p);
	conn = quic_net_connect(borrower, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.code, QUIC_CLOSE_REFUSED);
	CHECK_EQ(stats_of(p.b).refused_stranger_cnt, 1);
	/* And its owner is let in. */
	memcpy(p.a->token, borrower->token, sizeof(p.a->token));
	p.a->is_showing_token = true;
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_ready && !conn->is_closed);
	quic_pair_fini(&p);
}

static void test_a_new_reserve_applies_to_who_comes(void)
{
	struct quic_config config;
	struct quic_test_conn *conn;
	struct quic_pair p;

	pair_make(&p, 7);
	fill_with_strangers(&p);
	config_make(&config);
	config.known_reserve_percent = 90;
	quic_engine_configure(p.b->engine, &config);
	CHECK_EQ(stats_of(p.b).stranger_cap, CONN_CAP - 14);
	CHECK_EQ(stats_of(p.b).conn_cnt, STRANGER_OPEN);
	CHECK(quic_net_connect(p.a, p.b)->is_closed);
	config.known_reserve_percent = 0;
	quic_engine_configure(p.b->engine, &config);
	for (unsigned i = STRANGER_OPEN; i < CONN_CAP; i++) {
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn->is_ready);
	}
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(stats_of(p.b).stranger_cnt, CONN_CAP);
	quic_pair_fini(&p);
}

static void test_shares_of_small_and_large_tables(void)
{
	static const struct {
		uint32_t conn_cap, percent, cap, open_cap;
	} rows[] = {
		{1, 90, 1, 1},	       {3, 25, 3, 3},
		{4, 25, 3, 3},	       {16, 25, 12, 11},
		{1024, 0, 1024, 1024}, {1024, 25, 768, 704},
		{1024, 90, 103, 78},   {1000000, 50, 500000, 375000},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct quic_limits limits;

		quic_limits_reserve(&limits, rows[i].conn_cap, rows[i].percent);
		CHECK_EQ(limits.stranger_cap, rows[i].cap);
		CHECK_EQ(limits.stranger_open_cap, rows[i].open_cap);
	}
}

int main(void)
{
	RUN(test_one_stranger_too_many_is_refused);
	RUN(test_known_key_gets_in_beside_strangers);
	RUN(test_known_token_gets_in_beside_handshakes);
	RUN(test_lent_token_makes_nobody_known);
	RUN(test_a_new_reserve_applies_to_who_comes);
	RUN(test_shares_of_small_and_large_tables);
	return check_done();
}
