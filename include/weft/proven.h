/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_PROVEN_H
#define WEFT_PROVEN_H

#include "weft/limit.h"

/*
 * The sets of sources that answered a Retry (struct weft_proven_set). Whoever
 * includes this has defined, beside what limit.h asks,
 *
 *   weft_table_proven_set(tables, i)   that set, i < WEFT_PROVEN_SET_CNT, or NULL
 */

/* Of the whole endpoint; not secret, for a match is compared in full. */
WEFT_INLINE __u64 weft_proven_tag(const struct weft_endpoint *source)
{
	return (source->words[0] * 0x9e3779b97f4a7c15ull ^ source->words[1]) +
	       ((__u64)source->port_be << 16) + 1;
}

WEFT_INLINE struct weft_proven_set *weft_proven_set(struct weft_tables *tables,
						    const struct weft_endpoint *source)
{
	const struct weft_config *config = weft_table_config(tables);

	return config ? weft_table_proven_set(
				tables, weft_limit_place(config, weft_endpoint_prefix(source, 0)) &
						(WEFT_PROVEN_SET_CNT - 1))
		      : 0;
}

/* weft_proven_way: which way of its set is source's, expired or not; -1: none. */
WEFT_INLINE int weft_proven_way(struct weft_tables *tables, const struct weft_endpoint *source)
{
	const struct weft_proven_set *set = weft_proven_set(tables, source);
	__u64 tag = weft_proven_tag(source);

	if (!set)
		return -1;
	for (__u32 way = 0; way < WEFT_PROVEN_WAY_CNT; way++)
		if (set->tags[way] == tag && weft_endpoint_equal(&set->ways[way].source, source))
			return (int)way;
	return -1;
}

/* weft_proven_at: that way. */
WEFT_INLINE struct weft_proven *weft_proven_at(struct weft_tables *tables,
					       const struct weft_endpoint *source, __u32 way)
{
	struct weft_proven_set *set = weft_proven_set(tables, source);

	return set ? &set->ways[way & (WEFT_PROVEN_WAY_CNT - 1)] : 0;
}

/* weft_proven_victim: which way of its set source gets: its own, or the one that ends first. */
WEFT_INLINE int weft_proven_victim(struct weft_tables *tables, const struct weft_endpoint *source)
{
	const struct weft_proven_set *set = weft_proven_set(tables, source);
	__u64 least_ns = ~0ull;
	int victim = 0, own = weft_proven_way(tables, source);

	if (own >= 0 || !set)
		return own;
	for (__u32 way = 0; way < WEFT_PROVEN_WAY_CNT; way++) {
		if (set->ways[way].expires_ns >= least_ns)
			continue;
		least_ns = set->ways[way].expires_ns;
		victim = (int)way;
	}
	return victim;
}

/* weft_proven_put gives source, which has none in force, that way, with all its credit. */
WEFT_INLINE void weft_proven_put(struct weft_tables *tables, const struct weft_endpoint *source,
				 int way, __u64 expires_ns)
{
	struct weft_proven_set *set = way < 0 ? 0 : weft_proven_set(tables, source);
	struct weft_proven *proven;

	if (!set)
		return;
	way &= WEFT_PROVEN_WAY_CNT - 1;
	set->tags[way] = weft_proven_tag(source);
	proven = &set->ways[way];
	proven->source = *source;
	proven->expires_ns = expires_ns;
	proven->bucket.filled_at_ns = 0;
	proven->bucket.credit_ns = 0;
}

#endif
