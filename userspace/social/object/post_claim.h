/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_POST_CLAIM_H
#define WEFT_SOCIAL_OBJECT_POST_CLAIM_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post.h"

/*
 * What an author signs of a post beside it: that it is theirs (tag "post"), and
 * that they take it back (tag "delete"). Both are signed objects
 * (crypto/signed.h), whose signer is the post's author:
 *
 *	post	0 post 32 | 1 logical id 16 | 2 the post that it takes the place of 32?
 *	delete	0 post 32 | 1 time ms | 2 the post that takes its place 32?
 *
 * All editions of a post have one logical id, and a reader sees the newest.
 *
 * Pure, and thread-safe.
 */
#define POST_LOGICAL_ID_LEN 16u
#define POST_CLAIM_TAG	    "post"
#define POST_DELETION_TAG   "delete"
#define POST_CLAIM_LEN_MAX  256u /* of either */

/* Pointers borrow the bytes that were parsed. */
struct post_claim {
	const uint8_t *post; /* POST_ID_LEN */
	const uint8_t *logical_id;
	const uint8_t *supersedes; /* POST_ID_LEN, or NULL */
	const uint8_t *author;	   /* its signer; read alone */
};
struct post_deletion {
	const uint8_t *post;
	uint64_t time_ms;
	const uint8_t *superseded_by; /* POST_ID_LEN, or NULL */
	const uint8_t *author;	      /* read alone */
};

/*
 * social_{claim,deletion}_read verify the signature as well, which costs 50 us: 0,
 * WEFT_ETOOLARGE, WEFT_EMALFORMED or WEFT_EDAMAGED. That author wrote the post is for the
 * caller to compare.
 */
WEFT_MUST_CHECK
int social_claim_read(const void *bytes, size_t len, struct post_claim *out_claim);
WEFT_MUST_CHECK
int social_deletion_read(const void *bytes, size_t len, struct post_deletion *out_deletion);
/* social_{claim,deletion}_parse: of bytes whose signature was verified before. 0 or as _read. */
WEFT_MUST_CHECK
int social_claim_parse(const void *bytes, size_t len, struct post_claim *out_claim);
WEFT_MUST_CHECK
int social_deletion_parse(const void *bytes, size_t len, struct post_deletion *out_deletion);
/* social_{claim,deletion}_write sign with the author's key. */
void social_claim_write(struct writer *w, const struct post_claim *claim,
			const struct node_key *author);
void social_deletion_write(struct writer *w, const struct post_deletion *deletion,
			   const struct node_key *author);

#endif
