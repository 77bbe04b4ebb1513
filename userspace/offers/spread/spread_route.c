/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to providers. The neighbour that first brought a provider's announce leads to it, and so does
 * one that brought it later. A Reserve, and a Cancel of its consumer, go that way from node to node.
 * Where no session leads on, the handler may keep it for the provider.
 */
#include <string.h>

#include "base/monotonic.h"
#include "offers/message/service_query.h"
#include "spread_state.h"

#define SWEEP_NS   (60 * NS_PER_S)
#define MET_LIFE_S (24u * 3600) /* of a neighbour that was met, without an offer */

static void route_free(struct offer_spread *spread, struct spread_route *route, uint64_t now_ns)
{
	offers_spread_keep_route_delete(spread, route, now_ns);
	map_delete(&spread->by_address, route->address);
	fair_release(&spread->route_places.fair, &route->share, now_ns);
	pool_release(&spread->routes, route);
}

/* Those whose offers have expired. */
static void routes_sweep(struct offer_spread *spread, uint64_t now_ns)
{
	uint64_t wall_s = spread->params.wall_s(spread->params.ctx);
	struct spread_route *route = NULL;

	if (now_ns < spread->swept_ns + SWEEP_NS)
		return;
	spread->swept_ns = now_ns;
	while ((route = pool_next(&spread->routes, route)))
		if (route->expires_s <= wall_s)
			route_free(spread, route, now_ns);
}

/* A place in the share of path; NULL: there is none. */
static struct spread_route *route_new(struct offer_spread *spread, const uint8_t *address,
				      const struct fair_path *path, uint64_t now_ns)
{
	struct spread_route *route;
	struct fair_item *victim;

	if (spread->routes.used_cnt + 1 >= spread->routes.cap_cnt)
		routes_sweep(spread, now_ns);
	route = pool_acquire(&spread->routes);
	if (!route)
		return NULL;
	switch (fair_take(&spread->route_places.fair, path, &route->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		spread->stats.route_evicted_cnt++;
		route_free(spread, (struct spread_route *)victim, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&spread->routes, route);
		return NULL;
	}
	memcpy(route->address, address, sizeof(route->address));
	if (map_put(&spread->by_address, route->address, route) == 0)
		return route;
	fair_release(&spread->route_places.fair, &route->share, now_ns);
	pool_release(&spread->routes, route);
	return NULL;
}

static bool is_connected(struct offer_spread *spread, const uint8_t *key)
{
	struct mesh_path path;

	/* Another worker's session is none: the peer would leave that worker. */
	return spread->params.neighbours->path(spread->params.mesh.mesh, key, &path) &&
	       path.session != 0;
}

/* The hop in which key may stand: its own, a free one, or that of a neighbour that is worth less. */
static struct spread_hop *hop_for(struct offer_spread *spread, struct spread_route *route,
				  const struct spread_way *way)
{
	struct spread_hop *place = NULL;

	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS; i++)
		if (route->hops[i].is_set &&
		    memcmp(route->hops[i].key, way->key, MESH_KEY_LEN) == 0)
			return &route->hops[i];
	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS && !place; i++)
		if (!route->hops[i].is_set || (way->is_proved && !route->hops[i].is_proved))
			place = &route->hops[i];
	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS && !place; i++)
		if (!is_connected(spread, route->hops[i].key) &&
		    (way->is_proved || !route->hops[i].is_proved))
			place = &route->hops[i];
	if (place)
		*place = (struct spread_hop){.is_set = true};
	return place;
}

/* The route of address, in the share of the neighbour key where it is new; NULL: there is no place. */
static struct spread_route *route_of(struct offer_spread *spread, const uint8_t *address,
				     const uint8_t *key, uint64_t now_ns)
{
	const struct mesh_neighbour_ops *neighbours = spread->params.neighbours;
	struct spread_route *route = map_lookup(&spread->by_address, address);
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct fair_path account;

	if (route)
		return route;
	(void)neighbours->path(spread->params.mesh.mesh, key, &path);
	neighbours->account(spread->params.mesh.mesh, key, &path.remote, &account);
	route = route_new(spread, address, &account, now_ns);
	if (route) {
		route->source.family = path.remote.family;
		memcpy(route->source.ip, path.remote.ip, sizeof(route->source.ip));
	}
	return route;
}

bool offers_spread_route_restore(struct offer_spread *spread, const struct spread_route *saved,
				 uint64_t now_ns)
{
	const struct spread_hop *first = &saved->hops[saved->hops[0].is_set ? 0 : 1];
	struct spread_route *route;
	struct fair_path account;

	if (!first->is_set || saved->expires_s <= spread->params.wall_s(spread->params.ctx) ||
	    map_lookup(&spread->by_address, saved->address))
		return false;
	spread->params.neighbours->account(spread->params.mesh.mesh, first->key, &saved->source,
					   &account);
	route = route_new(spread, saved->address, &account, now_ns);
	if (!route)
		return false;
	memcpy(route->hops, saved->hops, sizeof(route->hops));
	route->source = saved->source;
	route->expires_s = saved->expires_s;
	route->saved_s = saved->saved_s;
	return true;
}

void offers_spread_note_way(struct offer_spread *spread, const struct spread_way *way,
			    uint64_t now_ns)
{
	struct spread_route *route = route_of(spread, way->address, way->key, now_ns);
	struct spread_hop *hop = route ? hop_for(spread, route, way) : NULL;
	bool is_news;

	if (!hop)
		return;
	is_news = memcmp(hop->key, way->key, MESH_KEY_LEN) != 0;
	if (way->expires_s > route->expires_s)
		route->expires_s = way->expires_s;
	if (is_news || hop->is_proved < way->is_proved ||
	    route->expires_s > route->saved_s + SPREAD_PROLONG_S)
		offers_spread_keep_route(spread, route, now_ns);
	memcpy(hop->key, way->key, MESH_KEY_LEN);
	hop->is_proved |= way->is_proved;
	if (is_news)
		offers_spread_waits_look(spread, way->address, now_ns);
}

bool offers_spread_wants_proof(struct offer_spread *spread, const uint8_t *address,
			       const uint8_t *key)
{
	const struct spread_route *route = map_lookup(&spread->by_address, address);
	unsigned proved_cnt = 0;

	for (unsigned i = 0; route && i < SPREAD_ROUTE_HOPS; i++) {
		if (route->hops[i].is_proved && memcmp(route->hops[i].key, key, MESH_KEY_LEN) == 0)
			return false;
		proved_cnt += route->hops[i].is_proved && is_connected(spread, route->hops[i].key);
	}
	return proved_cnt < SPREAD_ROUTE_HOPS;
}

void offers_spread_note_response(struct offer_spread *spread, const uint8_t *peer,
				 const struct service_response *response, uint64_t now_ns)
{
	for (unsigned i = 0; i < response->entry_cnt; i++) {
		const struct service_response_entry *entry = &response->entries[i];
		struct service_message announce;

		if (offers_message_parse(entry->announce, entry->announce_len, &announce) == 0)
			offers_spread_note_way(
				spread,
				&(struct spread_way){.address = announce.provider,
						     .key = peer,
						     .expires_s =
							     offers_message_expires_s(&announce)},
				now_ns);
	}
}

void offers_spread_meet(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns)
{
	uint64_t end_s = spread->params.wall_s(spread->params.ctx) + MET_LIFE_S;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct spread_route *route;

	offers_address(key, address);
	route = route_of(spread, address, key, now_ns);
	if (route) {
		memcpy(route->direct.key, key, MESH_KEY_LEN);
		route->direct.is_set = true;
		if (end_s > route->expires_s)
			route->expires_s = end_s;
	}
	/* It may lead on to others, too. */
	offers_spread_waits_look(spread, NULL, now_ns);
}

/* --- on the way --- */

const uint8_t *offers_spread_next(struct offer_spread *spread, const uint8_t *address,
				  const uint8_t *except)
{
	struct spread_route *route = map_lookup(&spread->by_address, address);

	if (!route)
		return NULL;
	if (route->direct.is_set && is_connected(spread, route->direct.key))
		return route->direct.key;
	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS; i++) {
		const struct spread_hop *hop = &route->hops[i];

		if (hop->is_set && (!except || memcmp(hop->key, except, MESH_KEY_LEN) != 0) &&
		    is_connected(spread, hop->key))
			return hop->key;
	}
	return NULL;
}

bool offers_spread_walk(struct offer_spread *spread, const struct spread_walk *walk,
			uint64_t now_ns)
{
	struct spread_flood flood = {.bytes = walk->bytes,
				     .len = walk->len,
				     .jitter_ns = SPREAD_JITTER_NS,
				     .fan_out = 1,
				     .except = walk->avoid};
	struct service_message message;
	const uint8_t *next;

	if (offers_message_parse(walk->bytes, walk->len, &message) < 0)
		return false;
	flood.hop_cnt = message.hop_cnt;
	next = offers_spread_next(spread, message.provider, walk->avoid);
	if (!next)
		next = offers_spread_next(spread, message.provider, NULL);
	if (next)
		return offers_spread_send_to(spread, next, &flood, now_ns);
	/* The first neighbour may know a way, or keep it. */
	if (offers_spread_forward(spread, &flood, now_ns) > 0)
		return true;
	flood.except = NULL;
	return walk->avoid && offers_spread_forward(spread, &flood, now_ns) > 0;
}

/* No session leads on: the handler's last word on message, which came from peer. */
static enum spread_verdict strand(struct offer_spread *spread, const struct spread_message *heard,
				  const char **out_why)
{
	const struct spread_handler *handler = &spread->params.handler;

	*out_why = "no way leads to the provider now";
	if (handler->strand && handler->strand(handler->ctx, heard, out_why) != SPREAD_REFUSED) {
		offers_spread_wait_add(spread, heard);
		spread->stats.stranded_cnt++;
		return SPREAD_NEW;
	}
	spread->stats.wayless_cnt++;
	return SPREAD_REFUSED;
}

void offers_spread_strand(struct offer_spread *spread, const uint8_t *bytes, size_t len,
			  const uint8_t *peer, uint64_t now_ns)
{
	struct service_message message;
	const struct spread_message heard = {
		.parsed = &message, .bytes = bytes, .len = len, .peer = peer, .now_ns = now_ns};
	const char *why;

	if (offers_message_parse(bytes, len, &message) == 0)
		(void)strand(spread, &heard, &why);
}

enum spread_verdict offers_spread_pass(struct offer_spread *spread,
				       const struct spread_message *heard, const char **out_why)
{
	const struct spread_handler *handler = &spread->params.handler;
	const struct service_message *message = heard->parsed;
	const struct spread_flood flood = {
		.bytes = heard->bytes,
		.len = heard->len,
		.hop_cnt = (uint8_t)(message->hop_cnt + 1),
		.jitter_ns = SPREAD_JITTER_NS,
		.from = heard->peer,
	};
	const uint8_t *next;

	if (!handler->reserve)
		return strand(spread, heard, out_why);
	if (memcmp(message->provider, spread->params.address, SERVICE_MESSAGE_ADDRESS_LEN) == 0)
		return handler->reserve(handler->ctx, heard, out_why);
	next = offers_spread_next(spread, message->provider, heard->peer);
	if (next && offers_message_hop(message, SPREAD_WALK_HOPS_MAX) == SERVICE_MESSAGE_FORWARD &&
	    offers_spread_send_to(spread, next, &flood, heard->now_ns)) {
		spread->stats.walked_cnt++;
		return SPREAD_NEW;
	}
	return strand(spread, heard, out_why);
}
