/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "weft/bucket.h"

#define MS 1000000ull

static const struct weft_bucket_rate ten_per_s = {100 * MS, 100 * MS};

static void test_credit_grows_by_the_nanosecond(void)
{
	static const struct {
		uint64_t at_ns;
		bool want;
		const char *why;
	} steps[] = {
		{1000 * MS, true, "a full bucket admits one"},
		{1040 * MS, false, "credit is still 40 of 100 ms"},
		{1099 * MS, false, "a refused take keeps its credit"},
		{1100 * MS - 1, false, "one nanosecond is missing"},
		{1100 * MS, true, "the fraction was not lost"},
		{1100 * MS, false, "nothing is left"},
		{9000 * MS, true, "a long rest fills it"},
		{9001 * MS, false, "to one unit and no more"},
		{8000 * MS, false, "time running backwards earns nothing"},
		{9100 * MS - 1, false, "and is not earned twice"},
		{9100 * MS, true, "and costs nothing"},
	};
	struct weft_bucket bucket = {0};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		bool got = weft_bucket_take(&bucket, &ten_per_s, steps[i].at_ns);

		if (got != steps[i].want)
			printf("# step %zu: %s\n", i, steps[i].why);
		CHECK_EQ(got, steps[i].want);
	}
}

static void test_burst_admits_exactly_its_size(void)
{
	const struct weft_bucket_rate rate = {3 * MS, 15 * MS};
	struct weft_bucket bucket = {0};

	for (int i = 0; i < 5; i++)
		CHECK(weft_bucket_take(&bucket, &rate, 500 * MS));
	CHECK(!weft_bucket_take(&bucket, &rate, 500 * MS));
}

static void test_lowered_limit_does_not_wrap(void)
{
	const struct weft_bucket_rate lower = {10 * MS, 20 * MS};
	struct weft_bucket bucket = {.filled_at_ns = 1, .credit_ns = 40 * MS};

	CHECK(weft_bucket_take(&bucket, &lower, 100 * MS));
	CHECK_EQ(bucket.credit_ns, 30 * MS);
}

static void test_clock_at_its_end_does_not_wrap(void)
{
	struct weft_bucket bucket = {0};

	CHECK(weft_bucket_take(&bucket, &ten_per_s, UINT64_MAX));
	CHECK(!weft_bucket_take(&bucket, &ten_per_s, UINT64_MAX));
}

int main(void)
{
	RUN(test_credit_grows_by_the_nanosecond);
	RUN(test_burst_admits_exactly_its_size);
	RUN(test_lowered_limit_does_not_wrap);
	RUN(test_clock_at_its_end_does_not_wrap);
	return check_done();
}
