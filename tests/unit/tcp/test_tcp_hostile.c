/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/tcp_net.h"

#include "base/monotonic.h"
#include "tcp/tcp_state.h"

struct duo {
	struct tcp_net net;
	struct tcp_node *a, *b;
	struct tcp_test_conn *conn;
};

static void duo_init(struct duo *duo, const struct tcp_config *config)
{
	tcp_net_init(&duo->net, 1);
	duo->a = tcp_net_add(&duo->net, 1, config);
	duo->b = tcp_net_add(&duo->net, 2, config);
	duo->conn = tcp_net_connect(duo->a, duo->b);
}

static void duo_wait(struct duo *duo, uint64_t for_ns)
{
	(void)tcp_net_run(&duo->net, for_ns, NULL, NULL);
}

static struct tcp_stats stats_of(const struct tcp_node *node)
{
	struct tcp_stats stats;

	tcp_engine_stats(node->engine, &stats);
	return stats;
}

static void test_frames_against_the_rules_end_the_connection(void)
{
	static const struct {
		uint8_t bytes[40];
		size_t len;
		const char *why;
	} rows[] = {
		{"\0\0\1\0\0\0\0\2x", 9, "data on a stream that this side never opened"},
		{"\0\0\1\0\0\0\0\3x", 9, "a stream that is not the next one"},
		{"\0\0\4\2\0\0\0\1\0\0\0\1", 12, "credit for a stream not opened"},
		{"\0\0\x08\1\0\0\0\1\0\0\0\0\0\0\0\1", 16, "a reset of a stream not opened"},
		{"\0\0\1\x80\0\0\0\1x\0\0\1\0\0\0\0\1x", 18, "data behind the end"},
		{"\0\0\1\0\0\0\0\1x\0\0\4\2\0\0\0\1\xff\xff\xff\xff", 21, "credit without end"},
		{"\0\0\0\0\0\0\0\1", 8, "empty data"},
		{"\xff\xff\xff\0\0\0\0\1", 8, "a frame of 16 MiB"},
		{"\0\0\x08\7\0\0\0\0", 8, "an unknown kind"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct duo duo;

		duo_init(&duo, NULL);
		CHECK(duo.conn);
		duo.b->is_consuming = false;
		tcp_net_inject(duo.conn, rows[i].bytes, rows[i].len);
		duo_wait(&duo, NS_PER_S);
		if (!duo.b->conns[0].is_closed)
			printf("# lives on: %s\n", rows[i].why);
		CHECK(duo.b->conns[0].is_closed);
		CHECK_EQ(duo.b->conns[0].close.err, WEFT_EMALFORMED);
		CHECK_EQ(stats_of(duo.b).malformed_cnt, 1);
		CHECK(duo.conn->is_closed);
		CHECK_EQ(duo.conn->close.code, TCP_CODE_MALFORMED);
		tcp_net_fini(&duo.net);
	}
}

static void test_a_byte_beyond_the_credit_ends_the_connection(void)
{
	static uint8_t bytes[TCP_FRAME_RECORD_LEN];
	const size_t frame_len = 16384 - TCP_FRAME_HEAD_LEN;
	size_t left = TCP_FIRST_CREDIT_LEN;
	struct duo duo;

	duo_init(&duo, NULL);
	duo.b->is_consuming = false;
	while (left) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		size_t len = left < frame_len ? left : frame_len;

		tcp_frame_write_head(&w, TCP_FRAME_DATA, 1, len);
		tcp_net_inject(duo.conn, bytes, TCP_FRAME_HEAD_LEN + len);
		duo_wait(&duo, 20 * NS_PER_MS);
		left -= len;
	}
	CHECK_EQ(duo.b->streams[0].received_len, TCP_FIRST_CREDIT_LEN);
	CHECK(!duo.b->conns[0].is_closed);
	tcp_net_inject(duo.conn, "\0\0\1\0\0\0\0\1x", 9);
	duo_wait(&duo, NS_PER_S);
	CHECK(duo.b->conns[0].is_closed);
	CHECK_EQ(stats_of(duo.b).credit_overrun_cnt, 1);
	tcp_net_fini(&duo.net);
}

static void test_one_stream_more_than_allowed_ends_the_connection(void)
{
	uint8_t frame[9];
	struct duo duo;

	duo_init(&duo, NULL);
	duo.b->is_consuming = false;
	for (uint32_t i = 0; i <= TCP_STREAMS_MAX; i++) {
		struct writer w = writer_of(frame, sizeof(frame));

		CHECK(!duo.b->conns[0].is_closed);
		tcp_frame_write_head(&w, TCP_FRAME_DATA, 1 + 2 * i, 1);
		writer_u8(&w, 0);
		tcp_net_inject(duo.conn, frame, sizeof(frame));
		duo_wait(&duo, 20 * NS_PER_MS);
	}
	CHECK(duo.b->conns[0].is_closed);
	CHECK_EQ(duo.b->stream_cnt, TCP_STREAMS_MAX);
	tcp_net_fini(&duo.net);
}

static void test_a_flood_of_pings_costs_one_answer_each_turn(void)
{
	static uint8_t bytes[16 * 1000];
	uint64_t sent_len;
	struct duo duo;

	duo_init(&duo, NULL);
	for (unsigned i = 0; i < 1000; i++)
		memcpy(bytes + 16 * i,
		       "\0\0\x08\4\0\0\0\0"
		       "12345678",
		       16);
	sent_len = stats_of(duo.b).sent_len;
	tcp_net_inject(duo.conn, bytes, sizeof(bytes));
	duo_wait(&duo, NS_PER_S);
	CHECK(!duo.b->conns[0].is_closed);
	CHECK(stats_of(duo.b).sent_len - sent_len < 100);
	tcp_net_fini(&duo.net);
}

static void test_a_frame_of_an_ended_stream_means_nothing(void)
{
	struct duo duo;

	duo_init(&duo, NULL);
	CHECK(tcp_net_transfer(duo.conn, 10, NS_PER_S));
	tcp_net_inject(duo.conn, "\0\0\1\0\0\0\0\1x\0\0\4\2\0\0\0\1\0\0\0\1", 21);
	duo_wait(&duo, NS_PER_S);
	CHECK(!duo.b->conns[0].is_closed);
	CHECK(tcp_net_transfer(duo.conn, 10, NS_PER_S));
	tcp_net_fini(&duo.net);
}

static void test_bytes_that_are_no_tls_end_the_link(void)
{
	struct addr from = {.ip = {10, 0, 0, 9}, .family = ADDR_IPV4};
	struct tcp_link *link;
	struct duo duo;

	duo_init(&duo, NULL);
	link = tcp_raw_connect(duo.b, &from);
	CHECK(link);
	tcp_raw_say(link, "GET / HTTP/1.1\r\n\r\n", 18);
	duo_wait(&duo, 3 * NS_PER_S);
	CHECK(!tcp_raw_is_open(link));
	CHECK_EQ(stats_of(duo.b).refused_tls_cnt, 1);
	CHECK_EQ(stats_of(duo.b).handshake_cnt, 0);
	CHECK(tcp_net_transfer(duo.conn, 10, NS_PER_S));
	tcp_net_fini(&duo.net);
}

static void test_half_open_connections_cost_others_no_place(void)
{
	struct addr from = {.ip = {10, 9, 0, 9}, .family = ADDR_IPV4};
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	for (unsigned i = 0; i < 10000; i++) {
		from.ip[3] = (uint8_t)(i % 16);
		from.port = (uint16_t)i;
		(void)tcp_raw_connect(duo.b, &from);
	}
	CHECK_EQ(stats_of(duo.b).handshake_cnt, 32);
	/* A peer of another network gets in beside them. */
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(conn);
	CHECK(tcp_net_transfer(conn, 1000, NS_PER_S));
	duo_wait(&duo, 6 * NS_PER_S);
	CHECK_EQ(stats_of(duo.b).handshake_cnt, 0);
	tcp_net_fini(&duo.net);
}

static void test_a_byte_now_and_then_keeps_no_handshake(void)
{
	struct addr from = {.ip = {10, 0, 0, 9}, .family = ADDR_IPV4};
	static const uint8_t head[6] = {22, 3, 1, 0, 200, 1};
	struct tcp_link *link;
	struct duo duo;

	duo_init(&duo, NULL);
	link = tcp_raw_connect(duo.b, &from);
	for (unsigned i = 0; i < 6; i++) {
		tcp_raw_say(link, &head[i], 1);
		duo_wait(&duo, 900 * NS_PER_MS);
		CHECK_EQ(tcp_raw_is_open(link), i < 5);
	}
	CHECK_EQ(stats_of(duo.b).handshake_timeout_cnt, 1);
	tcp_net_fini(&duo.net);
}

static void test_a_peer_that_reads_nothing_is_given_up(void)
{
	struct duo duo;

	duo_init(&duo, NULL);
	duo.net.buffer_len = 20000;
	CHECK(tcp_net_open(duo.conn, 500000));
	duo_wait(&duo, 2 * NS_PER_MS);
	/* Its acknowledgements of pings would come, and nothing of it is read. */
	for (unsigned i = 0; i < 40 && !duo.conn->is_closed; i++) {
		duo.net.is_cut = true;
		duo_wait(&duo, NS_PER_S);
		if (duo.conn->conn)
			tcp_conn_of(duo.conn->conn)->heard_ns = duo.net.now_ns;
	}
	CHECK(duo.conn->is_closed);
	CHECK_EQ(stats_of(duo.a).stall_timeout_cnt, 1);
	tcp_net_fini(&duo.net);
}

static void test_a_full_table_makes_room_by_shares(void)
{
	struct tcp_config config;
	struct tcp_node *c;
	struct duo duo;

	tcp_net_config(&config);
	config.conn_cap = 8;
	tcp_net_init(&duo.net, 1);
	duo.a = tcp_net_add(&duo.net, 1, NULL);
	duo.b = tcp_net_add(&duo.net, 2, &config);
	c = tcp_net_add(&duo.net, 3, NULL);
	for (unsigned i = 0; i < 8; i++)
		CHECK(tcp_net_connect(duo.a, duo.b));
	CHECK_EQ(duo.b->open_cnt, 8);
	CHECK(tcp_net_connect(c, duo.b));
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->open_cnt, 8);
	CHECK_EQ(stats_of(duo.b).evicted_unknown_cnt, 1);
	CHECK_EQ(duo.a->open_cnt, 7);
	tcp_net_fini(&duo.net);
}

static void test_one_key_has_so_many_connections(void)
{
	struct tcp_config config;
	struct tcp_test_conn *conn;
	struct duo duo;

	tcp_net_config(&config);
	config.conn_per_key_cap = 2;
	duo_init(&duo, NULL);
	tcp_net_fini(&duo.net);
	tcp_net_init(&duo.net, 1);
	duo.a = tcp_net_add(&duo.net, 1, NULL);
	duo.b = tcp_net_add(&duo.net, 2, &config);
	CHECK(tcp_net_connect(duo.a, duo.b));
	CHECK(tcp_net_connect(duo.a, duo.b));
	conn = tcp_net_connect(duo.a, duo.b);
	duo_wait(&duo, NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.code, TCP_CODE_REFUSED);
	CHECK_EQ(stats_of(duo.b).refused_key_cnt, 1);
	tcp_net_fini(&duo.net);
}

/* Each has records, and the pool has records for so many. */
static void test_only_so_many_linger(void)
{
	struct tcp_config config;
	struct duo duo;

	tcp_net_config(&config);
	config.conn_cap = 8;
	tcp_net_init(&duo.net, 1);
	duo.a = tcp_net_add(&duo.net, 1, NULL);
	duo.b = tcp_net_add(&duo.net, 2, &config);
	for (unsigned i = 0; i < 8; i++)
		CHECK(tcp_net_connect(duo.a, duo.b));
	for (unsigned i = 0; i < 8; i++)
		duo.b->transport->ops->close(duo.b->conns[i].conn, 0, "all at once");
	duo.net.is_cut = true;
	duo_wait(&duo, 10 * NS_PER_MS);
	CHECK_EQ(tcp_config_linger_cap(&config), 6);
	CHECK_EQ(duo.b->engine->lingering_cnt, 6);
	duo.net.is_cut = false;
	duo_wait(&duo, 3 * NS_PER_S);
	CHECK_EQ(duo.b->engine->lingering_cnt, 0);
	CHECK_EQ(duo.a->open_cnt, 0);
	CHECK(tcp_net_transfer(tcp_net_connect(duo.a, duo.b), 1000, NS_PER_S));
	tcp_net_fini(&duo.net);
}

int main(void)
{
	RUN(test_frames_against_the_rules_end_the_connection);
	RUN(test_a_byte_beyond_the_credit_ends_the_connection);
	RUN(test_one_stream_more_than_allowed_ends_the_connection);
	RUN(test_a_flood_of_pings_costs_one_answer_each_turn);
	RUN(test_a_frame_of_an_ended_stream_means_nothing);
	RUN(test_bytes_that_are_no_tls_end_the_link);
	RUN(test_half_open_connections_cost_others_no_place);
	RUN(test_a_byte_now_and_then_keeps_no_handshake);
	RUN(test_a_peer_that_reads_nothing_is_given_up);
	RUN(test_a_full_table_makes_room_by_shares);
	RUN(test_one_key_has_so_many_connections);
	RUN(test_only_so_many_linger);
	return check_done();
}
