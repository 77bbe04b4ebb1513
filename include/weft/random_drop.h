/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RANDOM_DROP_H
#define WEFT_RANDOM_DROP_H

#include "weft/bucket.h"

/*
 * A limit on answers to unvalidated addresses; beyond it, a lot decides. Such a limit has no place
 * per prefix: a forger would spend a victim's. In a queue the first of each tick of the clock would
 * win: a forger would be the first. So while more is asked than the rate allows, each question has
 * the same chance, whatever its sender and its time. A client that repeats its Initial three times
 * draws three lots. Compiled for BPF and for userspace; one owner at a time, as a bucket. Start
 * with zeros.
 */
struct weft_random_drop {
	struct weft_bucket bucket; /* the limit itself */
	__u64 window;		   /* the time in units of 67 ms */
	__u32 offered_cnt;	   /* questions in this window */
	__u32 before_cnt;	   /* and in the one before; 0: it had none */
};

_Static_assert(sizeof(struct weft_random_drop) == 32, "BPF map value layout");

#define WEFT_RANDOM_DROP_WINDOW_SHIFT 26

/*
 * weft_random_drop_take says whether one more answer leaves. salt is three random words. The lots
 * are multiples of one of them, so they spread evenly, and a sender without the salt cannot predict
 * the next.
 */
WEFT_INLINE _Bool weft_random_drop_take(struct weft_random_drop *draw,
					const struct weft_bucket_rate *rate, const __u64 salt[3],
					__u64 now_ns)
{
	__u64 window = now_ns >> WEFT_RANDOM_DROP_WINDOW_SHIFT, cap, lot;
	__u32 asked_cnt;

	if (window != draw->window) {
		draw->before_cnt = window == draw->window + 1 ? draw->offered_cnt : 0;
		draw->offered_cnt = 0;
		draw->window = window;
	}
	draw->offered_cnt++;
	(void)weft_bucket_take_units(&draw->bucket, rate, 0, now_ns); /* credit as of now */
	asked_cnt = draw->offered_cnt > draw->before_cnt ? draw->offered_cnt : draw->before_cnt;
	cap = rate->cost_ns ? (1ull << WEFT_RANDOM_DROP_WINDOW_SHIFT) / rate->cost_ns : ~0u;
	/* A burst is what the bucket's upper half is for. */
	if (asked_cnt > cap && draw->bucket.credit_ns < rate->credit_max_ns / 2) {
		lot = ((draw->offered_cnt + salt[0]) * ((window ^ salt[1]) | 1) + salt[2]) >> 32;
		if (lot * asked_cnt >= cap << 32)
			return 0;
	}
	return weft_bucket_take(&draw->bucket, rate, now_ns);
}

#endif
