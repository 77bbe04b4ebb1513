/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_TURNS_H
#define WEFT_BASE_FAIR_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fair.h"
#include "base/list.h"
#include "base/memory/pool.h"
#include "weft/err.h"

/*
 * Turns: which of those that wait for one scarce thing goes next. Accounts nest as in
 * base/fair/fair.h (class, family, network, key). They are served in turn at each level by
 * deficit round robin (Shreedhar, Varghese 1995). A turn earns quantum_len times the weight of
 * its account, and an item costs cost_len. Within a leaf the oldest item goes first; once its
 * oldest has waited standing_queue_ns, which no burst does, the newest, whose asker is still
 * there.
 *
 * Round robin shares out how often an account is served. Where an asker holds a thing for as
 * long as it likes, pick.held says how many an account holds. An account that holds more than a
 * waiting sibling is passed over until the sibling holds as many. Round robin is for accounts
 * that hold alike.
 *
 * The owner says which items may wait: by cap_cnt, or by a pool of base/fair/fair.h with
 * cap_cnt 0. With cap_cnt, from the widest level on the account with most items loses its
 * oldest to one that has fewer. An account that has most at each level itself is refused. An
 * honest asker waits for one item of each other account. Pure; one worker.
 */
#define TURNS_LEVEL_MAX 4
/* How many more the loser of an item has: else two would take from each other in turn. */
#define TURNS_MARGIN 2u

struct turns_config {
	uint32_t cap_cnt;	    /* items; 0: as many as there are accounts for */
	size_t quantum_len;	    /* at least 1 */
	uint64_t standing_queue_ns; /* 0: the oldest always goes first */
	uint8_t level_cnt;	    /* of every path, 1 to TURNS_LEVEL_MAX */
};

/* Where an item belongs, widest level first; an id names an account among its siblings. */
struct turns_path {
	uint64_t ids[TURNS_LEVEL_MAX];
	uint8_t weight; /* of the first level's account, at least 1 */
};

/* Private to turns.c. */
struct turns_account {
	struct list_node node;	   /* among its siblings; the first is next */
	struct list_node children; /* accounts; of a leaf its items, oldest first */
	struct turns_account *parent;
	uint64_t id;
	size_t deficit_len;
	uint32_t cnt; /* items below */
	uint32_t child_cnt;
	uint8_t level; /* 0: the root */
	uint8_t weight;
	bool is_served; /* it earned its quantum for this turn */
};

/* An item that waits, embedded in its owner's and zeroed before its first push. */
struct turns_item {
	struct list_node node;
	struct turns_account *account; /* NULL: it does not wait */
	size_t cost_len;	       /* the owner's to set */
	uint64_t since_ns;
};

struct turns {
	struct turns_config config;
	struct pool *accounts; /* of struct turns_account; others may share it */
	struct turns_account root;
	uint32_t account_cnts[TURNS_LEVEL_MAX]; /* accounts of each level that wait */
	uint32_t cnt;
	uint64_t refused_cnt, evicted_cnt;
};

/*
 * turns_peer_ids writes the ids of TURNS_PEER_LEVELS levels for a peer of path (base/fair/fair_path.h): its
 * family, its network, its key. The addresses between are no level of turns.
 */
#define TURNS_PEER_LEVELS 3
void turns_peer_ids(const struct fair_path *path, uint64_t out_ids[static TURNS_PEER_LEVELS]);

/* turns_init: accounts has room for level_cnt accounts of each item that may wait, and of one more. */
void turns_init(struct turns *turns, struct pool *accounts, const struct turns_config *config);
/*
 * turns_push: item of path waits from now_ns on. 0, with the item that made
 * room in *out_victim (NULL: none), which waits no more; or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int turns_push(struct turns *turns, struct turns_item *item, const struct turns_path *path,
	       uint64_t now_ns, struct turns_item **out_victim);

/* The other inputs of turns_pop; both may be NULL. */
struct turns_pick {
	/* Whether item, of all of its leaf, may have the thing now. */
	bool (*may)(void *arg, const struct turns_item *item);
	/* How many item's account at level (0 is the widest) holds. */
	uint32_t (*held)(void *arg, const struct turns_item *item, unsigned level);
	void *arg;
};
/* turns_pop: the item whose turn it is, which waits no more; NULL: none waits, or none may. */
struct turns_item *turns_pop(struct turns *turns, const struct turns_pick *pick, uint64_t now_ns);
/* turns_remove: item is waited for no longer. Accepts one that does not wait. */
void turns_remove(struct turns *turns, struct turns_item *item);
/* turns_next: the waiting item behind item, or the first (NULL), in no order that means anything. */
struct turns_item *turns_next(const struct turns *turns, const struct turns_item *item);

#endif
