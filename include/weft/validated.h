/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_VALIDATED_H
#define WEFT_VALIDATED_H

#include "weft/limit.h"

/*
 * The sets of sources that answered a Retry (struct weft_validated_set). A file
 * that includes this has defined, beside what limit.h asks,
 *
 *   weft_table_validated_set(tables, i)   that set, i < WEFT_VALIDATED_SET_CNT, or NULL
 */

/* A tag of the whole endpoint; not secret, for a match is compared in full. */
WEFT_INLINE __u64 weft_validated_tag(const struct weft_endpoint *source)
{
	return (source->words[0] * 0x9e3779b97f4a7c15ull ^ source->words[1]) +
	       ((__u64)source->port_be << 16) + 1;
}

WEFT_INLINE struct weft_validated_set *weft_validated_set(struct weft_tables *tables,
							  const struct weft_endpoint *source)
{
	const struct weft_config *config = weft_table_config(tables);

	return config ? weft_table_validated_set(
				tables, weft_limit_place(config, weft_endpoint_prefix(source, 0)) &
						(WEFT_VALIDATED_SET_CNT - 1))
		      : 0;
}

/* weft_validated_way: which way of its set is source's, expired or not; -1: none. */
WEFT_INLINE int weft_validated_way(struct weft_tables *tables, const struct weft_endpoint *source)
{
	const struct weft_validated_set *set = weft_validated_set(tables, source);
	__u64 tag = weft_validated_tag(source);

	if (!set)
		return -1;
	for (__u32 way = 0; way < WEFT_VALIDATED_WAY_CNT; way++)
		if (set->tags[way] == tag && weft_endpoint_equal(&set->ways[way].source, source))
			return (int)way;
	return -1;
}

/* weft_validated_at: that way. */
WEFT_INLINE struct weft_validated *weft_validated_at(struct weft_tables *tables,
						     const struct weft_endpoint *source, __u32 way)
{
	struct weft_validated_set *set = weft_validated_set(tables, source);

	return set ? &set->ways[way & (WEFT_VALIDATED_WAY_CNT - 1)] : 0;
}

/* weft_validated_victim: which way of its set source gets: its own, or the one that ends first. */
WEFT_INLINE int weft_validated_victim(struct weft_tables *tables,
				      const struct weft_endpoint *source)
{
	const struct weft_validated_set *set = weft_validated_set(tables, source);
	__u64 least_ns = ~0ull;
	int victim = 0, own = weft_validated_way(tables, source);

	if (own >= 0 || !set)
		return own;
	for (__u32 way = 0; way < WEFT_VALIDATED_WAY_CNT; way++) {
		if (set->ways[way].expires_ns >= least_ns)
			continue;
		least_ns = set->ways[way].expires_ns;
		victim = (int)way;
	}
	return victim;
}

/* weft_validated_put gives source, which has none in force, that way, with all its credit. */
WEFT_INLINE void weft_validated_put(struct weft_tables *tables, const struct weft_endpoint *source,
				    int way, __u64 expires_ns)
{
	struct weft_validated_set *set = way < 0 ? 0 : weft_validated_set(tables, source);
	struct weft_validated *validated;

	if (!set)
		return;
	way &= WEFT_VALIDATED_WAY_CNT - 1;
	set->tags[way] = weft_validated_tag(source);
	validated = &set->ways[way];
	validated->source = *source;
	validated->expires_ns = expires_ns;
	validated->bucket.filled_at_ns = 0;
	validated->bucket.credit_ns = 0;
}

#endif
