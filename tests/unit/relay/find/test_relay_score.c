/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/find/relay_score.h"

#include "base/monotonic.h"
#include "support/check.h"

#define MIN_NS	(60 * NS_PER_S)
#define HOUR_NS (60 * MIN_NS)

static void test_a_failure_costs_three_successes(void)
{
	struct relay_score score;

	relay_score_init(&score, 0);
	for (unsigned i = 0; i < 3; i++)
		relay_score_succeeded(&score, NS_PER_MS, 1);
	CHECK_EQ(score.score, 3000);
	relay_score_failed(&score, 1);
	CHECK_EQ(score.score, 0);
	relay_score_failed(&score, 1);
	CHECK_EQ(score.score, -3000);
	CHECK_EQ(score.success_cnt, 3);
	CHECK_EQ(score.failure_cnt, 2);
}

static void test_the_score_stays_within_its_bounds(void)
{
	struct relay_score score;

	relay_score_init(&score, 0);
	for (unsigned i = 0; i < 100; i++)
		relay_score_succeeded(&score, 1, 1);
	CHECK_EQ(score.score, RELAY_SCORE_MAX);
	relay_score_succeeded(&score, 1, 1);
	CHECK_EQ(score.score, RELAY_SCORE_MAX);
	for (unsigned i = 0; i < 68; i++)
		relay_score_failed(&score, 1);
	CHECK_EQ(score.score, -RELAY_SCORE_MAX);
}

static void test_each_hour_takes_a_twentieth(void)
{
	struct relay_score good, bad;

	relay_score_init(&good, 0);
	good.score = 100000;
	bad = good;
	bad.score = -100000;
	relay_score_age(&good, HOUR_NS - 1);
	CHECK_EQ(good.score, 100000);
	relay_score_age(&good, HOUR_NS);
	CHECK_EQ(good.score, 95000);
	/* The half hour is not lost. */
	relay_score_age(&good, HOUR_NS + HOUR_NS / 2);
	relay_score_age(&good, 2 * HOUR_NS);
	CHECK_EQ(good.score, 90250);
	relay_score_age(&bad, 2 * HOUR_NS);
	CHECK_EQ(bad.score, -90250);
	relay_score_age(&good, 1000 * HOUR_NS);
	CHECK_EQ(good.score, 0);
	CHECK_EQ(good.aged_ns, 1000 * HOUR_NS);
	/* A clock that goes back takes nothing. */
	good.score = 1000;
	relay_score_age(&good, 0);
	CHECK_EQ(good.score, 1000);
}

static void test_a_new_latency_has_an_eighth(void)
{
	struct relay_score score;

	relay_score_init(&score, 0);
	relay_score_succeeded(&score, 80 * NS_PER_MS, 1);
	CHECK_EQ(score.latency_ns, 80 * NS_PER_MS);
	relay_score_succeeded(&score, 160 * NS_PER_MS, 1);
	CHECK_EQ(score.latency_ns, 90 * NS_PER_MS);
}

static void test_pauses_double_up_to_an_hour_and_end_with_a_success(void)
{
	static const uint64_t pauses_min[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct relay_score score;

	relay_score_init(&score, 0);
	for (size_t i = 0; i < sizeof(pauses_min) / sizeof(pauses_min[0]); i++) {
		relay_score_failed(&score, NS_PER_S);
		CHECK(relay_score_is_paused(&score, NS_PER_S + pauses_min[i] * MIN_NS - 1));
		CHECK(!relay_score_is_paused(&score, NS_PER_S + pauses_min[i] * MIN_NS));
	}
	relay_score_succeeded(&score, 1, 2 * NS_PER_S);
	CHECK(!relay_score_is_paused(&score, 2 * NS_PER_S));
	relay_score_failed(&score, 2 * NS_PER_S);
	CHECK(!relay_score_is_paused(&score, 2 * NS_PER_S + MIN_NS));
}

static void test_weights_follow_score_and_latency(void)
{
	struct relay_score fresh, good, bad, slow;

	relay_score_init(&fresh, 0);
	good = bad = slow = fresh;
	relay_score_succeeded(&good, 100 * NS_PER_MS, 1);
	relay_score_succeeded(&slow, 900 * NS_PER_MS, 1);
	for (unsigned i = 0; i < 40; i++)
		relay_score_failed(&bad, 1);
	CHECK_EQ(relay_score_weight(&fresh), 10000 * 1000 / 300);
	CHECK_EQ(relay_score_weight(&good), 11000 * 1000 / 200);
	CHECK_EQ(relay_score_weight(&slow), 11000 * 1000 / 1000);
	CHECK_EQ(relay_score_weight(&bad), 1000 * 1000 / 300);
	bad.latency_ns = UINT64_MAX / 2;
	CHECK_EQ(relay_score_weight(&bad), 1);
}

int main(void)
{
	RUN(test_a_failure_costs_three_successes);
	RUN(test_the_score_stays_within_its_bounds);
	RUN(test_each_hour_takes_a_twentieth);
	RUN(test_a_new_latency_has_an_eighth);
	RUN(test_pauses_double_up_to_an_hour_and_end_with_a_success);
	RUN(test_weights_follow_score_and_latency);
	return check_done();
}
