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

void group_held_free(struct group_held *held)
{
	free(held->bytes);
	free(held->state);
	*held = (struct group_held){0};
}

int group_held_set(struct group_held *held, const uint8_t *bytes, size_t len)
{
	struct group_held made = {
		.bytes = malloc(len), .len = len, .state = malloc(sizeof(*made.state))};
	int err = made.bytes && made.state ? 0 : -ENOMEM;

	if (err == 0) {
		memcpy(made.bytes, bytes, len);
		err = social_group_parse(made.bytes, len, made.state);
	}
	if (err < 0) {
		group_held_free(&made);
		return err;
	}
	blake3_hash(made.bytes, len, made.hash);
	group_held_free(held);
	*held = made;
	return 0;
}

/* --- the table --- */

struct group *groups_lookup(const struct groups *groups, const uint8_t *id)
{
	for (const struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group *group = container_of(at, struct group, link);

		if (memcmp(group->id, id, sizeof(group->id)) == 0)
			return group;
	}
	return NULL;
}

static struct group_row *row_next(const struct group *group, const struct group_row *row)
{
	const struct list_node *next = row ? row->link.next : group->rows.next;

	return next == &group->rows ? NULL : container_of(next, struct group_row, link);
}

struct group_row *groups_row(const struct group *group, uint32_t shard)
{
	struct group_row *row = NULL;

	while ((row = row_next(group, row)) && row->shard != shard)
		;
	return row;
}

struct group_row *groups_row_home(const struct group *group, const uint8_t *person)
{
	struct group_row *row = NULL;

	while ((row = row_next(group, row))) {
		const struct group_member *member = social_group_member(row->now.state, person);

		if (member && !member->is_visitor)
			return row;
	}
	return NULL;
}

bool groups_role(const struct group *group, const uint8_t *key, enum group_role *out_role)
{
	struct group_row *row = NULL;

	while ((row = row_next(group, row))) {
		const struct group_member *member = social_group_member(row->now.state, key);

		if (!member)
			continue;
		*out_role = member->role;
		return true;
	}
	return false;
}

struct group *groups_add(struct groups *groups, const uint8_t *id)
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

struct group_row *groups_row_add(struct groups *groups, struct group *group, uint32_t shard)
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

void groups_row_drop(struct groups *groups, struct group_row *row)
{
	list_unlink(&row->link);
	list_unlink(&row->push);
	row->group->row_cnt--;
	groups->row_cnt--;
	group_held_free(&row->now);
	group_held_free(&row->before);
	node_key_free(row->secret);
	free(row->redo);
	free(row);
}

void groups_drop(struct groups *groups, struct group *group)
{
	struct group_row *row;

	while ((row = row_next(group, NULL)))
		groups_row_drop(groups, row);
	list_unlink(&group->link);
	groups->group_cnt--;
	free(group);
}

bool groups_has_session(const struct groups *groups, const uint8_t *key)
{
	uint8_t session[MESH_SESSION_ID_LEN];
	const struct mesh_seam *mesh = &groups->params.ground.mesh;

	return mesh->ops->session(mesh->mesh, key, session) == 0;
}

void groups_happened(const struct groups *groups, enum social_event_kind kind,
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

		if (!groups_own(groups, key) && groups_has_session(groups, key)) {
			groups_ask(groups, row, key, now_ns);
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

		while ((row = row_next(group, row))) {
			row_round(groups, row, now_ns);
			groups_redo(groups, row, now_ns);
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
	    (err = groups_invites_init(groups)) < 0)
		return err;
	arena_fit(&groups->arena);
	return 0;
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
	if ((err = lay_out(groups)) < 0 || (err = groups_load(groups)) < 0 ||
	    (err = groups_answer_init(groups)) < 0) {
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
	groups_push_stop(groups);
	groups_ask_stop(groups);
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
		groups_drop(groups, group);
	groups_secrets_fini(groups);
	groups_invites_fini(groups);
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

		while ((row = row_next(group, row)))
			if (social_group_member(row->now.state, key) && !groups_own(groups, key))
				groups_ask(groups, row, key, now_ns);
	}
}

/* --- what others ask --- */

static void view_of(const struct group *group, struct group_view *out_view)
{
	const struct group_row *home = groups_row_home(group, group->person);
	struct group_row *row = NULL;

	*out_view = (struct group_view){.group = group->id,
					.name = group->name,
					.person = group->person,
					.is_leaving = group->is_leaving,
					.is_member = home != NULL,
					.row_cnt = group->row_cnt};
	if (!home)
		home = row_next(group, NULL);
	if (!home)
		return;
	(void)groups_role(group, group->person, &out_view->role);
	out_view->has_key = home->secret != NULL;
	out_view->shard = home->shard;
	out_view->shard_cnt = home->now.state->shard_cnt;
	out_view->epoch = home->now.state->epoch;
	out_view->key = home->now.state->key;
	while ((row = row_next(group, row))) {
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
	const struct group *held = groups_lookup(groups, group);

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
	const struct group *held = groups_lookup(groups, group);
	struct group_row *row = NULL;

	while (held && (row = row_next(held, row)))
		for (unsigned i = 0; i < row->now.state->member_cnt; i++) {
			const struct group_row_view view = {&row->now.state->members[i],
							    row->shard};

			/* A visitor whose own shard is not here would else be no member at all. */
			if (!view.member->is_visitor || (row == row_next(held, NULL) &&
							 !groups_row_home(held, view.member->key)))
				fn(arg, &view);
		}
}

void social_group_shards(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			 void (*fn)(void *arg, const struct group_shard_view *view), void *arg)
{
	const struct group *held = groups_lookup(groups, group);
	struct group_row *row = NULL;

	while (held && (row = row_next(held, row))) {
		const struct group_shard_view view = {row->shard, row->now.state->epoch,
						      row->now.state->key};

		fn(arg, &view);
	}
}

bool social_group_may(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      const uint8_t key[static NODE_KEY_LEN], enum group_act act)
{
	const struct group *held = groups_lookup(groups, group);
	enum group_role role;

	return held && groups_role(held, key, &role) && social_role_may(role, act);
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
	if (groups_load_state(groups, row, epoch, &held) < 0)
		return false;
	is_reader = is_listed(held.state, key);
	group_held_free(&held);
	return is_reader;
}

bool social_group_is_reader(struct groups *groups, const struct visibility_group *of,
			    const uint8_t key[static NODE_KEY_LEN])
{
	const struct group *group = groups_lookup(groups, of->group);
	struct group_row *row = NULL;

	while (group && (row = row_next(group, row)))
		for (unsigned i = row->past_cnt; i-- > 0 && row->past[i].epoch >= of->epoch;)
			if (memcmp(row->past[i].key, of->key, NODE_KEY_LEN) == 0 &&
			    is_reader_at(groups, row, row->past[i].epoch, key))
				return true;
	return false;
}

const struct node_key *social_group_secret(struct groups *groups, const struct visibility_group *of)
{
	return groups_secret(groups, of->group, of->key);
}

bool social_group_proof_make(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			     const uint8_t session[static GROUP_SESSION_LEN], struct writer *w)
{
	const struct group *held = groups_lookup(groups, group);
	const struct group_row *home = held ? groups_row_home(held, held->person) : NULL;
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

void social_groups_stats(const struct groups *groups, struct groups_stats *out_stats)
{
	*out_stats = groups->stats;
	out_stats->group_cnt = groups->group_cnt;
	out_stats->shard_cnt = groups->row_cnt;
}
