/* SPDX-License-Identifier: Apache-2.0 */
/* The rings with the test in the kernel's place. */
#include <pthread.h>

#include "net/xdp/xsk_ring.h"
#include "support/check.h"

#define CNT 8u

struct shared {
	uint32_t producer, consumer, flags;
	uint64_t addrs[CNT];
	struct xdp_desc descs[CNT];
};

static struct xsk_ring producing(struct shared *shared)
{
	struct xsk_ring ring = {.own = &shared->producer,
				.peer = &shared->consumer,
				.flags = &shared->flags,
				.entries = shared->addrs,
				.cnt = CNT};

	xsk_ring_init_producer(&ring);
	return ring;
}

static struct xsk_ring consuming(struct shared *shared)
{
	struct xsk_ring ring = {.own = &shared->consumer,
				.peer = &shared->producer,
				.flags = &shared->flags,
				.entries = shared->addrs,
				.cnt = CNT};

	xsk_ring_init_consumer(&ring);
	return ring;
}

static void test_a_full_ring_refuses_one_more(void)
{
	struct shared shared = {0};
	struct xsk_ring ring = producing(&shared);
	uint32_t idx;

	CHECK_EQ(xsk_ring_reserve(&ring, CNT + 1, &idx), CNT);
	xsk_ring_commit(&ring);
	CHECK_EQ(xsk_ring_reserve(&ring, 1, &idx), 0);
	shared.consumer = 1;
	CHECK_EQ(xsk_ring_reserve(&ring, 2, &idx), 1);
	CHECK_EQ(idx, CNT);
	CHECK(xsk_ring_addr(&ring, idx) == &shared.addrs[0]);
}

static void test_what_is_reserved_shows_only_when_committed(void)
{
	struct shared shared = {0};
	struct xsk_ring ring = producing(&shared);
	uint32_t idx;

	CHECK_EQ(xsk_ring_reserve(&ring, 3, &idx), 3);
	CHECK_EQ(shared.producer, 0);
	CHECK_EQ(xsk_ring_reserve(&ring, 2, &idx), 2);
	CHECK_EQ(idx, 3);
	xsk_ring_commit(&ring);
	CHECK_EQ(shared.producer, 5);
}

static void test_what_is_peeked_is_not_given_back_before_release(void)
{
	struct shared shared = {.producer = 5};
	struct xsk_ring ring = consuming(&shared);
	uint32_t idx;

	CHECK_EQ(xsk_ring_peek(&ring, 2, &idx), 2);
	CHECK_EQ(shared.consumer, 0);
	CHECK_EQ(xsk_ring_peek(&ring, 9, &idx), 3);
	CHECK_EQ(idx, 2);
	CHECK_EQ(xsk_ring_peek(&ring, 1, &idx), 0);
	xsk_ring_release(&ring);
	CHECK_EQ(shared.consumer, 5);
}

static void test_indices_wrap_past_32_bits(void)
{
	struct shared shared = {.producer = UINT32_MAX - 2, .consumer = UINT32_MAX - 2};
	struct xsk_ring in = producing(&shared), out = consuming(&shared);
	uint64_t wrote = 0, read = 0;
	uint32_t idx;

	for (int round = 0; round < 100; round++) {
		uint32_t got = xsk_ring_reserve(&in, 1 + (uint32_t)round % CNT, &idx);

		for (uint32_t i = 0; i < got; i++)
			*xsk_ring_addr(&in, idx + i) = wrote++;
		xsk_ring_commit(&in);
		got = xsk_ring_peek(&out, 1 + (uint32_t)round % 5, &idx);
		for (uint32_t i = 0; i < got; i++)
			CHECK_EQ(*xsk_ring_addr(&out, idx + i), read++);
		xsk_ring_release(&out);
		CHECK(wrote - read <= CNT);
	}
	CHECK(wrote > 100);
}

static void test_need_of_a_call_is_read_from_the_flag(void)
{
	struct shared shared = {0};
	struct xsk_ring ring = producing(&shared);

	CHECK(!xsk_ring_wants_wakeup(&ring));
	shared.flags = XDP_RING_NEED_WAKEUP;
	CHECK(xsk_ring_wants_wakeup(&ring));
}

#define CROSS_CNT 200000u

static void *cross_produce(void *arg)
{
	struct xsk_ring ring = producing(arg);
	uint32_t idx, sent = 0;

	while (sent < CROSS_CNT) {
		uint32_t got = xsk_ring_reserve(&ring, CROSS_CNT - sent < 3 ? 1 : 3, &idx);

		for (uint32_t i = 0; i < got; i++)
			*xsk_ring_addr(&ring, idx + i) = sent++;
		xsk_ring_commit(&ring);
	}
	return NULL;
}

static void test_order_and_count_hold_across_threads(void)
{
	struct shared shared = {0};
	struct xsk_ring ring = consuming(&shared);
	uint32_t idx, got, read = 0;
	bool is_in_order = true;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, cross_produce, &shared), 0);
	while (read < CROSS_CNT) {
		got = xsk_ring_peek(&ring, CNT, &idx);
		for (uint32_t i = 0; i < got; i++)
			is_in_order &= *xsk_ring_addr(&ring, idx + i) == read++;
		xsk_ring_release(&ring);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(is_in_order);
}

int main(void)
{
	RUN(test_a_full_ring_refuses_one_more);
	RUN(test_what_is_reserved_shows_only_when_committed);
	RUN(test_what_is_peeked_is_not_given_back_before_release);
	RUN(test_indices_wrap_past_32_bits);
	RUN(test_need_of_a_call_is_read_from_the_flag);
	RUN(test_order_and_count_hold_across_threads);
	return check_done();
}
