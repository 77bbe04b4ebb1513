/* SPDX-License-Identifier: Apache-2.0 */
/* A fabric asks a raw peer, which answers what no fabric would. */
#include "mesh/stream/mesh_frame.h"
#include "service/call_head.h"
#include "service/directory/service_id.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"
#include "support/service_rig.h"

static struct srig rig;
static struct pair_raw raw;
static struct node_key *raw_key;
static uint8_t bytes[SERVICE_PAYLOAD_LEN_MAX + 4096];

static void connected(void *arg, int err, const uint8_t *actual_key)
{
	(void)actual_key;
	*(int *)arg = err;
}

static bool bench_init(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {98};
	struct addr addr = pair_addr(2);
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1};
	uint8_t hello[256];
	int err = 1;

	memset(&raw, 0, sizeof(raw));
	srig_init(&rig, 1, NULL);
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	if (node_key_from_seed(seed, &raw_key) < 0)
		return false;
	memcpy(raw.end->key, node_key_public(raw_key), MESH_KEY_LEN);
	memcpy(peer.key, raw.end->key, sizeof(peer.key));
	if (mesh_connect(rig.nodes[SRIG_A].mesh,
			 &(struct mesh_connect){.peer = &peer,
						.timeout_ns = 5 * PAIR_S,
						.done = connected,
						.arg = &err},
			 rig.net.now_ns) < 0)
		return false;
	srig_run(&rig, PAIR_S);
	if (err || !raw.stream_cnt)
		return false;
	pair_raw_send(&raw, 0, hello, rig_hello(hello, sizeof(hello), rig.wall_ms / 1000), false);
	srig_run(&rig, 100 * PAIR_MS);
	return true;
}

static void bench_fini(void)
{
	srig_fini(&rig);
	node_key_free(raw_key);
}

/* The call that came last, as its frame and head. */
static bool last_call(struct mesh_frame *out_frame, struct service_call_head *out_head)
{
	const struct pair_raw_stream *at = &raw.streams[raw.stream_cnt - 1];
	int head_len = mesh_frame_parse(at->bytes, at->len, out_frame);

	return head_len > 0 && service_call_head_parse(at->bytes + head_len,
						       at->len - (size_t)head_len, out_head) > 0;
}

static bool ask(struct srig_ask *asked, struct mesh_frame *out_frame,
		struct service_call_head *out_head)
{
	struct service_target target = {.name = "echo", .provider = raw.end->key, .method = "Do"};

	if (srig_call_with(&rig, asked, SRIG_A, &target, "x", 1, NULL, 2 * PAIR_S) < 0)
		return false;
	srig_run(&rig, 100 * PAIR_MS);
	return last_call(out_frame, out_head) && out_frame->type == MESH_CALL;
}

/* Says a frame of type on the last stream, as an answer to frame. */
static void say(const struct mesh_frame *frame, unsigned type, const void *payload, size_t len,
		bool fin)
{
	pair_raw_send(&raw, raw.stream_cnt - 1, bytes,
		      rig_frame(bytes, sizeof(bytes), type, frame->req_id, MESH_FLAG_RESPONSE,
				payload, len),
		      fin);
	srig_run(&rig, 100 * PAIR_MS);
}

static size_t write_reply(uint8_t *out, const struct service_reply_head *head, size_t body_len)
{
	struct writer w = writer_of(out, SERVICE_REPLY_HEAD_LEN_MAX);

	service_reply_head_write(&w, head);
	memset(w.pos, 'b', body_len);
	return writer_len(&w) + body_len;
}

enum fault {
	FAULT_NONE,
	FAULT_GARBAGE,
	FAULT_EMPTY,
	FAULT_CORRELATION,
	FAULT_BODY_SHORT,
	FAULT_BODY_LONG,
	FAULT_OTHER_FRAME,
	FAULT_NO_ANSWER,
	FAULT_TWO_ANSWERS,
	FAULT_CNT,
};

static void answer(const struct mesh_frame *frame, const struct service_call_head *call,
		   enum fault fault)
{
	struct service_reply_head head = {.status = SERVICE_OK, .body_len = 10};
	uint8_t payload[SERVICE_REPLY_HEAD_LEN_MAX + 64] = {0};
	size_t len;

	memcpy(head.correlation, call->correlation, sizeof(head.correlation));
	head.correlation[0] ^= fault == FAULT_CORRELATION;
	len = write_reply(payload, &head, 10);
	if (fault == FAULT_BODY_SHORT)
		len--;
	if (fault == FAULT_BODY_LONG)
		len++;
	if (fault == FAULT_GARBAGE)
		memset(payload, 0xff, 20);
	if (fault == FAULT_NO_ANSWER)
		raw.end->transport.ops->finish(raw.streams[raw.stream_cnt - 1].stream);
	else
		say(frame, fault == FAULT_OTHER_FRAME ? MESH_STREAM_DATA : MESH_REPLY, payload,
		    fault == FAULT_EMPTY ? 0 : len, fault != FAULT_TWO_ANSWERS);
	if (fault == FAULT_TWO_ANSWERS)
		say(frame, MESH_REPLY, payload, len, true);
	srig_run(&rig, 100 * PAIR_MS);
}

static void test_answers_that_break_the_rules_are_none(void)
{
	for (unsigned fault = 0; fault < FAULT_CNT; fault++) {
		struct service_call_head call;
		struct mesh_frame frame;
		struct srig_ask asked;
		bool is_good = fault == FAULT_NONE || fault == FAULT_TWO_ANSWERS;

		CHECK(bench_init());
		CHECK(ask(&asked, &frame, &call));
		answer(&frame, &call, (enum fault)fault);
		CHECK_EQ(asked.cnt, 1);
		CHECK_EQ(asked.answer.status, is_good ? SERVICE_OK : SERVICE_UNAVAILABLE);
		CHECK_EQ(asked.answer.len, is_good ? 10 : 0);
		CHECK_EQ(rig.nodes[SRIG_A].violation_cnt,
			 is_good || fault == FAULT_NO_ANSWER ? 0 : 1);
		srig_run(&rig, 20 * PAIR_S);
		CHECK_EQ(asked.cnt, 1);
		srig_ask_fini(&asked);
		bench_fini();
	}
}

static void test_a_text_that_moves_the_cursor_and_a_far_time_are_tamed(void)
{
	struct service_reply_head head = {
		.status = SERVICE_RATE_LIMITED, .text = "wait\x1b[2J", .not_before_ms = UINT64_MAX};
	uint8_t payload[SERVICE_REPLY_HEAD_LEN_MAX];
	struct service_call_head call;
	struct mesh_frame frame;
	struct srig_ask asked;

	CHECK(bench_init());
	CHECK(ask(&asked, &frame, &call));
	memcpy(head.correlation, call.correlation, sizeof(head.correlation));
	say(&frame, MESH_REPLY, payload, write_reply(payload, &head, 0), true);
	CHECK_EQ(asked.answer.status, SERVICE_RATE_LIMITED);
	CHECK_STR(asked.text, "wait?[2J");
	CHECK(asked.answer.not_before_ns <= rig.net.now_ns + 3600 * PAIR_S);
	srig_ask_fini(&asked);
	bench_fini();
}

static void test_a_silent_provider_is_given_up_at_the_deadline(void)
{
	struct service_call_head call;
	struct mesh_frame frame;
	struct srig_ask asked;

	CHECK(bench_init());
	CHECK(ask(&asked, &frame, &call));
	CHECK(call.left_ms > 1000 && call.left_ms <= 2000);
	srig_run(&rig, 3 * PAIR_S);
	CHECK_EQ(asked.answer.status, SERVICE_TIMEOUT);
	CHECK(raw.streams[raw.stream_cnt - 1].is_reset ||
	      raw.streams[raw.stream_cnt - 1].is_closed);
	srig_ask_fini(&asked);
	bench_fini();
}

/* A stream that raw takes; it then says one frame of type with flags and payload. */
static bool take_and_say(struct srig_stream *stream, unsigned type, unsigned flags,
			 const void *payload, size_t len)
{
	struct service_target target = {.name = "echo", .provider = raw.end->key, .method = "Do"};
	struct service_reply_head head = {.status = SERVICE_OK};
	uint8_t reply[SERVICE_REPLY_HEAD_LEN_MAX];
	struct service_call_head call;
	struct mesh_frame frame;

	if (service_channel_open(rig.nodes[SRIG_A].service,
				 &(struct service_request){.target = target,
							   .events = &srig_stream_events,
							   .arg = stream},
				 rig.net.now_ns, &stream->channel) < 0)
		return false;
	srig_run(&rig, 100 * PAIR_MS);
	if (!last_call(&frame, &call) || frame.type != MESH_STREAM_OPEN)
		return false;
	memcpy(head.correlation, call.correlation, sizeof(head.correlation));
	say(&frame, MESH_REPLY, reply, write_reply(reply, &head, 0), false);
	pair_raw_send(&raw, raw.stream_cnt - 1, bytes,
		      rig_frame(bytes, sizeof(bytes), type, frame.req_id,
				MESH_FLAG_RESPONSE | flags, payload, len),
		      false);
	srig_run(&rig, 100 * PAIR_MS);
	return stream->opened_cnt == 1;
}

static void test_frames_that_have_no_place_in_a_stream_end_it(void)
{
	static uint8_t piece[SERVICE_PIECE_LEN_MAX + 1];
	static const struct {
		unsigned type, flags;
		size_t len;
		bool is_good;
	} rows[] = {
		{MESH_STREAM_DATA, 0, 5, true},
		{MESH_STREAM_DATA, MESH_STREAM_FLAG_MORE, 5, true},
		{MESH_STREAM_DATA, MESH_STREAM_FLAG_TEXT, SERVICE_PIECE_LEN_MAX, true},
		{MESH_STREAM_DATA, 0, SERVICE_PIECE_LEN_MAX + 1, false},
		{MESH_STREAM_CLOSE, 0, 0, false},
		{MESH_STREAM_CLOSE, 0, 20, false},
		{MESH_STREAM_CLOSE, 0, SERVICE_CLOSE_LEN_MAX + 1, false},
		{MESH_REPLY, 0, 30, false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct srig_stream stream = {.len = 0};

		CHECK(bench_init());
		CHECK(take_and_say(&stream, rows[i].type, rows[i].flags, piece, rows[i].len));
		CHECK_EQ(stream.ended_cnt, rows[i].is_good ? 0 : 1);
		CHECK_EQ(rig.nodes[SRIG_A].violation_cnt, rows[i].is_good ? 0 : 1);
		if (rows[i].is_good)
			CHECK_EQ(stream.len, rows[i].len);
		else
			CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
		srig_run(&rig, 40 * PAIR_S);
		CHECK(stream.ended_cnt <= 1);
		bench_fini();
	}
}

static void test_a_message_that_changes_its_kind_or_is_cut_ends_the_stream(void)
{
	for (unsigned row = 0; row < 2; row++) {
		struct srig_stream stream = {.len = 0};
		struct service_call_head call;
		struct mesh_frame frame;

		CHECK(bench_init());
		CHECK(take_and_say(&stream, MESH_STREAM_DATA, MESH_STREAM_FLAG_MORE, "abc", 3));
		CHECK(last_call(&frame, &call));
		if (row)
			raw.end->transport.ops->finish(raw.streams[raw.stream_cnt - 1].stream);
		else
			pair_raw_send(&raw, raw.stream_cnt - 1, bytes,
				      rig_frame(bytes, sizeof(bytes), MESH_STREAM_DATA,
						frame.req_id,
						MESH_FLAG_RESPONSE | MESH_STREAM_FLAG_TEXT, "d", 1),
				      false);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
		CHECK_EQ(stream.len, 3);
		bench_fini();
	}
}

int main(void)
{
	RUN(test_answers_that_break_the_rules_are_none);
	RUN(test_a_text_that_moves_the_cursor_and_a_far_time_are_tamed);
	RUN(test_a_silent_provider_is_given_up_at_the_deadline);
	RUN(test_frames_that_have_no_place_in_a_stream_end_it);
	RUN(test_a_message_that_changes_its_kind_or_is_cut_ends_the_stream);
	return check_done();
}
