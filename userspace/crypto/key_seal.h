/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_KEY_SEAL_H
#define WEFT_CRYPTO_KEY_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * Seeds of other keys that a node has, as they lie in its store: sealed under a key that is
 * made of the node's. Where a passphrase seals that, the disk alone gives none of them. In
 * every case the pages of the store, which are neither locked nor kept out of a core file,
 * hold no seed. The form of earlier versions is read, too:
 *	seed 32
 *	nonce 24 | secretbox of the seed 48
 *
 * Thread-safe; a seal of NULL, which tests use, seals nothing and opens nothing that is sealed.
 */
struct key_seal;

#define KEY_SEAL_LEN_MAX 72u

/* key_seal_new: 0 or -ENOMEM; node_key is not needed any more. key_seal_free wipes; takes NULL. */
WEFT_MUST_CHECK
int key_seal_new(const struct node_key *node_key, struct key_seal **out_seal);
void key_seal_free(struct key_seal *seal);

/* key_seal_write returns the length. */
size_t key_seal_write(const struct key_seal *seal, const uint8_t seed[static NODE_KEY_SEED_LEN],
		      uint8_t out[static KEY_SEAL_LEN_MAX]);
/*
 * key_seal_open: 0, WEFT_EDAMAGED (neither form) or WEFT_ESEALED (another node's key has
 * sealed it, or it was altered).
 */
WEFT_MUST_CHECK
int key_seal_open(const struct key_seal *seal, const uint8_t *bytes, size_t len,
		  uint8_t out_seed[static NODE_KEY_SEED_LEN]);
/* key_seal_is_due: what was read with len bytes would be written sealed. */
bool key_seal_is_due(const struct key_seal *seal, size_t len);

#endif
