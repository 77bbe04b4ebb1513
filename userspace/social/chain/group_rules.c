/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_rules.h"

#include <stdlib.h>
#include <string.h>

bool social_role_may(enum group_role role, enum group_act act)
{
	static const enum group_role least[GROUP_ACT_CNT] = {
		[GROUP_ACT_READ] = GROUP_VIEWER,	[GROUP_ACT_POST] = GROUP_POSTER,
		[GROUP_ACT_HIDE] = GROUP_MODERATOR,	[GROUP_ACT_REMOVE] = GROUP_MODERATOR,
		[GROUP_ACT_REMOVE_STAFF] = GROUP_ADMIN, [GROUP_ACT_ADD] = GROUP_ADMIN,
		[GROUP_ACT_GIVE_ROLE] = GROUP_ADMIN,	[GROUP_ACT_REKEY] = GROUP_ADMIN,
	};

	return role >= least[act];
}

/* --- edits --- */

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct group_member *)a)->key, ((const struct group_member *)b)->key,
		      NODE_KEY_LEN);
}

static bool is_edited(const struct group_edit *edit, const uint8_t *key)
{
	for (unsigned i = 0; i < edit->set_cnt; i++)
		if (memcmp(edit->set[i].key, key, NODE_KEY_LEN) == 0)
			return true;
	for (unsigned i = 0; i < edit->gone_cnt; i++)
		if (memcmp(edit->gone[i], key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

static bool fits(const struct group_state *state)
{
	unsigned visitor_cnt = 0;

	for (unsigned i = 0; i < state->member_cnt; i++)
		visitor_cnt += state->members[i].is_visitor;
	return visitor_cnt <= GROUP_VISITORS_MAX &&
	       state->member_cnt - visitor_cnt <= GROUP_SHARD_MAX;
}

int social_group_edit(const struct group_state *before, const struct group_edit *edit,
		      struct group_state *out_next)
{
	unsigned cnt = 0;

	*out_next = *before;
	out_next->epoch = before->epoch + 1;
	for (unsigned i = 0; i < before->member_cnt; i++)
		if (!is_edited(edit, before->members[i].key))
			out_next->members[cnt++] = before->members[i];
	if (edit->set_cnt > GROUP_ROWS_MAX - cnt)
		return WEFT_EFULL;
	for (unsigned i = 0; i < edit->set_cnt; i++)
		out_next->members[cnt++] = edit->set[i];
	out_next->member_cnt = cnt;
	qsort(out_next->members, cnt, sizeof(out_next->members[0]), by_key);
	return fits(out_next) ? 0 : WEFT_EFULL;
}

bool social_group_needs_key(const struct group_state *before, const struct group_state *next)
{
	for (unsigned i = 0; i < before->member_cnt; i++) {
		const struct group_member *was = &before->members[i];
		const struct group_member *is = social_group_member(next, was->key);

		if (!was->is_visitor && (!is || is->is_visitor))
			return true;
	}
	return false;
}

/* --- judgement --- */

static bool is_same_key(const uint8_t *a, const uint8_t *b, size_t len)
{
	return (!a && !b) || (a && b && memcmp(a, b, len) == 0);
}

/* Viewers and posters are gone, and nothing else is different but the key. */
static bool only_removes(const struct group_state *before, const struct group_state *next)
{
	if (next->shard_cnt != before->shard_cnt ||
	    !is_same_key(before->root, next->root, GROUP_HASH_LEN) ||
	    next->member_cnt >= before->member_cnt)
		return false;
	for (unsigned i = 0; i < next->member_cnt; i++) {
		const struct group_member *is = &next->members[i];
		const struct group_member *was = social_group_member(before, is->key);

		if (!was || was->role != is->role || was->is_visitor != is->is_visitor)
			return false;
	}
	for (unsigned i = 0; i < before->member_cnt; i++) {
		const struct group_member *was = &before->members[i];

		if (was->role > GROUP_POSTER && !social_group_member(next, was->key))
			return false;
	}
	return true;
}

static bool has_admin(const struct group_state *state)
{
	for (unsigned i = 0; i < state->member_cnt; i++)
		if (state->members[i].role == GROUP_ADMIN)
			return true;
	return false;
}

enum group_verdict social_group_judge(const struct group_state *before,
				      const uint8_t hash[static GROUP_HASH_LEN],
				      const struct group_state *next)
{
	const struct group_member *signer;

	if (memcmp(before->group, next->group, GROUP_ID_LEN) != 0 || before->shard != next->shard ||
	    next->shard_cnt < before->shard_cnt)
		return GROUP_VERDICT_ELSEWHERE;
	if (next->epoch <= before->epoch)
		return GROUP_VERDICT_OLDER;
	if (next->epoch != before->epoch + 1)
		return GROUP_VERDICT_SKIPPED;
	if (memcmp(next->previous, hash, GROUP_HASH_LEN) != 0)
		return GROUP_VERDICT_FORKED;
	signer = social_group_member(before, next->admin);
	if (!signer ||
	    (signer->role != GROUP_ADMIN &&
	     !(social_role_may(signer->role, GROUP_ACT_REMOVE) && only_removes(before, next))))
		return GROUP_VERDICT_NOT_ENTITLED;
	if (social_group_needs_key(before, next) &&
	    memcmp(before->key, next->key, NODE_KEY_LEN) == 0)
		return GROUP_VERDICT_OLD_KEY;
	return has_admin(next) ? GROUP_VERDICT_NEXT : GROUP_VERDICT_NO_ADMIN;
}

bool social_group_wins(const uint8_t hash[static GROUP_HASH_LEN],
		       const uint8_t other[static GROUP_HASH_LEN])
{
	return memcmp(hash, other, GROUP_HASH_LEN) < 0;
}
