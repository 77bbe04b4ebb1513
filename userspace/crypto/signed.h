/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_SIGNED_H
#define WEFT_CRYPTO_SIGNED_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct node_key;

/*
 * A signed object: what a node states under its key, for others to keep
 * and hand on. It is the map {0: body, 1: signer's key 32, 2: signature 64}
 * in deterministic CBOR, and nothing else. body is a byte string that holds
 * deterministic CBOR itself. The signature is Ed25519, verified strictly, over
 *
 *	"MESHSIG1" | u8 length of tag | tag | u32be length of body | body
 *
 * where tag names the kind of object and is not sent: a reader of descriptors cannot be handed
 * an endorsement. The received body is verified; it is never encoded again.
 *
 * Thread-safe.
 */
#define SIGNED_TAG_LEN_MAX  16u
#define SIGNED_BODY_LEN_MAX (1u << 20) /* of a manifest; each kind has its own limit below that */
/* The bytes that the wrapper adds to a body, at most: its heads, key and signature. */
#define SIGNED_OVERHEAD_MAX 109u

/* Pointers borrow the bytes that were parsed. */
struct signed_object {
	const uint8_t *body;
	size_t body_len;
	const uint8_t *signer;	  /* NODE_KEY_LEN */
	const uint8_t *signature; /* NODE_KEY_SIG_LEN */
};

/*
 * signed_write signs body under tag, at most SIGNED_TAG_LEN_MAX letters, and writes the
 * wrapper. A body longer than SIGNED_BODY_LEN_MAX, or no room, makes w bad, as does want
 * of memory for a body of more than 64 KiB.
 */
void signed_write(struct writer *w, const struct node_key *key, const char *tag, const void *body,
		  size_t len);

/*
 * signed_parse checks the form alone: 0, WEFT_EMALFORMED, or WEFT_ETOOLARGE (body).
 * signed_verify then checks that the signer signed it under tag: 0, WEFT_EDAMAGED, or
 * -ENOMEM for a body of more than 64 KiB. A signature costs some 50 us, and 1 ms for
 * each 512 KiB. Refuse by the body before that whatever can be refused, but believe
 * nothing of it until then.
 */
WEFT_MUST_CHECK
int signed_parse(const void *bytes, size_t len, struct signed_object *out_object);
WEFT_MUST_CHECK
int signed_verify(const struct signed_object *object, const char *tag);

#endif
