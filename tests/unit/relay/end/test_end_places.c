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

static void on_named_found(void *arg, const struct addr *label, uint64_t now_ns)
{
	(void)label, (void)now_ns;
	(*(unsigned *)arg)++;
}

static void on_named_ended(void *arg, int err, uint64_t now_ns)
{
	(void)arg, (void)err, (void)now_ns;
}

/* The relays that this node knows never learn a key that is theirs to keep. */
static void test_a_look_for_named_relays_asks_no_other(void)
{
	unsigned found_cnt = 0;
	const struct relay_end_look look = {.found = on_named_found,
					    .ended = on_named_ended,
					    .arg = &found_cnt,
					    .is_named = true};
	const struct peer_via via = via_of(7);
	uint8_t key[MESH_KEY_LEN];
	void *run;

	relay_end_rig_init(&rig, NULL);
	rig.is_down[7] = true;
	relay_end_rig_key(PEER, key);
	CHECK_EQ(relay_end_look(rig.end, key, &look, rig.now_ns, &run), 0);
	relay_end_look_hint(rig.end, run, &via, 1, rig.now_ns);
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(found_cnt, 1);
	CHECK_EQ(asked_relay(), UINT8_MAX);
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

/* --- trust --- */

static void keep_begin(unsigned relay_cnt)
{
	struct relay_end_config config;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = relay_cnt;
}

static unsigned kept_row_cnt(void)
{
	struct relay_end_relay row;
	unsigned cnt = 0;

	while (relay_end_relay_at(rig.end, cnt, &row))
		cnt++;
	return cnt;
}

static void test_a_relay_that_is_trusted_more_replaces_one_and_its_flows_stay(void)
{
	struct relay_flow_message told = relay_end_rig_told(1, PEER, 1);

	keep_begin(2);
	rig.trusts[0] = rig.trusts[1] = 3;
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(1));
	relay_end_rig_offer(&rig, 1, PEER, 1200);
	relay_end_rig_flow(&rig, 1, &told);
	CHECK(relay_end_rig_hear(&rig, 1, &told, WEFT_RELAY_TO_END, 100));
	rig.relay_cnt = 3;
	rig.trusts[2] = 1;
	relay_end_rig_run(&rig, 40 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(2) && !is_kept(1));
	CHECK_EQ(kept_row_cnt(), 2);
	CHECK_EQ(relay_end_rig_stats(&rig).bettered_cnt, 1);
	/* The flow at the relay that is kept no more goes on. */
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_LOST], 0);
	CHECK(relay_end_rig_hear(&rig, 1, &told, WEFT_RELAY_TO_END, 100));
	relay_end_rig_run(&rig, 60 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(2));
	CHECK_EQ(relay_end_rig_stats(&rig).bettered_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_an_equal_relay_replaces_none(void)
{
	keep_begin(2);
	rig.trusts[0] = rig.trusts[1] = rig.trusts[2] = 2;
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	rig.relay_cnt = 3;
	relay_end_rig_run(&rig, 120 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(kept_row_cnt(), 2);
	CHECK_EQ(relay_end_rig_stats(&rig).bettered_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_trusted_relay_that_is_down_takes_no_place_and_is_tried_ever_later(void)
{
	unsigned connect_cnt;

	keep_begin(2);
	rig.trusts[0] = rig.trusts[1] = 3;
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	rig.is_down[2] = true;
	rig.relay_cnt = 3;
	for (unsigned i = 0; i < 40 && !rig.connect_cnt; i++)
		relay_end_rig_run(&rig, NS_PER_S);
	CHECK_EQ(rig.dialled.key[0], 2);
	/* While it is dialled the two are kept and published. */
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(kept_row_cnt(), 3);
	rig.connect_done(rig.connect_arg, WEFT_ETIMEOUT, NULL);
	relay_end_rig_run(&rig, 4 * NS_PER_S);
	CHECK_EQ(kept_row_cnt(), 2);
	connect_cnt = rig.connect_cnt;
	/* Four trials follow, the last four minutes after the one before, with three dials at most. */
	for (unsigned i = 0; i < 600; i++) {
		relay_end_rig_run(&rig, NS_PER_S);
		if (kept_row_cnt() == 3)
			rig.connect_done(rig.connect_arg, WEFT_ETIMEOUT, NULL);
	}
	CHECK(rig.connect_cnt - connect_cnt >= 2 && rig.connect_cnt - connect_cnt <= 12);
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(relay_end_rig_stats(&rig).bettered_cnt, 0);
	/* It is back. */
	rig.is_down[2] = false;
	relay_end_rig_run(&rig, 1000 * NS_PER_S);
	CHECK(is_kept(2));
	CHECK_EQ(kept_row_cnt(), 2);
	relay_end_rig_fini(&rig);
}

static void test_a_relay_that_is_refused_is_kept_no_more(void)
{
	keep_begin(2);
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(1));
	rig.trusts[0] = RELAY_END_REFUSED;
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK(!is_kept(0) && is_kept(1));
	CHECK_EQ(kept_row_cnt(), 1);
	relay_end_rig_fini(&rig);
}

static void test_of_the_records_relays_the_trusted_one_is_asked_first(void)
{
	struct peer_via vias[PEER_VIAS_MAX] = {0};
	void *run;

	relay_end_rig_init(&rig, NULL);
	vias[0] = via_of(7);
	vias[1] = via_of(8);
	rig.relay_cnt = 1;
	rig.told_trusts[7] = 3;
	rig.told_trusts[8] = 1;
	run = relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_look_hint(rig.end, run, vias, 2, rig.now_ns);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EABSENT, NULL);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK_EQ(asked_relay(), 8);
	relay_end_rig_fini(&rig);
}

static void test_a_refused_relay_of_a_record_is_not_asked(void)
{
	struct peer_via via;
	void *run;

	relay_end_rig_init(&rig, NULL);
	via = via_of(7);
	rig.relay_cnt = 1;
	rig.told_trusts[7] = RELAY_END_REFUSED;
	run = relay_end_rig_look(&rig, PEER);
	relay_end_look_hint(rig.end, run, &via, 1, rig.now_ns);
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(rig.found_cnt, 1);
	CHECK_EQ(relay_end_rig_stats(&rig).kept_out_cnt, 1);
	relay_end_rig_fini(&rig);
}

/* It names any opener that it likes, a contact of this node among them. */
static void test_an_offer_of_a_refused_relay_is_refused(void)
{
	relay_end_rig_init(&rig, NULL);
	rig.trusts[3] = RELAY_END_REFUSED;
	relay_end_rig_offer(&rig, 3, PEER, 1200);
	CHECK(rig.is_answered);
	CHECK_EQ(rig.code, MESH_CODE_REFUSED);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	relay_end_rig_offer(&rig, 4, PEER, 1200);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_relay_that_is_trusted_more_replaces_one_and_its_flows_stay);
	RUN(test_an_equal_relay_replaces_none);
	RUN(test_a_trusted_relay_that_is_down_takes_no_place_and_is_tried_ever_later);
	RUN(test_a_relay_that_is_refused_is_kept_no_more);
	RUN(test_of_the_records_relays_the_trusted_one_is_asked_first);
	RUN(test_a_refused_relay_of_a_record_is_not_asked);
	RUN(test_an_offer_of_a_refused_relay_is_refused);
	RUN(test_relays_that_the_record_names_are_asked_first);
	RUN(test_a_look_for_named_relays_asks_no_other);
	RUN(test_a_silent_relay_does_not_hold_the_next_up);
	RUN(test_a_record_does_not_move_a_relay_that_is_known);
	RUN(test_a_peer_that_is_not_at_a_relay_costs_the_relay_nothing);
	RUN(test_a_kept_relay_that_is_silent_is_replaced);
	RUN(test_a_kept_relay_that_does_not_answer_a_dial_is_replaced);
	return check_done();
}
