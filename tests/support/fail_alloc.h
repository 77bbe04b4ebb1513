/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FAIL_ALLOC_H
#define WEFT_TESTS_FAIL_ALLOC_H

#include <stdbool.h>

/*
 * Makes the n-th allocation fail, as fail_nth.h does with system calls:
 * n = 1, 2, 3, ... until a run ends that fired nothing. Unit tests are
 * linked with --wrap of what alloc_wrap.c defines, so the libraries' own
 * count, too, where they are linked statically. Process-wide and safe with threads.
 */

/* fail_alloc_arm makes the n-th allocation from now fail, and cnt - 1 behind it. */
void fail_alloc_arm(unsigned n, unsigned cnt);
/* fail_alloc_disarm ends it; true when one was made to fail. */
bool fail_alloc_disarm(void);

#endif
