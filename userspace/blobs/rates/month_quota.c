/* SPDX-License-Identifier: Apache-2.0 */
#include "month_quota.h"

#include "base/monotonic.h"

#define DAY_S 86400ull

/* Days since 1970-01-01 of a day of the Gregorian calendar, and back (H. Hinnant, chrono algorithms). */
static uint64_t days_of(uint64_t year, unsigned month, unsigned day)
{
	uint64_t y = year - (month <= 2);
	uint64_t era = y / 400, of_era = y % 400;
	uint64_t of_year = (153ull * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(uint64_t days, uint64_t *out_year, unsigned *out_month, unsigned *out_day)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153;

	*out_day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*out_month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	*out_year = yoe + era * 400 + (*out_month <= 2);
}

uint64_t blobs_quota_month(uint64_t local_s, unsigned reset_day, uint64_t *out_end_s)
{
	uint64_t year, number;
	unsigned month, day;

	date_of(local_s / DAY_S, &year, &month, &day);
	number = year * 12 + month - 1;
	number -= day < reset_day;
	*out_end_s =
		days_of((number + 1) / 12, (unsigned)((number + 1) % 12) + 1, reset_day) * DAY_S;
	return number;
}

bool blobs_quota_enter(struct quota *quota, uint64_t month, uint64_t end_s)
{
	quota->end_s = end_s;
	if (quota->month == month)
		return false;
	if (quota->month == 0) {
		/* The clock was not known: what was spent since counts here. */
		quota->month = month;
		return true;
	}
	if (month > quota->month) {
		quota->before_month = quota->month;
		quota->before_spent = quota->spent;
		quota->spent = 0;
	} else if (quota->before_month >= month) {
		quota->spent += quota->before_spent;
		quota->before_month = quota->before_spent = 0;
	}
	quota->month = month;
	quota->leased = 0;
	quota->credit = 0;
	return true;
}

bool blobs_quota_is_reached(const struct quota *quota)
{
	return quota->cap && quota->spent >= quota->cap;
}

bool blobs_quota_is_gliding(const struct quota *quota)
{
	return quota->cap &&
	       (double)quota->spent * 100 >= (double)quota->cap * quota->glide_percent;
}

uint64_t blobs_quota_glide(const struct quota *quota, uint64_t wall_s)
{
	uint64_t left_s = quota->end_s > wall_s ? quota->end_s - wall_s : 1;
	uint64_t per_s;

	if (!blobs_quota_is_gliding(quota) || blobs_quota_is_reached(quota))
		return 0;
	/* Without a clock the month may be as long as any. */
	if (!quota->end_s || !wall_s || left_s > QUOTA_MONTH_S_MAX)
		left_s = QUOTA_MONTH_S_MAX;
	per_s = (quota->cap - quota->spent) / left_s;
	return per_s ? per_s : 1;
}

/* The bytes that the glide has let through since the last look. */
static void credit_grow(struct quota *quota, uint64_t per_s, uint64_t now_ns)
{
	uint64_t span_ns = now_ns > quota->credit_ns ? now_ns - quota->credit_ns : 0;
	double most = (double)(per_s > QUOTA_BURST_LEN ? per_s : QUOTA_BURST_LEN);

	quota->credit += (double)per_s * (double)span_ns / (double)NS_PER_S;
	quota->credit = quota->credit < most ? quota->credit : most;
	quota->credit_ns = now_ns;
}

uint64_t blobs_quota_grant(struct quota *quota, uint64_t want, uint64_t wall_s, uint64_t now_ns)
{
	uint64_t limit = quota->leased < quota->cap ? quota->leased : quota->cap;
	uint64_t room = limit > quota->spent ? limit - quota->spent : 0;
	uint64_t len = want < room ? want : room;

	if (blobs_quota_is_gliding(quota)) {
		credit_grow(quota, blobs_quota_glide(quota, wall_s), now_ns);
		len = len < (uint64_t)quota->credit ? len : (uint64_t)quota->credit;
		quota->credit -= (double)len;
	} else {
		quota->credit_ns = now_ns;
	}
	quota->spent += len;
	return len;
}

uint64_t blobs_quota_lease(const struct quota *quota, uint64_t per_s)
{
	uint64_t ahead = per_s < QUOTA_LEASE_MAX / 4 ? per_s * 4 : QUOTA_LEASE_MAX;
	uint64_t want;

	ahead = ahead > QUOTA_LEASE_MIN ? ahead : QUOTA_LEASE_MIN;
	if (!quota->cap || blobs_quota_is_reached(quota) ||
	    quota->leased >= quota->spent + ahead / 2)
		return 0;
	want = quota->cap - quota->spent < ahead ? quota->cap : quota->spent + ahead;
	return want > quota->leased ? want : 0;
}

void blobs_quota_leased(struct quota *quota, uint64_t month, uint64_t len)
{
	if (month == quota->month && len > quota->leased)
		quota->leased = len;
}
