/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/stream/mesh_frame.h"
#include "mesh/session/hello.h"

static struct rig rig;
static struct pair_raw raw;

static struct mesh_stats stats_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats;
}

/* Node 0, and a raw peer with key 9 that dialled it and has said nothing yet. */
static bool raw_init(uint8_t key_byte)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	memset(&rig, 0, sizeof(rig));
	memset(&raw, 0, sizeof(raw));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	raw.end = pair_net_add(&rig.net, key_byte, &pair_raw_events, &raw);
	return pair_raw_dial(&raw, pair_addr(1), 1);
}

static bool raw_say_hello(uint64_t unix_s)
{
	uint8_t hello[256];

	pair_raw_send(&raw, pair_raw_open(&raw), hello, rig_hello(hello, sizeof(hello), unix_s),
		      false);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	return raw.conn != NULL;
}

static void raw_say(unsigned stream, const void *bytes, size_t len)
{
	pair_raw_send(&raw, stream, bytes, len, false);
	pair_net_run(&rig.net, 200 * PAIR_MS);
}

/* Frame number idx that came on stream; false when there is none. */
static bool frame_on(unsigned stream, unsigned idx, struct mesh_frame *out_frame,
		     const uint8_t **out_payload)
{
	struct pair_raw_stream *at = &raw.streams[stream];
	size_t off = 0;

	for (;; idx--) {
		int len = mesh_frame_parse(at->bytes + off, at->len - off, out_frame);

		if (len <= 0)
			return false;
		*out_payload = at->bytes + off + len;
		off += (size_t)len + out_frame->payload_len;
		if (!idx)
			return off <= at->len;
	}
}

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
		{"hello again", MESH_HELLO, 0, 0},
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

static void test_peer_without_a_key_or_with_the_own_key_is_closed_with_a_reason(void)
{
	for (uint8_t key = 0; key < 2; key++) {
		CHECK(raw_init(key)); /* node 0 has key byte 1 */
		CHECK(!raw.conn);
		CHECK_EQ(raw.close.code, MESH_BYE_NO_KEY);
		CHECK_STR(rig.nodes[0].end->close_reason,
			  key ? "this is my own key" : "a node key is needed");
		CHECK_EQ(stats_of(0).session_cnt, 0);
		CHECK_EQ(stats_of(0).refused_cnt, 1);
		rig_fini(&rig);
	}
}

static void test_sessions_beyond_the_cap_are_refused(void)
{
	struct mesh_config config;
	struct pair_raw raws[3] = {0};

	mesh_config_defaults(&config);
	config.session_cap = 2;
	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	for (unsigned i = 0; i < 3; i++) {
		raws[i].end = pair_net_add(&rig.net, (uint8_t)(9 + i), &pair_raw_events, &raws[i]);
		CHECK(pair_raw_dial(&raws[i], pair_addr(1), 1));
		CHECK_EQ(raws[i].conn != NULL, i < 2);
	}
	CHECK_EQ(raws[2].close.code, MESH_BYE_FULL);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	rig_fini(&rig);
}

static int ping_err;
static uint64_t ping_rtt_ns;
static unsigned ping_cnt;

static void ping_done(void *arg, int err, uint64_t rtt_ns)
{
	(void)arg;
	ping_cnt++;
	ping_err = err;
	ping_rtt_ns = rtt_ns;
}

static int ping(unsigned node, uint8_t key_byte)
{
	uint8_t key[MESH_KEY_LEN];

	memset(key, key_byte, sizeof(key));
	ping_cnt = 0;
	return mesh_ping(
		rig.nodes[node].mesh,
		&(struct mesh_ping_ask){
			.key = key, .timeout_ns = 5 * PAIR_S, .done = ping_done, .arg = NULL},
		rig.net.now_ns);
}

static void test_ping_measures_the_round_trip(void)
{
	rig_init(&rig, 2);
	CHECK_EQ(ping(0, 2), WEFT_EABSENT);
	CHECK(rig_connected(&rig, 0, 1));
	for (unsigned node = 0; node < 2; node++) {
		CHECK_EQ(ping(node, (uint8_t)(2 - node)), 0);
		CHECK_EQ(ping(node, (uint8_t)(2 - node)), WEFT_EBUSY);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ping_cnt, 1);
		CHECK_EQ(ping_err, 0);
		CHECK_EQ(ping_rtt_ns, 20 * PAIR_MS);
	}
	rig.nodes[0].end->send_full_cnt = 1;
	CHECK_EQ(ping(0, 2), WEFT_EFULL);
	CHECK_EQ(ping(0, 2), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ping_err, 0);
	rig_fini(&rig);
}

static void test_ping_ends_without_an_answer(void)
{
	uint8_t bytes[64];

	CHECK(raw_init(9));
	CHECK_EQ(ping(0, 9), WEFT_EBUSY); /* no control stream yet */
	CHECK(raw_say_hello(RIG_WALL_S));
	CHECK_EQ(ping(0, 9), 0);
	pair_net_run(&rig.net, 6 * PAIR_S);
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_ETIMEOUT);
	/* Too late is nothing. */
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PONG, 1, 1, "", 0));
	CHECK_EQ(ping_cnt, 1);
	CHECK(raw.conn);
	/* Another peer's is nothing. */
	CHECK_EQ(ping(0, 9), 0);
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PONG, 1, 1, "", 0));
	CHECK_EQ(ping_cnt, 0);
	/* A peer that does not know ping says so. */
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_ERROR, 2, 3, "", 0));
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_EUNKNOWN);
	CHECK_EQ(ping(0, 9), 0);
	raw.end->transport.ops->close(raw.conn, 0, NULL);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_ECLOSED);
	rig_fini(&rig);
}

static void test_goodbye_is_sent_and_honoured(void)
{
	struct rig_ask ask;
	uint64_t said_at_ns;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	said_at_ns = rig.net.now_ns;
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 60000, said_at_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 0);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(stats_of(1).session_cnt, 0);
	CHECK_EQ(rig.nodes[0].down_cnt, 1);
	/* The one that left asks no peer; the other does not dial before the time. */
	CHECK_EQ(rig_ask(&rig, &ask, 1, 0, MESH_GET_CHUNK, "abc", 3), WEFT_EREFUSED);
	rig_ask_fini(&ask);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	/* In the second half of the minute: peers do not all come at once. */
	said_at_ns += rig.net.delay_ns;
	CHECK(ask.reply.not_before_ns >= said_at_ns + 30 * PAIR_S &&
	      ask.reply.not_before_ns <= said_at_ns + 60 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	rig_ask_fini(&ask);
	pair_net_run(&rig.net, 60 * PAIR_S);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_peer_that_comes_back_by_itself_is_dialled_again(void)
{
	struct mesh_config config;
	struct rig_ask ask;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 600000, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	mesh_free(rig.nodes[1].mesh);
	mesh_config_defaults(&config);
	rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
	CHECK(rig_connected(&rig, 1, 0)); /* long before the time it gave */
	pair_net_close_dialled(&rig.net, 1);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_goodbye_to_a_deaf_peer_ends_by_closing(void)
{
	const uint8_t *payload;
	struct mesh_frame frame;
	struct mesh_bye bye;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	mesh_goodbye(rig.nodes[0].mesh, MESH_BYE_SHUTDOWN, 5000, rig.net.now_ns);
	pair_net_run(&rig.net, 150 * PAIR_MS);
	CHECK(raw.conn);
	CHECK(frame_on(0, 1, &frame, &payload));
	CHECK_EQ(frame.type, MESH_GOODBYE);
	CHECK_EQ(mesh_bye_parse(payload, frame.payload_len, &bye), 0);
	CHECK_EQ(bye.reason, MESH_BYE_SHUTDOWN);
	CHECK(bye.not_before_ms >= 2500 && bye.not_before_ms <= 5000);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK(!raw.conn);
	CHECK_EQ(raw.close.code, MESH_BYE_SHUTDOWN);
	CHECK(!pair_raw_dial(&raw, pair_addr(1), 1) || !raw.conn);
	rig_fini(&rig);
}

static void test_endless_not_before_is_cut_to_an_hour(void)
{
	uint8_t bytes[64];
	struct rig_ask ask;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	raw_say(0, bytes,
		rig_frame(bytes, sizeof(bytes), MESH_GOODBYE, 0, 0,
			  "\xa2\x00\x01\x01\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 13));
	CHECK(!raw.conn);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK(ask.reply.not_before_ns <= rig.net.now_ns + 3600 * PAIR_S);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_session_id_is_the_same_on_both_sides(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN], key[MESH_KEY_LEN];

	rig_init(&rig, 2);
	memset(key, 2, sizeof(key));
	CHECK_EQ(mesh_session_id(rig.nodes[0].mesh, key, ids[0]), WEFT_EABSENT);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(mesh_session_id(rig.nodes[0].mesh, key, ids[0]), 0);
	memset(key, 1, sizeof(key));
	CHECK_EQ(mesh_session_id(rig.nodes[1].mesh, key, ids[1]), 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	rig_fini(&rig);
}

/* A node of several workers may dial a peer of another worker. */
static void test_retired_session_that_its_dialler_leaves_alone_is_closed(void)
{
	struct transport_conn *first = NULL;
	uint8_t bytes[256];

	raw = (struct pair_raw){.conn = NULL};
	rig_init(&rig, 1);
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(pair_raw_dial(&raw, pair_addr(1), 1));
		first = i ? first : raw.conn;
		pair_raw_send(&raw, pair_raw_open(&raw), bytes,
			      rig_hello(bytes, sizeof(bytes), RIG_WALL_S), false);
		pair_net_run(&rig.net, PAIR_S);
	}
	CHECK(raw.conn != first);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	pair_net_run(&rig.net, 7 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	pair_net_run(&rig.net, 6 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	CHECK(raw.conn != NULL);
	rig_fini(&rig);
}

static void test_connected_peers_are_listed_first(void)
{
	struct mesh_walk walk = {0};
	struct mesh_peer_info peer;
	char seen[16] = "";

	rig_init(&rig, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	for (size_t len = 0; len < 8 && mesh_peers_next(rig.nodes[0].mesh, &walk, &peer);
	     len += 2) {
		seen[len] = (char)('0' + peer.key[0]);
		seen[len + 1] = peer.is_connected ? '+' : '-';
	}
	CHECK(strcmp(seen, "3+4+2-") == 0 || strcmp(seen, "4+3+2-") == 0);
	rig_fini(&rig);
}

static void test_last_seen_follows_a_clock_that_was_set(void)
{
	struct mesh_peer_info peer = {0};

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	/* Nothing happened since: the clock is set later than the last event. */
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 60, rig.net.now_ns + 60 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK_EQ(peer.last_seen_s, RIG_WALL_S + 60);
	rig_fini(&rig);
}

static void test_skew_of_a_peer_follows_a_clock_that_was_set(void)
{
	struct mesh_peer_info peer = {0};

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK_EQ(peer.skew_s, 0);
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 3600 + 10, rig.net.now_ns + 10 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK(peer.skew_s <= -3599 && peer.skew_s >= -3601);
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 20, rig.net.now_ns + 20 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK(peer.skew_s <= 1 && peer.skew_s >= -1);
	rig_fini(&rig);
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
	RUN(test_peer_without_a_key_or_with_the_own_key_is_closed_with_a_reason);
	RUN(test_sessions_beyond_the_cap_are_refused);
	RUN(test_ping_measures_the_round_trip);
	RUN(test_ping_ends_without_an_answer);
	RUN(test_goodbye_is_sent_and_honoured);
	RUN(test_peer_that_comes_back_by_itself_is_dialled_again);
	RUN(test_goodbye_to_a_deaf_peer_ends_by_closing);
	RUN(test_endless_not_before_is_cut_to_an_hour);
	RUN(test_session_id_is_the_same_on_both_sides);
	RUN(test_retired_session_that_its_dialler_leaves_alone_is_closed);
	RUN(test_connected_peers_are_listed_first);
	RUN(test_skew_of_a_peer_follows_a_clock_that_was_set);
	RUN(test_last_seen_follows_a_clock_that_was_set);
	return check_done();
}
