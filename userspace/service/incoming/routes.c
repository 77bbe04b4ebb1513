/* SPDX-License-Identifier: Apache-2.0 */
#include "routes.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/limits/askers.h"

/* The weight of one answer in the moving average of latencies, as of a round trip in RFC 6298. */
#define LATENCY_WEIGHT	 8
#define DEVIATION_WEIGHT 4
/* A few calls suffice to see which provider answers; before the first all count as even. */
#define SUCCESS_WEIGHT 4
#define SUCCESS_ALL    1000u
/* A provider with this latency is worth half of one without any. */
#define SLOW_MS 1000u
/* The bytes of a turn; a call costs its payload and as much as a small one. */
#define TURN_QUANTUM_LEN 16384

static uint32_t route_cap(const struct service_limits *limits)
{
	return (uint32_t)limits->peer_cnt;
}

/* Each ask that is pending, and each stream, names one provider at most. */
static uint32_t outlet_cap(const struct service_limits *limits)
{
	return (uint32_t)(limits->out_pending_cnt + limits->channel_cnt);
}

/*
 * The users and programs whose asks wait, each at one outlet. There is one ask more: it waits
 * before another goes.
 */
static uint32_t turn_account_cap(const struct service_limits *limits)
{
	return (outlet_cap(limits) + 1) * SERVICE_TURN_LEVELS;
}

int service_routes_init(struct service_routes *routes, struct arena *arena,
			const struct service_limits *limits, const uint64_t secret[2])
{
	int err;

	list_init(&routes->by_age);
	if ((err = pool_init(&routes->routes, arena, sizeof(struct service_route),
			     route_cap(limits))) < 0 ||
	    (err = map_init(&routes->routes_by_key, arena, sizeof(struct service_route_key),
			    route_cap(limits), secret)) < 0 ||
	    (err = pool_init(&routes->outlets, arena, sizeof(struct service_outlet),
			     outlet_cap(limits))) < 0 ||
	    (err = pool_init(&routes->turn_accounts, arena, sizeof(struct turns_account),
			     turn_account_cap(limits))) < 0)
		return err;
	return map_init(&routes->outlets_by_key, arena, MESH_KEY_LEN, outlet_cap(limits), secret);
}

static struct service_route_key key_of(const uint8_t *service_id, const uint8_t *provider)
{
	struct service_route_key key;

	memcpy(key.service_id, service_id, sizeof(key.service_id));
	memcpy(key.provider, provider, sizeof(key.provider));
	return key;
}

struct service_route *service_routes_lookup(const struct service_routes *routes,
					    const uint8_t *service_id, const uint8_t *provider)
{
	struct service_route_key key = key_of(service_id, provider);

	return map_lookup(&routes->routes_by_key, &key);
}

struct service_route *service_routes_use(struct service_routes *routes, const uint8_t *service_id,
					 const uint8_t *provider)
{
	struct service_route_key key = key_of(service_id, provider);
	struct service_route *route = map_lookup(&routes->routes_by_key, &key);
	int err;

	if (route) {
		list_unlink(&route->node);
		list_push_back(&routes->by_age, &route->node);
		return route;
	}
	if (routes->routes.used_cnt == routes->routes.cap_cnt) {
		route = container_of(routes->by_age.next, struct service_route, node);
		map_delete(&routes->routes_by_key, &route->key);
		list_unlink(&route->node);
		pool_release(&routes->routes, route);
	}
	route = pool_acquire(&routes->routes);
	route->key = key;
	route->success = SUCCESS_ALL / 2;
	list_init(&route->node);
	list_push_back(&routes->by_age, &route->node);
	err = map_put(&routes->routes_by_key, &key, route);
	weft_assert(!err);
	return route;
}

enum service_verdict service_verdict_of(enum service_status status)
{
	switch (status) {
	case SERVICE_UNKNOWN_ERROR:
	case SERVICE_TIMEOUT:
		return SERVICE_VERDICT_FAILED;
	case SERVICE_NOT_FOUND:
	case SERVICE_RATE_LIMITED:
	case SERVICE_UNAVAILABLE:
		return SERVICE_VERDICT_REFUSED;
	default:
		return SERVICE_VERDICT_GOOD;
	}
}

static void latency_note(struct service_route *route, uint64_t took_ns)
{
	uint64_t apart_ns = took_ns > route->latency_ns ? took_ns - route->latency_ns
							: route->latency_ns - took_ns;

	if (!route->latency_ns) {
		route->latency_ns = took_ns;
		route->deviation_ns = took_ns / 2;
		return;
	}
	route->deviation_ns += apart_ns / DEVIATION_WEIGHT - route->deviation_ns / DEVIATION_WEIGHT;
	route->latency_ns += took_ns / LATENCY_WEIGHT - route->latency_ns / LATENCY_WEIGHT;
}

void service_route_note_silence(struct service_route *route, uint64_t silent_ns)
{
	latency_note(route, silent_ns);
}

void service_route_note(struct service_route *route, enum service_verdict verdict, uint64_t took_ns)
{
	route->success -= route->success / SUCCESS_WEIGHT;
	route->refusal_cnt = verdict == SERVICE_VERDICT_REFUSED ? route->refusal_cnt + 1 : 0;
	if (verdict != SERVICE_VERDICT_GOOD)
		return;
	route->success += SUCCESS_ALL / SUCCESS_WEIGHT;
	route->away_until_ns = 0;
	route->busy_until_ns = 0;
	latency_note(route, took_ns);
}

bool service_route_is_good(const struct service_route *route)
{
	return route->refusal_cnt || route->success >= SUCCESS_ALL / SUCCESS_WEIGHT;
}

unsigned service_route_health(const struct service_route *route)
{
	uint64_t latency_ms = route->latency_ns / NS_PER_MS;

	return (unsigned)(route->success * 100 / SUCCESS_ALL * SLOW_MS / (SLOW_MS + latency_ms));
}

/* As many as wait are bounded by the asks there are. */
static const struct turns_config turns_config = {.quantum_len = TURN_QUANTUM_LEN,
						 .level_cnt = SERVICE_TURN_LEVELS};

struct service_outlet *service_outlet_of(struct service_routes *routes, const uint8_t *provider)
{
	struct service_outlet *outlet = map_lookup(&routes->outlets_by_key, provider);
	int err;

	if (outlet)
		return outlet;
	outlet = pool_acquire(&routes->outlets);
	weft_assert(outlet);
	memcpy(outlet->provider, provider, sizeof(outlet->provider));
	list_init(&outlet->busy);
	turns_init(&outlet->waiting, &routes->turn_accounts, &turns_config);
	err = map_put(&routes->outlets_by_key, provider, outlet);
	weft_assert(!err);
	return outlet;
}

const struct service_outlet *service_outlet_lookup(const struct service_routes *routes,
						   const uint8_t *provider)
{
	return map_lookup(&routes->outlets_by_key, provider);
}

void service_outlet_release(struct service_routes *routes, struct service_outlet *outlet)
{
	if (outlet->busy_cnt || outlet->waiting.cnt)
		return;
	map_delete(&routes->outlets_by_key, outlet->provider);
	pool_release(&routes->outlets, outlet);
}

uint64_t service_routes_busiest(const struct service_routes *routes)
{
	const struct service_outlet *outlet = NULL;
	uint64_t most = 0;

	while ((outlet = pool_next(&routes->outlets, outlet)))
		most = outlet->busy_cnt > most ? outlet->busy_cnt : most;
	return most;
}
