/* SPDX-License-Identifier: Apache-2.0 */
#include "incoming_rig.h"

static void test_wrong_frames_get_an_error_and_the_session_lives(void)
{
	static const struct {
		const char *why;
		unsigned type, flags;
		size_t payload_len;
		int code;
	} rows[] = {
		{"the largest chunk request", MESH_GET_CHUNK, 0, 1200, 0},
		{"one byte more", MESH_GET_CHUNK, 0, 1201, MESH_CODE_TOO_LARGE},
		{"the largest announcement", MESH_HAVE_CONTENT, 0, 65535, 0},
		{"one byte more", MESH_HAVE_CONTENT, 0, 65536, MESH_CODE_TOO_LARGE},
		{"type 65000", 65000, 0, 10, MESH_CODE_UNKNOWN},
		{"a message nobody handles", MESH_GET_MANIFEST, 0, 10, MESH_CODE_UNKNOWN},
		{"an answer as a request", MESH_CHUNK_DATA, 0, 10, MESH_CODE_UNKNOWN},
		{"ping on a request's stream", MESH_PING, 0, 0, MESH_CODE_UNKNOWN},
		{"a reserved number", 1, 0, 0, MESH_CODE_UNKNOWN},
		{"flags of an answer", MESH_GET_CHUNK, 1, 3, MESH_CODE_MALFORMED},
		{"flags of an error", MESH_GET_CHUNK, 2, 3, MESH_CODE_MALFORMED},
	};

	CHECK(bench_default());
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t req_id = (uint32_t)(100000 + i);
		unsigned stream =
			say_frame(rows[i].type, req_id, rows[i].flags, rows[i].payload_len);
		struct mesh_frame got = {0};

		if (answer_on(stream, &got) != rows[i].code)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(answer_on(stream, &got), rows[i].code);
		CHECK_EQ(got.req_id, req_id);
		CHECK(raw.streams[stream].has_fin && raw.streams[stream].is_closed);
		CHECK(raw.conn);
	}
	CHECK_EQ(stats_now().unknown_type_cnt, 5);
	CHECK_EQ(stats_now().malformed_cnt, 4);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

static void test_malformed_bytes_get_code_2(void)
{
	static const struct {
		const char *why;
		size_t len;
		uint8_t bytes[24];
	} rows[] = {
		{"map of three", 5, {0, 0, 0, 9, 0xa3}},
		{"type not in shortest form", 8, {0, 0, 0, 10, 0xa4, 0, 0x18, 4}},
		{"keys out of order", 8, {0, 0, 0, 9, 0xa4, 0, 4, 2}},
		{"giant length",
		 17,
		 {0xff, 0xff, 0xff, 0xff, 0xa4, 0, 0x19, 1, 0xf4, 1, 1, 2, 0, 3, 0x41, 1, 1}},
		{"nothing at all", 0, {0}},
		{"half a length", 2, {0, 0}},
		{"text", 16, "GET / HTTP/1.1\r\n"},
	};

	CHECK(bench_default());
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned stream = say(rows[i].bytes, rows[i].len, true);
		struct mesh_frame got = {0};

		if (answer_on(stream, &got) != MESH_CODE_MALFORMED)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(answer_on(stream, &got), MESH_CODE_MALFORMED);
		CHECK_EQ(got.req_id, 0);
		CHECK_EQ(stats_now().malformed_cnt, i + 1);
	}
	CHECK(raw.conn);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

static void test_giant_length_that_adds_up_is_too_large(void)
{
	static const uint8_t giant[] = {0xff, 0xff, 0xff, 0xff, 0xa4, 0,    0x19, 1,	0xf4, 1,
					1,    2,    0,	  3,	0x5a, 0xff, 0xff, 0xff, 0xf0};
	struct mesh_frame got;
	unsigned stream;

	CHECK(bench_default());
	CHECK_EQ(mesh_frame_parse(giant, sizeof(giant), &got), sizeof(giant));
	stream = say(giant, sizeof(giant), false);
	CHECK_EQ(answer_on(stream, &got), MESH_CODE_TOO_LARGE);
	CHECK(!raw.streams[stream].is_closed); /* we have not ended our side */
	/* What keeps coming is skipped for a while, then the stream is given up. */
	for (unsigned i = 0; i < 5 && !raw.streams[stream].is_reset; i++) {
		pair_raw_send(&raw, stream, frame, 16000, false);
		pair_net_run(&rig.net, 100 * PAIR_MS);
	}
	CHECK(raw.streams[stream].is_reset);
	CHECK(raw.conn);
	bench_fini();
}

static void test_every_cut_short_request_is_answered(void)
{
	uint8_t bytes[64];
	size_t len = rig_frame(bytes, sizeof(bytes), MESH_GET_CHUNK, 70000, 0, "abcdef", 6);

	for (size_t part = 0; part < len; part++) {
		struct mesh_frame got;

		CHECK(bench_default());
		CHECK_EQ(answer_on(say(bytes, part, true), &got), MESH_CODE_MALFORMED);
		CHECK_EQ(stats_now().incoming_cnt, 0);
		CHECK_EQ(stats_now().frame_in_cnt, 1); /* HELLO */
		bench_fini();
	}
}

static void test_bytes_after_a_request_are_refused(void)
{
	size_t len;
	struct mesh_frame got;

	CHECK(bench_default());
	len = rig_frame(frame, sizeof(frame), MESH_GET_CHUNK, 1, 0, "abc", 3);
	frame[len] = 0;
	CHECK_EQ(answer_on(say(frame, len + 1, true), &got), MESH_CODE_MALFORMED);
	bench_fini();
}

static void test_single_bytes_make_a_request(void)
{
	struct mesh_frame got;
	unsigned stream;

	CHECK(bench_default());
	rig.net.cut_len = 1;
	stream = say_frame(MESH_GET_CHUNK, 5, 0, 300);
	CHECK_EQ(answer_on(stream, &got), 0);
	CHECK_EQ(got.payload_len, 301);
	bench_fini();
}

static void test_request_before_hello_is_served(void)
{
	struct mesh_config config;
	struct mesh_frame got;

	mesh_config_defaults(&config);
	CHECK(bench_init(&config, false));
	CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK, 5, 0, 3), &got), 0);
	bench_fini();
}

static void test_session_limit_of_requests_is_kept_to_one(void)
{
	struct mesh_config config;
	struct mesh_frame got;
	unsigned last;

	mesh_config_defaults(&config);
	config.incoming_per_session_cap = 3;
	CHECK(bench_init(&config, true));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK_HASHES, i, 0, 3), &got), -1);
	CHECK_EQ(kept.cnt, 3);
	last = say_frame(MESH_GET_CHUNK_HASHES, 9, 0, 3);
	CHECK_EQ(answer_on(last, &got), MESH_CODE_BUSY);
	CHECK_EQ(kept.cnt, 3);
	CHECK_EQ(stats_now().refused_cnt, 1);
	/* One answered makes room for one. */
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK, 10, 0, 3), &got), 0);
	bench_fini();
}

static void test_limit_of_requests_in_all_leaves_room_for_hello(void)
{
	struct mesh_config config;
	struct mesh_frame got;
	uint8_t hello[256];
	unsigned stream;

	mesh_config_defaults(&config);
	config.incoming_cap = 8;
	CHECK(bench_init(&config, false));
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK_HASHES, i, 0, 3), &got), -1);
	/* The ninth is one too many, but it might have been the control stream. */
	CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK_HASHES, 9, 0, 3), &got), MESH_CODE_BUSY);
	CHECK_EQ(got.req_id, 9);
	stream = say(hello, rig_hello(hello, sizeof(hello), RIG_WALL_S), false);
	CHECK_EQ(answer_on(stream, &got), 0);
	CHECK_EQ(got.type, MESH_HELLO);
	CHECK_EQ(stats_now().hello_cnt, 1);
	CHECK_EQ(answer_on(say_frame(MESH_GET_CHUNK_HASHES, 9, 0, 3), &got), MESH_CODE_BUSY);
	CHECK_EQ(kept.cnt, 8);
	bench_fini();
}

#define SLOTS 16

/* A pool of SLOTS, and an honest node 1 beside the raw peer, at another address. */
static bool bench_crowded(void)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	config.incoming_cap = SLOTS;
	config.medium_buffer_cnt = SLOTS;
	if (!bench_init(&config, true))
		return false;
	mesh_config_defaults(&config);
	rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
	return rig_connected(&rig, 1, 0);
}

static int honest_ask(unsigned type, size_t len)
{
	static uint8_t payload[60000];
	struct rig_ask ask = {0};
	int err = rig_ask(&rig, &ask, 1, 0, type, payload, len);

	pair_net_run(&rig.net, PAIR_S);
	if (!err)
		err = ask.reply_cnt == 1 ? ask.reply.err : WEFT_ETIMEOUT;
	rig_ask_fini(&ask);
	return err;
}

static void test_one_peer_with_all_slots_makes_room_for_another(void)
{
	unsigned streams[SLOTS];
	struct mesh_frame got;
	unsigned told_cnt = 0;

	CHECK(bench_crowded());
	for (unsigned i = 0; i < SLOTS; i++)
		streams[i] = say("\0\0", 2, false);
	CHECK_EQ(stats_now().incoming_cnt, SLOTS);
	CHECK_EQ(honest_ask(MESH_GET_CHUNK, 3), 0);
	/* The one that lost its slot is told when to come back. */
	for (unsigned i = 0; i < SLOTS; i++)
		told_cnt += answer_on(streams[i], &got) == MESH_CODE_BUSY;
	CHECK_EQ(told_cnt, 1);
	CHECK_EQ(answer_on(streams[0], &got), MESH_CODE_BUSY);
	bench_fini();
}

static void test_slots_that_lack_progress_are_taken_back_once_others_wait(void)
{
	CHECK(bench_crowded());
	for (unsigned i = 0; i < SLOTS; i++)
		pair_raw_send(&raw, pair_raw_open(&raw), "\0\0", 2, false);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	/* Our handler keeps it, so the pool stays full. */
	CHECK_EQ(honest_ask(MESH_GET_CHUNK_HASHES, 3), WEFT_ETIMEOUT);
	CHECK_EQ(kept.cnt, 1);
	CHECK_EQ(stats_now().incoming_cnt, SLOTS);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_now().incoming_cnt, 1);
	CHECK_EQ(stats_now().timeout_cnt, SLOTS - 1);
	bench_fini();
}

static void test_time_in_our_handler_does_not_count_against_the_asker(void)
{
	unsigned streams[SLOTS - 1];
	struct mesh_frame got;

	CHECK(bench_crowded());
	for (unsigned i = 0; i < SLOTS - 1; i++)
		streams[i] = say_frame(MESH_GET_CHUNK_HASHES, i, 0, 3);
	CHECK_EQ(kept.cnt, SLOTS - 1);
	CHECK_EQ(honest_ask(MESH_GET_CHUNK, 3), 0);
	pair_net_run(&rig.net, 1000 * PAIR_S);
	for (unsigned i = 0; i < SLOTS - 1; i++)
		CHECK_EQ(kept.ops->answer(kept.incoming[i], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	for (unsigned i = 0; i < SLOTS - 1; i++)
		CHECK_EQ(answer_on(streams[i], &got), 0);
	bench_fini();
}

static void test_buffers_of_one_peer_that_sends_no_more_go_to_another(void)
{
	static const uint8_t payload[60000];
	size_t len;

	CHECK(bench_crowded());
	len = rig_frame(frame, sizeof(frame), MESH_HAVE_CONTENT, 1, 0, payload, sizeof(payload));
	/* All but the last byte; a slot is left, but no buffer. */
	for (unsigned i = 0; i < SLOTS - 1; i++)
		(void)say(frame, len - 1, false);
	rig.nodes[0].mesh->slots.pools[MESH_POOL_MEDIUM].config.cap_cnt = SLOTS - 1;
	CHECK_EQ(honest_ask(MESH_HAVE_CONTENT, 60000), 0);
	bench_fini();
}

static void test_a_head_alone_holds_no_buffer(void)
{
	struct fair_view view;
	static const uint8_t payload[60000];

	CHECK(bench_crowded());
	(void)say(
		frame,
		rig_frame(frame, sizeof(frame), MESH_HAVE_CONTENT, 1, 0, payload, sizeof(payload)) -
			sizeof(payload),
		false);
	fair_read(&rig.nodes[0].mesh->slots.pools[MESH_POOL_MEDIUM], &view);
	CHECK_EQ(view.held_cnt, 0);
	CHECK_EQ(stats_now().incoming_cnt, 1);
	bench_fini();
}

static void test_announcements_arrive_side_by_side(void)
{
	static const uint8_t payload[60000];
	struct mesh_frame got;
	unsigned streams[16];
	size_t len;

	CHECK(bench_default());
	len = rig_frame(frame, sizeof(frame), MESH_HAVE_CONTENT, 1, 0, payload, sizeof(payload));
	for (unsigned i = 0; i < 15; i++) {
		streams[i] = pair_raw_open(&raw);
		pair_raw_send(&raw, streams[i], frame, len - 1, false);
	}
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_now().incoming_cnt, 15);
	for (unsigned i = 0; i < 15; i++)
		pair_raw_send(&raw, streams[i], frame + len - 1, 1, true);
	pair_net_run(&rig.net, PAIR_S);
	for (unsigned i = 0; i < 15; i++)
		CHECK_EQ(answer_on(streams[i], &got), 0);
	CHECK_EQ(stats_now().incoming_cnt, 0);
	bench_fini();
}

static void test_handlers_are_registered_once_and_only_for_requests(void)
{
	struct mesh *mesh;

	CHECK(bench_default());
	mesh = rig.nodes[0].mesh;
	CHECK_EQ(kept.ops->handle(mesh, MESH_GET_CHUNK, rig_keep, &kept), WEFT_EEXISTS);
	CHECK_EQ(kept.ops->handle(mesh, 65000, rig_keep, &kept), WEFT_EUNKNOWN);
	CHECK_EQ(kept.ops->handle(mesh, MESH_CHUNK_DATA, rig_keep, &kept), WEFT_EUNKNOWN);
	CHECK_EQ(kept.ops->handle(mesh, MESH_PING, rig_keep, &kept), WEFT_EUNKNOWN);
	CHECK_EQ(kept.ops->handle(mesh, MESH_GET_MANIFEST, rig_keep, &kept), 0);
	bench_fini();
}

int main(void)
{
	RUN(test_wrong_frames_get_an_error_and_the_session_lives);
	RUN(test_malformed_bytes_get_code_2);
	RUN(test_giant_length_that_adds_up_is_too_large);
	RUN(test_every_cut_short_request_is_answered);
	RUN(test_bytes_after_a_request_are_refused);
	RUN(test_single_bytes_make_a_request);
	RUN(test_request_before_hello_is_served);
	RUN(test_session_limit_of_requests_is_kept_to_one);
	RUN(test_limit_of_requests_in_all_leaves_room_for_hello);
	RUN(test_one_peer_with_all_slots_makes_room_for_another);
	RUN(test_slots_that_lack_progress_are_taken_back_once_others_wait);
	RUN(test_time_in_our_handler_does_not_count_against_the_asker);
	RUN(test_buffers_of_one_peer_that_sends_no_more_go_to_another);
	RUN(test_a_head_alone_holds_no_buffer);
	RUN(test_announcements_arrive_side_by_side);
	RUN(test_handlers_are_registered_once_and_only_for_requests);
	return check_done();
}
