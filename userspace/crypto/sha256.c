/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sha256.h"

#include <sodium.h>

_Static_assert(SHA256_HASH_LEN == crypto_hash_sha256_BYTES, "SHA-256");

void sha256(const void *data, size_t len, uint8_t out[static SHA256_HASH_LEN])
{
	crypto_hash_sha256(out, data, len);
}
