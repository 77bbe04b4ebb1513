/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ROUTES_ROUTES_STATE_H
#define WEFT_SOCIAL_ROUTES_ROUTES_STATE_H

#include "base/container_of.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/routes/social_routes.h"

struct store_batch;

/* Private to this folder. */
#define ROUTES_CAP                                                                                 \
	(SOCIAL_ROUTES_FOLLOW_CAP + SOCIAL_ROUTES_ANCHOR_CAP + SOCIAL_ROUTES_AUDIENCE_CAP)

struct route {
	uint8_t key[NODE_KEY_LEN];
	enum social_tier tier;
	struct addr proved; /* a dial of this node reached it there; ADDR_NONE: none did */
	struct addr told[PEER_ADDRS_MAX]; /* sessions that came from it, and what it announced */
	unsigned told_cnt;
	uint64_t seen_ms;
	uint8_t introduced_by[NODE_KEY_LEN];
	bool is_introduced;
	struct social_address address; /* of record */
	uint16_t record_len;	       /* 0: there is none */
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX];
	struct list_node by_use; /* in its tier, used longest ago first */
	struct fair_item share;	 /* of the audience */
	bool is_changed, is_stored;
};

struct social_routes {
	struct social_routes_params params;
	struct arena arena;
	struct pool pool; /* one more than all tiers hold: a newcomer before its share is decided */
	struct map by_key;
	struct list_node tiers[SOCIAL_TIER_CNT];
	uint32_t tier_cnts[SOCIAL_TIER_CNT];
	struct fair_places places;
	struct timer timer;	  /* next batch */
	uint64_t saved_ns;	  /* the one before; 0: none was */
	struct store_batch *gone; /* rows to be deleted by it */
	unsigned gone_cnt;
	bool is_saving, is_stopped;
	struct social_routes_stats stats;
};

struct route *social_route_find(const struct social_routes *routes, const uint8_t *key);
/* social_route_make: a row for hint, whose tier is one; NULL: there is no place. */
struct route *social_route_make(struct social_routes *routes, const struct social_route_hint *hint,
				uint64_t now_ns);

/*
 * route_rows.c. load reads the rows of nodes that have a tier still: 0 or a code of the store. changed:
 * route goes to the disk with the next batch. gone: its row there does.
 */
WEFT_MUST_CHECK
int social_routes_load(struct social_routes *routes, uint64_t now_ns);
void social_route_changed(struct social_routes *routes, struct route *route, uint64_t now_ns);
void social_route_gone(struct social_routes *routes, const struct route *route, uint64_t now_ns);
void social_routes_expire(struct timer *timer, uint64_t now_ns);

#endif
