/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REVOKE_READER_REMOVAL_H
#define WEFT_SOCIAL_REVOKE_READER_REMOVAL_H

#include <stdint.h>

#include "social/object/visibility.h"

struct random;

/*
 * One reader is taken off a post, in the two ways there are:
 *
 *	wrap	   the same key of the content, wrapped for those that remain; the post's
 *		   bytes stay. Enough while the one taken off has no copy of them.
 *	seal	   another key and another nonce, so another post, in the place of the old
 *		   one. For a reader that may have fetched it. What they read they know.
 *
 * Pure but for what random gives; thread-safe.
 */

/* The reader removed, and what the author has of the post. */
struct reader_removal {
	const struct visibility *visibility; /* of kind recipients; a reader is left out of it */
	const uint8_t *removed;		     /* NODE_KEY_LEN */
	const struct node_key *author;
	struct random *random;
};

/*
 * social_wrap_anew writes the next visibility of the post of these bytes, signed: how many keys were
 * wrapped, which is n - 1 of n readers. Without a reader left it is wrapped for the author. Or:
 *   WEFT_EABSENT    removed is no reader, or the post is not for recipients
 *   WEFT_EDAMAGED   the author's key opens none of the wraps
 *   WEFT_EMALFORMED the post is not sealed
 *   -ENOMEM
 */
WEFT_MUST_CHECK
int social_wrap_anew(const struct reader_removal *removal, const struct post *post,
		     struct writer *out);

/*
 * social_seal_anew writes the post anew, with the author, time, parent and mentions of post; text is
 * its content, opened. units (may be NULL) has the new ids of its sealed attachments, in the order of
 * the old ones. out_key is the new key, which the caller wipes. As social_wrap_anew.
 */
struct sealed_anew {
	const char *text;
	size_t text_len;
	const uint8_t (*units)[POST_ID_LEN];
	const uint8_t *key; /* CONTENT_KEY_LEN, fresh */
	struct writer *post, *visibility;
};
WEFT_MUST_CHECK
int social_seal_anew(const struct reader_removal *removal, const struct post *post,
		     const struct sealed_anew *made);

/* social_post_key_open: the key of the content, by any wrap that the author made. As social_wrap_anew. */
WEFT_MUST_CHECK
int social_post_key_open(const struct reader_removal *removal, const struct post *post,
			 uint8_t out_key[static CONTENT_KEY_LEN]);

#endif
