/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SEAL_AGREED_WRAP_H
#define WEFT_SOCIAL_SEAL_AGREED_WRAP_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * Private to this room: a secret of 32 bytes from one person to another. BLAKE3
 * derives its key of what their keys agree on and of info:
 *
 *	nonce 12 | secret, sealed with ChaCha20-Poly1305 | tag 16; bound to the reader's key
 *
 * Both sides agree on the same, so either of them opens it. Thread-safe.
 */
#define AGREED_SECRET_LEN 32u
#define AGREED_WRAP_LEN	  60u

struct agreed_wrap {
	const char *context;   /* of the derivation */
	const uint8_t *writer; /* NODE_KEY_LEN */
	const uint8_t *reader;
	const uint8_t *info;
	size_t info_len; /* at most AGREED_INFO_MAX */
};
#define AGREED_INFO_MAX 128u

/* social_wrap_seal: 0, or WEFT_EMALFORMED: the other side is no point that a key agrees with. */
WEFT_MUST_CHECK
int social_wrap_seal(const struct agreed_wrap *wrap, const struct node_key *own,
		     const uint8_t *secret, const uint8_t *nonce, uint8_t *out);
/* social_wrap_open: 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int social_wrap_open(const struct agreed_wrap *wrap, const struct node_key *own,
		     const uint8_t *wrapped, uint8_t *out_secret);

#endif
