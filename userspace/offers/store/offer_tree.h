/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_TREE_H
#define WEFT_OFFERS_STORE_OFFER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/pool.h"

/*
 * An ordered set of pairs (key, row): a B+tree whose inner nodes count what lies below each child.
 * So the number of pairs in a range is known without a walk, and a walk goes both ways from leaf
 * to leaf. Put, remove and count are O(log n). Many trees share one pool of nodes.
 *
 * A node that lost its pairs is merged with a neighbour, so pairs take at most 64 bytes each,
 * whatever the order of changes. Pairs put in rising order take 13.
 */
#define OFFER_LEAF_CAP	 64u
#define OFFER_INNER_CAP	 32u
#define OFFER_HEIGHT_MAX 12u

struct offer_node {
	struct offer_node *next, *prev; /* of leaves */
	uint32_t cnt;
	bool is_leaf;
	union {
		struct {
			uint64_t keys[OFFER_LEAF_CAP];
			uint32_t rows[OFFER_LEAF_CAP];
		} leaf;
		struct { /* no pair of a child is below its key and row, but in the first one */
			uint64_t keys[OFFER_INNER_CAP];
			struct offer_node *children[OFFER_INNER_CAP];
			uint32_t rows[OFFER_INNER_CAP];
			uint32_t cnts[OFFER_INNER_CAP];
		} inner;
	};
};

struct offer_tree {
	struct pool *nodes; /* of struct offer_node; shared */
	struct offer_node *root;
	unsigned height; /* 1: the root is a leaf */
	uint32_t cnt;
};

struct offer_pair {
	uint64_t key;
	uint32_t row; /* below UINT32_MAX */
};

/* A place between two pairs; valid until the tree changes. */
struct offer_place {
	const struct offer_node *leaf;
	uint32_t idx; /* of the pair behind it */
};

/* offers_tree_node_cnt: nodes for cnt pairs in tree_cnt trees, whatever the order of changes. */
uint32_t offers_tree_node_cnt(uint32_t cnt, unsigned tree_cnt);

/* offers_tree_init: an empty tree takes one node. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int offers_tree_init(struct offer_tree *tree, struct pool *nodes);
/* offers_tree_fini gives all nodes back; takes a zeroed tree. */
void offers_tree_fini(struct offer_tree *tree);

/* offers_tree_room: whether cnt pairs more can be put without a look at the answer. */
bool offers_tree_room(const struct offer_tree *tree, unsigned cnt);
/* offers_tree_nodes_needed: the most nodes that cnt puts take. */
uint32_t offers_tree_nodes_needed(const struct offer_tree *tree, unsigned cnt);
/* offers_tree_put adds pair, which is not in the tree; there is room. */
void offers_tree_put(struct offer_tree *tree, struct offer_pair pair);
/* offers_tree_remove takes pair out, which is in the tree. */
void offers_tree_remove(struct offer_tree *tree, struct offer_pair pair);

/* offers_tree_count: pairs whose keys are in [first, last]. */
uint32_t offers_tree_count(const struct offer_tree *tree, uint64_t first, uint64_t last);

/* offers_tree_place: the place before the first pair that is not below pair. */
struct offer_place offers_tree_place(const struct offer_tree *tree, struct offer_pair pair);
/* offers_tree_next, offers_tree_prev pass over a pair; false: there is none. */
bool offers_tree_next(struct offer_place *place, struct offer_pair *out);
bool offers_tree_prev(struct offer_place *place, struct offer_pair *out);

/* offers_tree_check walks the whole tree; false: its order or a count is wrong. Tests only. */
bool offers_tree_check(const struct offer_tree *tree);

#endif
