/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hundred nodes, three of five behind NATs of six kinds. Relays come and go, the network is
 * parted, and loses 30 % of all datagrams. Pairs of nodes ask each other all the time, by their keys
 * alone. Others do so for the first time when a fault has ended. No pair is without an answer for
 * more than ten seconds while its network is well.
 *
 *	6.0.0.1 ..	bootstrap nodes of the DHT, then relays, then other nodes of the Internet
 *	10.0.0.2 ..	nodes behind NATs at 7.0.0.1 .., one or two of them behind each
 */
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/mem_nat.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_trace.h"

#define NODES	      100u
#define NODES_MAX     500u /* HEALING_NODES=500 in the environment */
#define SITES	      250u /* NATs */
#define BOOTS	      4u
#define RELAY_PARTS   20u /* each twentieth node is a relay */
#define PAIR_PARTS    3u  /* so many nodes for each pair */
#define PAIR_STEP     5u  /* a divisor of no number of nodes that ask */
#define PAIRS	      (NODES_MAX / PAIR_PARTS)
#define NEW_PAIRS     (PAIRS / 4)
#define RELAYS_MIN    8u
#define KNOWN_RELAYS  4u
#define RELAY_GAP_NS  (20 * NS_PER_S)
#define RELAY_DOWN_NS (30 * NS_PER_S)
#define LOST_ENDS     4u /* one after the other loses all its relays at once */
#define HEALED_MAX_NS (10 * NS_PER_S)
#define ASK_NS	      (5 * NS_PER_S)
#define PAUSE_NS      NS_PER_S
#define AGAIN_NS      (500 * NS_PER_MS)

static const struct mem_link fair = {.delay_ns = 20 * NS_PER_MS, .jitter_ns = 20 * NS_PER_MS};
static const struct mem_link bad = {
	.delay_ns = 20 * NS_PER_MS, .jitter_ns = 20 * NS_PER_MS, .loss_per_1000 = 300};

#define DEPENDENT NAT_ADDRESS_AND_PORT_DEPENDENT
static const struct mem_nat_rule rules[] = {
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ENDPOINT_INDEPENDENT},
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ADDRESS_DEPENDENT},
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = DEPENDENT},
	{.mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = DEPENDENT, .preserves_ports = true},
	{.mapping = NAT_ADDRESS_DEPENDENT, .filtering = NAT_ADDRESS_DEPENDENT},
	{.mapping = DEPENDENT, .filtering = DEPENDENT},
};
#define RULE_CNT (sizeof(rules) / sizeof(rules[0]))

/* from asks to: one request at a time, a second after the last answer, at once after a failure. */
struct pair {
	struct timer timer;
	struct sim_node *from, *to;
	struct mesh_request *request;
	bool is_on;
	uint64_t since_ns;   /* it waits for an answer since then; 0: it does not */
	uint64_t longest_ns; /* in this phase, of the time for which the network was well */
	unsigned answer_cnt;
	uint8_t reply[256 + MESH_FRAME_OVERHEAD];
};

static struct sim sim;
static struct mem_nats nats;
static struct mem_nat sites[SITES];
static struct pair pairs[PAIRS + NEW_PAIRS];
static unsigned node_cnt, open_cnt, relay_cnt, site_cnt, pair_cnt, crash_cnt;
static uint64_t back_ns[SIM_NODE_CAP / RELAY_PARTS + RELAYS_MIN]; /* of each relay that is down */
static uint64_t well_ns; /* since when the network is; UINT64_MAX: it is not */
static const char *phase;

/* --- the place --- */

static struct sim_node *place(const uint8_t ip[4])
{
	struct sim_node *node = sim_add(&sim);
	struct node_config *config = &node->config;

	memcpy(node->addr.ip, ip, 4);
	config->udp.listen[0] = node->addr;
	config->quic.conn_cap = config->mesh.session_cap = 64;
	config->relay_end.opened_cap = config->relay_end.accepted_cap = 16;
	locate_mainline_config_defaults(&config->mainline);
	config->mainline.dht.item_cap = config->mainline.dht.peer_cap = 512;
	snprintf(config->mainline.bootstrap, sizeof(config->mainline.bootstrap),
		 "6.0.0.1:%u 6.0.1.1:%u", (unsigned)node->addr.port, (unsigned)node->addr.port);
	config->publish.policy.publish = PKARR_DIRECT;
	node->asks_address = true;
	return node;
}

/* Nodes of the Internet, of which the first are where the DHT begins, and some are relays. */
static void place_open(unsigned i)
{
	struct sim_node *node = place((const uint8_t[]){6, (uint8_t)(i >> 8), (uint8_t)i, 1});
	struct node_config *config = &node->config;

	if (i < BOOTS || i >= BOOTS + relay_cnt)
		return;
	relay_config_defaults(&config->relay);
	relay_broker_config_defaults(&config->relay_broker);
	relay_messages_config_defaults(&config->relay_messages);
	config->relay.is_on = true;
	config->relay.flow_cap = 1024;
	config->relay_receipts.row_cap = 256;
	config->fastpath.xdp.session_cap = 1024;
	config->quic.conn_cap = config->mesh.session_cap = 256;
}

static void place_behind(unsigned i)
{
	unsigned site = i * 2 / 3;
	struct addr outside = {.ip = {7, (uint8_t)(site >> 8), (uint8_t)site, 1},
			       .family = ADDR_IPV4};
	struct sim_node *node = place(
		(const uint8_t[]){10, (uint8_t)(site >> 8), (uint8_t)site, (uint8_t)(2 + i % 3)});

	node->config.mainline.dht.is_read_only = true; /* docs/dht.md: behind a NAT */
	if (site == site_cnt) {
		mem_nat_add(&nats, &sites[site], &rules[site % RULE_CNT], &outside,
			    sim.seed + site);
		site_cnt++;
	}
	if (mem_nat_place(&sites[site], &node->addr) < 0)
		abort();
}

static struct sim_node *relay_of(unsigned i)
{
	return &sim.nodes[BOOTS + i];
}

static unsigned draw(unsigned below)
{
	return (unsigned)random_below(&sim.dice, below);
}

static void node_connect(struct sim_node *from, const struct sim_node *to)
{
	if (!sim_dial(from, to))
		abort();
}

/* A node is given four relays and one other node, as a list of bootstrap nodes does. */
static void node_begin(struct sim_node *node)
{
	const struct sim_node *boot = &sim.nodes[draw(BOOTS)];

	sim_start(node);
	for (unsigned i = 0; i < KNOWN_RELAYS && node >= relay_of(relay_cnt); i++)
		node_connect(node, relay_of(((unsigned)(node - sim.nodes) +
					     i * relay_cnt / KNOWN_RELAYS) %
					    relay_cnt));
	if (boot < node)
		node_connect(node, boot);
}

static void nodes_begin(unsigned from, unsigned to, uint64_t pause_ns)
{
	for (unsigned i = from; i < to; i++) {
		node_begin(&sim.nodes[i]);
		sim_run(&sim, pause_ns, NULL, NULL);
	}
}

static void world_open(void)
{
	sim_init(&sim, sim_seed(1), &fair);
	mem_nats_init(&nats, sim.net);
	node_cnt = getenv("HEALING_NODES") ? (unsigned)atoi(getenv("HEALING_NODES")) : NODES;
	if (node_cnt < NODES || node_cnt > NODES_MAX)
		abort();
	open_cnt = node_cnt * 2 / 5;
	relay_cnt = node_cnt / RELAY_PARTS;
	if (relay_cnt < RELAYS_MIN)
		relay_cnt = RELAYS_MIN;
	site_cnt = 0;
	for (unsigned i = 0; i < open_cnt; i++)
		place_open(i);
	for (unsigned i = 0; i < node_cnt - open_cnt; i++)
		place_behind(i);
	/* The DHT is the nodes of the Internet: they are first. */
	nodes_begin(0, open_cnt, NS_PER_MS);
	sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	nodes_begin(open_cnt, node_cnt, 50 * NS_PER_MS);
	sim_report(&sim, "started");
	sim_run(&sim, 80 * NS_PER_S, NULL, NULL);
	sim_report(&sim, "settled");
}

/* --- pairs --- */

static uint64_t pair_lost_ns(const struct pair *pair)
{
	uint64_t from_ns = pair->since_ns > well_ns ? pair->since_ns : well_ns;

	return pair->since_ns && sim.now_ns > from_ns ? sim.now_ns - from_ns : 0;
}

static void pair_judge(struct pair *pair)
{
	uint64_t lost_ns = pair_lost_ns(pair);

	if (lost_ns > pair->longest_ns)
		pair->longest_ns = lost_ns;
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct pair *pair = arg;
	bool is_answered = reply->err == 0 || reply->err == WEFT_EABSENT;

	pair->request = NULL;
	if (is_answered) {
		pair_judge(pair);
		pair->since_ns = 0;
		pair->answer_cnt++;
	}
	timer_set(&sim.timers, &pair->timer, now_ns + (is_answered ? PAUSE_NS : AGAIN_NS));
}

static void pair_ask(struct timer *timer, uint64_t now_ns)
{
	struct pair *pair = container_of(timer, struct pair, timer);
	const struct mesh_seam mesh = mesh_seam_of(node_mesh(pair->from->node));
	struct mesh_ask ask = {
		.type = MESH_OBSERVED_ADDR,
		.payload = "\xa0",
		.payload_len = 1,
		.reply_buf = pair->reply,
		.reply_cap = sizeof(pair->reply),
		.timeout_ns = ASK_NS,
		.reply = on_reply,
		.arg = pair,
	};

	memcpy(ask.peer.key, node_key_public(pair->to->key), MESH_KEY_LEN);
	if (!pair->since_ns)
		pair->since_ns = now_ns;
	sim_wake(pair->from);
	if (mesh.ops->ask(mesh.mesh, &ask, now_ns, &pair->request) < 0)
		timer_set(&sim.timers, timer, now_ns + AGAIN_NS);
}

/* Two nodes behind one NAT find each other on the LAN, which the simulator does not have. */
static bool have_one_nat(const struct sim_node *a, const struct sim_node *b)
{
	return a >= &sim.nodes[open_cnt] && b >= &sim.nodes[open_cnt] &&
	       memcmp(a->addr.ip, b->addr.ip, 3) == 0;
}

/* By its key alone; neither of them a relay, and most of them behind NATs. */
static void pair_begin(struct pair *pair)
{
	unsigned spared = BOOTS + relay_cnt, idx = (unsigned)(pair - pairs);

	memset(pair, 0, sizeof(*pair));
	pair->from = &sim.nodes[spared + idx * PAIR_STEP % (node_cnt - spared)];
	do {
		pair->to = &sim.nodes[spared + draw(node_cnt - spared)];
	} while (pair->from == pair->to || have_one_nat(pair->from, pair->to));
	pair->is_on = true;
	timer_init(&pair->timer, pair_ask);
	timer_set(&sim.timers, &pair->timer, sim.now_ns + draw(1000) * NS_PER_MS);
}

static void pair_end(struct pair *pair)
{
	timer_cancel(&sim.timers, &pair->timer);
	if (pair->request)
		mesh_seam_of(node_mesh(pair->from->node)).ops->cancel(pair->request);
	pair->is_on = false;
}

/* --- those that are apart --- */

static struct timer watch;

/* HEALING_TRACE=5 in the environment: each second, all of the pairs that are apart for five and more. */
static void watch_expire(struct timer *timer, uint64_t now_ns)
{
	uint64_t bound_ns = strtoull(getenv("HEALING_TRACE"), NULL, 10) * NS_PER_S;

	timer_set(&sim.timers, timer, now_ns + NS_PER_S);
	for (unsigned i = 0; i < pair_cnt; i++) {
		if (!pairs[i].is_on || pair_lost_ns(&pairs[i]) < bound_ns)
			continue;
		printf("# node %u to %u is without an answer for %u ms\n",
		       (unsigned)(pairs[i].from - sim.nodes), (unsigned)(pairs[i].to - sim.nodes),
		       (unsigned)(pair_lost_ns(&pairs[i]) / NS_PER_MS));
		sim_trace_print(pairs[i].from, pairs[i].to);
	}
}

static void watch_begin(void)
{
	timer_init(&watch, watch_expire);
	if (getenv("HEALING_TRACE"))
		timer_set(&sim.timers, &watch, sim.now_ns + NS_PER_S);
}

/* --- phases --- */

static int longer(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Why a pair is apart: what the node that is asked is to others. */
static void target_print(const struct sim_node *node)
{
	const struct reachability_view *view = reachability_show(node_reachability(node->node));
	struct publish_state state;

	locate_publish_state(node->node->locate->publish, &state);
	printf("#   it is %s, and its record, at %u nodes, names %u relays: %s\n",
	       reachability_word(view->kind), state.stored_cnt,
	       state.packet ? state.record.via_cnt : 0, view->evidence);
}

static const char *path_word(const struct pair *pair)
{
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node_mesh(pair->from->node), node_key_public(pair->to->key),
				     &path))
		return "none";
	return addr_is_relayed(&path.remote) ? "relayed" : "direct";
}

static void phase_begin(const char *name)
{
	phase = name;
	for (unsigned i = 0; i < pair_cnt; i++)
		pairs[i].longest_ns = 0;
}

/* What the tables of a NAT have no row for is lost, and the pair would be apart for no fault of its own. */
static void nats_report(void)
{
	unsigned mapping_cnt = 0, filter_cnt = 0;
	uint64_t full_cnt = 0;

	for (unsigned i = 0; i < site_cnt; i++) {
		const struct mem_nat *nat = &sites[i];

		if (nat->mapping_order.cnt > mapping_cnt)
			mapping_cnt = nat->mapping_order.cnt;
		if (nat->filter_order.cnt > filter_cnt)
			filter_cnt = nat->filter_order.cnt;
		full_cnt += nat->full_cnt;
	}
	printf("# at most %u mappings and %u filters in a NAT so far\n", mapping_cnt, filter_cnt);
	CHECK_EQ(full_cnt, 0);
}

/* Prints the distribution of the longest time for which each pair was without an answer. */
static void phase_end(void)
{
	uint64_t longest_ns[PAIRS + NEW_PAIRS];
	unsigned cnt = 0;

	for (unsigned i = 0; i < pair_cnt; i++) {
		struct pair *pair = &pairs[i];

		pair_judge(pair);
		longest_ns[cnt++] = pair->longest_ns;
		if (pair->longest_ns <= HEALED_MAX_NS)
			continue;
		printf("# %s: node %u to %u without an answer for %u ms (%s, %u answers)\n", phase,
		       (unsigned)(pair->from - sim.nodes), (unsigned)(pair->to - sim.nodes),
		       (unsigned)(pair->longest_ns / NS_PER_MS), path_word(pair), pair->answer_cnt);
		target_print(pair->to);
	}
	qsort(longest_ns, cnt, sizeof(longest_ns[0]), longer);
	printf("# %s: %u pairs, longest without an answer: median %u ms, p90 %u, p99 %u, max %u\n",
	       phase, cnt, (unsigned)(longest_ns[cnt / 2] / NS_PER_MS),
	       (unsigned)(longest_ns[cnt * 9 / 10] / NS_PER_MS),
	       (unsigned)(longest_ns[cnt * 99 / 100] / NS_PER_MS),
	       (unsigned)(longest_ns[cnt - 1] / NS_PER_MS));
	sim_report(&sim, phase);
	nats_report();
	fflush(stdout);
	CHECK(longest_ns[cnt - 1] <= HEALED_MAX_NS);
}

static void ill(void)
{
	well_ns = UINT64_MAX;
}

static void well(void)
{
	well_ns = sim.now_ns;
	unsigned first = node_cnt / PAIR_PARTS;

	for (unsigned i = first; i < first + first / 4; i++) {
		if (pairs[i].is_on)
			pair_end(&pairs[i]);
		pair_begin(&pairs[i]);
	}
	pair_cnt = first + first / 4;
}

static void test_pairs_find_each_other(void)
{
	phase_begin("begin");
	pair_cnt = node_cnt / PAIR_PARTS;
	for (unsigned i = 0; i < pair_cnt; i++)
		pair_begin(&pairs[i]);
	well_ns = sim.now_ns;
	sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
	phase_end();
}

/* Those that are down, and were to be back by before_ns. */
static void relays_begin(uint64_t before_ns)
{
	for (unsigned i = 0; i < relay_cnt; i++)
		if (!relay_of(i)->node && back_ns[i] <= before_ns)
			node_begin(relay_of(i));
}

static void relay_crash(struct sim_node *relay)
{
	if (!relay->node)
		return;
	sim_crash(relay);
	back_ns[relay - relay_of(0)] = sim.now_ns + RELAY_DOWN_NS;
}

/* One at a time, down for half a minute. */
static void relays_churn(unsigned s)
{
	uint64_t end_ns = sim.now_ns + s * NS_PER_S;

	while (sim.now_ns < end_ns) {
		unsigned at = crash_cnt / 2 + crash_cnt % 2 * relay_cnt / KNOWN_RELAYS;

		crash_cnt++;
		relay_crash(relay_of(at % relay_cnt));
		sim_run(&sim, RELAY_GAP_NS, NULL, NULL);
		relays_begin(sim.now_ns);
	}
	relays_begin(UINT64_MAX);
}

static void test_relays_come_and_go(void)
{
	phase_begin("relays that come and go");
	relays_churn(120);
	sim_run(&sim, 15 * NS_PER_S, NULL, NULL);
	phase_end();
}

/* All relays that the record of end names. */
static void relays_of_end_crash(const struct sim_node *end)
{
	struct publish_state state;

	locate_publish_state(end->node->locate->publish, &state);
	for (unsigned i = 0; i < state.record.via_cnt; i++)
		for (unsigned k = 0; k < relay_cnt; k++)
			if (memcmp(state.record.vias[i].key, node_key_public(relay_of(k)->key),
				   MESH_KEY_LEN) == 0)
				relay_crash(relay_of(k));
}

/* Ends that others ask all the time, and that only relays lead to; the network is well meanwhile. */
static void test_all_relays_of_an_end_are_lost(void)
{
	unsigned end_cnt = 0;

	phase_begin("all relays of an end lost at once");
	for (unsigned i = 0; i < pair_cnt && end_cnt < LOST_ENDS; i++) {
		if (!pairs[i].is_on || pairs[i].to < &sim.nodes[open_cnt])
			continue;
		end_cnt++;
		relays_of_end_crash(pairs[i].to);
		well();
		sim_run(&sim, RELAY_DOWN_NS, NULL, NULL);
		relays_begin(UINT64_MAX);
		sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	}
	CHECK_EQ(end_cnt, LOST_ENDS);
	phase_end();
}

static void part(unsigned groups)
{
	for (unsigned i = 0; i < node_cnt; i++)
		sim_set_group(&sim.nodes[i], groups ? draw(groups) : 0);
}

static void test_partitions_heal(void)
{
	static const unsigned cut_s[] = {5, 20, 60};

	for (unsigned i = 0; i < sizeof(cut_s) / sizeof(cut_s[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "after %u s of a partition", cut_s[i]);
		phase_begin(name);
		ill();
		part(2);
		sim_run(&sim, cut_s[i] * NS_PER_S, NULL, NULL);
		part(0);
		well();
		sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
		phase_end();
	}
}

static void test_loss_ends(void)
{
	phase_begin("after 45 s of loss");
	ill();
	net_mem_net_set_default_link(sim.net, &bad);
	sim_run(&sim, 45 * NS_PER_S, NULL, NULL);
	net_mem_net_set_default_link(sim.net, &fair);
	well();
	sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
	phase_end();
}

/* Parted, 30 % lost, and relays that die: all of it ends at once. */
static void test_all_faults_end(void)
{
	phase_begin("after 60 s of all faults");
	ill();
	part(2);
	net_mem_net_set_default_link(sim.net, &bad);
	relays_churn(60);
	part(0);
	net_mem_net_set_default_link(sim.net, &fair);
	well();
	sim_run(&sim, 20 * NS_PER_S, NULL, NULL);
	phase_end();
}

int main(void)
{
	world_open();
	watch_begin();
	RUN(test_pairs_find_each_other);
	RUN(test_relays_come_and_go);
	RUN(test_all_relays_of_an_end_are_lost);
	RUN(test_partitions_heal);
	RUN(test_loss_ends);
	RUN(test_all_faults_end);
	for (unsigned i = 0; i < PAIRS + NEW_PAIRS; i++)
		if (pairs[i].is_on)
			pair_end(&pairs[i]);
	sim_fini(&sim);
	return check_done();
}
