/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_MEMORY_POISON_H
#define WEFT_BASE_MEMORY_POISON_H

#include <stddef.h>

/*
 * Pools and the heap never give memory back, so the address sanitizer
 * would not see a use after release. poison_hide and poison_show tell it
 * which bytes are out of bounds now; in other builds they are nothing.
 */
#ifdef __has_feature
#define POISON_HAS_FEATURE(name) __has_feature(name)
#else
#define POISON_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || POISON_HAS_FEATURE(address_sanitizer)

void __asan_poison_memory_region(void const volatile *start, size_t len);
void __asan_unpoison_memory_region(void const volatile *start, size_t len);

static inline void poison_hide(const void *start, size_t len)
{
	__asan_poison_memory_region(start, len);
}

static inline void poison_show(const void *start, size_t len)
{
	__asan_unpoison_memory_region(start, len);
}

#else

static inline void poison_hide(const void *start, size_t len)
{
	(void)start;
	(void)len;
}

static inline void poison_show(const void *start, size_t len)
{
	(void)start;
	(void)len;
}

#endif

#endif
