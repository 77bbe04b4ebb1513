/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/content_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/base64.h"
#include "crypto/agreed_box.h"
#include "crypto/blake3/blake3.h"
#include "social/seal/agreed_wrap.h"

#define WRAP_CONTEXT "mesh/distsoc/cek-wrap/v1"
#define UNIT_CONTEXT "mesh/distsoc/attachment/v1"

_Static_assert(CONTENT_KEY_LEN == AGREED_KEY_LEN && CONTENT_NONCE_LEN == AGREED_NONCE_LEN &&
		       CONTENT_TAG_LEN == AGREED_TAG_LEN,
	       "boxes of crypto/agreed_box.h");
_Static_assert(CONTENT_KEY_WRAPPED_LEN == AGREED_WRAP_LEN, "a wrapped key");

/* --- wraps --- */

/* Nonce of the post | author | reader. */
#define WRAP_INFO_LEN (CONTENT_NONCE_LEN + 2 * NODE_KEY_LEN)

static struct agreed_wrap wrap_of(const struct content_wrap *wrap,
				  uint8_t info[static WRAP_INFO_LEN])
{
	memcpy(info, wrap->post_nonce, CONTENT_NONCE_LEN);
	memcpy(info + CONTENT_NONCE_LEN, wrap->author, NODE_KEY_LEN);
	memcpy(info + CONTENT_NONCE_LEN + NODE_KEY_LEN, wrap->reader, NODE_KEY_LEN);
	return (struct agreed_wrap){WRAP_CONTEXT, wrap->author, wrap->reader, info, WRAP_INFO_LEN};
}

int social_key_wrap(const struct content_wrap *wrap, const struct node_key *own,
		    const uint8_t key[static CONTENT_KEY_LEN],
		    const uint8_t nonce[static CONTENT_NONCE_LEN],
		    uint8_t out[static CONTENT_KEY_WRAPPED_LEN])
{
	uint8_t info[WRAP_INFO_LEN];
	struct agreed_wrap agreed = wrap_of(wrap, info);

	return social_wrap_seal(&agreed, own, key, nonce, out);
}

int social_key_unwrap(const struct content_wrap *wrap, const struct node_key *own,
		      const uint8_t wrapped[static CONTENT_KEY_WRAPPED_LEN],
		      uint8_t out_key[static CONTENT_KEY_LEN])
{
	uint8_t info[WRAP_INFO_LEN];
	struct agreed_wrap agreed = wrap_of(wrap, info);

	return social_wrap_open(&agreed, own, wrapped, out_key);
}

/* --- content --- */

int social_content_seal(const uint8_t key[static CONTENT_KEY_LEN],
			const uint8_t nonce[static CONTENT_NONCE_LEN], const char *text, size_t len,
			char *out)
{
	uint8_t *sealed = malloc(len + CONTENT_OVERHEAD);

	if (!sealed)
		return -ENOMEM;
	memcpy(sealed, nonce, CONTENT_NONCE_LEN);
	agreed_box_seal(&(struct agreed_box){.key = key, .nonce = nonce}, text, len,
			sealed + CONTENT_NONCE_LEN);
	base64_write(sealed, len + CONTENT_OVERHEAD, out);
	free(sealed);
	return 0;
}

int social_content_nonce(const char *content, size_t len,
			 uint8_t out_nonce[static CONTENT_NONCE_LEN])
{
	/* 16 letters are 12 bytes. */
	const size_t letters = CONTENT_NONCE_LEN / 3 * 4;
	size_t nonce_len;

	if (len < letters ||
	    base64_read(content, letters, out_nonce, CONTENT_NONCE_LEN, &nonce_len) < 0 ||
	    nonce_len != CONTENT_NONCE_LEN)
		return WEFT_EMALFORMED;
	return 0;
}

int social_content_open(const uint8_t key[static CONTENT_KEY_LEN], const char *content, size_t len,
			struct writer *out_text)
{
	size_t cap = len / 4 * 3, sealed_len;
	uint8_t *sealed, *text;
	int err;

	if (len % 4 || cap < CONTENT_OVERHEAD)
		return WEFT_EMALFORMED;
	if (!(sealed = malloc(cap)))
		return -ENOMEM;
	if ((err = base64_read(content, len, sealed, cap, &sealed_len)) == 0 &&
	    sealed_len < CONTENT_OVERHEAD)
		err = WEFT_EMALFORMED;
	if (err == 0 && !(text = writer_reserve(out_text, sealed_len - CONTENT_OVERHEAD)))
		err = WEFT_ETOOSMALL;
	if (err == 0)
		err = agreed_box_open(&(struct agreed_box){.key = key, .nonce = sealed},
				      sealed + CONTENT_NONCE_LEN, sealed_len - CONTENT_NONCE_LEN,
				      text);
	free(sealed);
	return err;
}

/* --- units of attachments --- */

static const uint8_t zero_nonce[CONTENT_NONCE_LEN];

/* A key of each unit, so that its nonce may be zeros. */
static void unit_key_make(const uint8_t *key, struct content_unit which,
			  uint8_t out_key[static CONTENT_KEY_LEN])
{
	uint8_t material[CONTENT_KEY_LEN + 8];

	memcpy(material, key, CONTENT_KEY_LEN);
	for (unsigned i = 0; i < 4; i++) {
		material[CONTENT_KEY_LEN + i] = (uint8_t)(which.attachment >> (24 - 8 * i));
		material[CONTENT_KEY_LEN + 4 + i] = (uint8_t)(which.unit >> (24 - 8 * i));
	}
	blake3_derive_key(UNIT_CONTEXT, material, sizeof(material), out_key, CONTENT_KEY_LEN);
	explicit_bzero(material, sizeof(material));
}

void social_unit_seal(const uint8_t key[static CONTENT_KEY_LEN], struct content_unit which,
		      const void *text, size_t len, uint8_t *out)
{
	uint8_t unit_key[CONTENT_KEY_LEN];

	unit_key_make(key, which, unit_key);
	agreed_box_seal(&(struct agreed_box){.key = unit_key, .nonce = zero_nonce}, text, len, out);
	explicit_bzero(unit_key, sizeof(unit_key));
}

int social_unit_open(const uint8_t key[static CONTENT_KEY_LEN], struct content_unit which,
		     const uint8_t *sealed, size_t len, uint8_t *out)
{
	uint8_t unit_key[CONTENT_KEY_LEN];
	int err;

	unit_key_make(key, which, unit_key);
	err = agreed_box_open(&(struct agreed_box){.key = unit_key, .nonce = zero_nonce}, sealed,
			      len, out);
	explicit_bzero(unit_key, sizeof(unit_key));
	return err;
}
