/* SPDX-License-Identifier: Apache-2.0 */
#include "content/get/rarest.h"

#include "support/check.h"

#define CHUNKS 163u

static struct rarest order;
static bool is_gone[CHUNKS];
static uint64_t first_held, last_held; /* what the source at hand has */
static uint64_t rare;

static bool may_be_asked(void *arg, uint64_t idx)
{
	(void)arg;
	return !is_gone[idx] && idx >= first_held && idx <= last_held;
}

static uint16_t rank_of(void *arg, uint64_t idx)
{
	(void)arg;
	return idx == rare ? 1 : 3;
}

static uint64_t pick(void)
{
	uint16_t rank;
	uint64_t idx = rarest_pick(&order, may_be_asked, NULL, &rank);

	if (idx != RAREST_NONE) {
		rarest_take(&order, idx);
		is_gone[idx] = true;
	}
	return idx;
}

static void begin(uint64_t seed)
{
	memset(is_gone, 0, sizeof(is_gone));
	first_held = 0;
	last_held = CHUNKS - 1;
	(void)!rarest_begin(&order, CHUNKS, seed);
}

static void test_every_chunk_is_picked_once_in_order(void)
{
	unsigned jump_cnt = 0;
	uint64_t last;

	begin(CHUNKS + 48);
	last = pick();
	CHECK_EQ(last, 48);
	for (unsigned i = 1; i < CHUNKS; i++) {
		uint64_t idx = pick();

		CHECK(idx < CHUNKS);
		jump_cnt += idx != last + 1;
		last = idx;
	}
	CHECK_EQ(jump_cnt, 1); /* from the end to the beginning */
	CHECK_EQ(pick(), RAREST_NONE);
	rarest_fini(&order);
}

static void test_the_rarest_comes_first(void)
{
	begin(0);
	rare = 70;
	rarest_sort(&order, rank_of, NULL);
	CHECK_EQ(pick(), 70);
	CHECK_EQ(pick(), 71);
	rarest_fini(&order);
}

static void test_what_a_source_has_not_is_not_picked_for_it(void)
{
	begin(0);
	rare = 70;
	rarest_sort(&order, rank_of, NULL);
	first_held = 20;
	last_held = 21;
	CHECK_EQ(pick(), 20);
	CHECK_EQ(pick(), 21);
	CHECK_EQ(pick(), RAREST_NONE);
	last_held = CHUNKS - 1;
	CHECK_EQ(pick(), 70);
	rarest_fini(&order);
}

static void test_what_is_given_back_is_picked_again(void)
{
	begin(0);
	while (pick() != RAREST_NONE)
		;
	rarest_give_back(&order, 40);
	is_gone[40] = false;
	CHECK_EQ(pick(), 40);
	CHECK_EQ(pick(), RAREST_NONE);
	rarest_fini(&order);
}

static bool always(void *arg, uint64_t idx)
{
	(void)arg, (void)idx;
	return true;
}

static void test_a_long_file_has_longer_runs_not_more(void)
{
	uint16_t rank;

	CHECK_EQ(rarest_begin(&order, RAREST_RUNS_MAX, 0), 0);
	CHECK_EQ(order.run_cnt, RAREST_RUNS_MAX);
	CHECK_EQ(rarest_begin(&order, RAREST_RUNS_MAX + 1, 5), 0);
	CHECK_EQ(order.run_cnt, RAREST_RUNS_MAX / 2 + 1);
	CHECK_EQ(rarest_pick(&order, always, NULL, &rank), 5 * 2);
	CHECK_EQ(rarest_begin(&order, 2, UINT64_MAX), 0);
	CHECK_EQ(rarest_pick(&order, always, NULL, &rank), 1);
	rarest_fini(&order);
}

int main(void)
{
	RUN(test_every_chunk_is_picked_once_in_order);
	RUN(test_the_rarest_comes_first);
	RUN(test_what_a_source_has_not_is_not_picked_for_it);
	RUN(test_what_is_given_back_is_picked_again);
	RUN(test_a_long_file_has_longer_runs_not_more);
	return check_done();
}
