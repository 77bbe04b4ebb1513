/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the slot that goes when a full pool takes another.
 *
 * The margin of two makes the sum of the squares of the counts fall with
 * each eviction. So takes cannot chase each other round (longest-queue
 * drop; Hahne, Kesselman, Mansour 2001).
 */
#include "base/container_of.h"
#include "fair_tree.h"

#define FAIR_MARGIN    2u	    /* how much more the largest sibling holds before it pays */
#define GRACE_NS_MIN   100000000ull /* about two round trips across an ocean */
#define GRACE_NS_MAX   2000000000ull
#define POLL_STALE_MAX 4u /* items asked about by one take */

static uint64_t grace_ns(const struct fair *fair)
{
	uint64_t grace = 2 * fair->median_ns;

	if (grace < GRACE_NS_MIN)
		return GRACE_NS_MIN;
	return grace > GRACE_NS_MAX ? GRACE_NS_MAX : grace;
}

static bool class_is_above_floor(const struct fair *fair, unsigned class)
{
	return fair->classes[class]->held_cnt > fair->floor_cnts[class];
}

static enum fair_class class_that_pays(const struct fair *fair, enum fair_class own)
{
	enum fair_class payer = own;
	uint32_t most = 0;

	if (fair->classes[own]->held_cnt >= fair->floor_cnts[own]) {
		for (unsigned i = 0; i < own; i++)
			if (class_is_above_floor(fair, i))
				return i;
		return own;
	}
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		if (i == own || !class_is_above_floor(fair, i))
			continue;
		if (fair->classes[i]->held_cnt - fair->floor_cnts[i] > most) {
			most = fair->classes[i]->held_cnt - fair->floor_cnts[i];
			payer = i;
		}
	}
	return payer;
}

/* The slot of leaf that goes: of those that rest, the one with the least work in it. */
static struct fair_item *leaf_victim(const struct fair *fair, struct fair_account *leaf)
{
	struct list_node *node;

	if (list_is_empty(&leaf->owing))
		node = leaf->resting.prev;
	else
		node = fair->config.kind == FAIR_WORK ? leaf->owing.next : leaf->owing.prev;
	return container_of(node, struct fair_item, by_leaf);
}

/* The slot of leaf longest without progress, if that is past the grace; else NULL. */
static struct fair_item *leaf_stale(struct fair *fair, struct fair_account *leaf)
{
	if (fair->config.kind != FAIR_WORK)
		return NULL;
	for (unsigned i = 0; i < POLL_STALE_MAX && !list_is_empty(&leaf->owing); i++) {
		struct fair_item *item = container_of(leaf->owing.next, struct fair_item, by_leaf);

		if (fair->now_ns - item->progress_at_ns < grace_ns(fair))
			return NULL;
		if (!fair->poll || !fair->poll(item, fair->now_ns))
			return item;
	}
	return NULL;
}

struct fair_item *fair_victim_below(struct fair *fair, struct fair_account *node, unsigned level,
				    const struct fair_path *path, enum fair_class class)
{
	struct fair_account *tied = NULL;
	struct fair_item *stale = NULL;

	for (; node && level < path->level_cnt; level++) {
		struct fair_account *own = fair_tree_lookup(fair, path, level, class);
		uint32_t own_cnt = own ? own->held_cnt : 0;
		struct fair_rank *top = fair_tree_top(fair, node);

		if (!top)
			return NULL;
		if (top->held_cnt >= own_cnt + FAIR_MARGIN)
			return leaf_victim(fair, fair_tree_largest(fair, node));
		if (top->held_cnt > own_cnt)
			tied = node;
		node = own;
	}
	if (tied)
		stale = leaf_stale(fair, fair_tree_largest(fair, tied));
	return stale || !node ? stale : leaf_stale(fair, node);
}

struct fair_item *fair_victim_find(struct fair *fair, const struct fair_path *path,
				   enum fair_class class)
{
	enum fair_class payer = class_that_pays(fair, class);

	if (payer == class)
		return fair_victim_below(fair, fair->classes[class], 0, path, class);
	return leaf_victim(fair, fair_tree_largest(fair, fair->classes[payer]));
}
