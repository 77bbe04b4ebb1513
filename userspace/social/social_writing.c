/* SPDX-License-Identifier: Apache-2.0 */
/* What people write and read here: opened behind the parts that it is made of. */
#include <string.h>

#include "social/groups/groups.h"
#include "social/read/social_read.h"
#include "social/social_state.h"
#include "social/write/social_write.h"

static const struct node_key *on_group_key(void *ctx, const struct visibility_group *of)
{
	return social_group_secret(((struct social *)ctx)->groups, of);
}

static int on_group_now(void *ctx, const uint8_t *group, const uint8_t *persona, unsigned shard,
			struct write_group *out_group)
{
	const struct group_shard_ask ask = {group, persona, shard};
	struct group_shard_view view;
	int more = social_group_shard(((struct social *)ctx)->groups, &ask, &view);

	if (more < 0)
		return more;
	memcpy(out_group->key, view.key, sizeof(out_group->key));
	out_group->epoch = view.epoch;
	return more;
}

static void on_word(void *ctx, const uint8_t *person, const uint8_t *post, uint64_t now_ns)
{
	social_mail_word(((struct social *)ctx)->mail, person, post, now_ns);
}

int social_writing_open(struct social *social, uint64_t now_ns)
{
	const struct social_read_params reading = {
		.ground = &social->ground,
		.posts = social->posts,
		.people = social->people,
		.groups = {on_group_key, social},
		.now_ns = now_ns,
	};
	struct social_write_params writing;
	int err = social_read_new(&reading, &social->read);

	if (err < 0)
		return err;
	writing = (struct social_write_params){
		.ground = &social->ground,
		.posts = social->posts,
		.people = social->people,
		.intake = social->intake,
		.read = social->read,
		.groups = {on_group_now, social},
		.gives_receipts = social->config.gives_receipts,
		.left_word = on_word,
		.ctx = social,
	};
	return social_write_new(&writing, &social->write);
}

/* --- what is left for people that are off --- */

static bool on_anchor(void *ctx, unsigned idx, uint8_t out_key[static NODE_KEY_LEN])
{
	const struct social_anchors *anchors = ((const struct social *)ctx)->anchors;
	const struct own_anchor *anchor;

	for (unsigned i = 0; (anchor = social_own_anchor(anchors, i)); i++)
		if (anchor->is_enabled && idx-- == 0) {
			memcpy(out_key, anchor->key, NODE_KEY_LEN);
			return true;
		}
	return false;
}

int social_posting_open(struct social *social, const struct mail_boxes *boxes, uint64_t now_ns)
{
	const struct mail_params params = {
		.ground = &social->ground,
		.boxes = *boxes,
		.people = social->people,
		.posts = social->posts,
		.holders = social->holders,
		.intake = social->intake,
		.groups = social->groups,
		.routes = social->routes,
		.searches = social->searches,
		.anchor = on_anchor,
		.ctx = social,
		.now_ns = now_ns,
	};
	int err = social_mail_open(&params, &social->mail);

	if (err == 0)
		social_groups_leave_again(social->groups, now_ns);
	return err;
}

struct mail *social_mail_of(const struct social *social)
{
	return social->mail;
}

struct social_read *social_read_of(const struct social *social)
{
	return social->read;
}

struct social_write *social_write_of(const struct social *social)
{
	return social->write;
}
