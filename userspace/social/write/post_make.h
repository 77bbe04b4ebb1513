/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_WRITE_POST_MAKE_H
#define WEFT_SOCIAL_WRITE_POST_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "social/object/post.h"
#include "social/object/post_claim.h"
#include "social/object/visibility.h"

struct random;

/*
 * Private to this room: the bytes of a new post, of its claim and of its visibility. A private post
 * gets a key of its own, and each reader a wrap of it. The author opens the wrap of any reader, so
 * it has one of its own only where it is the single reader.
 *
 * Home worker. A reader costs 0.1 ms.
 */

/* The readers of a post, as they are fixed when it is made. */
struct write_audience {
	enum visibility_kind kind;
	const uint8_t (*readers)[NODE_KEY_LEN]; /* of kind recipients, in any order */
	size_t reader_cnt;
	const uint8_t *group; /* of kind group: GROUP_ID_LEN, */
	uint64_t epoch;
	const uint8_t *group_key; /* and the public key of that epoch */
};

/* All borrowed. */
struct post_making {
	const struct node_key *author;
	struct write_audience audience;
	uint64_t time_ms;
	const char *text;
	size_t text_len;
	const struct post_attachment *attachments;
	unsigned attachment_cnt;
	const uint8_t *parent; /* POST_ID_LEN, or NULL */
	const uint8_t (*mentions)[NODE_KEY_LEN];
	unsigned mention_cnt;
	const uint8_t *logical_id;  /* NULL: drawn here */
	const uint8_t *supersedes;  /* POST_ID_LEN, or NULL */
	const uint8_t *content_key; /* under which its units are sealed; NULL: drawn here */
};

struct made_post {
	uint8_t id[POST_ID_LEN];
	uint8_t logical_id[POST_LOGICAL_ID_LEN];
	uint8_t *post, *claim, *visibility;
	size_t post_len, claim_len, visibility_len;
	unsigned wrap_cnt;
};

/*
 * social_post_make: 0, or
 *   WEFT_ETOOLARGE  the post is longer than POST_LEN_MAX
 *   WEFT_EFULL      more than VISIBILITY_RECIPIENTS_MAX readers: a group takes them
 *   WEFT_EMALFORMED a key cannot be agreed with a reader, the text is not UTF-8, or there are too
 *		     many attachments or mentions
 *   -ENOMEM
 */
WEFT_MUST_CHECK
int social_post_make(const struct post_making *making, struct random *random,
		     struct made_post **out_made);
void social_made_post_free(struct made_post *made);

#endif
