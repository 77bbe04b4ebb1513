/* SPDX-License-Identifier: Apache-2.0 */
/* How many searches of ports a node takes part in, and what ends them. Each limit is exceeded by one. */
#include "port_search_rig.h"

#include "punch/punch_state.h"

/* A search that peer number asks for, in a network of its own, from the first step to the last. */
static bool is_answered(unsigned number)
{
	char host[ADDR_TEXT_CAP];

	snprintf(host, sizeof(host), "203.0.%u.9:4000", number);
	ask_search(number, PUNCH_NAT_HARD, host);
	if (mesh.type == 0)
		return false;
	say_witness(host);
	if (mesh.type == 0)
		return false;
	say_mapped(MAPPED);
	pass(10 * NS_PER_S);
	return mesh.type == MESH_SEARCH_PORTS;
}

static void test_one_search_more_than_the_hour_has_is_refused(void)
{
	unsigned i;

	rig_open();
	for (i = 0; i < PUNCH_SEARCH_UNKNOWN_MAX; i++)
		CHECK(is_answered(i));
	CHECK(!is_answered(i));
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	/* The rest is for peers that are known. */
	mesh.class = FAIR_KNOWN;
	for (; i < PUNCH_SEARCH_ANSWERED_MAX; i++)
		CHECK(is_answered(i));
	CHECK(!is_answered(i));
	CHECK_EQ(stats().search_limited_cnt, 2);
	CHECK_EQ(stats().search_answered_cnt, PUNCH_SEARCH_ANSWERED_MAX);
	now_ns += 3600 * NS_PER_S;
	CHECK(is_answered(i));
	rig_close();
}

static void test_a_thirteenth_search_of_ones_own_waits_for_the_hour(void)
{
	struct fair_view all;

	rig_open();
	for (unsigned i = 0; i < PUNCH_SEARCH_ASKED_MAX + 1; i++) {
		char host[ADDR_TEXT_CAP];

		snprintf(host, sizeof(host), "203.0.%u.9:4000", i);
		round_silent(PUNCH_NAT_HARD, host);
		if (i == PUNCH_SEARCH_ASKED_MAX)
			break;
		say_witness(host);
		say_mapped(MAPPED);
		answer_search(PUNCH_NAT_HARD, host);
		asked.reply = NULL;
		punch->search.end_ns = now_ns; /* what it finds is not the question here */
		pass(TICK_NS);
		punch_asked_find(punch, peer_key)->search_ns = 0;
	}
	CHECK_EQ(view().outcome, PUNCH_SEARCH_LIMITED);
	CHECK_EQ(witness.asked_cnt, PUNCH_SEARCH_ASKED_MAX);
	punch_search_fair_view(punch, now_ns, &all);
	CHECK_EQ(all.held_cnt, PUNCH_SEARCH_ASKED_MAX);
	CHECK_EQ(all.cap_cnt, PUNCH_SEARCH_ASKED_MAX + PUNCH_SEARCH_ANSWERED_MAX);
	rig_close();
}

static void test_a_network_is_searched_four_times_an_hour_in_all(void)
{
	rig_open();
	for (unsigned i = 0; i < PUNCH_SEARCH_NETWORK_MAX + 1; i++) {
		ask_search(i, PUNCH_NAT_HARD, PEER_HOST);
		say_witness(PEER_HOST);
		if (i == PUNCH_SEARCH_NETWORK_MAX)
			break;
		say_mapped(MAPPED);
		CHECK_EQ(mesh.type, MESH_SEARCH_PORTS);
		pass(10 * NS_PER_S);
	}
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(stats().search_limited_cnt, 1);
	rig_close();
}

static void test_a_peer_that_was_not_confirmed_is_not_asked_about_again(void)
{
	rig_open();
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	say_witness(NULL);
	CHECK_EQ(mesh.code, MESH_CODE_REFUSED);
	CHECK_EQ(witness.asked_cnt, 1);
	pass(10 * NS_PER_S);
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(witness.asked_cnt, 1);
	ask_search(1, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(witness.asked_cnt, 2);
	say_witness(NULL);
	now_ns += PUNCH_UNPROVED_NS;
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(witness.asked_cnt, 3);
	rig_close();
}

static void test_relays_are_asked_for_unknown_peers_at_most_each_two_seconds(void)
{
	rig_open();
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	say_witness(NULL);
	now_ns += PUNCH_UNKNOWN_EVERY_NS - 1;
	ask_search(1, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(witness.asked_cnt, 1);
	mesh.class = FAIR_KNOWN;
	ask_search(2, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(witness.asked_cnt, 2);
	say_witness(NULL);
	mesh.class = FAIR_UNKNOWN;
	now_ns++;
	ask_search(3, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(witness.asked_cnt, 3);
	rig_close();
}

static void test_a_busy_peer_costs_no_search_and_is_left_in_peace(void)
{
	struct mesh_reply busy = {.err = WEFT_EBUSY};

	rig_open();
	for (unsigned i = 0; i < PUNCH_SEARCH_NETWORK_MAX + 1; i++) {
		round_silent(PUNCH_NAT_HARD, PEER_HOST);
		CHECK_EQ(witness.asked_cnt, i + 1);
		say_witness(PEER_HOST);
		say_mapped(MAPPED);
		busy.not_before_ns = now_ns + 300 * NS_PER_S;
		asked.reply(asked.arg, &busy, now_ns);
		asked.reply = NULL;
		CHECK_EQ(view().outcome, PUNCH_SEARCH_BUSY);
		CHECK_EQ(punch->past_cnt, 0);
		CHECK(punch_asked_find(punch, peer_key)->search_ns >= now_ns + 300 * NS_PER_S);
		punch_asked_find(punch, peer_key)->search_ns = 0;
	}
	rig_close();
}

static void test_a_second_search_at_a_time_is_refused(void)
{
	rig_open();
	search_begin();
	ask_search(0, PUNCH_NAT_HARD, "203.0.114.9:4000");
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(witness.asked_cnt, 1);
	pass(10 * NS_PER_S);
	ask_search(0, PUNCH_NAT_HARD, "203.0.114.9:4000");
	CHECK_EQ(witness.asked_cnt, 2);
	rig_close();
}

static void test_a_socket_is_of_an_unknown_peer_whichever_node_asks(void)
{
	for (unsigned i = 0; i < 4; i++) {
		bool is_unknown = i % 2;

		rig_open();
		mesh.class = is_unknown ? FAIR_UNKNOWN : FAIR_KNOWN;
		if (i < 2)
			round_silent(PUNCH_NAT_HARD, PEER_HOST);
		else
			ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
		CHECK_EQ(ports.owner.is_unknown, is_unknown);
		CHECK_EQ(ports.owner.network, 0);
		say_witness(PEER_HOST);
		CHECK_EQ(ports.owner.is_unknown, is_unknown);
		CHECK(ports.owner.network != 0);
		rig_close();
	}
}

/* Where the peer is becomes known by the relay alone. */
static void test_a_network_that_has_its_sockets_is_searched_no_further(void)
{
	rig_open();
	ports.is_network_full = true;
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(witness.asked_cnt, 1);
	say_witness(PEER_HOST);
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(stats().search_limited_cnt, 1);
	CHECK_EQ(ports.open_cnt, 0);
	rig_close();
}

static void test_without_a_place_for_the_winner_none_begins(void)
{
	rig_open();
	ports.room = 0;
	round_silent(PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_LIMITED);
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(mesh.code, MESH_CODE_BUSY);
	CHECK_EQ(witness.asked_cnt, 0);
	rig_close();
}

static void test_a_router_that_complains_ends_searches_for_an_hour(void)
{
	rig_open();
	punch_port_complained(punch, now_ns); /* there is none to end */
	search_begin();
	pass(NS_PER_S);
	ports.sent_cnt = 0;
	punch_port_complained(punch, now_ns);
	pass(NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 0);
	CHECK_EQ(ports.open_cnt, 0);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_COMPLAINED);
	CHECK_EQ(stats().search_complained_cnt, 1);
	ask_search(0, PUNCH_NAT_HARD, "203.0.114.9:4000");
	CHECK_EQ(mesh.code, MESH_CODE_REFUSED);
	now_ns += 3600 * NS_PER_S;
	ask_search(0, PUNCH_NAT_HARD, "203.0.114.9:4000");
	CHECK_EQ(mesh.type, 1);
	CHECK_EQ(witness.asked_cnt, 2);
	rig_close();
}

static void test_a_stop_closes_what_is_open(void)
{
	rig_open();
	search_begin();
	pass(NS_PER_S);
	CHECK_EQ(ports.open_cnt, 1);
	rig_close();
	CHECK_EQ(ports.open_cnt, 0);
	rig_open();
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK(witness.done != NULL);
	rig_close();
	CHECK(witness.done == NULL);
	CHECK_EQ(mesh.type, 0);
}

int main(void)
{
	RUN(test_one_search_more_than_the_hour_has_is_refused);
	RUN(test_a_thirteenth_search_of_ones_own_waits_for_the_hour);
	RUN(test_a_network_is_searched_four_times_an_hour_in_all);
	RUN(test_a_peer_that_was_not_confirmed_is_not_asked_about_again);
	RUN(test_relays_are_asked_for_unknown_peers_at_most_each_two_seconds);
	RUN(test_a_busy_peer_costs_no_search_and_is_left_in_peace);
	RUN(test_a_second_search_at_a_time_is_refused);
	RUN(test_a_socket_is_of_an_unknown_peer_whichever_node_asks);
	RUN(test_a_network_that_has_its_sockets_is_searched_no_further);
	RUN(test_without_a_place_for_the_winner_none_begins);
	RUN(test_a_router_that_complains_ends_searches_for_an_hour);
	RUN(test_a_stop_closes_what_is_open);
	return check_done();
}
