/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_WRITE_POST_PINS_H
#define WEFT_SOCIAL_WRITE_POST_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "social/write/social_write.h"

/*
 * Posts of others that are to stay (D61):
 *
 *	anchor	the original is kept as it is, outside of the quota, and gives way to nothing. Its author's
 *		deletion still takes it.
 *	fork	a post of one's own with the same text and attachments. Its parent is the original, and its
 *		last line is the link of it. Its author's deletion does not touch it.
 *
 * A fork of a public post is public. That of another one is for the person alone that makes it, since the
 * author chose the readers.
 */

/*
 * social_pin_set: done follows when it is durable. 0, or:
 *   WEFT_EABSENT  it is not here
 *   WEFT_EREFUSED a post of this node stays anyway
 *   WEFT_EEXISTS  it is so already
 *   WEFT_EFULL    too much is pinned; or unpinned, it has no room
 *   WEFT_EBUSY, WEFT_EDAMAGED, -errno
 */
struct post_pin {
	const uint8_t *id; /* POST_ID_LEN */
	bool is_pinned;	   /* from now on */
	struct post_change_done done;
};
WEFT_MUST_CHECK
int social_pin_set(struct social_write *write, const struct post_pin *pin, uint64_t now_ns);

/*
 * social_pin_fork: as social_write_post, or WEFT_EREFUSED: it is sealed for others, or is of this node. A
 * second fork by the same persona is the first one, as long as that is here.
 */
struct post_fork {
	const uint8_t *id;
	unsigned persona; /* index */
	write_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int social_pin_fork(struct social_write *write, const struct post_fork *fork, uint64_t now_ns);

/*
 * social_pins_each calls fn with pinned posts and forks, newest first, until it returns false or
 * POST_VISITS_MAX posts were looked at. As social_posts_walk.
 */
WEFT_MUST_CHECK
int social_pins_each(struct social_write *write, const struct post_cursor *from, post_walk_fn fn,
		     void *arg, struct post_cursor *out_next);

#endif
