/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MEMORY_ARENA_H
#define WEFT_BASE_MEMORY_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Memory laid out once at start and never given back before the end: the
 * process lifetime of style. Pages are touched only when used, so a
 * generous capacity costs address space, not memory.
 */
struct arena {
	char *start;
	size_t used_len;
	size_t open_len; /* readable and writable */
	size_t cap;
};

/*
 * arena_open maps cap bytes (zero on first use). With ARENA_GROWS the arena
 * takes what it is asked for. A module then lays its tables out without
 * adding up their lengths before, and its footprint is used_len. arena_fit
 * then gives back the address space that is left. 0 or -errno.
 */
#define ARENA_GROWS SIZE_MAX
WEFT_MUST_CHECK
int arena_open(struct arena *arena, size_t cap);
void arena_fit(struct arena *arena);
void arena_close(struct arena *arena);

/*
 * arena_alloc gives len zeroed bytes aligned to 64. It gives NULL when the
 * arena is full, or when the system has no memory for a growing one.
 * Context: start-up only.
 */
void *arena_alloc(struct arena *arena, size_t len);

#endif
