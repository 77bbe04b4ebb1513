/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over hours, over a partition, and between clocks that disagree. */
#include "mesh/mesh.h"
#include "quic/quic.h"
#include "support/check.h"
#include "support/sim.h"

#define YEAR_S 31536000

static const struct mem_link good = {.delay_ns = 20 * NS_PER_MS, .loss_per_1000 = 10};

static struct sim sim;

/* --- connecting --- */

static unsigned connected_cnt, refused_cnt;

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	connected_cnt += err == 0;
	refused_cnt += err < 0;
}

static bool all_connected(void *arg)
{
	return connected_cnt + refused_cnt == *(const unsigned *)arg;
}

static bool node_connect(struct sim_node *from, const struct sim_node *to)
{
	struct mesh_peer peer = {.addrs = &to->addr, .addr_cnt = 1};

	memcpy(peer.key, node_key_public(to->key), sizeof(peer.key));
	sim_wake(from);
	return mesh_connect(node_mesh(from->node),
			    &(struct mesh_connect){.peer = &peer,
						   .timeout_ns = 60 * NS_PER_S,
						   .done = connect_done,
						   .arg = NULL},
			    sim.now_ns) == 0;
}

static struct mesh_peer_info peer_of(const struct sim_node *node)
{
	struct mesh_peer_info info = {0};

	(void)mesh_peers_next(node_mesh(node->node), &(struct mesh_walk){0}, &info);
	return info;
}

/* --- hours --- */

#define IDLE_NODES 200
#define IDLE_HOURS 2

static void test_two_hundred_idle_sessions_stay_up_for_hours(void)
{
	unsigned want = IDLE_NODES;
	struct mesh_stats mesh;
	struct quic_stats quic;
	uint64_t accepted_cnt, turn_cnt;

	sim_init(&sim, sim_seed(1), &good);
	connected_cnt = refused_cnt = 0;
	for (unsigned i = 0; i <= IDLE_NODES; i++) {
		struct sim_node *node = sim_add(&sim);

		node->config.quic.conn_cap = i ? 4 : IDLE_NODES;
		node->config.mesh.session_cap = i ? 4 : IDLE_NODES;
		sim_start(node);
		if (i)
			CHECK(node_connect(node, &sim.nodes[0]));
	}
	CHECK(sim_run(&sim, 60 * NS_PER_S, all_connected, &want));
	CHECK_EQ(connected_cnt, IDLE_NODES);
	/* A dial that is renewed may be accepted twice; no session is made again after that. */
	sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
	quic_engine_stats(node_quic(sim.nodes[0].node), &quic);
	accepted_cnt = quic.accepted_cnt;
	turn_cnt = sim.turn_cnt;
	sim_run(&sim, IDLE_HOURS * 3600 * NS_PER_S, NULL, NULL);
	mesh_stats(node_mesh(sim.nodes[0].node), &mesh);
	quic_engine_stats(node_quic(sim.nodes[0].node), &quic);
	sim_report(&sim, "idle sessions");
	turn_cnt = (sim.turn_cnt - turn_cnt) / IDLE_NODES / IDLE_HOURS;
	printf("# %" PRIu64 " turns for each session and hour\n", turn_cnt);
	CHECK_EQ(mesh.session_cnt, IDLE_NODES);
	CHECK_EQ(quic.accepted_cnt, accepted_cnt);
	CHECK_EQ(quic.idle_timeout_cnt, 0);
	/* 180 times an hour both ends ask and answer: about a dozen turns, and no more. */
	CHECK(turn_cnt >= 2 * 180);
	CHECK(turn_cnt < 14 * 180);
	sim_fini(&sim);
}

/* --- a partition --- */

struct half {
	const struct sim_node *node;
	uint64_t id;
};

static bool is_half_done(void *arg)
{
	const struct half *half = arg;
	const struct blobs_get *get = sim_get(half->node, half->id);

	return get->byte_cnt && get->byte_done_cnt * 2 >= get->byte_cnt;
}

static void test_partition_in_a_get_heals(void)
{
	/* Within the idle time, beyond it, and beyond a get's patience with a first dial. */
	static const uint64_t cut_s[] = {10, 70, 100};

	for (size_t i = 0; i < 3 && !check_failed; i++) {
		const struct blobs_get *get;
		struct sim_node *getter;
		struct half half;
		struct link link;

		sim_init(&sim, sim_seed(i + 1), &good);
		sim_start(sim_add(&sim));
		getter = sim_add(&sim);
		sim_start(getter);
		sim_tree_make(&sim.dice, sim_path(&sim, "in"), 28);
		sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
		half.node = getter;
		half.id = sim_get_start(getter, &link, sim_path(&sim, "out"));
		CHECK(sim_run(&sim, 60 * NS_PER_S, is_half_done, &half));
		sim_set_group(getter, 1);
		sim_run(&sim, cut_s[i] * NS_PER_S, NULL, NULL);
		CHECK(sim_get(getter, half.id)->state == BLOBS_GET_RECEIVING);
		sim_set_group(getter, 0);
		get = sim_get_run(getter, half.id, 120 * NS_PER_S);
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
		/* What was there was not fetched twice: only what was under way. */
		CHECK(get->received_byte_cnt < get->byte_cnt + get->byte_cnt / 2);
		CHECK(sim_tree_equal(sim_path(&sim, "in"), sim_path(&sim, "out")));
		sim_report(&sim, "partition");
		sim_fini(&sim);
	}
}

/* --- clocks --- */

static bool is_near(int64_t got, int64_t want)
{
	return got >= want - 2 && got <= want + 2;
}

static void test_clock_a_year_off_is_reported_and_harmless(void)
{
	const struct blobs_get *get;
	struct mesh_stats stats;
	struct sim_node *late;
	struct link link;

	sim_init(&sim, sim_seed(1), &good);
	connected_cnt = refused_cnt = 0;
	sim_start(sim_add(&sim));
	late = sim_add(&sim);
	late->wall_skew_s = -YEAR_S;
	sim_start(late);
	sim_tree_make(&sim.dice, sim_path(&sim, "in"), 8);
	sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
	CHECK(node_connect(late, &sim.nodes[0]));
	sim_run(&sim, 600 * NS_PER_S, NULL, NULL);
	CHECK_EQ(connected_cnt, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct mesh_peer_info peer = peer_of(&sim.nodes[i]);

		CHECK(peer.is_connected);
		CHECK(is_near(peer.skew_s, i ? YEAR_S : -YEAR_S));
		mesh_stats(node_mesh(sim.nodes[i].node), &stats);
		CHECK_EQ(stats.skew_cnt, 1);
	}
	get = sim_get_run(late, sim_get_start(late, &link, sim_path(&sim, "out")), 60 * NS_PER_S);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(sim_tree_equal(sim_path(&sim, "in"), sim_path(&sim, "out")));
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_two_hundred_idle_sessions_stay_up_for_hours);
	RUN(test_partition_in_a_get_heals);
	RUN(test_clock_a_year_off_is_reported_and_harmless);
	return check_done();
}
