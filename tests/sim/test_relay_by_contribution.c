/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose contribution decides takes the role of a relay, says so to its peers, and leaves it.
 * Its peers are in other networks, and one of them writes to it first, so it is direct.
 */
#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "relay/flow_messages.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define PEERS 3u
/* docs/paths.md: reachability takes so long at a start. */
#define DIRECT_NS (60 * NS_PER_S)
/* Judged each minute, and HELLO has it a moment later. */
#define JUDGED_NS (62 * NS_PER_S)

static const struct mem_link even = {.delay_ns = 10 * NS_PER_MS};

static struct sim sim;
static struct sim_node *node, *peers[PEERS];

static struct sim_node *place(const uint8_t ip[4])
{
	struct sim_node *placed = sim_add(&sim);

	memcpy(placed->addr.ip, ip, 4);
	placed->config.udp.listen[0] = placed->addr;
	return placed;
}

static bool is_direct(void *arg)
{
	(void)arg;
	return reachability_show(node_reachability(node->node))->kind == REACHABILITY_DIRECT;
}

static void peers_connect(void)
{
	for (unsigned i = 0; i + 1 < PEERS; i++) {
		CHECK_EQ(sim_reach(peers[i], peers[PEERS - 1], true)->err, 0);
		CHECK_EQ(sim_reach(node, peers[i], true)->err, 0);
	}
	CHECK(sim_run(&sim, DIRECT_NS, is_direct, NULL));
}

static void world_place(bool is_earned)
{
	sim_init(&sim, sim_seed(7), &even);
	node = place((const uint8_t[]){5, 0, 0, 1});
	node->asks_address = true;
	relay_config_defaults(&node->config.relay);
	relay_broker_config_defaults(&node->config.relay_broker);
	relay_messages_config_defaults(&node->config.relay_messages);
	node->config.relay.is_on = true;
	node->config.relay.is_earned = is_earned;
	node->config.relay.flow_cap = 64;
	for (uint8_t i = 0; i < PEERS; i++)
		peers[i] = place((const uint8_t[]){5, (uint8_t)(1 + i), 0, 1});
}

static void world_start(void)
{
	for (unsigned i = 0; i < sim.node_cnt; i++)
		sim_start(&sim.nodes[i]);
	peers_connect();
}

static void world_begin(bool is_earned)
{
	world_place(is_earned);
	world_start();
}

/* What peer was told in HELLO. */
static bool peer_sees_relay(const struct sim_node *peer)
{
	struct mesh_neighbour neighbour;

	return mesh_neighbour_ops.find(node_mesh(peer->node), node_key_public(node->key),
				       &neighbour) &&
	       neighbour.caps & MESH_CAP_RELAY;
}

static struct relay_role *role(void)
{
	return &node->node->relay_role;
}

static uint64_t wall_s(void)
{
	return node_wall_us(node->node) / 1000000;
}

/* Work of hours, as if it had been done. */
static void contribute(uint32_t flow_cnt)
{
	contribution_relayed(&role()->own, flow_cnt, 0, wall_s());
}

static void test_a_node_takes_the_role_says_so_and_leaves_it(void)
{
	world_begin(true);
	sim_run(&sim, JUDGED_NS, NULL, NULL);
	CHECK(!role()->is_relay);
	CHECK_EQ(role()->why, RELAY_ROLE_LITTLE);
	CHECK(!peer_sees_relay(peers[0]));
	contribute(12);
	sim_run(&sim, JUDGED_NS, NULL, NULL);
	CHECK(role()->is_relay);
	CHECK_EQ(role()->why, RELAY_ROLE_ENOUGH);
	CHECK(peer_sees_relay(peers[0]) && peer_sees_relay(peers[1]));
	role()->own = (struct contribution){.aged_s = wall_s()};
	sim_run(&sim, JUDGED_NS, NULL, NULL);
	CHECK(!role()->is_relay);
	CHECK(!peer_sees_relay(peers[0]) && !peer_sees_relay(peers[1]));
	CHECK_EQ(role()->stats.taken_cnt, 1);
	CHECK_EQ(role()->stats.left_cnt, 1);
	sim_fini(&sim);
}

static void test_its_contribution_survives_a_crash(void)
{
	uint64_t relays;

	world_begin(true);
	contribute(40);
	sim_run(&sim, 602 * NS_PER_S, NULL, NULL); /* it is kept each ten minutes */
	relays = role()->own.relays;
	sim_crash(node);
	sim_start(node);
	/* A minute more may be taken off it. */
	CHECK(role()->own.relays >= relays - relays / 1000 && role()->own.relays <= 40000000);
	/* It was a relay, so it is one at once, and stays one when others find that they can dial it. */
	CHECK(role()->is_relay);
	CHECK_EQ(role()->why, RELAY_ROLE_RESUMED);
	peers_connect();
	CHECK(peer_sees_relay(peers[0]));
	sim_run(&sim, JUDGED_NS, NULL, NULL);
	CHECK(role()->is_relay);
	CHECK_EQ(role()->why, RELAY_ROLE_ENOUGH);
	sim_fini(&sim);
}

/* The role is kept as it changes, and not each ten minutes alone. */
static void test_the_role_survives_a_crash_right_after_it_was_taken(void)
{
	world_begin(true);
	contribute(40);
	sim_run(&sim, JUDGED_NS, NULL, NULL);
	CHECK(role()->is_relay);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	sim_crash(node);
	sim_start(node);
	CHECK(role()->is_relay);
	sim_fini(&sim);
}

/* Others can write to it first, but no node finds it by its key where its record names relays alone. */
static void test_a_direct_node_whose_record_names_relays_alone_keeps_some(void)
{
	static const enum pkarr_publish publish[] = {PKARR_RELAY_ONLY, PKARR_DIRECT};

	for (unsigned i = 0; i < 2; i++) {
		world_place(false);
		node->config.relay.is_on = false;
		node->config.publish.policy.publish = publish[i];
		locate_mainline_config_defaults(&node->config.mainline);
		world_start();
		CHECK(is_direct(NULL));
		CHECK_EQ(relay_end_wants_kept(node->node->relay_end),
			 publish[i] == PKARR_RELAY_ONLY);
		sim_fini(&sim);
	}
}

static void test_a_relay_by_the_configuration_says_so_at_once(void)
{
	world_begin(false);
	CHECK(role()->is_relay);
	CHECK_EQ(role()->why, RELAY_ROLE_IS_ON);
	CHECK(peer_sees_relay(peers[0]));
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_node_takes_the_role_says_so_and_leaves_it);
	RUN(test_its_contribution_survives_a_crash);
	RUN(test_the_role_survives_a_crash_right_after_it_was_taken);
	RUN(test_a_direct_node_whose_record_names_relays_alone_keeps_some);
	RUN(test_a_relay_by_the_configuration_says_so_at_once);
	return check_done();
}
