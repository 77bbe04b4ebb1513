/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MONOTONIC_H
#define WEFT_BASE_MONOTONIC_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* clock_monotonic_ns: CLOCK_MONOTONIC. Only node/, control/, tools and what waits in a job read it. */
uint64_t clock_monotonic_ns(void);
/* clock_thread_ns: CPU time of the calling thread. */
uint64_t clock_thread_ns(void);
/* clock_wall_{s,us}: seconds, microseconds since 1970, for records and logs only. */
uint64_t clock_wall_s(void);
uint64_t clock_wall_us(void);
/* clock_utc_offset_s: seconds that local time is ahead of UTC at wall_s, as TZ or /etc/localtime says. */
int64_t clock_utc_offset_s(uint64_t wall_s);

#endif
