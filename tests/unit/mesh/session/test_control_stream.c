/* SPDX-License-Identifier: Apache-2.0 */
/* The control stream of a session: HELLO, and the frames that end it or are skipped. */
#include "session_rig.h"

static void test_both_sides_say_hello_at_once(void)
{
	struct mesh_peer_info *peer;
	struct mesh_config config;

	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	for (unsigned i = 0; i < 2; i++) {
		mesh_config_defaults(&config);
		config.caps = 0x10 + i;
		config.addrs[0] = pair_addr(77);
		config.addr_cnt = 1;
		snprintf(config.agent, sizeof(config.agent), "node %u", i);
		rig_add(&rig, i, &config, NULL, RIG_WALL_S);
	}
	CHECK(rig_connected(&rig, 0, 1));
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(rig.nodes[i].up_cnt, 1);
		peer = &rig.nodes[i].last_peer;
		CHECK_EQ(peer->caps, 0x10 + 1 - i);
		CHECK_STR(peer->agent, i ? "node 0" : "node 1");
		CHECK_EQ(peer->key[0], 2 - i);
		CHECK_EQ(peer->skew_s, 0);
		CHECK(peer->is_connected);
		CHECK_EQ(stats_of(i).skew_cnt, 0);
	}
	rig_fini(&rig);
}

static void test_accepting_side_answers_hello_at_once(void)
{
	const uint8_t *payload;
	struct mesh_frame frame;
	struct mesh_hello hello;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	CHECK(frame_on(0, 0, &frame, &payload));
	CHECK_EQ(frame.type, MESH_HELLO);
	CHECK_EQ(mesh_hello_parse(payload, frame.payload_len, &hello), 0);
	CHECK_EQ(hello.unix_s, RIG_WALL_S);
	CHECK_STR(hello.agent, "weft");
	CHECK(!raw.streams[0].has_fin);
	rig_fini(&rig);
}

static void test_late_first_stream_is_still_the_control_stream(void)
{
	struct rig_ask ask;

	rig_init(&rig, 2);
	rig.net.first_stream_delay_ns = 300 * PAIR_MS;
	CHECK_EQ(rig.nodes[1].seam.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_echo,
					       &rig.nodes[1]),
		 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1); /* nothing waits for HELLO */
	CHECK_EQ(stats_of(1).hello_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(0).hello_cnt, 1);
	CHECK_EQ(stats_of(1).hello_cnt, 1);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_silent_peer_is_closed_politely(void)
{
	CHECK(raw_init(9));
	pair_net_run(&rig.net, 9800 * PAIR_MS);
	CHECK(raw.conn);
	pair_net_run(&rig.net, 500 * PAIR_MS);
	CHECK(!raw.conn);
	CHECK_EQ(raw.close.code, MESH_BYE_NO_HELLO);
	CHECK_STR(rig.nodes[0].end->close_reason, "no hello in time");
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(stats_of(0).peer_cnt, 0);
	rig_fini(&rig);
}

static void test_hellos_that_end_the_session(void)
{
	static const struct {
		const char *why;
		unsigned type, flags;
		size_t len;
		uint8_t payload[16];
		unsigned code;
	} rows[] = {
		{"version 2", MESH_HELLO, 0, 3, {0xa1, 0, 2}, MESH_BYE_VERSION},
		{"no time", MESH_HELLO, 0, 5, {0xa2, 0, 1, 1, 0}, MESH_BYE_PROTOCOL},
		{"not shortest",
		 MESH_HELLO,
		 0,
		 8,
		 {0xa3, 0, 1, 1, 0, 2, 0x18, 5},
		 MESH_BYE_PROTOCOL},
		{"empty", MESH_HELLO, 0, 0, {0}, MESH_BYE_PROTOCOL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[64];

		CHECK(raw_init(9));
		raw_say(pair_raw_open(&raw), bytes,
			rig_frame(bytes, sizeof(bytes), rows[i].type, 0, rows[i].flags,
				  rows[i].payload, rows[i].len));
		if (raw.conn || raw.close.code != rows[i].code)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK(!raw.conn);
		CHECK_EQ(raw.close.code, rows[i].code);
		CHECK(rig.nodes[0].end->close_reason[0]);
		CHECK_EQ(stats_of(0).malformed_cnt, 1);
		CHECK_EQ(stats_of(0).session_cnt, 0);
		rig_fini(&rig);
	}
}

static void test_control_frames_that_end_the_session(void)
{
	static const uint8_t zeros[2000];
	static const struct {
		const char *why;
		unsigned type, flags;
		size_t len;
	} rows[] = {
		{"malformed hello again", MESH_HELLO, 0, 0},
		{"hello too large", MESH_HELLO, 0, 1201},
		{"ping too large", MESH_PING, 0, 1201},
		{"error without response", MESH_ERROR, 2, 0},
		{"flags of a stream's frame", MESH_PING, 4, 0},
		{"empty goodbye", MESH_GOODBYE, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[2100];

		CHECK(raw_init(9));
		CHECK(raw_say_hello(RIG_WALL_S));
		raw_say(0, bytes,
			rig_frame(bytes, sizeof(bytes), rows[i].type, 0, rows[i].flags, zeros,
				  rows[i].len));
		if (raw.conn)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK(!raw.conn);
		CHECK_EQ(raw.close.code, MESH_BYE_PROTOCOL);
		CHECK_EQ(rig.nodes[0].up_cnt, 1);
		CHECK_EQ(rig.nodes[0].down_cnt, 1);
		rig_fini(&rig);
	}
}

static void test_ping_before_hello_ends_the_session(void)
{
	struct mesh_config config;
	struct rig_ask ask;
	uint8_t bytes[64];

	mesh_config_defaults(&config);
	memset(&rig, 0, sizeof(rig));
	memset(&raw, 0, sizeof(raw));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	raw.end = pair_net_add(&rig.net, 2, &pair_raw_events, &raw);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(raw.stream_cnt, 2);
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PING, 1, 0, "", 0));
	CHECK(!raw.conn);
	CHECK_EQ(raw.close.code, MESH_BYE_PROTOCOL);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_second_control_stream_ends_the_session(void)
{
	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	CHECK(!raw_say_hello(RIG_WALL_S));
	CHECK_EQ(raw.close.code, MESH_BYE_PROTOCOL);
	rig_fini(&rig);
}

static void test_control_stream_that_ends_ends_the_session(void)
{
	for (unsigned how = 0; how < 2; how++) {
		CHECK(raw_init(9));
		CHECK(raw_say_hello(RIG_WALL_S));
		if (how)
			raw.end->transport.ops->finish(raw.streams[0].stream);
		else
			raw.end->transport.ops->reset(raw.streams[0].stream, 1);
		pair_net_run(&rig.net, 200 * PAIR_MS);
		CHECK(!raw.conn);
		CHECK_EQ(stats_of(0).session_cnt, 0);
		rig_fini(&rig);
	}
}

static void test_unknown_control_frame_is_answered_and_skipped(void)
{
	static const uint8_t zeros[5000];
	static uint8_t bytes[5100];
	const uint8_t *payload;
	struct mesh_frame frame;
	struct mesh_error error;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	rig.net.cut_len = 7;
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), 65000, 42, 0, zeros, sizeof(zeros)));
	CHECK(raw.conn);
	CHECK(frame_on(0, 1, &frame, &payload));
	CHECK_EQ(frame.type, MESH_ERROR);
	CHECK_EQ(frame.req_id, 42);
	CHECK_EQ(frame.flags, 3);
	CHECK_EQ(mesh_error_parse(payload, frame.payload_len, &error), 0);
	CHECK_EQ(error.code, MESH_CODE_UNKNOWN);
	/* An unknown answer is ignored; a ping after it is answered. */
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), 65000, 43, 1, zeros, 10));
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PING, 44, 0, zeros, 0));
	CHECK(frame_on(0, 2, &frame, &payload));
	CHECK_EQ(frame.type, MESH_PONG);
	CHECK_EQ(frame.req_id, 44);
	CHECK_EQ(frame.flags, 1);
	rig_fini(&rig);
}

static void test_every_cut_of_hello_waits_and_single_bytes_arrive(void)
{
	uint8_t hello[256];
	size_t len = rig_hello(hello, sizeof(hello), RIG_WALL_S);

	CHECK(raw_init(9));
	pair_raw_open(&raw);
	for (size_t i = 0; i < len; i++) {
		CHECK_EQ(stats_of(0).hello_cnt, 0);
		pair_raw_send(&raw, 0, hello + i, 1, false);
		pair_net_run(&rig.net, 20 * PAIR_MS);
	}
	CHECK_EQ(stats_of(0).hello_cnt, 1);
	CHECK_EQ(rig.nodes[0].up_cnt, 1);
	rig_fini(&rig);
}

static void test_skewed_clock_is_reported_and_the_session_lives(void)
{
	static const struct {
		int64_t skew_s;
		unsigned cnt;
	} rows[] = {
		{0, 0}, {300, 0}, {301, 1}, {-300, 0}, {-301, 1}, {31536000, 1}, {-1700000000, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(raw_init(9));
		CHECK(raw_say_hello((uint64_t)((int64_t)RIG_WALL_S + rows[i].skew_s)));
		CHECK_EQ(rig.nodes[0].last_peer.skew_s, rows[i].skew_s);
		CHECK_EQ(stats_of(0).skew_cnt, rows[i].cnt);
		rig_fini(&rig);
	}
}

int main(void)
{
	RUN(test_both_sides_say_hello_at_once);
	RUN(test_accepting_side_answers_hello_at_once);
	RUN(test_late_first_stream_is_still_the_control_stream);
	RUN(test_silent_peer_is_closed_politely);
	RUN(test_hellos_that_end_the_session);
	RUN(test_control_frames_that_end_the_session);
	RUN(test_ping_before_hello_ends_the_session);
	RUN(test_second_control_stream_ends_the_session);
	RUN(test_control_stream_that_ends_ends_the_session);
	RUN(test_unknown_control_frame_is_answered_and_skipped);
	RUN(test_every_cut_of_hello_waits_and_single_bytes_arrive);
	RUN(test_skewed_clock_is_reported_and_the_session_lives);
	return check_done();
}
