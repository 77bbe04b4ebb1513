/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_SUCCESSOR_H
#define WEFT_SOCIAL_OBJECT_SUCCESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * A key says that it takes the place of another one (tag "successor"). The next key signs, and so
 * shows that its owner has it. The former key may sign the same words (tag "succeeded"):
 *
 *	0 former key 32 | 1 next key 32 | 2 time ms | 3 the former key's signature 64?
 *
 * The second signature is over the body without key 3. That the former key named the hash of the next one in its
 * profile is for the reader to know (people/person_profiles.h).
 *
 * Pure, and thread-safe.
 */
#define SUCCESSOR_TAG	  "successor"
#define SUCCEEDED_TAG	  "succeeded"
#define SUCCESSOR_LEN_MAX 384u

/* Pointers borrow the bytes that were parsed. */
struct successor {
	const uint8_t *former, *next; /* NODE_KEY_LEN */
	uint64_t time_ms;
	bool is_signed_by_former;	 /* and that signature was verified; read alone */
	const uint8_t *former_signature; /* read alone */
};

/*
 * social_successor_read verifies the signatures as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED (the signer is
 * not the next key, or both keys are one), WEFT_EDAMAGED or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_successor_read(const void *bytes, size_t len, struct successor *out_successor);
/* social_successor_write: former NULL: without its signature, which is lost. */
void social_successor_write(struct writer *w, const struct successor *successor,
			    const struct node_key *next, const struct node_key *former);
/* social_successor_hash: what the former key's profile says of the next one. */
void social_successor_hash(const uint8_t next[static NODE_KEY_LEN],
			   uint8_t out_hash[static BLAKE3_HASH_LEN]);

#endif
