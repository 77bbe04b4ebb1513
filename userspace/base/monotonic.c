/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monotonic.h"

#include <time.h>

uint64_t clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_s(void)
{
	return (uint64_t)time(NULL);
}

int64_t clock_utc_offset_s(uint64_t wall_s)
{
	time_t at = (time_t)wall_s;
	struct tm local;

	return localtime_r(&at, &local) ? local.tm_gmtoff : 0;
}

uint64_t clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / NS_PER_US;
}
