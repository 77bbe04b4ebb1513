/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments, and what they ask of the parts beside them. */
#include "social/holders/post_holders.h"
#include "social/people/person_follows.h"
#include "social/social_state.h"

/* Nodes that may have the post, and those that say to keep a copy of it for others. */
static bool on_may_have(void *ctx, const uint8_t *key, const uint8_t *post)
{
	const struct social *social = ctx;
	struct post_holder holder;

	if (social_is_blocked(social->people, key))
		return false;
	if (social_sync_may_give(social->sync, key, post))
		return true;
	return social_holders_find(social->holders, post, key, &holder) == 0 &&
	       holder.flags & HOLDER_HAS && !(holder.flags & HOLDER_REVOKED);
}

int social_files_open(struct social *social, uint64_t now_ns)
{
	struct attachments_params params = {
		.ground = &social->ground,
		.jobs = social->jobs,
		.posts = social->posts,
		.holders = social->holders,
		.config = social->config.attachments,
		.ways = social->ways.attachments,
		.people = {.may_have = on_may_have, .is_related = social_is_related, .ctx = social},
		.now_ns = now_ns,
	};

	params.config.room_len = social->config.posts.room_len;
	return social_attachments_open(&params, &social->attachments);
}

struct attachments *social_attachments_of(const struct social *social)
{
	return social->attachments;
}
