/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_REPLICA_NOTE_H
#define WEFT_SOCIAL_OBJECT_REPLICA_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "social/object/post.h"
#include "social/seal/content_key.h"
#include "weft/err.h"

/*
 * What a node says of its copy of a post, signed by it (tag "replica"). The
 * notes of all holders are the replica map of the post:
 *
 *	0 post 32 | 1 holder 32 | 2 state: 0 has it, 1 has it no more | 3 time ms
 *
 * The note on a private post travels and is stored sealed, so that its readers
 * alone see the map: nonce 12 | note, sealed with ChaCha20-Poly1305 | tag 16,
 * under a key that BLAKE3 derives of the key of the content.
 *
 * Pure, and thread-safe.
 */
#define REPLICA_TAG		"replica"
#define REPLICA_NOTE_LEN_MAX	224u
#define REPLICA_SEALED_OVERHEAD (CONTENT_NONCE_LEN + CONTENT_TAG_LEN)
#define REPLICA_STORED_LEN_MAX	(REPLICA_NOTE_LEN_MAX + REPLICA_SEALED_OVERHEAD)

enum replica_state { REPLICA_HAS, REPLICA_GONE };

/* Pointers borrow the bytes that were parsed. */
struct replica_note {
	const uint8_t *post;   /* POST_ID_LEN */
	const uint8_t *holder; /* NODE_KEY_LEN, its signer */
	enum replica_state state;
	uint64_t time_ms;
};

/*
 * social_replica_read verifies the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED (the
 * signer is another node, for one) or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int social_replica_read(const void *bytes, size_t len, struct replica_note *out_note);
/* social_replica_write signs as the holder, whose key holder is. */
void social_replica_write(struct writer *w, const struct replica_note *note,
			  const struct node_key *holder);

/* social_replica_seal: nonce has CONTENT_NONCE_LEN random bytes, used for no other note. */
void social_replica_seal(struct writer *w, const uint8_t key[static CONTENT_KEY_LEN],
			 const uint8_t nonce[static CONTENT_NONCE_LEN], const void *note,
			 size_t len);
/*
 * social_replica_open writes the note into out, and its length. 0, WEFT_EMALFORMED (no length of a
 * sealed note) or WEFT_EDAMAGED (another key, or altered).
 */
WEFT_MUST_CHECK
int social_replica_open(const uint8_t key[static CONTENT_KEY_LEN], const uint8_t *sealed,
			size_t len, uint8_t out_note[static REPLICA_NOTE_LEN_MAX], size_t *out_len);

#endif
