/* SPDX-License-Identifier: Apache-2.0 */
/* What persons of this node do in their groups, and what of it changes in which shard. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "social/groups/groups_state.h"

/* --- rights --- */

/* The person of ask, its key and its role. */
static int person_of(struct groups *groups, const struct group *group, const struct group_ask *ask,
		     const struct node_key **out_key, enum group_role *out_role)
{
	*out_key = groups_own(groups, ask->person ? ask->person : group->person);
	if (!*out_key)
		return WEFT_EABSENT;
	return social_groups_role(group, node_key_public(*out_key), out_role) ? 0 : WEFT_EREFUSED;
}

static int members_check(const struct group_ask *ask)
{
	for (unsigned i = 0; i < ask->member_cnt; i++) {
		if (!node_key_is_sound(ask->members[i]))
			return WEFT_EMALFORMED;
		for (unsigned j = 0; j < i; j++)
			if (memcmp(ask->members[i], ask->members[j], NODE_KEY_LEN) == 0)
				return WEFT_EMALFORMED;
	}
	return ask->member_cnt > GROUP_MEMBERS_PER_ASK ? WEFT_EFULL : 0;
}

/* --- create --- */

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct group_member *)a)->key, ((const struct group_member *)b)->key,
		      NODE_KEY_LEN);
}

static int state_begin(struct groups *groups, const struct group_ask *ask,
		       const struct node_key *person)
{
	struct group_state *state = &groups->edited;

	*state = (struct group_state){.shard_cnt = 1};
	memcpy(state->members[0].key, node_key_public(person), NODE_KEY_LEN);
	state->members[0].role = GROUP_ADMIN;
	state->member_cnt = 1;
	if (ask->member_cnt >= GROUP_SHARD_MAX)
		return WEFT_EFULL;
	for (unsigned i = 0; i < ask->member_cnt; i++) {
		struct group_member *member = &state->members[state->member_cnt++];

		memcpy(member->key, ask->members[i], NODE_KEY_LEN);
		member->role = ask->role;
		if (groups_own(groups, member->key) == person)
			return WEFT_EMALFORMED;
	}
	qsort(state->members, state->member_cnt, sizeof(state->members[0]), by_key);
	return 0;
}

int social_group_create(struct groups *groups, const struct group_ask *ask, uint64_t now_ns,
			uint8_t out_group[static GROUP_ID_LEN])
{
	const struct node_key *person = groups_own(
		groups, ask->person ? ask->person : node_key_public(groups->params.ground.key));
	uint8_t nonce[GROUP_NONCE_LEN], id[GROUP_ID_LEN];
	struct node_key *secret;
	struct group *group;
	struct group_op *op;
	int err;

	groups->now_ns = now_ns;
	if (!person)
		return WEFT_EABSENT;
	if ((err = members_check(ask)) < 0 || (err = state_begin(groups, ask, person)) < 0 ||
	    (err = social_groups_secret_draw(groups, &secret)) < 0)
		return err;
	random_fill(groups->params.ground.random, nonce, sizeof(nonce));
	social_group_id_make(node_key_public(secret), nonce, id);
	op = social_groups_op_new(groups, id, person, 1);
	group = op ? social_groups_add(groups, id) : NULL;
	if (!group) {
		node_key_free(secret);
		social_groups_op_free(op);
		return op ? WEFT_EFULL : -ENOMEM;
	}
	memcpy(group->person, node_key_public(person), NODE_KEY_LEN);
	(void)snprintf(group->name, sizeof(group->name), "%s", ask->name ? ask->name : "");
	groups->edited.group = group->id;
	if ((err = social_groups_op_add(op, NULL, &groups->edited, secret)) < 0)
		social_groups_op_free(op);
	else
		err = social_groups_op_submit(op, group, ask->done, ask->arg);
	if (err < 0) {
		social_groups_drop(groups, group);
		return err;
	}
	memcpy(out_group, id, GROUP_ID_LEN);
	return 0;
}

/* --- add, remove, role, rekey --- */

enum act { ACT_ADD, ACT_REMOVE, ACT_ROLE, ACT_REKEY };
struct plan {
	const struct group_ask *ask;
	enum act act;
	uint32_t *shard_of;	/* add: of each member of ask */
	uint32_t shard_cnt;	/* with new ones */
	struct group_edit edit; /* of one shard */
	struct group_member set[GROUP_ROWS_MAX];
	uint8_t gone[GROUP_ROWS_MAX][NODE_KEY_LEN];
};

static int plan_set(struct plan *plan, const uint8_t *key, enum group_role role, bool is_visitor)
{
	struct group_member *member = &plan->set[plan->edit.set_cnt];

	if (plan->edit.set_cnt == GROUP_ROWS_MAX)
		return WEFT_EFULL;
	plan->edit.set_cnt++;
	memcpy(member->key, key, NODE_KEY_LEN);
	member->role = role;
	member->is_visitor = is_visitor;
	return 0;
}

static int plan_gone(struct plan *plan, const uint8_t *key)
{
	if (plan->edit.gone_cnt == GROUP_ROWS_MAX)
		return WEFT_EFULL;
	memcpy(plan->gone[plan->edit.gone_cnt++], key, NODE_KEY_LEN);
	return 0;
}

/* Shards fill up in their order. */
static int shards_assign(struct plan *plan, const struct group *group)
{
	struct group_row *row = social_groups_row_next(group, NULL);
	unsigned room = 0, next_room = 0;
	uint32_t shard = 0, last = 0;

	for (struct group_row *at = row; at; at = social_groups_row_next(group, at))
		last = at->shard + 1;
	plan->shard_cnt = last;
	for (unsigned i = 0; i < plan->ask->member_cnt;) {
		if (room > 0) {
			plan->shard_of[i++] = shard;
			room--;
			continue;
		}
		if (row) {
			next_room = GROUP_SHARD_MAX;
			for (unsigned m = 0; m < row->now.state->member_cnt; m++)
				next_room -= !row->now.state->members[m].is_visitor;
			shard = row->shard;
			row = social_groups_row_next(group, row);
		} else {
			if (plan->shard_cnt == GROUP_SHARDS_MAX)
				return WEFT_EFULL;
			shard = plan->shard_cnt++;
			next_room = GROUP_SHARD_MAX;
		}
		room = next_room;
	}
	return 0;
}

/* What is to change in the shard whose newest state is state. */
static int plan_shard(struct plan *plan, const struct group_state *state, uint32_t shard)
{
	const struct group_ask *ask = plan->ask;
	int err = 0;

	plan->edit = (struct group_edit){.set = plan->set, .gone = plan->gone};
	for (unsigned i = 0; i < ask->member_cnt && err == 0; i++) {
		const uint8_t *key = ask->members[i];
		const struct group_member *member = state ? social_group_member(state, key) : NULL;

		if (plan->act == ACT_ADD && plan->shard_of[i] == shard)
			err = plan_set(plan, key, ask->role, false);
		else if (plan->act == ACT_ADD && ask->role != GROUP_VIEWER)
			err = plan_set(plan, key, ask->role, true);
		else if (plan->act == ACT_REMOVE && member)
			err = plan_gone(plan, key);
		else if (plan->act == ACT_ROLE && member && !member->is_visitor)
			err = plan_set(plan, key, ask->role, false);
		else if (plan->act == ACT_ROLE && ask->role != GROUP_VIEWER)
			err = plan_set(plan, key, ask->role, true);
		else if (plan->act == ACT_ROLE && member)
			err = plan_gone(plan, key);
	}
	return err;
}

/* Posters, moderators and admins of the other shards visit a new one. */
static int visitors_add(struct plan *plan, const struct group *group)
{
	struct group_row *row = NULL;
	int err = 0;

	while ((row = social_groups_row_next(group, row)))
		for (unsigned i = 0; i < row->now.state->member_cnt && err == 0; i++) {
			const struct group_member *member = &row->now.state->members[i];

			if (!member->is_visitor && member->role != GROUP_VIEWER)
				err = plan_set(plan, member->key, member->role, true);
		}
	return err;
}

static int shard_new(struct group_op *op, struct plan *plan, const struct group *group,
		     uint32_t shard)
{
	struct groups *groups = op->groups;
	const struct group_state empty = {
		.group = op->group,
		.shard = shard,
		.shard_cnt = plan->shard_cnt,
		.root = social_groups_row_next(group, NULL)->now.state->root};
	struct node_key *secret;
	int err;

	if ((err = plan_shard(plan, NULL, shard)) < 0 || (err = visitors_add(plan, group)) < 0 ||
	    (err = social_group_edit(&empty, &plan->edit, &groups->edited)) < 0 ||
	    (err = social_groups_secret_draw(groups, &secret)) < 0)
		return err;
	groups->edited.epoch = 0;
	return social_groups_op_add(op, NULL, &groups->edited, secret);
}

static int plan_run(struct group_op *op, struct plan *plan, const struct group *group)
{
	struct group_row *row = NULL;
	uint32_t next_shard = 0;
	int err = 0;

	while (err == 0 && (row = social_groups_row_next(group, row))) {
		next_shard = row->shard + 1;
		if ((err = plan_shard(plan, row->now.state, row->shard)) == 0)
			err = social_groups_op_edit(op, row, &plan->edit, plan->act == ACT_REKEY);
	}
	for (; err == 0 && plan->act == ACT_ADD && next_shard < plan->shard_cnt; next_shard++)
		err = shard_new(op, plan, group, next_shard);
	return err;
}

/* What a role has to allow for it, for each member of ask. */
static int act_check(const struct group *group, const struct group_ask *ask, enum act act,
		     enum group_role role)
{
	static const enum group_act needed[] = {[ACT_ADD] = GROUP_ACT_ADD,
						[ACT_REMOVE] = GROUP_ACT_REMOVE,
						[ACT_ROLE] = GROUP_ACT_GIVE_ROLE,
						[ACT_REKEY] = GROUP_ACT_REKEY};

	if (!social_role_may(role, needed[act]))
		return WEFT_EREFUSED;
	for (unsigned i = 0; i < ask->member_cnt; i++) {
		enum group_role theirs;
		bool is_member = social_groups_role(group, ask->members[i], &theirs);

		if (is_member == (act == ACT_ADD))
			return act == ACT_ADD ? WEFT_EEXISTS : WEFT_EABSENT;
		if (act == ACT_REMOVE && theirs > GROUP_POSTER &&
		    !social_role_may(role, GROUP_ACT_REMOVE_STAFF))
			return WEFT_EREFUSED;
	}
	return 0;
}

static int act_run(struct groups *groups, struct group *group, struct plan *plan,
		   const struct node_key *person)
{
	const struct group_ask *ask = plan->ask;
	struct group_op *op = social_groups_op_new(
		groups, group->id, person, group->row_cnt + ask->member_cnt / GROUP_SHARD_MAX + 2);
	int err;

	plan->shard_of = calloc(ask->member_cnt + 1, sizeof(*plan->shard_of));
	err = op && plan->shard_of ? 0 : -ENOMEM;
	if (err == 0 && plan->act == ACT_ADD)
		err = shards_assign(plan, group);
	if (err == 0 && plan->act == ACT_ADD &&
	    plan->shard_cnt > group->row_cnt + (GROUP_ROWS_TOTAL - groups->row_cnt))
		err = WEFT_EFULL;
	if (err == 0)
		err = plan_run(op, plan, group);
	free(plan->shard_of);
	if (err < 0) {
		social_groups_op_free(op);
		return err;
	}
	return social_groups_op_submit(op, group, ask->done, ask->arg);
}

static int act(struct groups *groups, const struct group_ask *ask, enum act act, uint64_t now_ns)
{
	struct group *group = social_groups_lookup(groups, ask->group);
	const struct node_key *person;
	enum group_role role;
	struct plan *plan;
	int err;

	groups->now_ns = now_ns;
	if (!group || group->row_cnt == 0)
		return WEFT_EABSENT;
	if ((err = person_of(groups, group, ask, &person, &role)) < 0 ||
	    (err = members_check(ask)) < 0 || (err = act_check(group, ask, act, role)) < 0)
		return err;
	if (!(plan = calloc(1, sizeof(*plan))))
		return -ENOMEM;
	plan->ask = ask;
	plan->act = act;
	err = act_run(groups, group, plan, person);
	free(plan);
	return err;
}

int social_group_add(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	return act(groups, ask, ACT_ADD, now_ns);
}

int social_group_remove(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	return act(groups, ask, ACT_REMOVE, now_ns);
}

int social_group_give_role(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	return act(groups, ask, ACT_ROLE, now_ns);
}

int social_group_rekey(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	struct group_ask all = *ask;

	all.member_cnt = 0;
	return act(groups, &all, ACT_REKEY, now_ns);
}
