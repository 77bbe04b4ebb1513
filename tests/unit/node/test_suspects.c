/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/clock.h"
#include "node/bans/suspects.h"

static struct suspects suspects;

static struct weft_endpoint source_of(uint32_t number)
{
	const __u8 bytes[4] = {10, (__u8)(number >> 16), (__u8)(number >> 8), (__u8)number};
	struct weft_endpoint source = {.port_be = 0};

	weft_endpoint_set_ipv4(&source, bytes);
	return source;
}

static bool note(uint32_t number, uint32_t weight, uint64_t now_ns)
{
	struct weft_endpoint source = source_of(number);

	return suspects_note(&suspects, &source, weight, now_ns);
}

static void test_one_more_than_the_burst_is_too_many(void)
{
	suspects = (struct suspects){0};
	for (unsigned i = 0; i < SUSPECTS_BURST_CNT; i++)
		CHECK(!note(1, 1, NS_PER_S));
	CHECK(note(1, 1, NS_PER_S));
	/* It is forgotten: what follows begins anew. */
	CHECK_EQ(suspects.cnt, 0);
	CHECK(!note(1, SUSPECTS_BURST_CNT, NS_PER_S));
	CHECK(note(1, 1, NS_PER_S));
}

static void test_slow_sources_are_left_alone(void)
{
	suspects = (struct suspects){0};
	for (unsigned i = 1; i < 10 * SUSPECTS_BURST_CNT; i++)
		CHECK(!note(1, 1, i * (NS_PER_S / SUSPECTS_PER_S)));
	/* A quarter faster is found in the end. */
	suspects = (struct suspects){0};
	for (unsigned i = 1; i < 10 * SUSPECTS_BURST_CNT; i++)
		if (note(1, 1, i * (NS_PER_S / SUSPECTS_PER_S * 3 / 4)))
			return;
	CHECK(false);
}

static void test_a_loud_one_is_found_among_a_million(void)
{
	uint64_t now_ns = NS_PER_S;
	bool is_found = false;

	suspects = (struct suspects){0};
	for (uint32_t i = 0; i < 1000000 && !is_found; i++) {
		now_ns += 10000;
		CHECK(!note(100 + i, 1, now_ns));
		if (i % 50 == 0)
			is_found = note(7, 1, now_ns);
	}
	CHECK(is_found);
	CHECK_EQ(suspects.cnt, SUSPECTS_CAP - 1);
}

static void test_a_heavy_sample_is_enough(void)
{
	suspects = (struct suspects){0};
	CHECK(!note(1, SUSPECTS_BURST_CNT, NS_PER_S));
	CHECK(note(2, SUSPECTS_BURST_CNT + 1, NS_PER_S));
	CHECK(note(3, UINT32_MAX, NS_PER_S));
	/* A clock that goes back earns nothing. */
	CHECK(note(1, 1, NS_PER_S / 2));
}

int main(void)
{
	RUN(test_one_more_than_the_burst_is_too_many);
	RUN(test_slow_sources_are_left_alone);
	RUN(test_a_loud_one_is_found_among_a_million);
	RUN(test_a_heavy_sample_is_enough);
	return check_done();
}
