/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RESIDENT_H
#define WEFT_TESTS_RESIDENT_H

#include <stddef.h>

/* resident_len: bytes of this process that are in memory (proc(5), statm); 0: unknown. */
size_t resident_len(void);

#endif
