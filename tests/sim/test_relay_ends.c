/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes whose datagrams do not reach each other, and a relay between them: they speak QUIC end
 * to end. The relay dies and comes back, and its links lose datagrams.
 */
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/fake_relay.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define DELAY_NS (20 * NS_PER_MS)
/* From one end to the other and back there are four legs. */
#define RTT_NS (4 * DELAY_NS)

static const struct mem_link even = {.delay_ns = DELAY_NS};
static const struct mem_link lossy = {.delay_ns = DELAY_NS, .loss_per_1000 = 10};

static struct sim sim;
static struct fake_relay relay;
static struct sim_node *ends[2], *middle;

static const struct sim_outcome *outcome; /* of the last request */

/* There is no direct way between the ends. */
static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	return addr_equal(from, &middle->addr) || addr_equal(to, &middle->addr) ? 0 : MEM_LOST;
}

/* A request of one end to the other; how long the answer took, or UINT64_MAX. */
static uint64_t ask(unsigned from, unsigned type, uint64_t timeout_ns)
{
	uint64_t asked_ns = sim.now_ns;

	outcome = sim_ask(ends[from], ends[!from], type, timeout_ns);
	return sim_is_answered(outcome) ? outcome->at_ns - asked_ns : UINT64_MAX;
}

static void relay_start(void)
{
	sim_start(middle);
	fake_relay_attach(&relay, middle);
}

static void world_begin(uint64_t seed, const struct mem_link *link)
{
	sim_init(&sim, sim_seed(seed), link);
	memset(&relay, 0, sizeof(relay));
	middle = sim_add(&sim);
	ends[0] = sim_add(&sim);
	ends[1] = sim_add(&sim);
	net_mem_net_set_fate(sim.net, on_fate, NULL);
	relay_start();
	sim_start(ends[0]);
	sim_start(ends[1]);
	CHECK_EQ(sim_reach(ends[0], middle, true)->err, 0);
	CHECK_EQ(sim_reach(ends[1], middle, true)->err, 0);
	sim_run(&sim, NS_PER_S, NULL, NULL);
}

static bool session_path(unsigned of, struct mesh_path *out_path)
{
	return mesh_neighbour_ops.path(node_mesh(ends[of]->node), node_key_public(ends[!of]->key),
				       out_path);
}

static void test_the_first_answer_comes_within_three_round_trips(void)
{
	struct mesh_path path;
	uint64_t took_ns;

	world_begin(3, &even);
	took_ns = ask(0, MESH_OBSERVED_ADDR, 10 * NS_PER_S);
	printf("# first answer after %.2f round trips\n", (double)took_ns / (double)RTT_NS);
	CHECK(took_ns <= 3 * RTT_NS);
	/* The asker is at a label, and the answerer does not name it. */
	CHECK_EQ(outcome->code, MESH_CODE_ABSENT);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(session_path(i, &path));
		CHECK(addr_is_relayed(&path.remote));
		CHECK(addr_is_relayed(&path.local));
	}
	CHECK(relay.forwarded_cnt > 4);
	sim_report(&sim, "by a relay");
	sim_fini(&sim);
}

static void test_it_takes_one_more_without_a_session_with_the_relay(void)
{
	struct mesh_neighbour neighbour;
	uint64_t took_ns;

	world_begin(4, &even);
	sim_crash(middle);
	relay_start();
	sim_run(&sim, 90 * NS_PER_S, NULL, NULL); /* nothing is asked, so it is noticed late */
	CHECK_EQ(sim_reach(ends[1], middle, true)->err, 0);
	CHECK(mesh_neighbour_ops.find(node_mesh(ends[0]->node), node_key_public(middle->key),
				      &neighbour));
	CHECK(neighbour.caps & MESH_CAP_RELAY);
	CHECK(!neighbour.is_connected);
	took_ns = ask(0, MESH_OBSERVED_ADDR, 10 * NS_PER_S);
	printf("# without a session with the relay %.2f\n", (double)took_ns / (double)RTT_NS);
	CHECK(took_ns <= 4 * RTT_NS);
	sim_fini(&sim);
}

static void test_content_is_refused_by_both_ends(void)
{
	world_begin(5, &even);
	CHECK_EQ(sim_reach(ends[0], ends[1], false)->err, 0);
	CHECK(ask(0, MESH_GET_CHUNK, 10 * NS_PER_S) < RTT_NS);
	CHECK_EQ(outcome->err, WEFT_EREFUSED);
	sim_fini(&sim);
}

static void test_no_label_is_kept_or_sent(void)
{
	struct mesh_peer_info peer;
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	struct addr addrs[4];

	world_begin(6, &even);
	CHECK_EQ(sim_reach(ends[0], ends[1], false)->err, 0);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(mesh_neighbour_ops.find(node_mesh(ends[i]->node),
					      node_key_public(ends[!i]->key), &neighbour));
		CHECK(neighbour.is_connected);
		CHECK(!addr_is_relayed(&neighbour.remote));
		CHECK_EQ(mesh_neighbour_addrs(&neighbour, addrs, 4), neighbour.addr_cnt);
	}
	sim_crash(ends[1]);
	sim_run(&sim, 300 * NS_PER_S, NULL, NULL);
	while (mesh_peers_next(node_mesh(ends[0]->node), &walk, &peer))
		CHECK(peer.is_connected || !addr_is_relayed(&peer.last_addr));
	sim_fini(&sim);
}

/* Both ends ask each other all the time; how long after the relay's start an answer came. */
static uint64_t restart(uint64_t down_ns)
{
	uint64_t back_ns;

	sim_crash(middle);
	for (uint64_t end_ns = sim.now_ns + down_ns; sim.now_ns < end_ns;)
		(void)ask(0, MESH_OBSERVED_ADDR, 100 * NS_PER_MS);
	relay_start();
	back_ns = sim.now_ns;
	while (sim.now_ns < back_ns + 20 * NS_PER_S)
		if (ask(0, MESH_OBSERVED_ADDR, NS_PER_S) != UINT64_MAX)
			return outcome->at_ns - back_ns;
	return UINT64_MAX;
}

static void test_a_restart_of_the_relay_is_over_in_two_seconds(void)
{
	static const uint64_t downs_ms[] = {1, 300, 1500, 5000};
	struct mesh_path before, after;
	uint8_t ids[2][MESH_SESSION_ID_LEN];

	world_begin(7, &even);
	CHECK(ask(0, MESH_OBSERVED_ADDR, 10 * NS_PER_S) != UINT64_MAX);
	CHECK(session_path(0, &before));
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[0]),
		 0);
	for (unsigned i = 0; i < sizeof(downs_ms) / sizeof(downs_ms[0]); i++) {
		uint64_t took_ns = restart(downs_ms[i] * NS_PER_MS);

		printf("# down for %u ms, answers again after %u ms\n", (unsigned)downs_ms[i],
		       (unsigned)(took_ns / NS_PER_MS));
		CHECK(took_ns < 2 * NS_PER_S);
		CHECK(session_path(0, &after));
		CHECK(addr_equal(&before.remote, &after.remote));
		sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
	}
	/* It is the same session: QUIC has seen nothing. */
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[1]),
		 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	sim_fini(&sim);
}

/* The longest packet that QUIC found to pass between the ends. */
static uint64_t pmtu_len(unsigned of)
{
	struct mesh_walk walk = {0};
	struct mesh_peer_info peer;

	while (mesh_peers_next(node_mesh(ends[of]->node), &walk, &peer))
		if (memcmp(peer.key, node_key_public(ends[!of]->key), MESH_KEY_LEN) == 0)
			return peer.conn.pmtu_len;
	return 0;
}

static void test_packets_are_no_longer_than_the_flow_carries(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN];
	struct mesh_path before, after;

	world_begin(10, &even);
	CHECK(ask(0, MESH_OBSERVED_ADDR, 10 * NS_PER_S) != UINT64_MAX);
	sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	CHECK_EQ(pmtu_len(0), 1436);
	CHECK_EQ(pmtu_len(1), 1436);
	CHECK(session_path(0, &before));
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[0]),
		 0);
	/* The relay is back with a leg that carries less: the same session, on another label. */
	relay.mtu = 1300;
	CHECK(restart(300 * NS_PER_MS) < 2 * NS_PER_S);
	sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < 20; i++)
		CHECK(ask(i & 1, MESH_OBSERVED_ADDR, 10 * NS_PER_S) != UINT64_MAX);
	CHECK(session_path(0, &after));
	CHECK(!addr_equal(&before.remote, &after.remote));
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[1]),
		 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	CHECK(pmtu_len(0) >= 1200 && pmtu_len(0) <= 1300);
	CHECK(pmtu_len(1) >= 1200 && pmtu_len(1) <= 1300);
	sim_fini(&sim);
}

static void test_a_lossy_relay_carries_all(void)
{
	unsigned answered_cnt = 0;

	world_begin(8, &lossy);
	for (unsigned i = 0; i < 200; i++)
		answered_cnt += ask(i & 1, MESH_OBSERVED_ADDR, 10 * NS_PER_S) != UINT64_MAX;
	CHECK_EQ(answered_cnt, 200);
	sim_fini(&sim);
}

static void test_an_end_that_accepts_none_is_not_reached(void)
{
	struct mesh_path path;

	world_begin(9, &even);
	sim_crash(ends[1]);
	ends[1]->config.relay_end.accept = RELAY_ACCEPT_NONE;
	sim_start(ends[1]);
	CHECK_EQ(sim_reach(ends[1], middle, true)->err, 0);
	CHECK_EQ(sim_reach(ends[0], ends[1], false)->err, WEFT_EUNREACHABLE);
	CHECK(!session_path(0, &path));
	/* It may still open flows itself. */
	CHECK_EQ(sim_reach(ends[1], ends[0], false)->err, 0);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_the_first_answer_comes_within_three_round_trips);
	RUN(test_it_takes_one_more_without_a_session_with_the_relay);
	RUN(test_content_is_refused_by_both_ends);
	RUN(test_no_label_is_kept_or_sent);
	RUN(test_a_restart_of_the_relay_is_over_in_two_seconds);
	RUN(test_packets_are_no_longer_than_the_flow_carries);
	RUN(test_a_lossy_relay_carries_all);
	RUN(test_an_end_that_accepts_none_is_not_reached);
	return check_done();
}
