/* SPDX-License-Identifier: Apache-2.0 */
/* The share of the connection table that strangers never get. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/clock.h"
#include "quic/engine.h"

#define WALL_S 1800000000u
/* Of 16 connections 4 are reserved. */
#define CONN_CAP      16
#define STRANGER_OPEN 12

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
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(stats_of(p.b).refused_full_cnt, 1);
	quic_pair_fini(&p);
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
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
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

int main(void)
{
	RUN(test_one_stranger_too_many_is_refused);
	RUN(test_known_key_gets_in_beside_strangers);
	RUN(test_lent_token_makes_nobody_known);
	RUN(test_a_new_reserve_applies_to_who_comes);
	return check_done();
}
