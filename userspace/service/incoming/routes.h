/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_ROUTES_H
#define WEFT_SERVICE_INCOMING_ROUTES_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/fair/turns.h"
#include "service/limits/circuit.h"
#include "service/service.h"

struct arena;

/* The meaning of a call's end for a service at its provider. */
enum service_verdict {
	SERVICE_VERDICT_NONE,
	SERVICE_VERDICT_GOOD,
	SERVICE_VERDICT_REFUSED, /* it is there, and others should be asked first */
	SERVICE_VERDICT_FAILED,
};
enum service_verdict service_verdict_of(enum service_status status);

/*
 * Results of this node's calls: how each service fares at each provider, and how much is under way
 * at each provider. The tables have a fixed size; the route used longest ago makes room.
 */
struct service_route {
	struct service_route_key {
		uint8_t service_id[SERVICE_ID_LEN];
		uint8_t provider[MESH_KEY_LEN];
	} key;
	struct list_node node; /* of all, oldest first */
	struct service_circuit circuit;
	uint64_t latency_ns;	/* of answers, moving average; 0: none yet */
	uint64_t deviation_ns;	/* of these from it, likewise */
	uint64_t away_until_ns; /* its node was not reached: others are asked first */
	uint64_t busy_until_ns; /* it named a time before which it has no room: likewise */
	unsigned refusal_cnt;	/* refusals in a row, the last answers; a refusal is no failure */
	uint32_t success;	/* how many of 1,000 calls end well, moving average */
};

/* A provider while calls to it are under way. */
struct service_outlet {
	uint8_t provider[MESH_KEY_LEN];
	uint64_t busy_cnt;
	struct list_node busy; /* asks under way there */
	struct turns waiting;  /* asks, by user and program */
};

struct service_routes {
	struct pool routes, outlets;
	struct pool turn_accounts; /* of all outlets' waiting */
	struct map routes_by_key, outlets_by_key;
	struct list_node by_age;
};

WEFT_MUST_CHECK
int service_routes_init(struct service_routes *routes, struct arena *arena,
			const struct service_limits *limits, const uint64_t secret[2]);
/* service_routes_lookup: NULL when it was not used. service_routes_use makes it if need be. */
struct service_route *service_routes_lookup(const struct service_routes *routes,
					    const uint8_t *service_id, const uint8_t *provider);
struct service_route *service_routes_use(struct service_routes *routes, const uint8_t *service_id,
					 const uint8_t *provider);
/* service_route_note: a call ended after took_ns. */
void service_route_note(struct service_route *route, enum service_verdict verdict,
			uint64_t took_ns);
/* service_route_note_silence: there was no answer for silent_ns, and it was not waited for. */
void service_route_note_silence(struct service_route *route, uint64_t silent_ns);
/* service_route_is_good: it answered lately, or refused, which its own time undoes. */
bool service_route_is_good(const struct service_route *route);
/* service_route_health: 0 to 100. */
unsigned service_route_health(const struct service_route *route);
/*
 * service_outlet_of makes it if need be; there is room for all that are pending.
 * service_outlet_release drops it when nothing is under way and no ask waits.
 */
struct service_outlet *service_outlet_of(struct service_routes *routes, const uint8_t *provider);
/* service_outlet_lookup: NULL: nothing is under way there. */
const struct service_outlet *service_outlet_lookup(const struct service_routes *routes,
						   const uint8_t *provider);
void service_outlet_release(struct service_routes *routes, struct service_outlet *outlet);
/* service_routes_busiest: calls under way at the provider that has most. */
uint64_t service_routes_busiest(const struct service_routes *routes);

#endif
