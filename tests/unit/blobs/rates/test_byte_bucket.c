/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/byte_bucket.h"

#include "base/monotonic.h"
#include "support/check.h"

#define CHUNK 262144u
#define MS    NS_PER_MS

/* Bytes that go within span_ns when one caller asks every step_ns. */
static uint64_t went(struct byte_bucket *rate, uint64_t from_ns, uint64_t span_ns, uint64_t step_ns,
		     uint64_t len)
{
	uint64_t sum = 0;

	for (uint64_t now_ns = from_ns; now_ns < from_ns + span_ns; now_ns += step_ns) {
		while (blobs_byte_bucket_is_free(rate, now_ns)) {
			blobs_byte_bucket_take(rate, len, now_ns);
			sum += len;
		}
	}
	return sum;
}

static void test_rate_holds_within_five_percent(void)
{
	static const struct {
		uint64_t per_s, span_s, step_ns;
		const char *why;
	} rows[] = {
		{1250000, 20, MS, "ten Mbit/s, chunk by chunk"},
		{125000, 200, 10 * MS, "one Mbit/s: a chunk takes two seconds"},
		{125000000, 2, MS / 2, "a Gbit/s: two milliseconds"},
		{1250000000, 1, MS, "ten Gbit/s: a loop is slower than a chunk"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct byte_bucket rate = {0};
		uint64_t want = rows[i].per_s * rows[i].span_s, got;

		blobs_byte_bucket_set(&rate, rows[i].per_s, 0);
		got = went(&rate, 5 * NS_PER_S, rows[i].span_s * NS_PER_S, rows[i].step_ns, CHUNK);
		if (got < want * 95 / 100 || got > want * 105 / 100)
			printf("# %s: %llu of %llu\n", rows[i].why, (unsigned long long)got,
			       (unsigned long long)want);
		CHECK(got >= want * 95 / 100 && got <= want * 105 / 100);
	}
}

static void test_without_a_limit_all_goes(void)
{
	struct byte_bucket rate = {0};

	for (unsigned i = 0; i < 1000; i++) {
		CHECK(blobs_byte_bucket_is_free(&rate, 7));
		blobs_byte_bucket_take(&rate, CHUNK, 7);
	}
	CHECK_EQ(blobs_byte_bucket_cost_ns(&rate, CHUNK), 0);
}

/* A long silence saves up twenty milliseconds, not more. */
static void test_burst_is_bounded(void)
{
	struct byte_bucket rate = {0};

	blobs_byte_bucket_set(&rate, 100 * CHUNK, 0);
	CHECK_EQ(went(&rate, 3600 * NS_PER_S, 1, 1, CHUNK), 3 * CHUNK);
	CHECK(!blobs_byte_bucket_is_free(&rate, 3600 * NS_PER_S + 10 * MS - 1));
	CHECK(blobs_byte_bucket_is_free(&rate, 3600 * NS_PER_S + 10 * MS));
}

static void test_what_did_not_go_is_given_back(void)
{
	struct byte_bucket rate = {0};

	blobs_byte_bucket_set(&rate, CHUNK, 0);
	blobs_byte_bucket_take(&rate, CHUNK, NS_PER_S);
	CHECK(!blobs_byte_bucket_is_free(&rate, NS_PER_S + 100 * MS));
	blobs_byte_bucket_give_back(&rate, CHUNK);
	CHECK(blobs_byte_bucket_is_free(&rate, NS_PER_S));
}

/* Ten chunks owed at one a second are paid back in a tenth of it at ten a second. */
static void test_new_rate_pays_what_is_owed(void)
{
	struct byte_bucket rate = {0};

	blobs_byte_bucket_set(&rate, CHUNK, 0);
	blobs_byte_bucket_take(&rate, 10 * CHUNK, NS_PER_S);
	blobs_byte_bucket_set(&rate, 10 * CHUNK, NS_PER_S);
	CHECK(!blobs_byte_bucket_is_free(&rate, NS_PER_S + 900 * MS));
	CHECK(blobs_byte_bucket_is_free(&rate, NS_PER_S + 1000 * MS));
	blobs_byte_bucket_set(&rate, 0, NS_PER_S);
	CHECK(blobs_byte_bucket_is_free(&rate, NS_PER_S));
}

/* From none to a limit: nothing is owed for what went before. */
static void test_first_limit_begins_free(void)
{
	struct byte_bucket rate = {0};

	blobs_byte_bucket_take(&rate, CHUNK, 50);
	blobs_byte_bucket_set(&rate, 1000, 60);
	CHECK(blobs_byte_bucket_is_free(&rate, 60));
}

static void test_largest_numbers_do_not_overflow(void)
{
	struct byte_bucket rate = {0};

	blobs_byte_bucket_set(&rate, UINT64_MAX, 0);
	CHECK_EQ(rate.per_s, BYTE_BUCKET_MAX);
	blobs_byte_bucket_set(&rate, 1, 0);
	blobs_byte_bucket_take(&rate, UINT32_MAX, NS_PER_S);
	blobs_byte_bucket_set(&rate, BYTE_BUCKET_MAX, NS_PER_S);
	CHECK(blobs_byte_bucket_is_free(&rate, NS_PER_S + 40 * MS));
}

static void test_meter_shows_a_steady_rate(void)
{
	struct byte_meter meter = {0};
	uint64_t now_ns = NS_PER_S, per_s;

	for (; now_ns < 60 * NS_PER_S; now_ns += 10 * MS)
		blobs_byte_meter_note(&meter, 10000, now_ns);
	per_s = blobs_byte_meter_per_s(&meter, now_ns);
	CHECK(per_s > 950000 && per_s < 1050000);
	CHECK_EQ(blobs_byte_meter_per_s(&meter, now_ns + BYTE_METER_NS), 0);
}

int main(void)
{
	RUN(test_rate_holds_within_five_percent);
	RUN(test_without_a_limit_all_goes);
	RUN(test_burst_is_bounded);
	RUN(test_what_did_not_go_is_given_back);
	RUN(test_new_rate_pays_what_is_owed);
	RUN(test_first_limit_begins_free);
	RUN(test_largest_numbers_do_not_overflow);
	RUN(test_meter_shows_a_steady_rate);
	return check_done();
}
