/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the first provider among those as good as the best. It picks two at random and takes
 * the one with less to do ("the power of two choices", Mitzenmacher 1996). The load is the work
 * that this node has under way there. The work of other nodes there shows in the provider's
 * latency and in its refusals. Home worker.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "call_ask.h"
#include "service/service_state.h"

/* Answers within this are alike; each time twice as long counts as twice as many calls there. */
#define QUICK_NS (80 * NS_PER_MS)

static const struct service_route *route_of(const struct service_ask *ask, unsigned idx)
{
	const struct service_provider *provider = &ask->providers[idx];

	return service_routes_lookup(&ask->service->routes, provider->service_id, provider->key);
}

/* Nothing speaks against asking it: it is not resting, away, busy or failing. */
static bool is_well(const struct service_ask *ask, unsigned idx, uint64_t now_ns)
{
	const struct service_route *route = route_of(ask, idx);
	uint64_t wait_ns;

	return ask->providers[idx].is_equal &&
	       (!route || (service_circuit_admits(&route->circuit, service_limits_of(ask->service),
						  now_ns, &wait_ns) &&
			   now_ns >= route->away_until_ns && now_ns >= route->busy_until_ns &&
			   service_route_is_good(route)));
}

/* The calls under way there, and one more; weighted by its latency. */
static uint64_t cost_of(const struct service_ask *ask, unsigned idx)
{
	const struct service_outlet *outlet =
		service_outlet_lookup(&ask->service->routes, ask->providers[idx].key);
	const struct service_route *route = route_of(ask, idx);
	uint64_t cost = 1 + (outlet ? outlet->busy_cnt + outlet->waiting.cnt : 0);

	for (uint64_t ns = route ? route->latency_ns : 0; ns > QUICK_NS; ns /= 2)
		cost *= 2;
	return cost;
}

void service_ask_spread(struct service_ask *ask, uint64_t now_ns)
{
	struct random *random = ask->service->params.random;
	unsigned well[SERVICE_PROVIDERS_MAX], cnt = 0, first, second;
	struct service_provider chosen;

	for (unsigned i = 0; i < ask->provider_cnt; i++)
		if (is_well(ask, i, now_ns))
			well[cnt++] = i;
	if (!cnt)
		return;
	first = (unsigned)random_below(random, cnt);
	second = cnt == 1 ? first : (first + 1 + (unsigned)random_below(random, cnt - 1)) % cnt;
	first = cost_of(ask, well[first]) <= cost_of(ask, well[second]) ? well[first]
									: well[second];
	chosen = ask->providers[first];
	memmove(&ask->providers[1], &ask->providers[0], first * sizeof(chosen));
	ask->providers[0] = chosen;
}
