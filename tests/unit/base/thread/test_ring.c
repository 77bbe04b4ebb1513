/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>

#include "base/thread/ring.h"
#include "support/check.h"

#define CAP	 8
#define ITEM_CNT 200000u

static void *item_of(uintptr_t number)
{
	return (void *)number;
}

static void test_a_full_ring_refuses_and_keeps_order(void)
{
	struct ring *ring = ring_new(CAP);

	for (uintptr_t round = 1; round < 5; round++) {
		for (uintptr_t i = 1; i <= CAP; i++)
			CHECK_EQ(ring_push(ring, item_of(round * 100 + i)), 0);
		CHECK_EQ(ring_push(ring, item_of(1)), WEFT_EFULL);
		CHECK_EQ(ring_fill(ring), CAP);
		for (uintptr_t i = 1; i <= CAP; i++)
			CHECK(ring_pop(ring) == item_of(round * 100 + i));
		CHECK(ring_pop(ring) == NULL);
		CHECK_EQ(ring_fill(ring), 0);
	}
	ring_free(ring);
}

static void test_a_closed_ring_gives_nothing_more(void)
{
	struct ring *ring = ring_new(CAP);

	CHECK_EQ(ring_push(ring, item_of(1)), 0);
	ring_close(ring);
	CHECK(ring_pop(ring) == NULL);
	ring_free(ring);
}

static void *produce(void *arg)
{
	for (uintptr_t i = 1; i <= ITEM_CNT; i++)
		while (ring_push(arg, item_of(i)) < 0)
			sched_yield();
	return NULL;
}

/* With SAN=thread this is the proof of the memory order. */
static void test_two_threads_pass_every_item_once_and_in_order(void)
{
	struct ring *ring = ring_new(CAP);
	pthread_t producer;
	uintptr_t want = 1;

	CHECK_EQ(pthread_create(&producer, NULL, produce, ring), 0);
	while (want <= ITEM_CNT) {
		void *item = ring_pop(ring);

		if (!item) {
			sched_yield();
			continue;
		}
		if (item != item_of(want))
			break;
		want++;
	}
	pthread_join(producer, NULL);
	CHECK_EQ(want, ITEM_CNT + 1);
	ring_free(ring);
}

int main(void)
{
	RUN(test_a_full_ring_refuses_and_keeps_order);
	RUN(test_a_closed_ring_gives_nothing_more);
	RUN(test_two_threads_pass_every_item_once_and_in_order);
	return check_done();
}
