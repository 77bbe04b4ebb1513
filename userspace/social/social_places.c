/* SPDX-License-Identifier: Apache-2.0 */
/* Where people's nodes are: routes, anchors and searches, and what they ask of the other parts. */
#include <string.h>

#include "base/random.h"
#include "social/people/person_follows.h"
#include "social/people/person_profiles.h"
#include "social/social_state.h"

static enum follow_kind follow_of(const struct social *social, const uint8_t *key)
{
	return social_follow_of(social->people, SOCIAL_EACH_PERSONA, key);
}

/* A route to an anchor is made by this node's list, or by a profile of a person followed. */
static enum social_tier on_tier(void *ctx, const uint8_t *key)
{
	const struct social *social = ctx;
	struct social_route route;

	if (follow_of(social, key) != FOLLOW_NONE)
		return SOCIAL_TIER_FOLLOW;
	if (social->anchors && social_anchor_is_own(social->anchors, key))
		return SOCIAL_TIER_ANCHOR;
	if (social->routes && social_route_look(social->routes, key, &route) &&
	    route.tier == SOCIAL_TIER_ANCHOR)
		return SOCIAL_TIER_ANCHOR;
	return social_audience_of(social->people, key) ? SOCIAL_TIER_AUDIENCE : SOCIAL_TIER_NONE;
}

/*
 * People that this node follows may ask it for nodes that its follows show to all: those of public
 * follows, and of the audience. A private follow is never among them.
 */
static bool on_may_tell(void *ctx, const uint8_t *asker, const uint8_t *key)
{
	const struct social *social = ctx;
	enum follow_kind kind = follow_of(social, key);

	return follow_of(social, asker) != FOLLOW_NONE && kind != FOLLOW_PRIVATE &&
	       (kind == FOLLOW_PUBLIC || social_audience_of(social->people, key));
}

static size_t on_named(void *ctx, const uint8_t *asker, const uint8_t *key,
		       uint8_t out[static SOCIAL_ADDRESS_LEN_MAX])
{
	const struct social *social = ctx;

	return social->slots
		       ? social_slots_tell(social->slots, asker, key, out, SOCIAL_ADDRESS_LEN_MAX)
		       : 0;
}

static void on_places(void *ctx, struct peer_places *out_places)
{
	const struct social *social = ctx;
	bool shows_direct = social->config.shows_addresses ||
			    (social->anchors && social_anchors_is_anchor(social->anchors));

	social->ways.places(social->ground.ctx, shows_direct, out_places);
}

static unsigned on_lan(void *ctx, const uint8_t *key, struct addr out[static MESH_PEER_ADDRS_MAX])
{
	const struct social *social = ctx;

	return social->ways.lan(social->ground.ctx, key, out);
}

/* This node's anchors, but the last resort, or that alone. */
static unsigned own_anchors(const struct social *social, bool is_last_resort,
			    uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	const struct own_anchor *anchor;
	unsigned cnt = 0;

	for (unsigned i = 0; cnt < cap && (anchor = social_own_anchor(social->anchors, i)); i++)
		if (anchor->is_enabled && anchor->is_last_resort == is_last_resort)
			memcpy(out[cnt++], anchor->key, NODE_KEY_LEN);
	return cnt;
}

static unsigned anchors_of(const struct social *social, const uint8_t *key,
			   uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	const struct person *person = social_person(social->people, key);
	unsigned cnt = person ? person->anchor_cnt : 0;

	if (cnt > cap)
		cnt = cap;
	for (unsigned i = 0; i < cnt; i++)
		memcpy(out[i], person->anchors[i], NODE_KEY_LEN);
	return cnt;
}

/* Mutual contacts: followed in public, and following. Each with the same odds. */
struct contacts {
	const struct social *social;
	const uint8_t *but;
	uint8_t (*out)[NODE_KEY_LEN];
	unsigned cap, cnt, seen_cnt;
};

static bool contact_take(void *arg, const struct follow_view *view)
{
	struct contacts *contacts = arg;
	const struct social *social = contacts->social;
	unsigned at;

	if (view->kind != FOLLOW_PUBLIC || !social_audience_of(social->people, view->person) ||
	    memcmp(view->person, contacts->but, NODE_KEY_LEN) == 0)
		return true;
	contacts->seen_cnt++;
	at = contacts->cnt < contacts->cap
		     ? contacts->cnt++
		     : (unsigned)random_below(social->ground.random, contacts->seen_cnt);
	if (at < contacts->cap)
		memcpy(contacts->out[at], view->person, NODE_KEY_LEN);
	return true;
}

/* Followed in private alone, or named as an anchor by a person that is, or that is not followed. */
static bool is_private(const struct social *social, const uint8_t *key)
{
	enum follow_kind kind = follow_of(social, key);
	struct social_route route;

	if (kind != FOLLOW_NONE)
		return kind == FOLLOW_PRIVATE;
	return social_route_look(social->routes, key, &route) && route.tier == SOCIAL_TIER_ANCHOR &&
	       route.is_introduced && follow_of(social, route.introduced_by) != FOLLOW_PUBLIC;
}

static unsigned contacts_of(const struct social *social, const uint8_t *key,
			    uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	struct contacts contacts = {.social = social, .but = key, .out = out, .cap = cap};

	/* They would learn of it. */
	if (is_private(social, key))
		return 0;
	social_follows_each(social->people, SOCIAL_EACH_PERSONA, contact_take, &contacts);
	return contacts.cnt;
}

static unsigned contact_anchors_of(const struct social *social, const uint8_t *key,
				   uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	uint8_t contacts[SEARCH_HELPERS_MAX][NODE_KEY_LEN];
	unsigned contact_cnt = contacts_of(social, key, contacts, SEARCH_HELPERS_MAX), cnt = 0;

	for (unsigned i = 0; i < contact_cnt && cnt < cap; i++)
		cnt += anchors_of(social, contacts[i], out + cnt, cap - cnt);
	return cnt;
}

static unsigned on_helpers(void *ctx, enum social_stage stage, const uint8_t *key,
			   uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	const struct social *social = ctx;

	switch (stage) {
	case SOCIAL_STAGE_THEIR_ANCHORS:
		return anchors_of(social, key, out, cap);
	case SOCIAL_STAGE_CONTACTS:
		return contacts_of(social, key, out, cap);
	case SOCIAL_STAGE_CONTACT_ANCHORS:
		return contact_anchors_of(social, key, out, cap);
	case SOCIAL_STAGE_OWN_ANCHORS:
		return own_anchors(social, false, out, cap);
	case SOCIAL_STAGE_LAST_RESORT:
		/* Of a private follow the package's node is not to learn. */
		return is_private(social, key) ? 0 : own_anchors(social, true, out, cap);
	default:
		return 0;
	}
}

/* --- what people change --- */

/* Where a session with it leads now is in its route at once: it may be needed after a restart. */
static void anchor_note(struct social *social, const struct social_route_hint *hint,
			uint64_t now_ns)
{
	const struct mesh_seam *mesh = &social->ground.mesh;
	uint8_t session[MESH_SESSION_ID_LEN];

	if (social_route_note(social->routes, hint, now_ns) == 0 &&
	    mesh->ops->session(mesh->mesh, hint->key, session) == 0)
		social_routes_session_up(social->routes, hint->key, now_ns);
}

/* Anchors that a person followed names have routes, so that they are told to no locator either. */
static void profile_note(struct social *social, const uint8_t *person, uint64_t now_ns)
{
	uint8_t anchors[SOCIAL_ANCHORS_MAX][NODE_KEY_LEN];
	unsigned cnt = 0;

	if (follow_of(social, person) != FOLLOW_NONE)
		cnt = anchors_of(social, person, anchors, SOCIAL_ANCHORS_MAX);
	for (unsigned i = 0; i < cnt; i++) {
		const struct social_route_hint hint = {
			.key = anchors[i], .tier = SOCIAL_TIER_ANCHOR, .introduced_by = person};

		if (on_tier(social, anchors[i]) <= SOCIAL_TIER_ANCHOR)
			anchor_note(social, &hint, now_ns);
	}
}

static void on_people(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	struct social *social = ctx;

	if (change->kind == PEOPLE_OWN_PROFILE || change->kind == PEOPLE_PERSONA)
		social_own_anchors_read(social, now_ns);
	if (!change->person)
		return;
	switch (change->kind) {
	case PEOPLE_FOLLOWED:
	case PEOPLE_PROFILE:
		profile_note(social, change->person, now_ns);
		break;
	case PEOPLE_UNFOLLOWED:
	case PEOPLE_BLOCKED:
		if (on_tier(social, change->person) != SOCIAL_TIER_ANCHOR)
			social_route_drop(social->routes, change->person, now_ns);
		break;
	default:
		break;
	}
}

int social_places_open(struct social *social, uint64_t now_ns)
{
	const struct social_routes_params routes = {
		.ground = &social->ground, .tier_of = on_tier, .ctx = social, .now_ns = now_ns};
	struct social_anchors_params anchors = {.config = social->config.anchors,
						.ground = &social->ground,
						.places = on_places,
						.may_tell = on_may_tell,
						.named = on_named,
						.ctx = social,
						.now_ns = now_ns};
	struct social_searches_params searches = {
		.ground = &social->ground, .lan = on_lan, .helpers = on_helpers, .ctx = social};
	int err = social_routes_open(&routes, &social->routes);

	if (err < 0)
		return err;
	anchors.routes = searches.routes = social->routes;
	if ((err = social_anchors_open(&anchors, &social->anchors)) < 0)
		return err;
	social->places_watch = (struct people_watch){.changed = on_people, .ctx = social};
	social_people_watch(social->people, &social->places_watch);
	social_own_anchors_read(social, now_ns);
	return social_searches_open(&searches, &social->searches);
}

void social_places_stop(struct social *social)
{
	if (social->places_watch.changed)
		social_people_unwatch(&social->places_watch);
	social->places_watch.changed = NULL;
	social_searches_stop(social->searches);
	social_anchors_stop(social->anchors);
	social_routes_stop(social->routes);
}

void social_places_close(struct social *social)
{
	social_searches_close(social->searches);
	social_anchors_close(social->anchors);
	social_routes_close(social->routes);
}

/* --- what the node says --- */

bool social_is_unsought(const struct social *social, const uint8_t key[static MESH_KEY_LEN])
{
	return social &&
	       (follow_of(social, key) != FOLLOW_NONE || social_route_is_kept(social->routes, key));
}

void social_set_direct(struct social *social, bool is_direct)
{
	if (social)
		social_anchors_set_direct(social->anchors, is_direct);
}

void social_moved(struct social *social, uint64_t now_ns)
{
	if (!social)
		return;
	social_anchors_moved(social->anchors, now_ns);
	social_rounds_moved(social->rounds, now_ns);
}

/* --- parts, for the control interface --- */

struct social_routes *social_routes_of(const struct social *social)
{
	return social->routes;
}

struct social_anchors *social_anchors_of(const struct social *social)
{
	return social->anchors;
}

struct social_searches *social_searches_of(const struct social *social)
{
	return social->searches;
}
