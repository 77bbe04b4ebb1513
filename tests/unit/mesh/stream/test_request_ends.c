/* SPDX-License-Identifier: Apache-2.0 */
/* How requests end: by time, by cancel, and with their peer. */
#include "base/fair/contribution.h"
#include "mesh_request_rig.h"

static void test_silence_ends_by_timeout(void)
{
	uint64_t asked_at_ns;

	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	asked_at_ns = rig.net.now_ns;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
	pair_net_run(&rig.net, 19 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ETIMEOUT);
	CHECK(ask.replied_at_ns >= asked_at_ns + 20 * PAIR_S);
	CHECK(ask.replied_at_ns < asked_at_ns + 20 * PAIR_S + PAIR_MS);
	CHECK_EQ(kept.gone_cnt, 1); /* the answering side heard */
	CHECK_EQ(requests_of(0), 0);
	pair_fini();
}

static void test_a_request_by_the_time_of_an_old_turn_has_its_whole_time(void)
{
	const uint64_t old_ns = 25 * PAIR_S;

	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_run(&rig.net, 30 * PAIR_S);
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 30, rig.net.now_ns);
	rig.net.now_ns -= old_ns;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
	rig.net.now_ns += old_ns;
	pair_net_run(&rig.net, 19 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ETIMEOUT);
	pair_fini();
}

static void test_trickle_lives_and_stall_ends(void)
{
	uint8_t bytes[64], hello[256];
	struct mesh_ask call = {.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 60 * PAIR_S,
				.stall_ns = 2 * PAIR_S};
	struct rig_ask stalled;
	struct pair_raw raw;

	CHECK(raw_asked(&raw, 200)); /* for the session */
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &stalled, 0, &call), 0);
	pair_raw_send(&raw, 0, hello, rig_hello(hello, sizeof(hello), RIG_WALL_S), false);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	rig_frame(bytes, sizeof(bytes), MESH_CHUNK_DATA, 2, 1, "abcdefgh", 8);
	for (unsigned i = 0; i < 12; i++) {
		pair_raw_send(&raw, 2, bytes + i, 1, false);
		pair_net_run(&rig.net, 1900 * PAIR_MS);
		CHECK_EQ(stalled.reply_cnt, 0);
	}
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(stalled.reply_cnt, 1);
	CHECK_EQ(stalled.reply.err, WEFT_ETIMEOUT);
	CHECK(raw.streams[2].is_reset && raw.conn);
	rig_ask_fini(&stalled);
	pair_fini();
}

/* As slow as it may be: the time comes again with every eight bytes, and not with seven. */
static void test_progress_earns_time(void)
{
	uint8_t bytes[64], hello[256];
	struct mesh_ask call = {.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 10 * PAIR_S,
				.progress_len = 8};
	struct rig_ask slow;
	struct pair_raw raw;
	size_t len;

	CHECK(raw_asked(&raw, 200)); /* for the session */
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &slow, 0, &call), 0);
	pair_raw_send(&raw, 0, hello, rig_hello(hello, sizeof(hello), RIG_WALL_S), false);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	len = rig_frame(bytes, sizeof(bytes), MESH_CHUNK_DATA, 2, 1, "abcdefghijklmnopqrstuvwx",
			24);
	pair_raw_send(&raw, 2, bytes, len - 16, false);
	pair_net_run(&rig.net, 15 * PAIR_S);
	CHECK_EQ(slow.reply_cnt, 0);
	pair_raw_send(&raw, 2, bytes + len - 16, 7, false);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(slow.reply_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(slow.reply_cnt, 1);
	CHECK_EQ(slow.reply.err, WEFT_ETIMEOUT);
	rig_ask_fini(&slow);
	pair_fini();
}

/* Cancels at step so many milliseconds after asking; nothing may be told or left. */
static void test_cancel_at_every_stage(void)
{
	for (unsigned at_ms = 0; at_ms < 90; at_ms += 5) {
		struct mesh_stats stats;

		CHECK(pair_default());
		rig.net.cut_len = 2;
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
		pair_net_run(&rig.net, at_ms * PAIR_MS);
		if (ask.reply_cnt) /* answered by now: the last stage there is */
			CHECK(at_ms >= 40);
		else
			rig.nodes[0].seam.ops->cancel(ask.request);
		ask.reply_cnt = 0;
		memset(ask.buf, 0xee, 64);
		pair_net_run(&rig.net, 40 * PAIR_S);
		CHECK_EQ(ask.reply_cnt, 0);
		for (unsigned i = 0; i < 64; i++)
			CHECK_EQ(ask.buf[i], 0xee);
		CHECK_EQ(requests_of(0), 0);
		mesh_stats(rig.nodes[1].mesh, &stats);
		CHECK_EQ(stats.incoming_cnt, 0);
		pair_fini();
	}
}

static void test_cancelled_dial_leaves_no_connection(void)
{
	CHECK(pair_default());
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 5 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	rig.nodes[0].seam.ops->cancel(ask.request);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 0);
	pair_fini();
}

static void test_answer_after_cancel_is_closed(void)
{
	CHECK(pair_default());
	kept.wants_gone = false;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(kept.cnt, 1);
	rig.nodes[0].seam.ops->cancel(ask.request);
	/* It crosses the news on the way: taken, and given back. */
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_fini();
}

static void test_closed_stream_fails_a_request(void)
{
	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	rig.nodes[0].end->send_closed_cnt = 1;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(ask.reply_cnt, 0); /* never inside ask */
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(requests_of(0), 0);
	pair_fini();
}

static void test_peer_that_leaves_fails_requests(void)
{
	struct pair_raw raw;

	CHECK(raw_asked(&raw, 200));
	raw.end->transport.ops->reset(raw.streams[1].stream, 3);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK(raw.conn);
	pair_fini();
	CHECK(raw_asked(&raw, 200));
	raw.end->transport.ops->close(raw.conn, 3, NULL);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(requests_of(0), 0);
	pair_fini();
}

static struct contribution contribution_of(uint8_t key_byte)
{
	struct contribution contribution;
	uint8_t key[MESH_KEY_LEN];

	memset(key, key_byte, sizeof(key));
	(void)mesh_contribution(rig.nodes[0].mesh, key, &contribution);
	return contribution;
}

static void test_answers_and_silence_count_for_the_peer(void)
{
	struct mesh_stats stats;
	uint64_t success;

	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(contribution_score(&(struct contribution){0}), 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, 0);
	success = contribution_of(2).success;
	CHECK_EQ(success, 125000);
	rig_ask_fini(&ask);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
	pair_net_run(&rig.net, 21 * PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_ETIMEOUT);
	CHECK_EQ(contribution_of(2).success, success - success / 8);
	CHECK_EQ(contribution_of(9).success, 0);
	mesh_stats(rig.nodes[0].mesh, &stats);
	CHECK_EQ(stats.answered_cnt, 1);
	CHECK_EQ(stats.unanswered_cnt, 1);
	mesh_stats(rig.nodes[1].mesh, &stats);
	CHECK_EQ(stats.served_cnt, 1);
	CHECK_EQ(stats.faulted_cnt, 0);
	pair_fini();
}

/* An asker that is over a limit, or asks for what is not there, got an answer that says so. */
static void test_no_and_not_here_are_no_failures(void)
{
	static const enum mesh_code codes[] = {MESH_CODE_REFUSED, MESH_CODE_BUSY, MESH_CODE_ABSENT,
					       MESH_CODE_INTERNAL};

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		CHECK(pair_default());
		CHECK(rig_connected(&rig, 0, 1));
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		rig_ask_fini(&ask);
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		kept.ops->answer_error(kept.incoming[0], codes[i], "no", 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK(ask.reply.err < 0);
		CHECK_EQ(contribution_of(2).success,
			 codes[i] == MESH_CODE_INTERNAL ? 125000 - 15625 : 125000);
		pair_fini();
	}
}

int main(void)
{
	RUN(test_silence_ends_by_timeout);
	RUN(test_a_request_by_the_time_of_an_old_turn_has_its_whole_time);
	RUN(test_trickle_lives_and_stall_ends);
	RUN(test_progress_earns_time);
	RUN(test_cancel_at_every_stage);
	RUN(test_cancelled_dial_leaves_no_connection);
	RUN(test_answer_after_cancel_is_closed);
	RUN(test_closed_stream_fails_a_request);
	RUN(test_peer_that_leaves_fails_requests);
	RUN(test_answers_and_silence_count_for_the_peer);
	RUN(test_no_and_not_here_are_no_failures);
	return check_done();
}
