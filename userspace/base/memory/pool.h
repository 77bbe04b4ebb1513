/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MEMORY_POOL_H
#define WEFT_BASE_MEMORY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct arena;

/*
 * A fixed number of objects of one size. Acquire and release are O(1) and
 * never reach the system. Objects are aligned to 16. Callers may read used_cnt, cap_cnt, peak_cnt and
 * refused_cnt.
 */
struct pool {
	uint8_t *objects;
	uint32_t *next_free;   /* per object: index of the next free one */
	uint32_t *generations; /* per object: odd while acquired */
	size_t object_len;
	uint32_t free_head;
	uint32_t cap_cnt;
	uint32_t used_cnt;
	uint32_t peak_cnt;
	uint64_t refused_cnt;
};

/* A name that outlives a turn or crosses threads: 0 names nothing. */
typedef uint64_t pool_handle;

/* pool_init lays the pool out in arena. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int pool_init(struct pool *pool, struct arena *arena, size_t object_len, uint32_t cap_cnt);

/* pool_acquire gives a zeroed object, yours until release, or NULL when full. */
void *pool_acquire(struct pool *pool);
void pool_release(struct pool *pool, void *object);

pool_handle pool_handle_of(const struct pool *pool, const void *object);
/* pool_lookup gives the object a handle names, or NULL when it is gone. */
void *pool_lookup(const struct pool *pool, pool_handle handle);

/*
 * pool_next walks acquired objects: start with NULL, ends with NULL. The
 * object at hand may be released before its successor is asked for.
 */
void *pool_next(const struct pool *pool, const void *object);

#endif
