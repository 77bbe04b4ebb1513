/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_SHA1_H
#define WEFT_CRYPTO_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_HASH_LEN 20

/*
 * sha1 is SHA-1 (FIPS 180-4) of len bytes. It names places on the Mainline DHT (BEP-5, BEP-44)
 * and nothing else. A node that makes two values of one name wins a slot that no other wanted.
 * Values that must not be forged are signed or hashed by BLAKE3. Thread-safe.
 */
void sha1(const void *data, size_t len, uint8_t out[static SHA1_HASH_LEN]);

#endif
