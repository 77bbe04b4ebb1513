/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SEAL_PROFILE_SEAL_H
#define WEFT_SOCIAL_SEAL_PROFILE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * What a person says of themselves to one reader (docs/wire/social.md). All are of one length, so that a
 * sealed one says nothing of what is in it:
 *
 *	wrapped key 60 | nonce 12 | length u16be, text and zeros, sealed | tag 16
 *
 * The key is random, used once, and wrapped as that of a post is (seal/agreed_wrap.h). Thread-safe.
 */
#define PROFILE_SEAL_TEXT_MAX 1182u
#define PROFILE_SEAL_LEN      1272u
/* Fresh bytes for a seal: a key and two nonces. */
#define PROFILE_SEAL_RANDOM_LEN 56u

struct profile_seal {
	const uint8_t *author, *reader; /* NODE_KEY_LEN */
	const uint8_t *fresh; /* PROFILE_SEAL_RANDOM_LEN, the caller's to wipe; to seal alone */
};
/*
 * social_profile_seal: own is the author's key, len at most PROFILE_SEAL_TEXT_MAX. 0, or WEFT_EMALFORMED: reader is no point that a key can be agreed with.
 */
WEFT_MUST_CHECK
int social_profile_seal(const struct profile_seal *seal, const struct node_key *own,
			const void *text, size_t len, uint8_t out[static PROFILE_SEAL_LEN]);
/* social_profile_unseal: own is the reader's key, or the author's. 0, or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int social_profile_unseal(const struct profile_seal *seal, const struct node_key *own,
			  const uint8_t sealed[static PROFILE_SEAL_LEN],
			  uint8_t out_text[static PROFILE_SEAL_TEXT_MAX], size_t *out_len);

#endif
