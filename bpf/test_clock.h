/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_TEST_CLOCK_H
#define WEFT_BPF_TEST_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "weft/bytes.h"

/*
 * Tests give the time: they set is_clock_given before the program is
 * loaded, then clock_ns before each run. Read-only data is known to the
 * verifier, so that only the program of the tests has the branch.
 */
const volatile _Bool is_clock_given = 0;
volatile __u64 clock_ns = 0;

/*
 * The time of the last tick, 1 to 10 ms ago. It costs half as much as
 * the time itself, and a burst of any limit is longer. Never 0.
 */
WEFT_INLINE __u64 clock_now_ns(void)
{
	return is_clock_given ? clock_ns : bpf_ktime_get_coarse_ns();
}

#define CLOCK_GIVEN_TICK_SHIFT 22 /* 4 ms */

/* A count of ticks, for nothing: the verifier puts the load of a variable here. */
WEFT_INLINE __u64 clock_tick(void)
{
	return is_clock_given ? clock_ns >> CLOCK_GIVEN_TICK_SHIFT : bpf_jiffies64();
}

#endif
