/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node behind a NAT that rebinds. Its session with a node outside goes on from another port. A
 * request is answered then within three round trips and 200 ms.
 */
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/mem_nat.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define DELAY_NS (20 * NS_PER_MS)
#define BOUND_MS (3u * 2 * 20 + 200)
#define SEED_CNT 5

static const struct mem_link even = {.delay_ns = DELAY_NS};
static const struct mem_nat_rule rules[] = {
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ENDPOINT_INDEPENDENT},
	{.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT, .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT},
};
#define RULE_CNT (sizeof(rules) / sizeof(rules[0]))

static struct sim sim;
static struct mem_nats nats;
static struct mem_nat nat;
static struct sim_node *inside, *outside;

static struct sim_node *place(const uint8_t ip[4])
{
	struct sim_node *placed = sim_add(&sim);

	memcpy(placed->addr.ip, ip, 4);
	placed->config.udp.listen[0] = placed->addr;
	return placed;
}

static void world_begin(uint64_t seed, const struct mem_nat_rule *rule)
{
	const struct addr public = {.ip = {5, 1, 0, 1}, .family = ADDR_IPV4};

	sim_init(&sim, sim_seed(seed), &even);
	memset(&nat, 0, sizeof(nat));
	mem_nats_init(&nats, sim.net);
	inside = place((const uint8_t[]){192, 168, 1, 2});
	outside = place((const uint8_t[]){5, 9, 0, 1});
	mem_nat_add(&nats, &nat, rule, &public, sim.seed);
	if (mem_nat_place(&nat, &inside->addr) < 0)
		abort();
	sim_start(inside);
	sim_start(outside);
	CHECK_EQ(sim_reach(inside, outside, true)->err, 0);
	sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
}

static uint16_t port_seen(void)
{
	struct mesh_path path = {.remote.port = 0};

	(void)mesh_neighbour_ops.path(node_mesh(outside->node), node_key_public(inside->key),
				      &path);
	return path.remote.port;
}

/* How long a request of from to the other one takes that is asked now, in milliseconds. */
static unsigned answer_ms(struct sim_node *from)
{
	uint64_t asked_ns = sim.now_ns;
	const struct sim_outcome *outcome =
		sim_ask(from, from == inside ? outside : inside, MESH_OBSERVED_ADDR, 30 * NS_PER_S);

	return sim_is_answered(outcome) ? (unsigned)((outcome->at_ns - asked_ns) / NS_PER_MS)
					: UINT32_MAX;
}

static void session_id(uint8_t id[static MESH_SESSION_ID_LEN])
{
	CHECK_EQ(mesh_session_id(node_mesh(inside->node), node_key_public(outside->key), id), 0);
}

static void test_a_rebinding_costs_less_than_three_round_trips_and_200_ms(void)
{
	static const uint64_t idle_ns[] = {NS_PER_S, 60 * NS_PER_S};
	uint8_t ids[2][MESH_SESSION_ID_LEN];
	unsigned worst_ms = 0, took_ms;
	uint16_t port;

	for (unsigned i = 0; i < SEED_CNT * RULE_CNT * 2; i++) {
		world_begin(1 + i, &rules[i % RULE_CNT]);
		session_id(ids[0]);
		sim_run(&sim, idle_ns[i / RULE_CNT % 2], NULL, NULL);
		port = port_seen();
		mem_nat_rebind(&nat, sim.now_ns);
		took_ms = answer_ms(inside);
		worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
		CHECK(took_ms < BOUND_MS);
		sim_run(&sim, 100 * NS_PER_MS, NULL, NULL); /* the new path is validated */
		CHECK(port_seen() != port);
		CHECK_EQ(answer_ms(outside), 2 * 20);
		session_id(ids[1]);
		CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
		sim_fini(&sim);
	}
	printf("# %u ms at most, of %u\n", worst_ms, BOUND_MS);
}

/*
 * The node outside asks into the void until the one inside sends by its new port, which is soon while
 * the session is in use.
 */
static void test_in_use_a_node_outside_is_answered_by_the_next_beat(void)
{
	unsigned worst_ms = 0, took_ms;

	for (unsigned i = 0; i < SEED_CNT * RULE_CNT; i++) {
		world_begin(100 + i, &rules[i % RULE_CNT]);
		for (unsigned ask = 0; ask < 10; ask++) {
			CHECK_EQ(answer_ms(outside), 2 * 20);
			sim_run(&sim, NS_PER_S, NULL, NULL);
		}
		mem_nat_rebind(&nat, sim.now_ns);
		took_ms = answer_ms(outside);
		worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
		sim_fini(&sim);
	}
	printf("# %u ms at most\n", worst_ms);
	CHECK(worst_ms <= 6000);
}

int main(void)
{
	RUN(test_a_rebinding_costs_less_than_three_round_trips_and_200_ms);
	RUN(test_in_use_a_node_outside_is_answered_by_the_next_beat);
	return check_done();
}
