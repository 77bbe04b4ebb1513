/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_STATEMENT_H
#define WEFT_CRYPTO_STATEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * What a signature of the mesh covers: a body, and the tag of its kind.
 * The text that is signed is
 *
 *	"MESHSIG1" | u8 length of tag | tag | u32be length of body | body
 *
 * Signed objects (crypto/signed.h) have it, and formats of their own that
 * keep body and signature elsewhere. The body may lie in two places.
 *
 * Thread-safe.
 */
#define STATEMENT_TAG_LEN_MAX  16u
#define STATEMENT_BODY_LEN_MAX (1u << 20)
/* A body up to this length takes no memory but the stack's. */
#define STATEMENT_BODY_LEN_ON_STACK (65536u + 64u)

/* tag has at most STATEMENT_TAG_LEN_MAX letters; both parts at most STATEMENT_BODY_LEN_MAX bytes. */
struct statement {
	const char *tag;
	const void *head, *rest;
	size_t head_len, rest_len;
};

/* statement_sign: 0, or -ENOMEM for a body that does not fit the stack. */
WEFT_MUST_CHECK
int statement_sign(const struct statement *statement, const struct node_key *key,
		   uint8_t out_signature[static NODE_KEY_SIG_LEN]);
/* statement_verify: 0, WEFT_EDAMAGED, or -ENOMEM as above. */
WEFT_MUST_CHECK
int statement_verify(const struct statement *statement, const uint8_t signer[static NODE_KEY_LEN],
		     const uint8_t signature[static NODE_KEY_SIG_LEN]);

#endif
