/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_NODE_BOX_H
#define WEFT_CRYPTO_NODE_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * A box of any length that one Ed25519 key opens, and that does not name its sender:
 *
 *	one-time X25519 key 32 | nonce 24 | XChaCha20-Poly1305 of the text, with its tag 16
 *
 * The one-time key agrees with the image of the reader's key (RFC 7748). HKDF-SHA256 (RFC 5869) of that
 * makes the key of the box. Its salt is the one-time key and the reader's, its info the purpose.
 * Thread-safe.
 */
#define NODE_BOX_SECRET_LEN 32u
#define NODE_BOX_NONCE_LEN  24u
#define NODE_BOX_OVERHEAD   72u
#define NODE_BOX_RANDOM_LEN (NODE_BOX_SECRET_LEN + NODE_BOX_NONCE_LEN)

/* What both sides know beside the box. */
struct node_box {
	const char *info;
	const uint8_t *reader; /* NODE_KEY_LEN */
	const void *bound;     /* not in the box; the reader has the same */
	size_t bound_len;
};
/*
 * node_box_seal writes len + NODE_BOX_OVERHEAD bytes; fresh is used for no other box, and is the caller's to
 * wipe. 0, or WEFT_EMALFORMED: reader is no point that a box can be sealed to.
 */
WEFT_MUST_CHECK
int node_box_seal(const struct node_box *box, const uint8_t fresh[static NODE_BOX_RANDOM_LEN],
		  const void *text, size_t len, uint8_t *out);
/*
 * node_box_open writes len - NODE_BOX_OVERHEAD bytes; key is that of box->reader. 0, or WEFT_EDAMAGED: the
 * box is for another key, purpose or bound, or was altered. Then out is unspecified.
 */
WEFT_MUST_CHECK
int node_box_open(const struct node_box *box, const struct node_key *key, const uint8_t *sealed,
		  size_t len, uint8_t *out);

#endif
