/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a node's address record without the Mainline DHT. The test stands in for pkarr relays
 * and for the signaling endpoint, and keeps what they are given.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "locate/locate.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define HOUR_NS	 (3600 * NS_PER_S)
#define START_US 1790000000000000ull /* in 2026 */

static struct {
	struct timer_wheel timers;
	uint64_t now_ns;
	uint64_t start_us; /* the wall clock at time 0 */
	char dir[SCRATCH_CAP];
	struct publish_config config;
	struct locate locate;
	struct addr own;
	unsigned own_cnt;
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned via_cnt;
	unsigned given_cnt, withdrawn_cnt; /* by publish_elsewhere, at the signaling endpoint */
	uint64_t given_seq;
	unsigned done_cnt;
	int done_err;
} rig;

void locate_pkarr_relay_publish(struct pkarr_client *client, const struct pkarr_packet *packet,
				uint64_t now_ns)
{
	(void)client, (void)packet, (void)now_ns;
}

void locate_signaling_publish(struct signaling *signaling, const struct pkarr_packet *packet,
			      uint64_t now_ns)
{
	(void)signaling, (void)now_ns;
	rig.given_cnt += packet != NULL;
	rig.withdrawn_cnt += packet == NULL;
	rig.given_seq = packet ? packet->seq : 0;
}

static uint64_t wall_us(void *ctx)
{
	(void)ctx;
	return rig.start_us + rig.now_ns / 1000;
}

static unsigned no_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx, (void)addrs;
	return 0;
}

static unsigned own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx;
	addrs[0] = rig.own;
	return rig.own_cnt;
}

static unsigned kept_vias(void *ctx, struct peer_via vias[static PEER_VIAS_MAX])
{
	(void)ctx;
	memcpy(vias, rig.vias, sizeof(rig.vias));
	return rig.via_cnt;
}

static void on_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt++;
	rig.done_err = err;
}

static void pass(uint64_t ns)
{
	rig.now_ns += ns;
	timer_wheel_expire(&rig.timers, rig.now_ns);
	(void)store_reap(rig.locate.params.store);
}

/* life_begin: the node starts in the folder of its earlier lives. */
static void life_begin(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	static char endpoint; /* a signaling endpoint is configured: there is a place */
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	timer_wheel_init(&rig.timers, rig.now_ns);
	rig.locate = (struct locate){
		.params = {.publish = &rig.config,
			   .key = key,
			   .store = scratch_store(rig.dir, true),
			   .timers = &rig.timers,
			   .now_ns = &rig.now_ns,
			   .wall_us = wall_us,
			   .outer_addrs = no_addrs,
			   .own_addrs = own_addrs,
			   .vias = kept_vias},
		.own_key = node_key_public(key),
		.signaling = (struct signaling *)(void *)&endpoint,
	};
	CHECK_EQ(locate_publish_open(&rig.locate), 0);
	pass(0);
}

static void life_end(void)
{
	locate_publish_close(rig.locate.publish);
	store_close(rig.locate.params.store);
	node_key_free((struct node_key *)rig.locate.params.key);
}

static void set_up(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.now_ns = 100 * HOUR_NS;
	rig.start_us = START_US;
	rig.config.policy.publish = PKARR_DIRECT;
	rig.own_cnt = 1;
	CHECK_EQ(addr_parse("203.0.113.5:7000", &rig.own), 0);
	scratch_make(rig.dir);
	life_begin();
}

static void tear_down(void)
{
	life_end();
	scratch_remove(rig.dir);
}

static void test_a_record_is_signed_anew_when_the_addresses_change(void)
{
	uint64_t first;

	set_up();
	CHECK_EQ(rig.given_cnt, 1);
	first = rig.given_seq;
	CHECK_EQ(first, wall_us(NULL));
	pass(HOUR_NS);
	CHECK_EQ(rig.given_seq, first);
	CHECK_EQ(addr_parse("203.0.113.6:7000", &rig.own), 0);
	locate_publish_changed(rig.locate.publish, rig.now_ns);
	pass(NS_PER_S);
	CHECK(rig.given_seq > first);
	tear_down();
}

static void test_a_record_is_signed_anew_after_twelve_hours(void)
{
	uint64_t first;

	set_up();
	first = rig.given_seq;
	pass(12 * HOUR_NS - NS_PER_S);
	CHECK_EQ(rig.given_seq, first);
	pass(60 * NS_PER_S);
	CHECK(rig.given_seq > first);
	tear_down();
}

static void test_a_node_without_addresses_withdraws_its_record(void)
{
	struct publish_state state;

	set_up();
	rig.own_cnt = 0;
	locate_publish_changed(rig.locate.publish, rig.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(rig.withdrawn_cnt, 1);
	locate_publish_state(rig.locate.publish, &state);
	CHECK_EQ(state.err, WEFT_EABSENT);
	CHECK_EQ(locate_publish_now(rig.locate.publish, on_done, NULL, rig.now_ns), WEFT_EABSENT);
	tear_down();
}

static void test_a_node_without_addresses_publishes_the_relays_it_keeps(void)
{
	struct publish_state state;
	uint64_t last;

	set_up();
	rig.own_cnt = 0;
	rig.via_cnt = 1;
	rig.vias[0].key[0] = 9;
	CHECK_EQ(addr_parse("203.0.113.7:7000", &rig.vias[0].addr), 0);
	locate_publish_changed(rig.locate.publish, rig.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(rig.withdrawn_cnt, 0);
	locate_publish_state(rig.locate.publish, &state);
	CHECK_EQ(state.err, 0);
	CHECK_EQ(state.record.via_cnt, 1);
	last = rig.given_seq;
	rig.vias[0].key[0] = 10; /* another relay at the same address */
	locate_publish_changed(rig.locate.publish, rig.now_ns);
	pass(NS_PER_S);
	CHECK(rig.given_seq > last);
	rig.via_cnt = 0;
	locate_publish_changed(rig.locate.publish, rig.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(rig.withdrawn_cnt, 1);
	tear_down();
}

static void test_policy_off_publishes_nothing(void)
{
	set_up();
	life_end();
	rig.config.policy.publish = PKARR_OFF;
	rig.given_cnt = 0;
	life_begin();
	pass(HOUR_NS);
	CHECK_EQ(rig.given_cnt, 0);
	CHECK_EQ(locate_publish_now(rig.locate.publish, on_done, NULL, rig.now_ns), WEFT_EREFUSED);
	tear_down();
}

static void test_the_next_life_signs_above_the_last_one_though_the_clock_went_back(void)
{
	uint64_t last;

	set_up();
	last = rig.given_seq;
	life_end();
	rig.start_us -= 24 * HOUR_NS / 1000;
	life_begin();
	CHECK(rig.given_seq > last);
	tear_down();
}

static void test_a_record_that_is_still_right_is_put_as_it_is_by_the_next_life(void)
{
	uint64_t last;

	set_up();
	last = rig.given_seq;
	life_end();
	rig.given_cnt = 0;
	rig.now_ns += HOUR_NS;
	life_begin();
	CHECK_EQ(rig.given_cnt, 1);
	CHECK_EQ(rig.given_seq, last);
	tear_down();
}

static void test_a_second_caller_is_busy_until_the_first_has_its_answer(void)
{
	set_up();
	CHECK_EQ(locate_publish_now(rig.locate.publish, on_done, NULL, rig.now_ns), 0);
	CHECK_EQ(rig.done_cnt, 0);
	CHECK_EQ(locate_publish_now(rig.locate.publish, on_done, NULL, rig.now_ns), WEFT_EBUSY);
	pass(NS_PER_S);
	CHECK_EQ(rig.done_cnt, 1);
	CHECK_EQ(rig.done_err, 0);
	CHECK_EQ(locate_publish_now(rig.locate.publish, on_done, NULL, rig.now_ns), 0);
	tear_down();
}

static void test_a_sequence_number_is_over_after_a_day_and_five_minutes(void)
{
	uint64_t seq, life_us = PUBLISH_RECORD_LIFE_S * 1000000ull + 300 * 1000000ull;

	set_up();
	seq = wall_us(NULL) - life_us;
	CHECK(!locate_publish_record_is_over(&rig.locate, seq));
	CHECK(locate_publish_record_is_over(&rig.locate, seq - 1));
	CHECK(!locate_publish_record_is_over(&rig.locate, wall_us(NULL) + life_us));
	CHECK(!locate_publish_record_is_over(&rig.locate, 1));
	tear_down();
}

int main(void)
{
	RUN(test_a_record_is_signed_anew_when_the_addresses_change);
	RUN(test_a_record_is_signed_anew_after_twelve_hours);
	RUN(test_a_node_without_addresses_withdraws_its_record);
	RUN(test_a_node_without_addresses_publishes_the_relays_it_keeps);
	RUN(test_policy_off_publishes_nothing);
	RUN(test_the_next_life_signs_above_the_last_one_though_the_clock_went_back);
	RUN(test_a_record_that_is_still_right_is_put_as_it_is_by_the_next_life);
	RUN(test_a_second_caller_is_busy_until_the_first_has_its_answer);
	RUN(test_a_sequence_number_is_over_after_a_day_and_five_minutes);
	return check_done();
}
