/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_PKARR_CACHE_H
#define WEFT_API_HTTP_PKARR_CACHE_H

#include <stdint.h>

#include "base/map.h"
#include "base/memory/pool.h"
#include "dht/items/pkarr.h"
#include "weft/err.h"

/*
 * The newest packet of each key that the relay saw, as many as there is
 * room for. The one not asked for the longest makes room.
 */
struct pkarr_cache_entry {
	struct pkarr_cache_entry *newer, *older; /* by last use */
	struct pkarr_packet packet;
	uint64_t seen_wall_s; /* when it was last on the DHT, or came here */
	uint64_t fresh_until_ns;
};

struct pkarr_cache {
	struct pool entries;
	struct map by_key;
	struct pkarr_cache_entry *newest, *oldest;
};

/* api_pkarr_cache_init: cap_cnt is at least 1. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int api_pkarr_cache_init(struct pkarr_cache *cache, struct arena *arena, uint32_t cap_cnt,
			 const uint64_t secret[2]);
/* api_pkarr_cache_lookup counts as use; borrowed until the next call of put. NULL: not there. */
struct pkarr_cache_entry *api_pkarr_cache_lookup(struct pkarr_cache *cache,
						 const uint8_t key[static NODE_KEY_LEN]);
/*
 * api_pkarr_cache_put keeps packet unless what is there has a higher sequence
 * number, or the same one and other bytes. Returns the entry of this key that there is now.
 */
struct pkarr_cache_entry *api_pkarr_cache_put(struct pkarr_cache *cache,
					      const struct pkarr_packet *packet);

#endif
