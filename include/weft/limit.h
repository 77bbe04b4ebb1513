/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_LIMIT_H
#define WEFT_LIMIT_H

#include "weft/xdp_maps.h"

/*
 * The limits of unvalidated sources, per class and prefix, in tables that never grow.
 * Spoofed sources share buckets with each other. Sources that proved an address have
 * their own (struct weft_session, weft_validated). A file that includes this has
 * defined struct weft_tables and, static and inline, weft_table_config (policy.h) and
 *
 *   weft_table_place(tables, class, level, i)   that place, i < WEFT_PLACE_CNT, or NULL
 *   weft_table_mark(tables, class, level, i)    its credit, of all CPUs, or NULL
 */

/*
 * The place of the prefix. It is a hash with a secret salt (pair-multiply-
 * shift; Thorup, "High Speed Hashing for Integers and Strings", 2015, 3.2).
 * The hash is cheaper than a tag and gives no way to learn which prefixes
 * share one.
 */
WEFT_INLINE __u32 weft_limit_place(const struct weft_config *config, __u64 prefix)
{
	__u64 hash = ((__u32)prefix + config->salt[0]) * ((prefix >> 32) + config->salt[1]) +
		     config->salt[2];

	return (__u32)(hash >> 32) & (WEFT_PLACE_CNT - 1);
}

/*
 * weft_limit_admit takes credit for one datagram of class from every
 * prefix that source is in, the smallest first; 0 when one has none left.
 */
WEFT_INLINE _Bool weft_limit_admit(struct weft_tables *tables, const struct weft_endpoint *source,
				   __u32 class, __u64 now_ns)
{
	const struct weft_config *config = weft_table_config(tables);
	__u32 level_cnt = weft_endpoint_level_cnt(source);
	__u32 shift;

	if (!config || class >= WEFT_CLASS_ALL_CNT)
		return 0;
	shift = config->mode == WEFT_MODE_FLOOD ? config->flood_shift & 31 : 0;
	for (__u32 level = 0; level < WEFT_LEVEL_CNT && level < level_cnt; level++) {
		__u64 prefix = weft_endpoint_prefix(source, level);
		__u32 i = weft_limit_place(config, prefix);
		struct weft_place *place = weft_table_place(tables, class, level, i);
		__u64 *mark = weft_table_mark(tables, class, level, i);
		struct weft_bucket_rate rate = config->rates[class][level];
		_Bool is_admitted;

		if (!place || !mark)
			return 0;
		rate.cost_ns <<= shift;
		is_admitted = weft_mark_take(mark, &rate, 1, now_ns);
		place->bucket = weft_mark_bucket(*mark, &rate, now_ns);
		place->prefix = prefix;
		place->offered_cnt++;
		if (!is_admitted) {
			place->refused_cnt++;
			return 0;
		}
	}
	return 1;
}

/*
 * weft_limit_admit_id takes credit for one datagram to a connection id of
 * this node. id is its first 8 bytes, and the datagram is from elsewhere
 * than its session's path. The source is not charged: it may be borrowed.
 */
WEFT_INLINE _Bool weft_limit_admit_id(struct weft_tables *tables, __u64 id, __u64 now_ns)
{
	const struct weft_config *config = weft_table_config(tables);
	struct weft_place *place;

	if (!config)
		return 0;
	place = weft_table_place(tables, WEFT_CLASS_NEW_PATH, 0, weft_limit_place(config, id));
	if (!place)
		return 0;
	place->prefix = id;
	place->offered_cnt++;
	if (weft_bucket_take(&place->bucket, &config->rates[WEFT_CLASS_NEW_PATH][0], now_ns))
		return 1;
	place->refused_cnt++;
	return 0;
}

#endif
