/* SPDX-License-Identifier: Apache-2.0 */
/* Which relays an end asks for a peer, and which it keeps so that peers find it at them. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "support/relay_end_rig.h"

#define PEER 100

static struct relay_end_rig rig;

static struct peer_via via_of(unsigned relay)
{
	struct peer_via via = {.addr = rig.address[relay]};

	relay_end_rig_key(relay, via.key);
	return via;
}

static unsigned asked_relay(void)
{
	const struct mesh_request *request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);

	return request ? request->ask.peer.key[0] : UINT8_MAX;
}

static void test_relays_that_the_record_names_are_asked_first(void)
{
	struct peer_via vias[PEER_VIAS_MAX];
	const struct mesh_peer *peer;
	void *run;

	relay_end_rig_init(&rig, NULL);
	vias[0] = via_of(7);
	relay_end_rig_key(200, vias[1].key); /* this node is the peer's relay itself */
	vias[1].key[1] = 1;
	vias[1].addr = rig.address[8];
	rig.is_down[7] = true;
	run = relay_end_rig_look(&rig, PEER);
	/* The first that this node knows is asked already. */
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK_EQ(asked_relay(), 0);
	relay_end_look_hint(rig.end, run, vias, 2, rig.now_ns);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK_EQ(rig.found_cnt, 2);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EABSENT, NULL);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK_EQ(asked_relay(), 7);
	/* It is dialled as an address of hearsay, by QUIC and by TCP one port above. */
	peer = &relay_end_rig_asked(&rig, MESH_FLOW_OPEN)->ask.peer;
	CHECK_EQ(peer->told_cnt, 2);
	CHECK_EQ(peer->addr_cnt, 2);
	CHECK(addr_equal(&peer->addrs[0], &vias[0].addr));
	CHECK_EQ(peer->addrs[1].transport, ADDR_TCP);
	CHECK_EQ(peer->addrs[1].port, vias[0].addr.port + 1);
	CHECK_EQ(rig.ended_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_silent_relay_does_not_hold_the_next_up(void)
{
	relay_end_rig_init(&rig, NULL);
	CHECK(relay_end_rig_look(&rig, PEER));
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_run(&rig, 900 * NS_PER_MS);
	CHECK_EQ(rig.found_cnt, 1);
	relay_end_rig_run(&rig, 200 * NS_PER_MS);
	CHECK_EQ(rig.found_cnt, 2);
	/* The first may still answer. */
	CHECK_EQ(rig.expelled_cnt, 0);
	CHECK_EQ(rig.ended_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_record_does_not_move_a_relay_that_is_known(void)
{
	struct peer_via via;
	void *run;

	relay_end_rig_init(&rig, NULL);
	rig.is_down[0] = true;
	CHECK(relay_end_rig_look(&rig, PEER));
	via = via_of(0);
	via.addr = rig.address[9];
	run = relay_end_rig_look(&rig, PEER + 1);
	relay_end_look_hint(rig.end, run, &via, 1, rig.now_ns);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK_EQ(asked_relay(), 0);
	CHECK(addr_equal(relay_end_rig_asked(&rig, MESH_FLOW_OPEN)->ask.peer.addrs,
			 &rig.address[0]));
	relay_end_rig_fini(&rig);
}

static bool is_kept(unsigned relay)
{
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned cnt = relay_end_kept(rig.end, vias);

	for (unsigned i = 0; i < cnt; i++)
		if (vias[i].key[0] == relay)
			return addr_equal(&vias[i].addr, &rig.address[relay]);
	return false;
}

static void test_a_peer_that_is_not_at_a_relay_costs_the_relay_nothing(void)
{
	relay_end_rig_init(&rig, NULL);
	CHECK(relay_end_rig_look(&rig, PEER));
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EABSENT, NULL);
	relay_end_rig_run(&rig, 100 * NS_PER_MS);
	CHECK_EQ(rig.gone_cnts[0] + rig.served_cnts[0], 0);
	relay_end_rig_fini(&rig);
}

static void test_a_kept_relay_that_is_silent_is_replaced(void)
{
	struct relay_end_config config;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = 3;
	relay_end_rig_run(&rig, 30 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(rig.probed_cnt, 0); /* they were heard of */
	CHECK_EQ(rig.kept_cnt, 1);
	rig.is_mute[0] = true;
	CHECK_EQ(rig.gone_cnts[0], 0);
	relay_end_rig_run(&rig, 16 * NS_PER_S);
	CHECK(is_kept(1) && is_kept(2));
	/* Once for each time that it falls silent: its score falls, and it is chosen less. */
	CHECK_EQ(rig.gone_cnts[0], 1);
	CHECK_EQ(rig.gone_cnts[1] + rig.gone_cnts[2], 0);
	relay_end_rig_run(&rig, 4 * NS_PER_S);
	CHECK_EQ(rig.kept_cnt, 2);
	/* When it is back there are no more than two. */
	rig.is_mute[0] = false;
	relay_end_rig_run(&rig, 10 * NS_PER_S);
	CHECK_EQ(is_kept(0) + is_kept(1) + is_kept(2), 2);
	relay_end_rig_fini(&rig);
}

static void test_a_kept_relay_that_does_not_answer_a_dial_is_replaced(void)
{
	struct relay_end_config config;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = 3;
	rig.is_down[0] = true;
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(rig.connect_cnt, 1);
	CHECK(is_kept(1) && !is_kept(2));
	rig.connect_done(rig.connect_arg, WEFT_EUNREACHABLE, NULL);
	relay_end_rig_run(&rig, 3 * NS_PER_S);
	CHECK(is_kept(1) && is_kept(2));
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_relays_that_the_record_names_are_asked_first);
	RUN(test_a_silent_relay_does_not_hold_the_next_up);
	RUN(test_a_record_does_not_move_a_relay_that_is_known);
	RUN(test_a_peer_that_is_not_at_a_relay_costs_the_relay_nothing);
	RUN(test_a_kept_relay_that_is_silent_is_replaced);
	RUN(test_a_kept_relay_that_does_not_answer_a_dial_is_replaced);
	return check_done();
}
