/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes past a silent provider. A call that only reads is taken back when its provider is silent
 * for longer than its answers take. It goes to the next provider. In "The tail at scale" (Dean
 * and Barroso 2013) both are asked, here one at a time. The last provider has all the time that
 * is left. At most service.hedges of 100 such calls go on, which bounds the extra work for slow
 * providers. Home worker.
 */
#include "base/monotonic.h"
#include "call_ask.h"
#include "service/service_state.h"

/* As in the timeout of RFC 6298: the mean, and four times the mean deviation. */
#define DEVIATIONS	   4
#define SILENCE_MIN_NS	   (50 * NS_PER_MS)
#define SILENCE_UNKNOWN_NS NS_PER_S /* of a provider that never answered yet */
#define WINDOW_CALLS	   100

static uint64_t silence_ns(const struct service_ask *ask)
{
	const struct service_provider *provider = service_ask_provider(ask);
	const struct service_route *route =
		service_routes_lookup(&ask->service->routes, provider->service_id, provider->key);
	uint64_t usual_ns;

	if (!route || !route->latency_ns)
		return SILENCE_UNKNOWN_NS;
	usual_ns = route->latency_ns + DEVIATIONS * route->deviation_ns;
	return usual_ns > SILENCE_MIN_NS ? usual_ns : SILENCE_MIN_NS;
}

void service_hedge_arm(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;

	if (ask->is_named || ask->is_pinned || ask->is_again ||
	    !service_ask_provider(ask)->is_read_only || ask->provider_idx + 1 >= ask->provider_cnt)
		return;
	if (ask->provider_idx == 0 && ++service->hedge_call_cnt > WINDOW_CALLS) {
		service->hedge_call_cnt = 1;
		service->hedge_cnt = 0;
	}
	ask->hedge_ns = now_ns + silence_ns(ask);
	if (ask->hedge_ns < ask->deadline_ns)
		timer_set(service->params.timers, &ask->timer, ask->hedge_ns);
}

bool service_hedge_fire(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	bool is_silent = (ask->state == SERVICE_ASK_SENT || ask->state == SERVICE_ASK_UNSENT) &&
			 ask->intake.frame_len == 0 && !ask->is_pinned;

	if (!ask->hedge_ns || now_ns < ask->hedge_ns || now_ns >= ask->deadline_ns)
		return false;
	ask->hedge_ns = 0;
	timer_set(service->params.timers, &ask->timer, ask->deadline_ns);
	if (!is_silent || service->hedge_cnt >= service_limits_of(service)->hedges_per_100)
		return true;
	service->hedge_cnt++;
	service->stats.hedged_cnt++;
	service_ask_pass_by(ask, now_ns);
	return true;
}
