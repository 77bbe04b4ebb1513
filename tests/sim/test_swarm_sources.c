/* SPDX-License-Identifier: Apache-2.0 */
/* One node gets from several, of which some go. */
#include <sys/stat.h>

#include "blobs/link.h"
#include "support/check.h"
#include "support/sim.h"

#define SEEDS	 5
#define FILE_LEN (24u << 20)
#define END_NS	 (600 * NS_PER_S)
/* Manifest and chunk list; much less than a chunk. */
#define LISTS_LEN 16384u

static const struct mem_link line = {
	.delay_ns = 5 * NS_PER_MS,
	.jitter_ns = 1 * NS_PER_MS,
};

static struct sim sim;
static struct link shared;
static struct link_node seeds[SEEDS];

static const char *target_of(unsigned idx)
{
	char name[16];

	snprintf(name, sizeof(name), "out%02u", idx);
	return sim_path(&sim, name);
}

static void file_make(void)
{
	static uint8_t bytes[FILE_LEN];

	random_fill(&sim.dice, bytes, sizeof(bytes));
	CHECK_EQ(mkdir(sim_path(&sim, "in"), 0755), 0);
	scratch_write(sim_path(&sim, "in/one.bin"), bytes, sizeof(bytes));
	sim_file_date(sim_path(&sim, "in/one.bin"), 0);
}

static void node_name(unsigned idx, struct link_node *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->key, node_key_public(sim.nodes[idx].key), sizeof(out->key));
	out->places.addr_cnt = 1;
	out->places.addrs[0] = sim.nodes[idx].addr;
}

/* Node 0 shares; the other seeds have got it from it. */
static bool seeds_make(unsigned cnt, unsigned getter_cnt)
{
	for (unsigned i = 0; i < cnt + getter_cnt; i++)
		sim_start(sim_add(&sim));
	file_make();
	sim_share(&sim.nodes[0], sim_path(&sim, "in/one.bin"), &shared);
	for (unsigned i = 0; i < cnt; i++)
		node_name(i, &seeds[i]);
	for (unsigned i = 1; i < cnt; i++) {
		uint64_t id = sim_get_start(&sim.nodes[i], &shared, target_of(i));
		const struct blobs_get *get = sim_get_run(&sim.nodes[i], id, END_NS);

		if (!get || get->state != BLOBS_GET_FINISHED)
			return false;
	}
	return true;
}

static uint64_t get_start(unsigned idx, unsigned seed_cnt)
{
	struct blobs_get_ask ask = {
		.manifest_id = shared.manifest_id,
		.nodes = seeds,
		.node_cnt = seed_cnt,
		.target = target_of(idx),
	};
	uint64_t id = 0;

	(void)!blobs_get_start(node_content(sim.nodes[idx].node), &ask, sim.now_ns, &id);
	sim_wake(&sim.nodes[idx]);
	return id;
}

struct watched {
	unsigned idx;
	uint64_t id;
	uint64_t byte_cnt;
};

static bool has_bytes(void *arg)
{
	const struct watched *watched = arg;
	const struct blobs_get *get = sim_get(&sim.nodes[watched->idx], watched->id);

	return get && (get->byte_done_cnt >= watched->byte_cnt || get->state >= BLOBS_GET_FINISHED);
}

/* Nothing that was verified is fetched a second time. */
static void check_arrived(unsigned idx, uint64_t id)
{
	const struct blobs_get *get = sim_get_run(&sim.nodes[idx], id, END_NS);

	CHECK(get);
	if (get->err)
		printf("# %s\n", get->detail);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, FILE_LEN);
	CHECK(get->received_byte_cnt >= FILE_LEN);
	CHECK(get->received_byte_cnt < FILE_LEN + LISTS_LEN);
	CHECK_EQ(get->bad_chunk_cnt, 0);
	CHECK(sim_tree_equal(sim_path(&sim, "in"), target_of(idx)));
}

static void test_two_of_five_sources_die_and_nothing_is_fetched_twice(void)
{
	struct watched watched = {.idx = SEEDS, .byte_cnt = FILE_LEN / 2};

	sim_init(&sim, sim_seed(11), &line);
	CHECK(seeds_make(SEEDS, 1));
	watched.id = get_start(SEEDS, SEEDS);
	CHECK(sim_run(&sim, END_NS, has_bytes, &watched));
	CHECK_EQ(sim_get(&sim.nodes[SEEDS], watched.id)->state, BLOBS_GET_RECEIVING);
	sim_crash(&sim.nodes[1]);
	sim_crash(&sim.nodes[3]);
	check_arrived(SEEDS, watched.id);
	sim_fini(&sim);
}

/* Of two sources one goes after so many bytes, from before the manifest to the last chunk. */
static void test_a_source_may_go_at_every_stage(void)
{
	for (unsigned stage = 0; stage <= 8 && !check_failed; stage++) {
		struct watched watched = {.idx = 2, .byte_cnt = (uint64_t)FILE_LEN / 8 * stage};

		sim_init(&sim, sim_seed(20 + stage), &line);
		CHECK(seeds_make(2, 1));
		watched.id = get_start(2, 2);
		CHECK(sim_run(&sim, END_NS, has_bytes, &watched));
		sim_crash(&sim.nodes[stage % 2]);
		check_arrived(2, watched.id);
		sim_fini(&sim);
	}
}

/* The last source goes, and comes back: what is there already is not asked for again. */
static void test_the_only_source_goes_and_comes_back(void)
{
	struct watched watched = {.idx = 1, .byte_cnt = FILE_LEN / 3};

	sim_init(&sim, sim_seed(30), &line);
	CHECK(seeds_make(1, 1));
	watched.id = get_start(1, 1);
	CHECK(sim_run(&sim, END_NS, has_bytes, &watched));
	sim_crash(&sim.nodes[0]);
	(void)sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
	sim_start(&sim.nodes[0]);
	check_arrived(1, watched.id);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_two_of_five_sources_die_and_nothing_is_fetched_twice);
	RUN(test_a_source_may_go_at_every_stage);
	RUN(test_the_only_source_goes_and_comes_back);
	return check_done();
}
