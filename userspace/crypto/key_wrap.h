/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_KEY_WRAP_H
#define WEFT_CRYPTO_KEY_WRAP_H

#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * A secret of 32 bytes for one node: libsodium's sealed box to the X25519 key that follows
 * from the node's Ed25519 key. The box does not tell its author, and proves nothing about it:
 * the reader compares what it opened with something that was signed. Thread-safe.
 */
#define KEY_WRAP_SECRET_LEN 32u
#define KEY_WRAP_LEN	    80u

/* key_wrap: 0, or WEFT_EMALFORMED: node is no point that a box can be sealed to. */
WEFT_MUST_CHECK
int key_wrap(const uint8_t node[static NODE_KEY_LEN],
	     const uint8_t secret[static KEY_WRAP_SECRET_LEN], uint8_t out[static KEY_WRAP_LEN]);
/* key_unwrap: 0, or WEFT_EDAMAGED: the box is for another node, or was altered. */
WEFT_MUST_CHECK
int key_unwrap(const struct node_key *key, const uint8_t box[static KEY_WRAP_LEN],
	       uint8_t out_secret[static KEY_WRAP_SECRET_LEN]);

#endif
