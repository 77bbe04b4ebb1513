/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat of a connection in use: by the end that dialled, each five seconds, for fifteen. */
#include <stdlib.h>

#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/quic.h"

static struct quic_pair p;

static uint64_t probes_of(struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats.probe_cnt;
}

static struct quic_test_conn *begin(uint64_t seed)
{
	struct quic_config config;
	struct quic_test_conn *conn;

	quic_config_defaults(&config);
	/* The rig has no keep-alive by itself. */
	quic_pair_init(&p, seed, NULL);
	quic_engine_configure(p.a->engine, &config);
	p.net.delay_ns = 20 * NS_PER_MS;
	conn = quic_net_connect(p.a, p.b);
	if (!conn->is_ready)
		abort();
	return conn;
}

static void test_a_connection_in_use_beats_each_five_seconds_for_fifteen(void)
{
	struct quic_test_conn *conn = begin(1);
	uint64_t before[2];

	CHECK(quic_net_transfer(conn, 4000, 5 * NS_PER_S));
	quic_net_settle(&p.net, NS_PER_S);
	before[0] = probes_of(p.a);
	before[1] = probes_of(p.b);
	quic_net_settle(&p.net, 15 * NS_PER_S);
	CHECK(probes_of(p.a) >= before[0] + 2 && probes_of(p.a) <= before[0] + 3);
	before[0] = probes_of(p.a);
	quic_net_settle(&p.net, 60 * NS_PER_S);
	CHECK_EQ(probes_of(p.a), before[0]);
	CHECK_EQ(probes_of(p.b), before[1]);
	quic_pair_fini(&p);
}

static void test_a_connection_that_carried_nothing_does_not_beat(void)
{
	uint64_t before;

	(void)begin(2);
	quic_net_settle(&p.net, 2 * NS_PER_S);
	before = probes_of(p.a);
	quic_net_settle(&p.net, 60 * NS_PER_S);
	CHECK_EQ(probes_of(p.a), before);
	quic_pair_fini(&p);
}

/* Datagrams of the dialling end in a minute of silence. */
static uint64_t sent_in_a_minute(void)
{
	uint64_t before = p.a->sent_cnt;

	quic_net_settle(&p.net, 60 * NS_PER_S);
	return p.a->sent_cnt - before;
}

/* A NAT that is slower to forget than the configuration says changes nothing. */
static void test_a_nat_that_forgets_soon_is_kept_open(void)
{
	uint64_t before, between, after;

	(void)begin(3);
	quic_net_settle(&p.net, 2 * NS_PER_S);
	before = sent_in_a_minute();
	quic_engine_set_nat_keepalive(p.a->engine, 6 * NS_PER_S, p.net.now_ns);
	between = sent_in_a_minute();
	quic_engine_set_nat_keepalive(p.a->engine, 96 * NS_PER_S, p.net.now_ns);
	after = sent_in_a_minute();
	printf("# %u, %u, %u datagrams a minute\n", (unsigned)before, (unsigned)between,
	       (unsigned)after);
	CHECK(before <= 6 && after <= 6);
	CHECK(between >= 9 && between <= 20);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_a_connection_in_use_beats_each_five_seconds_for_fifteen);
	RUN(test_a_connection_that_carried_nothing_does_not_beat);
	RUN(test_a_nat_that_forgets_soon_is_kept_open);
	return check_done();
}
