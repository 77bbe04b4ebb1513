/* SPDX-License-Identifier: Apache-2.0 */
#include "social/routes/social_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "social/routes/routes_state.h"
#include "store/store.h"

static const char *const tier_words[SOCIAL_TIER_CNT] = {"none", "audience", "anchor", "follow"};
static const uint32_t tier_caps[SOCIAL_TIER_CNT] = {
	[SOCIAL_TIER_AUDIENCE] = SOCIAL_ROUTES_AUDIENCE_CAP,
	[SOCIAL_TIER_ANCHOR] = SOCIAL_ROUTES_ANCHOR_CAP,
	[SOCIAL_TIER_FOLLOW] = SOCIAL_ROUTES_FOLLOW_CAP,
};

const char *social_tier_word(enum social_tier tier)
{
	return tier_words[tier];
}

/* --- rows --- */

struct route *social_route_find(const struct social_routes *routes, const uint8_t *key)
{
	return map_lookup(&routes->by_key, key);
}

static void route_release(struct social_routes *routes, struct route *route, uint64_t now_ns)
{
	social_route_gone(routes, route, now_ns);
	map_delete(&routes->by_key, route->key);
	list_unlink(&route->by_use);
	fair_release(&routes->places.fair, &route->share, now_ns);
	routes->tier_cnts[route->tier]--;
	pool_release(&routes->pool, route);
}

/* The share of a node that anyone can be. False: it has none. */
static bool audience_take(struct social_routes *routes, struct route *route,
			  const struct addr *teller, uint64_t now_ns)
{
	const struct social_ground *ground = routes->params.ground;
	enum fair_class class = ground->class_of(ground->ctx, route->key);
	static const struct addr nowhere = {.family = ADDR_NONE};
	struct fair_item *victim;
	struct fair_path path;

	fair_path_of_addr(&routes->places.paths, teller ? teller : &nowhere, class, &path);
	fair_path_add(&routes->places.paths, &path, route->key, NODE_KEY_LEN);
	switch (fair_take(&routes->places.fair, &path, &route->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		routes->stats.forgotten_cnt++;
		route_release(routes, container_of(victim, struct route, share), now_ns);
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

/* The one that introducer named first, once it has named as many as it may; else NULL. */
static struct route *introduced_first(const struct social_routes *routes, const uint8_t *introducer)
{
	const struct list_node *anchors = &routes->tiers[SOCIAL_TIER_ANCHOR];
	struct route *first = NULL;
	unsigned cnt = 0;

	for (const struct list_node *node = anchors->next; node != anchors; node = node->next) {
		struct route *route = container_of(node, struct route, by_use);

		if (!route->is_introduced ||
		    memcmp(route->introduced_by, introducer, NODE_KEY_LEN) != 0)
			continue;
		if (!first)
			first = route;
		cnt++;
	}
	return cnt >= SOCIAL_ANCHORS_MAX ? first : NULL;
}

/* Makes room for one more in the tier of route, which is not yet in it. */
static bool tier_admit(struct social_routes *routes, struct route *route,
		       const struct social_route_hint *hint, uint64_t now_ns)
{
	struct list_node *tier = &routes->tiers[route->tier];
	struct route *victim = NULL;

	if (route->tier == SOCIAL_TIER_AUDIENCE)
		return audience_take(routes, route, hint->teller, now_ns);
	if (route->tier == SOCIAL_TIER_ANCHOR && hint->introduced_by)
		victim = introduced_first(routes, hint->introduced_by);
	if (!victim && routes->tier_cnts[route->tier] == tier_caps[route->tier])
		victim = list_first(tier, struct route, by_use);
	if (victim) {
		routes->stats.forgotten_cnt++;
		route_release(routes, victim, now_ns);
	}
	return true;
}

struct route *social_route_make(struct social_routes *routes, const struct social_route_hint *hint,
				uint64_t now_ns)
{
	struct route *route = pool_acquire(&routes->pool);

	weft_assert(route && hint->tier != SOCIAL_TIER_NONE);
	memcpy(route->key, hint->key, sizeof(route->key));
	route->tier = hint->tier;
	list_init(&route->by_use);
	if (hint->introduced_by) {
		route->is_introduced = true;
		memcpy(route->introduced_by, hint->introduced_by, NODE_KEY_LEN);
	}
	if (!tier_admit(routes, route, hint, now_ns) ||
	    map_put(&routes->by_key, route->key, route) < 0) {
		routes->stats.refused_cnt++;
		fair_release(&routes->places.fair, &route->share, now_ns);
		pool_release(&routes->pool, route);
		return NULL;
	}
	list_push_back(&routes->tiers[route->tier], &route->by_use);
	routes->tier_cnts[route->tier]++;
	return route;
}

/* A node that becomes more, or less, to people takes another place. NULL: it has none there. */
static struct route *route_move(struct social_routes *routes, struct route *route,
				const struct social_route_hint *hint, uint64_t now_ns)
{
	struct route before = *route, *moved;

	route_release(routes, route, now_ns);
	moved = social_route_make(routes, hint, now_ns);
	if (!moved)
		return NULL;
	moved->proved = before.proved;
	moved->told_cnt = before.told_cnt;
	memcpy(moved->told, before.told, sizeof(moved->told));
	moved->seen_ms = before.seen_ms;
	moved->address = before.address;
	moved->record_len = before.record_len;
	memcpy(moved->record, before.record, before.record_len);
	moved->is_stored = before.is_stored;
	return moved;
}

/* The row of a hint, made or moved; NULL: there is no place. */
static struct route *route_take(struct social_routes *routes, const struct social_route_hint *hint,
				uint64_t now_ns)
{
	struct route *route = social_route_find(routes, hint->key);

	if (!route)
		return social_route_make(routes, hint, now_ns);
	if (route->tier == hint->tier)
		return route;
	return route_move(routes, route, hint, now_ns);
}

/* Heard of now: it is the last of its tier to be forgotten. */
static void route_use(struct social_routes *routes, struct route *route)
{
	list_unlink(&route->by_use);
	list_push_back(&routes->tiers[route->tier], &route->by_use);
}

/* --- what is learnt --- */

static bool told_add(struct route *route, const struct addr *addr)
{
	if (addr->family == ADDR_NONE || !addr->port || addr_is_relayed(addr) ||
	    addr_equal(addr, &route->proved))
		return false;
	for (unsigned i = 0; i < route->told_cnt; i++)
		if (addr_equal(&route->told[i], addr))
			return false;
	if (route->told_cnt == PEER_ADDRS_MAX)
		memmove(&route->told[0], &route->told[1],
			--route->told_cnt * sizeof(route->told[0]));
	route->told[route->told_cnt++] = *addr;
	return true;
}

static bool session_note(struct route *route, const struct mesh_neighbour *neighbour)
{
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned cnt = mesh_neighbour_addrs(neighbour, addrs, MESH_PEER_ADDRS_MAX);
	bool is_new = false;

	if (neighbour->is_proved && !addr_equal(&route->proved, &neighbour->remote)) {
		route->proved = neighbour->remote;
		is_new = true;
	}
	for (unsigned i = 0; i < cnt; i++)
		is_new |= told_add(route, &addrs[i]);
	return is_new;
}

void social_routes_session_up(struct social_routes *routes, const uint8_t *key, uint64_t now_ns)
{
	const struct social_routes_params *params = &routes->params;
	const struct social_ground *ground = params->ground;
	struct social_route_hint hint = {.key = key, .tier = params->tier_of(params->ctx, key)};
	struct mesh_neighbour neighbour;
	struct route *route;

	if (hint.tier == SOCIAL_TIER_NONE ||
	    !ground->neighbours->find(ground->mesh.mesh, key, &neighbour))
		return;
	hint.teller = &neighbour.remote;
	route = route_take(routes, &hint, now_ns);
	if (!route)
		return;
	route_use(routes, route);
	(void)session_note(route, &neighbour);
	route->seen_ms = social_wall_ms(ground);
	social_route_changed(routes, route, now_ns);
}

int social_route_note(struct social_routes *routes, const struct social_route_hint *hint,
		      uint64_t now_ns)
{
	struct route *route = route_take(routes, hint, now_ns);

	if (!route)
		return WEFT_EFULL;
	route_use(routes, route);
	for (unsigned i = 0; hint->places && i < hint->places->addr_cnt; i++)
		(void)told_add(route, &hint->places->addrs[i]);
	social_route_changed(routes, route, now_ns);
	return 0;
}

void social_route_note_anchor(struct social_routes *routes, const uint8_t *key,
			      const struct peer_places *places, uint64_t now_ns)
{
	const struct route *route = social_route_find(routes, key);
	const struct social_route_hint hint = {.key = key,
					       .tier = route && route->tier > SOCIAL_TIER_ANCHOR
							       ? route->tier
							       : SOCIAL_TIER_ANCHOR,
					       .places = places};

	(void)!social_route_note(routes, &hint, now_ns);
}

static int record_judge(const struct social_routes *routes, const struct route *route,
			const struct social_address *address)
{
	if (address->time_ms > social_wall_ms(routes->params.ground) + SOCIAL_ROUTE_AHEAD_MS)
		return WEFT_EREFUSED;
	if (!route || !route->record_len || address->time_ms > route->address.time_ms)
		return 0;
	return address->time_ms == route->address.time_ms ? WEFT_EEXISTS : WEFT_ESTALE;
}

int social_route_take_record(struct social_routes *routes, const struct social_record *record,
			     struct social_address *out_address, uint64_t now_ns)
{
	const struct social_routes_params *params = &routes->params;
	struct social_route_hint hint = {.introduced_by = record->introduced_by};
	struct route *route;
	int err = social_address_read(record->bytes, record->len, out_address);

	if (err == 0)
		err = record_judge(routes, social_route_find(routes, out_address->node),
				   out_address);
	if (err < 0) {
		routes->stats.stale_cnt += err != WEFT_EEXISTS;
		return err;
	}
	hint.key = out_address->node;
	hint.tier = params->tier_of(params->ctx, hint.key);
	hint.teller = out_address->places.addr_cnt ? &out_address->places.addrs[0] : NULL;
	if (hint.tier == SOCIAL_TIER_NONE) {
		routes->stats.stale_cnt++;
		return WEFT_EABSENT;
	}
	if (!(route = route_take(routes, &hint, now_ns)))
		return WEFT_EFULL;
	route->address = *out_address;
	route->record_len = (uint16_t)record->len;
	memcpy(route->record, record->bytes, record->len);
	routes->stats.record_cnt++;
	social_route_changed(routes, route, now_ns);
	return 0;
}

void social_route_drop(struct social_routes *routes, const uint8_t *key, uint64_t now_ns)
{
	struct route *route = social_route_find(routes, key);

	if (route)
		route_release(routes, route, now_ns);
}

/* --- what is known --- */

static void place_add(struct social_route *out, const struct addr *addr, bool is_told)
{
	struct peer_places *places = &out->places;

	if (addr->family == ADDR_NONE || places->addr_cnt == PEER_ADDRS_MAX)
		return;
	for (unsigned i = 0; i < places->addr_cnt; i++)
		if (addr_equal(&places->addrs[i], addr))
			return;
	places->addrs[places->addr_cnt++] = *addr;
	out->told_cnt += is_told;
}

static void route_show(const struct route *route, struct social_route *out)
{
	const struct peer_places *record = &route->address.places;

	*out = (struct social_route){.tier = route->tier,
				     .seen_ms = route->seen_ms,
				     .is_introduced = route->is_introduced};
	memcpy(out->key, route->key, sizeof(out->key));
	memcpy(out->introduced_by, route->introduced_by, sizeof(out->introduced_by));
	place_add(out, &route->proved, false);
	if (route->record_len) {
		out->record_ms = route->address.time_ms;
		out->caps = route->address.caps;
		out->places.via_cnt = record->via_cnt;
		memcpy(out->places.vias, record->vias, sizeof(out->places.vias));
		for (unsigned i = 0; i < record->addr_cnt; i++)
			place_add(out, &record->addrs[i], true);
	}
	for (unsigned i = route->told_cnt; i > 0; i--)
		place_add(out, &route->told[i - 1], true);
}

bool social_route_look(const struct social_routes *routes, const uint8_t *key,
		       struct social_route *out_route)
{
	const struct route *route = social_route_find(routes, key);

	if (route)
		route_show(route, out_route);
	return route != NULL;
}

bool social_route_is_kept(const struct social_routes *routes, const uint8_t *key)
{
	return social_route_find(routes, key) != NULL;
}

const uint8_t *social_route_record(const struct social_routes *routes, const uint8_t *key,
				   size_t *out_len)
{
	const struct route *route = social_route_find(routes, key);

	if (!route || !route->record_len)
		return NULL;
	*out_len = route->record_len;
	return route->record;
}

void social_routes_each(const struct social_routes *routes,
			void (*fn)(void *arg, const struct social_route *route), void *arg)
{
	struct social_route shown;

	for (unsigned tier = SOCIAL_TIER_CNT; tier-- > 0;) {
		const struct list_node *head = &routes->tiers[tier];

		for (const struct list_node *node = head->next; node != head; node = node->next) {
			route_show(container_of(node, struct route, by_use), &shown);
			fn(arg, &shown);
		}
	}
}

/* --- asking --- */

struct mesh_peer social_route_peer(const struct social_routes *routes, const uint8_t *key,
				   struct peer_places *places)
{
	struct mesh_peer peer = {.is_unsought = true};
	struct social_route route;

	memcpy(peer.key, key, sizeof(peer.key));
	if (!social_route_look(routes, key, &route))
		return peer;
	*places = route.places;
	peer.addrs = places->addrs;
	peer.addr_cnt = places->addr_cnt;
	peer.told_cnt = route.told_cnt;
	return peer;
}

int social_ask(struct social_routes *routes, const struct mesh_ask *ask, uint64_t now_ns,
	       struct mesh_request **out_request)
{
	const struct mesh_seam *mesh = &routes->params.ground->mesh;
	struct mesh_ask unsought = *ask;
	struct peer_places places;

	if (!ask->peer.addr_cnt && !ask->peer.via_cnt) {
		unsought.peer = social_route_peer(routes, ask->peer.key, &places);
		unsought.peer.is_wanted = ask->peer.is_wanted;
	}

	unsought.peer.is_unsought = true;
	routes->stats.asked_cnt++;
	return mesh->ops->ask(mesh->mesh, &unsought, now_ns, out_request);
}

/* --- life --- */

static int lay_out(struct social_routes *routes, const uint64_t secret[2])
{
	const struct fair_config shares = {
		.name = "routes of the audience",
		.cap_cnt = SOCIAL_ROUTES_AUDIENCE_CAP,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
		.parts = FAIR_PEER_PARTS,
	};
	int err = arena_open(&routes->arena, ARENA_GROWS);

	for (unsigned i = 0; i < SOCIAL_TIER_CNT; i++)
		list_init(&routes->tiers[i]);
	if (err == 0)
		err = pool_init(&routes->pool, &routes->arena, sizeof(struct route),
				ROUTES_CAP + 1);
	if (err == 0)
		err = map_init(&routes->by_key, &routes->arena, NODE_KEY_LEN, ROUTES_CAP + 1,
			       secret);
	if (err == 0)
		err = fair_init(&routes->places.fair, &routes->arena, &shares, secret);
	routes->places.paths.secret[0] = secret[0];
	routes->places.paths.secret[1] = secret[1];
	arena_fit(&routes->arena);
	return err;
}

size_t social_routes_footprint(void)
{
	struct social_routes *routes = calloc(1, sizeof(*routes));
	const uint64_t secret[2] = {0};
	size_t len = 0;

	if (!routes)
		return 0;
	if (lay_out(routes, secret) == 0)
		len = sizeof(*routes) + routes->arena.used_len;
	arena_close(&routes->arena);
	free(routes);
	return len;
}

int social_routes_open(const struct social_routes_params *params, struct social_routes **out_routes)
{
	struct social_routes *routes = calloc(1, sizeof(*routes));
	uint64_t secret[2];
	int err;

	if (!routes)
		return -ENOMEM;
	routes->params = *params;
	routes->places.paths.site = params->ground->site;
	timer_init(&routes->timer, social_routes_expire);
	random_fill(params->ground->random, secret, sizeof(secret));
	if ((err = lay_out(routes, secret)) < 0 ||
	    (err = social_routes_load(routes, params->now_ns)) < 0) {
		social_routes_close(routes);
		return err;
	}
	*out_routes = routes;
	return 0;
}

void social_routes_stop(struct social_routes *routes)
{
	if (!routes || routes->is_stopped)
		return;
	routes->is_stopped = true;
	if (!routes->pool.objects)
		return;
	social_routes_flush(routes);
	store_flush(routes->params.ground->store);
}

void social_routes_close(struct social_routes *routes)
{
	if (!routes)
		return;
	social_routes_stop(routes);
	arena_close(&routes->arena);
	free(routes);
}

void social_routes_view(const struct social_routes *routes, struct fair_view *out_view)
{
	fair_read(&routes->places.fair, out_view);
}

void social_routes_stats(const struct social_routes *routes, struct social_routes_stats *out_stats)
{
	*out_stats = routes->stats;
	out_stats->follow_cnt = routes->tier_cnts[SOCIAL_TIER_FOLLOW];
	out_stats->anchor_cnt = routes->tier_cnts[SOCIAL_TIER_ANCHOR];
	out_stats->audience_cnt = routes->tier_cnts[SOCIAL_TIER_AUDIENCE];
}
