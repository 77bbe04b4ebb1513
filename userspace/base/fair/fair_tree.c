/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts and ranks of fair shares: the structure of Linux's SFQ (lists of flows by length) at
 * each level of a tree. Nothing here decides which account pays.
 */
#include "fair_tree.h"

#include "base/memory/arena.h"
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
	/* A rank holds an account, so there are no more of them. */
	if (pool_init(&fair->ranks, arena, sizeof(struct fair_rank), account_cap(config)) < 0)
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

/* The rank of cnt at node, one of parent's ranks or their head; or NULL. */
static struct fair_rank *rank_at(struct fair_account *parent, struct list_node *node, uint32_t cnt)
{
	struct fair_rank *rank = container_of(node, struct fair_rank, by_held);

	return node != &parent->ranks && rank->held_cnt == cnt ? rank : NULL;
}

static struct fair_rank *rank_new(struct fair *fair, struct list_node *after, uint32_t cnt)
{
	struct fair_rank *rank = pool_acquire(&fair->ranks);

	weft_assert(rank != NULL);
	rank->held_cnt = cnt;
	list_init(&rank->owing);
	list_init(&rank->resting);
	list_push_back(after, &rank->by_held); /* before it */
	return rank;
}

static bool is_alone_in_rank(const struct fair_account *account)
{
	return account->by_rank.next == account->by_rank.prev &&
	       (list_is_empty(&account->rank->owing) || list_is_empty(&account->rank->resting));
}

static void rank_leave(struct fair *fair, struct fair_account *account)
{
	struct fair_rank *rank = account->rank;

	list_unlink(&account->by_rank);
	if (!list_is_empty(&rank->owing) || !list_is_empty(&rank->resting))
		return;
	list_unlink(&rank->by_held);
	pool_release(&fair->ranks, rank);
}

/*
 * Moves account, whose count moved by one, to the rank of its count. An
 * account that is alone in its rank takes the rank along: with few peers
 * that is nearly every move.
 */
static void account_move(struct fair *fair, struct fair_account *account)
{
	struct fair_rank *old = account->rank;
	uint32_t cnt = account->held_cnt;
	bool grows = cnt > old->held_cnt;
	struct list_node *beside = grows ? old->by_held.next : old->by_held.prev;
	struct fair_rank *rank = rank_at(account->parent, beside, cnt);

	if (!rank && is_alone_in_rank(account)) {
		old->held_cnt = cnt;
		if (account->by_rank.next != rank_side(fair, account))
			account_place(fair, account);
		return;
	}
	if (!rank)
		rank = rank_new(fair, grows ? beside : &old->by_held, cnt);
	rank_leave(fair, account);
	account->rank = rank;
	list_push_back(rank_side(fair, account), &account->by_rank);
}

/* Puts account where its count belongs, which moved by one; ends it when it holds nothing. */
static void account_rerank(struct fair *fair, struct fair_account *account)
{
	struct list_node *fewest = &account->parent->ranks;

	fair->visit_cnt++;
	if (account->held_cnt == 0) {
		rank_leave(fair, account);
		account_free(fair, account);
	} else if (account->rank) {
		account_move(fair, account);
	} else {
		fewest = fewest->next;
		account->rank = rank_at(account->parent, fewest, account->held_cnt);
		if (!account->rank)
			account->rank = rank_new(fair, fewest, account->held_cnt);
		list_push_back(rank_side(fair, account), &account->by_rank);
	}
}

static struct list_node *leaf_side(const struct fair *fair, struct fair_account *leaf,
				   const struct fair_item *item)
{
	bool is_resting = fair->config.kind == FAIR_WORK && item->is_resting;

	return is_resting ? &leaf->resting : &leaf->owing;
}

/* The leaf of path in class, made with what it hangs from if it is not there. */
static struct fair_account *leaf_of(struct fair *fair, const struct fair_path *path,
				    enum fair_class class)
{
	struct fair_account *account = fair_tree_lookup(fair, path, path->level_cnt - 1u, class);

	if (account)
		return account;
	account = fair->classes[class];
	for (unsigned level = 0; level < path->level_cnt; level++)
		account = account_child(fair, account, account_id(path, level, class));
	return account;
}

void fair_tree_put(struct fair *fair, const struct fair_path *path, enum fair_class class,
		   struct fair_item *item)
{
	struct fair_account *account = leaf_of(fair, path, class);

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
	if (fair->config.kind == FAIR_LASTING)
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
		       : container_of(node->ranks.prev, struct fair_rank, by_held);
}

struct fair_account *fair_tree_largest(struct fair *fair, struct fair_account *node)
{
	while (!node->is_leaf) {
		struct fair_rank *top = fair_tree_top(fair, node);
		struct list_node *side;

		weft_assert(top != NULL);
		side = list_is_empty(&top->owing) ? &top->resting : &top->owing;
		node = container_of(fair->config.kind == FAIR_WORK ? side->next : side->prev,
				    struct fair_account, by_rank);
		fair->visit_cnt++;
	}
	return node;
}

void fair_tree_settle(struct fair *fair)
{
	struct fair_item *item = fair->latest;

	if (!item)
		return;
	fair->latest = NULL;
	fair_tree_put(fair, &fair->latest_path, item->class, item);
}
