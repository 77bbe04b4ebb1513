/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/agreed_wrap.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/agreed_box.h"
#include "crypto/blake3/blake3.h"

_Static_assert(AGREED_SECRET_LEN == AGREED_KEY_LEN, "a key is a secret");
_Static_assert(AGREED_WRAP_LEN == AGREED_NONCE_LEN + AGREED_SECRET_LEN + AGREED_TAG_LEN, "a wrap");

static int key_make(const struct agreed_wrap *wrap, const struct node_key *own, uint8_t *out_key)
{
	const uint8_t *other = memcmp(node_key_public(own), wrap->writer, NODE_KEY_LEN) == 0
				       ? wrap->reader
				       : wrap->writer;
	uint8_t material[AGREED_KEY_LEN + AGREED_INFO_MAX], public[AGREED_KEY_LEN];
	int err;

	weft_assert(wrap->info_len <= AGREED_INFO_MAX);
	if ((err = agreed_public_of_node(other, public)) < 0 ||
	    (err = agreed_with_node(own, public, material)) < 0)
		return err;
	memcpy(material + AGREED_KEY_LEN, wrap->info, wrap->info_len);
	blake3_derive_key(wrap->context, material, AGREED_KEY_LEN + wrap->info_len, out_key,
			  AGREED_KEY_LEN);
	explicit_bzero(material, sizeof(material));
	return 0;
}

int social_wrap_seal(const struct agreed_wrap *wrap, const struct node_key *own,
		     const uint8_t *secret, const uint8_t *nonce, uint8_t *out)
{
	uint8_t key[AGREED_KEY_LEN];
	struct agreed_box box = {key, nonce, wrap->reader, NODE_KEY_LEN};
	int err = key_make(wrap, own, key);

	if (err < 0)
		return err;
	memcpy(out, nonce, AGREED_NONCE_LEN);
	agreed_box_seal(&box, secret, AGREED_SECRET_LEN, out + AGREED_NONCE_LEN);
	explicit_bzero(key, sizeof(key));
	return 0;
}

int social_wrap_open(const struct agreed_wrap *wrap, const struct node_key *own,
		     const uint8_t *wrapped, uint8_t *out_secret)
{
	uint8_t key[AGREED_KEY_LEN];
	struct agreed_box box = {key, wrapped, wrap->reader, NODE_KEY_LEN};
	int err;

	if (key_make(wrap, own, key) < 0)
		return WEFT_EDAMAGED;
	err = agreed_box_open(&box, wrapped + AGREED_NONCE_LEN, AGREED_WRAP_LEN - AGREED_NONCE_LEN,
			      out_secret);
	explicit_bzero(key, sizeof(key));
	return err;
}
