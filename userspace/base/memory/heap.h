/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MEMORY_HEAP_H
#define WEFT_BASE_MEMORY_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * A bounded allocator of size classes for libraries that insist on
 * malloc-like functions (ngtcp2). Memory comes from one mapping, touched
 * as it is needed; freed blocks return to their class. Blocks are aligned
 * to 16. Rounding costs at most a quarter of a block up to 32 KiB; a
 * larger block takes whole pieces of 64 KiB. One worker, no locks.
 */
struct heap;

struct heap_usage {
	size_t used_len; /* live blocks, rounded */
	size_t peak_len; /* the most used_len ever was */
	size_t cap;
	uint64_t refused_cnt;
};

/* heap_new reserves cap bytes of address space. 0 or -errno. */
WEFT_MUST_CHECK
int heap_new(size_t cap, struct heap **out_heap);
void heap_free(struct heap *heap);
/*
 * heap_{alloc,resize,release} as malloc, realloc, free, but resize to 0 bytes keeps a block. Each NULL is counted as refused.
 */
void *heap_alloc(struct heap *heap, size_t len);
void *heap_resize(struct heap *heap, void *block, size_t len);
void heap_release(struct heap *heap, void *block);
/* heap_block_len: bytes that a live block takes, rounding included. */
size_t heap_block_len(const struct heap *heap, const void *block);
void heap_usage(const struct heap *heap, struct heap_usage *out_usage);

#endif
