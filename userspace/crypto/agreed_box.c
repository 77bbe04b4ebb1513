/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/agreed_box.h"

#include <sodium.h>
#include <string.h>

_Static_assert(AGREED_KEY_LEN == crypto_scalarmult_BYTES, "an X25519 key");
_Static_assert(AGREED_KEY_LEN == crypto_auth_hmacsha256_BYTES, "one block of HKDF-SHA256");
_Static_assert(AGREED_KEY_LEN == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "a key of a box");
_Static_assert(AGREED_NONCE_LEN == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "a nonce");
_Static_assert(AGREED_TAG_LEN == crypto_aead_chacha20poly1305_ietf_ABYTES, "a tag");

void agreed_public(const uint8_t secret[static AGREED_KEY_LEN],
		   uint8_t out_public[static AGREED_KEY_LEN])
{
	crypto_scalarmult_base(out_public, secret);
}

int agreed_public_of_node(const uint8_t node[static NODE_KEY_LEN],
			  uint8_t out_public[static AGREED_KEY_LEN])
{
	if (sodium_init() < 0 || !node_key_is_sound(node) ||
	    crypto_sign_ed25519_pk_to_curve25519(out_public, node) < 0)
		return WEFT_EMALFORMED;
	return 0;
}

int agreed_with(const uint8_t secret[static AGREED_KEY_LEN],
		const uint8_t other[static AGREED_KEY_LEN],
		uint8_t out_shared[static AGREED_KEY_LEN])
{
	if (sodium_init() < 0 || crypto_scalarmult(out_shared, secret, other) < 0)
		return WEFT_EMALFORMED;
	return 0;
}

int agreed_with_node(const struct node_key *key, const uint8_t other[static AGREED_KEY_LEN],
		     uint8_t out_shared[static AGREED_KEY_LEN])
{
	uint8_t sign_secret[crypto_sign_SECRETKEYBYTES];
	uint8_t secret[AGREED_KEY_LEN];
	int err = WEFT_EMALFORMED;

	/* libsodium's form of a secret key: the seed, then the public key, which is known here. */
	memcpy(sign_secret, node_key_seed(key), NODE_KEY_SEED_LEN);
	memcpy(sign_secret + NODE_KEY_SEED_LEN, node_key_public(key), NODE_KEY_LEN);
	if (crypto_sign_ed25519_sk_to_curve25519(secret, sign_secret) == 0)
		err = agreed_with(secret, other, out_shared);
	sodium_memzero(sign_secret, sizeof(sign_secret));
	sodium_memzero(secret, sizeof(secret));
	return err;
}

/* RFC 5869: extract with the salt, then the first and only block of expand. */
void agreed_key(const uint8_t shared[static AGREED_KEY_LEN], const struct agreed_purpose *purpose,
		uint8_t out_key[static AGREED_KEY_LEN])
{
	size_t info_len = strlen(purpose->info);
	crypto_auth_hmacsha256_state state;
	uint8_t prk[AGREED_KEY_LEN];
	static const uint8_t first = 1;

	crypto_auth_hmacsha256_init(&state, purpose->salt, purpose->salt_len);
	crypto_auth_hmacsha256_update(&state, shared, AGREED_KEY_LEN);
	crypto_auth_hmacsha256_final(&state, prk);
	crypto_auth_hmacsha256_init(&state, prk, sizeof(prk));
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)purpose->info, info_len);
	crypto_auth_hmacsha256_update(&state, &first, 1);
	crypto_auth_hmacsha256_final(&state, out_key);
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(prk, sizeof(prk));
}

void agreed_box_seal(const struct agreed_box *box, const void *text, size_t len, uint8_t *out)
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, text, len, box->bound, box->bound_len,
						  NULL, box->nonce, box->key);
}

int agreed_box_open(const struct agreed_box *box, const uint8_t *sealed, size_t len, uint8_t *out)
{
	if (len < AGREED_TAG_LEN ||
	    crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, box->bound,
						      box->bound_len, box->nonce, box->key) < 0)
		return WEFT_EDAMAGED;
	return 0;
}
