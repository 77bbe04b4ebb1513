/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "support/check.h"

/* First outputs for seed 42 by Blackman and Vigna's reference code (splitmix64.c, xoshiro256starstar.c). */
static const uint64_t seed_42[] = {0x15780b2e0c2ec716ull, 0x6104d9866d113a7eull,
				   0xae17533239e499a1ull, 0xecb8ad4703b360a1ull};

static void test_the_seeded_stream_is_xoshiro256starstar(void)
{
	struct random random;

	random_init_seeded(&random, 42);
	for (size_t i = 0; i < sizeof(seed_42) / sizeof(seed_42[0]); i++)
		CHECK_EQ(random_u64(&random), seed_42[i]);
}

static void test_below_stays_below_and_reaches_every_value(void)
{
	struct random random;

	random_init_seeded(&random, 1);
	for (uint64_t bound = 1; bound < 40; bound++) {
		uint64_t seen = 0;

		for (unsigned i = 0; i < 2000; i++) {
			uint64_t value = random_below(&random, bound);

			CHECK(value < bound);
			seen |= 1ull << value;
		}
		CHECK_EQ(seen, (1ull << bound) - 1);
	}
	CHECK(random_below(&random, UINT64_MAX) < UINT64_MAX);
}

static void test_the_system_fills_every_byte(void)
{
	uint8_t bytes[600], seen[600] = {0};
	struct random random;

	random_init_system(&random);
	for (unsigned round = 0; round < 16; round++) {
		memset(bytes, 0, sizeof(bytes));
		random_fill(&random, bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			seen[i] |= bytes[i];
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		CHECK(seen[i] != 0);
}

static void test_small_random_requests_never_repeat_bytes(void)
{
	static uint64_t drawn[2000];
	struct random random;

	random_init_system(&random);
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t skipped[64];

		/* Lengths that do not divide the pool, up to the longest taken from it. */
		random_fill(&random, skipped, i % 65);
		drawn[i] = random_u64(&random);
		for (unsigned k = 0; k < i; k++)
			CHECK(drawn[k] != drawn[i]);
	}
}

static void test_nothing_stays_of_what_was_given_out(void)
{
	static const uint8_t zeros[RANDOM_POOL_LEN];
	struct random random;
	uint8_t drawn[16];

	random_init_system(&random);
	do
		random_fill(&random, drawn, sizeof(drawn));
	while (random.pool_len);
	CHECK_MEM(random.pool, zeros, sizeof(zeros));
}

int main(void)
{
	RUN(test_the_seeded_stream_is_xoshiro256starstar);
	RUN(test_below_stays_below_and_reaches_every_value);
	RUN(test_the_system_fills_every_byte);
	RUN(test_small_random_requests_never_repeat_bytes);
	RUN(test_nothing_stays_of_what_was_given_out);
	return check_done();
}
