/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search of ports, as one node does it: what it sends where, and how long it takes against models
 * of NATs. A peer has it write to no third party.
 */
#include "port_search_rig.h"

/* --- what is sent --- */

static uint8_t tried[65536 / 8];
static unsigned again_cnt, elsewhere_cnt;

static void note_port(unsigned idx, const struct addr *to)
{
	const struct addr host = addr_of(PEER_HOST);
	uint8_t bit = (uint8_t)(1u << (to->port & 7));

	(void)idx;
	elsewhere_cnt += !addr_is_same_host(to, &host) || to->port < 1024;
	again_cnt += (tried[to->port / 8] & bit) != 0;
	tried[to->port / 8] |= bit;
}

static void test_the_easy_side_tries_each_port_once_at_its_rate_and_ends(void)
{
	rig_open();
	search_begin();
	CHECK_EQ(stats().search_asked_cnt, 1);
	memset(tried, 0, sizeof(tried));
	again_cnt = elsewhere_cnt = 0;
	ports.on_send = note_port;
	ports.sent_cnt = 0;
	for (unsigned s = 1; s <= 8; s++) {
		pass(NS_PER_S);
		CHECK(ports.sent_cnt <= s * PUNCH_SEARCH_PER_S);
		CHECK(ports.sent_cnt + 16 >= s * PUNCH_SEARCH_PER_S);
	}
	CHECK(view().is_under_way);
	pass(2 * NS_PER_S);
	CHECK(!view().is_under_way);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_SILENT);
	CHECK_EQ(view().probe_cnt, PUNCH_SEARCH_PROBES_MAX);
	CHECK_EQ(stats().search_probe_cnt, PUNCH_SEARCH_PROBES_MAX);
	CHECK_EQ(again_cnt, 0);
	CHECK_EQ(elsewhere_cnt, 0);
	CHECK_EQ(ports.open_cnt, 0);
	CHECK_EQ(stats().search_silent_cnt, 1);
	rig_close();
}

static void test_the_hard_side_opens_its_sockets_and_each_writes_once(void)
{
	rig_open();
	own_nat = PUNCH_NAT_HARD;
	round_silent(PUNCH_NAT_EASY, PEER_HOST);
	say_witness(PEER_HOST);
	CHECK_EQ(ports.open_cnt, 0);
	answer_search(PUNCH_NAT_EASY, "203.0.113.9:5555");
	pass(NS_PER_S);
	CHECK_EQ(ports.open_cnt, PUNCH_SEARCH_SOCKETS_MAX);
	CHECK_EQ(ports.sent_cnt, PUNCH_SEARCH_SOCKETS_MAX);
	CHECK_EQ(ports.to.port, 5555);
	pass(12 * NS_PER_S);
	CHECK_EQ(ports.sent_cnt, PUNCH_SEARCH_SOCKETS_MAX);
	CHECK(view().is_hard);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_SILENT);
	CHECK_EQ(view().socket_cnt, PUNCH_SEARCH_SOCKETS_MAX);
	CHECK_EQ(ports.open_cnt, 0);
	rig_close();
	/* A system that gives fewer has fewer. */
	rig_open();
	own_nat = PUNCH_NAT_HARD;
	ports.cap = 10;
	round_silent(PUNCH_NAT_EASY, PEER_HOST);
	say_witness(PEER_HOST);
	answer_search(PUNCH_NAT_EASY, "203.0.113.9:5555");
	pass(NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 10);
	rig_close();
}

/* --- how long it takes --- */

static uint8_t mapped[65536 / 8];
static uint64_t hit_ns, base_ns;

static void look_for_hit(unsigned idx, const struct addr *to)
{
	(void)idx;
	if (!hit_ns && mapped[to->port / 8] & 1u << (to->port & 7))
		hit_ns = now_ns - base_ns;
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The time to the first hit where the NAT gave 256 ports: at random, or in a row from a random one. */
static uint64_t time_of_search(uint64_t seed, bool is_row)
{
	struct random dice;
	unsigned first;

	rig_open();
	random_init_seeded(&rng, seed);
	random_init_seeded(&dice, seed + 1000);
	memset(mapped, 0, sizeof(mapped));
	first = 1024 + (unsigned)random_below(&dice, 64512 - 256);
	for (unsigned i = 0; i < 256; i++) {
		unsigned port = is_row ? first + i : 1024 + (unsigned)random_below(&dice, 64512);

		mapped[port / 8] |= (uint8_t)(1u << (port & 7));
	}
	search_begin();
	hit_ns = 0;
	base_ns = now_ns;
	ports.on_send = look_for_hit;
	pass(9 * NS_PER_S);
	rig_close();
	return hit_ns ? hit_ns : UINT64_MAX;
}

#define DRAWS 400

static void test_half_of_the_searches_hit_within_a_second(void)
{
	uint64_t times[DRAWS];
	unsigned missed_cnt = 0;

	for (unsigned i = 0; i < DRAWS; i++) {
		times[i] = time_of_search(i, false);
		missed_cnt += times[i] == UINT64_MAX;
	}
	qsort(times, DRAWS, sizeof(times[0]), by_time);
	printf("# ports at random: half hit after %u ms, 9 of 10 after %u ms, 99 of 100 after %u "
	       "ms, %u of %u never\n",
	       (unsigned)(times[DRAWS / 2] / NS_PER_MS),
	       (unsigned)(times[DRAWS * 9 / 10] / NS_PER_MS),
	       (unsigned)(times[DRAWS * 99 / 100] / NS_PER_MS), missed_cnt, DRAWS);
	CHECK(times[DRAWS / 2] > 300 * NS_PER_MS && times[DRAWS / 2] < NS_PER_S);
	CHECK(times[DRAWS * 99 / 100] < 7 * NS_PER_S);
	CHECK(missed_cnt <= DRAWS / 100);
}

/* A NAT that counts up gives 256 ports in a row; steps of a fixed ratio leave no gap as long. */
static void test_ports_in_a_row_are_always_hit(void)
{
	uint64_t worst_ns = 0;

	for (unsigned i = 0; i < DRAWS / 4; i++) {
		uint64_t at_ns = time_of_search(i, true);

		worst_ns = at_ns > worst_ns ? at_ns : worst_ns;
	}
	printf("# ports in a row: all hit within %u ms\n", (unsigned)(worst_ns / NS_PER_MS));
	CHECK(worst_ns < 3 * NS_PER_S);
}

/* --- hits --- */

static void test_a_hit_is_kept_answered_and_moves_the_session(void)
{
	struct punch_probe probe;

	rig_open();
	moved_to.family = ADDR_NONE;
	search_begin();
	probe = probe_to(asked_search, asked_search_len, false);
	pass(NS_PER_S);
	sent.cnt = 0;
	hit(0, "203.0.113.9:40001", &probe, probe_key);
	CHECK_EQ(ports.kept_cnt, 1);
	CHECK_EQ(sent.cnt, 2); /* the answer, and a probe of its own */
	CHECK_EQ(sent.probes[0].kind, PUNCH_PROBE_ANSWER);
	CHECK_EQ(sent.probes[1].kind, PUNCH_PROBE);
	CHECK_EQ(moved_to.family, ADDR_NONE);
	/* No port is tried any more, and the one that was hit again each half second. */
	ports.sent_cnt = 0;
	pass(NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 0);
	CHECK(sent.cnt >= 3 && sent.cnt <= 5);
	probe.kind = PUNCH_PROBE_ANSWER;
	memcpy(probe.nonce, sent.probes[1].nonce, sizeof(probe.nonce));
	hit(0, "203.0.113.9:40001", &probe, probe_key);
	CHECK_EQ(moved_to.port, 40001);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_FOUND);
	pass(4 * NS_PER_S);
	CHECK(!view().is_under_way);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_FOUND);
	CHECK(view().took_ns >= 2 * NS_PER_S && view().took_ns < 3 * NS_PER_S);
	CHECK_EQ(stats().search_found_cnt, 1);
	rig_close();
}

static void test_what_is_forged_or_from_elsewhere_is_not_kept(void)
{
	const uint8_t wrong_key[PUNCH_KEY_LEN] = {1};
	struct punch_probe probe;

	rig_open();
	search_begin();
	probe = probe_to(asked_search, asked_search_len, false);
	hit(0, PEER_HOST, &probe, wrong_key);
	hit(0, THIRD_HOST, &probe, probe_key);
	probe.is_askers = true; /* its own, sent back */
	hit(0, PEER_HOST, &probe, probe_key);
	CHECK_EQ(stats().forged_cnt, 3);
	memcpy(probe.handle, "wrong!", sizeof(probe.handle));
	hit(0, PEER_HOST, &probe, probe_key);
	CHECK_EQ(ports.kept_cnt, 0);
	rig_close();
}

static void test_one_more_hit_than_are_kept_is_not(void)
{
	struct punch_probe probe;

	rig_open();
	own_nat = PUNCH_NAT_HARD;
	round_silent(PUNCH_NAT_EASY, PEER_HOST);
	say_witness(PEER_HOST);
	answer_search(PUNCH_NAT_EASY, "203.0.113.9:5555");
	probe = probe_to(asked_search, asked_search_len, false);
	pass(NS_PER_S);
	for (unsigned i = 0; i < PUNCH_SEARCH_KEPT_MAX + 1; i++)
		hit(i, "203.0.113.9:5555", &probe, probe_key);
	CHECK_EQ(ports.kept_cnt, PUNCH_SEARCH_KEPT_MAX);
	/* Another port of that host is not where the easy side is. */
	hit(9, "203.0.113.9:5556", &probe, probe_key);
	CHECK_EQ(ports.kept_cnt, PUNCH_SEARCH_KEPT_MAX);
	rig_close();
}

/* --- third parties --- */

static void test_an_address_that_the_relay_does_not_confirm_is_not_searched(void)
{
	rig_open();
	round_silent(PUNCH_NAT_HARD, THIRD_HOST);
	CHECK_EQ(witness.addr_cnt, 1);
	CHECK_EQ(witness.addrs[0].ip[3], 77);
	say_witness(NULL);
	pass(15 * NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 0);
	CHECK_EQ(ports.open_cnt, 0);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_UNPROVED);
	CHECK_EQ(stats().search_unproved_cnt, 1);
	/* The relay is asked again only after some time. */
	round_silent(PUNCH_NAT_HARD, THIRD_HOST);
	CHECK_EQ(witness.asked_cnt, 1);
	/* Nor is one searched when no relay can be asked. */
	now_ns += 300 * NS_PER_S;
	witness.err = WEFT_EABSENT;
	round_silent(PUNCH_NAT_HARD, THIRD_HOST);
	CHECK_EQ(witness.asked_cnt, 2);
	pass(NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 0);
	rig_close();
}

static void test_a_peer_cannot_have_a_third_party_written_to(void)
{
	rig_open();
	own_nat = PUNCH_NAT_HARD;
	/* It answers with a socket that is elsewhere than where the relay sees it. */
	round_silent(PUNCH_NAT_EASY, PEER_HOST);
	say_witness(PEER_HOST);
	answer_search(PUNCH_NAT_EASY, THIRD_HOST);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_UNPROVED);
	/* It asks, and names such a one. */
	ask_search(0, PUNCH_NAT_EASY, THIRD_HOST);
	CHECK_EQ(witness.addr_cnt, 1);
	CHECK_EQ(witness.addrs[0].ip[3], 77);
	say_witness(NULL);
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_REFUSED);
	pass(15 * NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 0);
	rig_close();
}

/* --- answers --- */

static void test_an_asked_node_takes_part_in_either_role(void)
{
	struct punch_candidates own;
	struct punch_probe probe;

	rig_open();
	ask_search(0, PUNCH_NAT_HARD, PEER_HOST);
	CHECK_EQ(mesh.type, 1); /* not answered yet */
	say_witness(PEER_HOST);
	say_mapped(MAPPED);
	CHECK_EQ(mesh.type, MESH_SEARCH_PORTS);
	CHECK_EQ(punch_candidates_parse(mesh.answer, mesh.answer_len, &own), 0);
	CHECK_EQ(own.nat, PUNCH_NAT_EASY);
	CHECK_EQ(own.addrs[0].port, 34567);
	pass(NS_PER_S);
	CHECK(ports.sent_cnt > 200);
	probe = probe_to(mesh.answer, mesh.answer_len, true);
	hit(0, "203.0.113.9:40001", &probe, probe_key);
	CHECK_EQ(ports.kept_cnt, 1);
	rig_close();
	rig_open();
	own_nat = PUNCH_NAT_HARD;
	ask_search(0, PUNCH_NAT_EASY, "203.0.113.9:5555");
	say_witness("203.0.113.9:5555");
	CHECK_EQ(mesh.type, MESH_SEARCH_PORTS);
	CHECK_EQ(punch_candidates_parse(mesh.answer, mesh.answer_len, &own), 0);
	CHECK_EQ(own.nat, PUNCH_NAT_HARD);
	pass(NS_PER_S);
	CHECK_EQ(ports.sent_cnt, PUNCH_SEARCH_SOCKETS_MAX);
	CHECK_EQ(ports.to.port, 5555);
	rig_close();
}

static void test_a_silent_relay_ends_the_question_for_the_mapping(void)
{
	rig_open();
	round_silent(PUNCH_NAT_HARD, PEER_HOST);
	say_witness(PEER_HOST);
	CHECK_EQ(ports.sent_cnt, 1);
	pass(3 * NS_PER_S);
	CHECK_EQ(ports.sent_cnt, 6);
	CHECK_EQ(view().outcome, PUNCH_SEARCH_UNMAPPED);
	CHECK_EQ(ports.open_cnt, 0);
	rig_close();
}

static void test_other_pairs_of_nats_are_not_searched(void)
{
	static const enum punch_nat nats[] = {PUNCH_NAT_UNKNOWN, PUNCH_NAT_NONE, PUNCH_NAT_EASY,
					      PUNCH_NAT_HARD, PUNCH_NAT_BLOCKED};

	rig_open();
	for (unsigned i = 0; i < 5; i++) {
		own_nat = PUNCH_NAT_HARD;
		if (nats[i] == PUNCH_NAT_EASY)
			continue;
		round_silent(nats[i], PEER_HOST);
		CHECK_EQ(witness.asked_cnt, 0);
		ask_search(i, nats[i], PEER_HOST);
		CHECK_EQ(mesh.code, MESH_CODE_REFUSED);
	}
	CHECK_EQ(view().outcome, PUNCH_SEARCH_NEVER);
	CHECK_EQ(witness.asked_cnt, 0);
	rig_close();
}

int main(void)
{
	RUN(test_the_easy_side_tries_each_port_once_at_its_rate_and_ends);
	RUN(test_the_hard_side_opens_its_sockets_and_each_writes_once);
	RUN(test_half_of_the_searches_hit_within_a_second);
	RUN(test_ports_in_a_row_are_always_hit);
	RUN(test_a_hit_is_kept_answered_and_moves_the_session);
	RUN(test_what_is_forged_or_from_elsewhere_is_not_kept);
	RUN(test_one_more_hit_than_are_kept_is_not);
	RUN(test_an_address_that_the_relay_does_not_confirm_is_not_searched);
	RUN(test_a_peer_cannot_have_a_third_party_written_to);
	RUN(test_an_asked_node_takes_part_in_either_role);
	RUN(test_a_silent_relay_ends_the_question_for_the_mapping);
	RUN(test_other_pairs_of_nats_are_not_searched);
	return check_done();
}
