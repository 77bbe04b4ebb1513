/* SPDX-License-Identifier: Apache-2.0 */
/* Which peer has which part of the connection table, and which one makes room. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/fair/load.h"
#include "quic/engine.h"

#define WALL_S	 1800000000u
#define CONN_CAP 24

static struct quic_stats stats_of(const struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats;
}

/* b serves; a is the first of its peers, at an address of its own. */
static void pair_make(struct quic_pair *p, uint64_t seed)
{
	struct quic_config config;

	quic_net_config(&config);
	config.conn_cap = CONN_CAP;
	config.conn_per_key_cap = CONN_CAP + 1;
	config.idle_timeout_ns = 600 * NS_PER_S;
	quic_pair_init(p, seed, &config);
	quic_engine_set_wall(p->b->engine, WALL_S, p->net.now_ns);
}

static void fill(struct quic_pair *p)
{
	for (unsigned i = 0; i < CONN_CAP; i++)
		CHECK(quic_net_connect(p->a, p->b)->is_ready);
	quic_net_settle(&p->net, NS_PER_S);
	CHECK_EQ(stats_of(p->b).conn_cnt, CONN_CAP);
}

static unsigned open_cnt(const struct quic_node *node)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < node->conn_cnt; i++)
		cnt += node->conns[i].is_ready && !node->conns[i].is_closed;
	return cnt;
}

/* 704 idle sessions of one address shut out every newcomer. */
static void test_newcomer_gets_a_place_of_the_largest_holder(void)
{
	struct quic_test_conn *conn;
	struct quic_node *c;
	struct quic_pair p;

	pair_make(&p, 1);
	fill(&p);
	CHECK_EQ(stats_of(p.b).unknown_cnt, CONN_CAP);
	c = quic_net_add(&p.net, 3, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		conn = quic_net_connect(c, p.b);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(conn->is_ready && !conn->is_closed);
		CHECK_EQ(open_cnt(p.a), CONN_CAP - i);
		CHECK_EQ(stats_of(p.b).conn_cnt, CONN_CAP);
		CHECK_EQ(stats_of(p.b).evicted_unknown_cnt, i);
	}
	/* The speaker's tables are as large as the engine's. */
	CHECK_EQ(p.b->open_peak_cnt, CONN_CAP);
	quic_pair_fini(&p);
}

static void test_an_evicted_peer_learns_when_to_retry_and_can(void)
{
	const struct quic_test_conn *gone = NULL;
	struct quic_node *c;
	struct quic_pair p;

	pair_make(&p, 2);
	fill(&p);
	CHECK_EQ(p.a->token_cnt, CONN_CAP);
	c = quic_net_add(&p.net, 3, NULL);
	CHECK(quic_net_connect(c, p.b)->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	for (unsigned i = 0; i < CONN_CAP; i++)
		if (p.a->conns[i].is_closed)
			gone = &p.a->conns[i];
	CHECK(gone);
	CHECK_EQ(gone->close.err, WEFT_EREFUSED);
	CHECK_EQ(gone->close.code >> 32, QUIC_CLOSE_BUSY >> 32);
	CHECK((uint32_t)gone->close.code >= 1 && (uint32_t)gone->close.code <= 30000);
	CHECK_EQ(gone->close.not_before_ms, (uint32_t)gone->close.code);
	/* One of its own goes, and it is back without a Retry. */
	p.a->transport->ops->close(p.a->conns[0].conn ? p.a->conns[0].conn : p.a->conns[1].conn, 0,
				   NULL);
	quic_net_settle(&p.net, NS_PER_S);
	p.a->is_showing_token = true;
	CHECK(quic_net_connect(p.a, p.b)->is_ready);
	CHECK_EQ(stats_of(p.b).retry_sent_cnt, 0);
	quic_pair_fini(&p);
}

static void test_one_connection_more_of_the_largest_is_refused(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	pair_make(&p, 3);
	fill(&p);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.code >> 32, QUIC_CLOSE_BUSY >> 32);
	CHECK_EQ(stats_of(p.b).refused_full_cnt, 1);
	CHECK_EQ(stats_of(p.b).evicted_unknown_cnt, 0);
	CHECK_EQ(open_cnt(p.a), CONN_CAP);
	quic_pair_fini(&p);
}

/* Its operator asks why: which pool, how often, until when. */
static void test_refused_connection_is_kept_by_key_and_address(void)
{
	static const uint64_t secret[2] = {1, 2};
	const struct refusal *row = NULL;
	struct refused by_key, by_addr;
	unsigned cnt = 0;
	struct arena arena;
	struct load load;
	struct quic_pair p;

	pair_make(&p, 13);
	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(load_init(&load, &arena, LOAD_LINE_CNT, secret), 0);
	fill(&p);
	p.b->engine->shares.load = &load;
	(void)quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(stats_of(p.b).refused_full_cnt, 1);
	by_key = refused_of_key(quic_node_key(p.a));
	by_addr = refused_of_addr(&p.a->outer);
	while ((row = refusals_next(&load.refusals, row))) {
		CHECK(refused_equal(&row->who, &by_key) || refused_equal(&row->who, &by_addr));
		CHECK_STR(row->pool, "quic.conn_cap");
		CHECK_EQ(row->cnt, 1);
		CHECK(row->until_ns > row->last_ns &&
		      row->until_ns <= row->last_ns + 30 * NS_PER_S);
		cnt++;
	}
	CHECK_EQ(cnt, 2);
	quic_pair_fini(&p);
	arena_close(&arena);
}

/* limits show names the networks whose handshakes cost most. */
static void test_complete_handshake_is_charged_to_its_network(void)
{
	static const uint64_t secret[2] = {1, 2};
	struct load_network networks[LOAD_NETWORK_CNT];
	struct arena arena;
	struct load load;
	struct quic_pair p;

	pair_make(&p, 15);
	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(load_init(&load, &arena, LOAD_LINE_CNT, secret), 0);
	p.b->engine->shares.load = &load;
	for (unsigned i = 0; i < 3; i++)
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, NS_PER_S / 10);
	CHECK_EQ(load_networks(&load, p.net.now_ns, networks), 1);
	/* And one for each datagram that waited. */
	CHECK(networks[0].load >= 3 * 25 && networks[0].load <= 3 * 30);
	CHECK_EQ(memcmp(networks[0].prefix.ip, p.a->outer.ip, 3), 0);
	/* What b dials is its own cost. */
	CHECK(quic_net_connect(p.b, p.a)->is_ready);
	CHECK_EQ(load_networks(&load, p.net.now_ns, networks), 1);
	CHECK(networks[0].load <= 3 * 30);
	quic_pair_fini(&p);
	arena_close(&arena);
}

/* limits.site: two hosts of a lab's /24 are networks of their own. */
static void test_networks_are_those_of_the_site(void)
{
	struct fair_path first, second;
	struct quic_config config;
	struct addr addr;
	struct quic_pair p;

	quic_net_config(&config);
	for (unsigned is_site = 0; is_site < 2; is_site++) {
		if (is_site)
			CHECK_EQ(fair_site_parse("192.0.2.0/24:32", &config.site), 0);
		quic_pair_init(&p, 16, &config);
		CHECK_EQ(addr_parse("192.0.2.1:7000", &addr), 0);
		fair_path_of_addr(&p.b->engine->shares.paths, &addr, FAIR_UNKNOWN, &first);
		CHECK_EQ(addr_parse("192.0.2.2:7000", &addr), 0);
		fair_path_of_addr(&p.b->engine->shares.paths, &addr, FAIR_UNKNOWN, &second);
		CHECK_EQ(first.ids[0], second.ids[0]); /* the family */
		CHECK_EQ(first.ids[1] == second.ids[1], !is_site);
		quic_pair_fini(&p);
	}
}

/* limits show names the network that holds most. */
static void test_account_that_pays_next_is_named(void)
{
	struct quic_stats stats;
	struct quic_node *c;
	struct quic_pair p;

	pair_make(&p, 14);
	CHECK_EQ(stats_of(p.b).conns_largest.family, ADDR_NONE);
	c = quic_net_add(&p.net, 3, NULL);
	CHECK(quic_net_connect(c, p.b)->is_ready);
	for (unsigned i = 0; i < 5; i++)
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	stats = stats_of(p.b);
	CHECK_EQ(stats.conns.held_cnts[FAIR_UNKNOWN], 6);
	CHECK(addr_equal(&stats.conns_largest, &p.a->outer));
	quic_pair_fini(&p);
}

/* A peer that b dials is chosen: a table full of unknown peers makes room. */
static void test_own_dial_gets_a_place_and_keeps_it(void)
{
	struct quic_test_conn *dialled;
	struct quic_node *c, *d;
	struct quic_pair p;

	pair_make(&p, 4);
	fill(&p);
	c = quic_net_add(&p.net, 3, NULL);
	dialled = quic_net_connect(p.b, c);
	CHECK(dialled && dialled->is_ready);
	CHECK_EQ(stats_of(p.b).chosen_cnt, 1);
	d = quic_net_add(&p.net, 4, NULL);
	for (unsigned i = 0; i < 8; i++)
		CHECK(quic_net_connect(d, p.b));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(!dialled->is_closed);
	CHECK_EQ(stats_of(p.b).evicted_chosen_cnt, 0);
	quic_pair_fini(&p);
}

static enum fair_class class_of(void *ctx, const uint8_t *key)
{
	(void)key;
	return *(enum fair_class *)ctx;
}

/* A key that is known takes from unknown peers below its floor, and none of them from it. */
static void test_known_key_gets_in_and_unknown_peers_do_not_push_it_out(void)
{
	enum fair_class class = FAIR_UNKNOWN;
	struct quic_test_conn *conn;
	struct quic_node *c;
	struct quic_pair p;

	pair_make(&p, 5);
	p.b->engine->key_class = class_of;
	p.b->engine->class_ctx = &class;
	fill(&p);
	c = quic_net_add(&p.net, 3, NULL);
	class = FAIR_KNOWN;
	conn = quic_net_connect(c, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	class = FAIR_UNKNOWN;
	for (unsigned i = 0; i < 8; i++)
		(void)quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(!conn->is_closed);
	CHECK_EQ(stats_of(p.b).known_cnt, 1);
	/* What it is worth is asked again. */
	quic_engine_review(p.b->engine);
	CHECK_EQ(stats_of(p.b).known_cnt, 0);
	quic_pair_fini(&p);
}

/* b gave a a token; claims hold for the key that they were made for. */
static void test_token_makes_only_its_owner_known(void)
{
	static const struct {
		uint32_t known_for_s;
		bool is_lent;
		bool is_known;
	} rows[] = {{QUIC_KNOWN_AFTER_S, false, true},
		    {QUIC_KNOWN_AFTER_S - 60, false, false},
		    {QUIC_KNOWN_AFTER_S, true, false}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quic_node *shower;
		struct quic_pair p;

		pair_make(&p, 6 + i);
		p.b->met_s = WALL_S - rows[i].known_for_s;
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(p.a->token_cnt, 1);
		p.a->transport->ops->close(p.a->conns[0].conn, 0, NULL);
		quic_net_settle(&p.net, 5 * NS_PER_S);
		p.b->met_s = 0;
		shower = p.a;
		if (rows[i].is_lent) {
			shower = quic_net_add(&p.net, 3, NULL);
			shower->inner = p.a->inner;
			shower->inner.port++;
			shower->outer = shower->inner;
			memcpy(shower->token, p.a->token, p.a->token_len);
			shower->token_len = p.a->token_len;
		}
		shower->is_showing_token = true;
		CHECK(quic_net_connect(shower, p.b)->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(stats_of(p.b).known_cnt, rows[i].is_known);
		quic_pair_fini(&p);
	}
}

/* While others wait, an unknown peer that says nothing keeps its place for 10 s. */
static void test_idle_unknown_peers_make_room_while_the_table_is_busy(void)
{
	struct quic_test_conn *busy;
	struct quic_pair p;

	pair_make(&p, 9);
	fill(&p);
	/* No peer waits: they stay. */
	quic_net_settle(&p.net, 20 * NS_PER_S);
	CHECK_EQ(open_cnt(p.a), CONN_CAP);
	(void)quic_net_connect(p.a, p.b);
	busy = &p.a->conns[5];
	CHECK(quic_net_transfer(busy, 1000, NS_PER_S));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(!busy->is_closed);
	CHECK(open_cnt(p.a) < CONN_CAP);
	CHECK(stats_of(p.b).overdue_cnt > 0);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_newcomer_gets_a_place_of_the_largest_holder);
	RUN(test_an_evicted_peer_learns_when_to_retry_and_can);
	RUN(test_one_connection_more_of_the_largest_is_refused);
	RUN(test_refused_connection_is_kept_by_key_and_address);
	RUN(test_complete_handshake_is_charged_to_its_network);
	RUN(test_networks_are_those_of_the_site);
	RUN(test_account_that_pays_next_is_named);
	RUN(test_own_dial_gets_a_place_and_keeps_it);
	RUN(test_known_key_gets_in_and_unknown_peers_do_not_push_it_out);
	RUN(test_token_makes_only_its_owner_known);
	RUN(test_idle_unknown_peers_make_room_while_the_table_is_busy);
	return check_done();
}
