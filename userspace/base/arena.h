/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_ARENA_H
#define WEFT_BASE_ARENA_H

#include <stddef.h>

#include "weft/err.h"

/*
 * Memory laid out once at start and never given back before the end: the
 * process lifetime of style. Pages are touched only when used, so a
 * generous capacity costs address space, not memory.
 */
struct arena {
	char *start;
	size_t used_len;
	size_t cap;
};

/* arena_open maps cap bytes (zero on first use). 0 or -errno. */
WEFT_MUST_CHECK
int arena_open(struct arena *arena, size_t cap);
void arena_close(struct arena *arena);

/*
 * arena_alloc gives len zeroed bytes aligned to 64, or NULL when the
 * arena is full, which is an error of the footprint functions.
 * Context: start-up only.
 */
void *arena_alloc(struct arena *arena, size_t len);

#endif
