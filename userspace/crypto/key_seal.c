/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* The use of the derived key: eight bytes, and a number among those of that name. */
#define SEAL_CONTEXT "weftseal"
#define SEAL_NUMBER  1u
#define SEAL_BOX_LEN (crypto_secretbox_MACBYTES + NODE_KEY_SEED_LEN)

_Static_assert(KEY_SEAL_LEN_MAX == crypto_secretbox_NONCEBYTES + SEAL_BOX_LEN, "a sealed seed");
_Static_assert(crypto_kdf_KEYBYTES == NODE_KEY_SEED_LEN, "a seed is what keys are derived of");
_Static_assert(sizeof(SEAL_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "context of a derived key");

/* In sodium_malloc memory as a whole. */
struct key_seal {
	uint8_t key[crypto_secretbox_KEYBYTES];
};

int key_seal_new(const struct node_key *node_key, struct key_seal **out_seal)
{
	struct key_seal *seal = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*seal));

	if (!seal)
		return -ENOMEM;
	crypto_kdf_derive_from_key(seal->key, sizeof(seal->key), SEAL_NUMBER, SEAL_CONTEXT,
				   node_key_seed(node_key));
	*out_seal = seal;
	return 0;
}

void key_seal_free(struct key_seal *seal)
{
	sodium_free(seal);
}

size_t key_seal_write(const struct key_seal *seal, const uint8_t seed[static NODE_KEY_SEED_LEN],
		      uint8_t out[static KEY_SEAL_LEN_MAX])
{
	if (!seal) {
		memcpy(out, seed, NODE_KEY_SEED_LEN);
		return NODE_KEY_SEED_LEN;
	}
	randombytes_buf(out, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(out + crypto_secretbox_NONCEBYTES, seed, NODE_KEY_SEED_LEN, out,
			      seal->key);
	return KEY_SEAL_LEN_MAX;
}

int key_seal_open(const struct key_seal *seal, const uint8_t *bytes, size_t len,
		  uint8_t out_seed[static NODE_KEY_SEED_LEN])
{
	if (len == NODE_KEY_SEED_LEN) {
		memcpy(out_seed, bytes, NODE_KEY_SEED_LEN);
		return 0;
	}
	if (len != KEY_SEAL_LEN_MAX)
		return WEFT_EDAMAGED;
	return seal && crypto_secretbox_open_easy(out_seed, bytes + crypto_secretbox_NONCEBYTES,
						  SEAL_BOX_LEN, bytes, seal->key) == 0
		       ? 0
		       : WEFT_ESEALED;
}

bool key_seal_is_due(const struct key_seal *seal, size_t len)
{
	return seal && len == NODE_KEY_SEED_LEN;
}
