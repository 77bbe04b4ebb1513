/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SEAL_CONTENT_KEY_H
#define WEFT_SOCIAL_SEAL_CONTENT_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * The key of a private post's content is random, and used for that post alone.
 * Each reader gets it sealed with ChaCha20-Poly1305, under a key that author and
 * reader agree on (docs/wire/social.md). They agree on the same from both sides,
 * so an author opens what they wrapped for any reader.
 *
 *	content	base64 of nonce 12 | ciphertext | tag 16
 *	wrapped	nonce 12 | key 32, sealed | tag 16; bound to the reader's key
 *
 * Thread-safe. Keys are the caller's to wipe.
 */
#define CONTENT_KEY_LEN		32u
#define CONTENT_NONCE_LEN	12u
#define CONTENT_TAG_LEN		16u
#define CONTENT_KEY_WRAPPED_LEN 60u
#define CONTENT_OVERHEAD	(CONTENT_NONCE_LEN + CONTENT_TAG_LEN)
/* Of a stored unit with its tag. */
#define CONTENT_UNIT_LEN_MAX  (256u << 10)
#define CONTENT_UNIT_TEXT_MAX (CONTENT_UNIT_LEN_MAX - CONTENT_TAG_LEN)

/* Which wrap: author to reader, for the post whose content has that nonce. */
struct content_wrap {
	const uint8_t *author, *reader; /* NODE_KEY_LEN */
	const uint8_t *post_nonce;	/* CONTENT_NONCE_LEN */
};

/*
 * social_key_wrap wraps for wrap->reader; own is the author's key. nonce is random, and used
 * for no other wrap. 0, or WEFT_EMALFORMED: reader is no point that a key can be agreed with.
 */
WEFT_MUST_CHECK
int social_key_wrap(const struct content_wrap *wrap, const struct node_key *own,
		    const uint8_t key[static CONTENT_KEY_LEN],
		    const uint8_t nonce[static CONTENT_NONCE_LEN],
		    uint8_t out[static CONTENT_KEY_WRAPPED_LEN]);
/*
 * social_key_unwrap: own is the key of the author or of the reader. 0, or WEFT_EDAMAGED: it is
 * for another reader or post, or was altered.
 */
WEFT_MUST_CHECK
int social_key_unwrap(const struct content_wrap *wrap, const struct node_key *own,
		      const uint8_t wrapped[static CONTENT_KEY_WRAPPED_LEN],
		      uint8_t out_key[static CONTENT_KEY_LEN]);

/* social_content_seal writes the base64 of len + CONTENT_OVERHEAD bytes and a NUL. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int social_content_seal(const uint8_t key[static CONTENT_KEY_LEN],
			const uint8_t nonce[static CONTENT_NONCE_LEN], const char *text, size_t len,
			char *out);
/* social_content_nonce: 0 or WEFT_EMALFORMED: the content is no sealed one. */
WEFT_MUST_CHECK
int social_content_nonce(const char *content, size_t len,
			 uint8_t out_nonce[static CONTENT_NONCE_LEN]);
/*
 * social_content_open writes at most cap bytes of text. 0, WEFT_EMALFORMED, WEFT_ETOOSMALL,
 * WEFT_EDAMAGED (another key, or altered) or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_content_open(const uint8_t key[static CONTENT_KEY_LEN], const char *content, size_t len,
			struct writer *out_text);

/* Which sealed unit of which attachment, both from 0. */
struct content_unit {
	uint32_t attachment, unit;
};
/* social_unit_seal writes len + CONTENT_TAG_LEN bytes; a unit of a post is sealed once. */
void social_unit_seal(const uint8_t key[static CONTENT_KEY_LEN], struct content_unit which,
		      const void *text, size_t len, uint8_t *out);
/* social_unit_open writes len - CONTENT_TAG_LEN bytes: 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int social_unit_open(const uint8_t key[static CONTENT_KEY_LEN], struct content_unit which,
		     const uint8_t *sealed, size_t len, uint8_t *out);

#endif
