/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes with two direct paths, whose round trips the test sets. The session moves to a better one
 * by the thresholds of docs/paths.md, and does not swing.
 *
 *     end 5.1.0.1 ------- 5.2.0.1 end
 *         5.1.0.2 ------- 5.2.0.2
 */
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define CHECK_NS (60 * NS_PER_S)

static const struct mem_link even = {.delay_ns = NS_PER_MS};

static struct sim sim;
static struct sim_node *ends[2];
/* Round trips of the two paths beyond that of the link, 2 ms; 0 of the second: it swings by swing_ns. */
static uint64_t rtt_ns[2], swing_ns;
static bool is_cut[2];

static struct addr at(unsigned end, unsigned path)
{
	struct addr addr = ends[end]->addr;

	addr.ip[3] = (uint8_t)(path + 1);
	return addr;
}

static bool host_is(const struct addr *addr, unsigned end, unsigned path)
{
	struct addr host = at(end, path);

	return addr_is_same_host(addr, &host);
}

/* What goes to the second address of a node comes from the second one of the other. */
static bool on_leave(void *ctx, struct addr *from, const struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	for (unsigned i = 0; i < 2; i++)
		if (host_is(to, i, 1))
			from->ip[3] = 2;
	return true;
}

static bool on_arrive(void *ctx, const struct addr *from, struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)from, (void)now_ns;
	to->ip[3] = 1;
	return true;
}
static const struct mem_router_ops router = {.leave = on_leave, .arrive = on_arrive};

static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	unsigned path = host_is(to, 0, 1) || host_is(to, 1, 1);
	uint64_t more_ns = rtt_ns[path] / 2;

	(void)ctx, (void)from;
	if (is_cut[path])
		return MEM_LOST;
	if (path && now_ns / (20 * NS_PER_S) % 2)
		more_ns += swing_ns / 2;
	return more_ns;
}

/* The session begins on the first path. */
static void begin(uint64_t seed, uint64_t first_ns, uint64_t second_ns)
{
	sim_init(&sim, sim_seed(seed), &even);
	net_mem_net_set_router(sim.net, &router, NULL);
	net_mem_net_set_fate(sim.net, on_fate, NULL);
	rtt_ns[0] = first_ns;
	rtt_ns[1] = second_ns;
	swing_ns = 0;
	is_cut[0] = is_cut[1] = false;
	for (unsigned i = 0; i < 2; i++) {
		ends[i] = sim_add(&sim);
		memcpy(ends[i]->addr.ip, (const uint8_t[]){5, (uint8_t)(i + 1), 0, 1}, 4);
		ends[i]->config.udp.listen[0] = ends[i]->addr;
	}
	for (unsigned path = 0; path < 2; path++)
		ends[1]->config.advertise[path] = at(1, path);
	ends[1]->config.advertise_cnt = 2;
	for (unsigned i = 0; i < 2; i++)
		sim_start(ends[i]);
	CHECK_EQ(sim_reach(ends[0], ends[1], true)->err, 0);
}

static bool answers(unsigned from)
{
	return sim_is_answered(sim_ask(ends[from], ends[!from], MESH_OBSERVED_ADDR, 5 * NS_PER_S));
}

/* The session is in use for so long. Requests of either end are answered. */
static void use(uint64_t for_ns)
{
	unsigned failed_cnt = 0;

	for (uint64_t end_ns = sim.now_ns + for_ns; sim.now_ns < end_ns;) {
		for (unsigned i = 0; i < 2; i++)
			failed_cnt += !answers(i);
		sim_run(&sim, 2 * NS_PER_S, NULL, NULL);
	}
	CHECK_EQ(failed_cnt, 0);
}

static unsigned path_of(unsigned end)
{
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node_mesh(ends[end]->node), node_key_public(ends[!end]->key),
				     &path))
		return UINT32_MAX;
	return path.remote.ip[3] - 1u;
}

static unsigned moves(void)
{
	struct punch_stats stats;

	punch_stats(ends[0]->node->punch, &stats);
	return (unsigned)stats.better_cnt;
}

static void test_a_path_that_becomes_better_is_used_within_the_check(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN];

	begin(1, 38 * NS_PER_MS, 38 * NS_PER_MS);
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[0]),
		 0);
	use(90 * NS_PER_S);
	CHECK_EQ(moves(), 0);
	rtt_ns[1] -= 5 * NS_PER_MS;
	use(CHECK_NS + 4 * NS_PER_S);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(path_of(i), 1);
	CHECK_EQ(moves(), 1);
	/* And back. */
	rtt_ns[0] -= 15 * NS_PER_MS;
	use(CHECK_NS + 4 * NS_PER_S);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(path_of(i), 0);
	CHECK_EQ(moves(), 2);
	CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key), ids[1]),
		 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	sim_fini(&sim);
}

static void test_a_path_that_is_less_than_five_milliseconds_better_is_not(void)
{
	begin(2, 38 * NS_PER_MS, 34 * NS_PER_MS);
	use(300 * NS_PER_S);
	CHECK_EQ(moves(), 0);
	sim_fini(&sim);
}

static void test_a_path_of_ten_milliseconds_is_good_enough(void)
{
	begin(3, 8 * NS_PER_MS, 0);
	use(300 * NS_PER_S);
	CHECK_EQ(moves(), 0);
	sim_fini(&sim);
}

/* Twice as far as the threshold, each 20 s. */
static void test_round_trips_that_swing_move_the_session_once_at_most(void)
{
	begin(4, 38 * NS_PER_MS, 28 * NS_PER_MS);
	swing_ns = 20 * NS_PER_MS;
	use(600 * NS_PER_S);
	printf("# %u moves\n", moves());
	CHECK(moves() <= 1);
	sim_fini(&sim);
}

static void test_a_session_that_nothing_uses_sends_no_probes(void)
{
	struct punch_stats first, last;

	begin(5, 38 * NS_PER_MS, 28 * NS_PER_MS);
	sim_run(&sim, 120 * NS_PER_S, NULL, NULL);
	punch_stats(ends[0]->node->punch, &first);
	sim_run(&sim, 600 * NS_PER_S, NULL, NULL);
	punch_stats(ends[0]->node->punch, &last);
	CHECK_EQ(first.sent_cnt, last.sent_cnt);
	sim_fini(&sim);
}

/* There is no relay: the other path was kept warm, and takes over in the same session. */
static void test_a_path_that_breaks_is_left_for_the_other_one(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN];
	uint64_t asked_ns;

	for (unsigned from = 0; from < 2; from++) {
		begin(7 + from, 38 * NS_PER_MS, 38 * NS_PER_MS);
		use(30 * NS_PER_S);
		CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key),
					 ids[0]),
			 0);
		is_cut[0] = true;
		asked_ns = sim.now_ns;
		CHECK(answers(from));
		printf("# end %u is answered after %u ms\n", from,
		       (unsigned)((sim.now_ns - asked_ns) / NS_PER_MS));
		CHECK(sim.now_ns - asked_ns < (from ? 6000 : 800) * NS_PER_MS);
		CHECK_EQ(path_of(0), 1);
		CHECK_EQ(mesh_session_id(node_mesh(ends[0]->node), node_key_public(ends[1]->key),
					 ids[1]),
			 0);
		CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
		sim_fini(&sim);
	}
}

/* Each move takes an id of either end's, and gives it back: more than three times as many as there are. */
static void test_a_session_moves_twenty_times(void)
{
	begin(6, 38 * NS_PER_MS, 18 * NS_PER_MS);
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 5 && moves() == i; k++)
			use(30 * NS_PER_S);
		CHECK_EQ(moves(), i + 1);
		use(4 * NS_PER_S);
		for (unsigned end = 0; end < 2; end++)
			CHECK_EQ(path_of(end), !(i & 1));
		rtt_ns[0] = (i & 1 ? 38 : 18) * NS_PER_MS;
		rtt_ns[1] = (i & 1 ? 18 : 38) * NS_PER_MS;
	}
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_path_that_becomes_better_is_used_within_the_check);
	RUN(test_a_path_that_is_less_than_five_milliseconds_better_is_not);
	RUN(test_a_path_of_ten_milliseconds_is_good_enough);
	RUN(test_round_trips_that_swing_move_the_session_once_at_most);
	RUN(test_a_session_that_nothing_uses_sends_no_probes);
	RUN(test_a_path_that_breaks_is_left_for_the_other_one);
	RUN(test_a_session_moves_twenty_times);
	return check_done();
}
