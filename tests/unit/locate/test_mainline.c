/* SPDX-License-Identifier: Apache-2.0 */
/* The Mainline DHT as a part of locate: its way in, its state in the store, and looks for keys. */
#include "locate/mainline.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "crypto/node_key.h"
#include "locate/bootstrap.h"
#include "locate/locate.h"
#include "support/check.h"
#include "support/dht_rig.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

static struct {
	struct dht_rig dht; /* the network, and time */
	struct mainline_config config;
	struct publish_config publish;
	struct timer_wheel timers;
	struct node_key *key;
	struct addr bound[2];
	char dir[SCRATCH_CAP];
	struct locate locate;
	char what[LOCATE_WHAT_CAP];
	unsigned joined_cnt;
	unsigned ended_cnt;
} rig;

static uint64_t wall_us(void *ctx)
{
	(void)ctx;
	return 1800000000000000ull + rig.dht.now_ns / 1000;
}

static struct xdp *no_xdp(void *ctx)
{
	(void)ctx;
	return NULL;
}

static unsigned no_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx, (void)addrs;
	return 0;
}

static unsigned no_vias(void *ctx, struct peer_via vias[static PEER_VIAS_MAX])
{
	(void)ctx, (void)vias;
	return 0;
}

static void on_reply_keys(void *ctx, const struct weft_krpc_reply_keys *keys)
{
	(void)ctx, (void)keys;
}

static void on_event(void *ctx, const struct locate_event *event)
{
	(void)ctx;
	rig.joined_cnt += event->kind == LOCATE_DHT_JOINED;
}

static int look_found(struct mesh_look *look, const struct mesh_found *found, uint64_t now_ns)
{
	(void)look, (void)found, (void)now_ns;
	return 0;
}

static void look_ended(struct mesh_look *look, int err, uint64_t now_ns)
{
	(void)look, (void)err, (void)now_ns;
	rig.ended_cnt++;
}

static struct mesh_look look = {.found = look_found, .ended = look_ended};

static void pass(uint64_t ns)
{
	for (uint64_t end_ns = rig.dht.now_ns + ns; rig.dht.now_ns < end_ns;) {
		rig.dht.now_ns += NS_PER_S / 10;
		timer_wheel_expire(&rig.timers, rig.dht.now_ns);
		(void)jobs_reap(rig.locate.params.jobs);
		(void)store_reap(rig.locate.params.store);
		dht_expire(rig.locate.dht, rig.dht.now_ns);
		locate_mainline_turn(rig.locate.mainline);
	}
}

/* run_begin: one run of the node, in the folder of its earlier ones. */
static void run_begin(const char *bootstrap)
{
	snprintf(rig.config.bootstrap, sizeof(rig.config.bootstrap), "%s", bootstrap);
	rig.config.dht = rig.dht.config;
	timer_wheel_init(&rig.timers, rig.dht.now_ns);
	rig.locate = (struct locate){
		.params = {.mainline = &rig.config,
			   .publish = &rig.publish,
			   .random = &rig.dht.random,
			   .store = scratch_store(rig.dir, true),
			   .timers = &rig.timers,
			   .sink = &rig.dht.sink,
			   .bound = rig.bound,
			   .bound_cnt = 2,
			   .now_ns = &rig.dht.now_ns,
			   .wall_us = wall_us,
			   .key = rig.key,
			   .xdp = no_xdp,
			   .outer_addrs = no_addrs,
			   .own_addrs = no_addrs,
			   .vias = no_vias,
			   .reply_keys = on_reply_keys,
			   .on_event = on_event},
		.own_key = node_key_public(rig.key),
	};
	CHECK_EQ(jobs_new(0, 8, &rig.locate.params.jobs), 0);
	CHECK_EQ(locate_bootstrap_open(&rig.locate), 0);
	CHECK_EQ(locate_mainline_open(&rig.locate, rig.what), 0);
	CHECK_EQ(locate_publish_open(&rig.locate), 0);
	rig.dht.dht = rig.locate.dht;
	dht_rig_forget(&rig.dht);
}

static void run_end(void)
{
	locate_publish_close(rig.locate.publish);
	locate_mainline_stop(&rig.locate);
	locate_bootstrap_stop(rig.locate.bootstrap);
	(void)store_reap(rig.locate.params.store);
	jobs_free(rig.locate.params.jobs);
	locate_bootstrap_free(rig.locate.bootstrap);
	locate_mainline_free(rig.locate.mainline);
	store_close(rig.locate.params.store);
	rig.dht.dht = NULL;
}

static void set_up(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};

	memset(&rig, 0, sizeof(rig));
	dht_rig_init(&rig.dht);
	rig.config.is_on = true;
	CHECK_EQ(node_key_from_seed(seed, &rig.key), 0);
	rig.bound[0] = dht_rig_addr("203.0.113.1:7000");
	rig.bound[1] = dht_rig_addr("[2001:db8::1]:7000");
	scratch_make(rig.dir);
}

static void tear_down(void)
{
	run_end();
	node_key_free(rig.key);
	scratch_remove(rig.dir);
}

static bool was_asked(const char *addr)
{
	struct addr remote = dht_rig_addr(addr);

	for (unsigned i = 0; i < rig.dht.sent_cnt && i < DHT_RIG_SENT_MAX; i++)
		if (addr_equal(&rig.dht.sent[i].remote, &remote))
			return true;
	return false;
}

static void test_one_that_is_off_has_no_dht_and_no_memory(void)
{
	set_up();
	rig.config.is_on = false;
	run_begin("203.0.113.9:6881");
	CHECK(!rig.locate.dht && !rig.locate.mainline);
	CHECK_EQ(locate_mainline_footprint(&rig.config), 0);
	tear_down();
}

static void test_each_address_of_the_configuration_is_asked(void)
{
	set_up();
	run_begin("203.0.113.9:6881, 203.0.113.10:6881 no-port");
	pass(5 * NS_PER_S);
	CHECK(was_asked("203.0.113.9:6881"));
	CHECK(was_asked("203.0.113.10:6881"));
	tear_down();
}

static void test_without_a_way_in_no_node_is_asked_and_no_look_begins(void)
{
	static const uint8_t key[MESH_KEY_LEN] = {1};
	struct mesh_locator locator;
	void *run;

	set_up();
	run_begin("");
	pass(60 * NS_PER_S);
	CHECK_EQ(rig.dht.sent_cnt, 0);
	locator = locate_mainline_locator(rig.locate.mainline);
	CHECK_EQ(locator.look(locator.ctx, key, &look, rig.dht.now_ns, &run), WEFT_EUNREACHABLE);
	CHECK_EQ(rig.locate.stats.dht_lookup_cnt, 0);
	tear_down();
}

static void test_nodes_that_answer_are_reported_once_and_outlive_a_restart(void)
{
	set_up();
	run_begin("");
	dht_rig_fill(&rig.dht, 50);
	pass(20 * NS_PER_S);
	CHECK_EQ(rig.joined_cnt, 1);
	run_end();
	run_begin("");
	pass(NS_PER_S);
	CHECK(rig.dht.sent_cnt > 0);
	tear_down();
}

static void test_a_look_ends_once_and_one_taken_back_never(void)
{
	static const uint8_t keys[2][MESH_KEY_LEN] = {{1}, {2}};
	struct mesh_locator locator;
	void *run, *taken_back;

	set_up();
	run_begin("");
	dht_rig_fill(&rig.dht, 50);
	locator = locate_mainline_locator(rig.locate.mainline);
	CHECK_EQ(locator.look(locator.ctx, keys[0], &look, rig.dht.now_ns, &run), 0);
	CHECK_EQ(locator.look(locator.ctx, keys[1], &look, rig.dht.now_ns, &taken_back), 0);
	locator.cancel(locator.ctx, taken_back);
	pass(30 * NS_PER_S); /* all nodes are silent */
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.locate.stats.dht_lookup_cnt, 2);
	tear_down();
}

static void test_more_looks_than_there_are_places_are_refused(void)
{
	struct mesh_locator locator;
	unsigned begun_cnt = 0;
	int err = 0;
	void *run;

	set_up();
	rig.dht.config.query_cap = 1000;
	rig.dht.config.lookup_cap = 100;
	run_begin("");
	dht_rig_fill(&rig.dht, 50);
	locator = locate_mainline_locator(rig.locate.mainline);
	while (err == 0 && begun_cnt <= 64) {
		uint8_t key[MESH_KEY_LEN] = {(uint8_t)begun_cnt};

		err = locator.look(locator.ctx, key, &look, rig.dht.now_ns, &run);
		begun_cnt += err == 0;
	}
	CHECK_EQ(err, WEFT_EFULL);
	CHECK_EQ(begun_cnt, 64);
	CHECK_EQ(rig.locate.stats.refused_cnt, 1);
	pass(30 * NS_PER_S);
	CHECK_EQ(rig.ended_cnt, 64);
	tear_down();
}

int main(void)
{
	RUN(test_one_that_is_off_has_no_dht_and_no_memory);
	RUN(test_each_address_of_the_configuration_is_asked);
	RUN(test_without_a_way_in_no_node_is_asked_and_no_look_begins);
	RUN(test_nodes_that_answer_are_reported_once_and_outlive_a_restart);
	RUN(test_a_look_ends_once_and_one_taken_back_never);
	RUN(test_more_looks_than_there_are_places_are_refused);
	return check_done();
}
