/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_SERVICE_MEMORY_H
#define WEFT_SERVICE_LIMITS_SERVICE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "weft/err.h"

struct arena;
struct heap;

/*
 * Shares the memory for bodies of calls in hand. A body cannot be taken back from its handler,
 * so a caller has a part only. A key has a quarter of all. Keys are free, so its network has at
 * most three times as much as is free (the dynamic threshold of base/fair/fair.h). One network
 * leaves a quarter to others, two a seventh. This node's own programs are in no network. Home
 * worker.
 */
struct service_memory {
	struct heap *heap; /* borrowed; shared with answers and pieces */
	size_t cap_len;
	struct pool networks;
	struct map networks_by_id;
};

/* The memory that a call holds. Zeros hold nothing. */
struct service_memory_hold {
	struct service_memory_network *network;
	size_t len;
};

WEFT_MUST_CHECK
int service_memory_init(struct service_memory *memory, struct arena *arena, uint32_t call_cnt,
			const uint64_t secret[2]);
/*
 * service_memory_hold: may the caller of path, which holds key_len by its key, hold len bytes
 * more? Counted in hold, which holds nothing yet, until release.
 */
WEFT_MUST_CHECK
bool service_memory_hold(struct service_memory *memory, const struct fair_path *path,
			 size_t key_len, size_t len, struct service_memory_hold *hold);
void service_memory_release(struct service_memory *memory, struct service_memory_hold *hold);

#endif
