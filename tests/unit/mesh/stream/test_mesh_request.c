/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_request_rig.h"

static void test_request_is_answered(void)
{
	struct mesh_stats stats;

	CHECK(pair_default());
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(ask.reply.type, MESH_CHUNK_DATA);
	CHECK_EQ(ask.reply.payload_len, 4);
	CHECK_MEM(ask.reply.payload, "Habc", 4);
	CHECK(ask.reply.payload >= ask.buf && ask.reply.payload < ask.buf + RIG_REPLY_CAP);
	mesh_stats(rig.nodes[1].mesh, &stats);
	CHECK_EQ(stats.incoming_cnt, 0);
	CHECK_EQ(stats.session_cnt, 1);
	CHECK_EQ(stats.hello_cnt, 1);
	mesh_stats(rig.nodes[0].mesh, &stats);
	CHECK_EQ(stats.request_cnt, 0);
	CHECK_EQ(stats.session_cnt, 1);
	CHECK_EQ(stats.hello_cnt, 1);
	CHECK_EQ(rig.nodes[0].up_cnt, 1);
	CHECK_EQ(rig.nodes[1].up_cnt, 1);
	pair_fini();
}

static void test_second_request_needs_no_dial(void)
{
	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 2 * rig.net.delay_ns);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	pair_fini();
}

static void test_either_side_asks_over_one_session(void)
{
	CHECK(pair_default());
	CHECK_EQ(rig.nodes[0].seam.ops->handle(rig.nodes[0].mesh, MESH_GET_CHUNK, rig_echo,
					       &rig.nodes[0]),
		 0);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(rig_ask(&rig, &ask, 1, 0, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(rig.nodes[1].end->dial_cnt, 0);
	pair_fini();
}

static unsigned tail_done_cnt;

static void tail_done(void *arg)
{
	(void)arg;
	tail_done_cnt++;
}

static void test_chunk_arrives_whole_in_any_cut(void)
{
	static const size_t cuts[] = {0, 1, 1200, 65536};
	static uint8_t chunk[262144];
	struct transport_span tail = {chunk, sizeof(chunk), tail_done, NULL};

	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (uint8_t)(i * 31 + i / 251);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		CHECK(pair_default());
		tail_done_cnt = 0;
		tail.len = cuts[i] == 1 ? 3000 : sizeof(chunk);
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		rig.net.cut_len = cuts[i];
		CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "head", 4, &tail),
			 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, 0);
		CHECK_EQ(ask.reply.payload_len, 4 + tail.len);
		CHECK_MEM(ask.reply.payload, "head", 4);
		CHECK_MEM(ask.reply.payload + 4, chunk, tail.len);
		CHECK_EQ(tail_done_cnt, 1);
		CHECK_EQ(rig.nodes[0].end->reset_cnt, 0); /* fin came with the last byte */
		CHECK_EQ(rig.net.span_out_cnt, 0);
		pair_fini();
	}
}

static uint8_t long_payload[MESH_ASK_LEN_MAX];
static size_t long_len;

static void keep_payload(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	(void)now_ns;
	long_len = call->payload_len;
	memcpy(long_payload, call->payload, long_len);
	(void)node->seam.ops->answer(call->incoming, MESH_STORE, "", 0, NULL);
}

static void test_asks_that_make_no_sense_are_refused_at_once(void)
{
	struct addr addr = pair_addr(2);
	static const uint8_t payload[MESH_ASK_LEN_MAX + 1];
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = payload,
				.payload_len = 1200};

	CHECK(pair_default());
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	rig_ask_fini(&ask);
	call.payload_len = 1201;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_ETOOLARGE);
	rig_ask_fini(&ask);
	call.type = MESH_STORE;
	call.payload_len = MESH_ASK_LEN_MAX;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	rig_ask_fini(&ask);
	call.payload_len++;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_ETOOLARGE);
	rig_ask_fini(&ask);
	call.payload_len = 3;
	call.type = MESH_CHUNK_DATA;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	rig_ask_fini(&ask);
	call.type = MESH_PING;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	rig_ask_fini(&ask);
	call.type = 65000;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	rig_ask_fini(&ask);
	call.type = MESH_GET_CHUNK;
	memset(call.peer.key, 1, MESH_KEY_LEN); /* its own */
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	rig_ask_fini(&ask);
	memset(call.peer.key, 9, MESH_KEY_LEN); /* unknown, and no address */
	call.peer.addr_cnt = 0;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	rig_ask_fini(&ask);
	call.peer.addr_cnt = MESH_PEER_ADDRS_MAX + 1;
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), WEFT_EMALFORMED);
	CHECK_EQ(requests_of(0), 2);
	pair_fini();
}

/* Asks node 1, which keeps the request, then lets it say bytes as its answer. */
static void answer_raw(struct pair_raw *raw, const void *bytes, size_t len, bool fin)
{
	pair_raw_send(raw, raw->stream_cnt - 1, bytes, len, fin);
	pair_net_run(&rig.net, PAIR_S);
}

static void test_wrong_answers_are_reported_and_the_session_lives(void)
{
	static const struct {
		const char *why;
		unsigned type, req_id, flags;
		size_t payload_len;
		int err;
	} rows[] = {
		{"right", MESH_CHUNK_DATA, 1, 1, 100, 0},
		{"as long as the buffer", MESH_CHUNK_DATA, 1, 1, 200, 0},
		{"one byte longer", MESH_CHUNK_DATA, 1, 1, 201, WEFT_ETOOLARGE},
		{"another request's number", MESH_CHUNK_DATA, 2, 1, 100, WEFT_EMALFORMED},
		{"no number", MESH_CHUNK_DATA, 0, 1, 100, WEFT_EMALFORMED},
		{"another answer", MESH_MANIFEST_DATA, 1, 1, 100, WEFT_EMALFORMED},
		{"a request", MESH_GET_CHUNK, 1, 0, 100, WEFT_EMALFORMED},
		{"the answer without the flag", MESH_CHUNK_DATA, 1, 0, 100, WEFT_EMALFORMED},
		{"an error without the flag", MESH_ERROR, 1, 2, 100, WEFT_EMALFORMED},
		{"unknown type", 65000, 1, 1, 100, WEFT_EMALFORMED},
		{"error flags, other type", MESH_CHUNK_DATA, 1, 3, 100, WEFT_EMALFORMED},
		{"error of garbage", MESH_ERROR, 1, 3, 100, WEFT_EMALFORMED},
		{"error payload one too long", MESH_ERROR, 1, 3, 257, WEFT_ETOOLARGE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const uint8_t payload[300];
		uint8_t bytes[400];
		struct pair_raw raw;
		size_t len;

		CHECK(raw_asked(&raw, 200));
		len = rig_frame(bytes, sizeof(bytes), rows[i].type, rows[i].req_id, rows[i].flags,
				payload, rows[i].payload_len);
		answer_raw(&raw, bytes, len, true);
		if (ask.reply_cnt != 1 || ask.reply.err != rows[i].err)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, rows[i].err);
		CHECK_EQ(requests_of(0), 0);
		CHECK(raw.conn);
		pair_fini();
	}
}

static void test_error_may_lack_the_number_but_not_have_another(void)
{
	static const int errs[] = {WEFT_EBUSY, WEFT_EBUSY, WEFT_EMALFORMED};

	for (uint32_t req_id = 0; req_id < 3; req_id++) {
		struct pair_raw raw;
		uint8_t bytes[64];

		CHECK(raw_asked(&raw, 200));
		answer_raw(
			&raw, bytes,
			rig_frame(bytes, sizeof(bytes), MESH_ERROR, req_id, 3, "\xa1\x00\x09", 3),
			true);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, errs[req_id]);
		pair_fini();
	}
}

static void test_answer_cut_anywhere_is_malformed(void)
{
	uint8_t bytes[64];
	size_t len = rig_frame(bytes, sizeof(bytes), MESH_CHUNK_DATA, 1, 1, "abcd", 4);

	for (size_t part = 0; part < len; part++) {
		struct pair_raw raw;

		CHECK(raw_asked(&raw, 200));
		answer_raw(&raw, bytes, part, true);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
		CHECK_EQ(requests_of(0), 0);
		pair_fini();
	}
}

static void test_bytes_after_an_answer(void)
{
	uint8_t bytes[64] = {0};
	size_t len = rig_frame(bytes, sizeof(bytes), MESH_CHUNK_DATA, 1, 1, "abcd", 4);
	struct pair_raw raw;

	CHECK(raw_asked(&raw, 200));
	answer_raw(&raw, bytes, len + 1, true);
	CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
	pair_fini();
	/* Once the answer is whole, the stream ends without waiting for fin. */
	CHECK(raw_asked(&raw, 200));
	answer_raw(&raw, bytes, len, false);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK(raw.streams[1].is_reset);
	pair_fini();
}

static void test_error_codes_become_errors(void)
{
	static const struct {
		unsigned code;
		int err;
	} rows[] = {
		{MESH_CODE_INTERNAL, -5},
		{MESH_CODE_MALFORMED, WEFT_EMALFORMED},
		{MESH_CODE_ABSENT, WEFT_EABSENT},
		{MESH_CODE_UNKNOWN, WEFT_EUNKNOWN},
		{MESH_CODE_REFUSED, WEFT_EREFUSED},
		{MESH_CODE_TOO_LARGE, WEFT_ETOOLARGE},
		{MESH_CODE_TIMEOUT, WEFT_ETIMEOUT},
		{MESH_CODE_CHANGED, WEFT_ECHANGED},
		{MESH_CODE_BUSY, WEFT_EBUSY},
		{0, WEFT_EUNKNOWN},
		{4711, WEFT_EUNKNOWN},
	};

	CHECK(pair_default());
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(kept.cnt, i + 1);
		kept.ops->answer_error(kept.incoming[i], rows[i].code, "why", i);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, rows[i].err);
		CHECK_EQ(ask.reply.code, rows[i].code);
		CHECK_EQ(ask.reply.not_before_ns, i ? ask.replied_at_ns + i * PAIR_MS : 0);
		rig_ask_fini(&ask);
	}
	/* No peer has to wait for ever. */
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK_HASHES, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	kept.ops->answer_error(kept.incoming[kept.cnt - 1], MESH_CODE_REFUSED,
			       "a text much longer than the 128 bytes that an error may carry, "
			       "which is cut and not refused, since it is for people to read and "
			       "not for programs to judge",
			       UINT64_MAX);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK_EQ(ask.reply.not_before_ns, ask.replied_at_ns + 3600 * PAIR_S);
	pair_fini();
}

static void test_requests_wait_for_stream_credit(void)
{
	struct rig_ask asks[20];

	CHECK(pair_default());
	rig.net.stream_credit = 3; /* one is the control stream's */
	CHECK(rig_connected(&rig, 0, 1));
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(rig_ask(&rig, &asks[i], 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(rig.nodes[0].end->open_cnt, 3);
	/* Some of the queue are taken back: one in front, one behind. */
	rig.nodes[0].seam.ops->cancel(asks[2].request);
	rig.nodes[0].seam.ops->cancel(asks[19].request);
	pair_net_run(&rig.net, 10 * PAIR_S);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(asks[i].reply_cnt, i != 2 && i != 19);
		CHECK_EQ(asks[i].reply.err, 0);
		rig_ask_fini(&asks[i]);
	}
	CHECK_EQ(requests_of(0), 0);
	rig_fini(&rig);
}

static void test_caps_follow_what_was_configured_later(void)
{
	struct mesh_config config;
	struct rig_ask asks[2];

	mesh_config_defaults(&config);
	CHECK(pair_init(&config));
	config.request_per_session_cap = 1;
	mesh_configure(rig.nodes[0].mesh, &config);
	CHECK_EQ(rig_ask(&rig, &asks[0], 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(rig_ask(&rig, &asks[1], 0, 1, MESH_GET_CHUNK, "abc", 3), WEFT_EFULL);
	pair_net_run(&rig.net, 10 * PAIR_S);
	for (unsigned i = 0; i < 2; i++)
		rig_ask_fini(&asks[i]);
	rig_fini(&rig);
}

static void test_too_many_requests_are_refused(void)
{
	struct mesh_config config;
	struct rig_ask asks[6];

	mesh_config_defaults(&config);
	config.request_per_session_cap = 3;
	config.request_cap = 5;
	/* While dialling, and again with a session. */
	CHECK(pair_init(&config));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(rig_ask(&rig, &asks[i], 0, 1, MESH_GET_CHUNK, "abc", 3),
				 i < 3 ? 0 : WEFT_EFULL);
		/* Two more peers; the second of them is one too many in all. */
		CHECK_EQ(rig_ask(&rig, &asks[4], 0, 2, MESH_GET_CHUNK, "abc", 3), 0);
		CHECK_EQ(rig_ask(&rig, &asks[5], 0, 3, MESH_GET_CHUNK, "abc", 3), 0);
		rig_ask_fini(&ask);
		CHECK_EQ(rig_ask(&rig, &ask, 0, 4, MESH_GET_CHUNK, "abc", 3), WEFT_EFULL);
		pair_net_run(&rig.net, 10 * PAIR_S);
		for (unsigned i = 0; i < 6; i++) {
			CHECK_EQ(asks[i].reply_cnt, i != 3);
			rig_ask_fini(&asks[i]);
		}
		CHECK_EQ(requests_of(0), 0);
	}
	pair_fini();
}

static void test_full_stream_delays_a_request(void)
{
	CHECK(pair_default());
	CHECK(rig_connected(&rig, 0, 1));
	rig.nodes[0].end->send_full_cnt = 3;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->send_full_cnt, 0);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	pair_fini();
}

/* Longer than one send takes, and the stream is full between two of them. */
static void test_long_request_is_sent_in_pieces(void)
{
	static uint8_t payload[MESH_ASK_LEN_MAX];
	struct addr addr = pair_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = MESH_STORE,
				.payload = payload,
				.payload_len = sizeof(payload)};

	CHECK(pair_default());
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	long_len = 0;
	CHECK_EQ(rig.nodes[1].seam.ops->handle(rig.nodes[1].mesh, MESH_STORE, keep_payload,
					       &rig.nodes[1]),
		 0);
	CHECK(rig_connected(&rig, 0, 1));
	for (unsigned full_cnt = 0; full_cnt < 3; full_cnt++) {
		rig.nodes[0].end->send_full_cnt = full_cnt;
		CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, 0);
		CHECK_EQ(long_len, sizeof(payload));
		CHECK_MEM(long_payload, payload, sizeof(payload));
		rig_ask_fini(&ask);
	}
	pair_fini();
}

int main(void)
{
	RUN(test_request_is_answered);
	RUN(test_second_request_needs_no_dial);
	RUN(test_either_side_asks_over_one_session);
	RUN(test_chunk_arrives_whole_in_any_cut);
	RUN(test_asks_that_make_no_sense_are_refused_at_once);
	RUN(test_wrong_answers_are_reported_and_the_session_lives);
	RUN(test_error_may_lack_the_number_but_not_have_another);
	RUN(test_answer_cut_anywhere_is_malformed);
	RUN(test_bytes_after_an_answer);
	RUN(test_error_codes_become_errors);
	RUN(test_requests_wait_for_stream_credit);
	RUN(test_caps_follow_what_was_configured_later);
	RUN(test_too_many_requests_are_refused);
	RUN(test_full_stream_delays_a_request);
	RUN(test_long_request_is_sent_in_pieces);
	return check_done();
}
