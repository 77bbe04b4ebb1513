/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BUCKET_H
#define WEFT_BUCKET_H

#include "weft/bytes.h"

/*
 * Token bucket with time itself as its credit, so no fraction of a token
 * is ever rounded away. A rate of r per second is a cost of 1e9 / r ns
 * per unit. A burst of b units is a credit_max_ns of b times that.
 * Compiled for BPF and for userspace.
 *
 * A zeroed bucket is full as soon as the clock is past credit_max_ns. One
 * owner at a time: a per-CPU map value, or a worker's array.
 */
struct weft_bucket {
	__u64 filled_at_ns; /* CLOCK_MONOTONIC, as bpf_ktime_get_ns */
	__u64 credit_ns;
};

_Static_assert(sizeof(struct weft_bucket) == 16, "BPF map value layout");

struct weft_bucket_rate {
	__u64 cost_ns;	     /* of one unit, >= 1 */
	__u64 credit_max_ns; /* burst, >= cost_ns or nothing is ever admitted */
};

/*
 * weft_bucket_take_units takes the credit of so many units, or leaves what
 * there is and returns 0. Time that runs backwards (another CPU's clock)
 * earns nothing and costs nothing.
 */
WEFT_INLINE _Bool weft_bucket_take_units(struct weft_bucket *bucket,
					 const struct weft_bucket_rate *rate, __u32 units,
					 __u64 now_ns)
{
	__u64 cost_ns = rate->cost_ns * units;

	if (now_ns > bucket->filled_at_ns) {
		__u64 earned_ns = now_ns - bucket->filled_at_ns;
		__u64 room_ns = bucket->credit_ns < rate->credit_max_ns
					? rate->credit_max_ns - bucket->credit_ns
					: 0;

		bucket->credit_ns += earned_ns < room_ns ? earned_ns : room_ns;
		bucket->filled_at_ns = now_ns;
	}
	if (bucket->credit_ns < cost_ns)
		return 0;
	bucket->credit_ns -= cost_ns;
	return 1;
}

/*
 * weft_mark_take is the same for a bucket that several CPUs share, in one
 * word. The mark is the time up to which credit is spent. So credit is the
 * time that has passed since, credit_max_ns at most. A refused datagram only
 * reads it, so a flood on many CPUs does not make them wait for each other.
 * After
 * WEFT_MARK_TRIES others were quicker, and it is refused: never is more
 * admitted than the rate says.
 */
#define WEFT_MARK_TRIES 4

WEFT_INLINE _Bool weft_mark_take(__u64 *mark, const struct weft_bucket_rate *rate, __u32 units,
				 __u64 now_ns)
{
	__u64 cost_ns = rate->cost_ns * units;

	for (__u32 i = 0; i < WEFT_MARK_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)mark, from = seen;

		if (from < now_ns && now_ns - from > rate->credit_max_ns)
			from = now_ns - rate->credit_max_ns;
		if (from > now_ns || now_ns - from < cost_ns)
			return 0;
		if (__sync_val_compare_and_swap(mark, seen, from + cost_ns) == seen)
			return 1;
	}
	return 0;
}

/* weft_mark_bucket: what is left in it, as a bucket that one owns. */
WEFT_INLINE struct weft_bucket weft_mark_bucket(__u64 mark, const struct weft_bucket_rate *rate,
						__u64 now_ns)
{
	__u64 credit_ns = mark < now_ns ? now_ns - mark : 0;

	if (credit_ns > rate->credit_max_ns)
		credit_ns = rate->credit_max_ns;
	return (struct weft_bucket){.filled_at_ns = now_ns, .credit_ns = credit_ns};
}

/* weft_bucket_take takes that of one. */
WEFT_INLINE _Bool weft_bucket_take(struct weft_bucket *bucket, const struct weft_bucket_rate *rate,
				   __u64 now_ns)
{
	return weft_bucket_take_units(bucket, rate, 1, now_ns);
}

#endif
