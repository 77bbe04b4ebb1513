/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts and ranks of fair shares: the structure of Linux's SFQ (lists of
 * flows by length) at each level of a tree. Nothing here decides who pays.
 */
#include "base/fair_tree.h"

#include "base/arena.h"
#include "base/assert.h"

/* Buckets hold one account on average when every slot has its own path. */
static uint32_t bucket_cnt_for(const struct fair_config *config)
{
	uint32_t cnt = 16;

	while (cnt < config->cap_cnt * config->level_cnt)
		cnt *= 2;
	return cnt;
}

static uint32_t account_cap(const struct fair_config *config)
{
	return config->cap_cnt * config->level_cnt + FAIR_CLASS_CNT;
}

size_t fair_tree_footprint(const struct fair_config *config)
{
	return pool_footprint(sizeof(struct fair_account), account_cap(config)) +
	       pool_footprint(sizeof(struct fair_rank), account_cap(config) + 1) +
	       bucket_cnt_for(config) * sizeof(struct fair_account *);
}

static struct fair_account *account_new(struct fair *fair, struct fair_account *parent, uint64_t id,
					enum fair_class class)
{
	/* An account holds a slot and a slot has level_cnt accounts, so there is one. */
	struct fair_account *account = pool_acquire(&fair->accounts);

	weft_assert(account != NULL);
	list_init(&account->by_rank);
	list_init(&account->ranks);
	list_init(&account->owing);
	list_init(&account->resting);
	account->parent = parent;
	account->id = id;
	account->class = (uint8_t)class;
	return account;
}

int fair_tree_init(struct fair *fair, struct arena *arena)
{
	const struct fair_config *config = &fair->config;

	fair->bucket_cnt = bucket_cnt_for(config);
	fair->buckets = arena_alloc(arena, fair->bucket_cnt * sizeof(struct fair_account *));
	if (!fair->buckets)
		return WEFT_EFULL;
	if (pool_init(&fair->accounts, arena, sizeof(struct fair_account), account_cap(config)) < 0)
		return WEFT_EFULL;
	/* One more than there are accounts: a rank is made before the old one is empty. */
	if (pool_init(&fair->ranks, arena, sizeof(struct fair_rank), account_cap(config) + 1) < 0)
		return WEFT_EFULL;
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++)
		fair->classes[i] = account_new(fair, NULL, 0, i);
	return 0;
}

/* Class and kind are part of the name: one address may hold slots in two classes. */
static uint64_t account_id(const struct fair_path *path, unsigned level, enum fair_class class)
{
	bool is_leaf = level + 1u == path->level_cnt;

	return (path->ids[level] & ~(uint64_t)7) | (uint64_t)class << 1 | is_leaf;
}

static struct fair_account **bucket_of(struct fair *fair, uint64_t id)
{
	/* The low three bits are no hash. */
	return &fair->buckets[(id >> 3) & (fair->bucket_cnt - 1)];
}

static struct fair_account *account_find(struct fair *fair, uint64_t id)
{
	struct fair_account *account = *bucket_of(fair, id);

	while (account && account->id != id)
		account = account->next;
	fair->visit_cnt++;
	return account;
}

struct fair_account *fair_tree_lookup(struct fair *fair, const struct fair_path *path,
				      unsigned level, enum fair_class class)
{
	return account_find(fair, account_id(path, level, class));
}

static struct fair_account *account_child(struct fair *fair, struct fair_account *parent,
					  uint64_t id)
{
	struct fair_account *account = account_find(fair, id);
	struct fair_account **bucket = bucket_of(fair, id);

	if (account)
		return account;
	account = account_new(fair, parent, id, parent->class);
	account->is_leaf = id & 1;
	account->next = *bucket;
	*bucket = account;
	parent->child_cnt++;
	return account;
}

static void account_free(struct fair *fair, struct fair_account *account)
{
	struct fair_account **link = bucket_of(fair, account->id);

	while (*link != account)
		link = &(*link)->next;
	*link = account->next;
	account->parent->child_cnt--;
	pool_release(&fair->accounts, account);
}

/* A standing pool knows one side: there the youngest slot goes, whatever it waits for. */
static struct list_node *rank_side(const struct fair *fair, const struct fair_account *account)
{
	bool is_resting = fair->config.kind == FAIR_WORK && account->owing_cnt == 0;

	return is_resting ? &account->rank->resting : &account->rank->owing;
}

/* Makes account the freshest of its rank, on the side that its slots ask for. */
static void account_place(struct fair *fair, struct fair_account *account)
{
	fair->visit_cnt++;
	list_unlink(&account->by_rank);
	list_push_back(rank_side(fair, account), &account->by_rank);
}

static bool rank_counts(const struct list_node *node, const struct list_node *head, uint32_t cnt)
{
	return node != head && list_entry(node, struct fair_rank, by_held)->held_cnt == cnt;
}

/* The rank of cnt beside old, where it is or as a new one. old is NULL for an account's first. */
static struct fair_rank *rank_beside(struct fair *fair, struct fair_account *parent,
				     struct fair_rank *old, uint32_t cnt)
{
	struct list_node *after = old ? old->by_held.next : parent->ranks.next;
	struct fair_rank *rank;

	fair->visit_cnt++;
	if (old && cnt < old->held_cnt) {
		after = &old->by_held;
		if (rank_counts(after->prev, &parent->ranks, cnt))
			return list_entry(after->prev, struct fair_rank, by_held);
	} else if (rank_counts(after, &parent->ranks, cnt)) {
		return list_entry(after, struct fair_rank, by_held);
	}
	rank = pool_acquire(&fair->ranks);
	weft_assert(rank != NULL);
	rank->held_cnt = cnt;
	list_init(&rank->owing);
	list_init(&rank->resting);
	list_push_back(after, &rank->by_held); /* before it */
	return rank;
}

/* Puts account, whose count moved by one, where its count belongs; frees what became empty. */
static void account_rerank(struct fair *fair, struct fair_account *account)
{
	struct fair_rank *old = account->rank;

	list_unlink(&account->by_rank);
	account->rank = NULL;
	if (account->held_cnt > 0) {
		account->rank = rank_beside(fair, account->parent, old, account->held_cnt);
		list_push_back(rank_side(fair, account), &account->by_rank);
	}
	if (old && list_is_empty(&old->owing) && list_is_empty(&old->resting)) {
		list_unlink(&old->by_held);
		pool_release(&fair->ranks, old);
	}
	if (account->held_cnt == 0)
		account_free(fair, account);
}

static struct list_node *leaf_side(const struct fair *fair, struct fair_account *leaf,
				   const struct fair_item *item)
{
	bool is_resting = fair->config.kind == FAIR_WORK && item->is_resting;

	return is_resting ? &leaf->resting : &leaf->owing;
}

void fair_tree_put(struct fair *fair, const struct fair_path *path, enum fair_class class,
		   struct fair_item *item)
{
	struct fair_account *account = fair->classes[class];

	for (unsigned level = 0; level < path->level_cnt; level++)
		account = account_child(fair, account, account_id(path, level, class));
	item->leaf = account;
	list_push_back(leaf_side(fair, account, item), &item->by_leaf);
	for (; account; account = account->parent) {
		account->held_cnt++;
		account->owing_cnt += !item->is_resting;
		if (account->parent)
			account_rerank(fair, account);
	}
}

void fair_tree_remove(struct fair *fair, struct fair_item *item)
{
	struct fair_account *account = item->leaf;

	list_unlink(&item->by_leaf);
	item->leaf = NULL;
	while (account) {
		struct fair_account *parent = account->parent;

		account->held_cnt--;
		account->owing_cnt -= !item->is_resting;
		if (parent)
			account_rerank(fair, account);
		account = parent;
	}
}

void fair_tree_touch(struct fair *fair, struct fair_item *item)
{
	if (fair->config.kind == FAIR_STANDING)
		return;
	list_unlink(&item->by_leaf);
	list_push_back(leaf_side(fair, item->leaf, item), &item->by_leaf);
	for (struct fair_account *account = item->leaf; account->parent; account = account->parent)
		account_place(fair, account);
}

void fair_tree_rest(struct fair *fair, struct fair_item *item, bool is_resting)
{
	item->is_resting = is_resting;
	for (struct fair_account *account = item->leaf; account; account = account->parent)
		account->owing_cnt = is_resting ? account->owing_cnt - 1 : account->owing_cnt + 1;
	fair_tree_touch(fair, item);
}

struct fair_rank *fair_tree_top(struct fair *fair, const struct fair_account *node)
{
	fair->visit_cnt++;
	return list_is_empty(&node->ranks)
		       ? NULL
		       : list_entry(node->ranks.prev, struct fair_rank, by_held);
}

struct fair_account *fair_tree_largest(struct fair *fair, struct fair_account *node)
{
	while (!node->is_leaf) {
		struct fair_rank *top = fair_tree_top(fair, node);
		struct list_node *side;

		weft_assert(top != NULL);
		side = list_is_empty(&top->owing) ? &top->resting : &top->owing;
		node = list_entry(fair->config.kind == FAIR_WORK ? side->next : side->prev,
				  struct fair_account, by_rank);
		fair->visit_cnt++;
	}
	return node;
}
