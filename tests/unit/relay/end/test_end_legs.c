/* SPDX-License-Identifier: Apache-2.0 */
/* Relays that a node reaches by TCP alone, and sessions with relays that end and begin. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "end_flows.h"

static void test_a_relay_on_tcp_is_spoken_to_by_its_session(void)
{
	struct relay_flow_message told;
	uint8_t key[MESH_KEY_LEN];
	struct addr leg;

	relay_end_rig_init(&rig, NULL);
	rig.address[0].transport = ADDR_TCP;
	relay_end_rig_key(0, key);
	leg = addr_of_leg(key, 0);
	told = flow_open();
	relay_end_rig_send(&rig, &rig.found, 1200, 3, 100);
	CHECK_EQ(rig.run_cnt, 0);
	CHECK_EQ(rig.leg_cnt, 3);
	CHECK(addr_equal(&rig.leg, &leg));
	CHECK_EQ(rig.leg_len, 16 + 1100);
	CHECK_EQ(rig.leg_ecn, 2);
	CHECK_MEM(rig.leg_bytes, told.label, 16);
	CHECK_EQ(rig.leg_bytes[16], 0x42);
	/* It is heard by the session, and not from the host at UDP. */
	CHECK(relay_end_rig_hear(&rig, 0, &told, 1, 1200));
	rig.address[0].transport = ADDR_UDP;
	CHECK(!relay_end_rig_hear(&rig, 0, &told, 1, 1200));
	/* The session is on UDP by now. */
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK(relay_end_rig_hear(&rig, 0, &told, 1, 1200));
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	CHECK_EQ(rig.leg_cnt, 3);
	CHECK_EQ(rig.run_cnt, 1);
	relay_end_rig_fini(&rig);
}

/* The address of a line is none that a datagram goes to. */
static void test_a_relay_on_a_line_is_spoken_to_by_its_session(void)
{
	uint8_t key[MESH_KEY_LEN];
	struct addr leg;

	relay_end_rig_init(&rig, NULL);
	rig.address[0] = addr_of_line(0);
	relay_end_rig_key(0, key);
	leg = addr_of_leg(key, 0);
	(void)flow_open();
	relay_end_rig_send(&rig, &rig.found, 1200, 3, 100);
	CHECK_EQ(rig.run_cnt, 0);
	CHECK_EQ(rig.leg_cnt, 3);
	CHECK(addr_equal(&rig.leg, &leg));
	relay_end_rig_fini(&rig);
}

/* QUIC without an answer, and a request that waits, would both keep the dial from trying anew. */
static void test_a_lost_relay_on_tcp_is_dialled_by_tcp_alone(void)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_init(&rig, NULL);
	rig.address[0].transport = ADDR_TCP;
	(void)flow_open();
	relay_end_rig_key(0, key);
	rig.is_down[0] = true;
	relay_end_session(rig.end, key, false, rig.now_ns);
	for (unsigned i = 0; i < 7; i++) {
		relay_end_rig_run(&rig, 130 * NS_PER_MS);
		CHECK_EQ(rig.connect_cnt, i + 1);
		CHECK_EQ(rig.dialled.addr_cnt, 1);
		CHECK_EQ(rig.dialled.addrs[0].transport, ADDR_TCP);
		CHECK_EQ(rig.dialled_timeout_ns, (500 << (i < 4 ? i : 4)) * NS_PER_MS);
		rig.connect_done(rig.connect_arg, WEFT_EUNREACHABLE, NULL);
	}
	/* The eighth dial is that of any relay. */
	relay_end_rig_run(&rig, 130 * NS_PER_MS);
	CHECK_EQ(rig.dialled_timeout_ns, 10 * NS_PER_S);
	CHECK(!relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	rig.is_down[0] = false;
	rig.connect_done(rig.connect_arg, 0, NULL);
	relay_end_session(rig.end, key, true, rig.now_ns);
	relay_end_turn(rig.end, rig.now_ns);
	CHECK(relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	relay_end_rig_fini(&rig);
}

/* Others may reach it by UDP; a relay whose address of QUIC is unknown is of no use to them. */
static void test_a_kept_relay_on_tcp_is_named_by_its_address_of_quic(void)
{
	struct relay_end_config config;
	struct peer_via vias[PEER_VIAS_MAX];
	struct addr udp;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = 1;
	udp = rig.address[0];
	rig.address[0].transport = ADDR_TCP;
	rig.address[0].port = 7001;
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(relay_end_kept(rig.end, vias), 0);
	relay_end_rig_fini(&rig);
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = 1;
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	rig.address[0].transport = ADDR_TCP;
	rig.address[0].port = 7001;
	rig.relay_cnt = 0;
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(relay_end_kept(rig.end, vias), 1);
	CHECK(addr_equal(&vias[0].addr, &udp));
	relay_end_rig_fini(&rig);
}

static void session_pass(bool is_up)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_key(0, key);
	rig.is_down[0] = !is_up;
	relay_end_session(rig.end, key, is_up, rig.now_ns);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
}

/* The relay saw one session replaced by the next: to it the flow goes on. */
static void test_a_flow_lost_with_a_session_is_back_with_its_label(void)
{
	struct relay_flow_message told, other;

	relay_end_rig_init(&rig, NULL);
	told = flow_accept(0, PEER, 1);
	session_pass(false);
	session_pass(true);
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 1200));
	/* That of another flow with this peer is no word of this one. */
	other = relay_end_rig_told(0, PEER, 2);
	relay_end_rig_flow(&rig, 0, &other);
	CHECK_EQ(rig.code, MESH_CODE_ABSENT);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 1200));
	CHECK_EQ(relay_end_rig_stats(&rig).reopened_cnt, 1);
	/* An offer begins another flow, which has the next number. */
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_flow_that_was_given_up_is_denied(void)
{
	struct relay_flow_message told;

	relay_end_rig_init(&rig, NULL);
	told = flow_accept(0, PEER, 1);
	session_pass(false);
	relay_end_rig_run(&rig, 61 * NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	session_pass(true);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, MESH_CODE_ABSENT);
	relay_end_rig_fini(&rig);
}

static void test_bytes_of_opened_flows_are_counted(void)
{
	struct relay_flow_message told;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	relay_end_rig_send(&rig, &rig.found, 1200, 3, 100);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 500));
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(rig.used[0], 3500);
	CHECK_EQ(rig.used[1], 500);
	CHECK_EQ(rig.over_cnt, 0);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 30));
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0));
	CHECK_EQ(rig.used[1], 530);
	CHECK_EQ(rig.over_cnt, 1);
	relay_end_rig_fini(&rig);
	/* An accepted flow is its opener's to count. */
	relay_end_rig_init(&rig, NULL);
	told = flow_accept(0, PEER, 1);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 500));
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(rig.used[0] + rig.used[1] + rig.over_cnt, 0);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_relay_on_tcp_is_spoken_to_by_its_session);
	RUN(test_a_relay_on_a_line_is_spoken_to_by_its_session);
	RUN(test_a_lost_relay_on_tcp_is_dialled_by_tcp_alone);
	RUN(test_a_kept_relay_on_tcp_is_named_by_its_address_of_quic);
	RUN(test_a_flow_lost_with_a_session_is_back_with_its_label);
	RUN(test_a_flow_that_was_given_up_is_denied);
	RUN(test_bytes_of_opened_flows_are_counted);
	return check_done();
}
