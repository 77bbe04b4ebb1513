/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mapping cut into slabs of 64 KiB. A slab serves one size class, found
 * by address, so blocks carry no header; blocks over 32 KiB take runs of
 * whole slabs. Freed blocks return to their class, freed runs to all.
 */
#include "base/memory/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/memory/poison.h"

#define SLAB_SHIFT    16
#define SLAB_LEN      ((size_t)1 << SLAB_SHIFT)
#define CLASS_STEP    16u
#define CLASS_LINEAR  8u		     /* 16, 32, ... 128 */
#define CLASS_CNT     (CLASS_LINEAR + 4 * 8) /* then four to a doubling, up to 32 KiB */
#define BLOCK_LEN_MAX 32768u

enum { SLAB_FREE = 0, SLAB_RUN = 254, SLAB_RUN_TAIL = 255 }; /* else class + 1 */

struct free_block {
	struct free_block *next;
};

struct heap {
	uint8_t *start;
	size_t cap;
	uint32_t slab_cnt;
	uint8_t *slab_kinds;
	uint32_t *run_lens; /* slabs of a run, at its first */
	struct free_block *classes[CLASS_CNT];
	struct heap_usage usage;
};

static unsigned class_of(size_t len)
{
	unsigned shift;

	if (len <= CLASS_LINEAR * CLASS_STEP)
		return len ? (unsigned)((len - 1) / CLASS_STEP) : 0;
	shift = 63 - (unsigned)__builtin_clzll(len - 1); /* len in (2^shift, 2^(shift+1)] */
	return CLASS_LINEAR + (shift - 7) * 4 + (unsigned)((len - 1) >> (shift - 2) & 3);
}

static size_t class_len(unsigned class)
{
	unsigned shift = 7 + (class - CLASS_LINEAR) / 4;

	if (class < CLASS_LINEAR)
		return (size_t)(class + 1) * CLASS_STEP;
	return ((size_t)1 << shift) + (((size_t)(class - CLASS_LINEAR) % 4 + 1) << (shift - 2));
}

int heap_new(size_t cap, struct heap **out_heap)
{
	struct heap *heap = calloc(1, sizeof(*heap));
	int err = -ENOMEM;

	if (!heap)
		return -ENOMEM;
	heap->slab_cnt = (uint32_t)((cap + SLAB_LEN - 1) >> SLAB_SHIFT);
	heap->cap = (size_t)heap->slab_cnt << SLAB_SHIFT;
	heap->usage.cap = heap->cap;
	heap->slab_kinds = calloc(heap->slab_cnt, sizeof(*heap->slab_kinds));
	heap->run_lens = calloc(heap->slab_cnt, sizeof(*heap->run_lens));
	if (!heap->slab_kinds || !heap->run_lens)
		goto free_heap;
	heap->start = mmap(NULL, heap->cap, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap->start == MAP_FAILED) {
		err = -errno;
		heap->start = NULL;
		goto free_heap;
	}
	poison_hide(heap->start, heap->cap);
	*out_heap = heap;
	return 0;
free_heap:
	heap_free(heap);
	return err;
}

void heap_free(struct heap *heap)
{
	if (!heap)
		return;
	if (heap->start) {
		poison_show(heap->start, heap->cap);
		munmap(heap->start, heap->cap);
	}
	free(heap->slab_kinds);
	free(heap->run_lens);
	free(heap);
}

/* First fit over the slab table; runs are rare and tables small. */
static int64_t slabs_find(struct heap *heap, uint32_t cnt)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < heap->slab_cnt; i++) {
		run = heap->slab_kinds[i] == SLAB_FREE ? run + 1 : 0;
		if (run == cnt)
			return i + 1 - cnt;
	}
	return -1;
}

static void *run_alloc(struct heap *heap, size_t len)
{
	uint32_t cnt = (uint32_t)((len + SLAB_LEN - 1) >> SLAB_SHIFT);
	int64_t first = slabs_find(heap, cnt);

	if (first < 0)
		return NULL;
	memset(heap->slab_kinds + first, SLAB_RUN_TAIL, cnt);
	heap->slab_kinds[first] = SLAB_RUN;
	heap->run_lens[first] = cnt;
	return heap->start + ((size_t)first << SLAB_SHIFT);
}

/* Cuts a free slab into blocks of class. */
static bool class_grow(struct heap *heap, unsigned class)
{
	int64_t slab = slabs_find(heap, 1);
	size_t len = class_len(class);
	uint8_t *at;

	if (slab < 0)
		return false;
	heap->slab_kinds[slab] = (uint8_t)(class + 1);
	at = heap->start + ((size_t)slab << SLAB_SHIFT);
	poison_show(at, SLAB_LEN);
	for (size_t off = SLAB_LEN / len * len; off; off -= len) {
		struct free_block *block = (struct free_block *)(void *)(at + off - len);

		block->next = heap->classes[class];
		heap->classes[class] = block;
	}
	poison_hide(at, SLAB_LEN);
	return true;
}

static void usage_add(struct heap *heap, size_t len)
{
	heap->usage.used_len += len;
	if (heap->usage.used_len > heap->usage.peak_len)
		heap->usage.peak_len = heap->usage.used_len;
}

size_t heap_block_len(const struct heap *heap, const void *block)
{
	size_t slab = (size_t)((const uint8_t *)block - heap->start) >> SLAB_SHIFT;
	uint8_t kind;

	weft_assert(slab < heap->slab_cnt);
	kind = heap->slab_kinds[slab];
	weft_assert(kind != SLAB_FREE && kind != SLAB_RUN_TAIL);
	return kind == SLAB_RUN ? (size_t)heap->run_lens[slab] << SLAB_SHIFT : class_len(kind - 1u);
}

/* The requested length, and the list link that release writes. */
static void block_show(void *block, size_t len)
{
	poison_show(block, len > sizeof(struct free_block) ? len : sizeof(struct free_block));
}

void *heap_alloc(struct heap *heap, size_t len)
{
	struct free_block *block = NULL;
	unsigned class;

	if (len > BLOCK_LEN_MAX) {
		block = len > heap->cap ? NULL : run_alloc(heap, len);
	} else {
		class = class_of(len);
		if (heap->classes[class] || class_grow(heap, class)) {
			block = heap->classes[class];
			poison_show(block, sizeof(*block));
			heap->classes[class] = block->next;
			poison_hide(block, sizeof(*block));
		}
	}
	if (!block) {
		heap->usage.refused_cnt++;
		return NULL;
	}
	usage_add(heap, heap_block_len(heap, block));
	block_show(block, len);
	return block;
}

void *heap_resize(struct heap *heap, void *block, size_t len)
{
	size_t old_len;
	void *moved;

	if (!block)
		return heap_alloc(heap, len);
	old_len = heap_block_len(heap, block);
	if (len <= old_len && len > old_len / 2) {
		poison_hide(block, old_len);
		block_show(block, len);
		return block;
	}
	moved = heap_alloc(heap, len);
	if (!moved)
		return NULL;
	/* How much was asked for is not kept, so the rounding is copied too. */
	poison_show(block, old_len);
	memcpy(moved, block, len < old_len ? len : old_len);
	heap_release(heap, block);
	return moved;
}

void heap_release(struct heap *heap, void *block)
{
	struct free_block *freed = block;
	size_t slab, len;

	if (!block)
		return;
	len = heap_block_len(heap, block);
	heap->usage.used_len -= len;
	slab = (size_t)((uint8_t *)block - heap->start) >> SLAB_SHIFT;
	if (heap->slab_kinds[slab] == SLAB_RUN) {
		memset(heap->slab_kinds + slab, SLAB_FREE, heap->run_lens[slab]);
	} else {
		freed->next = heap->classes[heap->slab_kinds[slab] - 1];
		heap->classes[heap->slab_kinds[slab] - 1] = freed;
	}
	poison_hide(block, len);
}

void heap_usage(const struct heap *heap, struct heap_usage *out_usage)
{
	*out_usage = heap->usage;
}
