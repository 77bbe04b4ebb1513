/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/memory/poison.h"

#define ARENA_ALIGN 64u
/* Address space of a growing arena before arena_fit: so much, or a part where there is less. */
#define GROWS_CAP     (64ull << 30)
#define GROWS_CAP_MIN (1ull << 30)
/* How much of it is opened at once. */
/* Far below a huge page, which the kernel would give whole to a small arena. */
#define GROWS_LEN (64ull << 10)

static void *arena_map(size_t cap, bool grows)
{
	return mmap(NULL, cap ? cap : 1, grows ? PROT_NONE : PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int arena_open(struct arena *arena, size_t cap)
{
	bool grows = cap == ARENA_GROWS;
	void *start;

	if (grows)
		cap = GROWS_CAP;
	start = arena_map(cap, grows);
	/* Hundreds of nodes in one process leave it in pieces; some systems bound it. */
	while (start == MAP_FAILED && grows && cap > GROWS_CAP_MIN)
		start = arena_map(cap /= 4, grows);
	if (start == MAP_FAILED)
		return -errno;
	*arena = (struct arena){.start = start, .open_len = grows ? 0 : cap, .cap = cap};
	return 0;
}

void arena_fit(struct arena *arena)
{
	/* Of one that gave nothing yet, a little stays. */
	size_t cap = arena->open_len ? arena->open_len : GROWS_LEN;

	if (cap >= arena->cap)
		return;
	munmap(arena->start + cap, arena->cap - cap);
	arena->cap = cap;
}

void arena_close(struct arena *arena)
{
	if (!arena || !arena->start)
		return;
	poison_show(arena->start, arena->open_len);
	munmap(arena->start, arena->cap ? arena->cap : 1);
	arena->start = NULL;
}

static bool arena_grow(struct arena *arena, size_t len)
{
	size_t more = (len + GROWS_LEN - 1) & ~(GROWS_LEN - 1);

	if (more > arena->cap - arena->open_len ||
	    mprotect(arena->start + arena->open_len, more, PROT_READ | PROT_WRITE) < 0)
		return false;
	arena->open_len += more;
	return true;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	size_t step = (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	void *at = arena->start + arena->used_len;

	if (step < len || step > arena->cap - arena->used_len ||
	    (step > arena->open_len - arena->used_len &&
	     !arena_grow(arena, step - (arena->open_len - arena->used_len))))
		return NULL;
	arena->used_len += step;
	return at;
}
