/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BENCH_SUPPORT_OWN_USE_H
#define WEFT_BENCH_SUPPORT_OWN_USE_H

#include <stddef.h>
#include <stdint.h>

/* What a benchmark itself takes of the machine. */

/* own_core_ns: nanoseconds that this thread had of the core. */
uint64_t own_core_ns(void);
/* own_memory_len: bytes of memory that no file stands behind; 0: the system does not say. */
size_t own_memory_len(void);

#endif
