/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States that come. One that follows the newest is taken. One that follows an earlier one makes a fork.
 * Of the two for that epoch the one with the lower hash counts, and what was built on the other goes.
 * What persons of this node did in it is kept for group_redo.c.
 *
 * A hash can be searched for, also by an admin that was removed since. So a fork is looked at for
 * GROUP_FORK_MS alone: a state that a node had for a day is final there.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/blake3/blake3.h"
#include "social/groups/groups_state.h"

/* --- the newest state --- */

static void past_push(struct groups *groups, struct store_batch *batch, struct group_row *row)
{
	struct group_past *past;

	if (row->past_cnt == GROUP_STATES_KEPT) {
		social_groups_drop_state(batch, row, row->past[0].epoch);
		memmove(row->past, row->past + 1, --row->past_cnt * sizeof(row->past[0]));
	}
	past = &row->past[row->past_cnt++];
	past->epoch = row->now.state->epoch;
	past->at_ms = social_wall_ms(&groups->params.ground);
	memcpy(past->hash, row->now.hash, sizeof(past->hash));
	memcpy(past->key, row->now.state->key, sizeof(past->key));
	social_groups_put_state(batch, row, past, &row->now);
}

/* The new state keeps the key of the one before, or has another. */
static void secret_settle(struct groups *groups, struct store_batch *batch, struct group_row *row,
			  struct node_key *secret)
{
	const uint8_t *key = row->now.state->key;

	if (secret) {
		node_key_free(row->secret);
		row->secret = secret;
		social_groups_put_secret(groups, batch, row, row->now.state->epoch, secret);
	} else if (row->secret && memcmp(node_key_public(row->secret), key, NODE_KEY_LEN) != 0) {
		node_key_free(row->secret);
		row->secret = social_groups_secret_take(groups, key);
	}
}

/* Undoes what this node has from that epoch on. */
static void undo(struct groups *groups, struct store_batch *batch, struct group_row *row,
		 uint64_t epoch)
{
	for (unsigned i = 0; i < row->past_cnt; i++)
		if (row->past[i].epoch >= epoch && row->past[i].epoch > 0)
			social_groups_redo_add(groups, row, row->past[i].epoch);
	while (row->past_cnt > 0 && row->past[row->past_cnt - 1].epoch >= epoch)
		social_groups_drop_state(batch, row, row->past[--row->past_cnt].epoch);
	groups->stats.fork_cnt++;
}

/* A person of this node hears what another did with its place. */
static void place_tell(struct groups *groups, const struct group_row *row)
{
	const struct group *group = row->group;
	const struct group_member *was =
		row->before.bytes ? social_group_member(row->before.state, group->person) : NULL;
	const struct group_member *is = social_group_member(row->now.state, group->person);

	if (was && !was->is_visitor && (!is || is->role != was->role))
		social_groups_happened(groups, SOCIAL_GROUP_ROLE, group->person, group->name);
}

/* base, which next follows, is moved to row->before. */
static enum group_outcome commit(struct groups *groups, struct group_row *row,
				 struct group_held *base, struct group_held *next,
				 struct node_key *secret)
{
	struct store_batch *batch = store_batch_new(groups->params.ground.store);

	if (next->state->epoch <= row->now.state->epoch)
		undo(groups, batch, row, next->state->epoch);
	if (base->bytes) {
		social_group_held_free(&row->before);
		social_group_held_free(&row->now);
		row->before = *base;
	} else {
		social_group_held_free(&row->before);
		row->before = row->now;
	}
	row->now = *next;
	past_push(groups, batch, row);
	secret_settle(groups, batch, row, secret);
	groups->stats.taken_cnt++;
	place_tell(groups, row);
	/* What the disk does not take is asked for again after a restart. */
	(void)social_groups_submit(groups, batch, NULL, NULL);
	return GROUP_TOOK;
}

int social_groups_begin_row(struct groups *groups, struct group_row *row,
			    const struct group_span *state, struct node_key *secret,
			    struct store_batch *batch)
{
	int err = social_group_held_set(&row->now, state->bytes, state->len);

	if (err < 0)
		return err;
	past_push(groups, batch, row);
	secret_settle(groups, batch, row, secret);
	groups->stats.taken_cnt++;
	if (groups->params.joined)
		groups->params.joined(groups->params.ctx, groups->now_ns);
	return 0;
}

/* --- judgement --- */

static const struct group_past *past_of(const struct group_row *row, uint64_t epoch)
{
	for (unsigned i = row->past_cnt; i-- > 0;)
		if (row->past[i].epoch == epoch)
			return &row->past[i];
	return NULL;
}

/* A secret key that is missing here may come with a state that is not. */
static enum group_outcome known(struct groups *groups, struct group_row *row, uint64_t epoch,
				struct node_key *secret)
{
	struct store_batch *batch;

	if (!secret)
		return GROUP_KNOWN;
	batch = store_batch_new(groups->params.ground.store);
	social_groups_put_secret(groups, batch, row, epoch, secret);
	(void)social_groups_submit(groups, batch, NULL, NULL);
	if (!row->secret && memcmp(row->now.state->key, node_key_public(secret), NODE_KEY_LEN) == 0)
		row->secret = secret;
	else
		node_key_free(secret);
	return GROUP_KNOWN;
}

static enum group_outcome refused(struct groups *groups, enum group_outcome outcome,
				  struct node_key *secret)
{
	groups->stats.refused_cnt += outcome == GROUP_MISSING;
	groups->stats.refused_cnt += outcome == GROUP_REFUSED;
	node_key_free(secret);
	return outcome;
}

/* For an epoch of which a state is here: whether next takes its place. */
static enum group_outcome fork_judge(struct groups *groups, const struct group_past *here,
				     const struct group_held *next)
{
	uint64_t age_ms = social_wall_ms(&groups->params.ground) - here->at_ms;

	if (age_ms > GROUP_FORK_MS && age_ms < UINT64_MAX / 2) {
		groups->stats.fork_cnt++;
		return GROUP_LOST;
	}
	if (social_group_wins(next->hash, here->hash))
		return GROUP_TOOK;
	groups->stats.fork_cnt++;
	return GROUP_LOST;
}

static enum group_outcome held_take(struct groups *groups, struct group_row *row,
				    struct group_held *next, struct node_key *secret)
{
	uint64_t epoch = next->state->epoch;
	const struct group_past *here = past_of(row, epoch), *at;
	struct group_held base = {0};
	enum group_outcome outcome = GROUP_TOOK;
	bool follows_now;

	if (here && memcmp(here->hash, next->hash, GROUP_HASH_LEN) == 0)
		return known(groups, row, epoch, secret);
	at = epoch > 0 ? past_of(row, epoch - 1) : NULL;
	if (!at || memcmp(at->hash, next->state->previous, GROUP_HASH_LEN) != 0)
		return refused(groups, GROUP_MISSING, secret);
	follows_now = at->epoch == row->now.state->epoch;
	if (!follows_now && social_groups_load_state(groups, row, at->epoch, &base) < 0)
		return refused(groups, GROUP_BUSY, secret);
	if (social_group_judge(follows_now ? row->now.state : base.state, at->hash, next->state) !=
	    GROUP_VERDICT_NEXT)
		outcome = GROUP_REFUSED;
	else if (here)
		outcome = fork_judge(groups, here, next);
	if (outcome != GROUP_TOOK) {
		social_group_held_free(&base);
		return refused(groups, outcome, secret);
	}
	return commit(groups, row, &base, next, secret);
}

enum group_outcome social_groups_take(struct groups *groups, struct group_row *row,
				      const uint8_t *bytes, size_t len, struct node_key *secret)
{
	struct group_held next = {0};
	enum group_outcome outcome;

	if (social_group_held_set(&next, bytes, len) < 0) {
		node_key_free(secret);
		return GROUP_BUSY;
	}
	if (secret && memcmp(node_key_public(secret), next.state->key, NODE_KEY_LEN) != 0) {
		node_key_free(secret);
		secret = NULL;
	}
	outcome = held_take(groups, row, &next, secret);
	if (outcome != GROUP_TOOK)
		social_group_held_free(&next);
	return outcome;
}

/* --- secret keys that were sealed to persons of this node --- */

static struct node_key *open_for(struct groups *groups, const struct group_wrap *wrap,
				 const uint8_t *wrapped, const uint8_t *public)
{
	const struct node_key *own = groups_own(groups, wrap->member);
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *key = NULL;

	if (!own || social_group_unwrap(wrap, own, wrapped, seed) < 0)
		return NULL;
	if (node_key_from_seed(seed, &key) < 0)
		key = NULL;
	explicit_bzero(seed, sizeof(seed));
	if (key && memcmp(node_key_public(key), public, NODE_KEY_LEN) != 0) {
		node_key_free(key);
		key = NULL;
	}
	return key;
}

struct node_key *social_groups_unseal(struct groups *groups, const struct group_state *state,
				      const uint8_t *wrapped, const uint8_t *wrapped_by)
{
	struct group_wrap wrap = {.group = state->group,
				  .admin = wrapped_by ? wrapped_by : state->admin,
				  .epoch = state->epoch};

	if (!wrapped)
		return NULL;
	for (unsigned i = 0; i < state->member_cnt; i++) {
		struct node_key *key;

		wrap.member = state->members[i].key;
		key = groups_own(groups, wrap.member) ? open_for(groups, &wrap, wrapped, state->key)
						      : NULL;
		if (key) {
			return key;
		}
	}
	groups->stats.foreign_key_cnt++;
	return NULL;
}

/* --- changes --- */

static enum group_outcome change_take(struct groups *groups, struct group_row *row,
				      const struct group_change *change,
				      const struct group_held *base)
{
	struct writer w = writer_of(groups->made, GROUP_LEN_MAX);
	int err = social_change_apply(base->state, change, &w);

	if (err == 0)
		err = social_group_read(groups->made, writer_len(&w), &groups->read);
	if (err == -ENOMEM)
		return GROUP_BUSY;
	if (err < 0) {
		groups->stats.forged_cnt++;
		return GROUP_REFUSED;
	}
	return social_groups_take(
		groups, row, groups->made, writer_len(&w),
		social_groups_unseal(groups, &groups->read, change->wrapped, change->wrapped_by));
}

enum group_outcome social_groups_take_change(struct groups *groups, const uint8_t *bytes,
					     size_t len, struct group_row **out_row)
{
	struct group_change *change = &groups->change;
	const struct group *group;
	struct group_row *row;
	const struct group_past *at;
	struct group_held base = {0};
	enum group_outcome outcome;

	*out_row = NULL;
	if (social_change_read(bytes, len, change) < 0) {
		groups->stats.forged_cnt++;
		return GROUP_REFUSED;
	}
	group = social_groups_lookup(groups, change->group);
	row = group ? social_groups_row(group, change->shard) : NULL;
	if (!row)
		return GROUP_REFUSED;
	*out_row = row;
	at = past_of(row, change->epoch - 1);
	if (!at || memcmp(at->hash, change->previous, GROUP_HASH_LEN) != 0)
		return refused(groups, GROUP_MISSING, NULL);
	if (social_groups_load_state(groups, row, at->epoch, &base) < 0)
		return GROUP_BUSY;
	outcome = change_take(groups, row, change, &base);
	social_group_held_free(&base);
	return outcome;
}
