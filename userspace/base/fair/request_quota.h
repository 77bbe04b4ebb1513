/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_REQUEST_QUOTA_H
#define WEFT_BASE_FAIR_REQUEST_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "weft/err.h"

/*
 * How many requests each peer may make in a minute. The window slides in halves of a minute:
 * the running one, and the part of the one before that lies in the last minute. So a fresh peer
 * has exactly its number, and no peer has it twice around the turn of a minute. When the table
 * is full, the peer counted longest ago is forgotten.
 */
#define REQUEST_QUOTA_KEY_LEN 32

struct request_quota {
	struct pool pool;
	struct map by_key;
	struct list_node by_time; /* the one counted longest ago first */
	uint32_t per_min;
};

WEFT_MUST_CHECK
int request_quota_init(struct request_quota *quota, struct arena *arena, uint32_t peer_cap,
		       uint32_t per_min, const uint64_t secret[2]);
/*
 * request_quota_take: 0 when key may ask, which counts, else in how many ms (at least 1)
 * it may again, which does not count.
 */
uint64_t request_quota_take(struct request_quota *quota,
			    const uint8_t key[static REQUEST_QUOTA_KEY_LEN], uint64_t now_ns);
/* request_quota_take_of: the same with a number of key's own, which is the same each time. */
uint64_t request_quota_take_of(struct request_quota *quota,
			       const uint8_t key[static REQUEST_QUOTA_KEY_LEN], uint32_t per_min,
			       uint64_t now_ns);

#endif
