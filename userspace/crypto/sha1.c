/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 by OpenSSL. Its EVP functions allocate for each hash and can fail.
 * The older ones work on the caller's stack and cannot, and a name on the DHT
 * has no use for an error.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha1.h"

#include <openssl/sha.h>

_Static_assert(SHA1_HASH_LEN == SHA_DIGEST_LENGTH, "SHA-1");

void sha1(const void *data, size_t len, uint8_t out[static SHA1_HASH_LEN])
{
	SHA_CTX ctx;

	SHA1_Init(&ctx);
	SHA1_Update(&ctx, data, len);
	SHA1_Final(out, &ctx);
}
