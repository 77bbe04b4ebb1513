/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of one node, with relays, the mesh, the sink and QUIC scripted. */
#include "relay/end/relay_end.h"

#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "end_flows.h"

static void test_first_packets_travel_with_the_request(void)
{
	struct relay_open_message open;
	struct mesh_request *request;
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);

	relay_end_rig_init(&rig, NULL);
	CHECK(relay_end_rig_look(&rig, PEER));
	CHECK_EQ(rig.found_cnt, 1);
	CHECK(addr_is_relayed(&rig.found));
	/* Without a packet there is nothing to ask for yet. */
	CHECK(!relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	relay_end_rig_send(&rig, &rig.found, 1200, 2, 0);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK(request);
	CHECK_EQ(relay_message_open_parse(request->payload, request->ask.payload_len, &open), 0);
	CHECK_EQ(open.first.cnt, 2);
	CHECK_EQ(open.first.dgrams[1].data[0], 0x41);
	CHECK_EQ(rig.run_cnt, 0);
	relay_end_rig_reply(&rig, request, 0, &told);
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, 0);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_OPENED], 1);
	relay_end_rig_fini(&rig);
}

static size_t grant_len_of(const struct mesh_request *request)
{
	struct relay_open_message open;

	if (!request ||
	    relay_message_open_parse(request->payload, request->ask.payload_len, &open) < 0)
		return 999999;
	return open.grant_len;
}

static void test_a_relay_that_refuses_a_grant_is_asked_without(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 1);
	struct mesh_request *request;

	relay_end_rig_init(&rig, NULL);
	rig.grant_len = RELAY_MESSAGE_GRANT_MAX;
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 2, 0);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK_EQ(grant_len_of(request), RELAY_MESSAGE_GRANT_MAX);
	relay_end_rig_reply(&rig, request, WEFT_EREFUSED, NULL);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	CHECK_EQ(grant_len_of(request), 0);
	CHECK_EQ(rig.ended_cnt, 0);
	CHECK_EQ(relay_end_rig_stats(&rig).grant_refused_cnt, 1);
	relay_end_rig_reply(&rig, request, 0, &told);
	CHECK_EQ(rig.ended_err, 0);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_OPENED], 1);
	relay_end_rig_fini(&rig);
}

/* The peer declines, with the grant and without: the next flow shows the grant again. */
static void test_a_peer_that_declines_does_not_cost_the_grant(void)
{
	struct mesh_request *request;

	relay_end_rig_init(&rig, NULL);
	rig.grant_len = 100;
	(void)relay_end_rig_look(&rig, PEER);
	relay_end_rig_send(&rig, &rig.found, 1200, 2, 0);
	for (unsigned i = 0; i < 2; i++) {
		request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
		CHECK_EQ(grant_len_of(request), i ? 0 : 100);
		relay_end_rig_reply(&rig, request, WEFT_EREFUSED, NULL);
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
	}
	(void)relay_end_rig_look(&rig, PEER + 1);
	relay_end_rig_send(&rig, &rig.found, 1200, 2, 0);
	CHECK_EQ(grant_len_of(relay_end_rig_asked(&rig, MESH_FLOW_OPEN)), 100);
	relay_end_rig_fini(&rig);
}

static void test_each_segment_of_a_run_gets_the_label(void)
{
	struct relay_flow_message told;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	for (unsigned cnt = 1; cnt <= 40; cnt += 13) {
		relay_end_rig_send(&rig, &rig.found, 1200, cnt, 100);
		CHECK_EQ(rig.run_len, cnt * 1216 - 100);
		CHECK_EQ(rig.route.segment_len, cnt > 1 ? 1216 : 0);
		CHECK_EQ(rig.route.ecn, 2);
		CHECK(addr_equal(&rig.route.remote, &rig.address[0]));
		CHECK(!addr_is_relayed(&rig.route.local));
		for (unsigned i = 0; i < cnt; i++) {
			CHECK_MEM(rig.run + i * 1216, told.label, 16);
			CHECK_EQ(rig.run[i * 1216 + 16], 0x40 + i);
			CHECK_EQ(rig.run[i * 1216 + 1216 - 101], 0x40 + i);
		}
	}
	relay_end_rig_fini(&rig);
}

static void test_a_run_without_room_for_labels_loses_its_last_segments(void)
{
	struct relay_end_stats stats;

	relay_end_rig_init(&rig, NULL);
	(void)flow_open();
	rig.sink.batch_len_max = rig.cap = 10 * 1200;
	relay_end_rig_send(&rig, &rig.found, 1200, 10, 0);
	CHECK_EQ(rig.run_len, 9 * 1216);
	stats = relay_end_rig_stats(&rig);
	CHECK_EQ(stats.unsent_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_what_is_no_label_goes_as_it_is(void)
{
	const struct addr direct = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000};
	struct addr stranger = {.family = ADDR_IPV6, .transport = ADDR_RELAY, .port = 1};

	relay_end_rig_init(&rig, NULL);
	relay_end_rig_send(&rig, &direct, 1200, 3, 0);
	CHECK_EQ(rig.run_len, 3600);
	CHECK(addr_equal(&rig.route.remote, &direct));
	relay_end_rig_send(&rig, &stranger, 1200, 1, 0);
	CHECK_EQ(rig.run_cnt, 1);
	CHECK_EQ(rig.cancelled_cnt, 1);
	CHECK_EQ(relay_end_rig_stats(&rig).unsent_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_only_the_relays_exact_bytes_are_heard(void)
{
	struct relay_flow_message told, other;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 21));
	CHECK(addr_equal(&rig.delivered_at, &rig.found));
	/* From elsewhere, of kind 0, too short, with one other bit. */
	CHECK(!relay_end_rig_hear(&rig, 1, &told, WEFT_RELAY_TO_END, 21));
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_RELAY, 21));
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 20));
	for (unsigned bit = 0; bit < 128; bit++) {
		if (bit / 8 == 1 && bit % 8 < 2)
			continue;
		other = told;
		other.label[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!relay_end_rig_hear(&rig, 0, &other, WEFT_RELAY_TO_END, 21));
	}
	CHECK_EQ(relay_end_rig_stats(&rig).stray_cnt, 3 + 126);
	/* Nor without a session with the relay. */
	rig.is_down[0] = true;
	relay_end_session(rig.end, (uint8_t[MESH_KEY_LEN]){0}, false, rig.now_ns);
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 21));
	relay_end_rig_fini(&rig);
}

static void test_a_lost_flow_is_opened_again_under_its_label(void)
{
	struct relay_flow_message told, again = relay_end_rig_told(0, PEER, 2);
	struct addr label;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	label = rig.found;
	relay_end_rig_run(&rig, 100 * NS_PER_MS);
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0));
	relay_end_turn(rig.end, rig.now_ns);
	/* At once, and then each 100 ms until the peer is there, too. */
	for (unsigned i = 0; i < 10; i++) {
		struct mesh_request *request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);

		CHECK(request);
		if (i < 9) {
			relay_end_rig_reply(&rig, request, WEFT_EABSENT, NULL);
			relay_end_rig_run(&rig, 110 * NS_PER_MS);
		} else {
			relay_end_rig_reply(&rig, request, 0, &again);
		}
	}
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_REOPENED], 1);
	CHECK_EQ(rig.expelled_cnt, 0);
	CHECK(relay_end_rig_hear(&rig, 0, &again, WEFT_RELAY_TO_END, 30));
	CHECK(addr_equal(&rig.delivered_at, &label));
	CHECK(!relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 30));
	CHECK_EQ(rig.moved_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void tell_slow(struct relay_flow_message *told, bool is_slow)
{
	told->is_slow = is_slow;
	relay_end_rig_flow(&rig, 0, told);
	CHECK_EQ(rig.code, 0);
}

/* A relay may say so as often as it likes: an event a minute comes of it. */
static void test_the_end_of_a_flows_volume_is_an_event_a_minute(void)
{
	struct relay_flow_message told;
	struct relay_end_row row;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	CHECK(relay_end_row(rig.end, 0, &row));
	CHECK_EQ(row.slow_ns, 0);
	for (unsigned i = 0; i < 10; i++) {
		tell_slow(&told, true);
		CHECK(relay_end_row(rig.end, 0, &row));
		CHECK_EQ(row.slow_ns, rig.now_ns);
		tell_slow(&told, false);
		CHECK(relay_end_row(rig.end, 0, &row));
		CHECK_EQ(row.slow_ns, 0);
	}
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_SLOWED], 1);
	CHECK_EQ(relay_end_rig_stats(&rig).slowed_cnt, 10);
	relay_end_rig_run(&rig, 60 * NS_PER_S);
	tell_slow(&told, true);
	CHECK_EQ(rig.event_cnts[RELAY_END_EVENT_SLOWED], 2);
	relay_end_rig_fini(&rig);
}

static void test_a_flow_that_carries_less_gets_another_label(void)
{
	struct relay_flow_message told, less = relay_end_rig_told(0, PEER, 2);
	struct addr label;

	relay_end_rig_init(&rig, NULL);
	told = flow_open();
	label = rig.found;
	less.mtu = 1300;
	relay_end_rig_run(&rig, 100 * NS_PER_MS);
	(void)relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_UNKNOWN, 0);
	relay_end_turn(rig.end, rig.now_ns);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), 0, &less);
	CHECK_EQ(rig.moved_cnt, 1);
	CHECK(!addr_equal(&rig.moved_to, &label));
	CHECK_EQ(relay_end_len_max(rig.end, &label), 0);
	CHECK_EQ(relay_end_len_max(rig.end, &rig.moved_to), 1300);
	CHECK(relay_end_rig_hear(&rig, 0, &less, WEFT_RELAY_TO_END, 30));
	CHECK(addr_equal(&rig.delivered_at, &rig.moved_to));
	relay_end_rig_fini(&rig);
}

static void test_an_acceptor_delivers_first_packets_and_waits_for_the_flow(void)
{
	struct relay_flow_message told = relay_end_rig_told(0, PEER, 5);

	relay_end_rig_init(&rig, NULL);
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(rig.code, 0);
	CHECK_EQ(rig.answer_type, MESH_FLOW_ACCEPT);
	CHECK_EQ(rig.delivered_cnt, 0); /* never inside a handler */
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.delivered_cnt, 2);
	/* QUIC's answer waits; the fifth datagram is beyond the queue. */
	for (unsigned i = 0; i < 5; i++)
		relay_end_rig_send(&rig, &rig.delivered_at, 1200, 1, 0);
	CHECK_EQ(rig.run_cnt, 0);
	CHECK_EQ(relay_end_rig_stats(&rig).unsent_cnt, 1);
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.run_cnt, 4);
	CHECK_MEM(rig.run, told.label, 16);
	/* A renewal is another label for the same flow. */
	told.label[3]++;
	relay_end_rig_flow(&rig, 0, &told);
	CHECK_EQ(rig.code, 0);
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 30));
	CHECK_EQ(relay_end_rig_stats(&rig).renewed_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_an_offer_that_no_flow_follows_is_forgotten(void)
{
	relay_end_rig_init(&rig, NULL);
	relay_end_rig_offer(&rig, 0, PEER, 1200);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 1);
	relay_end_rig_run(&rig, 11 * NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	CHECK_EQ(rig.expelled_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_consent_is_as_configured(void)
{
	static const struct {
		enum relay_end_accept accept;
		enum relay_end_use use;
		enum fair_class class;
		enum mesh_code code;
	} rows[] = {
		{RELAY_ACCEPT_ALL, RELAY_USE_AUTO, FAIR_UNKNOWN, 0},
		{RELAY_ACCEPT_KNOWN, RELAY_USE_AUTO, FAIR_UNKNOWN, MESH_CODE_REFUSED},
		{RELAY_ACCEPT_KNOWN, RELAY_USE_ALWAYS, FAIR_KNOWN, 0},
		{RELAY_ACCEPT_NONE, RELAY_USE_AUTO, FAIR_CHOSEN, MESH_CODE_REFUSED},
		{RELAY_ACCEPT_ALL, RELAY_USE_NO, FAIR_CHOSEN, MESH_CODE_REFUSED},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct relay_end_config config;

		relay_end_config_defaults(&config);
		config.accept = rows[i].accept;
		config.use = rows[i].use;
		relay_end_rig_init(&rig, &config);
		rig.class = rows[i].class;
		relay_end_rig_offer(&rig, 0, PEER, 0);
		CHECK_EQ(rig.code, rows[i].code);
		relay_end_rig_fini(&rig);
	}
}

static void test_one_relay_does_not_keep_others_out_of_the_table(void)
{
	struct relay_end_stats stats;

	relay_end_rig_init(&rig, NULL);
	for (unsigned i = 0; i < 64; i++) {
		(void)flow_accept(0, PEER + i, i + 1);
		CHECK_EQ(rig.code, 0);
	}
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 64);
	/* One more of it is refused; another relay takes its places, down to half of them. */
	(void)flow_accept(0, PEER + 99, 99);
	CHECK_EQ(rig.code, MESH_CODE_BUSY);
	for (unsigned i = 0; i < 31; i++) {
		(void)flow_accept(1, PEER + 200 + i, i + 1);
		CHECK_EQ(rig.code, 0);
	}
	stats = relay_end_rig_stats(&rig);
	CHECK_EQ(stats.accepted_now, 64);
	CHECK_EQ(stats.refused_cnt, 1);
	relay_end_rig_run(&rig, NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 64);
	relay_end_rig_fini(&rig);
}

static void test_own_flows_in_use_are_not_given_up_for_one_more(void)
{
	relay_end_rig_init(&rig, NULL);
	rig.relay_cnt = 1;
	for (unsigned i = 0; i < 64; i++) {
		struct relay_flow_message told = relay_end_rig_told(0, PEER + i, i + 1);

		CHECK(relay_end_rig_look(&rig, PEER + i));
		relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
		relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), 0, &told);
	}
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 64);
	rig.ended_cnt = 0;
	CHECK(relay_end_rig_look(&rig, PEER + 64));
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, WEFT_EUNREACHABLE);
	/* One that was idle for ten seconds makes room, and the relay hears of it. */
	relay_end_rig_run(&rig, 11 * NS_PER_S);
	CHECK(relay_end_rig_look(&rig, PEER + 64));
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 64);
	CHECK(relay_end_rig_asked(&rig, MESH_FLOW_CLOSE));
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.expelled_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_the_next_relay_is_asked_where_the_peer_is_not(void)
{
	struct addr first;

	relay_end_rig_init(&rig, NULL);
	CHECK(relay_end_rig_look(&rig, PEER));
	first = rig.found;
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EABSENT, NULL);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK_EQ(rig.expelled_cnt, 1);
	CHECK_EQ(rig.found_cnt, 2);
	CHECK(!addr_equal(&first, &rig.found));
	/* Labels of two relays lie in two networks. */
	CHECK(memcmp(first.ip, rig.found.ip, 8) != 0);
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	relay_end_rig_reply(&rig, relay_end_rig_asked(&rig, MESH_FLOW_OPEN), WEFT_EABSENT, NULL);
	relay_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, WEFT_EUNREACHABLE);
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 0);
	relay_end_rig_fini(&rig);
}

static void test_a_busy_relay_is_asked_three_times(void)
{
	relay_end_rig_init(&rig, NULL);
	rig.relay_cnt = 1;
	CHECK(relay_end_rig_look(&rig, PEER));
	relay_end_rig_send(&rig, &rig.found, 1200, 1, 0);
	for (unsigned i = 0; i < 3; i++) {
		struct mesh_request *request;

		CHECK_EQ(rig.ended_cnt, 0);
		request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
		CHECK(request);
		relay_end_rig_reply(&rig, request, i ? WEFT_EBUSY : WEFT_ECLOSED, NULL);
		relay_end_rig_run(&rig, 110 * NS_PER_MS);
	}
	CHECK_EQ(rig.ended_cnt, 1);
	CHECK_EQ(rig.ended_err, WEFT_EUNREACHABLE);
	relay_end_rig_fini(&rig);
}

static void test_a_cancelled_look_is_not_called(void)
{
	void *run;

	relay_end_rig_init(&rig, NULL);
	run = relay_end_rig_look(&rig, PEER);
	relay_end_look_cancel(rig.end, run);
	relay_end_rig_run(&rig, 12 * NS_PER_S);
	CHECK_EQ(rig.ended_cnt, 0);
	relay_end_rig_fini(&rig);
}

static void test_the_end_of_a_session_is_mended_at_once(void)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_init(&rig, NULL);
	(void)flow_open();
	relay_end_rig_key(0, key);
	rig.is_down[0] = true;
	relay_end_session(rig.end, key, false, rig.now_ns);
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(rig.connect_cnt, 1);
	/* Dials that fail are begun again after 100 ms. */
	for (unsigned i = 0; i < 5; i++) {
		rig.connect_done(rig.connect_arg, WEFT_EUNREACHABLE, NULL);
		relay_end_rig_run(&rig, 130 * NS_PER_MS);
	}
	CHECK_EQ(rig.connect_cnt, 6);
	rig.is_down[0] = false;
	rig.connect_done(rig.connect_arg, 0, NULL);
	relay_end_session(rig.end, key, true, rig.now_ns);
	relay_end_turn(rig.end, rig.now_ns);
	CHECK(relay_end_rig_asked(&rig, MESH_FLOW_OPEN));
	relay_end_rig_fini(&rig);
}

static void test_a_silent_relay_is_probed_less_often_while_flows_are_idle(void)
{
	relay_end_rig_init(&rig, NULL);
	(void)flow_accept(0, PEER, 1);
	relay_end_rig_run(&rig, 4 * NS_PER_S);
	CHECK(rig.probed_cnt >= 8 && rig.probed_cnt <= 11);
	relay_end_rig_run(&rig, 10 * NS_PER_S);
	rig.probed_cnt = 0;
	relay_end_rig_run(&rig, 10 * NS_PER_S);
	CHECK(rig.probed_cnt >= 9 && rig.probed_cnt <= 11);
	relay_end_rig_fini(&rig);
}

static void test_a_silent_session_has_its_leg_written_on(void)
{
	const struct addr other = {.family = ADDR_IPV6, .ip = {0xfd, 1}};

	relay_end_rig_init(&rig, NULL);
	(void)flow_open();
	relay_end_rig_run(&rig, 100 * NS_PER_MS);
	rig.probed_cnt = 0;
	relay_end_leg_silent(rig.end, &other);
	relay_end_rig_run(&rig, NS_PER_MS);
	CHECK_EQ(rig.probed_cnt, 0);
	for (unsigned i = 0; i < 4; i++) {
		relay_end_leg_silent(rig.end, &rig.found);
		relay_end_rig_run(&rig, 10 * NS_PER_MS);
	}
	CHECK_EQ(rig.probed_cnt, 1);
	relay_end_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_EQ(rig.probed_cnt, 2);
	relay_end_rig_fini(&rig);
}

static void test_a_flow_closed_by_its_peer_is_over(void)
{
	uint8_t key[MESH_KEY_LEN];
	struct relay_close_message close = {.flow = 1, .why = RELAY_END_DONE};

	relay_end_rig_init(&rig, NULL);
	(void)flow_accept(0, PEER, 1);
	relay_end_rig_key(1, key);
	CHECK(!relay_end_closed(rig.end, key, &close, rig.now_ns));
	relay_end_rig_key(0, key);
	close.flow = 2;
	CHECK(!relay_end_closed(rig.end, key, &close, rig.now_ns));
	close.flow = 1;
	CHECK(relay_end_closed(rig.end, key, &close, rig.now_ns));
	relay_end_turn(rig.end, rig.now_ns);
	CHECK_EQ(relay_end_rig_stats(&rig).accepted_now, 0);
	CHECK_EQ(rig.expelled_cnt, 1);
	relay_end_rig_fini(&rig);
}

static void test_an_idle_flow_is_closed_after_two_minutes(void)
{
	relay_end_rig_init(&rig, NULL);
	(void)flow_open();
	relay_end_rig_run(&rig, 119 * NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 1);
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 0);
	CHECK(relay_end_rig_asked(&rig, MESH_FLOW_CLOSE));
	relay_end_rig_fini(&rig);
}

static void test_what_a_flow_carried_is_noted_each_ten_seconds_and_at_its_end(void)
{
	struct relay_flow_message told;

	relay_end_rig_init(&rig, NULL);
	rig.is_uncounted = true;
	relay_end_rig_run(&rig, 20 * NS_PER_S);
	told = flow_open();
	relay_end_rig_run(&rig, 20 * NS_PER_S);
	CHECK_EQ(rig.carried_cnt, 0); /* nothing came */
	CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 1000));
	relay_end_rig_run(&rig, 100 * NS_PER_MS);
	CHECK_EQ(rig.carried_cnt, 1);
	CHECK_EQ(rig.first_cnt, 1);
	CHECK_EQ(rig.carried_len, 1000 + RELAY_MESSAGE_LABEL_LEN);
	CHECK_EQ(rig.carried_relay, 0);
	CHECK_EQ(rig.carried_peer, PEER);
	for (unsigned i = 0; i < 90; i++) {
		CHECK(relay_end_rig_hear(&rig, 0, &told, WEFT_RELAY_TO_END, 1000));
		relay_end_rig_run(&rig, 100 * NS_PER_MS);
	}
	CHECK_EQ(rig.carried_cnt, 1);
	rig.is_uncounted = false;
	relay_end_rig_run(&rig, 200 * NS_PER_S);
	CHECK_EQ(relay_end_rig_stats(&rig).opened_now, 0);
	CHECK_EQ(rig.carried_cnt, 2);
	CHECK_EQ(rig.first_cnt, 2); /* the first did not count */
	CHECK_EQ(rig.carried_len, 91 * (1000 + RELAY_MESSAGE_LABEL_LEN));
	relay_end_rig_fini(&rig);
}

static void test_sessions_with_two_relays_are_kept(void)
{
	struct relay_end_config config;

	relay_end_config_defaults(&config);
	config.use = RELAY_USE_ALWAYS;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = 4;
	rig.is_down[0] = rig.is_down[1] = true;
	relay_end_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(rig.connect_cnt, 2);
	relay_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_first_packets_travel_with_the_request);
	RUN(test_a_relay_that_refuses_a_grant_is_asked_without);
	RUN(test_a_peer_that_declines_does_not_cost_the_grant);
	RUN(test_each_segment_of_a_run_gets_the_label);
	RUN(test_a_run_without_room_for_labels_loses_its_last_segments);
	RUN(test_what_is_no_label_goes_as_it_is);
	RUN(test_only_the_relays_exact_bytes_are_heard);
	RUN(test_a_lost_flow_is_opened_again_under_its_label);
	RUN(test_the_end_of_a_flows_volume_is_an_event_a_minute);
	RUN(test_a_flow_that_carries_less_gets_another_label);
	RUN(test_an_acceptor_delivers_first_packets_and_waits_for_the_flow);
	RUN(test_an_offer_that_no_flow_follows_is_forgotten);
	RUN(test_consent_is_as_configured);
	RUN(test_one_relay_does_not_keep_others_out_of_the_table);
	RUN(test_own_flows_in_use_are_not_given_up_for_one_more);
	RUN(test_the_next_relay_is_asked_where_the_peer_is_not);
	RUN(test_a_busy_relay_is_asked_three_times);
	RUN(test_a_cancelled_look_is_not_called);
	RUN(test_the_end_of_a_session_is_mended_at_once);
	RUN(test_a_silent_relay_is_probed_less_often_while_flows_are_idle);
	RUN(test_a_silent_session_has_its_leg_written_on);
	RUN(test_a_flow_closed_by_its_peer_is_over);
	RUN(test_an_idle_flow_is_closed_after_two_minutes);
	RUN(test_what_a_flow_carried_is_noted_each_ten_seconds_and_at_its_end);
	RUN(test_sessions_with_two_relays_are_kept);
	return check_done();
}
