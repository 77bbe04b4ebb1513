/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deficit round robin over accounts that nest. An account is in the tree
 * while something of it waits: what it did not use is no credit for later.
 */
#include "turns.h"

#include "base/assert.h"

static const struct turns_pick pick_any;

void turns_init(struct turns *turns, struct pool *accounts, const struct turns_config *config)
{
	weft_assert(config->quantum_len > 0);
	weft_assert(config->level_cnt > 0 && config->level_cnt <= TURNS_LEVEL_MAX);
	*turns = (struct turns){.config = *config, .accounts = accounts};
	list_init(&turns->root.children);
}

static struct turns_account *account_at(struct list_node *node)
{
	return container_of(node, struct turns_account, node);
}

static struct turns_item *item_at(struct list_node *node)
{
	return container_of(node, struct turns_item, node);
}

static bool account_is_leaf(const struct turns *turns, const struct turns_account *account)
{
	return account->level == turns->config.level_cnt;
}

/* --- accounts --- */

static struct turns_account *child_lookup(const struct turns_account *at, uint64_t id)
{
	for (struct list_node *node = at->children.next; node != &at->children; node = node->next)
		if (account_at(node)->id == id)
			return account_at(node);
	return NULL;
}

/* A newcomer waits behind all that wait already. */
static struct turns_account *child_make(struct turns *turns, struct turns_account *at, uint64_t id)
{
	struct turns_account *child = pool_acquire(turns->accounts);

	if (!child)
		return NULL;
	*child = (struct turns_account){
		.parent = at, .id = id, .level = (uint8_t)(at->level + 1), .weight = 1};
	list_init(&child->children);
	list_push_back(&at->children, &child->node);
	at->child_cnt++;
	turns->account_cnts[at->level]++;
	return child;
}

/* Gives back account and those above it that nothing is below. */
static void account_settle(struct turns *turns, struct turns_account *account)
{
	while (account->level > 0 && account->cnt == 0 && account->child_cnt == 0) {
		struct turns_account *parent = account->parent;

		list_unlink(&account->node);
		parent->child_cnt--;
		turns->account_cnts[parent->level]--;
		pool_release(turns->accounts, account);
		account = parent;
	}
}

/* The leaf of path, or NULL: there are no accounts left. */
static struct turns_account *leaf_make(struct turns *turns, const struct turns_path *path)
{
	struct turns_account *at = &turns->root;

	while (!account_is_leaf(turns, at)) {
		struct turns_account *child = child_lookup(at, path->ids[at->level]);

		if (!child)
			child = child_make(turns, at, path->ids[at->level]);
		if (!child) {
			account_settle(turns, at);
			return NULL;
		}
		if (at->level == 0)
			child->weight = path->weight;
		at = child;
	}
	return at;
}

static struct turns_account *child_largest(const struct turns_account *at)
{
	struct turns_account *largest = NULL;

	for (struct list_node *node = at->children.next; node != &at->children; node = node->next)
		if (!largest || account_at(node)->cnt > largest->cnt)
			largest = account_at(node);
	return largest;
}

/*
 * The item that goes for one of path; NULL: none of an account that holds so much more. Where
 * path's own account is among those that hold most, the accounts within it are compared.
 */
static struct turns_item *victim_find(const struct turns *turns, const struct turns_path *path)
{
	const struct turns_account *at = &turns->root;
	struct turns_account *largest = NULL, *own;

	do {
		if (!at || account_is_leaf(turns, at))
			return NULL;
		largest = child_largest(at);
		own = child_lookup(at, path->ids[at->level]);
		at = own;
	} while (!largest || largest->cnt < (own ? own->cnt : 0) + TURNS_MARGIN);
	while (!account_is_leaf(turns, largest))
		largest = child_largest(largest);
	return item_at(largest->children.next);
}

void turns_remove(struct turns *turns, struct turns_item *item)
{
	struct turns_account *account = item->account;

	if (!account)
		return;
	list_unlink(&item->node);
	item->account = NULL;
	turns->cnt--;
	account->child_cnt--;
	for (struct turns_account *at = account; at; at = at->parent)
		at->cnt--;
	account_settle(turns, account);
}

void turns_peer_ids(const struct fair_path *path, uint64_t out_ids[static TURNS_PEER_LEVELS])
{
	unsigned last = path->level_cnt - 1u;

	for (unsigned level = 0; level < TURNS_PEER_LEVELS; level++)
		out_ids[level] = path->ids[level < last ? level : last];
	out_ids[TURNS_PEER_LEVELS - 1] = path->ids[last];
}

int turns_push(struct turns *turns, struct turns_item *item, const struct turns_path *path,
	       uint64_t now_ns, struct turns_item **out_victim)
{
	bool is_full = turns->config.cap_cnt && turns->cnt == turns->config.cap_cnt;
	struct turns_item *victim = is_full ? victim_find(turns, path) : NULL;
	struct turns_account *leaf = is_full && !victim ? NULL : leaf_make(turns, path);

	weft_assert(item->account == NULL);
	if (!leaf) {
		turns->refused_cnt++;
		return WEFT_EFULL;
	}
	if (victim) {
		turns_remove(turns, victim);
		turns->evicted_cnt++;
	}
	*out_victim = victim;
	item->account = leaf;
	item->since_ns = now_ns;
	list_push_back(&leaf->children, &item->node);
	leaf->child_cnt++;
	for (struct turns_account *at = leaf; at; at = at->parent)
		at->cnt++;
	turns->cnt++;
	return 0;
}

/* --- whose turn it is --- */

static struct turns_item *leaf_next(const struct turns *turns, const struct turns_account *leaf,
				    uint64_t now_ns)
{
	struct turns_item *oldest = item_at(leaf->children.next);

	if (!turns->config.standing_queue_ns ||
	    now_ns < oldest->since_ns + turns->config.standing_queue_ns)
		return oldest;
	return item_at(leaf->children.prev);
}

/* Some item of account: they agree in all that an account holds. */
static const struct turns_item *account_item(const struct turns *turns,
					     const struct turns_account *account)
{
	while (!account_is_leaf(turns, account))
		account = account_at(account->children.next);
	return item_at(account->children.next);
}

static uint32_t account_held(const struct turns *turns, const struct turns_account *account,
			     const struct turns_pick *pick)
{
	return pick->held ? pick->held(pick->arg, account_item(turns, account), account->level - 1u)
			  : 0;
}

static uint32_t children_least(const struct turns *turns, const struct turns_account *at,
			       const struct turns_pick *pick)
{
	uint32_t least = UINT32_MAX;

	for (struct list_node *node = at->children.next; node != &at->children; node = node->next) {
		uint32_t held = account_held(turns, account_at(node), pick);

		if (held < least)
			least = held;
	}
	return least;
}

static void child_pass(struct turns_account *at, struct turns_account *child)
{
	child->is_served = false;
	list_unlink(&child->node);
	list_push_back(&at->children, &child->node);
}

/*
 * The item below at whose turn it is, or NULL. Its accounts are the first of
 * their siblings then, and can pay for it. Each round gives every account
 * of which an item may go a quantum, so there is an end.
 */
static struct turns_item *account_next(struct turns *turns, struct turns_account *at,
				       const struct turns_pick *pick, uint64_t now_ns)
{
	uint32_t empty_cnt = 0, least;
	bool is_first_served;

	if (account_is_leaf(turns, at)) {
		struct turns_item *item = leaf_next(turns, at, now_ns);

		return !pick->may || pick->may(pick->arg, item) ? item : NULL;
	}
	least = children_least(turns, at, pick);
	is_first_served = account_at(at->children.next)->is_served;
	while (empty_cnt < at->child_cnt) {
		struct turns_account *child = account_at(at->children.next);
		bool is_ahead = account_held(turns, child, pick) > least;
		struct turns_item *item =
			is_ahead ? NULL : account_next(turns, child, pick, now_ns);

		empty_cnt = item ? 0 : empty_cnt + 1;
		if (item && !child->is_served) {
			child->deficit_len += turns->config.quantum_len * child->weight;
			child->is_served = true;
		}
		if (item && child->deficit_len >= item->cost_len)
			return item;
		child_pass(at, child);
	}
	/* All were passed once, so the first is first again; no other had a turn since its quantum. */
	account_at(at->children.next)->is_served = is_first_served;
	return NULL;
}

struct turns_item *turns_pop(struct turns *turns, const struct turns_pick *pick, uint64_t now_ns)
{
	struct turns_item *item;

	if (!turns->cnt)
		return NULL;
	item = account_next(turns, &turns->root, pick ? pick : &pick_any, now_ns);
	if (!item)
		return NULL;
	for (struct turns_account *at = item->account; at->level > 0; at = at->parent)
		at->deficit_len -= item->cost_len;
	turns_remove(turns, item);
	return item;
}

struct turns_item *turns_next(const struct turns *turns, const struct turns_item *item)
{
	const struct turns_account *at = item ? item->account : &turns->root;

	if (item && item->node.next != &at->children)
		return item_at(item->node.next);
	if (!turns->cnt)
		return NULL;
	while (item && at->level > 0 && at->node.next == &at->parent->children)
		at = at->parent;
	if (item && at->level == 0)
		return NULL;
	if (item)
		at = account_at(at->node.next);
	while (!account_is_leaf(turns, at))
		at = account_at(at->children.next);
	return item_at(at->children.next);
}
