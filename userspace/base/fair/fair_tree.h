/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_FAIR_TREE_H
#define WEFT_BASE_FAIR_FAIR_TREE_H

#include "fair.h"

/*
 * The tree under base/fair/fair: accounts that exist while they hold slots.
 * Siblings that hold equally many share a rank, and a parent's ranks lie in
 * order. So the largest sibling is found in one step. A count that moves by
 * one moves its account to a neighbouring rank. Private to fair.
 */
struct fair_rank {
	struct list_node by_held; /* in the parent's ranks, fewest first */
	struct list_node owing;	  /* accounts some of whose peers owe, stalest first */
	struct list_node resting; /* accounts all of whose slots rest */
	uint32_t held_cnt;	  /* of each account here */
};

struct fair_account {
	struct list_node by_rank;
	struct fair_rank *rank;
	struct fair_account *parent; /* NULL: the account of a class */
	struct fair_account *next;   /* in its bucket */
	struct list_node ranks;	     /* of its children; empty at a leaf */
	struct list_node owing;	     /* a leaf's slots whose peer owes, stalest first */
	struct list_node resting;    /* a leaf's slots that rest, oldest first */
	uint64_t id;
	uint32_t held_cnt;
	uint32_t owing_cnt;
	uint32_t child_cnt;
	uint8_t class;
	bool is_leaf;
};

WEFT_MUST_CHECK
int fair_tree_init(struct fair *fair, struct arena *arena);

/* fair_tree_lookup gives the account at a level of path in class, or NULL. */
struct fair_account *fair_tree_lookup(struct fair *fair, const struct fair_path *path,
				      unsigned level, enum fair_class class);

/* fair_tree_{put,remove} hang item under path in class, or take it out. */
void fair_tree_put(struct fair *fair, const struct fair_path *path, enum fair_class class,
		   struct fair_item *item);
void fair_tree_remove(struct fair *fair, struct fair_item *item);

/*
 * fair_tree_touch makes item the freshest of its leaf, and its branch of
 * each level. In a standing pool the order is that of taking and stays.
 */
void fair_tree_touch(struct fair *fair, struct fair_item *item);
/* fair_tree_rest says whether item rests. */
void fair_tree_rest(struct fair *fair, struct fair_item *item, bool is_resting);

/* fair_tree_settle puts the pool's latest item into the tree, before anything looks at that or changes it. */
void fair_tree_settle(struct fair *fair);

/* Whether the busy deadline counts. */
static inline bool fair_is_hurried(const struct fair *fair)
{
	return fair->is_busy || fair->now_ns < fair->pressed_until_ns;
}

/* fair_tree_top gives the rank of node's largest children, or NULL. */
struct fair_rank *fair_tree_top(struct fair *fair, const struct fair_account *node);
/*
 * fair_tree_largest goes from node to its largest child and on to a leaf.
 * Among equal ones: in a pool of work the stalest, in a standing one the
 * last to grow; those that rest come last.
 */
struct fair_account *fair_tree_largest(struct fair *fair, struct fair_account *node);

/*
 * fair_victim_find gives the slot that goes for a take of path in class, or NULL; the tree is
 * settled. fair_victim_below looks below node alone, which is at level. From the top: the largest
 * sibling, where it holds the margin more than the asker's branch, else on into that branch.
 * Without such a sibling it is a tie. Then a slot past the grace goes: of the narrowest level where
 * a sibling holds one more, or of the asker itself.
 */
struct fair_item *fair_victim_find(struct fair *fair, const struct fair_path *path,
				   enum fair_class class);
struct fair_item *fair_victim_below(struct fair *fair, struct fair_account *node, unsigned level,
				    const struct fair_path *path, enum fair_class class);

#endif
