/* SPDX-License-Identifier: Apache-2.0 */
/* New destinations per second. */
#include "base/memory/arena.h"
#include "dht/rate_limiter.h"
#include "support/check.h"

#define SECOND 1000000000ull

static struct arena arena;
static struct dht_rate_limiter *rate_limiter;

static void begin(uint32_t per_s)
{
	static const uint64_t secret[2] = {1, 2};

	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    dht_rate_limiter_new(&arena, per_s, secret, &rate_limiter) < 0)
		abort();
}

static struct addr addr_of(unsigned number)
{
	return (struct addr){
		.family = ADDR_IPV4,
		.port = 1,
		.ip = {20, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

/* How many of cnt new addresses from first on are admitted at once. */
static unsigned admitted(unsigned first, unsigned cnt, enum dht_urgency urgency, uint64_t now_ns)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct addr addr = addr_of(first + i);

		admitted += dht_rate_limiter_admit(rate_limiter, &addr, urgency, now_ns);
	}
	return admitted;
}

static void test_two_seconds_at_once_then_the_rate(void)
{
	begin(10);
	CHECK_EQ(admitted(0, 100, DHT_URGENT, SECOND), 20);
	CHECK_EQ(admitted(100, 100, DHT_URGENT, SECOND), 0);
	CHECK_EQ(dht_rate_limiter_next_ns(rate_limiter, DHT_URGENT, SECOND), SECOND + SECOND / 10);
	CHECK_EQ(admitted(200, 100, DHT_URGENT, SECOND + SECOND / 10 - 1), 0);
	CHECK_EQ(admitted(200, 100, DHT_URGENT, SECOND + SECOND / 10), 1);
	CHECK_EQ(admitted(300, 100, DHT_URGENT, 100 * SECOND), 20);
}

static void test_upkeep_leaves_half_to_waiting_lookups(void)
{
	begin(10);
	CHECK_EQ(admitted(0, 100, DHT_UPKEEP, SECOND), 10);
	CHECK(dht_rate_limiter_next_ns(rate_limiter, DHT_UPKEEP, SECOND) > SECOND);
	CHECK_EQ(dht_rate_limiter_next_ns(rate_limiter, DHT_URGENT, SECOND), SECOND);
	CHECK_EQ(admitted(100, 100, DHT_URGENT, SECOND), 10);
}

static void test_known_destinations_cost_nothing_for_two_minutes(void)
{
	struct addr known = addr_of(0);

	begin(1);
	CHECK(dht_rate_limiter_admit(rate_limiter, &known, DHT_URGENT, SECOND));
	CHECK_EQ(admitted(1, 10, DHT_URGENT, SECOND), 1);
	for (unsigned i = 0; i < 100; i++)
		CHECK(dht_rate_limiter_admit(rate_limiter, &known, DHT_URGENT, SECOND));
	/* With no credit left, after two minutes of silence it is new again. */
	CHECK_EQ(admitted(20, 10, DHT_URGENT, SECOND + DHT_DESTINATION_NS), 2);
	CHECK(!dht_rate_limiter_admit(rate_limiter, &known, DHT_URGENT,
				      SECOND + DHT_DESTINATION_NS));
}

int main(void)
{
	RUN(test_two_seconds_at_once_then_the_rate);
	RUN(test_upkeep_leaves_half_to_waiting_lookups);
	RUN(test_known_destinations_cost_nothing_for_two_minutes);
	arena_close(&arena);
	return check_done();
}
