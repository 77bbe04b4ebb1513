/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to requests: askers that leave, full streams and unread answers. */
#include "incoming_rig.h"

static void test_slow_request_is_given_up(void)
{
	unsigned stream;

	CHECK(bench_default());
	stream = say("\0\0", 2, false);
	pair_net_run(&rig.net, 29 * PAIR_S);
	CHECK(!raw.streams[stream].is_reset);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK(raw.streams[stream].is_reset);
	CHECK_EQ(stats_now().timeout_cnt, 1);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	CHECK(raw.conn);
	bench_fini();
}

static void test_asker_that_leaves_is_reported_to_the_handler(void)
{
	unsigned stream;

	CHECK(bench_default());
	kept.wants_gone = true;
	stream = say_frame(MESH_GET_CHUNK_HASHES, 1, 0, 3);
	CHECK_EQ(kept.cnt, 1);
	raw.end->transport.ops->reset(raw.streams[stream].stream, 7);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(kept.gone_cnt, 1);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	/* And when the whole session goes. */
	say_frame(MESH_GET_CHUNK_HASHES, 2, 0, 3);
	CHECK_EQ(kept.cnt, 2);
	raw.end->transport.ops->close(raw.conn, 0, NULL);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(kept.gone_cnt, 2);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	CHECK_EQ(stats_now().session_cnt, 0);
	bench_fini();
}

static void test_answer_to_an_asker_that_left_is_closed(void)
{
	struct transport_span tail = {.data = frame, .len = 10};
	unsigned stream;

	CHECK(bench_default());
	for (unsigned i = 0; i < 3; i++) {
		stream = say_frame(MESH_GET_CHUNK_HASHES, i, 0, 3);
		raw.end->transport.ops->reset(raw.streams[stream].stream, 7);
		pair_net_run(&rig.net, 200 * PAIR_MS);
	}
	CHECK_EQ(stats_now().incoming_cnt, 3); /* the handler still has them */
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, &tail),
		 WEFT_ECLOSED);
	kept.ops->answer_error(kept.incoming[1], MESH_CODE_ABSENT, "no such", 0);
	CHECK_EQ(stats_now().incoming_cnt, 1);
	CHECK_EQ(rig.net.span_out_cnt, 0);
	bench_fini();
}

static unsigned tail_done_cnt;

static void tail_done(void *arg)
{
	(void)arg;
	tail_done_cnt++;
}

static void test_answer_waits_for_a_full_stream(void)
{
	static uint8_t chunk[4096];
	struct transport_span tail = {chunk, sizeof(chunk), tail_done, NULL};

	/* The first send, the second, both, and again and again. */
	for (unsigned full = 0; full < 6; full++) {
		struct mesh_frame got;
		unsigned stream;

		CHECK(bench_default());
		tail_done_cnt = 0;
		stream = say_frame(MESH_GET_CHUNK_HASHES, 77, 0, 3);
		rig.nodes[0].end->send_full_cnt = full;
		CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail),
			 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(answer_on(stream, &got), 0);
		CHECK_EQ(got.payload_len, 4 + sizeof(chunk));
		CHECK_EQ(tail_done_cnt, 1);
		CHECK_EQ(stats_now().incoming_cnt, 0);
		bench_fini();
	}
}

static void test_answer_that_the_stream_refuses_stays_the_callers(void)
{
	struct transport_span tail = {frame, 100, tail_done, NULL};

	CHECK(bench_default());
	tail_done_cnt = 0;
	say_frame(MESH_GET_CHUNK_HASHES, 77, 0, 3);
	rig.nodes[0].end->send_closed_cnt = 1;
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail),
		 WEFT_ECLOSED);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(tail_done_cnt, 0);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

static void test_waiting_tail_is_given_back_when_the_asker_leaves(void)
{
	struct transport_span tail = {frame, 100, tail_done, NULL};
	unsigned stream;

	CHECK(bench_default());
	tail_done_cnt = 0;
	stream = say_frame(MESH_GET_CHUNK_HASHES, 77, 0, 3);
	rig.nodes[0].end->send_full_cnt = 1000;
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail), 0);
	raw.end->transport.ops->reset(raw.streams[stream].stream, 7);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(tail_done_cnt, 1);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

static void test_unread_answer_is_given_up(void)
{
	struct transport_span tail = {frame, 100, tail_done, NULL};
	unsigned stream;

	CHECK(bench_default());
	tail_done_cnt = 0;
	stream = say_frame(MESH_GET_CHUNK_HASHES, 77, 0, 3);
	rig.nodes[0].end->send_full_cnt = UINT32_MAX;
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail), 0);
	pair_net_run(&rig.net, 29 * PAIR_S);
	CHECK_EQ(tail_done_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(tail_done_cnt, 1);
	CHECK(raw.streams[stream].is_reset);
	CHECK(raw.conn);
	bench_fini();
}

static void test_unread_answer_is_soon_given_up_once_its_memory_is_short(void)
{
	struct transport_span tail = {frame, 100, tail_done, NULL};

	CHECK(bench_default());
	tail_done_cnt = 0;
	(void)say_frame(MESH_GET_CHUNK_HASHES, 77, 0, 3);
	rig.nodes[0].end->send_full_cnt = UINT32_MAX;
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail), 0);
	pair_net_run(&rig.net, PAIR_S);
	kept.ops->hurry(rig.nodes[0].mesh);
	CHECK_EQ(tail_done_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(tail_done_cnt, 1);
	CHECK(raw.conn);
	bench_fini();
}

static void test_an_answer_that_is_recalled_is_sent_no_further(void)
{
	unsigned stream[2];

	CHECK(bench_default());
	tail_done_cnt = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct transport_span tail = {frame, 5000, tail_done, &stream[i]};

		stream[i] = say_frame(MESH_GET_CHUNK_HASHES, i, 0, 3);
		/* The head of the frame goes, and its tail waits. */
		rig.nodes[0].end->send_full_cnt = 1000;
		CHECK_EQ(kept.ops->answer(kept.incoming[i], MESH_CHUNK_HASH_LIST, "head", 4, &tail),
			 0);
	}
	kept.ops->recall(rig.nodes[0].mesh, &stream[0]);
	kept.ops->recall(rig.nodes[0].mesh, &tail_done_cnt); /* of no answer */
	CHECK_EQ(tail_done_cnt, 1);
	rig.nodes[0].end->send_full_cnt = 0;
	pair_net_run(&rig.net, 60 * PAIR_S);
	CHECK(raw.streams[stream[0]].is_reset);
	CHECK(raw.streams[stream[0]].len < 100);
	CHECK(!raw.streams[stream[1]].is_reset);
	CHECK(raw.streams[stream[1]].len > 5000);
	CHECK_EQ(tail_done_cnt, 2);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

int main(void)
{
	RUN(test_slow_request_is_given_up);
	RUN(test_asker_that_leaves_is_reported_to_the_handler);
	RUN(test_answer_to_an_asker_that_left_is_closed);
	RUN(test_answer_waits_for_a_full_stream);
	RUN(test_answer_that_the_stream_refuses_stays_the_callers);
	RUN(test_waiting_tail_is_given_back_when_the_asker_leaves);
	RUN(test_unread_answer_is_given_up);
	RUN(test_unread_answer_is_soon_given_up_once_its_memory_is_short);
	RUN(test_an_answer_that_is_recalled_is_sent_no_further);
	return check_done();
}
