/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_CLOCK_H
#define WEFT_BPF_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "weft/bytes.h"

/*
 * Tests give the time: they set is_clock_given before the program is
 * loaded, then clock_ns before each run. Read-only data is known to the
 * verifier, so that the branch is not in the program of anybody else.
 */
const volatile _Bool is_clock_given = 0;
volatile __u64 clock_ns = 0;

WEFT_INLINE __u64 clock_now_ns(void)
{
	return is_clock_given ? clock_ns : bpf_ktime_get_ns();
}

#endif
