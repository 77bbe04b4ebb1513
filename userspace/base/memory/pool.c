/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/pool.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/memory/poison.h"

#define POOL_NONE UINT32_MAX

static size_t object_step(size_t object_len)
{
	return (object_len + 15) & ~(size_t)15;
}

int pool_init(struct pool *pool, struct arena *arena, size_t object_len, uint32_t cap_cnt)
{
	memset(pool, 0, sizeof(*pool));
	pool->object_len = object_step(object_len);
	pool->objects = arena_alloc(arena, pool->object_len * cap_cnt);
	pool->next_free = arena_alloc(arena, sizeof(uint32_t) * cap_cnt);
	pool->generations = arena_alloc(arena, sizeof(uint32_t) * cap_cnt);
	if (!pool->objects || !pool->next_free || !pool->generations)
		return WEFT_EFULL;
	poison_hide(pool->objects, pool->object_len * cap_cnt);
	pool->cap_cnt = cap_cnt;
	pool->free_head = cap_cnt ? 0 : POOL_NONE;
	return 0;
}

/*
 * Zero stands for the object behind idx, so that the memory of a large pool is not touched before
 * it is used.
 */
static uint32_t next_free_of(const struct pool *pool, uint32_t idx)
{
	if (pool->next_free[idx])
		return pool->next_free[idx] == POOL_NONE ? POOL_NONE : pool->next_free[idx] - 1;
	return idx + 1 < pool->cap_cnt ? idx + 1 : POOL_NONE;
}

static uint32_t object_idx(const struct pool *pool, const void *object)
{
	size_t off = (size_t)((const uint8_t *)object - pool->objects);
	size_t idx;

	/* Nearly every pool is below 4 GiB, where a division takes half as long. */
	if (off <= UINT32_MAX)
		idx = (uint32_t)off / (uint32_t)pool->object_len;
	else
		idx = off / pool->object_len;
	weft_assert(idx * pool->object_len == off);
	weft_assert(idx < pool->cap_cnt);
	return (uint32_t)idx;
}

void *pool_acquire(struct pool *pool)
{
	uint32_t idx = pool->free_head;
	void *object;

	if (idx == POOL_NONE) {
		pool->refused_cnt++;
		return NULL;
	}
	pool->free_head = next_free_of(pool, idx);
	pool->generations[idx]++;
	pool->used_cnt++;
	if (pool->used_cnt > pool->peak_cnt)
		pool->peak_cnt = pool->used_cnt;
	object = pool->objects + (size_t)idx * pool->object_len;
	poison_show(object, pool->object_len);
	memset(object, 0, pool->object_len);
	return object;
}

void pool_release(struct pool *pool, void *object)
{
	uint32_t idx = object_idx(pool, object);

	weft_assert(pool->generations[idx] & 1);
	pool->generations[idx]++;
	pool->next_free[idx] = pool->free_head == POOL_NONE ? POOL_NONE : pool->free_head + 1;
	pool->free_head = idx;
	pool->used_cnt--;
	poison_hide(object, pool->object_len);
}

pool_handle pool_handle_of(const struct pool *pool, const void *object)
{
	uint32_t idx = object_idx(pool, object);

	weft_assert(pool->generations[idx] & 1);
	return (uint64_t)pool->generations[idx] << 32 | idx;
}

void *pool_lookup(const struct pool *pool, pool_handle handle)
{
	uint32_t idx = (uint32_t)handle;
	uint32_t generation = (uint32_t)(handle >> 32);

	if (idx >= pool->cap_cnt || !(generation & 1) || pool->generations[idx] != generation)
		return NULL;
	return pool->objects + (size_t)idx * pool->object_len;
}

void *pool_next(const struct pool *pool, const void *object)
{
	uint32_t idx = object ? object_idx(pool, object) + 1 : 0;

	while (idx < pool->cap_cnt && !(pool->generations[idx] & 1))
		idx++;
	return idx < pool->cap_cnt ? pool->objects + (size_t)idx * pool->object_len : NULL;
}
