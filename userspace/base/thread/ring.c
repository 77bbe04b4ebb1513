/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"

/* Producer writes tail and closed and reads head; consumer writes head and reads the others. */
struct ring {
	alignas(64) _Atomic uint32_t tail;
	atomic_bool closed;
	alignas(64) _Atomic uint32_t head;
	alignas(64) uint32_t mask;
	void *items[];
};

struct ring *ring_new(uint32_t cap_cnt)
{
	struct ring *ring;
	size_t len = sizeof(*ring) + cap_cnt * sizeof(void *);

	weft_assert(cap_cnt && (cap_cnt & (cap_cnt - 1)) == 0);
	ring = aligned_alloc(64, (len + 63) & ~(size_t)63);
	if (!ring)
		return NULL;
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->head, 0);
	atomic_init(&ring->closed, false);
	ring->mask = cap_cnt - 1;
	return ring;
}

void ring_free(struct ring *ring)
{
	free(ring);
}

int ring_push(struct ring *ring, void *item)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&ring->head, memory_order_acquire) > ring->mask)
		return WEFT_EFULL;
	ring->items[tail & ring->mask] = item;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return 0;
}

void *ring_peek(const struct ring *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&ring->tail, memory_order_acquire) ||
	    atomic_load_explicit(&ring->closed, memory_order_relaxed))
		return NULL;
	return ring->items[head & ring->mask];
}

void *ring_pop(struct ring *ring)
{
	void *item = ring_peek(ring);

	if (item)
		atomic_store_explicit(&ring->head,
				      atomic_load_explicit(&ring->head, memory_order_relaxed) + 1,
				      memory_order_release);
	return item;
}

void ring_close(struct ring *ring)
{
	atomic_store_explicit(&ring->closed, true, memory_order_release);
}

uint32_t ring_fill(const struct ring *ring)
{
	/* Head first: a pop in between makes the answer too large, never negative. */
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

	return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}
