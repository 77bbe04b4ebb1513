/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/month_quota.h"

#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "support/check.h"

#define NOV_1_S 1793491200ull /* 2026-11-01 00:00 */
#define DAY_S	86400ull
#define GIB	(1ull << 30)
#define CHUNK	(256ull << 10)

static void test_months_begin_on_their_day(void)
{
	static const struct {
		uint64_t local_s;
		unsigned day;
		uint64_t month, end_s;
	} rows[] = {
		{NOV_1_S, 1, 2026 * 12 + 10, NOV_1_S + 30 * DAY_S},
		{NOV_1_S - 1, 1, 2026 * 12 + 9, NOV_1_S},
		{NOV_1_S, 15, 2026 * 12 + 9, NOV_1_S + 14 * DAY_S},
		{NOV_1_S + 14 * DAY_S, 15, 2026 * 12 + 10, NOV_1_S + 44 * DAY_S},
		{NOV_1_S + 61 * DAY_S, 1, 2027 * 12, NOV_1_S + 92 * DAY_S},
		{NOV_1_S + 61 * DAY_S - 1, 1, 2026 * 12 + 11, NOV_1_S + 61 * DAY_S},
		/* 2024-02-29 12:00: a leap year. */
		{1709208000, 1, 2024 * 12 + 1, 1709251200},
		{1709208000, 28, 2024 * 12 + 1, 1709251200 + 27 * DAY_S},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t end_s;

		CHECK_EQ(blobs_quota_month(rows[i].local_s, rows[i].day, &end_s), rows[i].month);
		CHECK_EQ(end_s, rows[i].end_s);
	}
}

static struct quota quota_of(uint64_t cap)
{
	struct quota quota = {.cap = cap, .glide_percent = 50};
	uint64_t end_s, month = blobs_quota_month(NOV_1_S, 1, &end_s);

	(void)blobs_quota_enter(&quota, month, end_s);
	return quota;
}

static void test_nothing_is_granted_without_a_durable_lease(void)
{
	struct quota quota = quota_of(GIB);
	uint64_t lease = blobs_quota_lease(&quota, 0);

	CHECK_EQ(blobs_quota_grant(&quota, CHUNK, NOV_1_S, 1), 0);
	CHECK_EQ(lease, QUOTA_LEASE_MIN);
	blobs_quota_leased(&quota, quota.month, lease);
	CHECK_EQ(blobs_quota_grant(&quota, CHUNK, NOV_1_S, 1), CHUNK);
	CHECK_EQ(blobs_quota_grant(&quota, GIB, NOV_1_S, 1), QUOTA_LEASE_MIN - CHUNK);
	CHECK_EQ(blobs_quota_grant(&quota, 1, NOV_1_S, 1), 0);
	CHECK_EQ(blobs_quota_lease(&quota, 100 << 20), QUOTA_LEASE_MIN + (400ull << 20));
	/* One of another month came too late. */
	blobs_quota_leased(&quota, quota.month - 1, GIB);
	CHECK_EQ(blobs_quota_grant(&quota, 1, NOV_1_S, 1), 0);
}

/* A month of an asker that always wants more, in steps of 100 s: the cap is never passed, nearly used. */
static void month_pass(uint64_t cap, uint64_t line_per_s, double least_used)
{
	struct quota quota = quota_of(cap);
	uint64_t went = 0, month_end_s = quota.end_s, half_at_s = 0;

	for (uint64_t wall_s = NOV_1_S; wall_s < month_end_s; wall_s += 100) {
		uint64_t now_ns = (wall_s - NOV_1_S + 1) * NS_PER_S;

		for (unsigned k = 0; k < 100; k++) {
			blobs_quota_leased(&quota, quota.month,
					   blobs_quota_lease(&quota, line_per_s));
			went += blobs_quota_grant(&quota, line_per_s, wall_s + k,
						  now_ns + k * NS_PER_S);
		}
		CHECK(went <= cap);
		CHECK(quota.leased >= went && quota.leased <= cap);
		if (!half_at_s && went >= cap / 2)
			half_at_s = wall_s;
		/* Never all of it before the end: some is left for each hour. */
		if (wall_s + 3600 < month_end_s)
			CHECK(!blobs_quota_is_reached(&quota));
	}
	CHECK_EQ(went, quota.spent);
	CHECK((double)went >= (double)cap * least_used);
	if (line_per_s > cap / 10000)
		CHECK(half_at_s <= NOV_1_S + 6000);
}

static void test_a_month_stays_within_its_cap_and_glides_to_its_end(void)
{
	month_pass(100 * GIB, 12500000, 0.999);
	month_pass(64ull << 20, 1000000, 0.99);
	month_pass(100000 * GIB, 1250000000, 0.999);
}

static void test_glide_begins_at_its_part_of_the_cap(void)
{
	struct quota quota = quota_of(1000);
	uint64_t wall_s = quota.end_s - 100;

	blobs_quota_leased(&quota, quota.month, 1000);
	CHECK_EQ(blobs_quota_grant(&quota, 499, wall_s, NS_PER_S), 499);
	CHECK(!blobs_quota_is_gliding(&quota));
	CHECK_EQ(blobs_quota_glide(&quota, wall_s), 0);
	CHECK_EQ(blobs_quota_grant(&quota, 1, wall_s, NS_PER_S), 1);
	CHECK(blobs_quota_is_gliding(&quota));
	CHECK_EQ(blobs_quota_glide(&quota, wall_s), 5);
	CHECK_EQ(blobs_quota_grant(&quota, 100, wall_s, NS_PER_S), 0);
	CHECK_EQ(blobs_quota_grant(&quota, 100, wall_s, 3 * NS_PER_S), 10);
	quota.spent = 1000;
	CHECK(blobs_quota_is_reached(&quota));
	CHECK_EQ(blobs_quota_glide(&quota, wall_s), 0);
	CHECK_EQ(blobs_quota_grant(&quota, 1, wall_s, 100 * NS_PER_S), 0);
	CHECK_EQ(blobs_quota_lease(&quota, 1000), 0);
}

/* A crash at any moment: what was leased counts, which is what went and at most a lease more. */
static void test_crash_never_counts_less_than_went(void)
{
	struct quota quota = quota_of(GIB);
	uint64_t went = 0, durable = 0, now_ns = NS_PER_S;

	for (unsigned crash = 0; crash < 50; crash++) {
		for (unsigned k = 0; k < 1 + crash % 7; k++, now_ns += NS_PER_S) {
			uint64_t lease = blobs_quota_lease(&quota, 0);

			if (lease) {
				durable = lease;
				blobs_quota_leased(&quota, quota.month, lease);
			}
			went += blobs_quota_grant(&quota, CHUNK, NOV_1_S, now_ns);
		}
		quota.spent = quota.leased = durable;
		quota.credit = 0;
		CHECK(durable >= went);
		CHECK(durable <= went + (crash + 1) * QUOTA_LEASE_MIN);
		CHECK(durable <= quota.cap);
	}
}

static void test_clock_put_over_the_end_and_back_forgets_nothing(void)
{
	struct quota quota = quota_of(GIB);
	uint64_t month = quota.month, end_s = quota.end_s;

	quota.spent = 700;
	quota.leased = 1000;
	CHECK(!blobs_quota_enter(&quota, month, end_s));
	CHECK(blobs_quota_enter(&quota, month + 1, end_s + 31 * DAY_S));
	CHECK_EQ(quota.spent, 0);
	CHECK_EQ(quota.leased, 0);
	quota.spent = 50;
	CHECK(blobs_quota_enter(&quota, month, end_s));
	CHECK_EQ(quota.spent, 750);
	CHECK(blobs_quota_enter(&quota, month + 1, end_s + 31 * DAY_S));
	CHECK_EQ(quota.spent, 0);
}

int main(void)
{
	RUN(test_months_begin_on_their_day);
	RUN(test_nothing_is_granted_without_a_durable_lease);
	RUN(test_a_month_stays_within_its_cap_and_glides_to_its_end);
	RUN(test_glide_begins_at_its_part_of_the_cap);
	RUN(test_crash_never_counts_less_than_went);
	RUN(test_clock_put_over_the_end_and_back_forgets_nothing);
	return check_done();
}
