/* SPDX-License-Identifier: Apache-2.0 */
/* Deficit round robin over the callers of one service. Home worker. */
#include "provider/turns.h"

#include <string.h>

struct turns_caller {
	struct list_node node;	/* in the ring */
	struct list_node items; /* oldest first */
	uint8_t key[TURNS_KEY_LEN];
	size_t deficit_len;
	uint32_t cnt;
	bool is_served; /* it earned its quantum for this turn */
};

size_t turns_caller_len(void)
{
	return sizeof(struct turns_caller);
}

void turns_init(struct turns *turns, struct pool *callers)
{
	*turns = (struct turns){.callers = callers};
	list_init(&turns->ring);
}

static struct turns_caller *caller_at(struct list_node *node)
{
	return list_entry(node, struct turns_caller, node);
}

static struct turns_item *item_at(struct list_node *node)
{
	return list_entry(node, struct turns_item, node);
}

static struct turns_caller *caller_lookup(const struct turns *turns, const uint8_t *key)
{
	for (struct list_node *node = turns->ring.next; node != &turns->ring; node = node->next)
		if (memcmp(caller_at(node)->key, key, TURNS_KEY_LEN) == 0)
			return caller_at(node);
	return NULL;
}

static struct turns_caller *caller_largest(const struct turns *turns)
{
	struct turns_caller *largest = NULL;

	for (struct list_node *node = turns->ring.next; node != &turns->ring; node = node->next)
		if (!largest || caller_at(node)->cnt > largest->cnt)
			largest = caller_at(node);
	return largest;
}

/* A newcomer waits behind everybody who waits already. */
static struct turns_caller *caller_make(struct turns *turns, const uint8_t *key)
{
	struct turns_caller *caller = pool_acquire(turns->callers);

	if (!caller)
		return NULL;
	memcpy(caller->key, key, sizeof(caller->key));
	list_init(&caller->items);
	list_push_back(&turns->ring, &caller->node);
	return caller;
}

void turns_remove(struct turns *turns, struct turns_item *item)
{
	struct turns_caller *caller = item->caller;

	if (!caller)
		return;
	list_unlink(&item->node);
	item->caller = NULL;
	turns->cnt--;
	if (--caller->cnt)
		return;
	/* What it did not use is no credit for later. */
	list_unlink(&caller->node);
	pool_release(turns->callers, caller);
}

int turns_push(struct turns *turns, struct turns_item *item, const uint8_t key[TURNS_KEY_LEN],
	       size_t len, uint64_t now_ns, struct turns_item **out_victim)
{
	struct turns_caller *caller = caller_lookup(turns, key), *largest;
	struct turns_item *victim = NULL;

	if (turns->cnt == TURNS_CAP) {
		largest = caller_largest(turns);
		/* By two, as in base/fair.c: else two callers would take from each other in turn. */
		if (largest->cnt < (caller ? caller->cnt : 0) + 2) {
			turns->refused_cnt++;
			return WEFT_EFULL;
		}
		victim = item_at(largest->items.next);
		turns_remove(turns, victim);
		turns->evicted_cnt++;
	}
	if (!caller && !(caller = caller_make(turns, key))) {
		turns->refused_cnt++;
		return WEFT_EFULL;
	}
	*item = (struct turns_item){
		.caller = caller, .cost_len = TURNS_CALL_LEN + len, .since_ns = now_ns};
	list_push_back(&caller->items, &item->node);
	caller->cnt++;
	turns->cnt++;
	*out_victim = victim;
	return 0;
}

static struct turns_item *caller_next(const struct turns_caller *caller, uint64_t now_ns)
{
	struct turns_item *oldest = item_at(caller->items.next);

	if (now_ns < oldest->since_ns + TURNS_STANDING_NS)
		return oldest;
	return item_at(caller->items.prev);
}

/* Each round gives every caller a quantum, so no call waits for more rounds than its cost has quanta. */
struct turns_item *turns_pop(struct turns *turns, uint64_t now_ns)
{
	while (turns->cnt) {
		struct turns_caller *caller = caller_at(turns->ring.next);
		struct turns_item *item = caller_next(caller, now_ns);

		if (!caller->is_served)
			caller->deficit_len += TURNS_QUANTUM_LEN;
		caller->is_served = true;
		if (caller->deficit_len >= item->cost_len) {
			caller->deficit_len -= item->cost_len;
			turns_remove(turns, item);
			return item;
		}
		caller->is_served = false;
		list_unlink(&caller->node);
		list_push_back(&turns->ring, &caller->node);
	}
	return NULL;
}

struct turns_item *turns_next(const struct turns *turns, const struct turns_item *item)
{
	struct list_node *node = turns->ring.next;

	if (item && item->node.next != &item->caller->items)
		return item_at(item->node.next);
	if (item)
		node = item->caller->node.next;
	return node == &turns->ring ? NULL : item_at(caller_at(node)->items.next);
}
