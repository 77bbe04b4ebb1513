/* SPDX-License-Identifier: Apache-2.0 */
/* Whose call is next at a program that is busy. */
#include "provider/turns.h"

#include <string.h>

#include "base/arena.h"
#include "support/check.h"

#define MS	 1000000ull
#define ITEM_CNT 256

static struct arena arena;
static struct pool callers;
static struct turns turns;
static struct turns_item items[ITEM_CNT], *victim;

static void turns_make(void)
{
	memset(items, 0, sizeof(items));
	if (arena_open(&arena, 1 << 20) < 0 ||
	    pool_init(&callers, &arena, turns_caller_len(), TURNS_CAP) < 0)
		abort();
	turns_init(&turns, &callers);
}

static int push_len(unsigned i, uint8_t caller, size_t len, uint64_t now_ns)
{
	uint8_t key[TURNS_KEY_LEN] = {caller};

	return turns_push(&turns, &items[i], key, len, now_ns, &victim);
}

static int push(unsigned i, uint8_t caller, uint64_t now_ns)
{
	return push_len(i, caller, 0, now_ns);
}

static int pop(uint64_t now_ns)
{
	struct turns_item *item = turns_pop(&turns, now_ns);

	return item ? (int)(item - items) : -1;
}

static void test_a_caller_that_floods_waits_for_itself_alone(void)
{
	unsigned place = 0;

	turns_make();
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(push(i, 1, 0), 0);
	CHECK_EQ(push(100, 2, 0), 0);
	/* A turn is of 4 empty calls: then it is the other one's. */
	while (pop(MS) != 100)
		place++;
	CHECK_EQ(place, TURNS_QUANTUM_LEN / TURNS_CALL_LEN);
	arena_close(&arena);
}

static void test_large_calls_cost_more_than_small_ones(void)
{
	unsigned large = 0, small = 0;

	turns_make();
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(push_len(i, 1, 12 * 1024, 0), 0);
	for (unsigned i = 10; i < 30; i++)
		CHECK_EQ(push(i, 2, 0), 0);
	for (unsigned i = 0; i < 15; i++) {
		if (pop(MS) < 10)
			large++;
		else
			small++;
	}
	CHECK_EQ(large, 3);
	CHECK_EQ(small, 12);
	arena_close(&arena);
}

/* One of a megabyte is served after as many rounds as it has quanta, and not never. */
static void test_a_call_larger_than_a_turn_is_served(void)
{
	turns_make();
	CHECK_EQ(push_len(0, 1, 1 << 20, 0), 0);
	CHECK_EQ(push(1, 2, 0), 0);
	CHECK_EQ(pop(MS), 1);
	CHECK_EQ(pop(MS), 0);
	CHECK_EQ(pop(MS), -1);
	arena_close(&arena);
}

static void test_the_oldest_goes_first_until_the_queue_stands(void)
{
	turns_make();
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(push(i, 1, i * 10 * MS), 0);
	CHECK_EQ(pop(99 * MS), 0);
	CHECK_EQ(pop(109 * MS), 1);
	CHECK_EQ(pop(120 * MS), 3); /* the oldest waits since 20 ms: 100 ms */
	CHECK_EQ(pop(121 * MS), 2);
	arena_close(&arena);
}

static void test_a_full_queue_takes_from_the_caller_with_most(void)
{
	turns_make();
	for (unsigned i = 0; i < TURNS_CAP; i++)
		CHECK_EQ(push(i, 1, i), 0);
	CHECK_EQ(push(100, 1, 50), WEFT_EFULL);
	CHECK(!items[100].caller);
	CHECK_EQ(turns.refused_cnt, 1);
	CHECK_EQ(push(101, 2, 50), 0);
	CHECK(victim == &items[0]);
	CHECK(!items[0].caller);
	CHECK_EQ(turns.cnt, TURNS_CAP);
	CHECK_EQ(turns.evicted_cnt, 1);
	/* Down to an even share, and not below it. */
	for (unsigned i = 1; i < TURNS_CAP / 2; i++)
		CHECK_EQ(push(101 + i, 2, 50), 0);
	CHECK_EQ(push(150, 2, 50), WEFT_EFULL);
	CHECK_EQ(push(151, 1, 50), WEFT_EFULL);
	CHECK_EQ(turns.evicted_cnt, TURNS_CAP / 2);
	arena_close(&arena);
}

static void test_as_many_callers_as_places_wait(void)
{
	turns_make();
	for (unsigned i = 0; i < TURNS_CAP; i++)
		CHECK_EQ(push(i, (uint8_t)(i + 1), 0), 0);
	CHECK_EQ(push(100, 99, 0), WEFT_EFULL);
	for (unsigned i = 0; i < TURNS_CAP; i++)
		CHECK_EQ(pop(MS), i);
	CHECK_EQ(callers.used_cnt, 0);
	arena_close(&arena);
}

static void test_a_call_that_is_taken_back_waits_no_more(void)
{
	unsigned cnt = 0;

	turns_make();
	CHECK_EQ(push(0, 1, 0), 0);
	CHECK_EQ(push(1, 1, 0), 0);
	CHECK_EQ(push(2, 2, 0), 0);
	for (struct turns_item *item = turns_next(&turns, NULL); item;
	     item = turns_next(&turns, item))
		cnt++;
	CHECK_EQ(cnt, 3);
	turns_remove(&turns, &items[0]);
	turns_remove(&turns, &items[0]);
	turns_remove(&turns, &items[2]);
	CHECK_EQ(callers.used_cnt, 1);
	CHECK_EQ(pop(MS), 1);
	CHECK_EQ(pop(MS), -1);
	CHECK_EQ(callers.used_cnt, 0);
	arena_close(&arena);
}

/* 100 calls a second of ten callers at a program of 20 a second, and one caller with 1,000 more. */
static void test_honest_callers_are_served_beside_a_flood(void)
{
	unsigned served[11] = {0}, asked[11] = {0};
	uint8_t caller_of[ITEM_CNT];
	unsigned next = 0;

	turns_make();
	for (uint64_t ms = 0; ms < 10000; ms++) {
		uint8_t caller = ms % 500 < 10 ? (uint8_t)(ms % 10 + 1) : 0;

		/* A place of items whose call was served, refused or evicted. */
		while (items[next % ITEM_CNT].caller)
			next++;
		caller_of[next % ITEM_CNT] = caller;
		asked[caller]++;
		(void)push(next % ITEM_CNT, caller, ms * MS);
		next++;
		if (ms % 50 == 49) {
			int got = pop(ms * MS);

			if (got >= 0)
				served[caller_of[got]]++;
		}
	}
	for (unsigned i = 1; i <= 10; i++)
		CHECK(served[i] >= 8 && served[i] <= asked[i]);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_a_caller_that_floods_waits_for_itself_alone);
	RUN(test_large_calls_cost_more_than_small_ones);
	RUN(test_a_call_larger_than_a_turn_is_served);
	RUN(test_the_oldest_goes_first_until_the_queue_stands);
	RUN(test_a_full_queue_takes_from_the_caller_with_most);
	RUN(test_as_many_callers_as_places_wait);
	RUN(test_a_call_that_is_taken_back_waits_no_more);
	RUN(test_honest_callers_are_served_beside_a_flood);
	return check_done();
}
