/* SPDX-License-Identifier: Apache-2.0 */
/* A round that the service hole-punch begins, also for a session that the peer dialled. */
#include "punch_rig.h"

static const char named_text[] = "203.0.113.200:9000";

/* The peer answered PUNCH_NOW: a probe of its own was answered at addr, or none (NULL). */
static void answer_result(const char *addr)
{
	const struct punch_result result = {.addr = addr ? addr_of(addr)
							 : (struct addr){.family = ADDR_NONE}};
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	punch_result_write(&w, &result);
	asked.reply(asked.arg,
		    &(struct mesh_reply){.type = MESH_PUNCH_RESULT,
					 .payload = payload,
					 .payload_len = writer_len(&w)},
		    now_ns);
}

static unsigned sent_to(const char *text)
{
	const struct addr addr = addr_of(text);
	unsigned cnt = 0;

	for (unsigned i = 0; i < sent.cnt; i++)
		cnt += addr_equal(&sent.remotes[i], &addr);
	return cnt;
}

static enum punch_outcome outcome(void)
{
	struct punch_view view;

	if (!punch_show(punch, peer_key, &view) || view.is_under_way)
		return PUNCH_NEVER;
	return view.outcome;
}

static void test_a_named_address_is_sent_one_probe_and_the_peers_two(void)
{
	const struct addr theirs = addr_of("203.0.113.9:7000"),
			  named[2] = {addr_of(named_text), theirs};

	rig_open();
	mesh.is_dialled = false;
	CHECK_EQ(punch_ask(punch, peer_key, named, 2, now_ns), 0);
	now_ns += 40 * NS_PER_MS;
	answer_candidates(&theirs, 1);
	CHECK_EQ(sent_to(named_text), 1);
	CHECK_EQ(sent_to("203.0.113.9:7000"), 1);
	now_ns += 40 * NS_PER_MS;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(sent_to(named_text), 1);
	CHECK_EQ(sent_to("203.0.113.9:7000"), 2);
	answer_result(NULL);
	CHECK_EQ(outcome(), PUNCH_SILENT);
	rig_close();
}

/* The budget of a network is the same for what a peer's node names and for what its program does. */
static void test_named_addresses_are_within_the_budget_of_their_network(void)
{
	rig_open();
	for (unsigned i = 0; i < PUNCH_NETWORK_PER_MIN + 1; i++) {
		const struct addr named = addr_of(named_text);

		CHECK_EQ(punch_ask(punch, peer_key, &named, 1, now_ns), 0);
		answer_candidates(NULL, 0);
		answer_result(NULL);
	}
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN);
	CHECK_EQ(stats().unsent_cnt, 1);
	rig_close();
}

static void test_more_addresses_than_may_be_named_are_left_out(void)
{
	struct addr named[PUNCH_NAMED_MAX + 1];

	rig_open();
	for (unsigned i = 0; i < PUNCH_NAMED_MAX + 1; i++) {
		named[i] = addr_of(named_text);
		named[i].ip[3] = (uint8_t)(100 + i);
	}
	CHECK_EQ(punch_ask(punch, peer_key, named, PUNCH_NAMED_MAX + 1, now_ns), 0);
	answer_candidates(NULL, 0);
	CHECK_EQ(sent.cnt, PUNCH_NAMED_MAX);
	rig_close();
}

static void test_each_session_that_cannot_be_moved_is_refused(void)
{
	rig_open();
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), 0);
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), WEFT_EBUSY);
	mesh.asker = addr_of("203.0.113.9:7000");
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), WEFT_EEXISTS);
	mesh.asker = addr_of("tcp:203.0.113.9:7001");
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), WEFT_EREFUSED);
	rig_close();
}

/* As many as there are places run, and what ended makes room. */
static void test_one_round_more_than_there_are_places_is_refused(void)
{
	uint8_t key[MESH_KEY_LEN] = {0};

	rig_open();
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++) {
		key[0] = (uint8_t)(i + 1);
		CHECK_EQ(punch_ask(punch, key, NULL, 0, now_ns), 0);
	}
	key[0] = PUNCH_ASKED_MAX + 1;
	CHECK_EQ(punch_ask(punch, key, NULL, 0, now_ns), WEFT_EFULL);
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	CHECK_EQ(punch_ask(punch, key, NULL, 0, now_ns), 0);
	rig_close();
}

/* What peers have this node do pushes out no outcome of its own sessions. */
static void test_a_round_that_was_asked_for_makes_room_before_the_nodes_own(void)
{
	uint8_t own[MESH_KEY_LEN] = {200}, key[MESH_KEY_LEN] = {0};
	struct punch_view view;

	rig_open();
	punch_begin(punch, own, now_ns);
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	for (unsigned i = 0; i < 3 * PUNCH_ASKED_MAX; i++) {
		now_ns += NS_PER_S;
		key[0] = (uint8_t)(i % 100 + 1);
		key[1] = (uint8_t)(i / 100);
		CHECK_EQ(punch_ask(punch, key, NULL, 0, now_ns), 0);
		asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	}
	CHECK(punch_show(punch, own, &view));
	rig_close();
}

static void test_the_end_that_dialled_moves_also_where_the_other_one_asked(void)
{
	const struct addr theirs = addr_of("203.0.113.9:7000");
	uint8_t handle[PUNCH_HANDLE_LEN];
	struct punch_probe probe = {.kind = PUNCH_PROBE_ANSWER, .is_askers = true};
	uint8_t data[WEFT_PROBE_LEN];
	const struct dgram dgram = {.data = data,
				    .len = sizeof(data),
				    .local = addr_of("198.51.100.1:7000"),
				    .remote = theirs};

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	CHECK_EQ(sent.cnt, 1);
	memcpy(probe.handle, handle, sizeof(probe.handle));
	memcpy(probe.nonce, sent.probes[0].nonce, sizeof(probe.nonce));
	punch_probe_write(&probe, probe_key, data);
	CHECK(punch_input(punch, &dgram, now_ns));
	CHECK(addr_equal(&moved_to, &theirs));
	CHECK_EQ(mesh.type, MESH_PUNCH_RESULT);
	rig_close();
}

/* The asking node cannot move a session that its peer dialled, and hears of the path by PUNCH_RESULT. */
static void test_a_path_that_the_peer_found_is_an_outcome_where_the_peer_dialled(void)
{
	for (unsigned i = 0; i < 2; i++) {
		rig_open();
		mesh.is_dialled = i;
		CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), 0);
		answer_candidates(NULL, 0);
		answer_result("198.51.100.1:7000");
		CHECK_EQ(outcome(), i ? PUNCH_SILENT : PUNCH_MOVED);
		rig_close();
	}
}

static void test_only_a_round_that_was_asked_for_is_cancelled(void)
{
	struct punch_view view;

	rig_open();
	CHECK(!punch_cancel(punch, peer_key));
	punch_begin(punch, peer_key, now_ns);
	CHECK(!punch_cancel(punch, peer_key));
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), 0);
	answer_candidates(NULL, 0);
	CHECK(punch_cancel(punch, peer_key));
	CHECK(!punch_cancel(punch, peer_key));
	CHECK(punch_show(punch, peer_key, &view));
	CHECK(!view.is_under_way);
	/* Its timer is gone with it, and the next one begins. */
	now_ns += 10 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(punch_ask(punch, peer_key, NULL, 0, now_ns), 0);
	rig_close();
}

int main(void)
{
	RUN(test_a_named_address_is_sent_one_probe_and_the_peers_two);
	RUN(test_named_addresses_are_within_the_budget_of_their_network);
	RUN(test_more_addresses_than_may_be_named_are_left_out);
	RUN(test_each_session_that_cannot_be_moved_is_refused);
	RUN(test_one_round_more_than_there_are_places_is_refused);
	RUN(test_a_round_that_was_asked_for_makes_room_before_the_nodes_own);
	RUN(test_the_end_that_dialled_moves_also_where_the_other_one_asked);
	RUN(test_a_path_that_the_peer_found_is_an_outcome_where_the_peer_dialled);
	RUN(test_only_a_round_that_was_asked_for_is_cancelled);
	return check_done();
}
