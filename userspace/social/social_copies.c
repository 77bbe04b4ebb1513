/* SPDX-License-Identifier: Apache-2.0 */
/* What acts on copies elsewhere (replicas, revoke), and what these ask of people. */
#include "social/people/circles.h"
#include "social/people/person_follows.h"
#include "social/people/personas.h"
#include "social/social_state.h"

static const struct node_key *on_persona(void *ctx, unsigned idx)
{
	const struct people *people = ((const struct social *)ctx)->people;

	return idx < social_persona_cnt(people) ? social_persona(people, idx) : NULL;
}

static const struct node_key *on_own(void *ctx, const uint8_t *key)
{
	return social_own_key(((const struct social *)ctx)->people, key);
}

static bool on_is_in_circle(void *ctx, const uint8_t *circle, const uint8_t *person)
{
	return social_circle_has(((const struct social *)ctx)->people, circle, person);
}

static bool on_is_blocked(void *ctx, const uint8_t *key)
{
	return social_is_blocked(((const struct social *)ctx)->people, key);
}

static bool on_is_acquainted(void *ctx, const uint8_t *key)
{
	return social_is_acquainted(((const struct social *)ctx)->people, key);
}

static bool on_is_audience(void *ctx, const uint8_t *key)
{
	return social_audience_of(((const struct social *)ctx)->people, key) != 0;
}

static bool on_speaks_for(void *ctx, const uint8_t *key, const uint8_t *person)
{
	return social_sync_speaks_for(((const struct social *)ctx)->sync, key, person);
}

static bool on_is_member(void *ctx, const uint8_t *group, uint64_t epoch, const uint8_t *key)
{
	return social_group_has(((const struct social *)ctx)->groups, group, epoch, key);
}

struct fellow {
	struct groups *groups;
	const uint8_t *key;
	bool is;
};

static void fellow_look(void *arg, const struct group_view *view)
{
	struct fellow *fellow = arg;

	fellow->is |= view->is_member &&
		      social_group_has(fellow->groups, view->group, view->epoch, fellow->key);
}

bool social_is_fellow(void *ctx, const uint8_t *key)
{
	struct fellow fellow = {((const struct social *)ctx)->groups, key, false};

	social_groups_each(fellow.groups, fellow_look, &fellow);
	return fellow.is;
}

static const struct node_key *on_group_key(void *ctx, const struct visibility_group *of)
{
	return social_group_secret(((const struct social *)ctx)->groups, of);
}

static int replicas_open(struct social *social, uint64_t now_ns)
{
	const struct replicas_params params = {.config = social->config.replicas,
					       .ground = &social->ground,
					       .posts = social->posts,
					       .intake = social->intake,
					       .holders = social->holders,
					       .ways = {.own = on_own,
							.is_blocked = on_is_blocked,
							.is_acquainted = on_is_acquainted,
							.is_audience = on_is_audience,
							.is_fellow = social_is_fellow,
							.is_member = on_is_member,
							.group_key = on_group_key,
							.speaks_for = on_speaks_for,
							.ctx = social},
					       .now_ns = now_ns};

	return social_replicas_open(&params, &social->replicas);
}

struct cut {
	const struct social *social;
	const uint8_t *person;
};

static bool is_cut(void *arg, const uint8_t *key)
{
	const struct cut *cut = arg;

	return social_sync_speaks_for(cut->social->sync, key, cut->person);
}

static void on_cut(void *ctx, const uint8_t *person, const uint8_t *post, uint64_t now_ns)
{
	const struct social *social = ctx;
	struct cut cut = {social, person};

	(void)now_ns;
	if (social->attachments)
		social_attachments_cut(social->attachments, post, is_cut, &cut);
	social_sync_cut(social->sync, person, post);
	social_replicas_cut(social->replicas, person, post);
}

static int revoke_open(struct social *social, uint64_t now_ns)
{
	const struct revoke_params params = {.ground = &social->ground,
					     .posts = social->posts,
					     .intake = social->intake,
					     .holders = social->holders,
					     .ways = {.persona = on_persona,
						      .own = on_own,
						      .is_in_circle = on_is_in_circle,
						      .cut = on_cut,
						      .ctx = social},
					     .now_ns = now_ns};

	return social_revoke_open(&params, &social->revocations);
}

int social_copies_open(struct social *social, uint64_t now_ns)
{
	int err = replicas_open(social, now_ns);

	return err < 0 ? err : revoke_open(social, now_ns);
}

void social_copies_stop(struct social *social)
{
	social_revoke_stop(social->revocations);
	social_replicas_stop(social->replicas);
}

void social_copies_close(struct social *social)
{
	social_revoke_close(social->revocations);
	social_replicas_close(social->replicas);
}

struct post_holders *social_holders_of(const struct social *social)
{
	return social->holders;
}

struct replicas *social_replicas_of(const struct social *social)
{
	return social->replicas;
}

struct revocations *social_revocations_of(const struct social *social)
{
	return social->revocations;
}
