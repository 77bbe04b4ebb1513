/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer can have a node do in a round. It sends probes that are forged, overheard or of no round,
 * and names third parties. It asks for more rounds than there are places. The test plays the mesh.
 */
#include "punch_rig.h"

static void test_a_session_on_tcp_is_refused(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");

	rig_open();
	mesh.asker = addr;
	mesh.asker.transport = ADDR_TCP;
	ask_candidates(0, &addr, 1);
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_ABSENT);
	CHECK_EQ(stats().refused_cnt, 1);
	rig_close();
}

static void test_another_handle_begins_nothing(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");

	rig_open();
	ask_candidates(0, &addr, 1);
	ask_now(0, (const uint8_t *)"wrong!");
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_ABSENT);
	CHECK_EQ(sent.cnt, 0);
	rig_close();
}

static void test_a_candidate_is_sent_one_probe_and_the_round_ends(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];
	struct punch_result result;

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	CHECK_EQ(sent.cnt, 1);
	now_ns += 1500 * NS_PER_MS - 1;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(mesh.type, MESH_CANDIDATES);
	now_ns += NS_PER_MS;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(mesh.type, MESH_PUNCH_RESULT);
	CHECK_EQ(punch_result_parse(mesh.answer, mesh.answer_len, &result), 0);
	CHECK_EQ(result.addr.family, ADDR_NONE);
	CHECK_EQ(sent.cnt, 1);
	input(handle, 1, true, "203.0.113.9:7000");
	CHECK_EQ(stats().stray_cnt, 1);
	CHECK_EQ(sent.cnt, 1);
	rig_close();
}

static void test_forged_and_strange_probes_are_not_answered(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	/* Its own probe sent back to it: the proof says that the other node sent it. */
	input(handle, 1, false, "203.0.113.9:7000");
	CHECK_EQ(stats().forged_cnt, 1);
	input((const uint8_t *)"wrong!", 1, true, "203.0.113.9:7000");
	CHECK_EQ(stats().stray_cnt, 1);
	CHECK_EQ(sent.cnt, 1);
	rig_close();
}

static void test_what_a_round_tried_is_shown(void)
{
	const struct addr addrs[2] = {addr_of("203.0.113.9:7000"), addr_of("192.168.1.2:7000")};
	struct punch_tried tried;
	struct punch_view view;

	rig_open();
	CHECK(!punch_tried(punch, peer_key, 0, &tried));
	punch_begin(punch, peer_key, now_ns);
	CHECK(!punch_tried(punch, peer_key, 0, &tried));
	answer_candidates(addrs, 2);
	CHECK(punch_tried(punch, peer_key, 0, &tried));
	CHECK(addr_equal(&tried.addr, &addrs[0]));
	CHECK(tried.is_named && tried.is_probed && !tried.is_answered);
	/* The node is in no private network. */
	CHECK(punch_tried(punch, peer_key, 1, &tried));
	CHECK(tried.is_named && !tried.is_probed);
	CHECK(!punch_tried(punch, peer_key, 2, &tried));
	CHECK(punch_show(punch, peer_key, &view));
	CHECK(view.is_under_way);
	CHECK_EQ(view.peers, PUNCH_NAT_HARD);
	rig_close();
}

static void test_a_peer_that_knows_no_rounds_is_shown_as_such(void)
{
	struct punch_view view;

	rig_open();
	punch_begin(punch, peer_key, now_ns);
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	CHECK(punch_show(punch, peer_key, &view));
	CHECK_EQ(view.outcome, PUNCH_UNANSWERED);
	CHECK_EQ(view.err, WEFT_EUNKNOWN);
	CHECK_EQ(view.round_cnt, 1);
	rig_close();
}

/* Each is answered, and where it came from gets a probe, within the bounds of docs/wire/punch.md. */
static void test_an_overheard_probe_does_little_from_elsewhere(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	for (unsigned i = 0; i < 100; i++) {
		char remote[ADDR_TEXT_CAP];

		snprintf(remote, sizeof(remote), "203.0.113.%u:7000", 100 + i);
		input(handle, 1, true, remote);
	}
	CHECK_EQ(stats().heard_cnt, 100);
	/* One to the candidate, 16 answers; 4 places and what is left of the candidates' 8. */
	CHECK_EQ(sent.cnt, 1 + 16 + 11);
	rig_close();
}

static void test_a_network_gets_so_many_probes_a_minute(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	for (unsigned i = 0; i < PUNCH_NETWORK_PER_MIN + 1; i++) {
		round_begin(0, "203.0.113.9:7000", handle);
		now_ns += NS_PER_MS;
	}
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN);
	CHECK_EQ(stats().unsent_cnt, 1);
	round_begin(0, "198.51.101.9:7000", handle);
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN + 1);
	now_ns += 60 * NS_PER_S;
	round_begin(0, "203.0.113.9:7000", handle);
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN + 2);
	rig_close();
}

/* So many names that each network has had its probes, if they all count. */
static void test_a_peer_that_names_many_networks_leaves_others_their_probes(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];
	char text[ADDR_TEXT_CAP];
	unsigned cnt;

	rig_open();
	for (unsigned i = 0; i < 2 * 64 * PUNCH_NETWORK_PER_MIN; i++) {
		snprintf(text, sizeof(text), "60.%u.%u.9:7000", i % 200, i / 200);
		round_begin(0, text, handle);
	}
	CHECK(sent.cnt < PUNCH_PER_MIN / 4);
	/* Hosts of others, and one more key each. */
	for (unsigned i = 1; i < 21; i++) {
		cnt = sent.cnt;
		snprintf(text, sizeof(text), "61.0.%u.9:7000", i);
		round_begin(i, text, handle);
		CHECK_EQ(sent.cnt, cnt + 1);
	}
	rig_close();
}

/* Keys are free, but not hosts and relays. */
static void test_many_keys_of_one_host_leave_others_their_probes(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];
	char text[ADDR_TEXT_CAP];
	unsigned cnt;

	rig_open();
	mesh.is_one_host = true;
	for (unsigned i = 0; i < 2 * 64 * PUNCH_NETWORK_PER_MIN; i++) {
		snprintf(text, sizeof(text), "60.%u.%u.9:7000", i % 200, i / 200);
		round_begin(i % 32, text, handle);
	}
	CHECK(sent.cnt <= PUNCH_PER_MIN / 4); /* of unknown peers, half of their half */
	mesh.is_one_host = false;
	cnt = sent.cnt;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "61.0.%u.9:7000", i);
		round_begin(32 + i, text, handle);
	}
	CHECK_EQ(sent.cnt, cnt + 20);
	/* Known peers have a half of their own. */
	for (unsigned i = 0; i < 2 * 64 * PUNCH_NETWORK_PER_MIN; i++) {
		snprintf(text, sizeof(text), "62.%u.%u.9:7000", i % 200, i / 200);
		round_begin(32 + i % 20, text, handle);
	}
	CHECK(sent.cnt <= PUNCH_PER_MIN / 2);
	mesh.class = FAIR_KNOWN;
	cnt = sent.cnt;
	round_begin(55, "63.0.0.9:7000", handle);
	CHECK_EQ(sent.cnt, cnt + 1);
	rig_close();
}

static void test_private_addresses_of_others_are_no_candidates(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "192.168.7.7:7000", handle);
	round_begin(0, "127.0.0.1:7000", handle);
	round_begin(0, "198.51.100.1:7000", handle); /* its own */
	CHECK_EQ(sent.cnt, 0);
	rig_close();
}

/* The 65th takes the place of another one, whose peer then finds no round. */
static void test_one_round_more_than_there_are_places_ends_another(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");
	struct punch_candidates own[PUNCH_ANSWERED_MAX + 1];
	struct fair_view view;
	unsigned absent_cnt = 0;

	rig_open();
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1; i++) {
		ask_candidates(i, &addr, 1);
		CHECK_EQ(mesh.type, MESH_CANDIDATES);
		CHECK_EQ(punch_candidates_parse(mesh.answer, mesh.answer_len, &own[i]), 0);
		now_ns += NS_PER_MS;
	}
	punch_fair_view(punch, &view);
	CHECK_EQ(view.cap_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.held_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
	/* A second question takes the place of its first one. */
	ask_candidates(PUNCH_ANSWERED_MAX, &addr, 1);
	punch_fair_view(punch, &view);
	CHECK_EQ(view.held_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX; i++) {
		mesh.type = MESH_CANDIDATES;
		ask_now(i, own[i].handle);
		absent_cnt += mesh.type == 0 && mesh.code == MESH_CODE_ABSENT;
	}
	CHECK_EQ(absent_cnt, 1);
	/* Rounds end by themselves, also those that go no further. */
	now_ns += 6 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	punch_fair_view(punch, &view);
	CHECK_EQ(view.held_cnt, 0);
	rig_close();
}

int main(void)
{
	RUN(test_a_session_on_tcp_is_refused);
	RUN(test_another_handle_begins_nothing);
	RUN(test_a_candidate_is_sent_one_probe_and_the_round_ends);
	RUN(test_forged_and_strange_probes_are_not_answered);
	RUN(test_what_a_round_tried_is_shown);
	RUN(test_a_peer_that_knows_no_rounds_is_shown_as_such);
	RUN(test_an_overheard_probe_does_little_from_elsewhere);
	RUN(test_a_network_gets_so_many_probes_a_minute);
	RUN(test_a_peer_that_names_many_networks_leaves_others_their_probes);
	RUN(test_many_keys_of_one_host_leave_others_their_probes);
	RUN(test_private_addresses_of_others_are_no_candidates);
	RUN(test_one_round_more_than_there_are_places_ends_another);
	return check_done();
}
