/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/node_box.h"

#include <sodium.h>
#include <string.h>

#include "crypto/agreed_box.h"

#define TAG_LEN crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(NODE_BOX_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "a nonce");
_Static_assert(NODE_BOX_OVERHEAD == AGREED_KEY_LEN + NODE_BOX_NONCE_LEN + TAG_LEN, "around a text");
_Static_assert(AGREED_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a key of a box");

/* Of shared, which is wiped. */
static void box_key(const struct node_box *box, const uint8_t *one_time,
		    uint8_t shared[static AGREED_KEY_LEN], uint8_t out_key[static AGREED_KEY_LEN])
{
	uint8_t salt[AGREED_KEY_LEN + NODE_KEY_LEN];
	const struct agreed_purpose purpose = {
		.salt = salt, .salt_len = sizeof(salt), .info = box->info};

	memcpy(salt, one_time, AGREED_KEY_LEN);
	memcpy(salt + AGREED_KEY_LEN, box->reader, NODE_KEY_LEN);
	agreed_key(shared, &purpose, out_key);
	sodium_memzero(shared, AGREED_KEY_LEN);
}

int node_box_seal(const struct node_box *box, const uint8_t fresh[static NODE_BOX_RANDOM_LEN],
		  const void *text, size_t len, uint8_t *out)
{
	uint8_t to[AGREED_KEY_LEN], shared[AGREED_KEY_LEN], key[AGREED_KEY_LEN];
	uint8_t *nonce = out + AGREED_KEY_LEN;

	if (agreed_public_of_node(box->reader, to) < 0 || agreed_with(fresh, to, shared) < 0)
		return WEFT_EMALFORMED;
	agreed_public(fresh, out);
	memcpy(nonce, fresh + NODE_BOX_SECRET_LEN, NODE_BOX_NONCE_LEN);
	box_key(box, out, shared, key);
	crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NODE_BOX_NONCE_LEN, NULL, text, len,
						   box->bound, box->bound_len, NULL, nonce, key);
	sodium_memzero(key, sizeof(key));
	return 0;
}

int node_box_open(const struct node_box *box, const struct node_key *key, const uint8_t *sealed,
		  size_t len, uint8_t *out)
{
	uint8_t shared[AGREED_KEY_LEN], box_secret[AGREED_KEY_LEN];
	const uint8_t *nonce = sealed + AGREED_KEY_LEN;
	int err;

	if (len < NODE_BOX_OVERHEAD || agreed_with_node(key, sealed, shared) < 0)
		return WEFT_EDAMAGED;
	box_key(box, sealed, shared, box_secret);
	err = crypto_aead_xchacha20poly1305_ietf_decrypt(
		out, NULL, NULL, nonce + NODE_BOX_NONCE_LEN,
		len - AGREED_KEY_LEN - NODE_BOX_NONCE_LEN, box->bound, box->bound_len, nonce,
		box_secret);
	sodium_memzero(box_secret, sizeof(box_secret));
	return err < 0 ? WEFT_EDAMAGED : 0;
}
