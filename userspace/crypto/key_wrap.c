/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_wrap.h"

#include <sodium.h>

_Static_assert(KEY_WRAP_LEN == crypto_box_SEALBYTES + KEY_WRAP_SECRET_LEN, "a sealed secret");
_Static_assert(NODE_KEY_SEED_LEN == crypto_sign_SEEDBYTES, "a seed makes a signing key");

int key_wrap(const uint8_t node[static NODE_KEY_LEN],
	     const uint8_t secret[static KEY_WRAP_SECRET_LEN], uint8_t out[static KEY_WRAP_LEN])
{
	uint8_t to[crypto_box_PUBLICKEYBYTES];

	if (sodium_init() < 0 || !node_key_is_sound(node) ||
	    crypto_sign_ed25519_pk_to_curve25519(to, node) < 0 ||
	    crypto_box_seal(out, secret, KEY_WRAP_SECRET_LEN, to) < 0)
		return WEFT_EMALFORMED;
	return 0;
}

int key_unwrap(const struct node_key *key, const uint8_t box[static KEY_WRAP_LEN],
	       uint8_t out_secret[static KEY_WRAP_SECRET_LEN])
{
	uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret_key[crypto_box_SECRETKEYBYTES];
	uint8_t sign_public[crypto_sign_PUBLICKEYBYTES], sign_secret[crypto_sign_SECRETKEYBYTES];
	int err = WEFT_EDAMAGED;

	if (sodium_init() < 0)
		return WEFT_EDAMAGED;
	if (crypto_sign_seed_keypair(sign_public, sign_secret, node_key_seed(key)) == 0 &&
	    crypto_sign_ed25519_sk_to_curve25519(secret_key, sign_secret) == 0 &&
	    crypto_scalarmult_base(public_key, secret_key) == 0 &&
	    crypto_box_seal_open(out_secret, box, KEY_WRAP_LEN, public_key, secret_key) == 0)
		err = 0;
	sodium_memzero(sign_secret, sizeof(sign_secret));
	sodium_memzero(secret_key, sizeof(secret_key));
	return err;
}
