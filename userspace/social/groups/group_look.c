/* SPDX-License-Identifier: Apache-2.0 */
/* What the other parts of social/ ask of groups. Nothing is changed here. */
#include "social/groups/groups_state.h"

static void view_of(const struct group *group, struct group_view *out_view)
{
	const struct group_row *home = social_groups_row_home(group, group->person);
	struct group_row *row = NULL;

	*out_view = (struct group_view){.group = group->id,
					.name = group->name,
					.person = group->person,
					.is_leaving = group->is_leaving,
					.is_member = home != NULL,
					.row_cnt = group->row_cnt};
	if (!home)
		home = social_groups_row_next(group, NULL);
	if (!home)
		return;
	(void)social_groups_role(group, group->person, &out_view->role);
	out_view->has_key = home->secret != NULL;
	out_view->shard = home->shard;
	out_view->shard_cnt = home->now.state->shard_cnt;
	out_view->epoch = home->now.state->epoch;
	out_view->key = home->now.state->key;
	while ((row = social_groups_row_next(group, row))) {
		const struct group_state *state = row->now.state;

		for (unsigned i = 0; i < state->member_cnt; i++)
			out_view->member_cnt += !state->members[i].is_visitor;
		if (state->shard_cnt > out_view->shard_cnt)
			out_view->shard_cnt = state->shard_cnt;
	}
}

bool social_group_now(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      struct group_view *out_view)
{
	const struct group *held = social_groups_lookup(groups, group);

	if (held)
		view_of(held, out_view);
	return held != NULL;
}

void social_groups_each(const struct groups *groups,
			void (*fn)(void *arg, const struct group_view *view), void *arg)
{
	for (const struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group_view view;

		view_of(container_of(at, struct group, link), &view);
		fn(arg, &view);
	}
}

void social_group_members(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			  void (*fn)(void *arg, const struct group_row_view *view), void *arg)
{
	const struct group *held = social_groups_lookup(groups, group);
	struct group_row *row = NULL;

	while (held && (row = social_groups_row_next(held, row)))
		for (unsigned i = 0; i < row->now.state->member_cnt; i++) {
			const struct group_row_view view = {&row->now.state->members[i],
							    row->shard};

			/* A visitor whose own shard is not here would else be no member at all. */
			if (!view.member->is_visitor ||
			    (row == social_groups_row_next(held, NULL) &&
			     !social_groups_row_home(held, view.member->key)))
				fn(arg, &view);
		}
}

void social_group_shards(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			 void (*fn)(void *arg, const struct group_shard_view *view), void *arg)
{
	const struct group *held = social_groups_lookup(groups, group);
	struct group_row *row = NULL;

	while (held && (row = social_groups_row_next(held, row))) {
		const struct group_shard_view view = {row->shard, row->now.state->epoch,
						      row->now.state->key};

		fn(arg, &view);
	}
}

bool social_group_may(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      const uint8_t key[static NODE_KEY_LEN], enum group_act act)
{
	const struct group *held = social_groups_lookup(groups, group);
	enum group_role role;

	return held && social_groups_role(held, key, &role) && social_role_may(role, act);
}

static bool is_listed(const struct group_state *state, const uint8_t *key)
{
	const struct group_member *member = social_group_member(state, key);

	return member && !member->is_visitor;
}

/* A key may be that of several epochs: each of them adds readers to what was written before. */
static bool is_reader_at(struct groups *groups, const struct group_row *row, uint64_t epoch,
			 const uint8_t *key)
{
	struct group_held held = {0};
	bool is_reader;

	if (epoch == row->now.state->epoch)
		return is_listed(row->now.state, key);
	if (social_groups_load_state(groups, row, epoch, &held) < 0)
		return false;
	is_reader = is_listed(held.state, key);
	social_group_held_free(&held);
	return is_reader;
}

bool social_group_is_reader(struct groups *groups, const struct visibility_group *of,
			    const uint8_t key[static NODE_KEY_LEN])
{
	const struct group *group = social_groups_lookup(groups, of->group);
	struct group_row *row = NULL;

	while (group && (row = social_groups_row_next(group, row)))
		for (unsigned i = row->past_cnt; i-- > 0 && row->past[i].epoch >= of->epoch;)
			if (memcmp(row->past[i].key, of->key, NODE_KEY_LEN) == 0 &&
			    is_reader_at(groups, row, row->past[i].epoch, key))
				return true;
	return false;
}

static bool may_write_at(struct groups *groups, const struct group_row *row, uint64_t epoch,
			 const uint8_t *author)
{
	struct group_held held = {0};
	const struct group_member *member;
	bool may;

	if (social_groups_load_state(groups, row, epoch, &held) < 0)
		return true;
	member = social_group_member(held.state, author);
	may = member && social_role_may(member->role, GROUP_ACT_POST);
	social_group_held_free(&held);
	return may;
}

bool social_group_may_write(struct groups *groups, const struct visibility_group *of,
			    const uint8_t author[static NODE_KEY_LEN])
{
	const struct group *group = social_groups_lookup(groups, of->group);
	struct group_row *row = NULL;

	while (group && (row = social_groups_row_next(group, row)))
		for (unsigned i = row->past_cnt; i-- > 0;)
			if (row->past[i].epoch == of->epoch &&
			    memcmp(row->past[i].key, of->key, NODE_KEY_LEN) == 0)
				return may_write_at(groups, row, of->epoch, author);
	return true;
}

const struct node_key *social_group_secret(struct groups *groups, const struct visibility_group *of)
{
	return social_groups_secret(groups, of->group, of->key);
}

bool social_group_proof_make(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			     const uint8_t session[static GROUP_SESSION_LEN], struct writer *w)
{
	const struct group *held = social_groups_lookup(groups, group);
	const struct group_row *home = held ? social_groups_row_home(held, held->person) : NULL;
	struct group_proof proof = {.group = group, .session = session};

	if (!home || !home->secret)
		return false;
	proof.epoch = home->now.state->epoch;
	social_proof_write(w, &proof, home->secret);
	return !w->bad;
}

bool social_group_proof_check(const void *bytes, size_t len,
			      const uint8_t session[static GROUP_SESSION_LEN],
			      const struct visibility_group *of)
{
	struct group_proof proof;

	return social_proof_read(bytes, len, &proof) == 0 &&
	       memcmp(proof.group, of->group, GROUP_ID_LEN) == 0 &&
	       memcmp(proof.session, session, GROUP_SESSION_LEN) == 0 &&
	       memcmp(proof.signer, of->key, NODE_KEY_LEN) == 0;
}

/* --- by epoch, where a caller has no key of it --- */

/* The state in force at an epoch; NULL: it is not kept, or not there yet. */
static const struct group_past *past_at(const struct group_row *row, uint64_t epoch)
{
	for (unsigned i = row->past_cnt; i-- > 0;)
		if (row->past[i].epoch == epoch)
			return &row->past[i];
	return NULL;
}

static const struct group_row *own_row(const struct group *group)
{
	const struct group_row *home = social_groups_row_home(group, group->person);

	return home ? home : social_groups_row_next(group, NULL);
}

const struct node_key *social_group_key(struct groups *groups,
					const uint8_t group[static GROUP_ID_LEN], uint64_t epoch)
{
	const struct group *held = social_groups_lookup(groups, group);
	const struct group_row *row = held ? own_row(held) : NULL;
	const struct group_past *past = row ? past_at(row, epoch) : NULL;

	return past ? social_groups_secret(groups, group, past->key) : NULL;
}

bool social_group_has(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      uint64_t epoch, const uint8_t key[static NODE_KEY_LEN])
{
	const struct group *held = social_groups_lookup(groups, group);
	struct group_row *row = NULL;
	struct visibility_group of = {.epoch = epoch};

	memcpy(of.group, group, sizeof(of.group));
	while (held && (row = social_groups_row_next(held, row))) {
		const struct group_past *past = past_at(row, epoch);

		if (!past)
			continue;
		memcpy(of.key, past->key, sizeof(of.key));
		if (social_group_is_reader(groups, &of, key))
			return true;
	}
	return false;
}

bool social_group_is_ours(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			  uint64_t epoch, bool *out_opens)
{
	*out_opens = social_group_key(groups, group, epoch) != NULL;
	return social_groups_lookup(groups, group) != NULL;
}

static bool was_poster(struct groups *groups, const struct group_row *row, uint64_t epoch,
		       const uint8_t *key)
{
	struct group_held held = {0};
	const struct group_member *member = NULL;
	bool was;

	if (past_at(row, epoch) && social_groups_load_state(groups, row, epoch, &held) == 0)
		member = social_group_member(held.state, key);
	was = member && social_role_may(member->role, GROUP_ACT_POST);
	social_group_held_free(&held);
	return was;
}

bool social_group_is_poster(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			    const uint64_t *epoch, const uint8_t key[static NODE_KEY_LEN])
{
	const struct group *held = social_groups_lookup(groups, group);
	struct group_row *row = NULL;

	if (social_group_may(groups, group, key, GROUP_ACT_POST))
		return true;
	while (epoch && held && (row = social_groups_row_next(held, row)))
		if (was_poster(groups, row, *epoch, key))
			return true;
	return false;
}

unsigned social_group_keys(const struct groups *groups, struct group_epoch_key *out, unsigned cap)
{
	unsigned cnt = 0;

	for (const struct list_node *at = groups->all.next; at != &groups->all && cnt < cap;
	     at = at->next) {
		const struct group *group = container_of(at, struct group, link);
		const struct group_row *row = social_groups_row_home(group, group->person);

		if (row && row->secret)
			out[cnt++] = (struct group_epoch_key){group->id, row->now.state->epoch,
							      row->secret};
	}
	return cnt;
}

int social_group_shard(const struct groups *groups, const struct group_shard_ask *ask,
		       struct group_shard_view *out_view)
{
	const struct group *group = social_groups_lookup(groups, ask->group);
	const struct group_row *row = group ? social_groups_row_next(group, NULL) : NULL;
	enum group_role role;

	if (!row)
		return WEFT_EABSENT;
	if (!social_groups_role(group, ask->person, &role) ||
	    !social_role_may(role, GROUP_ACT_POST))
		return WEFT_EREFUSED;
	for (unsigned i = 0; i < ask->number; i++)
		if (!(row = social_groups_row_next(group, row)))
			return WEFT_EABSENT;
	*out_view =
		(struct group_shard_view){row->shard, row->now.state->epoch, row->now.state->key};
	return social_groups_row_next(group, row) ? 1 : 0;
}

void social_groups_stats(const struct groups *groups, struct groups_stats *out_stats)
{
	*out_stats = groups->stats;
	out_stats->group_cnt = groups->group_cnt;
	out_stats->shard_cnt = groups->row_cnt;
}
