/* SPDX-License-Identifier: Apache-2.0 */
#include "social/groups/groups.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/random.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "social/groups/groups_state.h"

/* --- states --- */

void social_group_held_free(struct group_held *held)
{
	free(held->bytes);
	free(held->state);
	*held = (struct group_held){0};
}

int social_group_held_set(struct group_held *held, const uint8_t *bytes, size_t len)
{
	struct group_held made = {
		.bytes = malloc(len), .len = len, .state = malloc(sizeof(*made.state))};
	int err = made.bytes && made.state ? 0 : -ENOMEM;

	if (err == 0) {
		memcpy(made.bytes, bytes, len);
		err = social_group_parse(made.bytes, len, made.state);
	}
	if (err < 0) {
		social_group_held_free(&made);
		return err;
	}
	blake3_hash(made.bytes, len, made.hash);
	social_group_held_free(held);
	*held = made;
	return 0;
}

/* --- the table --- */

struct group *social_groups_lookup(const struct groups *groups, const uint8_t *id)
{
	for (const struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group *group = container_of(at, struct group, link);

		if (memcmp(group->id, id, sizeof(group->id)) == 0)
			return group;
	}
	return NULL;
}

struct group_row *social_groups_row_next(const struct group *group, const struct group_row *row)
{
	const struct list_node *next = row ? row->link.next : group->rows.next;

	return next == &group->rows ? NULL : container_of(next, struct group_row, link);
}

struct group_row *social_groups_row(const struct group *group, uint32_t shard)
{
	struct group_row *row = NULL;

	while ((row = social_groups_row_next(group, row)) && row->shard != shard)
		;
	return row;
}

struct group_row *social_groups_row_home(const struct group *group, const uint8_t *person)
{
	struct group_row *row = NULL;

	while ((row = social_groups_row_next(group, row))) {
		const struct group_member *member = social_group_member(row->now.state, person);

		if (member && !member->is_visitor)
			return row;
	}
	return NULL;
}

bool social_groups_role(const struct group *group, const uint8_t *key, enum group_role *out_role)
{
	struct group_row *row = NULL;

	while ((row = social_groups_row_next(group, row))) {
		const struct group_member *member = social_group_member(row->now.state, key);

		if (!member)
			continue;
		*out_role = member->role;
		return true;
	}
	return false;
}

struct group *social_groups_add(struct groups *groups, const uint8_t *id)
{
	struct group *group = groups->group_cnt < GROUPS_MAX ? calloc(1, sizeof(*group)) : NULL;

	if (!group)
		return NULL;
	memcpy(group->id, id, sizeof(group->id));
	list_init(&group->rows);
	list_push_back(&groups->all, &group->link);
	groups->group_cnt++;
	return group;
}

struct group_row *social_groups_row_add(struct groups *groups, struct group *group, uint32_t shard)
{
	struct group_row *row = groups->row_cnt < GROUP_ROWS_TOTAL ? calloc(1, sizeof(*row)) : NULL;
	struct list_node *at = group->rows.prev;

	if (!row)
		return NULL;
	row->group = group;
	row->shard = shard;
	list_init(&row->push);
	while (at != &group->rows && container_of(at, struct group_row, link)->shard > shard)
		at = at->prev;
	list_push_back(at->next, &row->link);
	group->row_cnt++;
	groups->row_cnt++;
	return row;
}

void social_groups_row_drop(struct groups *groups, struct group_row *row)
{
	list_unlink(&row->link);
	list_unlink(&row->push);
	row->group->row_cnt--;
	groups->row_cnt--;
	social_group_held_free(&row->now);
	social_group_held_free(&row->before);
	node_key_free(row->secret);
	free(row->redo);
	free(row);
}

void social_groups_drop(struct groups *groups, struct group *group)
{
	struct group_row *row;

	while ((row = social_groups_row_next(group, NULL)))
		social_groups_row_drop(groups, row);
	list_unlink(&group->link);
	groups->group_cnt--;
	free(group);
}

bool social_groups_has_session(const struct groups *groups, const uint8_t *key)
{
	uint8_t session[MESH_SESSION_ID_LEN];
	const struct mesh_seam *mesh = &groups->params.ground.mesh;

	return mesh->ops->session(mesh->mesh, key, session) == 0;
}

void social_groups_happened(const struct groups *groups, enum social_event_kind kind,
			    const uint8_t *person, const char *text)
{
	const struct social_event event = {.kind = kind, .person = person, .text = text};
	const struct social_ground *ground = &groups->params.ground;

	if (ground->happened && !groups->is_stopped)
		ground->happened(ground->ctx, &event);
}

/* --- life --- */

/* Members that have a session, and no news since it came up, are asked in turn. */
static void row_round(struct groups *groups, struct group_row *row, uint64_t now_ns)
{
	const struct group_state *state = row->now.state;

	for (unsigned i = 0; i < state->member_cnt; i++) {
		const uint8_t *key = state->members[row->round++ % state->member_cnt].key;

		if (!groups_own(groups, key) && social_groups_has_session(groups, key)) {
			social_groups_ask(groups, row, key, now_ns);
			return;
		}
	}
}

static void on_round(struct timer *timer, uint64_t now_ns)
{
	struct groups *groups = container_of(timer, struct groups, timer);

	groups->now_ns = now_ns;
	for (struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group *group = container_of(at, struct group, link);
		struct group_row *row = NULL;

		while ((row = social_groups_row_next(group, row))) {
			row_round(groups, row, now_ns);
			social_groups_redo(groups, row, now_ns);
		}
	}
	timer_set(groups->params.ground.timers, timer, now_ns + GROUP_ROUND_NS);
}

static int lay_out(struct groups *groups)
{
	int err = arena_open(&groups->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	if ((err = pool_init(&groups->sends, &groups->arena, sizeof(struct group_send),
			     GROUP_SENDS_MAX)) < 0 ||
	    (err = pool_init(&groups->asks, &groups->arena, sizeof(struct group_asking),
			     GROUP_ASKS_MAX)) < 0 ||
	    (err = pool_init(&groups->answers, &groups->arena, sizeof(struct group_answer),
			     GROUP_ANSWERS_MAX)) < 0 ||
	    (err = social_groups_invites_init(groups)) < 0)
		return err;
	arena_fit(&groups->arena);
	return 0;
}

size_t social_groups_footprint(void)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	size_t len = 0;

	if (!groups)
		return 0;
	if (lay_out(groups) == 0)
		len = sizeof(*groups) + groups->arena.used_len;
	arena_close(&groups->arena);
	free(groups);
	return len;
}

int social_groups_open(const struct groups_params *params, struct groups **out_groups)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	int err;

	if (!groups)
		return -ENOMEM;
	groups->params = *params;
	groups->now_ns = params->now_ns;
	list_init(&groups->all);
	list_init(&groups->pushes);
	timer_init(&groups->timer, on_round);
	if ((err = lay_out(groups)) < 0 || (err = social_groups_load(groups)) < 0 ||
	    (err = social_groups_answer_init(groups)) < 0) {
		social_groups_close(groups);
		return err;
	}
	timer_set(params->ground.timers, &groups->timer, params->now_ns + GROUP_ROUND_NS);
	*out_groups = groups;
	return 0;
}

void social_groups_stop(struct groups *groups)
{
	if (!groups || groups->is_stopped)
		return;
	groups->is_stopped = true;
	timer_cancel(groups->params.ground.timers, &groups->timer);
	social_groups_push_stop(groups);
	social_groups_ask_stop(groups);
	/* Edits on their way are freed by their outcome. */
	store_flush(groups->params.ground.store);
}

void social_groups_close(struct groups *groups)
{
	struct group *group;

	if (!groups)
		return;
	social_groups_stop(groups);
	while ((group = list_first(&groups->all, struct group, link)))
		social_groups_drop(groups, group);
	social_groups_secrets_fini(groups);
	social_groups_invites_fini(groups);
	arena_close(&groups->arena);
	free(groups);
}

void social_groups_session_up(struct groups *groups, const uint8_t key[static NODE_KEY_LEN],
			      uint64_t now_ns)
{
	if (!groups || groups->is_stopped)
		return;
	groups->now_ns = now_ns;
	for (struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group *group = container_of(at, struct group, link);
		struct group_row *row = NULL;

		while ((row = social_groups_row_next(group, row)))
			if (social_group_member(row->now.state, key) && !groups_own(groups, key))
				social_groups_ask(groups, row, key, now_ns);
	}
}
