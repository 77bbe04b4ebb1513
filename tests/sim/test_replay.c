/* SPDX-License-Identifier: Apache-2.0 */
/* One seed, one run: three nodes, twice. */
#include "support/check.h"
#include "support/sim.h"

#define GETTERS 2

static const struct mem_link rough = {
	.delay_ns = 15 * NS_PER_MS,
	.jitter_ns = 4 * NS_PER_MS,
	.loss_per_1000 = 20,
	.duplicate_per_1000 = 5,
	.reorder_per_1000 = 10,
};

static struct sim sim;

struct outcome {
	uint64_t trace, turns, end_ns;
	bool is_whole;
};

/* Two gets of one folder; one getter crashes and comes back. */
static struct outcome run(uint64_t seed)
{
	struct outcome outcome = {.is_whole = true};
	struct link link;
	uint64_t ids[GETTERS];

	sim_init(&sim, seed, &rough);
	for (unsigned i = 0; i < 1 + GETTERS; i++)
		sim_start(sim_add(&sim));
	sim_tree_make(&sim.dice, sim_path(&sim, "in"), 14);
	sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
	for (unsigned i = 0; i < GETTERS; i++)
		ids[i] = sim_get_start(&sim.nodes[1 + i], &link,
				       sim_path(&sim, i ? "out1" : "out0"));
	sim_run(&sim, 2 * NS_PER_S, NULL, NULL);
	sim_crash(&sim.nodes[1]);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	sim_start(&sim.nodes[1]);
	for (unsigned i = 0; i < GETTERS; i++) {
		const struct blobs_get *get =
			sim_get_run(&sim.nodes[1 + i], ids[i], 600 * NS_PER_S);

		outcome.is_whole &=
			get && get->state == BLOBS_GET_FINISHED &&
			sim_tree_equal(sim_path(&sim, "in"), sim_path(&sim, i ? "out1" : "out0"));
	}
	outcome.trace = net_mem_net_trace_hash(sim.net);
	outcome.turns = sim.turn_cnt;
	outcome.end_ns = sim.now_ns;
	sim_report(&sim, "three nodes");
	sim_fini(&sim);
	return outcome;
}

static void test_one_seed_replays_exactly(void)
{
	uint64_t seed = sim_seed(1);
	struct outcome first = run(seed), second = run(seed);

	CHECK(first.is_whole);
	CHECK_EQ(second.end_ns, first.end_ns);
	CHECK_EQ(second.turns, first.turns);
	CHECK_EQ(second.trace, first.trace);
}

static void test_another_seed_is_another_run(void)
{
	uint64_t seed = sim_seed(1);
	struct outcome first = run(seed), second = run(seed + 1);

	CHECK(first.is_whole);
	CHECK(second.is_whole);
	CHECK(second.trace != first.trace);
}

int main(void)
{
	RUN(test_one_seed_replays_exactly);
	RUN(test_another_seed_is_another_run);
	return check_done();
}
