/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node behind a NAT is reached by its key alone: its address record, on the DHT, names the relays
 * that it keeps sessions with. They die, and it is reached by others.
 *
 *     end 192.168.1.2 -- NAT 5.0.0.1 -- relays and nodes of the DHT -- NAT 5.0.0.2 -- asker
 */
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/fake_relay.h"
#include "support/mem_nat.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define DELAY_NS (20 * NS_PER_MS)
#define CROWD	 10 /* of the DHT */
#define RELAYS	 4
/* Looking a key up, the relay's session, the flow and two handshakes. */
#define FIRST_MAX_MS 1500
/* A silent relay is noticed after a second; the record names another. */
#define MOVED_MAX_MS 3000
/* The end notices that its relays are silent after 15 s at most, and publishes others. */
#define LOST_MAX_MS 30000

static const struct mem_link even = {.delay_ns = DELAY_NS};
static const struct mem_nat_rule strict = {
	.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
};

static struct sim sim;
static struct mem_nats nats;
static struct mem_nat yards[2];
static struct fake_relay relays[RELAYS];
static struct sim_node *middles[RELAYS], *end, *asker;

static const struct sim_outcome *outcome; /* of the last question */

/* --- the place --- */

static struct sim_node *place(uint8_t a, uint8_t b, uint8_t d)
{
	struct sim_node *node = sim_add(&sim);

	node->addr.ip[0] = a;
	node->addr.ip[1] = b;
	node->addr.ip[2] = 1;
	node->addr.ip[3] = d;
	node->config.udp.listen[0] = node->addr;
	locate_mainline_config_defaults(&node->config.mainline);
	snprintf(node->config.mainline.bootstrap, sizeof(node->config.mainline.bootstrap),
		 "6.1.1.1:%u 6.2.1.1:%u", (unsigned)node->addr.port, (unsigned)node->addr.port);
	return node;
}

static struct sim_node *place_behind(unsigned yard)
{
	const struct addr outside = {.ip = {5, 0, 0, (uint8_t)(1 + yard)}, .family = ADDR_IPV4};
	struct sim_node *node = place(192, 168, (uint8_t)(2 + yard));

	mem_nat_add(&nats, &yards[yard], &strict, &outside, sim.seed + yard);
	if (mem_nat_place(&yards[yard], &node->addr) < 0)
		abort();
	return node;
}

static void world_open(void)
{
	sim_init(&sim, sim_seed(21), &even);
	mem_nats_init(&nats, sim.net);
	memset(relays, 0, sizeof(relays));
	for (uint8_t i = 0; i < CROWD; i++)
		(void)place(6, (uint8_t)(1 + i), 1);
	for (uint8_t i = 0; i < RELAYS; i++)
		middles[i] = place(7, (uint8_t)(1 + i), 1);
	end = place_behind(0);
	asker = place_behind(1);
	end->config.relay_end.use = RELAY_USE_ALWAYS;
	end->config.publish.policy.publish = PKARR_RELAY_ONLY;
}

static void world_start(void)
{
	for (unsigned i = 0; i < sim.node_cnt; i++)
		sim_start(&sim.nodes[i]);
	for (uint8_t i = 0; i < RELAYS; i++) {
		relays[i].life = (uint8_t)(16 * i); /* no two have the same labels */
		fake_relay_attach(&relays[i], middles[i]);
	}
	sim_run(&sim, 30 * NS_PER_S, NULL, NULL);
}

/* --- asking --- */

/* By its key alone, unless the address is named. Returns milliseconds, or UINT64_MAX. */
static uint64_t reach(struct sim_node *from, const struct sim_node *to, bool is_named)
{
	uint64_t began_ns = sim.now_ns;

	outcome = sim_reach(from, to, is_named);
	return outcome->err < 0 ? UINT64_MAX : (outcome->at_ns - began_ns) / NS_PER_MS;
}

static bool ask(uint64_t timeout_ns)
{
	outcome = sim_ask(asker, end, MESH_OBSERVED_ADDR, timeout_ns);
	return sim_is_answered(outcome);
}

/* Asks again and again, as an application does. Milliseconds until an answer, or UINT64_MAX. */
static uint64_t ask_until_answered(void)
{
	uint64_t began_ns = sim.now_ns;

	while (sim.now_ns < began_ns + 60 * NS_PER_S)
		if (ask(20 * NS_PER_S))
			return (outcome->at_ns - began_ns) / NS_PER_MS;
	return UINT64_MAX;
}

/* --- the record --- */

static unsigned vias_of(struct peer_via vias[static PEER_VIAS_MAX])
{
	struct publish_state state;

	locate_publish_state(end->node->locate->publish, &state);
	if (state.err < 0 || !state.packet || !state.stored_cnt)
		return 0;
	memcpy(vias, state.record.vias, sizeof(state.record.vias));
	return state.record.via_cnt;
}

static bool is_via(unsigned relay)
{
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned cnt = vias_of(vias);

	for (unsigned i = 0; i < cnt; i++)
		if (memcmp(vias[i].key, node_key_public(middles[relay]->key), MESH_KEY_LEN) == 0)
			return addr_equal(&vias[i].addr, &middles[relay]->addr);
	return false;
}

static unsigned via_cnt(void)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < RELAYS; i++)
		cnt += is_via(i);
	return cnt;
}

static bool is_published(void *arg)
{
	return via_cnt() >= *(const unsigned *)arg;
}

static bool becomes_published(unsigned cnt, uint64_t in_ns)
{
	return sim_run(&sim, in_ns, is_published, &cnt);
}

/* The relay of the session between asker and end; RELAYS: there is none. */
static unsigned relay_between(void)
{
	struct mesh_path path;
	const uint8_t *key = NULL;
	unsigned i = 0;

	if (mesh_neighbour_ops.path(node_mesh(asker->node), node_key_public(end->key), &path))
		key = relay_end_relay_of(asker->node->relay_end, &path.remote);
	while (i < RELAYS &&
	       !(key && memcmp(key, node_key_public(middles[i]->key), MESH_KEY_LEN) == 0))
		i++;
	return i;
}

static bool knows(const struct sim_node *node, const struct sim_node *other)
{
	struct mesh_neighbour neighbour;

	return mesh_neighbour_ops.find(node_mesh(node->node), node_key_public(other->key),
				       &neighbour);
}

/* --- tests --- */

static void test_a_node_behind_a_nat_is_reached_by_its_key(void)
{
	uint64_t took_ms;

	world_open();
	world_start();
	CHECK_EQ(via_cnt(), 0);
	CHECK(reach(end, middles[0], true) != UINT64_MAX);
	CHECK(becomes_published(1, 10 * NS_PER_S));
	/* The asker knows the key, and no relay. */
	for (unsigned i = 0; i < RELAYS; i++)
		CHECK(!knows(asker, middles[i]));
	took_ms = reach(asker, end, false);
	printf("# reached by its key after %u ms\n", (unsigned)took_ms);
	CHECK(took_ms <= FIRST_MAX_MS);
	CHECK_EQ(relay_between(), 0);
	sim_report(&sim, "by key and relay");
	sim_fini(&sim);
}

static void test_a_node_whose_relay_died_is_reached_by_another(void)
{
	uint64_t took_ms;
	unsigned first;

	world_open();
	world_start();
	CHECK(reach(end, middles[0], true) != UINT64_MAX);
	CHECK(reach(end, middles[1], true) != UINT64_MAX);
	CHECK(becomes_published(2, 10 * NS_PER_S));
	CHECK(reach(asker, end, false) <= FIRST_MAX_MS);
	first = relay_between();
	CHECK(first < 2);
	sim_crash(middles[first]);
	took_ms = ask_until_answered();
	printf("# its relay died: answers again after %u ms\n", (unsigned)took_ms);
	CHECK(took_ms <= MOVED_MAX_MS);
	CHECK_EQ(relay_between(), !first);
	sim_fini(&sim);
}

static void test_a_node_whose_relays_all_died_is_reached_by_others(void)
{
	uint64_t took_ms;

	world_open();
	world_start();
	for (unsigned i = 0; i < RELAYS; i++)
		CHECK(reach(end, middles[i], true) != UINT64_MAX);
	CHECK(becomes_published(2, 10 * NS_PER_S));
	CHECK(reach(asker, end, false) <= FIRST_MAX_MS);
	for (unsigned i = 0; i < RELAYS; i++)
		if (is_via(i))
			sim_crash(middles[i]);
	took_ms = ask_until_answered();
	printf("# all its relays died: answers again after %u ms\n", (unsigned)took_ms);
	CHECK(took_ms <= LOST_MAX_MS);
	sim_run(&sim, LOST_MAX_MS * NS_PER_MS, NULL, NULL);
	CHECK_EQ(via_cnt(), 2);
	for (unsigned i = 0; i < RELAYS; i++)
		CHECK(!is_via(i) || middles[i]->node);
	sim_fini(&sim);
}

static void test_a_node_of_unknown_reachability_keeps_relays_after_thirty_seconds(void)
{
	world_open();
	end->config.relay_end.use = RELAY_USE_AUTO;
	end->asks_address = true;
	world_start();
	/* It has one peer, which knows no third node. */
	CHECK(reach(end, middles[0], true) != UINT64_MAX);
	CHECK_EQ(via_cnt(), 0);
	CHECK(becomes_published(1, 30 * NS_PER_S));
	CHECK_EQ(reachability_show(node_reachability(end->node))->kind, REACHABILITY_UNKNOWN);
	CHECK(reach(asker, end, false) <= FIRST_MAX_MS);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_node_behind_a_nat_is_reached_by_its_key);
	RUN(test_a_node_whose_relay_died_is_reached_by_another);
	RUN(test_a_node_whose_relays_all_died_is_reached_by_others);
	RUN(test_a_node_of_unknown_reachability_keeps_relays_after_thirty_seconds);
	return check_done();
}
