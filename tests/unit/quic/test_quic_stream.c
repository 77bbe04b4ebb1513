/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

static void test_both_ends_open_streams(void)
{
	struct quic_pair p;

	quic_pair_init(&p, 130, NULL);
	CHECK(quic_net_transfer(quic_net_connect(p.a, p.b), 5000000, 60 * NS_PER_S));
	CHECK_EQ(p.b->streams[0].received_len, 5000000);
	CHECK(!p.b->streams[0].is_damaged);
	CHECK(quic_net_transfer(&p.b->conns[0], 70000, 60 * NS_PER_S));
	CHECK(quic_net_transfer(&p.b->conns[0], 0, 60 * NS_PER_S));
	quic_pair_fini(&p);
}

static bool are_closed(void *arg)
{
	struct quic_node *node = arg;

	for (unsigned i = 0; i < node->stream_cnt; i++)
		if (!node->streams[i].is_closed)
			return false;
	return true;
}

static bool has_one_ended(void *arg)
{
	const struct quic_node *node = arg;

	for (unsigned i = 0; i < node->stream_cnt; i++)
		if (node->streams[i].has_fin)
			return true;
	return false;
}

/* When the first has all, the last is two of their turns behind at most. */
static void test_streams_share_a_connection_fairly(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 131, NULL);
	conn = quic_net_connect(p.a, p.b);
	for (unsigned i = 0; i < 20; i++)
		CHECK(quic_net_send(conn, 1 << 20));
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, has_one_ended, p.b));
	CHECK_EQ(p.b->stream_cnt, 20);
	for (unsigned i = 0; i < 20; i++)
		CHECK(p.b->streams[i].received_len >= 512 << 10);
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, are_closed, p.a));
	for (unsigned i = 0; i < 20; i++)
		CHECK(p.a->streams[i].reply == 1 << 20 && !p.b->streams[i].is_damaged);
	quic_pair_fini(&p);
}

static bool has_21st_ended(void *arg)
{
	const struct quic_node *node = arg;

	return node->stream_cnt > 20 && node->streams[20].has_fin;
}

static void test_short_answer_does_not_wait_for_long_ones(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;
	uint64_t asked_ns;

	quic_pair_init(&p, 132, NULL);
	conn = quic_net_connect(p.a, p.b);
	for (unsigned i = 0; i < 20; i++)
		CHECK(quic_net_send(conn, 1 << 20));
	quic_net_settle(&p.net, 65 * NS_PER_MS);
	asked_ns = p.net.now_ns;
	CHECK(quic_net_send(conn, 10000));
	CHECK(quic_net_run(&p.net, NS_PER_S, has_21st_ended, p.b));
	CHECK(p.net.now_ns - asked_ns < 2 * p.net.delay_ns);
	quic_pair_fini(&p);
}

static bool are_short_ones_ended(void *arg)
{
	const struct quic_node *node = arg;

	for (unsigned i = 1; i < node->stream_cnt; i++)
		if (!node->streams[i].has_fin)
			return false;
	return node->stream_cnt == 61;
}

static void test_long_answer_gets_half_beside_a_flood_of_short_ones(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 133, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(quic_net_send(conn, 1 << 20));
	for (unsigned i = 0; i < 60; i++)
		CHECK(quic_net_send(conn, 16000));
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, are_short_ones_ended, p.b));
	CHECK(p.b->streams[0].received_len >= 60 * 16000 / 3);
	quic_pair_fini(&p);
}

static void test_silent_reader_stops_the_sender_at_its_window(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct quic_pair p;
	uint64_t window;

	quic_pair_init(&p, 132, NULL);
	window = p.b->engine->config.window_len_min / 2; /* the half of its connection's */
	p.b->is_consuming = false;
	conn = quic_net_connect(p.a, p.b);
	stream = quic_net_send(conn, 8 * window);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK_EQ(p.b->streams[0].received_len, window);
	CHECK(stream->queued_len <= window + TRANSPORT_SPANS_MAX * 65536);
	CHECK(stream->spans_out <= TRANSPORT_SPANS_MAX);
	/* Credit, and it goes on. */
	p.b->is_consuming = true;
	p.b->transport->ops->consume(p.b->streams[0].stream, p.b->streams[0].unconsumed_len);
	quic_net_settle(&p.net, 20 * NS_PER_S);
	CHECK(stream->is_closed && stream->reply == 8 * window);
	quic_pair_fini(&p);
}

static void test_a_silent_reader_does_not_stop_the_other_streams(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 134, NULL);
	p.b->is_consuming = false;
	conn = quic_net_connect(p.a, p.b);
	CHECK(quic_net_send(conn, 8 << 20));
	quic_net_settle(&p.net, 10 * NS_PER_S);
	/* What pings, calls and answers need meanwhile. */
	for (unsigned i = 1; i < 4; i++) {
		CHECK(quic_net_send(conn, 64000));
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(p.b->streams[i].received_len, 64000);
	}
	quic_pair_fini(&p);
}

/* weft.conf(5) says so of quic.window_max. */
static void test_unread_bytes_of_a_connection_are_at_most_twice_its_largest_window(void)
{
	const size_t window = 1 << 20, stream_cnt = 16;
	struct quic_test_conn *conn;
	struct quic_pair p;
	size_t unread = 0;

	quic_pair_init(&p, 136, NULL);
	p.b->engine->config.window_len_min = window;
	p.b->engine->config.window_len_max = window;
	p.b->is_consuming = false;
	conn = quic_net_connect(p.a, p.b);
	for (unsigned i = 0; i < stream_cnt; i++)
		CHECK(quic_net_send(conn, window));
	quic_net_settle(&p.net, 60 * NS_PER_S);
	CHECK(p.b->stream_cnt <= stream_cnt);
	for (unsigned i = 0; i < p.b->stream_cnt; i++) {
		CHECK(p.b->streams[i].received_len <= window / 2);
		unread += p.b->streams[i].received_len;
	}
	/* More than the window alone, and never more than is lent beside it. */
	CHECK(unread > window);
	CHECK(unread <= 2 * window);
	quic_pair_fini(&p);
}

static bool has_16_mib(void *arg)
{
	const struct quic_node *node = arg;

	return node->streams[0].received_len >= 16 << 20;
}

/* Read quickly, a stream's window grows, and its connection's not as fast. */
static void test_readers_that_stop_later_do_not_stop_the_other_streams(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 135, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(quic_net_send(conn, 64 << 20));
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, has_16_mib, p.b));
	p.b->is_consuming = false;
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK(p.b->streams[0].received_len < 48 << 20);
	/* Two more unread ones, and what pings, calls and answers need. */
	for (unsigned i = 1; i < 3; i++)
		CHECK(quic_net_send(conn, 8 << 20));
	quic_net_settle(&p.net, 10 * NS_PER_S);
	for (unsigned i = 3; i < 6; i++) {
		CHECK(quic_net_send(conn, 64000));
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(p.b->streams[i].received_len, 64000);
	}
	/* What was lent is given back: all goes on. */
	p.b->is_consuming = true;
	for (unsigned i = 0; i < 3; i++)
		p.b->transport->ops->consume(p.b->streams[i].stream,
					     p.b->streams[i].unconsumed_len);
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, are_closed, p.b));
	CHECK_EQ(p.b->streams[0].received_len, 64 << 20);
	quic_pair_fini(&p);
}

/* The end needs no credit, of the stream or of the connection (RFC 9000 4.1). */
static void test_end_arrives_while_the_window_is_closed(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct quic_pair p;
	uint64_t window;

	quic_pair_init(&p, 129, NULL);
	window = p.b->engine->config.window_len_min / 2; /* the half of its connection's */
	p.b->is_consuming = false;
	conn = quic_net_connect(p.a, p.b);
	CHECK(quic_net_send(conn, 8 * window)); /* waits for credit, in front */
	stream = quic_net_send(conn, 0);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK_EQ(p.b->streams[0].received_len, window);
	CHECK(stream->is_closed);
	stream = quic_net_send(conn, 0);
	quic_net_settle(&p.net, 10 * NS_PER_S);
	CHECK(stream->is_closed);
	quic_pair_fini(&p);
}

static void test_unused_bytes_of_a_reset_stream_free_the_connection(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 133, NULL);
	conn = quic_net_connect(p.a, p.b);
	p.b->is_consuming = false;
	for (unsigned i = 0; i < 5; i++) {
		CHECK(quic_net_send(conn, 8 << 20));
		quic_net_settle(&p.net, 5 * NS_PER_S);
		CHECK_EQ(p.b->stream_cnt, i + 1);
		p.b->transport->ops->reset(p.b->streams[i].stream, 77);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(p.a->streams[i].is_closed && p.b->streams[i].is_closed);
		CHECK(p.a->streams[i].is_reset && p.a->streams[i].reset_code == 77);
		CHECK_EQ(p.a->streams[i].spans_out, 0);
	}
	p.b->is_consuming = true;
	CHECK(quic_net_transfer(conn, 3 << 20, 60 * NS_PER_S));
	quic_pair_fini(&p);
}

static void test_send_after_the_end_is_refused(void)
{
	struct transport_span span = {(const uint8_t *)"x", 1, NULL, NULL};
	const struct transport_ops *ops;
	struct transport_stream *stream;
	struct quic_test_stream record = {0};
	struct quic_test_conn *conn;
	static uint8_t large[TRANSPORT_COPY_LEN_MAX + 1];
	struct quic_pair p;

	quic_pair_init(&p, 134, NULL);
	ops = p.a->transport->ops;
	conn = quic_net_connect(p.a, p.b);
	CHECK_EQ(ops->open(conn->conn, &record, &stream), 0);
	CHECK_EQ(ops->send_copy(stream, large, sizeof(large)), WEFT_ETOOLARGE);
	for (unsigned i = 0; i < TRANSPORT_SPANS_MAX; i++)
		CHECK_EQ(ops->send(stream, &span), 0);
	CHECK_EQ(ops->send(stream, &span), WEFT_EFULL);
	CHECK_EQ(ops->send_copy(stream, "x", 1), WEFT_EFULL);
	ops->finish(stream);
	CHECK_EQ(ops->send(stream, &span), WEFT_ECLOSED);
	ops->close(conn->conn, 0, NULL);
	CHECK_EQ(ops->send_copy(stream, "x", 1), WEFT_ECLOSED);
	CHECK_EQ(ops->open(conn->conn, &record, &stream), WEFT_ECLOSED);
	CHECK(!conn->is_closed);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed);
	quic_pair_fini(&p);
}

static void count_done(void *arg)
{
	++*(unsigned *)arg;
}

static void test_empty_span_comes_straight_back(void)
{
	unsigned done_cnt = 0;
	struct transport_span empty = {NULL, 0, count_done, &done_cnt};
	struct quic_test_stream *stream;
	struct quic_pair p;

	quic_pair_init(&p, 139, NULL);
	stream = quic_net_send(quic_net_connect(p.a, p.b), 0);
	CHECK_EQ(p.a->transport->ops->send(stream->stream, &empty), WEFT_ECLOSED);
	CHECK_EQ(done_cnt, 0);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.a->transport->ops->open(p.a->conns[0].conn, stream, &stream->stream), 0);
	CHECK_EQ(p.a->transport->ops->send(stream->stream, &empty), 0);
	CHECK_EQ(p.a->transport->ops->send_copy(stream->stream, "", 0), 0);
	CHECK_EQ(done_cnt, 1);
	/* and does not stand in the way of others. */
	CHECK(quic_net_transfer(&p.a->conns[0], 10000, NS_PER_S));
	quic_pair_fini(&p);
}

static void test_close_carries_code_and_origin(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 135, NULL);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	p.a->transport->ops->close(
		conn->conn, 0x1234,
		"a reason that is longer than sixty-four bytes is cut, not sent whole");
	CHECK(!conn->is_closed);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(conn->is_closed && !conn->close.by_peer);
	CHECK_EQ(conn->close.code, 0x1234);
	CHECK_EQ(conn->close.err, WEFT_ECLOSED);
	CHECK(p.b->conns[0].is_closed && p.b->conns[0].close.by_peer);
	CHECK_EQ(p.b->conns[0].close.code, 0x1234);
	CHECK_EQ(p.b->conns[0].close.err, WEFT_ECLOSED);
	quic_pair_fini(&p);
}

static bool lose_first_closes(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct quic_node *a = net->nodes[0];

	/* Everything of a's for a while after it closed. */
	return !(addr_equal(&dgram->from, &a->outer) && a->conns[0].is_closed &&
		 a->engine->stats.close_sent_cnt < 2);
}

static void test_lost_close_is_repeated_to_late_packets(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 136, NULL);
	p.net.tap = lose_first_closes;
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(quic_net_send(&p.b->conns[0], 4 << 20));
	quic_net_settle(&p.net, 30 * NS_PER_MS);
	p.a->transport->ops->close(conn->conn, 9, NULL);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(p.b->conns[0].is_closed);
	CHECK_EQ(p.b->conns[0].close.code, 9);
	CHECK(p.a->engine->stats.close_sent_cnt >= 2);
	/* Fewer and fewer, not one for each. */
	CHECK(p.a->engine->stats.close_sent_cnt <= 8);
	quic_pair_fini(&p);
}

static void test_queued_bytes_leave_before_a_close(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 137, NULL);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(quic_net_send(conn, 5000));
	p.a->transport->ops->close(conn->conn, 3, "goodbye");
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(p.b->stream_cnt, 1);
	CHECK(p.b->streams[0].has_fin && p.b->streams[0].received_len == 5000);
	CHECK(p.b->conns[0].is_closed);
	quic_pair_fini(&p);
}

static void test_speaker_may_refuse_a_stream(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 138, NULL);
	p.b->opened_answer = WEFT_EFULL;
	conn = quic_net_connect(p.a, p.b);
	stream = quic_net_send(conn, 3 << 20);
	quic_net_settle(&p.net, 5 * NS_PER_S);
	CHECK(stream->is_closed && stream->close_code == QUIC_STREAM_REFUSED);
	CHECK_EQ(stream->spans_out, 0);
	p.b->opened_answer = 0;
	CHECK(quic_net_transfer(conn, 3 << 20, 60 * NS_PER_S));
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_both_ends_open_streams);
	RUN(test_streams_share_a_connection_fairly);
	RUN(test_short_answer_does_not_wait_for_long_ones);
	RUN(test_long_answer_gets_half_beside_a_flood_of_short_ones);
	RUN(test_silent_reader_stops_the_sender_at_its_window);
	RUN(test_a_silent_reader_does_not_stop_the_other_streams);
	RUN(test_unread_bytes_of_a_connection_are_at_most_twice_its_largest_window);
	RUN(test_readers_that_stop_later_do_not_stop_the_other_streams);
	RUN(test_end_arrives_while_the_window_is_closed);
	RUN(test_unused_bytes_of_a_reset_stream_free_the_connection);
	RUN(test_send_after_the_end_is_refused);
	RUN(test_empty_span_comes_straight_back);
	RUN(test_close_carries_code_and_origin);
	RUN(test_lost_close_is_repeated_to_late_packets);
	RUN(test_queued_bytes_leave_before_a_close);
	RUN(test_speaker_may_refuse_a_stream);
	return check_done();
}
