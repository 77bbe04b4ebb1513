/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_SIPHASH_BYTES_H
#define WEFT_BASE_SIPHASH_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* siphash is SipHash-2-4 (Aumasson, Bernstein 2012) with a 64-bit result. */
uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
