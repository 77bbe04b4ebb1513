/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_TURNS_H
#define WEFT_PROVIDER_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "weft/err.h"

/*
 * Calls that wait for the program of one service, by caller. Callers are
 * served in turn by deficit round robin (Shreedhar, Varghese 1995): each turn
 * earns TURNS_QUANTUM_LEN, and a call costs its payload and TURNS_CALL_LEN. Within a
 * caller the oldest goes first; once its oldest has waited TURNS_STANDING_NS, which no burst
 * does, the newest, whose asker is still there.
 *
 * Anybody who may call can fill it. When it is full the caller with most calls loses its oldest,
 * and a caller that has most itself is refused. An honest caller waits for one call of each
 * other caller. Pure; home worker.
 */
#define TURNS_CAP	  32 /* calls of one service */
#define TURNS_QUANTUM_LEN 16384
#define TURNS_CALL_LEN	  4096
#define TURNS_STANDING_NS 100000000ull
#define TURNS_KEY_LEN	  32

/* A waiting call; embedded in its owner's. */
struct turns_item {
	struct list_node node;
	struct turns_caller *caller; /* NULL: it does not wait */
	size_t cost_len;
	uint64_t since_ns;
};

struct turns {
	struct pool *callers;  /* turns_caller_len each, shared by all services */
	struct list_node ring; /* callers that wait; the first is next */
	uint32_t cnt;
	uint64_t refused_cnt, evicted_cnt;
};

size_t turns_caller_len(void);
void turns_init(struct turns *turns, struct pool *callers);
/*
 * turns_push: item of the caller of key, with a payload of len bytes, waits from now_ns on.
 * 0, with the item that made room in *out_victim (NULL: none), which waits no more; or
 * WEFT_EFULL.
 */
WEFT_MUST_CHECK
int turns_push(struct turns *turns, struct turns_item *item, const uint8_t key[TURNS_KEY_LEN],
	       size_t len, uint64_t now_ns, struct turns_item **out_victim);
/* turns_pop: the call whose turn it is, which waits no more; NULL: none waits. */
struct turns_item *turns_pop(struct turns *turns, uint64_t now_ns);
/* turns_remove: item is waited for no longer. Accepts one that does not wait. */
void turns_remove(struct turns *turns, struct turns_item *item);
/* turns_next: the waiting item behind item, or the first (NULL), in no order that means anything. */
struct turns_item *turns_next(const struct turns *turns, const struct turns_item *item);

#endif
