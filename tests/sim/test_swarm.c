/* SPDX-License-Identifier: Apache-2.0 */
/* Many nodes get one collection from one node that is not always there. */
#include "support/check.h"
#include "support/converge.h"
#include "support/sim.h"

#define NODES	    50 /* the sharer is node 0 */
#define FILES	    28
#define SHARES	    2
#define CRASHES	    40
#define DOWN_MS	    4000	      /* at most */
#define END_NS	    (1800 * NS_PER_S) /* of the crashes */
#define CONVERGE_NS (120 * NS_PER_S)  /* after the last one; seed 1: 4.6 s */

static const struct mem_link lossy = {
	.delay_ns = 10 * NS_PER_MS,
	.jitter_ns = 5 * NS_PER_MS,
	.loss_per_1000 = 50,
};

static struct sim sim;

static struct {
	uint64_t id;
	bool was_finished;
	uint64_t up_ns; /* while down: when it starts again */
} gets[NODES];
static struct link link;
static unsigned crash_cnt, sharer_crash_cnt, mid_crash_cnt, lost_cnt, resume_cnt;
static uint64_t next_crash_ns;

static const char *target_of(unsigned idx)
{
	char name[16];

	snprintf(name, sizeof(name), "out%02u", idx);
	return sim_path(&sim, name);
}

static unsigned share_cnt(const struct sim_node *node)
{
	struct blobs_share_iter iter = {.content = node_content(node->node)};
	struct blobs_share share;
	unsigned cnt = 0;

	while (blobs_shares_next(&iter, &share))
		cnt++;
	return cnt;
}

/* What a node acknowledged before it crashed is there when it is back. */
static void node_comes_back(unsigned idx)
{
	const struct blobs_get *get;

	sim_start(&sim.nodes[idx]);
	gets[idx].up_ns = 0;
	if (idx == 0) {
		lost_cnt += share_cnt(&sim.nodes[0]) != SHARES;
		return;
	}
	get = sim_get(&sim.nodes[idx], gets[idx].id);
	if (!get || (gets[idx].was_finished && get->state != BLOBS_GET_FINISHED)) {
		printf("# node %u lost its get\n", idx);
		lost_cnt++;
	}
}

/* Every tenth crash is the sharer's. */
static void crash_one(void)
{
	unsigned idx = crash_cnt % 10 == 4 ? 0 : 1 + (unsigned)random_below(&sim.dice, NODES - 1);

	next_crash_ns = sim.now_ns + random_below(&sim.dice, 400 * NS_PER_MS);
	if (!sim.nodes[idx].node)
		return;
	sim_crash(&sim.nodes[idx]);
	gets[idx].up_ns = sim.now_ns + NS_PER_MS * (1 + random_below(&sim.dice, DOWN_MS));
	crash_cnt++;
	sharer_crash_cnt += idx == 0;
	mid_crash_cnt += idx > 0 && !gets[idx].was_finished;
}

/* What a user does about a get that stopped because the sharer was away. */
static void get_resume(unsigned idx)
{
	if (blobs_get_resume(node_content(sim.nodes[idx].node), gets[idx].id, sim.now_ns) < 0)
		return;
	resume_cnt++;
	sim_wake(&sim.nodes[idx]);
}

/* Its get has what was asked for; a node that is due to come back does, and a get that stopped goes on. */
static bool node_has_it(void *arg, unsigned idx, char why[static CONVERGE_WHY_CAP])
{
	const struct blobs_get *get;

	(void)arg;
	if (gets[idx].up_ns && sim.now_ns >= gets[idx].up_ns)
		node_comes_back(idx);
	if (!sim.nodes[idx].node) {
		snprintf(why, CONVERGE_WHY_CAP, "it is down");
		return false;
	}
	if (idx == 0)
		return true;
	get = sim_get(&sim.nodes[idx], gets[idx].id);
	if (!get) {
		snprintf(why, CONVERGE_WHY_CAP, "it has no get");
		return false;
	}
	gets[idx].was_finished |= get->state == BLOBS_GET_FINISHED;
	snprintf(why, CONVERGE_WHY_CAP, "its get is in state %d", (int)get->state);
	if (get->state == BLOBS_GET_STOPPED)
		get_resume(idx);
	return get->state == BLOBS_GET_FINISHED;
}

/* One look at all nodes, and a crash if it is time for one. */
static bool crashes_are_over(void *arg)
{
	char why[CONVERGE_WHY_CAP];

	if (crash_cnt < CRASHES && sim.now_ns >= next_crash_ns)
		crash_one();
	for (unsigned i = 0; i < NODES; i++)
		(void)node_has_it(arg, i, why);
	return crash_cnt == CRASHES;
}

static bool sim_passes(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return sim_run(world, for_ns, done, arg);
}

static void swarm_begin(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		struct sim_node *node = sim_add(&sim);

		if (i == 0) {
			node->config.quic.conn_cap = 128;
			node->config.quic.stream_cap = 2048;
			node->config.quic.heap_cap = 256 << 20;
			node->config.mesh.session_cap = 128;
			node->config.mesh.incoming_cap = 2048;
			node->config.content.chunk_buffer_cnt = 128;
		}
		sim_start(node);
	}
	sim_tree_make(&sim.dice, sim_path(&sim, "other"), 1);
	sim_share(&sim.nodes[0], sim_path(&sim, "other"), &link);
	printf("# %" PRIu64 " bytes\n", sim_tree_make(&sim.dice, sim_path(&sim, "in"), FILES));
	sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
	for (unsigned i = 1; i < NODES; i++)
		gets[i].id = sim_get_start(&sim.nodes[i], &link, target_of(i));
	/* A get is acknowledged when it is durable: one turn later. */
	next_crash_ns = sim.now_ns + 100 * NS_PER_MS;
}

static void test_fifty_nodes_fetch_under_loss_and_crashes(void)
{
	const struct converge ask = {
		.what = "every node has the whole collection",
		.part_cnt = NODES,
		.part_name = "node",
		.holds = node_has_it,
		.within_ns = CONVERGE_NS,
		.run = sim_passes,
		.world = &sim,
	};
	unsigned whole_cnt = 0;
	uint64_t took_ns;

	sim_init(&sim, sim_seed(1), &lossy);
	swarm_begin();
	CHECK(sim_run(&sim, END_NS, crashes_are_over, NULL));
	CHECK(converge(&ask, &sim.now_ns, &took_ns));
	for (unsigned i = 1; i < NODES; i++)
		whole_cnt += sim_tree_equal(sim_path(&sim, "in"), target_of(i));
	sim_report(&sim, "swarm");
	printf("# %u crashes, %u in a get, %u of the sharer; %u gets stopped and resumed\n",
	       crash_cnt, mid_crash_cnt, sharer_crash_cnt, resume_cnt);
	printf("# all have it %.1f s after the last crash\n", (double)took_ns / NS_PER_S);
	CHECK_EQ(whole_cnt, NODES - 1);
	CHECK_EQ(lost_cnt, 0);
	CHECK_EQ(share_cnt(&sim.nodes[0]), SHARES);
	/* The run is what its name says. */
	CHECK_EQ(crash_cnt, CRASHES);
	CHECK(mid_crash_cnt >= 10);
	CHECK(sharer_crash_cnt >= 2);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_fifty_nodes_fetch_under_loss_and_crashes);
	return check_done();
}
