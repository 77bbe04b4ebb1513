/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind each kind of NAT a node says of itself what a prober finds out. The prober has an
 * address that the node never wrote to. It asks by STUN at each address where the node's peers see
 * it: an answer means that others can write first.
 *
 *     node 192.168.1.2 -- NAT 5.0.0.1 -- peers 5.1.0.1, 5.2.0.1 -- referee 5.3.0.1, dialled by both
 */
#include "codec/stun.h"
#include "reachability/reachability.h"
#include "support/check.h"
#include "support/mem_nat.h"
#include "support/sim.h"
#include "support/sim_ask.h"

#define PEERS 2u
/* docs/paths.md: 3 s after the start and 1 s after a session; of two rounds; judged after 5 s. */
#define FIRST_NS (30 * NS_PER_S)
/* The next round is ten minutes away. It is judged after 5 s, */
#define LATER_NS (606 * NS_PER_S)
/* and a second one, 12 s later, has to contradict as well. */
#define SHUT_NS (LATER_NS + 18 * NS_PER_S)
/* STUN gives up after 39.5 s, and a round begins at once. */
#define SILENT_NS (45 * NS_PER_S)

static const struct mem_link link = {.delay_ns = 10 * NS_PER_MS};
static const struct addr outside = {.ip = {5, 0, 0, 1}, .family = ADDR_IPV4};

static struct sim sim;
static struct mem_nats nats;
static struct mem_nat nat;
static struct sim_node *node, *peers[PEERS], *referee;
static uint8_t prober_cnt;

/* --- the place --- */

static struct sim_node *place(const uint8_t ip[4])
{
	struct sim_node *placed = sim_add(&sim);

	memcpy(placed->addr.ip, ip, 4);
	placed->config.udp.listen[0] = placed->addr;
	return placed;
}

/* rule NULL: the node is at the outside address itself. servers: of STUN, that the node asks. */
static void yard_open(const struct mem_nat_rule *rule, unsigned server_cnt)
{
	sim_init(&sim, sim_seed(1), &link);
	prober_cnt = 0;
	mem_nats_init(&nats, sim.net);
	node = place(rule ? (const uint8_t[]){192, 168, 1, 2} : outside.ip);
	node->asks_address = true;
	for (uint8_t i = 0; i < PEERS; i++) {
		peers[i] = place((const uint8_t[]){5, (uint8_t)(1 + i), 0, 1});
		if (i < server_cnt)
			node->config.reachability.servers[i] = peers[i]->addr;
	}
	node->config.reachability.server_cnt = server_cnt;
	referee = place((const uint8_t[]){5, 3, 0, 1});
	if (rule) {
		mem_nat_add(&nats, &nat, rule, &outside, sim.seed);
		if (mem_nat_place(&nat, &node->addr) < 0)
			abort();
	}
	for (unsigned i = 0; i < sim.node_cnt; i++)
		sim_start(&sim.nodes[i]);
}

static bool yard_connect(unsigned peer_cnt, bool has_referee)
{
	bool is_done = true;

	for (unsigned i = 0; i < peer_cnt; i++)
		is_done &= !has_referee || sim_dial(peers[i], referee);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < peer_cnt; i++)
		is_done &= sim_dial(node, peers[i]);
	return is_done;
}

static const struct reachability_view *view(void)
{
	return reachability_show(node_reachability(node->node));
}

static bool is_kind(void *arg)
{
	return view()->kind == *(const enum reachability_kind *)arg;
}

static bool becomes(enum reachability_kind kind, uint64_t in_ns)
{
	if (sim_run(&sim, in_ns, is_kind, &kind))
		return true;
	printf("# %s, not %s: %s\n", reachability_word(view()->kind), reachability_word(kind),
	       view()->evidence);
	return false;
}

/* --- the prober --- */

static bool prober_is_answered(const struct addr *at)
{
	struct addr addr = {.ip = {5, 9, 0, ++prober_cnt}, .port = 9, .family = ADDR_IPV4};
	uint8_t request[STUN_WRITE_CAP];
	size_t len = stun_write_request((const uint8_t *)"transaction.", request);
	struct dgram_route route = {.remote = *at};
	struct dgram_slot slot;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct dgram answer;
	bool is_answered;

	if (net_mem_net_attach(sim.net, &addr, &rx, &tx) < 0 ||
	    !tx->sink.ops->reserve(&tx->sink, len, &slot))
		abort();
	memcpy(slot.data, request, len);
	tx->sink.ops->commit(&tx->sink, &slot, len, &route);
	(void)packet_tx_flush(tx);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	is_answered = packet_rx_burst(rx, &answer, 1) == 1;
	packet_rx_close(rx);
	packet_tx_close(tx);
	return is_answered;
}

/* What the node is, seen from outside alone. */
static enum reachability_kind prober_judges(void)
{
	struct addr seen[PEERS];
	bool is_reached = false;

	for (unsigned i = 0; i < PEERS; i++) {
		if (!mem_nat_mapped(&nat, &node->addr, &peers[i]->addr, sim.now_ns, &seen[i]))
			return REACHABILITY_BLOCKED;
		is_reached |= prober_is_answered(&seen[i]);
	}
	if (is_reached)
		return REACHABILITY_MAPPED;
	return addr_equal(&seen[0], &seen[1]) ? REACHABILITY_PUNCHABLE : REACHABILITY_HARD;
}

/* --- at the start --- */

static void test_open_node_is_direct(void)
{
	yard_open(NULL, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_DIRECT, FIRST_NS));
	CHECK(addr_equal(&view()->addr, &node->addr));
	CHECK(prober_is_answered(&node->addr));
	sim_fini(&sim);
}

static void test_each_kind_of_nat_is_what_a_prober_finds(void)
{
	static const enum reachability_kind want[NAT_DEPENDENCE_CNT][NAT_DEPENDENCE_CNT] = {
		{REACHABILITY_MAPPED, REACHABILITY_PUNCHABLE, REACHABILITY_PUNCHABLE},
		{REACHABILITY_MAPPED, REACHABILITY_HARD, REACHABILITY_HARD},
		{REACHABILITY_MAPPED, REACHABILITY_HARD, REACHABILITY_HARD},
	};

	for (unsigned i = 0; i < 2 * NAT_DEPENDENCE_CNT * NAT_DEPENDENCE_CNT; i++) {
		struct mem_nat_rule rule = {.mapping = i / 2 / NAT_DEPENDENCE_CNT,
					    .filtering = i / 2 % NAT_DEPENDENCE_CNT,
					    .preserves_ports = i % 2};

		printf("# mapping %s, filtering %s, ports %s\n", mem_nat_word(rule.mapping),
		       mem_nat_word(rule.filtering), rule.preserves_ports ? "preserved" : "drawn");
		yard_open(&rule, 0);
		CHECK(yard_connect(PEERS, true));
		CHECK(becomes(want[rule.mapping][rule.filtering], FIRST_NS));
		CHECK(addr_is_same_host(&view()->addr, &outside));
		CHECK_EQ(prober_judges(), view()->kind);
		sim_fini(&sim);
	}
}

static void test_one_voter_leaves_how_ports_change_unknown(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_DEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(1, true));
	CHECK(becomes(REACHABILITY_OUTBOUND, FIRST_NS));
	CHECK(strstr(view()->evidence, "fewer than two networks"));
	sim_fini(&sim);
}

static void test_no_third_node_leaves_it_unknown(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_DEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, false));
	sim_run(&sim, LATER_NS, NULL, NULL);
	CHECK_EQ(view()->kind, REACHABILITY_UNKNOWN);
	CHECK(strstr(view()->evidence, "no third node"));
	/* A referee is there from now on: each minute the question is asked again. */
	CHECK(sim_dial(peers[0], referee));
	CHECK(becomes(REACHABILITY_PUNCHABLE, 66 * NS_PER_S));
	sim_fini(&sim);
}

static void test_blocked_udp_is_noticed(void)
{
	struct mem_nat_rule rule = {.blocks_udp = true};

	yard_open(&rule, PEERS);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_BLOCKED, 3 * NS_PER_S + SILENT_NS));
	CHECK_EQ(prober_judges(), REACHABILITY_BLOCKED);
	sim_fini(&sim);
}

/* --- after a change --- */

static void test_nat_that_shuts_is_noticed_within_two_rounds(void)
{
	struct mem_nat_rule rule = {.mapping = NAT_ENDPOINT_INDEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_MAPPED, FIRST_NS));
	rule.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
	mem_nat_change(&nat, &rule, sim.now_ns);
	CHECK(becomes(REACHABILITY_PUNCHABLE, SHUT_NS));
	CHECK_EQ(prober_judges(), REACHABILITY_PUNCHABLE);
	sim_fini(&sim);
}

static void test_nat_that_opens_is_noticed_within_a_round(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_DEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS));
	rule.filtering = NAT_ENDPOINT_INDEPENDENT;
	mem_nat_change(&nat, &rule, sim.now_ns);
	CHECK(becomes(REACHABILITY_MAPPED, LATER_NS));
	CHECK_EQ(prober_judges(), REACHABILITY_MAPPED);
	sim_fini(&sim);
}

static void test_mapping_that_becomes_dependent_is_noticed_within_a_round(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS));
	rule.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
	mem_nat_change(&nat, &rule, sim.now_ns);
	CHECK(becomes(REACHABILITY_HARD, LATER_NS));
	CHECK_EQ(prober_judges(), REACHABILITY_HARD);
	sim_fini(&sim);
}

static void test_rebinding_changes_the_address_and_not_the_kind(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};
	struct addr before, now;

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS));
	before = view()->addr;
	mem_nat_rebind(&nat, sim.now_ns);
	sim_run(&sim, LATER_NS, NULL, NULL);
	CHECK_EQ(view()->kind, REACHABILITY_PUNCHABLE);
	CHECK(mem_nat_mapped(&nat, &node->addr, &peers[0]->addr, sim.now_ns, &now));
	CHECK(!addr_equal(&before, &now));
	CHECK(addr_equal(&view()->addr, &now));
	sim_fini(&sim);
}

/* The vote of a peer that left is of the mapping before: it is no other port of this one. */
static void test_rebinding_is_not_taken_for_a_dependent_mapping(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT};

	yard_open(&rule, 0);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS));
	sim_crash(peers[1]);
	mem_nat_rebind(&nat, sim.now_ns);
	sim_run(&sim, LATER_NS, NULL, NULL);
	CHECK(view()->kind != REACHABILITY_HARD);
	sim_fini(&sim);
}

static void test_udp_that_is_blocked_and_comes_back_is_noticed(void)
{
	struct mem_nat_rule rule = {.filtering = NAT_ADDRESS_DEPENDENT};

	yard_open(&rule, PEERS);
	CHECK(yard_connect(PEERS, true));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS));
	rule.blocks_udp = true;
	mem_nat_change(&nat, &rule, sim.now_ns);
	CHECK(becomes(REACHABILITY_BLOCKED, LATER_NS + SILENT_NS));
	rule.blocks_udp = false;
	mem_nat_change(&nat, &rule, sim.now_ns);
	for (unsigned i = 0; i < PEERS; i++)
		CHECK(sim_dial(node, peers[i]));
	CHECK(becomes(REACHABILITY_PUNCHABLE, FIRST_NS)); /* a session shows that UDP works */
	CHECK_EQ(prober_judges(), REACHABILITY_PUNCHABLE);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_open_node_is_direct);
	RUN(test_each_kind_of_nat_is_what_a_prober_finds);
	RUN(test_one_voter_leaves_how_ports_change_unknown);
	RUN(test_no_third_node_leaves_it_unknown);
	RUN(test_blocked_udp_is_noticed);
	RUN(test_nat_that_shuts_is_noticed_within_two_rounds);
	RUN(test_nat_that_opens_is_noticed_within_a_round);
	RUN(test_mapping_that_becomes_dependent_is_noticed_within_a_round);
	RUN(test_rebinding_changes_the_address_and_not_the_kind);
	RUN(test_rebinding_is_not_taken_for_a_dependent_mapping);
	RUN(test_udp_that_is_blocked_and_comes_back_is_noticed);
	return check_done();
}
