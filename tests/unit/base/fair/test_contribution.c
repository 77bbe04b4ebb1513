/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fair/contribution.h"

#include <string.h>

#include "support/check.h"

#define START_S 1700000000ull
#define MB	1000000ull

static void test_each_of_the_five_has_its_points(void)
{
	struct contribution c = {0};

	CHECK_EQ(contribution_score(&c), 0);
	contribution_answered(&c, true, START_S);
	/* An eighth of five points, and a minute of half a point an hour. */
	CHECK_EQ(contribution_score(&c), 625 + 8);
	c = (struct contribution){0};
	for (unsigned i = 0; i < 60; i++) {
		contribution_given(&c, 0, START_S + i * 60);
		contribution_age(&c, START_S + i * 60);
	}
	/* Half a point, of which the hour took its part. */
	CHECK(contribution_score(&c) > 480 && contribution_score(&c) < 500);
	c = (struct contribution){0};
	contribution_relayed(&c, 3, 10 * MB, START_S);
	/* Flows, 0.2 a megabyte, twice what was taken, and the minute. */
	CHECK_EQ(contribution_score(&c), 3000 + 2000 + 3000 + 8);
	contribution_taken(&c, 5 * MB, START_S);
	CHECK_EQ(contribution_score(&c), 3000 + 2000 + 3000 + 8);
	contribution_taken(&c, 15 * MB, START_S);
	CHECK_EQ(contribution_score(&c), 3000 + 2000 + 750 + 8);
}

static void test_a_score_at_rest_loses_a_twentieth_an_hour(void)
{
	struct contribution c = {0};
	uint32_t before;

	for (unsigned i = 0; i < 40; i++)
		contribution_answered(&c, true, START_S);
	contribution_relayed(&c, 90, 20 * MB, START_S);
	before = contribution_score(&c);
	contribution_age(&c, START_S + 59);
	CHECK_EQ(contribution_score(&c), before);
	contribution_age(&c, START_S + 3600);
	CHECK(contribution_score(&c) <= before * 95 / 100 + 1);
	CHECK(contribution_score(&c) + 2 >= before * 95 / 100);
	/* In steps of minutes it comes to the same. */
	for (unsigned i = 0; i < 60; i++)
		contribution_age(&c, START_S + 3600 + (i + 1) * 60);
	CHECK(contribution_score(&c) <= (uint64_t)before * 9025 / 10000 + 1);
	CHECK(contribution_score(&c) + 3 >= (uint64_t)before * 9025 / 10000);
}

static void test_a_minute_with_work_counts_once(void)
{
	struct contribution c = {0};

	for (unsigned i = 0; i < 1000; i++)
		contribution_given(&c, 0, START_S);
	CHECK_EQ(c.uptime, 16667);
	contribution_taken(&c, 0, START_S + 60);
	contribution_answered(&c, false, START_S + 60);
	CHECK(c.uptime < 16667); /* neither is work */
}

static void test_success_follows_the_latest_requests(void)
{
	struct contribution c = {0};

	for (unsigned i = 0; i < 100; i++)
		contribution_answered(&c, true, START_S);
	CHECK(c.success > 999900 && c.success <= 1000000);
	for (unsigned i = 0; i < 8; i++)
		contribution_answered(&c, false, START_S);
	CHECK(c.success > 330000 && c.success < 350000);
	for (unsigned i = 0; i < 200; i++)
		contribution_answered(&c, false, START_S);
	CHECK(c.success < 8);
}

/* One byte after a long time brings nothing of the former ratio back. */
static void test_give_take_moves_by_as_much_as_was_given(void)
{
	struct contribution c = {0};
	uint64_t rested;

	contribution_given(&c, 100 * MB, START_S);
	CHECK_EQ(c.give_take, CONTRIBUTION_RATIO_MAX);
	contribution_age(&c, START_S + 48 * 3600);
	rested = c.give_take;
	CHECK(rested < 200000);
	contribution_given(&c, 1, START_S + 48 * 3600);
	CHECK(c.give_take <= rested + 2);
	contribution_given(&c, MB, START_S + 48 * 3600);
	CHECK_EQ(c.give_take, CONTRIBUTION_RATIO_MAX);
}

static void test_a_clock_that_goes_back_takes_nothing_off(void)
{
	struct contribution c = {0};
	uint32_t before;

	contribution_relayed(&c, 5, MB, START_S);
	before = contribution_score(&c);
	contribution_age(&c, START_S - 86400);
	CHECK_EQ(contribution_score(&c), before);
	contribution_relayed(&c, 1, 0, START_S - 86400);
	CHECK_EQ(contribution_score(&c), before + 1000);
	contribution_age(&c, UINT64_MAX);
	CHECK_EQ(contribution_score(&c), 0);
	CHECK_EQ(c.relays, 0);
}

static void test_no_number_overflows(void)
{
	struct contribution c = {0};

	for (unsigned i = 0; i < 10; i++) {
		contribution_relayed(&c, UINT32_MAX, UINT64_MAX, START_S);
		contribution_taken(&c, UINT64_MAX, START_S);
	}
	CHECK_EQ(contribution_score(&c), CONTRIBUTION_MAX);
	CHECK_EQ(c.given, UINT64_MAX / 4);
	CHECK(c.give_take <= CONTRIBUTION_RATIO_MAX);
}

static void test_numbers_that_none_has_are_cut(void)
{
	struct contribution c, again;
	uint64_t numbers[CONTRIBUTION_NUMBER_CNT];

	memset(numbers, 0xff, sizeof(numbers));
	contribution_load(&c, numbers);
	CHECK_EQ(c.success, 1000000);
	CHECK_EQ(c.give_take, CONTRIBUTION_RATIO_MAX);
	CHECK_EQ(c.given, UINT64_MAX / 4);
	contribution_answered(&c, true, START_S);
	CHECK_EQ(c.success, 1000000);
	for (unsigned i = 0; i < CONTRIBUTION_NUMBER_CNT; i++)
		numbers[i] = i + 1;
	contribution_load(&c, numbers);
	memset(numbers, 0, sizeof(numbers));
	contribution_store(&c, numbers);
	contribution_load(&again, numbers);
	CHECK_MEM(&c, &again, sizeof(c));
	CHECK_EQ(again.give_take, 9);
}

int main(void)
{
	RUN(test_each_of_the_five_has_its_points);
	RUN(test_a_score_at_rest_loses_a_twentieth_an_hour);
	RUN(test_a_minute_with_work_counts_once);
	RUN(test_success_follows_the_latest_requests);
	RUN(test_give_take_moves_by_as_much_as_was_given);
	RUN(test_a_clock_that_goes_back_takes_nothing_off);
	RUN(test_no_number_overflows);
	RUN(test_numbers_that_none_has_are_cut);
	return check_done();
}
