/* SPDX-License-Identifier: Apache-2.0 */
/* Whole nodes that know each other's keys and no address: the DHT is all there is between them. */
#include <string.h>

#include "mesh/mesh.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/sim.h"

#define NODES 40

static const struct mem_link fair = {.delay_ns = 30 * NS_PER_MS, .loss_per_1000 = 20};

static struct sim sim;
static unsigned connect_cnt;
static int connect_err;

/* Each in a subnet of its own: tables take few from one. */
static struct sim_node *node_add(enum pkarr_publish publish)
{
	struct sim_node *node = sim_add(&sim);
	unsigned idx = sim.node_cnt;

	node->addr.ip[1] = (uint8_t)(idx >> 8);
	node->addr.ip[2] = (uint8_t)idx;
	node->addr.ip[3] = 1;
	node->config.udp.listen[0] = node->addr;
	locate_mainline_config_defaults(&node->config.mainline);
	node->config.publish.policy.allows_private = true;
	node->config.publish.policy.publish = publish;
	snprintf(node->config.mainline.bootstrap, sizeof(node->config.mainline.bootstrap),
		 "10.0.1.1:%u", (unsigned)node->addr.port);
	return node;
}

static void network_init(void)
{
	sim_init(&sim, sim_seed(11), &fair);
	for (unsigned i = 0; i < NODES; i++)
		sim_start(node_add(i < 2 ? PKARR_OFF : PKARR_DIRECT));
	sim_run(&sim, 90 * NS_PER_S, NULL, NULL);
}

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	connect_cnt++;
	connect_err = err;
}

static bool is_connect_over(void *arg)
{
	(void)arg;
	return connect_cnt > 0;
}

/* By its key alone. */
static int node_reach(struct sim_node *from, const struct sim_node *to)
{
	struct mesh_peer peer = {.addr_cnt = 0};
	int err;

	connect_cnt = 0;
	memcpy(peer.key, node_key_public(to->key), sizeof(peer.key));
	sim_wake(from);
	err = mesh_connect(node_mesh(from->node),
			   &(struct mesh_connect){.peer = &peer,
						  .timeout_ns = 30 * NS_PER_S,
						  .done = connect_done,
						  .arg = NULL},
			   sim.now_ns);
	if (err < 0)
		return err;
	return sim_run(&sim, 60 * NS_PER_S, is_connect_over, NULL) ? connect_err : WEFT_ETIMEOUT;
}

static void test_a_key_is_enough(void)
{
	unsigned reached_cnt = 0;

	network_init();
	for (unsigned i = 2; i < NODES - 1; i++)
		reached_cnt += node_reach(&sim.nodes[i], &sim.nodes[i + 1]) == 0;
	CHECK_EQ(reached_cnt, NODES - 3);
	sim_report(&sim, "found by key");
	sim_fini(&sim);
}

static void test_a_node_that_publishes_nothing_is_not_found(void)
{
	network_init();
	CHECK_EQ(node_reach(&sim.nodes[5], &sim.nodes[1]), WEFT_EUNREACHABLE);
	/* Looking for others is no less possible for it. */
	CHECK_EQ(node_reach(&sim.nodes[1], &sim.nodes[5]), 0);
	sim_fini(&sim);
}

static void test_a_node_that_moved_is_found_at_its_new_address(void)
{
	struct sim_node *moved;

	network_init();
	moved = &sim.nodes[7];
	CHECK_EQ(node_reach(&sim.nodes[9], moved), 0);
	sim_crash(moved);
	moved->addr.ip[3] = 77;
	moved->config.udp.listen[0] = moved->addr;
	sim_start(moved);
	sim_run(&sim, 90 * NS_PER_S, NULL, NULL);
	CHECK_EQ(node_reach(&sim.nodes[9], moved), 0);
	CHECK_EQ(node_reach(&sim.nodes[20], moved), 0);
	sim_fini(&sim);
}

static void test_a_restarted_node_needs_no_bootstrap(void)
{
	struct sim_node *node;

	network_init();
	sim_run(&sim, 900 * NS_PER_S, NULL, NULL); /* contacts are saved once in a while */
	node = &sim.nodes[12];
	sim_crash(node);
	sim_crash(&sim.nodes[0]); /* all bootstrap nodes are gone */
	node->config.mainline.bootstrap[0] = '\0';
	sim_start(node);
	sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	CHECK_EQ(node_reach(node, &sim.nodes[30]), 0);
	sim_fini(&sim);
}

static void publish_ended(void *arg, int err)
{
	*(int *)arg = err;
}

/* The result for a caller that waits for the record to be published; 1: none. */
static int node_publish(struct sim_node *node, uint64_t wait_ns)
{
	static int err;

	err = 1;
	sim_wake(node);
	if (locate_publish_now(node->node->locate->publish, publish_ended, &err, sim.now_ns) < 0)
		return err;
	sim_run(&sim, wait_ns, NULL, NULL);
	if (err != 1)
		return err;
	/* While it is on its way, the address is gone. */
	node->node->machine->advertised.cnt = 0;
	locate_publish_changed(node->node->locate->publish, sim.now_ns);
	sim_run(&sim, NS_PER_S, NULL, NULL);
	return err;
}

static void test_a_publisher_hears_how_its_publication_ended(void)
{
	struct publish_state state;
	struct sim_node *node;

	sim_init(&sim, sim_seed(12), &fair);
	node = node_add(PKARR_DIRECT);
	sim_start(node);
	sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
	CHECK_EQ(node_publish(node, 10 * NS_PER_S), WEFT_EUNREACHABLE);
	/* However long it was alone, it does not take long then. */
	sim_run(&sim, 1500 * NS_PER_S, NULL, NULL);
	sim_start(node_add(PKARR_DIRECT));
	sim_run(&sim, 90 * NS_PER_S, NULL, NULL);
	locate_publish_state(node->node->locate->publish, &state);
	CHECK_EQ(state.stored_cnt, 1);
	CHECK_EQ(node_publish(node, 10 * NS_PER_S), 0);
	CHECK_EQ(node_publish(node, 10 * NS_PER_MS), WEFT_EABSENT);
	sim_fini(&sim);
}

/* --- a record's day --- */

#define HOUR_NS (3600 * NS_PER_S)
#define OWNER	2

static void small_network_init(void)
{
	sim_init(&sim, sim_seed(13), &fair);
	for (unsigned i = 0; i < 8; i++)
		sim_start(node_add(i == OWNER ? PKARR_DIRECT : PKARR_OFF));
	sim_run(&sim, 90 * NS_PER_S, NULL, NULL);
}

/* Of the record that is out; what else is known of it in *out_state. */
static uint64_t record_seq(struct publish_state *out_state)
{
	locate_publish_state(sim.nodes[OWNER].node->locate->publish, out_state);
	return out_state->packet ? out_state->packet->seq : 0;
}

/* Lets time pass until the record with this number is age_ns old. */
static void run_until_age(uint64_t seq, uint64_t age_ns)
{
	uint64_t now_us = node_wall_us(sim.nodes[0].node);

	sim_run(&sim, age_ns - (now_us - seq) * NS_PER_US, NULL, NULL);
}

static void test_a_record_is_signed_again_at_twelve_hours_and_found_after_a_day(void)
{
	struct publish_state state;
	uint64_t seq, next_seq;

	small_network_init();
	seq = record_seq(&state);
	CHECK(seq);
	run_until_age(seq, 12 * HOUR_NS - 120 * NS_PER_S);
	CHECK_EQ(record_seq(&state), seq);
	CHECK(state.stored_cnt > 0);
	/* A restart does not begin the twelve hours anew. */
	sim_crash(&sim.nodes[OWNER]);
	sim_start(&sim.nodes[OWNER]);
	run_until_age(seq, 12 * HOUR_NS - 30 * NS_PER_S);
	CHECK_EQ(record_seq(&state), seq);
	run_until_age(seq, 12 * HOUR_NS + 120 * NS_PER_S);
	next_seq = record_seq(&state);
	CHECK(next_seq > seq);
	run_until_age(seq, 25 * HOUR_NS);
	CHECK(record_seq(&state) > next_seq);
	CHECK_EQ(node_reach(&sim.nodes[5], &sim.nodes[OWNER]), 0);
	sim_report(&sim, "a day of a record");
	sim_fini(&sim);
}

/* Records that the node refused; any other would have been dialled. */
static uint64_t over_cnt(const struct sim_node *node)
{
	struct mesh_stats stats;

	mesh_stats(node_mesh(node->node), &stats);
	return stats.stale_record_cnt;
}

/* A reader puts it again and again: that keeps it no longer than its day. */
static void test_what_an_owner_left_behind_is_believed_for_a_day(void)
{
	struct dht_put_params put = {.is_kept = true};
	const struct dht_asker nobody = {0};
	struct publish_state state;
	struct pkarr_packet packet;
	struct dht_item item;
	uint64_t seq;

	small_network_init();
	seq = record_seq(&state);
	CHECK(seq);
	packet = *state.packet;
	dht_pkarr_packet_item(&packet, &item);
	put.item = &item;
	sim_crash(&sim.nodes[OWNER]);
	sim_wake(&sim.nodes[3]);
	CHECK(dht_put(sim.nodes[3].node->locate->dht, &put, &nobody, sim.now_ns));
	run_until_age(seq, 24 * HOUR_NS);
	CHECK_EQ(node_reach(&sim.nodes[5], &sim.nodes[OWNER]), WEFT_EUNREACHABLE);
	CHECK_EQ(over_cnt(&sim.nodes[5]), 0);
	run_until_age(seq, 24 * HOUR_NS + 301 * NS_PER_S);
	CHECK_EQ(node_reach(&sim.nodes[6], &sim.nodes[OWNER]), WEFT_EUNREACHABLE);
	CHECK(over_cnt(&sim.nodes[6]) > 0);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_key_is_enough);
	RUN(test_a_node_that_publishes_nothing_is_not_found);
	RUN(test_a_node_that_moved_is_found_at_its_new_address);
	RUN(test_a_restarted_node_needs_no_bootstrap);
	RUN(test_a_publisher_hears_how_its_publication_ended);
	RUN(test_a_record_is_signed_again_at_twelve_hours_and_found_after_a_day);
	RUN(test_what_an_owner_left_behind_is_believed_for_a_day);
	return check_done();
}
