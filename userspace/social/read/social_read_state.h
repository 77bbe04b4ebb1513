/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_READ_SOCIAL_READ_STATE_H
#define WEFT_SOCIAL_READ_SOCIAL_READ_STATE_H

#include "social/people/circles.h"
#include "social/people/person_follows.h"
#include "social/people/person_profiles.h"
#include "social/people/personas.h"
#include "social/read/social_read.h"

/* Private to this room. */

/* READ_KEYS content keys, in sets that the first bytes of a post's id choose. */
#define READ_KEY_SETS 512u
#define READ_KEY_WAYS 8u
#define READ_KEYS     (READ_KEY_SETS * READ_KEY_WAYS)
struct read_key {
	uint8_t post[POST_ID_LEN];
	uint8_t key[CONTENT_KEY_LEN];
	uint64_t used; /* 0: free */
};

struct social_read {
	struct social_read_params params;
	struct post_watch watch;
	struct list_node feed_watches;
	struct receipt_ways receipts;
	struct read_key (*keys)[READ_KEY_WAYS];
	uint64_t use_cnt;
	struct social_read_stats stats;
};

/* social_feed_fits: filter may be NULL. */
bool social_feed_fits(struct social_read *read, const struct feed_filter *filter,
		      const struct opened_post *opened);

/*
 * Of an unknown person a feed has only what all can see and names a person here. The other words are a
 * request, and wait apart until it is accepted.
 */
static inline bool social_read_is_request(const struct post_view *view)
{
	return view->share == POST_ADDRESSED &&
	       (view->kind == VISIBILITY_RECIPIENTS || !(view->flags & POST_MENTIONS_ME));
}

#endif
