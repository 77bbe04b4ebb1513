/* SPDX-License-Identifier: Apache-2.0 */
/* Relays that an end keeps: how soon it notices that they have gone, and what it keeps instead. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "end_flows.h"

/* The first two of relay_cnt relays are kept; they say nothing unasked. */
static void kept_begin(unsigned relay_cnt)
{
	struct relay_end_config config;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = relay_cnt;
	rig.is_quiet = true;
	relay_end_rig_run(&rig, 30 * NS_PER_S);
	memset(rig.probed_cnts, 0, sizeof(rig.probed_cnts));
	rig.probed_cnt = rig.kept_cnt = 0;
}

/* The number of the first relay that the record names; UINT_MAX: it names none. */
static unsigned first_kept(void)
{
	struct peer_via vias[PEER_VIAS_MAX];

	return relay_end_kept(rig.end, vias) ? vias[0].key[0] : UINT32_MAX;
}

static bool is_kept(unsigned relay)
{
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned cnt = relay_end_kept(rig.end, vias);

	for (unsigned i = 0; i < cnt; i++)
		if (vias[i].key[0] == relay)
			return true;
	return false;
}

/* How long until the record names a relay from the third on first, and that is published. */
static uint64_t until_named(uint64_t max_ns)
{
	uint64_t begin_ns = rig.now_ns;

	while (rig.now_ns < begin_ns + max_ns && (!rig.kept_cnt || first_kept() < 2))
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
	return rig.now_ns - begin_ns;
}

static void session_ends(unsigned relay)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_key(relay, key);
	rig.is_down[relay] = true;
	relay_end_session(rig.end, key, false, rig.now_ns);
}

static void test_two_idle_relays_are_asked_in_turn(void)
{
	uint64_t last_ns, longest_ns = 0, shortest_ns = UINT64_MAX;

	kept_begin(2);
	last_ns = rig.now_ns;
	for (unsigned i = 0, cnt = 0; i < 6000; i++) {
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
		if (rig.probed_cnt == cnt)
			continue;
		cnt = rig.probed_cnt;
		if (cnt > 1 && rig.now_ns - last_ns > longest_ns)
			longest_ns = rig.now_ns - last_ns;
		if (cnt > 1 && rig.now_ns - last_ns < shortest_ns)
			shortest_ns = rig.now_ns - last_ns;
		last_ns = rig.now_ns;
	}
	/* 20 packets a minute, each relay each six seconds. */
	CHECK(rig.probed_cnt >= 18);
	CHECK(rig.probed_cnt <= 20);
	CHECK(rig.probed_cnts[0] + 1 >= rig.probed_cnts[1]);
	CHECK(rig.probed_cnts[1] + 1 >= rig.probed_cnts[0]);
	CHECK(shortest_ns >= 2900 * NS_PER_MS);
	CHECK(longest_ns <= 4 * NS_PER_S);
	relay_end_rig_fini(&rig);
}

static void test_where_all_are_silent_another_is_named_within_six_seconds(void)
{
	for (unsigned ms = 0; ms < 6000; ms += 500) {
		uint64_t took_ns;

		kept_begin(4);
		relay_end_rig_run(&rig, ms * NS_PER_MS);
		rig.is_mute[0] = rig.is_mute[1] = true;
		took_ns = until_named(20 * NS_PER_S);
		CHECK(took_ns <= 5500 * NS_PER_MS);
		/* The score of a relay falls once it is silent, and not for the doubt. */
		CHECK_EQ(rig.gone_cnts[0] + rig.gone_cnts[1], 0);
		relay_end_rig_run(&rig, 3 * NS_PER_S);
		CHECK(is_kept(2) && is_kept(3));
		CHECK_EQ(rig.gone_cnts[0], 1);
		CHECK_EQ(rig.gone_cnts[1], 1);
		relay_end_rig_fini(&rig);
	}
}

static void test_a_doubt_that_is_answered_changes_nothing(void)
{
	kept_begin(4);
	for (unsigned i = 0; i < 5; i++) {
		rig.is_mute[0] = true;
		relay_end_rig_run(&rig, 2 * NS_PER_S);
		rig.is_mute[0] = false;
		relay_end_rig_run(&rig, 2 * NS_PER_S);
	}
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(rig.kept_cnt, 0);
	CHECK_EQ(rig.gone_cnts[0], 0);
	relay_end_rig_fini(&rig);
}

/* Both were out of reach for a moment: what was kept beside them goes again. */
static void test_relays_that_answer_again_take_their_places_back(void)
{
	kept_begin(4);
	rig.is_mute[0] = rig.is_mute[1] = true;
	CHECK(until_named(20 * NS_PER_S) <= 5500 * NS_PER_MS);
	rig.is_mute[0] = rig.is_mute[1] = false;
	relay_end_rig_run(&rig, 10 * NS_PER_S);
	CHECK(is_kept(0) && is_kept(1));
	CHECK_EQ(rig.kept_cnt, 2);
	relay_end_rig_fini(&rig);
}

static void test_the_end_of_a_silent_session_keeps_what_took_its_place(void)
{
	kept_begin(4);
	rig.is_mute[0] = rig.is_mute[1] = true;
	relay_end_rig_run(&rig, 15 * NS_PER_S);
	CHECK(is_kept(2) && is_kept(3));
	session_ends(0);
	session_ends(1);
	for (unsigned i = 0; i < 100; i++) {
		relay_end_rig_run(&rig, 100 * NS_PER_MS);
		CHECK(is_kept(2) && is_kept(3));
	}
	relay_end_rig_fini(&rig);
}

/* The relay says that the peer is not there, again and again, until it is. */
static void test_a_lost_flow_is_asked_for_each_second_while_its_peer_is_away(void)
{
	struct relay_flow_message told;
	unsigned cnt = 0;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0));
	for (unsigned i = 0; i < 2000; i++) {
		struct mesh_request *request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);

		if (request) {
			relay_end_rig_reply(&rig, request, WEFT_EABSENT, NULL);
			cnt++;
		}
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
	}
	/* Fifty in the first five seconds, and one each second of the fifteen that follow. */
	CHECK(cnt >= 50 + 14);
	CHECK(cnt <= 52 + 15);
	relay_end_rig_fini(&rig);
}

static void test_a_dial_ends_the_pause_of_a_lost_flow(void)
{
	struct relay_flow_message told;
	struct mesh_request *request;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0));
	relay_end_rig_run(&rig, 200 * NS_PER_MS);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK(request != NULL);
	relay_end_rig_reply(&rig, request, WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 500 * NS_PER_MS);
	CHECK(!relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK(relay_end_rig_asked(&rig, MESH_FLOW_OPEN) != NULL);
	relay_end_rig_fini(&rig);
}

/* Neither QUIC nor TCP gets through. */
static void test_kept_relays_without_a_session_are_tried_over_websocket(void)
{
	kept_begin(2);
	session_ends(0);
	session_ends(1);
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(rig.web_used_cnt, 0);
	relay_end_rig_run(&rig, 4 * NS_PER_S);
	CHECK_EQ(rig.web_used_cnt, 2);
	CHECK(!is_kept(0) && !is_kept(1));
	relay_end_rig_fini(&rig);
}

/* Peers find this node at the relay by its connection. */
static void test_a_kept_relay_over_websocket_is_named_until_its_session_is_back(void)
{
	struct relay_end_relay kept;
	uint8_t key[MESH_KEY_LEN];

	kept_begin(1);
	session_ends(0);
	relay_end_rig_run(&rig, 6 * NS_PER_S);
	CHECK_EQ(rig.web_used_cnt, 1);
	CHECK(!is_kept(0));
	rig.is_web_upgraded[0] = true;
	rig.kept_cnt = 0;
	relay_end_rig_key(0, key);
	relay_end_web_changed(rig.end, key, rig.now_ns);
	relay_end_rig_run(&rig, 4 * NS_PER_S);
	CHECK(is_kept(0));
	CHECK(relay_end_relay_at(rig.end, 0, &kept) && kept.is_web && !kept.is_up);
	/* It stays kept, however often its session cannot be made. */
	rig.connect_cnt = 0;
	for (unsigned i = 0; i < 1200; i++) {
		relay_end_rig_run(&rig, 100 * NS_PER_MS);
		if (rig.connect_done)
			rig.connect_done(rig.connect_arg, WEFT_ETIMEOUT, NULL);
		rig.connect_done = NULL;
		CHECK(is_kept(0));
	}
	CHECK(rig.connect_cnt > 5 && rig.connect_cnt < 15);
	CHECK_EQ(rig.web_used_cnt, 1);
	rig.is_down[0] = false;
	relay_end_rig_run(&rig, 20 * NS_PER_S);
	CHECK(is_kept(0));
	CHECK_EQ(rig.web_used_cnt, 0);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_two_idle_relays_are_asked_in_turn);
	RUN(test_where_all_are_silent_another_is_named_within_six_seconds);
	RUN(test_a_doubt_that_is_answered_changes_nothing);
	RUN(test_relays_that_answer_again_take_their_places_back);
	RUN(test_the_end_of_a_silent_session_keeps_what_took_its_place);
	RUN(test_a_lost_flow_is_asked_for_each_second_while_its_peer_is_away);
	RUN(test_a_dial_ends_the_pause_of_a_lost_flow);
	RUN(test_kept_relays_without_a_session_are_tried_over_websocket);
	RUN(test_a_kept_relay_over_websocket_is_named_until_its_session_is_back);
	return check_done();
}
