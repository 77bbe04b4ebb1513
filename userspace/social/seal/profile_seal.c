/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/profile_seal.h"

#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "crypto/agreed_box.h"
#include "social/seal/agreed_wrap.h"

#define TEXT_LEN (2u + PROFILE_SEAL_TEXT_MAX)
#define BOX_AT	 (AGREED_WRAP_LEN + AGREED_NONCE_LEN)

_Static_assert(PROFILE_SEAL_LEN == BOX_AT + TEXT_LEN + AGREED_TAG_LEN, "a sealed profile");
_Static_assert(PROFILE_SEAL_RANDOM_LEN == AGREED_SECRET_LEN + 2 * AGREED_NONCE_LEN, "fresh bytes");

static struct agreed_wrap wrap_of(const struct profile_seal *seal)
{
	return (struct agreed_wrap){"mesh/distsoc/profile-wrap/v1", seal->author, seal->reader,
				    seal->reader, NODE_KEY_LEN};
}

int social_profile_seal(const struct profile_seal *seal, const struct node_key *own,
			const void *text, size_t len, uint8_t out[static PROFILE_SEAL_LEN])
{
	struct agreed_wrap wrap = wrap_of(seal);
	const uint8_t *nonces = seal->fresh + AGREED_SECRET_LEN;
	struct agreed_box box = {seal->fresh, nonces + AGREED_NONCE_LEN, seal->author,
				 NODE_KEY_LEN};
	uint8_t padded[TEXT_LEN] = {0};
	struct writer w = writer_of(padded, sizeof(padded));
	int err;

	weft_assert(len <= PROFILE_SEAL_TEXT_MAX);
	if ((err = social_wrap_seal(&wrap, own, seal->fresh, nonces, out)) < 0)
		return err;
	writer_be16(&w, (uint16_t)len);
	writer_bytes(&w, text, len);
	memcpy(out + AGREED_WRAP_LEN, box.nonce, AGREED_NONCE_LEN);
	agreed_box_seal(&box, padded, sizeof(padded), out + BOX_AT);
	explicit_bzero(padded, sizeof(padded));
	return 0;
}

int social_profile_unseal(const struct profile_seal *seal, const struct node_key *own,
			  const uint8_t sealed[static PROFILE_SEAL_LEN],
			  uint8_t out_text[static PROFILE_SEAL_TEXT_MAX], size_t *out_len)
{
	struct agreed_wrap wrap = wrap_of(seal);
	uint8_t key[AGREED_SECRET_LEN], padded[TEXT_LEN];
	struct agreed_box box = {key, sealed + AGREED_WRAP_LEN, seal->author, NODE_KEY_LEN};
	struct cursor c = cursor_of(padded, sizeof(padded));
	size_t len;
	int err = social_wrap_open(&wrap, own, sealed, key);

	if (err == 0)
		err = agreed_box_open(&box, sealed + BOX_AT, TEXT_LEN + AGREED_TAG_LEN, padded);
	explicit_bzero(key, sizeof(key));
	if (err < 0)
		return err;
	len = cursor_be16(&c);
	if (len > PROFILE_SEAL_TEXT_MAX)
		return WEFT_EDAMAGED;
	cursor_copy(&c, out_text, len);
	explicit_bzero(padded, sizeof(padded));
	*out_len = len;
	return 0;
}
