/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_SHA256_H
#define WEFT_CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HASH_LEN 32

/*
 * sha256 is SHA-256 (FIPS 180-4) of len bytes: it derives short ids of
 * nodes, ids of services and keys of the overlay from names. Stored
 * content is named by BLAKE3. Thread-safe.
 */
void sha256(const void *data, size_t len, uint8_t out[static SHA256_HASH_LEN]);

#endif
