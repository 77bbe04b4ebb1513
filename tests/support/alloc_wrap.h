/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SUPPORT_ALLOC_WRAP_H
#define WEFT_TESTS_SUPPORT_ALLOC_WRAP_H

#include <stdbool.h>

/*
 * malloc, calloc, realloc and aligned_alloc of a program that is linked with
 * --wrap for each. Before an allocation is made alloc_is_refused, which the
 * program brings, says whether it fails; then it has set errno. Any thread.
 */
bool alloc_is_refused(void);

#endif
