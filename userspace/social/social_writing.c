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
		.ctx = social,
	};
	return social_write_new(&writing, &social->write);
}

struct social_read *social_read_of(const struct social *social)
{
	return social->read;
}

struct social_write *social_write_of(const struct social *social)
{
	return social->write;
}
