/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_AGREED_BOX_H
#define WEFT_CRYPTO_AGREED_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * Boxes under a key that two X25519 keys agree on (RFC 7748), of which one may
 * be the image of a node's Ed25519 key. HKDF-SHA256 (RFC 5869) makes a key for
 * each purpose of what was agreed, and ChaCha20-Poly1305 (RFC 8439) seals.
 * Other than in key_wrap.h both sides can seal, and so answer each other.
 *
 * Thread-safe. Secrets are the caller's to wipe.
 */
#define AGREED_KEY_LEN	 32u /* of X25519 keys, what they agree on, and keys of boxes */
#define AGREED_NONCE_LEN 12u
#define AGREED_TAG_LEN	 16u /* what a box is longer than its text */

/* agreed_public makes the public key of any 32 secret bytes. */
void agreed_public(const uint8_t secret[static AGREED_KEY_LEN],
		   uint8_t out_public[static AGREED_KEY_LEN]);
/* agreed_public_of_node: 0, or WEFT_EMALFORMED: node is no point with an image. */
WEFT_MUST_CHECK
int agreed_public_of_node(const uint8_t node[static NODE_KEY_LEN],
			  uint8_t out_public[static AGREED_KEY_LEN]);
/*
 * agreed_with is what secret, or key's image, agrees on with the public key other. 0, or
 * WEFT_EMALFORMED: other has small order, and would agree on zeros with any key.
 */
WEFT_MUST_CHECK
int agreed_with(const uint8_t secret[static AGREED_KEY_LEN],
		const uint8_t other[static AGREED_KEY_LEN],
		uint8_t out_shared[static AGREED_KEY_LEN]);
WEFT_MUST_CHECK
int agreed_with_node(const struct node_key *key, const uint8_t other[static AGREED_KEY_LEN],
		     uint8_t out_shared[static AGREED_KEY_LEN]);

/* agreed_key makes the key of one purpose, which info names. */
struct agreed_purpose {
	const uint8_t *salt;
	size_t salt_len;
	const char *info;
};
void agreed_key(const uint8_t shared[static AGREED_KEY_LEN], const struct agreed_purpose *purpose,
		uint8_t out_key[static AGREED_KEY_LEN]);

/* What a box is sealed by. A nonce is used once with a key. */
struct agreed_box {
	const uint8_t *key;   /* AGREED_KEY_LEN */
	const uint8_t *nonce; /* AGREED_NONCE_LEN */
	const uint8_t *bound; /* not in the box; the one that opens it has the same */
	size_t bound_len;
};

/* agreed_box_seal writes len + AGREED_TAG_LEN bytes. */
void agreed_box_seal(const struct agreed_box *box, const void *text, size_t len, uint8_t *out);
/* agreed_box_open writes len - AGREED_TAG_LEN bytes: 0 or WEFT_EDAMAGED, and out is unspecified. */
WEFT_MUST_CHECK
int agreed_box_open(const struct agreed_box *box, const uint8_t *sealed, size_t len, uint8_t *out);

#endif
