/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/blobs.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "net/mem.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "store/store.h"
#include "support/check.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"

#define BEGIN_NS (1000 * NS_PER_S)
#define WALL_S	 1790000000

static const struct addr own_addr = {.ip = {10, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4};

/* One node on a network of its own, in its own directory. */
static struct {
	struct mem_net *net;
	struct node_key *key;
	struct node_config config;
	struct random random;
	char dir[SCRATCH_CAP], state_dir[SCRATCH_CAP];
	char what[NODE_WHAT_CAP];
	struct node *node;
} rig;

static void rig_init(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	struct node_config *config = &rig.config;

	memset(&rig, 0, sizeof(rig));
	random_init_seeded(&rig.random, 1);
	scratch_make(rig.dir);
	scratch_path(rig.state_dir, sizeof(rig.state_dir), rig.dir, "state");
	CHECK_EQ(net_mem_net_new(2, 64, &rig.random, &rig.net), 0);
	CHECK_EQ(node_key_from_seed(seed, &rig.key), 0);
	quic_config_defaults(&config->quic);
	relay_trust_config_defaults(&config->relay_trust);
	relay_end_config_defaults(&config->relay_end);
	relay_receipts_config_defaults(&config->relay_receipts);
	relay_slots_config_defaults(&config->relay_slots);
	punch_config_defaults(&config->punch);
	mesh_config_defaults(&config->mesh);
	store_config_defaults(&config->store);
	blobs_config_defaults(&config->content);
	config->quic.conn_cap = 8;
	config->quic.stream_cap = 64;
	config->quic.heap_cap = 8 << 20;
	config->mesh.session_cap = config->mesh.peer_cap = 8;
	config->mesh.request_cap = config->mesh.incoming_cap = 16;
	config->store.map_len = 1 << 20;
	config->store.map_len_max = 64 << 20;
	config->store.segment_len_max = 4 << 20;
	config->store.reader_cap = 8;
	config->content.share_cap = config->content.get_cap = 4;
	config->content.chunk_buffer_cnt = 4;
	config->job_cap = 32;
	config->store.dir = rig.state_dir;
	config->udp.listen[0] = own_addr;
	config->udp.listen_cnt = 1;
}

static void rig_fini(void)
{
	node_free(rig.node);
	node_key_free(rig.key);
	net_mem_net_free(rig.net);
	scratch_remove(rig.dir);
}

/* rig_open returns what node_new does; the n-th allocation fails unless n is 0. */
static int rig_open(unsigned n, bool *out_fired)
{
	struct node_params params = {
		.config = &rig.config,
		.key = rig.key,
		.random = &rig.random,
		.is_simulated = true,
		.now_ns = BEGIN_NS,
		.wall_s = WALL_S,
	};
	int err;

	memset(rig.what, 0, sizeof(rig.what));
	if (net_mem_net_attach(rig.net, &own_addr, &params.rx, &params.tx) < 0)
		abort();
	if (n)
		fail_alloc_arm(n, 1);
	err = node_new(&params, &rig.node, rig.what);
	if (n)
		*out_fired = fail_alloc_disarm();
	if (err < 0)
		rig.node = NULL;
	return err;
}

static void test_node_opens_turns_and_waits_for_its_next_timer(void)
{
	rig_init();
	CHECK_EQ(rig_open(0, NULL), 0);
	if (rig.node) {
		uint64_t now_ns = BEGIN_NS;

		for (unsigned i = 0; i < 1000 && node_turn(rig.node, now_ns); i++)
			now_ns += NS_PER_MS;
		CHECK(node_next_ns(rig.node) > now_ns);
		CHECK(node_mesh(rig.node) && node_quic(rig.node) && node_content(rig.node));
		CHECK(node_poller(rig.node) == NULL);
	}
	rig_fini();
}

static void test_directory_that_cannot_be_made_is_named(void)
{
	rig_init();
	rig.config.store.dir = "/proc/no-such-folder/state";
	CHECK(rig_open(0, NULL) < 0);
	CHECK(strstr(rig.what, "state directory /proc/no-such-folder/state") != NULL);
	rig_fini();
}

static void test_directory_of_another_node_is_refused(void)
{
	struct node *first;

	rig_init();
	CHECK_EQ(rig_open(0, NULL), 0);
	first = rig.node;
	/* The same directory by another address: the first holds its lock. */
	{
		const struct addr other = {.ip = {10, 0, 0, 2}, .port = 7000, .family = ADDR_IPV4};
		struct node_params params = {.config = &rig.config,
					     .key = rig.key,
					     .random = &rig.random,
					     .is_simulated = true,
					     .now_ns = BEGIN_NS,
					     .wall_s = WALL_S};
		struct node *second = NULL;

		CHECK_EQ(net_mem_net_attach(rig.net, &other, &params.rx, &params.tx), 0);
		CHECK(node_new(&params, &second, rig.what) < 0);
		CHECK(strstr(rig.what, rig.state_dir) != NULL);
	}
	rig.node = first;
	rig_fini();
}

static void test_failed_allocation_is_an_error_with_a_name_and_nothing_stays_open(void)
{
	unsigned n, refused_cnt = 0;
	bool fired = true;

	rig_init();
	for (n = 1; fired && n < 100000; n++) {
		int err = rig_open(n, &fired);

		if (err < 0) {
			refused_cnt++;
			CHECK(rig.what[0] != '\0');
		}
		CHECK(err == 0 || fired);
		node_free(rig.node);
		rig.node = NULL;
		if (check_failed)
			break;
	}
	CHECK(!fired);
	CHECK(refused_cnt > 20);
	printf("# %u allocations, %u of them without which there is no node\n", n - 2, refused_cnt);
	CHECK_EQ(rig_open(0, NULL), 0);
	rig_fini();
}

/* --- the role of a relay --- */

static int stored_err;
static unsigned stored_cnt;

static void on_stored(void *arg, int err)
{
	(void)arg;
	stored_err = err;
	stored_cnt++;
}

static void relay_open(void)
{
	rig_init();
	relay_config_defaults(&rig.config.relay);
	relay_broker_config_defaults(&rig.config.relay_broker);
	relay_messages_config_defaults(&rig.config.relay_messages);
	rig.config.relay.is_on = true;
	rig.config.relay.flow_cap = RELAY_FLOW_CAP_MIN;
	CHECK_EQ(rig_open(0, NULL), 0);
	if (!rig.node)
		abort();
	stored_cnt = 0;
}

static void turns(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		(void)node_turn(rig.node, BEGIN_NS + i * NS_PER_MS);
}

static void test_a_role_is_taken_when_it_is_durable(void)
{
	relay_open();
	CHECK(rig.node->relay_role.is_relay);
	CHECK_EQ(node_choose_relay(rig.node, RELAY_ROLE_CHOSEN_OFF, on_stored, NULL), 0);
	CHECK(rig.node->relay_role.is_relay);
	/* One at a time. */
	CHECK_EQ(node_choose_relay(rig.node, RELAY_ROLE_CHOSEN_ON, on_stored, NULL), WEFT_EBUSY);
	turns(20);
	CHECK_EQ(stored_cnt, 1);
	CHECK_EQ(stored_err, 0);
	CHECK(!rig.node->relay_role.is_relay);
	CHECK_EQ(node_choose_relay(rig.node, RELAY_ROLE_CHOSEN_ON, on_stored, NULL), 0);
	turns(20);
	CHECK(rig.node->relay_role.is_relay);
	rig_fini();
}

static void test_a_role_that_cannot_be_stored_has_no_effect(void)
{
	relay_open();
	store_freeze(rig.node->store);
	CHECK_EQ(node_choose_relay(rig.node, RELAY_ROLE_CHOSEN_OFF, on_stored, NULL), 0);
	turns(20);
	CHECK_EQ(stored_cnt, 1);
	CHECK(stored_err < 0);
	CHECK(rig.node->relay_role.is_relay);
	CHECK_EQ(rig.node->relay_role.why, RELAY_ROLE_IS_ON);
	rig_fini();
}

static void test_a_role_on_its_way_at_the_end_is_answered(void)
{
	relay_open();
	CHECK_EQ(node_choose_relay(rig.node, RELAY_ROLE_CHOSEN_OFF, on_stored, NULL), 0);
	rig_fini();
	CHECK_EQ(stored_cnt, 1);
}

int main(void)
{
	RUN(test_node_opens_turns_and_waits_for_its_next_timer);
	RUN(test_directory_that_cannot_be_made_is_named);
	RUN(test_directory_of_another_node_is_refused);
	RUN(test_failed_allocation_is_an_error_with_a_name_and_nothing_stays_open);
	RUN(test_a_role_is_taken_when_it_is_durable);
	RUN(test_a_role_that_cannot_be_stored_has_no_effect);
	RUN(test_a_role_on_its_way_at_the_end_is_answered);
	return check_done();
}
