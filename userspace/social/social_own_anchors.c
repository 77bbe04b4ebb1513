/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anchors of this node's person: the profiles of the personas name them, and anchors/ checks in with
 * them. A persona that is reached by its anchors alone is left out: a check-in is by the node's own
 * key, and would link the two.
 */
#include <string.h>

#include "social/people/person_profiles.h"
#include "social/social_state.h"

_Static_assert(SOCIAL_OWN_ANCHORS_MAX >= SOCIAL_PERSONAS_MAX * PROFILE_ANCHORS_MAX,
	       "each anchor of a profile has a place");

/* Routes to anchors that no profile names any more, and no person that is followed. */
struct lost_routes {
	const struct social *social;
	uint8_t keys[SOCIAL_OWN_ANCHORS_MAX][NODE_KEY_LEN];
	unsigned cnt;
};

static void on_route(void *arg, const struct social_route *route)
{
	struct lost_routes *lost = arg;

	if (route->tier == SOCIAL_TIER_ANCHOR && !route->is_introduced &&
	    lost->cnt < SOCIAL_OWN_ANCHORS_MAX &&
	    !social_anchor_is_own(lost->social->anchors, route->key) &&
	    social_anchor_persona(lost->social, route->key) == SOCIAL_PERSONA_NONE)
		memcpy(lost->keys[lost->cnt++], route->key, NODE_KEY_LEN);
}

static void routes_review(struct social *social, uint64_t now_ns)
{
	struct lost_routes lost = {.social = social};

	social_routes_each(social->routes, on_route, &lost);
	for (unsigned i = 0; i < lost.cnt; i++)
		social_route_drop(social->routes, lost.keys[i], now_ns);
}

void social_own_anchors_read(struct social *social, uint64_t now_ns)
{
	uint8_t keys[SOCIAL_OWN_ANCHORS_MAX][NODE_KEY_LEN];
	struct people *people = social->people;
	unsigned cnt = 0;

	for (unsigned i = 0; i < social_persona_cnt(people); i++) {
		const struct person *self =
			social_person(people, node_key_public(social_persona(people, i)));

		if (social_persona_is_via_anchors(people, i) || !self || !self->anchor_cnt)
			continue;
		memcpy(keys[cnt], self->anchors, self->anchor_cnt * NODE_KEY_LEN);
		cnt += self->anchor_cnt;
	}
	social_own_anchors_set(social->anchors, (const uint8_t(*)[NODE_KEY_LEN])keys, cnt, now_ns);
	routes_review(social, now_ns);
}

unsigned social_anchor_persona(const struct social *social, const uint8_t *key)
{
	for (unsigned i = 0; i < social_persona_cnt(social->people); i++)
		if (social_persona_names(social->people, i, key))
			return i;
	return SOCIAL_PERSONA_NONE;
}

/* The profile of persona with key added, or without it. */
static int profile_change(struct social *social, unsigned persona,
			  const struct social_anchor_ask *ask, bool is_added, uint64_t now_ns)
{
	uint8_t keys[PROFILE_ANCHORS_MAX + 1][NODE_KEY_LEN];
	const struct person *self = social_person(
		social->people, node_key_public(social_persona(social->people, persona)));
	struct profile_change change = {.persona = persona,
					.anchors = (const uint8_t(*)[NODE_KEY_LEN])keys};

	for (unsigned i = 0; self && i < self->anchor_cnt; i++)
		if (memcmp(self->anchors[i], ask->key, NODE_KEY_LEN) != 0)
			memcpy(keys[change.anchor_cnt++], self->anchors[i], NODE_KEY_LEN);
	if (is_added && change.anchor_cnt == PROFILE_ANCHORS_MAX)
		return WEFT_EFULL;
	if (is_added)
		memcpy(keys[change.anchor_cnt++], ask->key, NODE_KEY_LEN);
	return social_profile_set(social->people, &change, &ask->done, now_ns);
}

int social_anchor_add(struct social *social, unsigned persona, const struct social_anchor_ask *ask,
		      uint64_t now_ns)
{
	const struct person *self = social_person(
		social->people, node_key_public(social_persona(social->people, persona)));
	bool has_profile = self && self->updated_ms;
	unsigned owner = social_anchor_persona(social, ask->key);
	bool was_kept = social_route_is_kept(social->routes, ask->key);
	int err;

	if (!has_profile)
		return WEFT_EABSENT;
	if (owner == persona)
		return WEFT_EEXISTS;
	if (owner != SOCIAL_PERSONA_NONE)
		return WEFT_EREFUSED;
	if (memcmp(ask->key, node_key_public(social->ground.key), NODE_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	if (ask->places && ask->places->addr_cnt) {
		/* Where it is goes to the disk before the profile does. */
		social_route_note_anchor(social->routes, ask->key, ask->places, now_ns);
		social_routes_flush(social->routes);
	}
	err = profile_change(social, persona, ask, true, now_ns);
	if (err < 0 && !was_kept)
		social_route_drop(social->routes, ask->key, now_ns);
	return err;
}

int social_anchor_remove(struct social *social, const struct social_anchor_ask *ask,
			 uint64_t now_ns)
{
	const struct own_anchor *own = social_own_anchor_of(social->anchors, ask->key);
	unsigned persona = social_anchor_persona(social, ask->key);

	if (persona != SOCIAL_PERSONA_NONE)
		return profile_change(social, persona, ask, false, now_ns);
	return own && own->is_last_resort ? WEFT_EREFUSED : WEFT_EABSENT;
}
