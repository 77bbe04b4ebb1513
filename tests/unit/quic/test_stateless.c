/* SPDX-License-Identifier: Apache-2.0 */
#include "stateless_rig.h"

/* What a node put on the wire last, and how much in all. */
struct capture {
	unsigned cnt;
	size_t len;
	uint8_t data[2048];
	struct addr to;
};

static bool capture_and_drop(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct capture *capture = net->tap_arg;

	capture->cnt++;
	capture->len = dgram->len;
	capture->to = dgram->to;
	memcpy(capture->data, dgram->data, dgram->len < 2048 ? dgram->len : 2048);
	return false;
}

static void test_unknown_version_is_negotiated_only_from_1200_bytes(void)
{
	static const struct {
		size_t len;
		bool is_answered;
	} rows[] = {{1199, false}, {1200, true}, {40, false}, {1452, true}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr from = source(i);
		struct capture out = {0};
		struct quic_stats stats;
		struct quic_pair p;
		uint8_t data[1452];

		quic_pair_init(&p, 20 + i, NULL);
		p.net.tap = capture_and_drop;
		p.net.tap_arg = &out;
		quic_net_inject(p.b, &from, data, long_header(data, 0xdeadbeef, rows[i].len));
		CHECK_EQ(out.cnt, rows[i].is_answered);
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.version_sent_cnt, rows[i].is_answered);
		CHECK_EQ(stats.garbage_cnt, !rows[i].is_answered);
		if (out.cnt) {
			CHECK(out.len < rows[i].len && addr_equal(&out.to, &from));
			CHECK_MEM(out.data + 1, "\0\0\0\0", 4);
			/* The client's ids, changed over, then version 1. */
			CHECK_MEM(out.data + 5, "\x04\x09\x09\x09\x09\x08\x01\x02", 8);
			CHECK_MEM(out.data + 19, "\0\0\0\1", 4);
		}
		quic_pair_fini(&p);
	}
}

/* Version 2 of QUIC is known to the library and not spoken by us. */
static void test_empty_datagram_is_garbage(void)
{
	const struct addr from = source(0);
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 60, NULL);
	quic_net_inject(p.b, &from, "", 0);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.garbage_cnt, 1);
	quic_pair_fini(&p);
}

static void test_quic_v2_is_an_unknown_version(void)
{
	struct addr from = source(1);
	struct capture out = {0};
	struct quic_pair p;
	uint8_t data[1200];

	quic_pair_init(&p, 25, NULL);
	p.net.tap = capture_and_drop;
	p.net.tap_arg = &out;
	quic_net_inject(p.b, &from, data, long_header(data, NGTCP2_PROTO_VER_V2, 1200));
	CHECK_EQ(out.cnt, 1);
	CHECK_MEM(out.data + 1, "\0\0\0\0", 4);
	quic_pair_fini(&p);
}

static void test_small_initial_makes_nothing(void)
{
	struct addr from = source(1);
	struct capture out = {0};
	struct quic_stats stats;
	struct quic_pair p;
	uint8_t data[1200];

	quic_pair_init(&p, 26, NULL);
	p.net.tap = capture_and_drop;
	p.net.tap_arg = &out;
	quic_net_inject(p.b, &from, data, long_header(data, NGTCP2_PROTO_VER_V1, 1199));
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.garbage_cnt, 1);
	CHECK_EQ(stats.accepted_cnt, 0);
	CHECK_EQ(out.cnt, 0);
	/* At full size it is tried, does not decrypt, and is forgotten at once. */
	quic_net_inject(p.b, &from, data, long_header(data, NGTCP2_PROTO_VER_V1, 1200));
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.conn_cnt, 0);
	CHECK_EQ(stats.handshake_cnt, 0);
	CHECK_EQ(p.b->engine->conns.used_cnt, 0);
	CHECK_EQ(out.cnt, 0);
	quic_pair_fini(&p);
}

/* RFC 9000 7.2: at least 8 bytes, invented by the client or ours from a Retry; a token changes nothing. */
static void test_initial_to_a_short_id_makes_nothing(void)
{
	static const struct {
		uint8_t id_len;
		bool is_garbage;
	} rows[] = {{0, true}, {1, true}, {7, true}, {8, false}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const uint8_t rest[] = {4, 9, 9, 9, 9, 3, 't', 'o', 'k', 0x44, 0x4c};
		struct capture out = {0};
		struct quic_stats stats;
		struct quic_pair p;
		uint8_t data[1200];

		quic_pair_init(&p, 40 + i, NULL);
		p.net.tap = capture_and_drop;
		p.net.tap_arg = &out;
		for (unsigned k = 0; k < 2; k++) {
			struct addr from = source(k);

			(void)long_header(data, NGTCP2_PROTO_VER_V1, sizeof(data));
			data[5] = rows[i].id_len;
			memcpy(data + 6 + rows[i].id_len, rest, sizeof(rest));
			quic_net_inject(p.b, &from, data, sizeof(data));
		}
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.garbage_cnt, rows[i].is_garbage ? 2 : 0);
		quic_pair_fini(&p);
	}
}

static void test_forged_id_gets_a_smaller_reset_and_no_table_look_up(void)
{
	static const struct {
		size_t len;
		size_t want_len; /* 0: silence */
	} rows[] = {{17, 0}, {21, 0}, {22, 21}, {40, 39}, {43, 42}, {1200, 42}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr from = source(1);
		struct capture out = {0};
		struct quic_stats stats;
		struct quic_pair p;
		uint8_t data[1200], token[16];

		quic_pair_init(&p, 30 + i, NULL);
		p.net.tap = capture_and_drop;
		p.net.tap_arg = &out;
		memset(data, 0x61, sizeof(data));
		data[1] = 0x80; /* worker 0 */
		quic_net_inject(p.b, &from, data, rows[i].len);
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.bad_tag_cnt, rows[i].len >= WEFT_QUIC_SHORT_LEN_MIN);
		CHECK_EQ(stats.garbage_cnt, rows[i].len < WEFT_QUIC_SHORT_LEN_MIN);
		CHECK_EQ(out.cnt, rows[i].want_len > 0);
		if (out.cnt) {
			CHECK_EQ(out.len, rows[i].want_len);
			CHECK_EQ(out.data[0] & 0xc0, 0x40);
			quic_reset_token(p.b->engine, data + 1, token);
			CHECK_MEM(out.data + out.len - 16, token, 16);
		}
		quic_pair_fini(&p);
	}
}

/*
 * RFC 9000 21.11: an observer of an id must not get its token from a worker that does not know it.
 */
static void test_id_of_another_worker_gets_no_reset(void)
{
	struct addr from = source(1);
	struct capture out = {0};
	struct quic_pair p;
	uint8_t data[100];

	quic_pair_init(&p, 39, NULL);
	p.net.tap = capture_and_drop;
	p.net.tap_arg = &out;
	memset(data, 0x61, sizeof(data));
	data[1] = 0x81;
	quic_net_inject(p.b, &from, data, sizeof(data));
	CHECK_EQ(out.cnt, 0);
	quic_pair_fini(&p);
}

/* No prefix has a limit of its own, for a forger would use it up: all have one together. */
static void test_resets_are_limited_for_all_together(void)
{
	struct capture out = {0};
	struct quic_stats stats;
	struct quic_pair p;
	uint8_t data[100];

	quic_pair_init(&p, 40, NULL);
	p.net.tap = capture_and_drop;
	p.net.tap_arg = &out;
	memset(data, 0x61, sizeof(data));
	data[1] = 0x80; /* worker 0 */
	for (unsigned i = 0; i < 2000; i++) {
		struct addr from = source(i);

		quic_net_inject(p.b, &from, data, sizeof(data));
	}
	printf("# %u of 2000 at once\n", out.cnt);
	CHECK(out.cnt >= 125 && out.cnt <= 250);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.answer_limit_cnt, 2000 - out.cnt);
	quic_pair_fini(&p);
}

/* b restarts with its key and no memory; a learns it from the reset. */
static void test_restarted_peer_resets_the_connection(void)
{
	struct quic_test_conn *conn;
	struct quic_node *again;
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 41, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	again = quic_net_add(&p.net, 2, NULL);
	again->inner = again->outer = p.b->outer;
	p.b->outer.port = 1;
	CHECK(quic_net_send(conn, 1000));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_ECLOSED);
	CHECK(conn->close.by_peer);
	quic_node_stats(again, &stats);
	CHECK(stats.reset_sent_cnt >= 1);
	/* and is forgotten at once: nothing is left to say. */
	CHECK_EQ(p.a->engine->conns.used_cnt, 0);
	CHECK_EQ(p.a->engine->cids.reset_tokens.used_cnt, 0);
	quic_pair_fini(&p);
}

static void test_new_connections_follow_what_was_configured_later(void)
{
	struct quic_test_conn *conn;
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	quic_net_config(&config);
	quic_pair_init(&p, 42, &config);
	config.retry_above_cnt = 0;
	quic_engine_configure(p.b->engine, &config);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.retry_sent_cnt, 1);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_unknown_version_is_negotiated_only_from_1200_bytes);
	RUN(test_empty_datagram_is_garbage);
	RUN(test_quic_v2_is_an_unknown_version);
	RUN(test_small_initial_makes_nothing);
	RUN(test_initial_to_a_short_id_makes_nothing);
	RUN(test_forged_id_gets_a_smaller_reset_and_no_table_look_up);
	RUN(test_id_of_another_worker_gets_no_reset);
	RUN(test_resets_are_limited_for_all_together);
	RUN(test_restarted_peer_resets_the_connection);
	RUN(test_new_connections_follow_what_was_configured_later);
	return check_done();
}
