/* SPDX-License-Identifier: Apache-2.0 */
/* Two engines joined by a line of a given rate, in virtual time: TLS, streams and heartbeats over it. */
#include "support/check.h"

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "support/tcp_net.h"
#include "support/tcp_speaker.h"
#include "tcp/line/tcp_line.h"

#define DEVICE_LEN 4096 /* as the kernel's buffer of a terminal */

struct line_end {
	struct line_net *net;
	struct tcp_node *node;
	struct tcp_config config;
	struct tcp_lines *lines;
	uint8_t device[DEVICE_LEN];
	size_t device_len, gone_len;
	uint64_t passed_len;
	bool is_kicked;
};

struct line_net {
	struct tcp_net tcp;
	struct line_end ends[2];
	uint64_t byte_ns, last_ns;
	bool is_cut;
};

static void on_kick(void *ctx, unsigned idx)
{
	struct line_end *end = ctx;

	weft_assert(idx == 0);
	end->is_kicked = true;
}

static void end_open(struct line_net *net, unsigned idx, const uint8_t *key)
{
	struct line_end *end = &net->ends[idx];
	struct tcp_lines_params params = {
		.config = &end->config, .random = &net->tcp.random, .kick = on_kick, .ctx = end};

	tcp_net_config(&end->config);
	end->config.handshake_timeout_ns = 10 * NS_PER_S;
	end->config.idle_timeout_ns = 60 * NS_PER_S;
	end->config.keepalive_ns = 20 * NS_PER_S;
	end->config.line_cnt = 1;
	end->config.lines[0].has_key = key != NULL;
	if (key)
		memcpy(end->config.lines[0].key, key, TRANSPORT_KEY_LEN);
	end->net = net;
	end->node = tcp_net_add(&net->tcp, 1 + idx, &end->config);
	params.engine = end->node->engine;
	weft_assert(tcp_lines_new(&params, &end->lines) == 0);
	tcp_lines_set_up(end->lines, 0, true, net->tcp.now_ns);
	end->node->addr = addr_of_line(0);
}

/* key: that which end 1 demands; NULL: any. */
static void net_open(struct line_net *net, unsigned baud, const uint8_t *key)
{
	memset(net, 0, sizeof(*net));
	tcp_net_init(&net->tcp, 39);
	net->byte_ns = 10 * NS_PER_S / baud;
	end_open(net, 0, NULL);
	end_open(net, 1, key);
	net->last_ns = net->tcp.now_ns;
}

static void net_close(struct line_net *net)
{
	tcp_net_fini(&net->tcp);
	for (unsigned i = 0; i < 2; i++)
		tcp_lines_free(net->ends[i].lines);
}

static void end_flush(struct line_end *end)
{
	uint64_t now_ns = end->net->tcp.now_ns;
	size_t len;

	end->is_kicked = false;
	memmove(end->device, end->device + end->gone_len, end->device_len - end->gone_len);
	end->device_len -= end->gone_len;
	end->gone_len = 0;
	while (end->device_len + TCP_LINE_FRAME_MAX <= DEVICE_LEN &&
	       (len = tcp_lines_output(end->lines, 0, end->device + end->device_len, now_ns)))
		end->device_len += len;
}

/* A byte's time passes. */
static void net_step(struct line_net *net)
{
	net->tcp.now_ns += net->byte_ns;
	for (unsigned i = 0; i < 2; i++) {
		struct line_end *end = &net->ends[i];

		if (end->gone_len < end->device_len) {
			end->passed_len++;
			if (!net->is_cut)
				tcp_lines_input(net->ends[1 - i].lines, 0,
						&end->device[end->gone_len], 1, net->tcp.now_ns);
			end->gone_len++;
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		tcp_engine_expire(net->ends[i].node->engine, net->tcp.now_ns);
		tcp_lines_expire(net->ends[i].lines, net->tcp.now_ns);
		tcp_engine_flush(net->ends[i].node->engine, net->tcp.now_ns);
	}
	for (unsigned i = 0; i < 2; i++)
		if (net->ends[i].is_kicked || net->ends[i].gone_len == net->ends[i].device_len)
			end_flush(&net->ends[i]);
}

static bool net_run(struct line_net *net, uint64_t for_ns, const bool *done)
{
	uint64_t end_ns = net->tcp.now_ns + for_ns;

	while (net->tcp.now_ns < end_ns && !(done && *done))
		net_step(net);
	return done && *done;
}

static struct tcp_test_conn *net_connect(struct line_net *net, uint64_t for_ns)
{
	struct tcp_test_conn *conn = tcp_net_dial(net->ends[0].node, net->ends[1].node, NULL);

	if (!net_run(net, for_ns, &conn->is_ready))
		return NULL;
	/* The other end is ready once the last flight is there. */
	(void)net_run(net, 2 * NS_PER_S, NULL);
	return conn;
}

static bool net_transfer(struct line_net *net, struct tcp_test_conn *conn, uint64_t len,
			 uint64_t for_ns)
{
	struct tcp_test_stream *stream = tcp_net_open(conn, len);

	return stream && net_run(net, for_ns, &stream->is_closed) && stream->has_fin &&
	       !stream->is_damaged && stream->reply == len;
}

static void test_a_session_begins_within_four_seconds_at_9600_baud(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	CHECK_MEM(conn->info.peer_key, tcp_node_key(net.ends[1].node), TRANSPORT_KEY_LEN);
	CHECK(addr_is_line(&conn->info.remote));
	CHECK_EQ(conn->info.pmtu_len, TCP_LINE_FRAME_MAX);
	net_close(&net);
}

static void test_a_handshake_has_its_time_at_600_baud(void)
{
	static struct line_net net;

	net_open(&net, 600, NULL);
	CHECK(net_connect(&net, 50 * NS_PER_S));
	/* Longer than a handshake on TCP may take. */
	CHECK(net.tcp.now_ns > 14 * NS_PER_S);
	net_close(&net);
}

static void test_heartbeats_keep_an_idle_session(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;
	uint64_t before_len;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	before_len = net.ends[0].passed_len + net.ends[1].passed_len;
	(void)net_run(&net, 600 * NS_PER_S, NULL);
	CHECK(!conn->is_closed);
	/* The tickets of TLS once, and then less than 12 bytes a second. */
	CHECK(net.ends[0].passed_len + net.ends[1].passed_len - before_len < 600 * 12 + 2000);
	CHECK(net_transfer(&net, conn, 1000, 10 * NS_PER_S));
	net_close(&net);
}

static void test_a_long_message_does_not_end_its_session(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	/* Two minutes of the line. */
	CHECK(net_transfer(&net, conn, 100000, 150 * NS_PER_S));
	CHECK(!conn->is_closed);
	net_close(&net);
}

static void test_a_short_message_overtakes_a_long_one(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;
	struct tcp_test_stream *stream;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	stream = tcp_net_open(conn, 100000);
	CHECK(stream);
	(void)net_run(&net, 20 * NS_PER_S, NULL);
	CHECK(net_transfer(&net, conn, 100, 10 * NS_PER_S));
	CHECK(!stream->is_closed);
	net_close(&net);
}

static void test_a_key_that_is_not_expected_gets_no_session(void)
{
	static struct line_net net;
	const uint8_t other[TRANSPORT_KEY_LEN] = {9};

	net_open(&net, 9600, other);
	(void)net_connect(&net, 30 * NS_PER_S);
	CHECK_EQ(net.ends[1].node->conn_cnt, 0);
	net_close(&net);
	net_open(&net, 9600, NULL);
	memcpy(net.ends[1].config.lines[0].key, tcp_node_key(net.ends[0].node), TRANSPORT_KEY_LEN);
	net.ends[1].config.lines[0].has_key = true;
	CHECK(net_connect(&net, 4 * NS_PER_S));
	CHECK_EQ(net.ends[1].node->conn_cnt, 1);
	net_close(&net);
}

static void test_a_line_with_a_session_is_dialled_no_second_time(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	CHECK(tcp_net_dial(net.ends[0].node, net.ends[1].node, NULL)->is_closed);
	CHECK(tcp_net_dial(net.ends[1].node, net.ends[0].node, NULL)->is_closed);
	/* One line more than there are. */
	net.ends[1].node->addr = addr_of_line(1);
	CHECK(tcp_net_dial(net.ends[0].node, net.ends[1].node, NULL)->is_closed);
	CHECK(net_transfer(&net, conn, 1000, 10 * NS_PER_S));
	net_close(&net);
}

static void test_a_dead_line_ends_the_session_at_both_ends_and_a_new_one_begins(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;
	struct tcp_line_stats stats;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	net.is_cut = true;
	(void)net_run(&net, 90 * NS_PER_S, NULL);
	CHECK(conn->is_closed);
	CHECK(net.ends[1].node->conns[0].is_closed);
	tcp_lines_stats(net.ends[0].lines, &stats);
	CHECK_EQ(stats.conn_cnt, 0);
	CHECK(tcp_lines_is_idle(net.ends[0].lines, 0));
	net.is_cut = false;
	CHECK(net_connect(&net, 10 * NS_PER_S));
	net_close(&net);
}

static void test_a_device_that_breaks_takes_its_session_along(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	tcp_lines_set_up(net.ends[0].lines, 0, false, net.tcp.now_ns);
	CHECK(conn->is_closed);
	CHECK(tcp_net_dial(net.ends[0].node, net.ends[1].node, NULL)->is_closed);
	tcp_lines_set_up(net.ends[0].lines, 0, true, net.tcp.now_ns);
	/* The other end still has the old one; a new one takes its place. */
	CHECK(net_connect(&net, 10 * NS_PER_S));
	CHECK(net.ends[1].node->conns[0].is_closed);
	net_close(&net);
}

static void test_the_last_words_of_a_closed_session_arrive(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	conn->conn->ops->close(conn->conn, 77, "bye");
	CHECK(net_run(&net, 5 * NS_PER_S, &net.ends[1].node->conns[0].is_closed));
	CHECK_EQ(net.ends[1].node->conns[0].close.code, 77);
	(void)net_run(&net, 10 * NS_PER_S, NULL);
	CHECK(tcp_lines_is_idle(net.ends[0].lines, 0) && tcp_lines_is_idle(net.ends[1].lines, 0));
	CHECK(net_connect(&net, 4 * NS_PER_S));
	net_close(&net);
}

/* A record and a full window wait: 45 s of the line. */
static void test_the_last_words_arrive_behind_what_waits_for_a_slow_line(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 600, NULL);
	conn = net_connect(&net, 50 * NS_PER_S);
	CHECK(conn);
	CHECK(tcp_net_open(conn, 100000) != NULL);
	(void)net_run(&net, 20 * NS_PER_S, NULL);
	conn->conn->ops->close(conn->conn, 77, "bye");
	CHECK(net_run(&net, 60 * NS_PER_S, &net.ends[1].node->conns[0].is_closed));
	CHECK_EQ(net.ends[1].node->conns[0].close.code, 77);
	(void)net_run(&net, 20 * NS_PER_S, NULL);
	CHECK(tcp_lines_is_idle(net.ends[0].lines, 0) && tcp_lines_is_idle(net.ends[1].lines, 0));
	CHECK(net_connect(&net, 50 * NS_PER_S));
	net_close(&net);
}

/* The other end hears nothing any more, and the line is free again all the same. */
static void test_last_words_that_never_arrive_free_the_line_after_a_while(void)
{
	static struct line_net net;
	struct tcp_test_conn *conn;

	net_open(&net, 9600, NULL);
	conn = net_connect(&net, 4 * NS_PER_S);
	CHECK(conn);
	net.is_cut = true;
	conn->conn->ops->close(conn->conn, 77, "bye");
	(void)net_run(&net, 30 * NS_PER_S, NULL);
	CHECK(!tcp_lines_is_idle(net.ends[0].lines, 0));
	(void)net_run(&net, 40 * NS_PER_S, NULL);
	CHECK(tcp_lines_is_idle(net.ends[0].lines, 0));
	net_close(&net);
}

int main(void)
{
	RUN(test_a_session_begins_within_four_seconds_at_9600_baud);
	RUN(test_a_handshake_has_its_time_at_600_baud);
	RUN(test_heartbeats_keep_an_idle_session);
	RUN(test_a_long_message_does_not_end_its_session);
	RUN(test_a_short_message_overtakes_a_long_one);
	RUN(test_a_key_that_is_not_expected_gets_no_session);
	RUN(test_a_line_with_a_session_is_dialled_no_second_time);
	RUN(test_a_dead_line_ends_the_session_at_both_ends_and_a_new_one_begins);
	RUN(test_a_device_that_breaks_takes_its_session_along);
	RUN(test_the_last_words_of_a_closed_session_arrive);
	RUN(test_the_last_words_arrive_behind_what_waits_for_a_slow_line);
	RUN(test_last_words_that_never_arrive_free_the_line_after_a_while);
	return check_done();
}
