/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/tcp_net.h"

#include "base/monotonic.h"
#include "tcp/tcp_state.h"

struct duo {
	struct tcp_net net;
	struct tcp_node *a, *b;
};

static void duo_init(struct duo *duo, const struct tcp_config *config)
{
	tcp_net_init(&duo->net, 1);
	duo->a = tcp_net_add(&duo->net, 1, config);
	duo->b = tcp_net_add(&duo->net, 2, config);
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

static bool is_closed(void *arg)
{
	return ((struct tcp_test_conn *)arg)->is_closed;
}

static bool is_stream_closed(void *arg)
{
	return ((struct tcp_test_stream *)arg)->is_closed;
}

/* --- handshake --- */

static void test_both_ends_prove_their_keys(void)
{
	uint8_t left[32], right[32], other[32];
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(conn);
	CHECK_EQ(duo.b->conn_cnt, 1);
	CHECK(duo.b->conns[0].is_ready);
	CHECK_MEM(conn->info.peer_key, tcp_node_key(duo.b), 32);
	CHECK_MEM(duo.b->conns[0].info.peer_key, tcp_node_key(duo.a), 32);
	CHECK(conn->info.is_dialler && !duo.b->conns[0].info.is_dialler);
	CHECK_EQ(conn->info.remote.transport, ADDR_TCP);
	CHECK_EQ(duo.b->conns[0].info.remote.transport, ADDR_TCP);
	CHECK_EQ(duo.a->transport->ops->exporter(conn->conn, "EXPORTER-x", left, 32), 0);
	CHECK_EQ(duo.b->transport->ops->exporter(duo.b->conns[0].conn, "EXPORTER-x", right, 32), 0);
	CHECK_EQ(duo.b->transport->ops->exporter(duo.b->conns[0].conn, "EXPORTER-y", other, 32), 0);
	CHECK_MEM(left, right, 32);
	CHECK(memcmp(left, other, 32) != 0);
	tcp_net_fini(&duo.net);
}

static void test_another_key_than_the_wanted_one_is_named(void)
{
	uint8_t wanted[32] = {7};
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_dial(duo.a, duo.b, wanted);
	CHECK(tcp_net_run(&duo.net, 10 * NS_PER_S, is_closed, conn));
	CHECK(!conn->is_ready);
	CHECK_EQ(conn->close.err, WEFT_EWRONGKEY);
	CHECK(conn->close.has_key);
	CHECK_MEM(conn->close.actual_key, tcp_node_key(duo.b), 32);
	duo_wait(&duo, NS_PER_S);
	/* The other side never learns which node asked. */
	CHECK_EQ(duo.b->conn_cnt, 0);
	CHECK_EQ(duo.net.link_cnt, 0);
	tcp_net_fini(&duo.net);
}

static void test_a_dial_that_nothing_answers_is_unreachable(void)
{
	struct tcp_test_conn *refused, *silent;
	struct duo duo;

	duo_init(&duo, NULL);
	duo.b->is_deaf = true;
	refused = tcp_net_dial(duo.a, duo.b, NULL);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_closed, refused));
	CHECK_EQ(refused->close.err, WEFT_EUNREACHABLE);
	duo.b->is_deaf = false;
	duo.b->is_silent = true;
	silent = tcp_net_dial(duo.a, duo.b, NULL);
	CHECK(tcp_net_run(&duo.net, 6 * NS_PER_S, is_closed, silent));
	CHECK_EQ(silent->close.err, WEFT_EUNREACHABLE);
	tcp_net_fini(&duo.net);
}

static void test_a_second_connection_resumes(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	CHECK(tcp_net_transfer(tcp_net_connect(duo.a, duo.b), 10, NS_PER_S));
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(conn && conn->info.is_resumed);
	CHECK_MEM(conn->info.peer_key, tcp_node_key(duo.b), 32);
	CHECK_MEM(duo.b->conns[1].info.peer_key, tcp_node_key(duo.a), 32);
	tcp_net_fini(&duo.net);
}

static void test_a_speaker_may_refuse_a_connection(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	duo.b->ready_answer = WEFT_EREFUSED;
	conn = tcp_net_dial(duo.a, duo.b, NULL);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_closed, conn));
	CHECK_EQ(conn->close.err, WEFT_EREFUSED);
	CHECK_EQ(conn->close.code, TCP_CODE_REFUSED);
	CHECK(duo.b->conns[0].is_closed);
	tcp_net_fini(&duo.net);
}

static void test_bytes_in_any_pieces_make_the_same_connection(void)
{
	static const size_t cuts[] = {1, 7, 1000};

	for (size_t i = 0; i < 3; i++) {
		struct tcp_test_conn *conn;
		struct duo duo;

		duo_init(&duo, NULL);
		duo.net.cut_len = cuts[i];
		conn = tcp_net_connect(duo.a, duo.b);
		CHECK(conn);
		CHECK(tcp_net_transfer(conn, 40000, 60 * NS_PER_S));
		tcp_net_fini(&duo.net);
	}
}

/* --- streams --- */

static void test_bytes_go_both_ways_and_streams_end(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	duo.b->more_len = 3000000;
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(tcp_net_transfer(conn, 5000000, 60 * NS_PER_S));
	CHECK_EQ(duo.b->streams[0].received_len, 5000000);
	CHECK(!duo.b->streams[0].is_damaged && duo.b->streams[0].is_closed);
	CHECK_EQ(duo.a->streams[0].received_len, 3000008);
	CHECK(tcp_net_transfer(&duo.b->conns[0], 70000, 60 * NS_PER_S));
	CHECK(tcp_net_transfer(conn, 0, 60 * NS_PER_S));
	CHECK_EQ(stats_of(duo.a).stream_cnt, 0);
	CHECK_EQ(stats_of(duo.b).stream_cnt, 0);
	CHECK_EQ(stats_of(duo.b).heap_used_len, 0);
	tcp_net_fini(&duo.net);
}

static void test_a_slow_reader_stops_only_its_stream(void)
{
	struct tcp_test_stream *slow;
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	duo.b->is_consuming = false;
	slow = tcp_net_open(conn, 3000000);
	duo_wait(&duo, 5 * NS_PER_S);
	CHECK_EQ(duo.b->streams[0].received_len, TCP_FIRST_CREDIT_LEN);
	CHECK(!slow->is_closed);
	duo.b->is_consuming = true;
	CHECK(tcp_net_transfer(conn, 2000000, 10 * NS_PER_S));
	CHECK_EQ(duo.b->streams[0].received_len, TCP_FIRST_CREDIT_LEN);
	duo.b->transport->ops->consume(duo.b->streams[0].stream, duo.b->streams[0].unconsumed_len);
	CHECK(tcp_net_run(&duo.net, 10 * NS_PER_S, is_stream_closed, slow));
	CHECK_EQ(slow->reply, 3000000);
	tcp_net_fini(&duo.net);
}

static void test_no_more_streams_open_than_allowed(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	duo.b->is_consuming = false;
	for (unsigned i = 0; i < TCP_STREAMS_MAX; i++)
		CHECK(tcp_net_open(conn, 600000));
	CHECK(!tcp_net_open(conn, 1));
	duo_wait(&duo, 5 * NS_PER_S);
	CHECK_EQ(duo.b->stream_cnt, TCP_STREAMS_MAX);
	CHECK(!conn->is_closed && !conn->streams_available_cnt);
	duo.a->transport->ops->reset(duo.a->streams[5].stream, 9);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_stream_closed, &duo.a->streams[5]));
	CHECK_EQ(conn->streams_available_cnt, 1);
	CHECK(tcp_net_open(conn, 1));
	duo_wait(&duo, NS_PER_S);
	CHECK(!conn->is_closed);
	CHECK_EQ(duo.b->stream_cnt, TCP_STREAMS_MAX + 1);
	CHECK(duo.b->streams[5].is_reset);
	CHECK_EQ(duo.b->streams[5].reset_code, 9);
	CHECK(duo.b->streams[5].is_closed);
	tcp_net_fini(&duo.net);
}

static void test_a_reset_ends_both_directions_and_no_other_stream(void)
{
	struct tcp_test_stream *first, *second;
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	first = tcp_net_open(conn, 2000000);
	second = tcp_net_open(conn, 2000000);
	duo_wait(&duo, 12 * NS_PER_MS);
	CHECK_EQ(duo.b->stream_cnt, 2);
	duo.b->transport->ops->reset(duo.b->streams[0].stream, 77);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_stream_closed, first));
	CHECK(first->is_reset);
	CHECK_EQ(first->reset_code, 77);
	CHECK_EQ(first->spans_out, 0);
	CHECK(tcp_net_run(&duo.net, 10 * NS_PER_S, is_stream_closed, second));
	CHECK_EQ(second->reply, 2000000);
	/* Before a word of it is on the wire, a stream ends unseen. */
	CHECK(tcp_net_open(conn, 10));
	duo.a->transport->ops->reset(duo.a->streams[2].stream, 1);
	duo_wait(&duo, NS_PER_S);
	CHECK(duo.a->streams[2].is_closed);
	CHECK_EQ(duo.b->stream_cnt, 2);
	CHECK(tcp_net_transfer(conn, 10, NS_PER_S));
	tcp_net_fini(&duo.net);
}

static void test_a_refused_stream_is_reset(void)
{
	struct tcp_test_stream *stream;
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	duo.b->opened_answer = WEFT_EFULL;
	stream = tcp_net_open(conn, 100000);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_stream_closed, stream));
	CHECK_EQ(stream->reset_code, TCP_CODE_STREAM_REFUSED);
	duo.b->opened_answer = 0;
	CHECK(tcp_net_transfer(conn, 100, NS_PER_S));
	tcp_net_fini(&duo.net);
}

static void test_a_burst_of_refused_streams_ends_no_connection(void)
{
	struct tcp_test_stream *last = NULL;
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	duo.b->opened_answer = WEFT_EFULL;
	for (unsigned i = 0; i < 40; i++)
		CHECK((last = tcp_net_open(conn, 10)));
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_stream_closed, last));
	CHECK_EQ(last->reset_code, TCP_CODE_STREAM_REFUSED);
	duo.b->opened_answer = 0;
	CHECK(tcp_net_transfer(conn, 100, NS_PER_S));
	tcp_net_fini(&duo.net);
}

static void test_acked_never_runs_ahead_and_gets_there(void)
{
	struct tcp_test_stream *stream;
	struct tcp_test_conn *conn;
	uint64_t acked_len;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	stream = tcp_net_open(conn, 400000);
	duo_wait(&duo, 3 * NS_PER_MS);
	CHECK_EQ(duo.a->transport->ops->acked(stream->stream), 0);
	duo_wait(&duo, 8 * NS_PER_MS);
	acked_len = duo.a->transport->ops->acked(stream->stream);
	CHECK(acked_len <= duo.b->streams[0].received_len);
	stream->to_send_len = 500000; /* it stays open */
	duo_wait(&duo, NS_PER_S);
	CHECK(stream->is_closed);
	tcp_net_fini(&duo.net);
}

static void test_copies_beyond_what_is_free_wait(void)
{
	static uint8_t bytes[TRANSPORT_COPY_LEN_MAX];
	struct tcp_test_stream *record;
	struct tcp_test_conn *conn;
	struct tcp_config config;
	unsigned sent_cnt = 0;
	struct duo duo;

	tcp_net_config(&config);
	config.heap_cap = 1 << 20;
	duo_init(&duo, &config);
	duo.b->is_consuming = false;
	conn = tcp_net_connect(duo.a, duo.b);
	for (unsigned i = 0; i < 20; i++) {
		/* Its first span uses up the credit. */
		record = tcp_net_open(conn, 0);
		CHECK(record);
	}
	duo.net.is_cut = true;
	for (unsigned i = 0; i < 8; i++) {
		struct transport_stream *stream;

		record = &duo.a->streams[100 + i];
		record->conn = conn;
		record->is_ours = true;
		CHECK_EQ(duo.a->transport->ops->open(conn->conn, record, &stream), 0);
		record->stream = stream;
		while (duo.a->transport->ops->send_copy(stream, bytes, sizeof(bytes)) == 0)
			sent_cnt++;
	}
	/* One connection has half of the heap at most: what another finds is as much. */
	CHECK(sent_cnt >= 16 && sent_cnt <= 32);
	CHECK(stats_of(duo.a).heap_used_len <= 600000);
	duo.net.is_cut = false;
	duo_wait(&duo, NS_PER_S);
	CHECK(duo.a->streams[107].writable_cnt > 0);
	tcp_net_fini(&duo.net);
}

/* --- ends --- */

static void test_what_was_queued_goes_before_the_close(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(tcp_net_open(conn, 50000));
	duo.a->transport->ops->close(conn->conn, 6, "not needed");
	CHECK(!conn->is_closed);
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_closed, &duo.b->conns[0]));
	CHECK_EQ(duo.b->streams[0].received_len, 50000);
	CHECK_EQ(duo.b->conns[0].close.err, WEFT_ECLOSED);
	CHECK_EQ(duo.b->conns[0].close.code, 6);
	CHECK(duo.b->conns[0].close.by_peer && !duo.b->conns[0].close.is_reset);
	CHECK(conn->is_closed);
	duo_wait(&duo, 3 * NS_PER_S);
	CHECK_EQ(duo.net.link_cnt, 0);
	tcp_net_fini(&duo.net);
}

static void test_a_link_that_breaks_is_a_reset(void)
{
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	CHECK(tcp_net_open(conn, 5000000));
	tcp_engine_free(duo.b->engine);
	duo.b->engine = NULL;
	duo.net.node_cnt = 1;
	CHECK(tcp_net_run(&duo.net, NS_PER_S, is_closed, conn));
	CHECK(conn->close.is_reset);
	CHECK(duo.a->streams[0].is_closed);
	CHECK_EQ(duo.a->streams[0].spans_out, 0);
	duo.net.node_cnt = 2;
	tcp_net_fini(&duo.net);
}

static void test_a_silent_peer_is_given_up(void)
{
	struct tcp_test_conn *conn;
	struct tcp_config config;
	struct duo duo;

	tcp_net_config(&config);
	config.keepalive_ns = 10 * NS_PER_S;
	duo_init(&duo, &config);
	conn = tcp_net_connect(duo.a, duo.b);
	duo_wait(&duo, 100 * NS_PER_S);
	CHECK(!conn->is_closed);
	duo.net.is_cut = true;
	duo_wait(&duo, 31 * NS_PER_S);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_ETIMEOUT);
	CHECK_EQ(stats_of(duo.a).idle_timeout_cnt, 1);
	tcp_net_fini(&duo.net);
}

static void test_a_probe_is_answered(void)
{
	struct transport_conn_info before, after;
	struct tcp_test_conn *conn;
	struct duo duo;

	duo_init(&duo, NULL);
	conn = tcp_net_connect(duo.a, duo.b);
	duo_wait(&duo, NS_PER_S);
	duo.a->transport->ops->info(conn->conn, &before);
	duo_wait(&duo, NS_PER_S);
	duo.a->transport->ops->info(conn->conn, &after);
	CHECK_EQ(after.received_len, before.received_len);
	duo.a->transport->ops->probe(conn->conn);
	duo_wait(&duo, 11 * NS_PER_MS);
	duo.a->transport->ops->info(conn->conn, &after);
	CHECK(after.received_len > before.received_len);
	CHECK(after.heard_ns > before.heard_ns);
	tcp_net_fini(&duo.net);
}

int main(void)
{
	RUN(test_both_ends_prove_their_keys);
	RUN(test_another_key_than_the_wanted_one_is_named);
	RUN(test_a_dial_that_nothing_answers_is_unreachable);
	RUN(test_a_second_connection_resumes);
	RUN(test_a_speaker_may_refuse_a_connection);
	RUN(test_bytes_in_any_pieces_make_the_same_connection);
	RUN(test_bytes_go_both_ways_and_streams_end);
	RUN(test_a_slow_reader_stops_only_its_stream);
	RUN(test_no_more_streams_open_than_allowed);
	RUN(test_a_reset_ends_both_directions_and_no_other_stream);
	RUN(test_a_refused_stream_is_reset);
	RUN(test_a_burst_of_refused_streams_ends_no_connection);
	RUN(test_acked_never_runs_ahead_and_gets_there);
	RUN(test_copies_beyond_what_is_free_wait);
	RUN(test_what_was_queued_goes_before_the_close);
	RUN(test_a_link_that_breaks_is_a_reset);
	RUN(test_a_silent_peer_is_given_up);
	RUN(test_a_probe_is_answered);
	return check_done();
}
