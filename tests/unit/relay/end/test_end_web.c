/* SPDX-License-Identifier: Apache-2.0 */
/* Paths through relays over WebSocket, which know keys and no flows. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "end_flows.h"

static uint8_t web_key[MESH_KEY_LEN];

static void web_init(const struct relay_end_config *config)
{
	relay_end_rig_init(&rig, config);
	relay_end_rig_key(END_RIG_WEB, web_key);
	rig.relay_cnt = 0;
	rig.has_web = rig.is_web_up = true;
	relay_end_web_changed(rig.end, web_key, rig.now_ns);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
}

/* A datagram of peer that begins with first; whether it is for QUIC. */
static bool web_hear(unsigned peer, uint8_t first, size_t len)
{
	static uint8_t bytes[1500];
	uint8_t key[MESH_KEY_LEN];
	struct dgram dgram = {.data = bytes, .len = len, .ecn = 2};
	bool is_quic;

	relay_end_rig_key(peer, key);
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = first;
	is_quic = relay_end_web_input(rig.end, web_key, key, &dgram, rig.now_ns);
	rig.found = is_quic ? dgram.remote : rig.found;
	return is_quic && addr_equal(&dgram.local, &dgram.remote) && dgram.data == bytes &&
	       dgram.len == len;
}

static void test_a_dial_is_given_a_label_and_its_packets_go_by_the_peers_key(void)
{
	uint8_t key[MESH_KEY_LEN];

	web_init(NULL);
	CHECK(relay_end_rig_look(&rig, PEER));
	CHECK_EQ(rig.found_cnt, 1);
	CHECK(addr_is_relayed(&rig.found) && addr_is_relayed_control(&rig.found));
	CHECK_EQ(rig.found.port, ADDR_RELAY_WEB_PORT);
	CHECK_EQ(rig.asked_cnt, 0);
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, 0);
	relay_end_rig_send(&rig, &rig.found, 1200, 3, 100);
	CHECK_EQ(rig.web_cnt, 3);
	CHECK_EQ(rig.web_len, 1100);
	relay_end_rig_key(PEER, key);
	CHECK_MEM(rig.web_peer, key, sizeof(key));
	CHECK_EQ(rig.run_cnt, 0);
	CHECK_EQ(relay_end_len_max(rig.end, &rig.found), 1436);
	CHECK_MEM(relay_end_relay_of(rig.end, &rig.found), web_key, sizeof(web_key));
	/* Such a relay is asked nothing. */
	CHECK_EQ(relay_end_ask_leg(rig.end, &(struct relay_end_leg_ask){.label = &rig.found}),
		 WEFT_EABSENT);
	CHECK_EQ(rig.asked_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_what_the_peer_answers_comes_by_the_same_label(void)
{
	struct addr label;

	web_init(NULL);
	(void)relay_end_rig_look(&rig, PEER);
	label = rig.found;
	CHECK(web_hear(PEER, 0x41, 40));
	CHECK(addr_equal(&rig.found, &label));
	/* And what the peer begins itself: there is one path for both. */
	CHECK(web_hear(PEER, 0xc3, 1200));
	CHECK(addr_equal(&rig.found, &label));
	relay_end_rig_fini(&rig);
}

static void test_a_connection_of_a_welcome_peer_makes_a_path_and_nothing_else_does(void)
{
	struct relay_end_config config;

	web_init(NULL);
	CHECK(!web_hear(PEER, 0x41, 1200)); /* of no path */
	CHECK(!web_hear(PEER, 0xc3, 1199)); /* no Initial is so short */
	CHECK(!web_hear(PEER, 0xe3, 1200)); /* Handshake */
	CHECK(!web_hear(PEER, 0x03, 1200));
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	CHECK(web_hear(PEER, 0xc3, 1200));
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	CHECK(!web_hear(PEER, 0x03, 1200));
	relay_end_rig_fini(&rig);
	relay_end_config_defaults(&config);
	config.accept = RELAY_ACCEPT_KNOWN;
	web_init(&config);
	CHECK(!web_hear(PEER, 0xc3, 1200));
	rig.class = FAIR_KNOWN;
	CHECK(web_hear(PEER, 0xc3, 1200));
	relay_end_rig_fini(&rig);
}

static void test_a_relay_that_makes_up_keys_fills_its_own_share_alone(void)
{
	struct relay_end_config config;
	unsigned cnt = 0;

	relay_end_config_defaults(&config);
	config.accepted_cap = 16;
	web_init(&config);
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, 0);
	for (unsigned i = 0; i < 200; i++) {
		cnt += web_hear(1000 + i, 0xc3, 1200);
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
		CHECK(relay_end_rig_stats(&rig).accepted_now <= 16);
	}
	CHECK(cnt >= 8);
	/* What another relay was given is there still. */
	{
		struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);

		relay_end_rig_flow(&rig, 0, &told);
		CHECK_EQ(rig.code, 0);
	}
	relay_end_rig_fini(&rig);
}

static void test_a_peer_that_is_not_there_ends_the_dial_and_no_session(void)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_key(PEER, key);
	web_init(NULL);
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_web_gone(rig.end, web_key, key, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.expelled_cnt, 1);
	CHECK(addr_equal(&rig.expelled, &rig.found));
	CHECK(!relay_end_relay_of(rig.end, &rig.found));
	/* One that was heard is kept: the relay may lie, or the peer is back soon. */
	(void)relay_end_rig_look(&rig, PEER);
	CHECK(web_hear(PEER, 0x41, 100));
	relay_end_web_gone(rig.end, web_key, key, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.expelled_cnt, 1);
	CHECK(relay_end_relay_of(rig.end, &rig.found));
	relay_end_rig_fini(&rig);
}

static void test_a_path_outlives_the_connection_to_its_relay(void)
{
	struct addr label;

	web_init(NULL);
	(void)relay_end_rig_look(&rig, PEER);
	CHECK(web_hear(PEER, 0x41, 100));
	label = rig.found;
	rig.is_web_up = false;
	relay_end_web_changed(rig.end, web_key, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_LOST], 1);
	relay_end_rig_send(&rig, &label, 1200, 1, 0);
	CHECK_EQ(rig.web_cnt, 0);
	CHECK(!web_hear(PEER, 0x41, 100));
	relay_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(rig.asked_cnt, 0);
	CHECK_EQ(rig.connect_cnt, 0);
	rig.is_web_up = true;
	relay_end_web_changed(rig.end, web_key, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	/* What waited goes. */
	CHECK_EQ(rig.web_cnt, 1);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_REOPENED], 1);
	CHECK(web_hear(PEER, 0x41, 100));
	CHECK(addr_equal(&rig.found, &label));
	relay_end_rig_fini(&rig);
}

static void test_a_search_asks_relays_over_websocket_last_and_when_they_come_up(void)
{
	web_init(NULL);
	rig.relay_cnt = 1;
	rig.is_web_up = false;
	(void)relay_end_rig_look(&rig, PEER);
	CHECK_EQ(rig.found_cnt, 1);
	CHECK(rig.found.port != ADDR_RELAY_WEB_PORT);
	rig.is_web_up = true;
	relay_end_web_changed(rig.end, web_key, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.found_cnt, 2);
	CHECK_EQ(rig.found.port, ADDR_RELAY_WEB_PORT);
	relay_end_rig_fini(&rig);
}

static void test_a_path_is_no_relay_that_is_named_to_others(void)
{
	struct relay_end_config config;
	struct peer_via vias[PEER_VIAS_MAX];

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	web_init(&config);
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_run(&rig, 10 * NS_PER_S);
	CHECK_EQ(relay_end_kept(rig.end, vias), 0);
	CHECK_EQ(rig.connect_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_ban_of_the_peer_ends_its_path_and_bars_another(void)
{
	web_init(NULL);
	CHECK(web_hear(PEER, 0xc3, 1200));
	CHECK(web_hear(PEER + 1, 0xc3, 1200));
	rig.banned = PEER;
	relay_end_expel(rig.end, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	CHECK(!web_hear(PEER, 0x41, 100));
	CHECK(!web_hear(PEER, 0xc3, 1200));
	CHECK(web_hear(PEER + 1, 0x41, 100));
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, MESH_CODE_REFUSED);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	rig.banned = 0;
	CHECK(web_hear(PEER, 0xc3, 1200));
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_dial_is_given_a_label_and_its_packets_go_by_the_peers_key);
	RUN(test_what_the_peer_answers_comes_by_the_same_label);
	RUN(test_a_connection_of_a_welcome_peer_makes_a_path_and_nothing_else_does);
	RUN(test_a_relay_that_makes_up_keys_fills_its_own_share_alone);
	RUN(test_a_peer_that_is_not_there_ends_the_dial_and_no_session);
	RUN(test_a_path_outlives_the_connection_to_its_relay);
	RUN(test_a_search_asks_relays_over_websocket_last_and_when_they_come_up);
	RUN(test_a_path_is_no_relay_that_is_named_to_others);
	RUN(test_a_ban_of_the_peer_ends_its_path_and_bars_another);
	return check_done();
}
