/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may send on a stream of frames, said by a speaker without a mesh. */
#include "support/check.h"

#include "mesh/stream/mesh_frame.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"
#include "support/stream_user.h"

static struct rig rig;
static struct pair_raw raw;
static struct stream_host host;
static struct stream_user user;
static struct mesh_stream_seam seam;
static uint8_t bytes[PAIR_RAW_CAP];

static void bench_init(void)
{
	rig_init(&rig, 1);
	memset(&raw, 0, sizeof(raw));
	memset(&host, 0, sizeof(host));
	memset(&user, 0, sizeof(user));
	seam = mesh_stream_seam_of(rig.nodes[0].mesh);
	host.ops = seam.ops;
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	check_failed |= seam.ops->accept(seam.mesh, MESH_CALL, stream_host_accept, &host) < 0 ||
			!pair_raw_dial(&raw, pair_addr(1), 1);
	pair_raw_send(&raw, pair_raw_open(&raw), bytes, rig_hello(bytes, sizeof(bytes), RIG_WALL_S),
		      false);
	pair_net_run(&rig.net, PAIR_S);
}

static struct mesh_stats stats_now(void)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[0].mesh, &stats);
	return stats;
}

static unsigned say(const void *data, size_t len, bool fin)
{
	unsigned stream = pair_raw_open(&raw);

	pair_raw_send(&raw, stream, data, len, fin);
	pair_net_run(&rig.net, PAIR_S);
	return stream;
}

static size_t frame_write(size_t at, unsigned type, uint32_t req_id, unsigned flags,
			  const char *payload)
{
	return at + rig_frame(bytes + at, sizeof(bytes) - at, type, req_id, flags, payload,
			      strlen(payload));
}

static void test_input_cut_at_each_byte(void)
{
	size_t first_len, head_len, len;

	bench_init();
	first_len = frame_write(0, MESH_CALL, 5, 0, "hello");
	len = frame_write(first_len, MESH_STREAM_DATA, 5, 12, "world");
	head_len = first_len - 5;
	rig_fini(&rig);
	for (size_t cut = 1; cut <= len; cut++) {
		unsigned stream;

		bench_init();
		first_len = frame_write(0, MESH_CALL, 5, 0, "hello");
		frame_write(first_len, MESH_STREAM_DATA, 5, 12, "world");
		rig.net.cut_len = cut % 3;
		stream = say(bytes, cut, true);
		CHECK_EQ(host.cnt, cut >= head_len);
		if (cut < head_len) {
			/* It never became a stream: an error says so. */
			CHECK(raw.streams[stream].len && raw.streams[stream].has_fin);
		} else if (cut == first_len || cut == len) {
			CHECK_EQ(host.users[0].ended_cnt, 0);
			CHECK_STR(host.users[0].log, cut == len
							     ? "f300:5 d:hello f303:5 d:world fin"
							     : "f300:5 d:hello fin");
			host.ops->finish(host.users[0].stream);
			pair_net_run(&rig.net, PAIR_S);
			CHECK_EQ(host.users[0].end.err, 0);
		} else {
			CHECK_EQ(host.users[0].ended_cnt, 1);
			CHECK_EQ(host.users[0].end.err, WEFT_EMALFORMED);
			CHECK(raw.streams[stream].is_reset);
		}
		CHECK_EQ(stats_now().stream_cnt, 0);
		CHECK_EQ(stats_now().incoming_cnt, 0);
		rig_fini(&rig);
	}
}

static void test_frames_that_an_opener_may_not_send(void)
{
	static const struct {
		const char *why;
		unsigned type, req_id, flags;
		size_t len;
		int err;
	} rows[] = {
		{"another req_id", MESH_STREAM_DATA, 6, 0, 3, WEFT_EMALFORMED},
		{"flag of an answer", MESH_STREAM_DATA, 5, 1, 3, WEFT_EMALFORMED},
		{"flag of an error", MESH_ERROR, 5, 2, 3, WEFT_EMALFORMED},
		{"an error answer", MESH_ERROR, 5, 3, 3, WEFT_EMALFORMED},
		{"an answer", MESH_REPLY, 5, 0, 3, WEFT_EMALFORMED},
		{"unknown type", 65000, 5, 0, 3, WEFT_EMALFORMED},
		{"session message", MESH_HELLO, 5, 0, 3, WEFT_EMALFORMED},
		{"beyond its class", MESH_STREAM_CLOSE, 5, 0, 1201, WEFT_ETOOLARGE},
	};
	static const uint8_t zeros[1300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len;
		unsigned stream;

		bench_init();
		len = frame_write(0, MESH_CALL, 5, 0, "hello");
		len += rig_frame(bytes + len, sizeof(bytes) - len, rows[i].type, rows[i].req_id,
				 rows[i].flags, zeros, rows[i].len);
		stream = say(bytes, len, false);
		if (host.users[0].end.err != rows[i].err)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(host.users[0].end.err, rows[i].err);
		CHECK_EQ(host.users[0].ended_cnt, 1);
		CHECK(raw.streams[stream].is_reset);
		CHECK_EQ(stats_now().malformed_cnt, 1);
		CHECK_EQ(stats_now().stream_cnt, 0);
		CHECK(raw.conn);
		rig_fini(&rig);
	}
}

static void test_first_frames_that_are_refused(void)
{
	static const struct {
		const char *why;
		unsigned type, flags, code;
		uint32_t len;
	} rows[] = {
		{"flags", MESH_CALL, 4, MESH_CODE_MALFORMED, 5},
		{"no acceptor", MESH_STREAM_OPEN, 0, MESH_CODE_UNKNOWN, 5},
		{"beyond its class", MESH_CALL, 0, MESH_CODE_TOO_LARGE, 1048576 + 1025},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_frame frame = {rows[i].type, 5, rows[i].flags, rows[i].len};
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct mesh_error error;
		unsigned stream;
		int head_len;

		bench_init();
		mesh_frame_write(&w, &frame);
		stream = say(bytes, writer_len(&w), false);
		head_len = mesh_frame_parse(raw.streams[stream].bytes, raw.streams[stream].len,
					    &frame);
		CHECK(head_len > 0);
		CHECK_EQ(frame.flags, MESH_FLAG_RESPONSE | MESH_FLAG_ERROR);
		CHECK_EQ(mesh_error_parse(raw.streams[stream].bytes + head_len, frame.payload_len,
					  &error),
			 0);
		if (error.code != rows[i].code)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(error.code, rows[i].code);
		CHECK_EQ(host.cnt, 0);
		rig_fini(&rig);
	}
}

/* Opens a stream to the raw speaker and gives its side of it. */
static unsigned open_to_raw(void)
{
	check_failed |= stream_user_open(&user, seam, 9, NULL, rig.net.now_ns) < 0 ||
			stream_user_say(&user, MESH_CALL, "q", NULL) < 0;
	pair_net_run(&rig.net, PAIR_S);
	return raw.stream_cnt - 1;
}

static void test_frames_that_a_taker_may_not_send(void)
{
	static const struct {
		const char *why;
		unsigned type;
		int req_id; /* beyond the stream's own */
		unsigned flags;
		size_t len;
		int err;
	} rows[] = {
		{"not an answer", MESH_REPLY, 0, 0, 3, WEFT_EMALFORMED},
		{"another req_id", MESH_REPLY, 1, 1, 3, WEFT_EMALFORMED},
		{"a request", MESH_CALL, 0, 1, 3, WEFT_EMALFORMED},
		{"error flags, other type", MESH_REPLY, 0, 3, 3, WEFT_EMALFORMED},
		{"error without its flag", MESH_STREAM_DATA, 0, 2, 3, WEFT_EMALFORMED},
		{"error with another req_id", MESH_ERROR, 1, 3, 3, WEFT_EMALFORMED},
		{"error that is none", MESH_ERROR, 0, 3, 3, WEFT_EMALFORMED},
		{"error too large", MESH_ERROR, 0, 3, 257, WEFT_ETOOLARGE},
		{"beyond its class", MESH_STREAM_CLOSE, 0, 1, 1201, WEFT_ETOOLARGE},
	};
	static const uint8_t zeros[1300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_frame frame;
		unsigned stream;
		size_t len;

		bench_init();
		stream = open_to_raw();
		CHECK(mesh_frame_parse(raw.streams[stream].bytes, raw.streams[stream].len, &frame) >
		      0);
		len = rig_frame(bytes, sizeof(bytes), rows[i].type,
				frame.req_id + (uint32_t)rows[i].req_id, rows[i].flags, zeros,
				rows[i].len);
		pair_raw_send(&raw, stream, bytes, len, false);
		pair_net_run(&rig.net, PAIR_S);
		if (user.end.err != rows[i].err)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(user.end.err, rows[i].err);
		CHECK_EQ(user.ended_cnt, 1);
		CHECK_EQ(stats_now().stream_cnt, 0);
		CHECK(raw.conn);
		rig_fini(&rig);
	}
}

static void test_frame_that_stops_is_given_up(void)
{
	/* In the middle of a head, and of a payload. */
	for (size_t cut = 1; cut < 8; cut += 6) {
		size_t first_len, len;
		unsigned stream;

		bench_init();
		first_len = frame_write(0, MESH_CALL, 5, 0, "hello");
		len = frame_write(first_len, MESH_STREAM_DATA, 5, 0, "world");
		stream = say(bytes, len - cut * 2, false);
		/* One byte more, late, is progress. */
		pair_net_run(&rig.net, 20 * PAIR_S);
		pair_raw_send(&raw, stream, bytes + len - cut * 2, 1, false);
		pair_net_run(&rig.net, 29 * PAIR_S);
		CHECK_EQ(host.users[0].ended_cnt, 0);
		pair_net_run(&rig.net, 2 * PAIR_S);
		CHECK_EQ(host.users[0].ended_cnt, 1);
		CHECK_EQ(host.users[0].end.err, WEFT_ETIMEOUT);
		CHECK(raw.streams[stream].is_reset);
		CHECK_EQ(stats_now().timeout_cnt, 1);
		CHECK_EQ(stats_now().stream_cnt, 0);
		rig_fini(&rig);
	}
}

static void test_reader_that_waits_is_no_stall(void)
{
	size_t len;

	bench_init();
	host.users[0].keeps = true;
	len = frame_write(0, MESH_CALL, 5, 0, "hello");
	say(bytes, len - 1, false);
	pair_net_run(&rig.net, 500 * PAIR_S);
	CHECK_EQ(host.users[0].ended_cnt, 0);
	host.ops->consume(host.users[0].stream, 4);
	pair_net_run(&rig.net, 61 * PAIR_S);
	CHECK_EQ(host.users[0].end.err, WEFT_ETIMEOUT);
	rig_fini(&rig);
}

static void test_silence_between_frames_is_no_stall(void)
{
	bench_init();
	say(bytes, frame_write(0, MESH_CALL, 5, 0, "hello"), false);
	pair_net_run(&rig.net, 1000 * PAIR_S);
	CHECK_EQ(host.users[0].ended_cnt, 0);
	CHECK_EQ(stats_now().stream_cnt, 1);
	rig_fini(&rig);
}

static void test_end_that_is_not_acknowledged_is_given_up(void)
{
	bench_init();
	say(bytes, frame_write(0, MESH_CALL, 5, 0, "hello"), true);
	rig.net.delay_ns = 1000 * PAIR_S;
	host.ops->finish(host.users[0].stream);
	pair_net_run(&rig.net, 59 * PAIR_S);
	CHECK_EQ(host.users[0].ended_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(host.users[0].end.err, WEFT_ETIMEOUT);
	CHECK_EQ(stats_now().stream_cnt, 0);
	rig_fini(&rig);
}

static void test_silent_peer_of_a_stream_is_dialled_again(void)
{
	unsigned dial_cnt;

	bench_init();
	raw.end->is_dead = true;
	dial_cnt = rig.nodes[0].end->dial_cnt;
	CHECK_EQ(stream_user_open(&user, seam, 9, NULL, rig.net.now_ns), 0);
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, dial_cnt); /* nothing was said yet */
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "q", NULL), 0);
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK(rig.nodes[0].end->dial_cnt > dial_cnt);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_input_cut_at_each_byte);
	RUN(test_frames_that_an_opener_may_not_send);
	RUN(test_first_frames_that_are_refused);
	RUN(test_frames_that_a_taker_may_not_send);
	RUN(test_frame_that_stops_is_given_up);
	RUN(test_reader_that_waits_is_no_stall);
	RUN(test_silence_between_frames_is_no_stall);
	RUN(test_end_that_is_not_acknowledged_is_given_up);
	RUN(test_silent_peer_of_a_stream_is_dialled_again);
	return check_done();
}
