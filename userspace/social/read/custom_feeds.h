/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_READ_CUSTOM_FEEDS_H
#define WEFT_SOCIAL_READ_CUSTOM_FEEDS_H

#include "social/read/social_read.h"

/*
 * Feeds that have a name: a filter that is kept (feed_filter.h). The person at this node fills them, and
 * no other node learns of them. Rows of STORE_DRAFTS: the kind, CUSTOM_FEED_ROW, then
 *
 *	0 name | 1 filter | 2 time ms
 *
 * under the first 16 bytes of the BLAKE3 of the name.
 */
#define CUSTOM_FEEDS_MAX     256u
#define CUSTOM_FEED_NAME_MAX 64u
#define CUSTOM_FEED_ROW	     2u

struct custom_feed {
	char name[CUSTOM_FEED_NAME_MAX + 1];
	char filter[FILTER_LEN_MAX + 1];
	uint64_t made_ms;
};
/*
 * social_feeds_put keeps a feed, in place of one of the same name. done follows when it is durable. 0,
 * WEFT_EMALFORMED (the name), what social_filter_parse says of the filter, WEFT_EFULL (CUSTOM_FEEDS_MAX),
 * WEFT_EBUSY, WEFT_EDAMAGED or -errno.
 */
WEFT_MUST_CHECK
int social_feeds_put(struct social_read *read, const struct custom_feed *feed,
		     struct post_change_done done);
/* social_feeds_remove: 0, WEFT_EABSENT, WEFT_EBUSY, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_feeds_remove(struct social_read *read, const char *name, struct post_change_done done);
/* social_feeds_find: 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_feeds_find(struct social_read *read, const char *name, struct custom_feed *out_feed);
/* social_feeds_each: in no order. 0, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_feeds_each(struct social_read *read,
		      void (*fn)(void *arg, const struct custom_feed *feed), void *arg);

#endif
