/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_ASSERT_H
#define WEFT_BASE_ASSERT_H

/*
 * weft_assert is for broken invariants of this program, compiled in always, never on a value a
 * peer controls. weft_assert_hot is for per-packet checks and compiled in where
 * WEFT_HOT_ASSERTS is defined (test and fuzz builds).
 */
_Noreturn void assert_failed(const char *what, const char *file, int line);

#define weft_assert(cond) ((cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))

#ifdef WEFT_HOT_ASSERTS
#define weft_assert_hot(cond) weft_assert(cond)
#else
#define weft_assert_hot(cond) ((void)0)
#endif

#endif
