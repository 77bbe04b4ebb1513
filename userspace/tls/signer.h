/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TLS_SIGNER_H
#define WEFT_TLS_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "base/transport.h"
#include "weft/err.h"

#define TLS_SIGNATURE_LEN 64

/* The signer for an Ed25519 key: pure Ed25519 of data. Called by any thread. */
struct tls_signer {
	uint8_t public_key[TRANSPORT_KEY_LEN];
	void (*sign)(const void *ctx, const void *data, size_t len,
		     uint8_t out_signature[static TLS_SIGNATURE_LEN]);
	const void *ctx;
};

/*
 * tls_signer_key makes the key that TLS signs with. OpenSSL gets the
 * public half and a function that signs, never the seed
 * (docs/decisions/0006-tls-signs-by-a-provider.md).
 *
 * Returns NULL when OpenSSL refuses.
 * Owns:    the caller frees it; ctx is borrowed for as long as it lives.
 * Context: start-up, any thread.
 */
WEFT_MUST_CHECK
EVP_PKEY *tls_signer_key(const struct tls_signer *signer);

#endif
