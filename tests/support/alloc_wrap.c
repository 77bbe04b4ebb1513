/* SPDX-License-Identifier: Apache-2.0 */
#include "support/alloc_wrap.h"

#include <stddef.h>

void *__real_malloc(size_t len);
void *__real_calloc(size_t cnt, size_t len);
void *__real_realloc(void *block, size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t cnt, size_t len);
void *__wrap_realloc(void *block, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);

void *__wrap_malloc(size_t len)
{
	return alloc_is_refused() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t cnt, size_t len)
{
	return alloc_is_refused() ? NULL : __real_calloc(cnt, len);
}

void *__wrap_realloc(void *block, size_t len)
{
	return alloc_is_refused() ? NULL : __real_realloc(block, len);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	return alloc_is_refused() ? NULL : __real_aligned_alloc(align, len);
}
