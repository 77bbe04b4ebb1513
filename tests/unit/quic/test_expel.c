/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes with an address that is not welcome any more. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

static bool is_addr(void *ctx, const struct addr *remote)
{
	return addr_equal(remote, ctx);
}

/* Nothing reaches tap_arg. */
static bool drop_to(struct quic_net *net, struct quic_net_dgram *dgram)
{
	const struct quic_node *deaf = net->tap_arg;

	return !addr_equal(&dgram->to, &deaf->outer);
}

/* a has dialled b, and hears nothing of what b answers. */
static struct quic_test_conn *halfway(struct quic_pair *p, uint64_t seed)
{
	struct quic_test_conn *conn;

	quic_pair_init(p, seed, NULL);
	p->net.tap = drop_to;
	p->net.tap_arg = p->a;
	conn = quic_net_dial(p->a, p->b);
	quic_net_settle(&p->net, NS_PER_S);
	return conn;
}

static uint32_t handshake_cnt(const struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats.handshake_cnt;
}

static unsigned expel(struct quic_node *node, struct addr *remote)
{
	return quic_engine_expel(node->engine, is_addr, remote, node->net->now_ns);
}

static void test_one_accepted_says_one_word_and_repeats_its_flight_no_more(void)
{
	struct quic_pair p;
	uint64_t sent_cnt;

	CHECK(halfway(&p, 200));
	CHECK_EQ(handshake_cnt(p.b), 1);
	CHECK_EQ(expel(p.b, &p.b->outer), 0);
	CHECK_EQ(handshake_cnt(p.b), 1);
	/* As a gate does with what is banned, once what is under way has come. */
	p.net.tap_arg = p.b;
	quic_net_settle(&p.net, p.net.delay_ns);
	sent_cnt = p.b->sent_cnt;
	CHECK_EQ(expel(p.b, &p.a->outer), 1);
	CHECK_EQ(expel(p.b, &p.a->outer), 0);
	quic_net_settle(&p.net, 60 * NS_PER_S);
	CHECK_EQ(handshake_cnt(p.b), 0);
	CHECK_EQ(p.b->sent_cnt, sent_cnt + 1);
	CHECK_EQ(p.b->conn_cnt, 0); /* no peer was notified of it before */
	CHECK_EQ(p.b->engine->conns.used_cnt, 0);
	quic_pair_fini(&p);
}

static void test_one_dialled_ends_as_refused(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	conn = halfway(&p, 201);
	CHECK_EQ(expel(p.a, &p.a->outer), 0);
	CHECK_EQ(expel(p.a, &p.b->outer), 1);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_EREFUSED);
	CHECK(!conn->close.by_peer);
	quic_pair_fini(&p);
}

static void test_an_open_connection_is_left_to_its_speaker(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 202, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S); /* b is ready later */
	CHECK_EQ(expel(p.a, &p.b->outer), 0);
	CHECK_EQ(expel(p.b, &p.a->outer), 0);
	CHECK(quic_net_transfer(conn, 1000, NS_PER_S));
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_one_accepted_says_one_word_and_repeats_its_flight_no_more);
	RUN(test_one_dialled_ends_as_refused);
	RUN(test_an_open_connection_is_left_to_its_speaker);
	return check_done();
}
