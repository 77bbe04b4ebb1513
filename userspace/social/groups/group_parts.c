/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of a person that go to another node. Of each shard the newest state goes, and all secret keys that
 * are kept, so that older posts open. What changed before is asked of other members, as after a pause.
 */
#include <errno.h>
#include <stdlib.h>

#include "social/groups/groups_state.h"

#define GROUP_PART_LEN_MAX (GROUP_ID_LEN + NODE_KEY_LEN + GROUP_NAME_CAP)

/* --- export --- */

struct giving {
	struct groups *groups;
	void (*fn)(void *arg, enum group_part part, const void *bytes, size_t len);
	void *arg;
};

static void secrets_give(const struct giving *giving, const struct group_row *row)
{
	for (unsigned i = 0; i < row->past_cnt; i++) {
		const struct node_key *secret =
			social_groups_secret(giving->groups, row->group->id, row->past[i].key);
		uint8_t bytes[GROUP_PART_SECRET_LEN];
		struct writer w = writer_of(bytes, sizeof(bytes));

		if (!secret)
			continue;
		writer_be32(&w, row->shard);
		writer_be64(&w, row->past[i].epoch);
		writer_bytes(&w, node_key_seed(secret), NODE_KEY_SEED_LEN);
		giving->fn(giving->arg, GROUP_PART_SECRET, bytes, writer_len(&w));
		explicit_bzero(bytes, sizeof(bytes));
	}
}

static void group_give(const struct giving *giving, const struct group *group)
{
	uint8_t bytes[GROUP_PART_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct group_row *row = NULL;

	writer_bytes(&w, group->id, GROUP_ID_LEN);
	writer_bytes(&w, group->person, NODE_KEY_LEN);
	writer_bytes(&w, group->name, strlen(group->name));
	giving->fn(giving->arg, GROUP_PART_GROUP, bytes, writer_len(&w));
	while ((row = social_groups_row_next(group, row))) {
		giving->fn(giving->arg, GROUP_PART_STATE, row->now.bytes, row->now.len);
		secrets_give(giving, row);
	}
}

void social_groups_export(struct groups *groups,
			  void (*fn)(void *arg, enum group_part part, const void *bytes,
				     size_t len),
			  void *arg)
{
	const struct giving giving = {groups, fn, arg};

	for (const struct list_node *at = groups->all.next; at != &groups->all; at = at->next)
		group_give(&giving, container_of(at, struct group, link));
}

/* --- restore --- */

struct part_group {
	const uint8_t *id, *person;
	char name[GROUP_NAME_CAP];
};

static int group_read(const struct groups *groups, const uint8_t *bytes, size_t len,
		      struct part_group *out)
{
	struct cursor c = cursor_of(bytes, len);
	size_t name_len;

	out->id = cursor_bytes(&c, GROUP_ID_LEN);
	out->person = cursor_bytes(&c, NODE_KEY_LEN);
	name_len = cursor_left(&c);
	if (c.bad || name_len >= sizeof(out->name) || memchr(c.pos, '\0', name_len))
		return WEFT_EMALFORMED;
	memset(out->name, 0, sizeof(out->name));
	memcpy(out->name, c.pos, name_len);
	return groups_own(groups, out->person) ? 0 : WEFT_EREFUSED;
}

/* A row of an own group that was not here: its admin may be any, of one that was, an admin known here. */
static int row_begin(struct groups *groups, struct group *group, const struct part_group *of,
		     const struct group_span *state)
{
	struct store_batch *batch = store_batch_new(groups->params.ground.store);
	bool is_new = !group;
	struct group_row *row;
	int err = WEFT_EFULL;

	if (is_new && (group = social_groups_add(groups, of->id))) {
		memcpy(group->person, of->person, NODE_KEY_LEN);
		memcpy(group->name, of->name, sizeof(group->name));
	}
	row = group ? social_groups_row_add(groups, group, groups->read.shard) : NULL;
	if (row)
		err = social_groups_begin_row(groups, row, state, NULL, batch);
	if (err < 0) {
		if (row)
			social_groups_row_drop(groups, row);
		if (is_new && group)
			social_groups_drop(groups, group);
		store_batch_free(batch);
		return err;
	}
	social_groups_put_group(batch, group);
	return social_groups_submit(groups, batch, NULL, NULL);
}

static int state_restore(struct groups *groups, const struct part_group *of,
			 const struct group_part_view *part)
{
	const struct group_span state = {part->bytes, part->len};
	struct group *group = social_groups_lookup(groups, of->id);
	enum group_role role;
	int err = social_group_read(part->bytes, part->len, &groups->read);

	if (err < 0)
		return err;
	if (memcmp(groups->read.group, of->id, GROUP_ID_LEN) != 0)
		return WEFT_EMALFORMED;
	if (group && social_groups_row(group, groups->read.shard))
		return WEFT_EEXISTS;
	if (group && (!social_groups_role(group, groups->read.admin, &role) || role != GROUP_ADMIN))
		return WEFT_EREFUSED;
	return row_begin(groups, group, of, &state);
}

static int secret_restore(struct groups *groups, const struct part_group *of,
			  const struct group_part_view *part)
{
	struct group *group = social_groups_lookup(groups, of->id);
	struct cursor c = cursor_of(part->bytes, part->len);
	struct group_row *row = group ? social_groups_row(group, cursor_be32(&c)) : NULL;
	uint64_t epoch = cursor_be64(&c);
	const uint8_t *seed = cursor_bytes(&c, NODE_KEY_SEED_LEN);
	struct store_batch *batch;
	struct node_key *secret;
	int err;

	if (!row)
		return WEFT_EABSENT;
	if (c.bad || cursor_left(&c) || epoch >> GROUP_EPOCH_BITS)
		return WEFT_EMALFORMED;
	if ((err = node_key_from_seed(seed, &secret)) < 0)
		return err;
	if (social_groups_secret(groups, of->id, node_key_public(secret))) {
		node_key_free(secret);
		return WEFT_EEXISTS;
	}
	batch = store_batch_new(groups->params.ground.store);
	social_groups_put_secret(groups, batch, row, epoch, secret);
	if (!row->secret && memcmp(row->now.state->key, node_key_public(secret), NODE_KEY_LEN) == 0)
		row->secret = secret;
	else
		node_key_free(secret);
	return social_groups_submit(groups, batch, NULL, NULL);
}

int social_groups_restore(struct groups *groups, const struct group_part_view *part)
{
	struct part_group of;
	int err = part->of ? group_read(groups, part->of, part->of_len, &of)
			   : group_read(groups, part->bytes, part->len, &of);

	if (err < 0)
		return err;
	if (part->part == GROUP_PART_GROUP)
		return social_groups_lookup(groups, of.id) ? WEFT_EEXISTS : 0;
	return part->part == GROUP_PART_STATE ? state_restore(groups, &of, part)
					      : secret_restore(groups, &of, part);
}
