/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_NODE_KEY_H
#define WEFT_CRYPTO_NODE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

#define NODE_KEY_LEN	     32 /* Ed25519 public key = NodeId */
#define NODE_KEY_SEED_LEN    32
#define NODE_KEY_SIG_LEN     64
#define NODE_KEY_DERIVED_LEN 32
#define NODE_KEY_TEXT_CAP    53 /* z-base-32 and NUL */

/*
 * The node's Ed25519 key. The seed lives in locked memory behind an opaque
 * struct, is wiped on free, and leaves only through node_key_seed: to
 * another node_key, and to key_seal.h. TLS signs by node_key_sign.
 */
struct node_key;

/*
 * node_key_generate makes a fresh key from the system's randomness.
 * node_key_from_seed is for tests, the simulator and loading.
 * Returns 0 with *out_key, or -errno.
 */
WEFT_MUST_CHECK
int node_key_generate(struct node_key **out_key);
WEFT_MUST_CHECK
int node_key_from_seed(const uint8_t seed[static NODE_KEY_SEED_LEN], struct node_key **out_key);
void node_key_free(struct node_key *key);

/*
 * node_key_load reads the file at path; node_key_save makes it with mode
 * 0600, whole or not at all (temporary file, fsync, rename, fsync of the
 * directory). passphrase may be NULL; otherwise the file is sealed with
 * Argon2id and secretbox. A file that others may read is refused.
 * Errors of load: WEFT_EABSENT, WEFT_EMALFORMED, WEFT_EREFUSED (mode or
 * owner), WEFT_EDAMAGED (wrong passphrase or altered), WEFT_EUNKNOWN
 * (sealed, and no passphrase given), -errno.
 */
WEFT_MUST_CHECK
int node_key_load(const char *path, const char *passphrase, struct node_key **out_key);
WEFT_MUST_CHECK
int node_key_save(const struct node_key *key, const char *path, const char *passphrase);

const uint8_t *node_key_public(const struct node_key *key);
const uint8_t *node_key_seed(const struct node_key *key);
void node_key_sign(const struct node_key *key, const void *data, size_t len,
		   uint8_t out_sig[static NODE_KEY_SIG_LEN]);
/*
 * node_key_derive: HMAC-SHA256 of label under the seed, for secrets that
 * outlive the process. No part of the seed is left on the stack.
 */
void node_key_derive(const struct node_key *key, const char *label,
		     uint8_t out[static NODE_KEY_DERIVED_LEN]);
/*
 * node_key_is_sound: false for a point of small order and for an encoding
 * that is not canonical, as node_key_verify refuses them. It does not say
 * that the point is on the curve; a verified signature does.
 */
bool node_key_is_sound(const uint8_t key[static NODE_KEY_LEN]);
/* node_key_verify: strict (canonical S, no small order). 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int node_key_verify(const uint8_t key[static NODE_KEY_LEN], const void *data, size_t len,
		    const uint8_t sig[static NODE_KEY_SIG_LEN]);

#endif
