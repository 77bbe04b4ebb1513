/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool's figures: its fill, the account that holds most, and the same of
 * several workers added up.
 */
#include "fair.h"

#include "fair_tree.h"

static bool holds_more(const struct fair *fair, const struct fair_account *a,
		       const struct fair_account *b)
{
	if ((a->held_cnt > 0) != (b->held_cnt > 0))
		return a->held_cnt > 0;
	return (int64_t)a->held_cnt - fair->floor_cnts[a->class] >
	       (int64_t)b->held_cnt - fair->floor_cnts[b->class];
}

/* The class that holds most above its floor; one that holds nothing comes last. */
static const struct fair_account *largest_class(const struct fair *fair)
{
	const struct fair_account *node = fair->classes[0];

	for (unsigned i = 1; i < FAIR_CLASS_CNT; i++)
		if (holds_more(fair, fair->classes[i], node))
			node = fair->classes[i];
	return node;
}

/* A largest child of node, as the next take finds it; node has one. */
static const struct fair_account *largest_child(const struct fair_account *node)
{
	const struct fair_rank *top = container_of(node->ranks.prev, struct fair_rank, by_held);
	const struct list_node *side = list_is_empty(&top->owing) ? &top->resting : &top->owing;

	return container_of(side->next, struct fair_account, by_rank);
}

/* The chain of largest accounts. */
static void read_largest(const struct fair *fair, struct fair_view *out)
{
	const struct fair_account *node = largest_class(fair);

	for (unsigned level = 0; !list_is_empty(&node->ranks); level++) {
		node = largest_child(node);
		out->largest_cnts[level] = node->held_cnt;
	}
}

const struct fair_item *fair_largest(const struct fair *fair)
{
	const struct fair_account *node;

	fair_tree_settle((struct fair *)fair); /* changes nothing that a reader sees */
	node = largest_class(fair);
	while (!list_is_empty(&node->ranks))
		node = largest_child(node);
	if (!node->is_leaf)
		return NULL;
	return container_of(list_is_empty(&node->owing) ? node->resting.next : node->owing.next,
			    struct fair_item, by_leaf);
}

/*
 * An unknown peer of a new network can have this much now: a free slot, or its
 * part of the class's part.
 */
static uint32_t read_share(const struct fair *fair)
{
	const struct fair_account *unknown = fair->classes[FAIR_UNKNOWN];
	uint32_t family_cnt = unknown->child_cnt > 0 ? unknown->child_cnt : 1;
	uint32_t cnt = unknown->held_cnt;
	uint32_t network_cnt = 1;

	if (cnt < fair->floor_cnts[FAIR_UNKNOWN])
		cnt = fair->floor_cnts[FAIR_UNKNOWN];
	if (!list_is_empty(&unknown->ranks))
		network_cnt += largest_child(unknown)->child_cnt;
	return cnt / family_cnt / network_cnt;
}

void fair_read(const struct fair *fair, struct fair_view *out)
{
	fair_tree_settle((struct fair *)fair); /* changes nothing that a reader sees */
	*out = (struct fair_view){
		.name = fair->config.name,
		.cap_cnt = fair->config.cap_cnt,
		.held_cnt = fair->held_cnt,
		.share_cnt = read_share(fair),
		.taken_cnt = fair->taken_cnt,
		.overdue_cnt = fair->overdue_cnt,
		.median_ns = fair->median_ns,
		.is_busy = fair_is_hurried(fair),
	};
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		out->held_cnts[i] = fair->classes[i]->held_cnt;
		out->floor_cnts[i] = fair->floor_cnts[i];
		out->evicted_cnts[i] = fair->evicted_cnts[i];
		out->refused_cnts[i] = fair->refused_cnts[i];
	}
	read_largest(fair, out);
}

static uint32_t larger_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void fair_view_add(struct fair_view *sum, const struct fair_view *more)
{
	sum->cap_cnt += more->cap_cnt;
	sum->held_cnt += more->held_cnt;
	sum->taken_cnt += more->taken_cnt;
	sum->overdue_cnt += more->overdue_cnt;
	sum->is_busy |= more->is_busy;
	if (sum->share_cnt > more->share_cnt)
		sum->share_cnt = more->share_cnt;
	if (sum->median_ns < more->median_ns)
		sum->median_ns = more->median_ns;
	for (unsigned i = 0; i < FAIR_LEVEL_MAX; i++)
		sum->largest_cnts[i] = larger_u32(sum->largest_cnts[i], more->largest_cnts[i]);
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		sum->held_cnts[i] += more->held_cnts[i];
		sum->floor_cnts[i] += more->floor_cnts[i];
		sum->evicted_cnts[i] += more->evicted_cnts[i];
		sum->refused_cnts[i] += more->refused_cnts[i];
	}
}
