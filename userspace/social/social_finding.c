/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching people without a session: rounds and posts of links, and what they have of the other parts. */
#include <string.h>

#include "social/people/person_follows.h"
#include "social/people/person_profiles.h"
#include "social/people/personas.h"
#include "social/reach/follow_rounds.h"
#include "social/reach/link_post.h"
#include "social/social_state.h"

static int on_pull(void *ctx, const struct sync_order *order, uint64_t now_ns)
{
	return social_sync_with(((struct social *)ctx)->sync, order, now_ns);
}

static bool on_is_held(void *ctx, const uint8_t *key, uint64_t now_ns)
{
	const struct slots *slots = ((struct social *)ctx)->slots;

	return slots && (social_slots_has(slots, key) || social_slots_is_used(slots, key, now_ns));
}

/* A persona that reaches by its anchors alone has no node dialled. */
static bool is_reached(const struct people *people, const uint8_t *person)
{
	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (!social_persona_is_via_anchors(people, i) &&
		    social_follow_of(people, i, person) != FOLLOW_NONE)
			return true;
	return false;
}

static void person_look(struct social *social, const uint8_t *person, uint64_t now_ns)
{
	if (is_reached(social->people, person))
		social_rounds_add(social->rounds, person, now_ns);
	else
		social_rounds_remove(social->rounds, person);
}

static void on_people(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	if (change->person && (change->kind == PEOPLE_FOLLOWED ||
			       change->kind == PEOPLE_UNFOLLOWED || change->kind == PEOPLE_BLOCKED))
		person_look(ctx, change->person, now_ns);
}

struct follow_walk {
	struct social *social;
	uint64_t now_ns;
};

static bool on_follow(void *arg, const struct follow_view *view)
{
	const struct follow_walk *walk = arg;

	person_look(walk->social, view->person, walk->now_ns);
	return true;
}

/* --- one post --- */

struct node_list {
	uint8_t (*keys)[NODE_KEY_LEN];
	unsigned cnt, cap;
};

static void node_add(struct node_list *list, const uint8_t *key)
{
	for (unsigned i = 0; i < list->cnt; i++)
		if (memcmp(list->keys[i], key, NODE_KEY_LEN) == 0)
			return;
	if (list->cnt < list->cap)
		memcpy(list->keys[list->cnt++], key, NODE_KEY_LEN);
}

/* An unknown peer does not hear which post is looked for. */
static bool may_hear(const struct social *social, const uint8_t *key)
{
	return social_follow_of(social->people, SOCIAL_EACH_PERSONA, key) != FOLLOW_NONE ||
	       social_audience_of(social->people, key) ||
	       social_anchor_is_own(social->anchors, key) || social_slots_has(social->slots, key);
}

/*
 * The author, if it has a session, and its anchors. Then others in session; of a person that is followed
 * in private these hear nothing.
 */
static unsigned on_nodes(void *ctx, const uint8_t *author, uint8_t (*out)[NODE_KEY_LEN],
			 unsigned cap)
{
	const struct social *social = ctx;
	const struct social_ground *ground = &social->ground;
	const struct person *person = social_person(social->people, author);
	struct node_list list = {out, 0, cap};
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;

	if (social_has_session(ground, author))
		node_add(&list, author);
	for (unsigned i = 0; person && i < person->anchor_cnt; i++)
		node_add(&list, person->anchors[i]);
	if (social_follow_of(social->people, SOCIAL_EACH_PERSONA, author) == FOLLOW_PRIVATE)
		return list.cnt;
	while (list.cnt < cap && ground->neighbours->next(ground->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected)
		if (may_hear(social, neighbour.key))
			node_add(&list, neighbour.key);
	return list.cnt;
}

static void on_take(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	struct intake_ask ask = social_take_ask(take);

	ask.is_asked_for = true;
	social_intake_post(((struct social *)ctx)->intake, &ask, now_ns);
}

/* --- life --- */

static int link_posts_open(struct social *social)
{
	const struct social_link_posts_params params = {
		.ground = &social->ground,
		.routes = social->routes,
		.searches = social->searches,
		.ways = {.nodes = on_nodes, .take = on_take, .ctx = social}};

	return social_link_posts_open(&params, &social->link_posts);
}

int social_finding_open(struct social *social, uint64_t now_ns)
{
	const struct social_rounds_params params = {
		.ground = &social->ground,
		.searches = social->searches,
		.ways = {.pull = on_pull, .is_held = on_is_held, .ctx = social},
		.every_ns = social->config.sync.every_ns,
		.cap_cnt = SOCIAL_FOLLOWS_MAX};
	struct follow_walk walk = {social, now_ns};
	int err = social_rounds_open(&params, &social->rounds);

	if (err < 0 || (err = link_posts_open(social)) < 0)
		return err;
	social_follows_each(social->people, SOCIAL_EACH_PERSONA, on_follow, &walk);
	social->reach_watch = (struct people_watch){.changed = on_people, .ctx = social};
	social_people_watch(social->people, &social->reach_watch);
	return 0;
}

void social_finding_stop(struct social *social)
{
	if (social->reach_watch.changed)
		social_people_unwatch(&social->reach_watch);
	social->reach_watch.changed = NULL;
	social_rounds_stop(social->rounds);
	social_link_posts_stop(social->link_posts);
}

void social_finding_close(struct social *social)
{
	social_link_posts_close(social->link_posts);
	social_rounds_close(social->rounds);
}

struct social_link_posts *social_link_posts_of(const struct social *social)
{
	return social->link_posts;
}

struct social_rounds *social_rounds_of(const struct social *social)
{
	return social->rounds;
}
