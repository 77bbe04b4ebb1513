/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MAP_H
#define WEFT_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct arena;

/*
 * Fixed-capacity hash table from keys of one length to pointers, hashed
 * with SipHash under a secret so that a peer cannot choose collisions.
 */
struct map {
	uint8_t *slots;
	uint64_t secret[2];
	size_t key_len;
	uint32_t slot_cnt; /* power of two, at least 4/3 of cap_cnt */
	uint32_t cap_cnt;
	uint32_t used_cnt;
};

WEFT_MUST_CHECK
int map_init(struct map *map, struct arena *arena, size_t key_len, uint32_t cap_cnt,
	     const uint64_t secret[2]);

/* map_lookup gives the value put under key, or NULL. */
void *map_lookup(const struct map *map, const void *key);
/* map_put adds or replaces; value is not NULL. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int map_put(struct map *map, const void *key, void *value);
/* map_delete gives what was there, or NULL. */
void *map_delete(struct map *map, const void *key);

#endif
