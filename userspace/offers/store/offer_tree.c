/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The B+tree of offer_tree.h. A put splits full nodes on its way down, so it never goes up again.
 * A remove notes its way down and merges on the way up. The key of a child in an inner node is a
 * lower bound of its pairs, which stays true when pairs leave.
 */
#include "offer_tree.h"

#include <string.h>

#include "base/assert.h"

/* Two neighbours that have no more together become one, with as much room again. */
#define LEAF_BOTH  (OFFER_LEAF_CAP / 2)
#define INNER_BOTH (OFFER_INNER_CAP / 2)

/*
 * What nodes have on average at least. Two neighbours below one node have 33 together; a node with
 * an odd number of children has one without a neighbour.
 */
#define LEAF_LEAST  15u
#define INNER_LEAST 7u

static bool is_below(uint64_t key, uint32_t row, struct offer_pair pair)
{
	return key < pair.key || (key == pair.key && row < pair.row);
}

/* The number of pairs in leaf below pair. */
static uint32_t leaf_below(const struct offer_node *leaf, struct offer_pair pair)
{
	uint32_t low = 0, len = leaf->cnt;

	while (len > 0) {
		uint32_t half = len / 2, mid = low + half;
		bool is_low = is_below(leaf->leaf.keys[mid], leaf->leaf.rows[mid], pair);

		low = is_low ? mid + 1 : low;
		len = is_low ? len - half - 1 : half;
	}
	return low;
}

/* The child that pair belongs to: the last one whose lower bound is not above it. */
static uint32_t child_of(const struct offer_node *node, struct offer_pair pair)
{
	uint32_t low = 1, len = node->cnt - 1;

	while (len > 0) {
		uint32_t half = len / 2, mid = low + half;
		bool is_above =
			node->inner.keys[mid] > pair.key ||
			(node->inner.keys[mid] == pair.key && node->inner.rows[mid] > pair.row);

		low = is_above ? low : mid + 1;
		len = is_above ? half : len - half - 1;
	}
	return low - 1;
}

uint32_t offers_tree_node_cnt(uint32_t cnt, unsigned tree_cnt)
{
	uint32_t leaves = cnt / LEAF_LEAST + 1;

	return leaves + leaves / (INNER_LEAST - 1) + tree_cnt * 2 * OFFER_HEIGHT_MAX;
}

static struct offer_node *node_new(struct offer_tree *tree, bool is_leaf)
{
	struct offer_node *node = pool_acquire(tree->nodes);

	weft_assert(node != NULL);
	node->is_leaf = is_leaf;
	return node;
}

int offers_tree_init(struct offer_tree *tree, struct pool *nodes)
{
	*tree = (struct offer_tree){.nodes = nodes, .height = 1};
	if (nodes->used_cnt == nodes->cap_cnt)
		return WEFT_EFULL;
	tree->root = node_new(tree, true);
	return 0;
}

static void node_release(struct offer_tree *tree, struct offer_node *node)
{
	for (uint32_t i = 0; !node->is_leaf && i < node->cnt; i++)
		node_release(tree, node->inner.children[i]);
	pool_release(tree->nodes, node);
}

void offers_tree_fini(struct offer_tree *tree)
{
	if (tree->root)
		node_release(tree, tree->root);
	tree->root = NULL;
}

uint32_t offers_tree_nodes_needed(const struct offer_tree *tree, unsigned cnt)
{
	return cnt ? 2 * cnt + tree->height + 1 : 0;
}

bool offers_tree_room(const struct offer_tree *tree, unsigned cnt)
{
	return tree->nodes->cap_cnt - tree->nodes->used_cnt >= offers_tree_nodes_needed(tree, cnt);
}

/* --- put --- */

static bool node_is_full(const struct offer_node *node)
{
	return node->cnt == (node->is_leaf ? OFFER_LEAF_CAP : OFFER_INNER_CAP);
}

static void leaf_move(struct offer_node *to, uint32_t at, const struct offer_node *from,
		      uint32_t from_at, uint32_t cnt)
{
	memmove(to->leaf.keys + at, from->leaf.keys + from_at, cnt * sizeof(uint64_t));
	memmove(to->leaf.rows + at, from->leaf.rows + from_at, cnt * sizeof(uint32_t));
}

static void inner_move(struct offer_node *to, uint32_t at, const struct offer_node *from,
		       uint32_t from_at, uint32_t cnt)
{
	memmove(to->inner.keys + at, from->inner.keys + from_at, cnt * sizeof(uint64_t));
	memmove(to->inner.rows + at, from->inner.rows + from_at, cnt * sizeof(uint32_t));
	memmove(to->inner.cnts + at, from->inner.cnts + from_at, cnt * sizeof(uint32_t));
	memmove(to->inner.children + at, from->inner.children + from_at,
		cnt * sizeof(struct offer_node *));
}

static uint32_t node_pairs(const struct offer_node *node)
{
	uint32_t cnt = 0;

	if (node->is_leaf)
		return node->cnt;
	for (uint32_t i = 0; i < node->cnt; i++)
		cnt += node->inner.cnts[i];
	return cnt;
}

/* The first pair of node; of an inner one, its lower bound. */
static struct offer_pair node_first(const struct offer_node *node)
{
	if (node->is_leaf)
		return (struct offer_pair){node->leaf.keys[0], node->leaf.rows[0]};
	return (struct offer_pair){node->inner.keys[0], node->inner.rows[0]};
}

/* Whether pair goes behind all that node has, at the right edge of the tree. */
static bool is_appended(const struct offer_node *node, struct offer_pair pair)
{
	uint32_t last = node->cnt - 1;

	if (node->is_leaf)
		return !node->next && is_below(node->leaf.keys[last], node->leaf.rows[last], pair);
	return is_below(node->inner.keys[last], node->inner.rows[last], pair);
}

static void inner_insert(struct offer_node *node, uint32_t at, struct offer_node *child)
{
	struct offer_pair first = node_first(child);

	inner_move(node, at + 1, node, at, node->cnt - at);
	node->inner.keys[at] = first.key;
	node->inner.rows[at] = first.row;
	node->inner.cnts[at] = node_pairs(child);
	node->inner.children[at] = child;
	node->cnt++;
}

/* Splits the full child idx of node in two, for pair. Rising pairs leave the left one full. */
static void child_split(struct offer_tree *tree, struct offer_node *node, uint32_t idx,
			struct offer_pair pair)
{
	struct offer_node *left = node->inner.children[idx];
	struct offer_node *right = node_new(tree, left->is_leaf);
	bool is_edge = idx == node->cnt - 1 && is_appended(left, pair);
	uint32_t keep = is_edge ? left->cnt - 1 : left->cnt / 2;

	right->cnt = left->cnt - keep;
	left->cnt = keep;
	if (left->is_leaf) {
		leaf_move(right, 0, left, keep, right->cnt);
		right->next = left->next;
		right->prev = left;
		if (left->next)
			left->next->prev = right;
		left->next = right;
	} else {
		inner_move(right, 0, left, keep, right->cnt);
	}
	inner_insert(node, idx + 1, right);
	node->inner.cnts[idx] -= node->inner.cnts[idx + 1];
}

static void root_grow(struct offer_tree *tree)
{
	struct offer_node *root = node_new(tree, false);

	weft_assert(tree->height < OFFER_HEIGHT_MAX);
	inner_insert(root, 0, tree->root);
	tree->root = root;
	tree->height++;
}

void offers_tree_put(struct offer_tree *tree, struct offer_pair pair)
{
	struct offer_node *node;
	uint32_t at;

	if (node_is_full(tree->root))
		root_grow(tree);
	for (node = tree->root; !node->is_leaf; node = node->inner.children[at]) {
		at = child_of(node, pair);
		if (node_is_full(node->inner.children[at])) {
			child_split(tree, node, at, pair);
			at = child_of(node, pair);
		}
		node->inner.cnts[at]++;
	}
	at = leaf_below(node, pair);
	leaf_move(node, at + 1, node, at, node->cnt - at);
	node->leaf.keys[at] = pair.key;
	node->leaf.rows[at] = pair.row;
	node->cnt++;
	tree->cnt++;
}

/* --- remove --- */

/* The right of two neighbours goes into the left one. */
static void children_merge(struct offer_tree *tree, struct offer_node *node, uint32_t left_idx)
{
	struct offer_node *left = node->inner.children[left_idx];
	struct offer_node *right = node->inner.children[left_idx + 1];
	uint32_t behind = node->cnt - left_idx - 2;

	if (left->is_leaf) {
		leaf_move(left, left->cnt, right, 0, right->cnt);
		left->next = right->next;
		if (right->next)
			right->next->prev = left;
	} else {
		/* The first bound of a node that has one before it is that in its parent. */
		inner_move(left, left->cnt, right, 0, right->cnt);
	}
	left->cnt += right->cnt;
	node->inner.cnts[left_idx] += node->inner.cnts[left_idx + 1];
	inner_move(node, left_idx + 1, node, left_idx + 2, behind);
	node->cnt--;
	pool_release(tree->nodes, right);
}

static bool may_merge(const struct offer_node *left, const struct offer_node *right)
{
	if (left->cnt == 0 || right->cnt == 0)
		return true;
	return left->cnt + right->cnt <= (left->is_leaf ? LEAF_BOTH : INNER_BOTH);
}

static void child_mend(struct offer_tree *tree, struct offer_node *node, uint32_t idx)
{
	struct offer_node **children = node->inner.children;

	if (children[idx]->cnt > (children[idx]->is_leaf ? LEAF_BOTH : INNER_BOTH))
		return;
	if (idx > 0 && may_merge(children[idx - 1], children[idx]))
		children_merge(tree, node, idx - 1);
	else if (idx + 1 < node->cnt && may_merge(children[idx], children[idx + 1]))
		children_merge(tree, node, idx);
}

void offers_tree_remove(struct offer_tree *tree, struct offer_pair pair)
{
	struct offer_node *nodes[OFFER_HEIGHT_MAX], *node = tree->root;
	uint32_t idxs[OFFER_HEIGHT_MAX], at;
	unsigned depth = 0;

	for (; !node->is_leaf; node = node->inner.children[at]) {
		at = child_of(node, pair);
		node->inner.cnts[at]--;
		nodes[depth] = node;
		idxs[depth++] = at;
	}
	at = leaf_below(node, pair);
	weft_assert(at < node->cnt && node->leaf.keys[at] == pair.key);
	weft_assert(node->leaf.rows[at] == pair.row);
	leaf_move(node, at, node, at + 1, node->cnt - at - 1);
	node->cnt--;
	tree->cnt--;
	while (depth > 0) {
		depth--;
		child_mend(tree, nodes[depth], idxs[depth]);
	}
	while (!tree->root->is_leaf && tree->root->cnt == 1) {
		node = tree->root;
		tree->root = node->inner.children[0];
		tree->height--;
		pool_release(tree->nodes, node);
	}
}

/* --- look --- */

static uint32_t tree_below(const struct offer_tree *tree, struct offer_pair pair)
{
	const struct offer_node *node = tree->root;
	uint32_t below = 0;

	while (!node->is_leaf) {
		uint32_t at = child_of(node, pair);

		for (uint32_t i = 0; i < at; i++)
			below += node->inner.cnts[i];
		node = node->inner.children[at];
	}
	return below + leaf_below(node, pair);
}

uint32_t offers_tree_count(const struct offer_tree *tree, uint64_t first, uint64_t last)
{
	if (first > last)
		return 0;
	return tree_below(tree, (struct offer_pair){last, UINT32_MAX}) -
	       tree_below(tree, (struct offer_pair){first, 0});
}

struct offer_place offers_tree_place(const struct offer_tree *tree, struct offer_pair pair)
{
	const struct offer_node *node = tree->root;

	while (!node->is_leaf)
		node = node->inner.children[child_of(node, pair)];
	return (struct offer_place){node, leaf_below(node, pair)};
}

bool offers_tree_next(struct offer_place *place, struct offer_pair *out)
{
	while (place->idx >= place->leaf->cnt) {
		if (!place->leaf->next)
			return false;
		place->leaf = place->leaf->next;
		place->idx = 0;
	}
	*out = (struct offer_pair){place->leaf->leaf.keys[place->idx],
				   place->leaf->leaf.rows[place->idx]};
	place->idx++;
	return true;
}

bool offers_tree_prev(struct offer_place *place, struct offer_pair *out)
{
	while (place->idx == 0) {
		if (!place->leaf->prev)
			return false;
		place->leaf = place->leaf->prev;
		place->idx = place->leaf->cnt;
	}
	place->idx--;
	*out = (struct offer_pair){place->leaf->leaf.keys[place->idx],
				   place->leaf->leaf.rows[place->idx]};
	return true;
}

/* --- check --- */

static bool node_check(const struct offer_node *node, unsigned height)
{
	if (node->is_leaf != (height == 1) || node->cnt > OFFER_LEAF_CAP)
		return false;
	for (uint32_t i = 0; !node->is_leaf && i < node->cnt; i++) {
		const struct offer_node *child = node->inner.children[i];
		struct offer_pair bound = {node->inner.keys[i], node->inner.rows[i]};

		if (!node_check(child, height - 1) || node_pairs(child) != node->inner.cnts[i])
			return false;
		if (i > 0 && child->is_leaf && child->cnt > 0 && leaf_below(child, bound) != 0)
			return false;
	}
	return node->is_leaf || node->cnt <= OFFER_INNER_CAP;
}

bool offers_tree_check(const struct offer_tree *tree)
{
	struct offer_place place = offers_tree_place(tree, (struct offer_pair){0, 0});
	struct offer_pair pair, former = {0, 0};
	uint32_t cnt = 0;

	if (!node_check(tree->root, tree->height) || node_pairs(tree->root) != tree->cnt)
		return false;
	for (; offers_tree_next(&place, &pair); former = pair)
		if (cnt++ > 0 && !is_below(former.key, former.row, pair))
			return false;
	return cnt == tree->cnt;
}
