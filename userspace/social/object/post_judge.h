/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_POST_JUDGE_H
#define WEFT_SOCIAL_OBJECT_POST_JUDGE_H

#include "social/object/post.h"
#include "social/object/post_claim.h"
#include "social/object/visibility.h"

/*
 * A post with what its author signed beside it: the claim that it is theirs, and its readers. The
 * three travel and are stored together. Pure, and thread-safe.
 */
struct post_parts {
	const uint8_t *post, *claim, *visibility;
	size_t post_len, claim_len, visibility_len;
};

/* 60 KiB, on the heap. Pointers borrow the parts. */
struct judged_post {
	uint8_t id[POST_ID_LEN];
	struct post post;
	struct post_claim claim;
	struct visibility visibility;
};

/*
 * social_post_judge parses and verifies all three parts, which takes 150 us. They are of one post
 * and of one author. Returns 0, or:
 *   WEFT_ETOOLARGE  a part is longer than any
 *   WEFT_EMALFORMED a part is none, or claim or visibility are of another post
 *   WEFT_EDAMAGED   a signature is none
 *   WEFT_EWRONGKEY  another key than the author's signed
 *   -ENOMEM
 */
WEFT_MUST_CHECK
int social_post_judge(const struct post_parts *parts, struct judged_post **out_judged);
void social_judged_free(struct judged_post *judged);

#endif
