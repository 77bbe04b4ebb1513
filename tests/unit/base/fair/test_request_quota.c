/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/fair/request_quota.h"
#include "support/check.h"

#define PER_MIN	 600
#define PEER_CAP 4

static struct arena arena;
static struct request_quota quota;

static void begin(void)
{
	static const uint64_t secret[2] = {1, 2};

	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    request_quota_init(&quota, &arena, PEER_CAP, PER_MIN, secret) < 0)
		abort();
}

static uint64_t take(uint8_t who, uint64_t now_ns)
{
	uint8_t key[REQUEST_QUOTA_KEY_LEN];

	memset(key, who, sizeof(key));
	return request_quota_take(&quota, key, now_ns);
}

/* How many are let through of so many at one moment. */
static unsigned taken_of(unsigned cnt, uint8_t who, uint64_t now_ns)
{
	unsigned taken = 0;

	while (cnt-- > 0)
		taken += take(who, now_ns) == 0;
	return taken;
}

static void test_fresh_peer_has_exactly_its_number(void)
{
	begin();
	CHECK_EQ(taken_of(PER_MIN, 1, NS_PER_S), PER_MIN);
	CHECK(take(1, NS_PER_S) > 0);
	CHECK_EQ(take(2, NS_PER_S), 0); /* another one has its own */
}

static void test_a_refused_peer_learns_when_to_retry(void)
{
	uint64_t wait_ms;

	begin();
	(void)taken_of(PER_MIN, 1, NS_PER_S);
	wait_ms = take(1, 11 * NS_PER_S);
	CHECK(wait_ms >= 50000 && wait_ms <= 50001);
	/* Then the first of them are a minute ago. */
	wait_ms += take(1, 11 * NS_PER_S + wait_ms * NS_PER_MS);
	CHECK_EQ(take(1, 11 * NS_PER_S + (wait_ms + 1) * NS_PER_MS), 0);
}

static void test_no_peer_gets_a_double_quota_around_the_turn_of_a_minute(void)
{
	unsigned taken;

	begin();
	CHECK_EQ(taken_of(1, 1, 0), 1);
	CHECK_EQ(taken_of(2 * PER_MIN, 1, 59 * NS_PER_S), PER_MIN - 1);
	CHECK_EQ(taken_of(2 * PER_MIN, 1, 60 * NS_PER_S), 0);
	taken = taken_of(2 * PER_MIN, 1, 90 * NS_PER_S);
	CHECK_EQ(taken, PER_MIN / 2);
	CHECK_EQ(taken_of(2 * PER_MIN, 1, 300 * NS_PER_S), PER_MIN);
}

static void test_steady_rate_is_let_through(void)
{
	begin();
	for (uint64_t i = 0; i < 5 * PER_MIN; i++)
		CHECK_EQ(take(1, i * 101 * NS_PER_MS), 0);
}

static void test_full_table_forgets_the_least_recently_counted_peer(void)
{
	begin();
	for (uint8_t who = 1; who <= PEER_CAP; who++)
		CHECK_EQ(taken_of(PER_MIN, who, who * NS_PER_S), PER_MIN);
	CHECK_EQ(take(PEER_CAP + 1, 10 * NS_PER_S), 0);
	CHECK(take(2, 10 * NS_PER_S) > 0);
	CHECK_EQ(take(1, 10 * NS_PER_S), 0);
}

static void test_a_peer_that_counts_on_is_not_the_oldest(void)
{
	begin();
	for (uint8_t who = 1; who <= PEER_CAP; who++)
		CHECK_EQ(taken_of(PER_MIN - 1, who, who * NS_PER_S), PER_MIN - 1);
	CHECK_EQ(take(1, 10 * NS_PER_S), 0);
	CHECK_EQ(take(PEER_CAP + 1, 10 * NS_PER_S), 0);
	CHECK(take(1, 10 * NS_PER_S) > 0);
	CHECK_EQ(taken_of(PER_MIN, 2, 10 * NS_PER_S), PER_MIN);
}

static void test_a_number_of_its_own_holds_for_a_peer(void)
{
	const uint8_t key[REQUEST_QUOTA_KEY_LEN] = {77};

	begin();
	for (unsigned n = 0; n < PER_MIN + 3; n++)
		CHECK_EQ(request_quota_take_of(&quota, key, PER_MIN + 3, NS_PER_S), 0);
	CHECK(request_quota_take_of(&quota, key, PER_MIN + 3, NS_PER_S) > 0);
	CHECK_EQ(taken_of(PER_MIN, 1, NS_PER_S), PER_MIN);
	CHECK(take(1, NS_PER_S) > 0);
}

int main(void)
{
	RUN(test_fresh_peer_has_exactly_its_number);
	RUN(test_a_refused_peer_learns_when_to_retry);
	RUN(test_no_peer_gets_a_double_quota_around_the_turn_of_a_minute);
	RUN(test_steady_rate_is_let_through);
	RUN(test_full_table_forgets_the_least_recently_counted_peer);
	RUN(test_a_peer_that_counts_on_is_not_the_oldest);
	RUN(test_a_number_of_its_own_holds_for_a_peer);
	arena_close(&arena);
	return check_done();
}
