/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REACH_FOLLOW_ROUNDS_H
#define WEFT_SOCIAL_REACH_FOLLOW_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/ground/social_ground.h"
#include "social/routes/social_search.h"

/*
 * Asks the nodes of people followed, in rounds. A node that has no session when its turn comes is
 * looked for (social_search.h). By the session that is found its posts are pulled. Then the session is
 * given back: it takes no slot, and ends once nothing has used it for ROUNDS_HOLD_NS.
 *
 *	due	 at the start, each every_ns, and soon after this node has moved
 *	waiting	 first come, first served; ROUNDS_SEARCHES_MAX searches run at once
 *	failed	 the pause doubles with each failure, up to ROUNDS_PAUSE_MAX_NS, and not after a move
 *
 * The table has a row for each person followed, so only people at this node fill it. Home worker only;
 * nothing blocks.
 */
struct social_rounds;
struct sync_order;

#define ROUNDS_SEARCHES_MAX  8u
#define ROUNDS_HOLD_NS	     20000000000ull
#define ROUNDS_PAUSE_MAX_NS  3600000000000ull
#define ROUNDS_START_NS	     2000000000ull  /* first turns lie within it */
#define ROUNDS_MOVES_NS	     30000000000ull /* moves within it count once */
#define ROUNDS_PULL_RETRY_NS 1000000000ull

struct social_rounds_ways {
	/*
	 * Pulls as social_sync_with does; order->done may be called inside the call, too.
	 */
	int (*pull)(void *ctx, const struct sync_order *order, uint64_t now_ns);
	/* Something else of the social layer holds the session with key. */
	bool (*is_held)(void *ctx, const uint8_t *key, uint64_t now_ns);
	void *ctx;
};
struct social_rounds_params {
	const struct social_ground *ground; /* borrowed until close, as is searches */
	struct social_searches *searches;
	struct social_rounds_ways ways;
	uint64_t every_ns;
	unsigned cap_cnt; /* people */
};
/* social_rounds_open: 0 or -ENOMEM. stop: nothing begins any more, and searches end later. Both of the others take NULL. */
WEFT_MUST_CHECK
int social_rounds_open(const struct social_rounds_params *params,
		       struct social_rounds **out_rounds);
void social_rounds_stop(struct social_rounds *rounds);
/* social_rounds_close: no pull that it began is under way any more. */
void social_rounds_close(struct social_rounds *rounds);
size_t social_rounds_footprint(unsigned cap_cnt);

/* social_rounds_add: key is followed; its turn comes within ROUNDS_START_NS. One that is there stays. */
void social_rounds_add(struct social_rounds *rounds, const uint8_t key[static NODE_KEY_LEN],
		       uint64_t now_ns);
void social_rounds_remove(struct social_rounds *rounds, const uint8_t key[static NODE_KEY_LEN]);
/* social_rounds_moved: this node is elsewhere, so what failed may do now. */
void social_rounds_moved(struct social_rounds *rounds, uint64_t now_ns);

struct social_rounds_stats {
#define FIGURE FIGURE_FIELD
#include "social/reach/social_rounds_counters.def"
};
void social_rounds_stats(const struct social_rounds *rounds, struct social_rounds_stats *out_stats);

#endif
