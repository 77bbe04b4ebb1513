/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_VISIBILITY_H
#define WEFT_SOCIAL_OBJECT_VISIBILITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post.h"
#include "social/seal/content_key.h"

/*
 * The readers of a post: an object of tag "vis" that the post's author signs.
 * Of two for one post the one with the higher number counts. So an old one that
 * is sent again lets no one back in:
 *
 *	0 post 32 | 1 number | 2 kind: 0 public, 1 recipients, 2 group
 *	3 [[reader 32, wrapped key 60]]	of kind 1, ascending by reader
 *	4 [group 32, epoch, wrapped key 60, the epoch's key 32]	of kind 2
 *	5 [holder 32]?	of kind 0: which nodes have copies
 *
 * Pure, and thread-safe.
 */
#define VISIBILITY_TAG		  "vis"
#define VISIBILITY_LEN_MAX	  (256u << 10)
#define VISIBILITY_RECIPIENTS_MAX 500u
#define VISIBILITY_HOLDERS_MAX	  64u

enum visibility_kind { VISIBILITY_PUBLIC, VISIBILITY_RECIPIENTS, VISIBILITY_GROUP };

struct visibility_recipient {
	uint8_t reader[NODE_KEY_LEN];
	uint8_t wrapped[CONTENT_KEY_WRAPPED_LEN];
};
struct visibility_group {
	uint8_t group[32];
	uint64_t epoch;
	uint8_t wrapped[CONTENT_KEY_WRAPPED_LEN];
	uint8_t key[NODE_KEY_LEN];
};

/* 50 KiB: not for a stack that is shared. Pointers borrow the bytes that were parsed. */
struct visibility {
	const uint8_t *post; /* POST_ID_LEN */
	uint64_t number;
	enum visibility_kind kind;
	struct visibility_recipient recipients[VISIBILITY_RECIPIENTS_MAX];
	unsigned recipient_cnt;
	struct visibility_group group; /* of kind 2 */
	uint8_t holders[VISIBILITY_HOLDERS_MAX][NODE_KEY_LEN];
	unsigned holder_cnt;
	const uint8_t *author; /* read alone */
};

/*
 * social_visibility_read verifies the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED,
 * WEFT_EDAMAGED or -ENOMEM. That author wrote the post is for the caller to compare.
 */
WEFT_MUST_CHECK
int social_visibility_read(const void *bytes, size_t len, struct visibility *out_visibility);
/* social_visibility_parse: of bytes whose signature was verified before; it is not looked at. */
WEFT_MUST_CHECK
int social_visibility_parse(const void *bytes, size_t len, struct visibility *out_visibility);
/* social_visibility_write: recipients ascend. What no reader takes makes w bad. */
void social_visibility_write(struct writer *w, const struct visibility *visibility,
			     const struct node_key *author);
/* social_visibility_recipient: NULL when reader is none. */
const struct visibility_recipient *
social_visibility_recipient(const struct visibility *visibility,
			    const uint8_t reader[static NODE_KEY_LEN]);

#endif
