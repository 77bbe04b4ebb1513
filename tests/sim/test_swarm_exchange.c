/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several nodes get one collection from one node, all at once. They know it
 * alone, hear of each other from it and give to each other, so it need send
 * little more than one copy.
 */
#include <sys/stat.h>

#include "blobs/link.h"
#include "support/check.h"
#include "support/sim.h"

#define GETTERS	  5
#define FILE_LEN  (48u << 20)
#define FILES	  512u
#define SMALL_LEN (96u << 10)
#define END_NS	  (600 * NS_PER_S)

/* 30 Mbit/s, as homes have it: a copy takes 13 s, so news of each other comes soon. */
static const struct mem_link line = {
	.delay_ns = 10 * NS_PER_MS,
	.jitter_ns = NS_PER_MS,
	.rate_bytes_per_s = 3750000,
};

static struct sim sim;
static uint64_t gets[1 + GETTERS];

static const char *target_of(unsigned idx)
{
	char name[16];

	snprintf(name, sizeof(name), "out%02u", idx);
	return sim_path(&sim, name);
}

static void file_make(const char *name, size_t len)
{
	uint8_t *bytes = malloc(len);

	random_fill(&sim.dice, bytes, len);
	scratch_write(sim_path(&sim, name), bytes, len);
	sim_file_date(sim_path(&sim, name), 0);
	free(bytes);
}

static bool all_are_over(void *arg)
{
	bool is_over = true;

	(void)arg;
	for (unsigned i = 1; i <= GETTERS; i++) {
		const struct blobs_get *get = sim_get(&sim.nodes[i], gets[i]);

		is_over &= get && get->state >= BLOBS_GET_FINISHED;
	}
	return is_over;
}

static void nodes_start(void)
{
	for (unsigned i = 0; i <= GETTERS; i++) {
		struct sim_node *node = sim_add(&sim);

		node->config.content.chunk_buffer_cnt = 128;
		node->config.quic.heap_cap = 128 << 20;
		sim_start(node);
	}
	CHECK_EQ(mkdir(sim_path(&sim, "in"), 0755), 0);
}

/* All get "in", which is len bytes, from node 0, which sends at most so many copies of it. */
static void check_copies(const char *what, size_t len, double copies_max)
{
	double copy_s = (double)len / (double)line.rate_bytes_per_s, copies;
	struct blobs_stats stats;
	uint64_t began_ns;
	struct link link;

	sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
	began_ns = sim.now_ns;
	for (unsigned i = 1; i <= GETTERS; i++)
		gets[i] = sim_get_start(&sim.nodes[i], &link, target_of(i));
	CHECK(sim_run(&sim, END_NS, all_are_over, NULL));
	for (unsigned i = 1; i <= GETTERS; i++)
		CHECK(sim_tree_equal(sim_path(&sim, "in"), target_of(i)));
	blobs_stats(node_content(sim.nodes[0].node), &stats);
	copies = (double)stats.served_byte_cnt / (double)len;
	printf("# %s: %.2f copies sent, in %.2f times what one takes the line\n", what, copies,
	       (double)(sim.now_ns - began_ns) / NS_PER_S / copy_s);
	CHECK(copies <= copies_max);
}

static void test_a_source_sends_little_more_than_one_copy_to_five(void)
{
	sim_init(&sim, sim_seed(40), &line);
	nodes_start();
	file_make("in/one", FILE_LEN);
	check_copies("one file", FILE_LEN, 1.5);
	sim_fini(&sim);
}

static void test_small_files_are_given_on_as_well(void)
{
	char name[16];

	sim_init(&sim, sim_seed(41), &line);
	nodes_start();
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "in/%03u", i);
		file_make(name, SMALL_LEN);
	}
	check_copies("small files", (size_t)FILES * SMALL_LEN, 1.5);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_small_files_are_given_on_as_well);
	RUN(test_a_source_sends_little_more_than_one_copy_to_five);
	return check_done();
}
