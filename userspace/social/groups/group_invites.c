/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups that a person of this node was invited to, and did not ask for. Any peer may send one. They
 * share GROUP_INVITES_MAX places by class, network, address and key; a full table takes the newest of
 * the account that has most. One of each group, shard and sender is kept, the newest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/random.h"
#include "social/groups/groups_state.h"

int social_groups_invites_init(struct groups *groups)
{
	const struct fair_config config = {.name = "group invitations",
					   .cap_cnt = GROUP_INVITES_MAX,
					   .kind = FAIR_LASTING,
					   .level_cnt = FAIR_PEER_LEVELS,
					   .parts = FAIR_PEER_PARTS};
	int err;

	groups->invites =
		arena_alloc(&groups->arena, (GROUP_INVITES_MAX + 1) * sizeof(*groups->invites));
	if (!groups->invites)
		return WEFT_EFULL;
	err = fair_places_init(&groups->invite_places, &groups->arena, &config);
	groups->invite_places.paths.site = groups->params.ground.site;
	return err;
}

static void invite_free(struct group_invite *invite)
{
	free(invite->bytes);
	memset(invite, 0, sizeof(*invite));
}

void social_groups_invites_fini(struct groups *groups)
{
	for (unsigned i = 0; groups->invites && i <= GROUP_INVITES_MAX; i++)
		free(groups->invites[i].bytes);
}

static void invite_release(struct groups *groups, struct group_invite *invite, uint64_t now_ns)
{
	if (fair_item_holds(&invite->slot))
		fair_release(&groups->invite_places.fair, &invite->slot, now_ns);
	groups->stats.invite_cnt--;
	invite_free(invite);
}

/* The durable row goes, too. */
static void invite_drop(struct groups *groups, struct group_invite *invite, uint64_t now_ns)
{
	struct store_batch *batch = store_batch_new(groups->params.ground.store);

	social_groups_drop_invite(batch, invite);
	(void)social_groups_submit(groups, batch, NULL, NULL);
	invite_release(groups, invite, now_ns);
}

static struct group_invite *invite_lookup(const struct groups *groups, const uint8_t *group)
{
	for (unsigned i = 0; i <= GROUP_INVITES_MAX; i++)
		if (groups->invites[i].is_used &&
		    memcmp(groups->invites[i].group, group, GROUP_ID_LEN) == 0)
			return &groups->invites[i];
	return NULL;
}

static struct group_invite *invite_place(const struct groups *groups)
{
	for (unsigned i = 0; i <= GROUP_INVITES_MAX; i++)
		if (!groups->invites[i].is_used)
			return &groups->invites[i];
	return NULL;
}

/* The person of this node that state names; NULL: none. */
static const uint8_t *invited(const struct groups *groups, const struct group_state *state)
{
	for (unsigned i = 0; i < state->member_cnt; i++)
		if (!state->members[i].is_visitor && groups_own(groups, state->members[i].key))
			return state->members[i].key;
	return NULL;
}

static int invite_fill(struct groups *groups, struct group_invite *invite, const uint8_t *from,
		       const struct group_state *state, const char *name)
{
	const uint8_t *person = invited(groups, state);

	memcpy(invite->group, state->group, GROUP_ID_LEN);
	memcpy(invite->from, from, NODE_KEY_LEN);
	invite->shard = state->shard;
	invite->epoch = state->epoch;
	invite->member_cnt = state->member_cnt;
	(void)snprintf(invite->name, sizeof(invite->name), "%s", name);
	if (!person)
		return WEFT_EABSENT;
	memcpy(invite->person, person, NODE_KEY_LEN);
	return 0;
}

static void path_of(struct groups *groups, const uint8_t *from, struct fair_path *out_path)
{
	enum fair_class class;
	struct addr addr;

	social_payer(&groups->params.ground, from, &addr, &class);
	fair_path_of_addr(&groups->invite_places.paths, &addr, class, out_path);
	fair_path_add(&groups->invite_places.paths, out_path, from, NODE_KEY_LEN);
}

/* false: no place for it. */
static bool invite_share(struct groups *groups, struct group_invite *invite, uint64_t now_ns)
{
	struct fair_item *victim = NULL;
	struct fair_path path;

	path_of(groups, invite->from, &path);
	switch (fair_take(&groups->invite_places.fair, &path, &invite->slot, now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		invite_drop(groups, container_of(victim, struct group_invite, slot), now_ns);
		return true;
	default:
		return false;
	}
}

/* --- refusals --- */

static bool is_refused(const struct groups *groups, const uint8_t *group, const uint8_t *from)
{
	uint64_t now_ms = social_wall_ms(&groups->params.ground);

	for (unsigned i = 0; i < GROUP_REFUSED_MAX; i++) {
		const struct group_refusal *refusal = &groups->refused[i];

		if (refusal->at_ms && now_ms < refusal->at_ms + GROUP_REFUSED_MS &&
		    memcmp(refusal->group, group, sizeof(refusal->group)) == 0 &&
		    memcmp(refusal->from, from, sizeof(refusal->from)) == 0)
			return true;
	}
	return false;
}

static void refusal_note(struct groups *groups, const struct group_invite *invite,
			 struct store_batch *batch)
{
	unsigned place = groups->refused_at;
	struct group_refusal *refusal = &groups->refused[place];

	groups->refused_at = (place + 1) % GROUP_REFUSED_MAX;
	memcpy(refusal->group, invite->group, sizeof(refusal->group));
	memcpy(refusal->from, invite->from, sizeof(refusal->from));
	refusal->at_ms = social_wall_ms(&groups->params.ground);
	social_groups_put_refusal(batch, refusal, place);
}

int social_groups_refusal_load(struct groups *groups, uint64_t place, struct cursor *value)
{
	struct group_refusal refusal = {.at_ms = cursor_be64(value)};

	cursor_copy(value, refusal.group, sizeof(refusal.group));
	cursor_copy(value, refusal.from, sizeof(refusal.from));
	if (value->bad || place >= GROUP_REFUSED_MAX)
		return WEFT_EDAMAGED;
	groups->refused[place] = refusal;
	groups->refused_at = ((unsigned)place + 1) % GROUP_REFUSED_MAX;
	return 0;
}

/* --- what comes --- */

/* An admin names itself as one. That it is the group's is what the person has to know. */
static bool is_credible(const struct group_state *state)
{
	const struct group_member *admin = social_group_member(state, state->admin);

	return admin && admin->role == GROUP_ADMIN;
}

int social_groups_invite_unheard(const struct groups *groups)
{
	return is_credible(&groups->read) && invited(groups, &groups->read) ? 0 : WEFT_EABSENT;
}

int social_groups_invite_note(struct groups *groups, const uint8_t *from,
			      const struct group_span *bytes)
{
	const struct group_state *state = &groups->read;
	uint64_t now_ns = groups->now_ns;
	struct group_invite *invite = invite_lookup(groups, state->group);
	struct store_batch *batch;

	if (social_groups_invite_unheard(groups) < 0)
		return WEFT_EABSENT;
	if (is_refused(groups, state->group, from))
		return 0; /* the sender does not learn of it */
	/* Another node's invitation of the same name does not push out the one that is here. */
	if (invite &&
	    (memcmp(invite->from, from, NODE_KEY_LEN) != 0 || invite->epoch >= state->epoch))
		return 0;
	if (invite)
		invite_drop(groups, invite, now_ns);
	invite = invite_place(groups);
	weft_assert(invite != NULL); /* one more than the share gives */
	if (invite_fill(groups, invite, from, state, groups->key_message.name) < 0 ||
	    !(invite->bytes = malloc(bytes->len))) {
		invite_free(invite);
		return -ENOMEM;
	}
	memcpy(invite->bytes, bytes->bytes, bytes->len);
	invite->len = bytes->len;
	invite->time_ms = social_wall_ms(&groups->params.ground);
	if (!invite_share(groups, invite, now_ns)) {
		invite_free(invite);
		return WEFT_EFULL;
	}
	invite->is_used = true;
	groups->stats.invite_cnt++;
	batch = store_batch_new(groups->params.ground.store);
	social_groups_put_invite(batch, invite);
	social_groups_happened(groups, SOCIAL_GROUP_INVITED, invite->from, invite->name);
	return social_groups_submit(groups, batch, NULL, NULL);
}

int social_groups_invite_load(struct groups *groups, const uint8_t *value, size_t len)
{
	struct cursor c = cursor_of(value, len);
	uint64_t time_ms = cursor_be64(&c);
	const uint8_t *from = cursor_bytes(&c, NODE_KEY_LEN);
	struct group_key_message *message = &groups->key_message;
	struct group_invite *invite = invite_place(groups);
	size_t left = cursor_left(&c);

	if (c.bad || social_group_key_read(c.pos, left, message) < 0 ||
	    social_group_parse(message->state.bytes, message->state.len, &groups->read) < 0)
		return WEFT_EDAMAGED;
	if (!invite)
		return WEFT_EFULL;
	if (invite_fill(groups, invite, from, &groups->read, message->name) < 0 ||
	    !(invite->bytes = malloc(left)) || !invite_share(groups, invite, groups->now_ns)) {
		invite_free(invite);
		return WEFT_EFULL;
	}
	memcpy(invite->bytes, c.pos, left);
	invite->len = left;
	invite->time_ms = time_ms;
	invite->is_used = true;
	groups->stats.invite_cnt++;
	return 0;
}

void social_group_invites_view(const struct groups *groups, struct fair_view *out_view)
{
	fair_read(&groups->invite_places.fair, out_view);
}

/* --- what persons do --- */

/* The group as the invitation has it; one that was here before, and that the person had to go from, ends. */
static int invite_join(struct groups *groups, const struct group_invite *invite,
		       const struct group_ask *ask)
{
	struct group_key_message *message = &groups->key_message;
	struct group *group = social_groups_lookup(groups, invite->group);
	struct store_batch *batch;
	struct group_row *row;
	struct node_key *secret;
	int err;

	if (social_group_key_read(invite->bytes, invite->len, message) < 0 ||
	    social_group_parse(message->state.bytes, message->state.len, &groups->read) < 0)
		return WEFT_EDAMAGED;
	batch = store_batch_new(groups->params.ground.store);
	if (group)
		social_groups_forget(groups, batch, group);
	group = social_groups_add(groups, invite->group);
	row = group ? social_groups_row_add(groups, group, invite->shard) : NULL;
	if (!row) {
		if (group)
			social_groups_drop(groups, group);
		store_batch_free(batch);
		return WEFT_EFULL;
	}
	memcpy(group->person, invite->person, NODE_KEY_LEN);
	memcpy(group->name, invite->name, sizeof(group->name));
	secret = social_groups_unseal(groups, &groups->read, message->wrapped, message->wrapped_by);
	err = social_groups_begin_row(groups, row, &message->state, secret, batch);
	if (err < 0) {
		node_key_free(secret);
		social_groups_drop(groups, group);
		store_batch_free(batch);
		return err;
	}
	social_groups_put_group(batch, group);
	social_groups_drop_invite(batch, invite);
	return social_groups_submit_for(groups, batch, ask);
}

int social_group_accept(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	struct group_invite *invite = invite_lookup(groups, ask->group);
	uint8_t from[NODE_KEY_LEN];
	const struct group *group;
	int err;

	groups->now_ns = now_ns;
	if (!invite)
		return WEFT_EABSENT;
	if ((err = invite_join(groups, invite, ask)) < 0)
		return err;
	memcpy(from, invite->from, sizeof(from));
	invite_release(groups, invite, now_ns);
	group = social_groups_lookup(groups, ask->group);
	if (group && social_groups_has_session(groups, from))
		social_groups_ask(groups, social_groups_row_home(group, group->person), from,
				  now_ns);
	return 0;
}

int social_group_refuse(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	struct group_invite *invite = invite_lookup(groups, ask->group);
	struct store_batch *batch;
	int err;

	groups->now_ns = now_ns;
	if (!invite)
		return WEFT_EABSENT;
	batch = store_batch_new(groups->params.ground.store);
	social_groups_drop_invite(batch, invite);
	refusal_note(groups, invite, batch);
	if ((err = social_groups_submit_for(groups, batch, ask)) < 0)
		return err;
	invite_release(groups, invite, now_ns);
	return 0;
}

void social_group_invites(const struct groups *groups,
			  void (*fn)(void *arg, const struct group_invite_view *view), void *arg)
{
	for (unsigned i = 0; i <= GROUP_INVITES_MAX; i++) {
		const struct group_invite *invite = &groups->invites[i];
		const struct group_invite_view view = {.group = invite->group,
						       .from = invite->from,
						       .person = invite->person,
						       .name = invite->name,
						       .member_cnt = invite->member_cnt,
						       .time_ms = invite->time_ms};

		if (invite->is_used)
			fn(arg, &view);
	}
}
