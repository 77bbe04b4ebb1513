/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of a relay: which peer gets one, what it forwards, and when it ends. */
#include <string.h>

#include "support/check.h"
#include "support/relay_rig.h"

#define SECOND 1000000000ull

static struct relay_rig rig;

static void test_a_flow_forwards_both_ways_when_both_legs_are_known(void)
{
	const struct addr first = relay_rig_addr(1, 1), second = relay_rig_addr(2, 1);
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &id), 0);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAY_MOVED);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 0, &first, &rig.own), 0);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAY_ONE_LEG);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 1, &second, &rig.own), 0);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_rig_send_own(&rig, id, 1, 100), WEFT_REASON_RELAYED);
	relay_rig_end(&rig);
}

static void test_no_leg_is_this_node_or_the_other_leg(void)
{
	const struct addr first = relay_rig_addr(1, 1);
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &id), 0);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 0, &rig.own, &rig.own), WEFT_EREFUSED);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 0, &first, &rig.own), 0);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 1, &first, &rig.own), WEFT_EREFUSED);
	relay_rig_end(&rig);
}

static void test_a_moved_leg_is_heard_where_it_is_and_nowhere_else(void)
{
	const struct addr moved = relay_rig_addr(7, 7);
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &moved), WEFT_REASON_RELAY_MOVED);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 0, &moved, &rig.own), 0);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &moved), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAY_MOVED);
	relay_rig_end(&rig);
}

static void test_a_leg_on_tcp_is_heard_by_its_session_alone(void)
{
	uint8_t key[RELAY_KEY_LEN] = {1, 2, 3};
	const struct addr leg = addr_of_leg(key, 5), elsewhere = addr_of_leg(key, 6);
	const struct addr udp = relay_rig_addr(1, 1);
	struct relay_flow_view before, after;
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 0, &leg, &rig.own), 0);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &leg), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &udp), WEFT_REASON_RELAY_MOVED);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &elsewhere), WEFT_REASON_RELAY_MOVED);
	/* What goes there counts as a packet of IPv6. */
	CHECK_EQ(relay_flow_read(rig.relay, id, &before), 0);
	CHECK_EQ(relay_rig_send_own(&rig, id, 1, 100), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_flow_read(rig.relay, id, &after), 0);
	CHECK_EQ(after.bytes[1] - before.bytes[1], 40 + 8 + 16 + 100);
	relay_rig_end(&rig);
}

static void test_a_third_address_is_seen_ten_times_a_second(void)
{
	const struct addr third = relay_rig_addr(7, 7);
	struct relay_flow_id id;
	unsigned seen = 0;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	for (unsigned i = 0; i < 1000; i++)
		seen += relay_rig_send(&rig, id, 0, 100, &third) == WEFT_REASON_RELAY_MOVED;
	CHECK_EQ(seen, 10);
	CHECK_EQ(relay_rig_send(&rig, id, 0, 100, &third), WEFT_REASON_RELAY_ELSEWHERE);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	relay_rig_end(&rig);
}

static void test_a_closed_flow_is_unknown_and_its_row_has_another_salt(void)
{
	struct weft_relay_label label;
	struct relay_flow_id id, next;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	relay_flow_close(rig.relay, id);
	relay_flow_close(rig.relay, id);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &label), WEFT_EABSENT);
	/* All rows come round. */
	for (unsigned i = 0; i < 64; i++) {
		CHECK_EQ(relay_rig_open(&rig, 2, RELAY_NO_GRANT, &next), 0);
		CHECK(next.idx != id.idx || next.salt != id.salt);
		relay_flow_close(rig.relay, next);
	}
	CHECK_EQ(relay_stats(rig.relay)->open_cnt, 0);
	CHECK_EQ(rig.closed_cnt, 0);
	relay_rig_end(&rig);
}

static void test_a_key_opens_three_flows_without_a_grant(void)
{
	struct relay_flow_id ids[RELAY_OPENED_MAX], one;

	relay_rig_begin(&rig, NULL, 0);
	for (unsigned i = 0; i < RELAY_OPENED_MAX; i++)
		CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &ids[i]), 0);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &one), WEFT_EREFUSED);
	CHECK_EQ(relay_rig_open(&rig, 2, RELAY_NO_GRANT, &one), 0);
	CHECK_EQ(relay_rig_open(&rig, 1, relay_rig_grant(&rig, 1, 0, 0), &one), 0);
	relay_flow_close(rig.relay, ids[1]);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &one), 0);
	CHECK_EQ(relay_stats(rig.relay)->refused_cnt, 1);
	relay_rig_end(&rig);
}

static void test_terms_that_cannot_be_are_refused(void)
{
	const struct addr addr = relay_rig_addr(1, 1);
	const uint8_t key[RELAY_KEY_LEN] = {1};
	struct relay_flow_terms terms = {.owner = key, .addr = &addr, .mtu = RELAY_MTU_MIN - 1};
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(relay_flow_open(rig.relay, &terms, &id), WEFT_ETOOSMALL);
	terms.mtu = RELAY_MTU_MIN;
	terms.grant = 5;
	CHECK_EQ(relay_flow_open(rig.relay, &terms, &id), WEFT_EABSENT);
	terms.grant = RELAY_NO_GRANT;
	CHECK_EQ(relay_flow_open(rig.relay, &terms, &id), 0);
	relay_rig_end(&rig);
}

/* 63 shares of 64 rows: one more takes one back from the account that holds most. */
static void test_one_flow_beyond_capacity_takes_a_share_back(void)
{
	struct relay_flow_id id;
	unsigned refused = 0;

	relay_rig_begin(&rig, NULL, 0);
	/* Keys of one address. */
	for (unsigned i = 0; i < 63; i++) {
		const struct addr addr = relay_rig_addr(3, 3);
		uint8_t key[RELAY_KEY_LEN] = {(uint8_t)i, 9};
		const struct relay_flow_terms terms = {
			.owner = key, .addr = &addr, .mtu = RELAY_RIG_MTU};

		refused += relay_flow_open(rig.relay, &terms, &id) < 0;
	}
	CHECK_EQ(refused, 0);
	CHECK_EQ(relay_rig_open(&rig, 0x0401, RELAY_NO_GRANT, &id), 0);
	CHECK_EQ(rig.closed_cnt, 1);
	CHECK_EQ(rig.closed_why, RELAY_CLOSED_EVICTED);
	CHECK_EQ(relay_stats(rig.relay)->open_cnt, 63);
	relay_rig_end(&rig);
}

static void test_an_idle_flow_ends_after_five_minutes_and_a_used_one_does_not(void)
{
	struct relay_flow_id idle, used;
	struct relay_flow_view view;

	relay_rig_begin(&rig, NULL, 0);
	idle = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	used = relay_rig_open_whole(&rig, 2, RELAY_NO_GRANT);
	for (unsigned i = 0; i < 30; i++) {
		relay_rig_pass(&rig, 9 * SECOND);
		CHECK_EQ(relay_rig_send_own(&rig, used, i % 2, 100), WEFT_REASON_RELAYED);
	}
	CHECK_EQ(relay_flow_read(rig.relay, idle, &view), 0);
	relay_rig_pass(&rig, 35 * SECOND);
	CHECK_EQ(relay_flow_read(rig.relay, idle, &view), WEFT_EABSENT);
	CHECK_EQ(relay_flow_read(rig.relay, used, &view), 0);
	CHECK_EQ(view.packets[0] + view.packets[1], 30);
	CHECK_EQ(view.bytes[0], 15 * (100 + 16 + 8 + 20));
	CHECK_EQ(rig.closed_cnt, 1);
	CHECK_EQ(rig.closed_why, RELAY_CLOSED_IDLE);
	relay_rig_end(&rig);
}

static void test_labels_live_for_four_hours_and_are_renewed(void)
{
	struct weft_relay_label first, second;
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &first), 0);
	for (unsigned hour = 0; hour < 3; hour++) {
		rig.wall_s += WEFT_RELAY_KEY_LIFE_S;
		relay_rig_pass(&rig, SECOND);
		CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	}
	CHECK_EQ(relay_flow_renew(rig.relay, id), 0);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &second), 0);
	CHECK(first.head != second.head && first.tag != second.tag);
	CHECK(weft_relay_is_ours(relay_tables(rig.relay)->keys, &first));
	rig.wall_s += WEFT_RELAY_KEY_LIFE_S;
	relay_rig_pass(&rig, SECOND);
	CHECK(!weft_relay_is_ours(relay_tables(rig.relay)->keys, &first));
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	relay_rig_end(&rig);
}

/* Its labels would be renewed when the hour of before has come, which may be in a year. */
static void test_a_clock_that_was_put_back_has_labels_of_its_hour(void)
{
	struct weft_relay_label ahead, label;
	struct relay_flow_view view;
	struct relay_flow_id id;
	uint64_t wall_s;

	relay_rig_begin(&rig, NULL, 0);
	wall_s = rig.wall_s;
	rig.wall_s += 365 * 86400ull + WEFT_RELAY_KEY_LIFE_S;
	relay_rig_pass(&rig, SECOND);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &ahead), 0);
	rig.wall_s = wall_s;
	relay_rig_pass(&rig, SECOND);
	CHECK(weft_relay_is_ours(relay_tables(rig.relay)->keys, &ahead));
	CHECK_EQ(relay_flow_renew(rig.relay, id), 0);
	CHECK_EQ(relay_flow_read(rig.relay, id, &view), 0);
	CHECK_EQ(view.generation, rig.wall_s / WEFT_RELAY_KEY_LIFE_S);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &label), 0);
	CHECK(label.tag != ahead.tag);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	/* Within three hours no key of that year is left. */
	for (unsigned hour = 0; hour < 3; hour++) {
		rig.wall_s += WEFT_RELAY_KEY_LIFE_S;
		relay_rig_pass(&rig, SECOND);
		CHECK_EQ(relay_rig_send_own(&rig, id, 0, 100), WEFT_REASON_RELAYED);
	}
	CHECK(!weft_relay_is_ours(relay_tables(rig.relay)->keys, &ahead));
	relay_rig_end(&rig);
}

static void test_a_restarted_relay_knows_its_tags_and_not_its_flows(void)
{
	struct weft_relay_label label;
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &label), 0);
	relay_rig_end(&rig);
	relay_rig_begin(&rig, NULL, 0);
	CHECK(weft_relay_is_ours(relay_tables(rig.relay)->keys, &label));
	CHECK(relay_tables(rig.relay)->flows[id.idx].state != WEFT_RELAY_OPEN);
	CHECK_EQ(relay_flow_label(rig.relay, id, 0, &label), WEFT_EABSENT);
	relay_rig_end(&rig);
}

/* 16 MiB a day, then 8 kbit/s: never cut. At the next day it is as before. */
static void test_a_day_without_a_grant_ends_slowly(void)
{
	struct relay_flow_id id;
	unsigned passed = 0;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	for (unsigned i = 0; i < 2200 && !rig.is_slow; i++) {
		relay_rig_pass(&rig, SECOND);
		for (unsigned k = 0; k < 7; k++)
			(void)relay_rig_send_own(&rig, id, 0, 1200);
	}
	CHECK(rig.is_slow);
	relay_rig_pass(&rig, 10 * SECOND);
	for (unsigned i = 0; i < 100; i++) {
		relay_rig_pass(&rig, SECOND);
		for (unsigned k = 0; k < 7; k++)
			passed += relay_rig_send_own(&rig, id, 0, 1200) == WEFT_REASON_RELAYED;
	}
	CHECK(passed >= 75 && passed <= 84);
	rig.wall_s += 86400;
	relay_rig_pass(&rig, 5 * SECOND);
	CHECK(!rig.is_slow);
	relay_rig_end(&rig);
}

/* What both signers of a receipt can count: neither headers nor labels. */
static void test_bytes_behind_labels_are_counted_each_way(void)
{
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1000), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 21), WEFT_REASON_RELAYED);
	CHECK_EQ(relay_rig_send_own(&rig, id, 1, 500), WEFT_REASON_RELAYED);
	CHECK_EQ(rig.carried[0] + rig.carried[1], 0);
	relay_flow_settle(rig.relay, id);
	CHECK_EQ(rig.carried[0], 1021);
	CHECK_EQ(rig.carried[1], 500);
	relay_flow_settle(rig.relay, id);
	CHECK_EQ(rig.carried[0], 1021);
	CHECK_EQ(relay_rig_send_own(&rig, id, 1, 100), WEFT_REASON_RELAYED);
	relay_rig_pass(&rig, 5 * SECOND);
	CHECK_EQ(rig.carried[1], 600);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 30), WEFT_REASON_RELAYED);
	relay_flow_close(rig.relay, id);
	CHECK_EQ(rig.carried[0], 1051);
	relay_flow_settle(rig.relay, id); /* it is gone */
	CHECK_EQ(rig.carried[0], 1051);
	relay_rig_end(&rig);
}

/* A packet of IPv6 that leaves has longer headers than the one of IPv4 that came. */
static void test_families_of_legs_change_no_count(void)
{
	const struct addr ipv6 = {
		.family = ADDR_IPV6, .ip = {0x20, 0x01, 0x0d, 0xb8, 1}, .port = 7000};
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	id = relay_rig_open_whole(&rig, 1, RELAY_NO_GRANT);
	CHECK_EQ(relay_flow_set_leg(rig.relay, id, 1, &ipv6, &rig.own), 0);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1000), WEFT_REASON_RELAYED);
	relay_flow_settle(rig.relay, id);
	CHECK_EQ(rig.carried[0], 1000);
	relay_rig_end(&rig);
}

int main(void)
{
	RUN(test_a_flow_forwards_both_ways_when_both_legs_are_known);
	RUN(test_no_leg_is_this_node_or_the_other_leg);
	RUN(test_a_moved_leg_is_heard_where_it_is_and_nowhere_else);
	RUN(test_a_leg_on_tcp_is_heard_by_its_session_alone);
	RUN(test_a_third_address_is_seen_ten_times_a_second);
	RUN(test_a_closed_flow_is_unknown_and_its_row_has_another_salt);
	RUN(test_a_key_opens_three_flows_without_a_grant);
	RUN(test_terms_that_cannot_be_are_refused);
	RUN(test_one_flow_beyond_capacity_takes_a_share_back);
	RUN(test_an_idle_flow_ends_after_five_minutes_and_a_used_one_does_not);
	RUN(test_labels_live_for_four_hours_and_are_renewed);
	RUN(test_a_clock_that_was_put_back_has_labels_of_its_hour);
	RUN(test_a_restarted_relay_knows_its_tags_and_not_its_flows);
	RUN(test_a_day_without_a_grant_ends_slowly);
	RUN(test_bytes_behind_labels_are_counted_each_way);
	RUN(test_families_of_legs_change_no_count);
	return check_done();
}
