/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection between the label of a slow relay and a fast direct path. Both paths are there all the
 * time; the wire turns a label into the address of the other node.
 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

#define RELAY_BYTES_PER_S  8000ull /* 64 kbit/s, a flow without a grant */
#define DIRECT_BYTES_PER_S 10000000ull
#define QUEUE_NS	   (100 * NS_PER_MS)

static struct quic_pair p;
static uint64_t busy_ns[2][2]; /* of the direct link and the relayed one, each way */

static struct addr label(void)
{
	return (struct addr){.family = ADDR_IPV6,
			     .transport = ADDR_RELAY,
			     .port = ADDR_RELAY_CONTROL_PORT,
			     .ip = {0xfd, 0x6d, 0x65, 0x73, 0x00, 0x68, [15] = 7}};
}

static bool shape(struct quic_net *net, struct quic_net_dgram *dgram)
{
	bool is_relayed = addr_is_relayed(&dgram->to);
	bool is_back = addr_equal(&dgram->from, &p.b->outer);
	uint64_t *busy = &busy_ns[is_relayed][is_back], rate;

	if (is_relayed) {
		dgram->from = dgram->to;
		dgram->to = is_back ? p.a->outer : p.b->outer;
	}
	rate = is_relayed ? RELAY_BYTES_PER_S : DIRECT_BYTES_PER_S;
	if (*busy < net->now_ns)
		*busy = net->now_ns;
	/* A relay's bucket holds 32 KiB; a link queues for a while. */
	if (*busy - net->now_ns > (is_relayed ? 4 * NS_PER_S : QUEUE_NS))
		return false;
	*busy += dgram->len * NS_PER_S / rate;
	dgram->at_ns += *busy - net->now_ns;
	return true;
}

static size_t flow_len(void *ctx, const struct addr *at)
{
	(void)ctx, (void)at;
	return 1436;
}

static struct quic_test_conn *connect_relayed(uint64_t seed)
{
	struct addr at = label();
	struct quic_test_conn *conn;

	memset(busy_ns, 0, sizeof(busy_ns));
	quic_pair_init(&p, seed, NULL);
	p.net.delay_ns = 20 * NS_PER_MS;
	p.net.tap = shape;
	p.a->engine->relayed_len_max = p.b->engine->relayed_len_max = flow_len;
	conn = quic_net_dial_key(p.a, &at, quic_node_key(p.b));
	quic_net_settle(&p.net, 2 * NS_PER_S);
	return conn;
}

static bool move_direct(void)
{
	struct addr at = label();

	return quic_engine_move(p.a->engine, &at, &p.a->inner, &p.b->outer, p.net.now_ns);
}

/*
 * What the slow path taught is not used on the fast one. Two seconds after the move either sender has
 * 80 % of the link (E36).
 */
static void test_a_fast_path_is_used_whole_two_seconds_after_the_move(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn = connect_relayed(10 + i);
		struct quic_node *receiver = i ? p.a : p.b;
		uint64_t before;

		CHECK(conn && conn->is_ready);
		CHECK(quic_net_send(i ? &p.b->conns[0] : conn, 200 << 20) != NULL);
		quic_net_settle(&p.net, 5 * NS_PER_S);
		before = receiver->streams[0].received_len;
		CHECK(before > 20000 && before < 60000);
		CHECK(move_direct());
		quic_net_settle(&p.net, 2 * NS_PER_S);
		before = receiver->streams[0].received_len;
		quic_net_settle(&p.net, NS_PER_S);
		before = receiver->streams[0].received_len - before;
		printf("# %u %% of the link after two seconds\n",
		       (unsigned)(before * 100 / DIRECT_BYTES_PER_S));
		CHECK(before * 100 >= DIRECT_BYTES_PER_S * 80);
		CHECK(!receiver->streams[0].is_damaged && !conn->is_closed);
		quic_pair_fini(&p);
	}
}

static bool leads_to(struct transport_conn *conn, const struct addr *remote)
{
	struct transport_conn_info info;

	p.a->transport->ops->info(conn, &info);
	return addr_equal(&info.remote, remote);
}

/* To a path that it knows ngtcp2 goes without a word. Both ends report it all the same. */
static void test_a_move_to_a_path_that_was_used_before_is_reported(void)
{
	struct quic_test_conn *conn = connect_relayed(20);
	const struct addr at = label();

	CHECK(conn && conn->is_ready);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(move_direct());
		quic_net_settle(&p.net, 5 * NS_PER_S);
		CHECK(leads_to(conn->conn, &p.b->outer));
		CHECK(leads_to(p.b->conns[0].conn, &p.a->outer));
		CHECK(quic_engine_move(p.a->engine, &p.b->outer, &at, &at, p.net.now_ns));
		quic_net_settle(&p.net, 5 * NS_PER_S);
		CHECK(leads_to(conn->conn, &at));
		CHECK(leads_to(p.b->conns[0].conn, &at));
	}
	CHECK(quic_net_transfer(conn, 4000, 5 * NS_PER_S));
	quic_pair_fini(&p);
}

static unsigned relabel_cnt;
static bool is_direct_cut;

static bool count_relabel(void *ctx, struct addr *at)
{
	(void)ctx, (void)at;
	relabel_cnt++;
	return false;
}

static bool cut_direct(struct quic_net *net, struct quic_net_dgram *dgram)
{
	return !(is_direct_cut && !addr_is_relayed(&dgram->to)) && shape(net, dgram);
}

static size_t direct_len_max;

static bool shorten_direct(struct quic_net *net, struct quic_net_dgram *dgram)
{
	return (addr_is_relayed(&dgram->to) || dgram->len <= direct_len_max) && shape(net, dgram);
}

/* It carries shorter ones, which is found out before the relay is taken. */
static void test_a_direct_path_that_loses_long_packets_is_not_left(void)
{
	static const uint64_t delays_ns[] = {NS_PER_MS, 20 * NS_PER_MS, 100 * NS_PER_MS};

	for (unsigned i = 0; i < 6; i++) {
		struct quic_test_conn *conn = connect_relayed(50 + i);
		struct quic_node *from = i % 2 ? p.b : p.a, *to = i % 2 ? p.a : p.b;
		struct quic_stats stats;
		uint64_t before;

		CHECK(conn && conn->is_ready);
		direct_len_max = SIZE_MAX;
		p.net.delay_ns = delays_ns[i / 2];
		p.net.tap = shorten_direct;
		CHECK(move_direct());
		quic_net_settle(&p.net, 5 * NS_PER_S);
		CHECK(quic_net_send(&from->conns[0], 200 << 20) != NULL);
		quic_net_settle(&p.net, 2 * NS_PER_S);
		direct_len_max = 1252;
		quic_net_settle(&p.net, 5 * NS_PER_S);
		before = to->streams[0].received_len;
		printf("# delay %u ms\n", (unsigned)(delays_ns[i / 2] / NS_PER_MS));
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(to->streams[0].received_len > before + 100000);
		quic_node_stats(from, &stats);
		CHECK_EQ(stats.black_hole_cnt, 1);
		CHECK_EQ(stats.fallback_cnt, 0);
		CHECK(leads_to(conn->conn, &p.b->outer));
		quic_pair_fini(&p);
	}
}

/* A dial beside the silent connection may have taken the label: a new one would cut that connection. */
static void test_a_label_that_another_connection_uses_is_not_replaced(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn = connect_relayed(40 + i), *second = NULL;
		const struct addr at = label();

		CHECK(conn && conn->is_ready);
		p.a->engine->relabel = count_relabel;
		relabel_cnt = 0;
		is_direct_cut = false;
		p.net.tap = cut_direct;
		CHECK(move_direct());
		quic_net_settle(&p.net, 5 * NS_PER_S);
		if (i) {
			second = quic_net_dial_key(p.a, &at, quic_node_key(p.b));
			quic_net_settle(&p.net, 2 * NS_PER_S);
			CHECK(second && second->is_ready);
		}
		is_direct_cut = true;
		CHECK(quic_net_send(conn, 4000) != NULL);
		quic_net_settle(&p.net, 2 * NS_PER_S);
		CHECK_EQ(relabel_cnt > 0, !i);
		CHECK(!second || quic_net_transfer(second, 4000, 5 * NS_PER_S));
		quic_pair_fini(&p);
	}
}

/* The clock of a connection moves on for probes; a connection that owes nothing has no need of that. */
static void test_an_hour_of_questions_leaves_the_round_trip_as_it_is(void)
{
	struct transport_conn_info info;
	struct quic_test_conn *conn;

	quic_pair_init(&p, 30, NULL);
	p.net.delay_ns = 20 * NS_PER_MS;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	for (unsigned i = 0; i < 360; i++) {
		for (unsigned k = 0; k < 2; k++) {
			struct transport_conn *at = k ? p.b->conns[0].conn : conn->conn;

			p.a->transport->ops->info(at, &info);
			p.a->transport->ops->probe(at);
			quic_net_settle(&p.net, 30 * NS_PER_MS);
		}
		quic_net_settle(&p.net, 10 * NS_PER_S);
	}
	for (unsigned k = 0; k < 2; k++) {
		struct transport_conn *at = k ? p.b->conns[0].conn : conn->conn;

		p.a->transport->ops->info(at, &info);
		CHECK(info.rtt_ns >= 40 * NS_PER_MS && info.rtt_ns < 80 * NS_PER_MS);
	}
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_a_fast_path_is_used_whole_two_seconds_after_the_move);
	RUN(test_a_move_to_a_path_that_was_used_before_is_reported);
	RUN(test_a_direct_path_that_loses_long_packets_is_not_left);
	RUN(test_a_label_that_another_connection_uses_is_not_replaced);
	RUN(test_an_hour_of_questions_leaves_the_round_trip_as_it_is);
	return check_done();
}
