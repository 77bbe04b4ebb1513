/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of relay flows in connections: what arrives, and what a queue drops. */
#include "support/check.h"
#include "support/tcp_net.h"

#include "base/monotonic.h"

struct duo {
	struct tcp_net net;
	struct tcp_node *a, *b;
	struct tcp_test_conn *conn;
};

static void duo_init(struct duo *duo, uint32_t dgram_cap)
{
	struct tcp_config config;

	tcp_net_config(&config);
	config.dgram_cap = dgram_cap;
	tcp_net_init(&duo->net, 1);
	duo->a = tcp_net_add(&duo->net, 1, &config);
	duo->b = tcp_net_add(&duo->net, 2, &config);
	duo->conn = tcp_net_connect(duo->a, duo->b);
	CHECK(duo->conn);
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

/* A datagram of len that begins with number. */
static int node_say(struct tcp_node *from, const struct tcp_node *to, uint32_t number, size_t len)
{
	static uint8_t data[TCP_DGRAM_LEN_MAX + 1];
	const struct tcp_dgram dgram = {.data = data, .len = len, .ecn = 2};

	memset(data, 0x77, sizeof(data));
	memcpy(data, &number, sizeof(number));
	return tcp_engine_send_dgram(from->engine, tcp_node_key(to), &dgram, from->net->now_ns);
}

static uint32_t heard_number(const struct tcp_node *node)
{
	uint32_t number;

	memcpy(&number, node->dgram, sizeof(number));
	return number;
}

static void test_a_datagram_arrives_as_it_was_sent_in_both_directions(void)
{
	struct duo duo;

	duo_init(&duo, 64);
	CHECK_EQ(node_say(duo.a, duo.b, 7, 100), 0);
	CHECK_EQ(node_say(duo.b, duo.a, 9, TCP_DGRAM_LEN_MAX), 0);
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->dgram_cnt, 1);
	CHECK_EQ(duo.b->dgram_len, 100);
	CHECK_EQ(duo.b->dgram_ecn, 2);
	CHECK_EQ(heard_number(duo.b), 7);
	CHECK_MEM(duo.b->dgram_key, tcp_node_key(duo.a), TRANSPORT_KEY_LEN);
	CHECK_EQ(duo.a->dgram_cnt, 1);
	CHECK_EQ(duo.a->dgram_len, TCP_DGRAM_LEN_MAX);
	CHECK_EQ(duo.a->dgram[TCP_DGRAM_LEN_MAX - 1], 0x77);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, 0);
	tcp_net_fini(&duo.net);
}

static void test_one_byte_more_than_a_frame_carries_is_refused(void)
{
	struct duo duo;

	duo_init(&duo, 64);
	CHECK_EQ(node_say(duo.a, duo.b, 1, TCP_DGRAM_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(node_say(duo.a, duo.b, 1, 0), WEFT_EFULL);
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->dgram_cnt, 0);
	tcp_net_fini(&duo.net);
}

static void test_a_key_without_a_connection_gets_nothing(void)
{
	struct duo duo;
	struct tcp_node *stranger;

	duo_init(&duo, 64);
	stranger = tcp_net_add(&duo.net, 3, NULL);
	CHECK_EQ(node_say(duo.a, stranger, 1, 100), WEFT_EABSENT);
	duo.a->transport->ops->close(duo.conn->conn, 0, "done");
	CHECK_EQ(node_say(duo.a, duo.b, 1, 100), WEFT_EABSENT);
	duo_wait(&duo, 5 * NS_PER_S);
	CHECK_EQ(node_say(duo.b, duo.a, 1, 100), WEFT_EABSENT);
	CHECK_EQ(stats_of(duo.a).dgram_absent_cnt, 2);
	tcp_net_fini(&duo.net);
}

static void test_the_older_connection_of_a_key_takes_over_when_the_newest_ends(void)
{
	struct tcp_test_conn *newest;
	struct duo duo;

	duo_init(&duo, 64);
	newest = tcp_net_connect(duo.a, duo.b);
	CHECK(newest);
	CHECK_EQ(node_say(duo.a, duo.b, 1, 100), 0);
	duo.a->transport->ops->close(newest->conn, 0, "done");
	duo_wait(&duo, 5 * NS_PER_S);
	CHECK_EQ(node_say(duo.a, duo.b, 2, 100), 0);
	CHECK_EQ(node_say(duo.b, duo.a, 3, 100), 0);
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(heard_number(duo.b), 2);
	CHECK_EQ(heard_number(duo.a), 3);
	tcp_net_fini(&duo.net);
}

static void test_the_oldest_of_a_full_queue_makes_room(void)
{
	struct duo duo;

	duo_init(&duo, 4096);
	for (uint32_t i = 0; i < TCP_DGRAM_QUEUE_MAX; i++)
		CHECK_EQ(node_say(duo.a, duo.b, i, 100), 0);
	CHECK_EQ(stats_of(duo.a).dgram_full_cnt, 0);
	CHECK_EQ(node_say(duo.a, duo.b, TCP_DGRAM_QUEUE_MAX, 100), 0);
	CHECK_EQ(stats_of(duo.a).dgram_full_cnt, 1);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, TCP_DGRAM_QUEUE_MAX);
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->dgram_cnt, TCP_DGRAM_QUEUE_MAX);
	CHECK_EQ(heard_number(duo.b), TCP_DGRAM_QUEUE_MAX);
	tcp_net_fini(&duo.net);
}

static void test_a_client_that_reads_loses_nothing_beside_one_that_never_reads(void)
{
	struct tcp_node *reader;
	struct duo duo;

	duo_init(&duo, 128);
	reader = tcp_net_add(&duo.net, 3, NULL);
	CHECK(tcp_net_connect(duo.a, reader));
	/* What never leaves the link: half of the free places is the most that one queue holds. */
	duo.net.is_cut = true;
	for (uint32_t i = 0; i < 2000; i++)
		CHECK_EQ(node_say(duo.a, duo.b, i, TCP_DGRAM_LEN_MAX), 0);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, 64);
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(node_say(duo.a, reader, i, TCP_DGRAM_LEN_MAX), 0);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, 96);
	duo.net.is_cut = false;
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(reader->dgram_cnt, 32);
	CHECK_EQ(heard_number(reader), 31);
	tcp_net_fini(&duo.net);
}

static void test_the_oldest_of_a_taken_pool_makes_room_for_a_newcomer(void)
{
	struct tcp_node *other;
	struct duo duo;

	duo_init(&duo, 1);
	other = tcp_net_add(&duo.net, 3, NULL);
	CHECK(tcp_net_connect(duo.a, other));
	duo.net.is_cut = true;
	CHECK_EQ(node_say(duo.a, duo.b, 1, 100), 0);
	CHECK_EQ(node_say(duo.a, other, 1, 100), 0);
	CHECK_EQ(stats_of(duo.a).dgram_full_cnt, 1);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, 1);
	duo.net.is_cut = false;
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->dgram_cnt, 0);
	CHECK_EQ(other->dgram_cnt, 1);
	tcp_net_fini(&duo.net);
}

static void test_a_datagram_that_waited_two_seconds_is_not_sent(void)
{
	struct duo duo;

	duo_init(&duo, 4096);
	/* The link is full of what nothing reads, so the queue waits. */
	duo.net.buffer_len = 1;
	for (uint32_t i = 0; i < 300; i++)
		CHECK_EQ(node_say(duo.a, duo.b, i, 1000), 0);
	duo.net.is_cut = true;
	duo_wait(&duo, 2 * NS_PER_S - NS_PER_MS);
	CHECK_EQ(stats_of(duo.a).dgram_late_cnt, 0);
	duo_wait(&duo, NS_PER_MS);
	CHECK_EQ(node_say(duo.a, duo.b, 999, 1000), 0);
	CHECK(stats_of(duo.a).dgram_late_cnt > 100);
	CHECK_EQ(stats_of(duo.a).dgram_cnt, 1);
	duo.net.buffer_len = 256 << 10;
	duo.net.is_cut = false;
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(heard_number(duo.b), 999);
	tcp_net_fini(&duo.net);
}

static void test_streams_and_datagrams_share_records(void)
{
	struct tcp_test_stream *stream;
	struct duo duo;

	duo_init(&duo, 4096);
	stream = tcp_net_open(duo.conn, 1 << 20);
	CHECK(stream);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 20; i++)
			CHECK_EQ(node_say(duo.a, duo.b, round * 20 + i, 1200), 0);
		duo_wait(&duo, 20 * NS_PER_MS);
	}
	duo_wait(&duo, NS_PER_S);
	CHECK_EQ(duo.b->dgram_cnt, 400);
	CHECK(stream->has_fin && !stream->is_damaged);
	CHECK_EQ(stream->reply, 1 << 20);
	tcp_net_fini(&duo.net);
}

int main(void)
{
	RUN(test_a_datagram_arrives_as_it_was_sent_in_both_directions);
	RUN(test_one_byte_more_than_a_frame_carries_is_refused);
	RUN(test_a_key_without_a_connection_gets_nothing);
	RUN(test_the_older_connection_of_a_key_takes_over_when_the_newest_ends);
	RUN(test_the_oldest_of_a_full_queue_makes_room);
	RUN(test_a_client_that_reads_loses_nothing_beside_one_that_never_reads);
	RUN(test_the_oldest_of_a_taken_pool_makes_room_for_a_newcomer);
	RUN(test_a_datagram_that_waited_two_seconds_is_not_sent);
	RUN(test_streams_and_datagrams_share_records);
	return check_done();
}
