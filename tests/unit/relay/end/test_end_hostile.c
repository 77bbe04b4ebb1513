/* SPDX-License-Identifier: Apache-2.0 */
/* What relays that lie, forget and repeat can have an end do. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "end_flows.h"
#include "support/check.h"

static void test_a_label_in_a_label_is_no_packet(void)
{
	struct relay_flow_message told;
	uint8_t bytes[64] = {0};
	struct dgram dgram = {.data = bytes, .len = sizeof(bytes)};

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	memcpy(bytes, told.label, 16);
	bytes[1] |= WEFT_RELAY_TO_END;
	bytes[16] = 0x9e;
	dgram.remote = rig.address[0];
	CHECK(!relay_end_input(rig.end, &dgram, rig.now_ns));
	relay_end_rig_fini(&rig);
}

/* Its relay answers each request, and says in the same moment that it does not know the flow. */
static void test_a_relay_that_loses_each_flow_is_asked_ten_times_a_second(void)
{
	struct relay_flow_message told;
	unsigned asked_cnt;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	relay_end_rig_run(&rig, NS_PER_S);
	asked_cnt = rig.asked_cnt;
	for (unsigned i = 0; i < 100; i++) {
		struct mesh_request *request;

		(void)relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0);
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
		request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
		if (request)
			relay_end_rig_reply(&rig, request, 0, &told);
	}
	CHECK(rig.asked_cnt - asked_cnt <= 11);
	CHECK(rig.asked_cnt - asked_cnt >= 4);
	relay_end_rig_fini(&rig);
}

/* An end that keeps its session dials a relay that ends each one as often. */
static void test_a_relay_that_ends_each_session_is_dialled_ten_times_a_second(void)
{
	uint8_t key[MESH_KEY_LEN];
	unsigned connect_cnt;

	relay_end_rig_init(&rig, NULL);
	(void)flow_open();
	relay_end_rig_key(0, key);
	connect_cnt = rig.connect_cnt;
	for (unsigned i = 0; i < 100; i++) {
		rig.is_down[0] = true;
		relay_end_session(rig.end, key, false, rig.now_ns);
		relay_end_turn(rig.end, rig.now_ns);
		if (rig.connect_cnt > connect_cnt) {
			rig.is_down[0] = false;
			rig.connect_done(rig.connect_arg, 0, NULL);
			relay_end_session(rig.end, key, true, rig.now_ns);
		}
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
	}
	CHECK(rig.connect_cnt - connect_cnt <= 11);
	CHECK(rig.connect_cnt - connect_cnt >= 4);
	relay_end_rig_fini(&rig);
}

/* Each renewal of a relay names another length. */
static void test_a_flow_never_carries_more_than_it_did(void)
{
	static const struct {
		uint16_t mtu, carried;
		unsigned moved_cnt;
	} rows[] = {
		{1400, 1400, 1}, {1436, 1400, 1}, {1400, 1400, 1},
		{1399, 1399, 2}, {9000, 1399, 2}, {1400, 1399, 2},
	};
	struct relay_flow_message told;

	relay_end_rig_init(&rig, NULL);
	told = flow_accept(0, PEER, 1);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct relay_end_row row;

		told.label[3]++;
		told.mtu = rows[i].mtu;
		relay_end_rig_flow(&rig, 0, &told);
		CHECK_EQ(rig.code, 0);
		relay_end_turn(rig.end, rig.now_ns);
		CHECK(relay_end_row(rig.end, 0, &row));
		CHECK_EQ(row.mtu, rows[i].carried);
		CHECK_EQ(rig.moved_cnt, rows[i].moved_cnt);
	}
	relay_end_rig_fini(&rig);
}

/* A relay may name what an Ethernet's packet does not carry. */
static void test_a_flow_carries_no_more_than_its_own_leg(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct relay_end_row row;

	relay_end_rig_init(&rig, NULL);
	told.mtu = 9000;
	relay_end_rig_offer(&rig, 0, PEER, 0);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK(relay_end_row(rig.end, 0, &row));
	CHECK_EQ(row.mtu, 1436);
	relay_end_rig_fini(&rig);
}

static void test_handshakes_of_an_evicted_flow_end(void)
{
	struct relay_end_row row;

	relay_end_rig_init(&rig, NULL);
	for (unsigned i = 0; i < 64; i++)
		(void)flow_accept(0, PEER + i, i + 1);
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.expelled_cnt, 0);
	(void)flow_accept(1, PEER + 200, 1);
	CHECK_EQ(rig.code, 0);
	CHECK_EQ(rig.expelled_cnt, 0); /* never inside a handler */
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.expelled_cnt, 1);
	CHECK(addr_is_relayed(&rig.expelled));
	for (unsigned i = 0; i < relay_end_row_cap(rig.end); i++)
		CHECK(!relay_end_row(rig.end, i, &row) || !addr_equal(&row.label, &rig.expelled));
	relay_end_rig_run(&rig, NS_PER_S);
	CHECK_EQ(rig.expelled_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_a_relay_cannot_take_the_label_of_another(void)
{
	struct relay_flow_message told, stolen;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	relay_end_rig_offer(&rig, 1, PEER + 1, 0);
	stolen = relay_end_rig_told(1, PEER + 1, 7);
	memcpy(stolen.label, told.label, sizeof(told.label));
	relay_end_rig_flow(&rig, 1, &stolen);
	CHECK_EQ(rig.code, MESH_CODE_MALFORMED);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 30));
	/* Nor tell of flows that were not accepted, nor labels of another kind. */
	stolen = relay_end_rig_told(1, PEER + 2, 8);
	relay_end_rig_flow(&rig, 1, &stolen);
	CHECK_EQ(rig.code, MESH_CODE_ABSENT);
	stolen = relay_end_rig_told(1, PEER + 1, 8);
	stolen.label[1] = WEFT_RELAY_TO_END;
	relay_end_rig_flow(&rig, 1, &stolen);
	CHECK_EQ(rig.code, MESH_CODE_MALFORMED);
	relay_end_rig_fini(&rig);
}

static void test_truncated_messages_are_refused(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	size_t len;

	relay_end_rig_init(&rig, NULL);
	relay_message_flow_write(&w, &told);
	len = writer_len(&w);
	for (size_t cut = 0; cut < len; cut++) {
		relay_end_rig_call(&rig, 0, MESH_FLOW, payload, cut);
		CHECK_EQ(rig.code, MESH_CODE_MALFORMED);
		relay_end_rig_call(&rig, 0, MESH_FLOW_OFFER, payload, cut);
		CHECK_EQ(rig.code, MESH_CODE_MALFORMED);
	}
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_label_in_a_label_is_no_packet);
	RUN(test_a_relay_that_loses_each_flow_is_asked_ten_times_a_second);
	RUN(test_a_relay_that_ends_each_session_is_dialled_ten_times_a_second);
	RUN(test_a_flow_never_carries_more_than_it_did);
	RUN(test_a_flow_carries_no_more_than_its_own_leg);
	RUN(test_handshakes_of_an_evicted_flow_end);
	RUN(test_a_relay_cannot_take_the_label_of_another);
	RUN(test_truncated_messages_are_refused);
	return check_done();
}
