/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "net/udp/handover.h"
#include "support/check.h"

static struct dgram dgram_of(uint8_t *data, size_t len)
{
	struct dgram dgram = {.data = data, .len = len, .ecn = 2};

	dgram.remote = (struct addr){.ip = {192, 0, 2, 1}, .port = 7, .family = ADDR_IPV4};
	dgram.local = (struct addr){.ip = {192, 0, 2, 2}, .port = 8, .family = ADDR_IPV4};
	return dgram;
}

static bool is_readable(const struct packet_rx *rx)
{
	struct pollfd ready = {.fd = rx->fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

static void test_given_datagram_arrives_as_it_was(void)
{
	uint8_t data[1200] = "hello";
	struct dgram given = dgram_of(data, sizeof(data)), got[4];
	struct handover *handover;
	struct packet_rx *rx;

	CHECK_EQ(net_handover_new(3, &handover), 0);
	rx = net_handover_rx(handover, 2);
	CHECK_EQ(net_handover_give(handover, 0, 2, &given), 0);
	memset(data, 0xff, sizeof(data)); /* the giver's buffer is its own again */
	CHECK_EQ(packet_rx_burst(net_handover_rx(handover, 1), got, 4), 0);
	CHECK_EQ(packet_rx_burst(rx, got, 4), 1);
	CHECK_EQ(got[0].len, 1200);
	CHECK_STR((const char *)got[0].data, "hello");
	CHECK(addr_equal(&got[0].remote, &given.remote));
	CHECK(addr_equal(&got[0].local, &given.local));
	CHECK_EQ(got[0].ecn, 2);
	CHECK_EQ(rx->counters.dgram_cnt, 1);
	CHECK_EQ(rx->counters.byte_cnt, 1200);
	net_handover_free(handover);
}

static void test_flush_wakes_only_workers_with_new_datagrams(void)
{
	uint8_t data[100] = {0};
	struct dgram given = dgram_of(data, sizeof(data)), got[4];
	struct handover *handover;
	struct packet_rx *rx;

	CHECK_EQ(net_handover_new(3, &handover), 0);
	rx = net_handover_rx(handover, 1);
	CHECK_EQ(net_handover_give(handover, 0, 1, &given), 0);
	CHECK(!is_readable(rx));
	net_handover_flush(handover, 0);
	CHECK(is_readable(rx));
	CHECK(!is_readable(net_handover_rx(handover, 2)));
	CHECK_EQ(packet_rx_burst(rx, got, 4), 1);
	CHECK_EQ(packet_rx_burst(rx, got, 4), 0);
	CHECK(!is_readable(rx));
	net_handover_flush(handover, 0);
	CHECK(!is_readable(rx));
	net_handover_free(handover);
}

static void test_one_flush_wakes_all_workers_with_new_datagrams_once(void)
{
	uint8_t data[100] = {0};
	struct dgram given = dgram_of(data, sizeof(data));
	struct handover *handover;
	uint64_t wakes;

	CHECK_EQ(net_handover_new(3, &handover), 0);
	CHECK_EQ(net_handover_worker_cnt(handover), 3);
	CHECK_EQ(net_handover_give(handover, 0, 1, &given), 0);
	CHECK_EQ(net_handover_give(handover, 0, 2, &given), 0);
	CHECK_EQ(net_handover_give(handover, 0, 2, &given), 0);
	/* Another giver's flush wakes no worker for this one. */
	net_handover_flush(handover, 1);
	CHECK(!is_readable(net_handover_rx(handover, 2)));
	net_handover_flush(handover, 0);
	net_handover_flush(handover, 0);
	for (unsigned to = 1; to < 3; to++) {
		CHECK_EQ(read(net_handover_rx(handover, to)->fd, &wakes, sizeof(wakes)),
			 sizeof(wakes));
		CHECK_EQ(wakes, 1);
	}
	CHECK(!is_readable(net_handover_rx(handover, 0)));
	net_handover_free(handover);
}

static void test_bursts_take_from_all_givers_in_turn(void)
{
	uint8_t data[2] = {0};
	struct dgram given = dgram_of(data, sizeof(data)), got[PACKET_BURST_MAX];
	unsigned cnts[3] = {0};
	struct handover *handover;
	struct packet_rx *rx;

	CHECK_EQ(net_handover_new(3, &handover), 0);
	rx = net_handover_rx(handover, 1);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned from = 0; from < 3; from += 2) {
			data[0] = (uint8_t)from;
			CHECK_EQ(net_handover_give(handover, from, 1, &given), 0);
		}
	}
	/* One at a time: the next burst begins with another giver, so that none starves. */
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(packet_rx_burst(rx, got, 1), 1);
		cnts[got[0].data[0]]++;
	}
	CHECK_EQ(cnts[0], 2);
	CHECK_EQ(cnts[2], 2);
	CHECK_EQ(packet_rx_burst(rx, got, PACKET_BURST_MAX), 2);
	CHECK_EQ(rx->counters.dgram_cnt, 6);
	CHECK_EQ(rx->counters.byte_cnt, 12);
	CHECK_EQ(packet_rx_burst(rx, got, PACKET_BURST_MAX), 0);
	net_handover_free(handover);
}

static void test_full_ring_refuses_one_more_until_a_burst_returns(void)
{
	uint8_t data[100] = {0};
	struct dgram given = dgram_of(data, sizeof(data)), got[PACKET_BURST_MAX];
	struct handover *handover;

	CHECK_EQ(net_handover_new(2, &handover), 0);
	for (unsigned i = 0; i < HANDOVER_CAP_CNT; i++)
		CHECK_EQ(net_handover_give(handover, 0, 1, &given), 0);
	CHECK_EQ(net_handover_give(handover, 0, 1, &given), WEFT_EFULL);
	CHECK_EQ(net_handover_dropped_cnt(handover, 0), 1);
	CHECK_EQ(packet_rx_burst(net_handover_rx(handover, 1), got, PACKET_BURST_MAX),
		 HANDOVER_CAP_CNT);
	/* Still lent to the taker. */
	CHECK_EQ(net_handover_give(handover, 0, 1, &given), WEFT_EFULL);
	CHECK_EQ(packet_rx_burst(net_handover_rx(handover, 1), got, PACKET_BURST_MAX), 0);
	CHECK_EQ(net_handover_give(handover, 0, 1, &given), 0);
	/* The other direction has its own ring. */
	CHECK_EQ(net_handover_give(handover, 1, 0, &given), 0);
	net_handover_free(handover);
}

static void test_datagram_of_any_length_up_to_the_limit(void)
{
	static uint8_t data[HANDOVER_DGRAM_LEN_MAX + 1];
	struct dgram given = dgram_of(data, HANDOVER_DGRAM_LEN_MAX), got[1];
	struct handover *handover;

	CHECK_EQ(net_handover_new(2, &handover), 0);
	CHECK_EQ(net_handover_give(handover, 1, 0, &given), 0);
	given.len++;
	CHECK_EQ(net_handover_give(handover, 1, 0, &given), WEFT_ETOOLARGE);
	CHECK_EQ(net_handover_dropped_cnt(handover, 1), 1);
	CHECK_EQ(packet_rx_burst(net_handover_rx(handover, 0), got, 1), 1);
	CHECK_EQ(got[0].len, HANDOVER_DGRAM_LEN_MAX);
	net_handover_free(handover);
}

#define THREAD_DGRAM_CNT 20000u

static void *give_many(void *arg)
{
	struct handover *handover = arg;
	uint32_t data = 0;
	struct dgram given = dgram_of((uint8_t *)&data, sizeof(data));

	while (data < THREAD_DGRAM_CNT) {
		if (net_handover_give(handover, 0, 1, &given) == 0)
			data++;
		net_handover_flush(handover, 0);
	}
	return NULL;
}

static void test_two_threads_lose_and_reorder_nothing(void)
{
	struct dgram got[PACKET_BURST_MAX];
	struct handover *handover;
	uint32_t want = 0, value;
	pthread_t giver;

	CHECK_EQ(net_handover_new(2, &handover), 0);
	CHECK_EQ(pthread_create(&giver, NULL, give_many, handover), 0);
	while (want < THREAD_DGRAM_CNT) {
		struct packet_rx *rx = net_handover_rx(handover, 1);
		unsigned cnt = packet_rx_burst(rx, got, PACKET_BURST_MAX);
		struct pollfd ready = {.fd = rx->fd, .events = POLLIN};

		for (unsigned i = 0; i < cnt; i++, want++) {
			memcpy(&value, got[i].data, sizeof(value));
			CHECK_EQ(value, want);
		}
		if (cnt == 0)
			CHECK_EQ(poll(&ready, 1, 120000), 1);
	}
	CHECK_EQ(pthread_join(giver, NULL), 0);
	net_handover_free(handover);
}

int main(void)
{
	RUN(test_given_datagram_arrives_as_it_was);
	RUN(test_flush_wakes_only_workers_with_new_datagrams);
	RUN(test_one_flush_wakes_all_workers_with_new_datagrams_once);
	RUN(test_bursts_take_from_all_givers_in_turn);
	RUN(test_full_ring_refuses_one_more_until_a_burst_returns);
	RUN(test_datagram_of_any_length_up_to_the_limit);
	RUN(test_two_threads_lose_and_reorder_nothing);
	return check_done();
}
