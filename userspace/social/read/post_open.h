/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_READ_POST_OPEN_H
#define WEFT_SOCIAL_READ_POST_OPEN_H

#include <stddef.h>
#include <stdint.h>

#include "social/object/post.h"
#include "social/object/visibility.h"

/*
 * Private to this room: the key of a private post's content, by a key that its author or one of its
 * readers has. Pure, and thread-safe.
 */

/* The secret keys at hand; each function gives NULL for one that is not. */
struct post_keys {
	const struct node_key *(*own)(void *ctx, const uint8_t key[static NODE_KEY_LEN]);
	const struct node_key *(*group)(void *ctx, const struct visibility_group *group);
	void *ctx;
};
/*
 * social_content_key_find: 0, WEFT_EREFUSED (it is for others), WEFT_EDAMAGED (its wrap does not open) or
 * WEFT_EMALFORMED (the content is no sealed one).
 */
WEFT_MUST_CHECK
int social_content_key_find(const struct post *post, const struct visibility *visibility,
			    const struct post_keys *keys, uint8_t out_key[static CONTENT_KEY_LEN]);
/*
 * social_post_text: the text of a post, which the caller frees, with a NUL behind it. key is not looked
 * at where the post is public. As social_content_open, or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_post_text(const struct post *post, enum visibility_kind kind, const uint8_t *key,
		     char **out_text, size_t *out_len);

#endif
