/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_REGION_SETS_H
#define WEFT_SHARES_ANNOUNCE_REGION_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "golomb_set.h"
#include "mesh/seam_overlay.h"

struct arena;

/*
 * The holder sets of others, by region. The overlay is asked once for all searches in a
 * region, and the set is kept for ten minutes. The reason: a search for the files of one share
 * comes to each region again and again. Least recently used regions give way.
 *
 * Home worker.
 */
struct announce_sets;

#define ANNOUNCE_SETS_KEEP_NS (600 * NS_PER_S)

/* A waiter for the holders of id; embedded in the owner's object. */
struct announce_want {
	struct list_node node; /* of the region's, while it is asked for */
	uint8_t id[32];
	/* A set that may have it, as it comes; borrowed for the call. */
	void (*found)(struct announce_want *want, const struct golomb_set *set);
	/* Once, when all that there are have come; not from within shares_announce_sets_want. */
	void (*done)(struct announce_want *want, uint64_t now_ns);
};

/* shares_announce_sets_new: memory_len bounds the sets that are kept. 0, WEFT_EFULL (arena) or -errno. */
WEFT_MUST_CHECK
int shares_announce_sets_new(struct arena *arena, uint32_t region_cap, size_t memory_len,
			     const struct overlay_seam *overlay, struct announce_sets **out_sets);
void shares_announce_sets_stop(struct announce_sets *sets);
void shares_announce_sets_free(struct announce_sets *sets);

/*
 * shares_announce_sets_want calls want->found for the sets that are known, now, and for those
 * that come. Returns 1: it waits for more, and done follows; 0: that was all, and done does not
 * follow; or WEFT_EFULL. After shares_announce_sets_leave nothing is called any more.
 */
WEFT_MUST_CHECK
int shares_announce_sets_want(struct announce_sets *sets, unsigned depth,
			      struct announce_want *want, uint64_t now_ns);
void shares_announce_sets_leave(struct announce_want *want);
void shares_announce_sets_count(const struct announce_sets *sets, uint32_t *out_region_cnt,
				size_t *out_len);

#endif
