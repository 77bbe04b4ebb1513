/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/poison.h"

#define ARENA_ALIGN 64u

int arena_open(struct arena *arena, size_t cap)
{
	void *start = mmap(NULL, cap ? cap : 1, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return -errno;
	arena->start = start;
	arena->used_len = 0;
	arena->cap = cap;
	return 0;
}

void arena_close(struct arena *arena)
{
	if (!arena || !arena->start)
		return;
	poison_show(arena->start, arena->cap);
	munmap(arena->start, arena->cap ? arena->cap : 1);
	arena->start = NULL;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	size_t step = (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	void *at = arena->start + arena->used_len;

	if (step < len || step > arena->cap - arena->used_len)
		return NULL;
	arena->used_len += step;
	return at;
}
