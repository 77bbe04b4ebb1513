/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of all kinds of offers: limits of their calls and streams, and their events. */
#include "provider/waiting.h"

#include "base/assert.h"
#include "base/monotonic.h"

/* Calls and streams at once of an offer that says nothing of it. */
static const uint32_t concurrency_defaults[PROVIDER_KIND_CNT] = {
	[PROVIDER_HTTP] = 256,
	[PROVIDER_SOCKET] = 16,
	[PROVIDER_EXEC] = 4,
};

uint32_t provider_offer_concurrency(const struct offer *offer)
{
	const struct provider_spec *view = &offer->spec.view;

	return view->concurrency_max ? view->concurrency_max : concurrency_defaults[view->kind];
}

bool provider_offer_is_busy(const struct offer *offer)
{
	return offer->active_cnt >= provider_offer_concurrency(offer);
}

static struct fair_path place_path(const struct offer *offer, const struct service_caller *caller)
{
	const struct fair_paths *paths = &offer->provider->paths;
	struct fair_path path;

	fair_path_start(FAIR_UNKNOWN, &path);
	fair_path_add(paths, &path, &offer, sizeof(offer));
	for (unsigned level = 0; level < caller->path.level_cnt; level++)
		fair_path_add(paths, &path, &caller->path.ids[level], sizeof(uint64_t));
	return path;
}

static bool provider_is_busy(const struct provider *provider)
{
	return provider->active_cnt >= provider->config.active_cap;
}

void provider_offer_make_room(struct offer *offer, const struct service_caller *caller,
			      uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	bool is_own = provider_offer_is_busy(offer); /* its limit, not that of all offers */
	struct fair_path path;
	struct fair_item *item;
	struct active *active;

	if (!is_own && !provider_is_busy(provider))
		return;
	path = place_path(offer, caller);
	item = is_own ? fair_victim_within(&provider->places, &path, now_ns)
		      : fair_victim(&provider->places, &path, now_ns);
	active = item ? container_of(item, struct active, place) : NULL;
	if (!active || !active->kind->is_stream)
		return;
	fair_evict(&provider->places, item, now_ns);
	active->kind->abandon(active, "its place went to a caller that has fewer streams", now_ns);
}

bool provider_offer_enter(struct offer *offer, struct active *active,
			  const struct active_kind *kind, const struct service_caller *caller,
			  uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct fair_path path = place_path(offer, caller);
	struct fair_item *victim = NULL;

	if (provider_offer_is_busy(offer) || provider_is_busy(provider)) {
		fair_refuse(&provider->places, &path, now_ns);
		provider->stats.refused_cnt++;
		return false;
	}
	active->offer = offer;
	active->is_apart = false;
	active->kind = kind;
	/* There are as many places as there may be actives. */
	if (fair_take(&provider->places, &path, &active->place, now_ns, &victim) != FAIR_TAKEN)
		weft_assert(false);
	/* The program owes an answer to a call, which is never taken back. */
	if (!kind->is_stream)
		fair_wait_own(&provider->places, &active->place, now_ns);
	list_push_back(&offer->actives, &active->link);
	offer->active_cnt++;
	provider->active_cnt++;
	if (provider->active_cnt > provider->active_peak_cnt)
		provider->active_peak_cnt = provider->active_cnt;
	return true;
}

bool provider_offer_is_idle(const struct offer *offer)
{
	return offer->active_cnt + offer->apart_cnt == 0;
}

static void active_uncount(struct offer *offer)
{
	offer->active_cnt--;
	offer->provider->active_cnt--;
	provider_waiting_wake(offer);
}

void provider_offer_set_apart(struct active *active)
{
	fair_release(&active->offer->provider->places, &active->place,
		     active->offer->provider->places.now_ns);
	active->is_apart = true;
	active->offer->apart_cnt++;
	active_uncount(active->offer);
}

void provider_offer_leave(struct active *active)
{
	struct offer *offer = active->offer;

	fair_release(&offer->provider->places, &active->place, offer->provider->places.now_ns);
	list_unlink(&active->link);
	if (active->is_apart)
		offer->apart_cnt--;
	else
		active_uncount(offer);
	if (offer->is_gone && provider_offer_is_idle(offer))
		pool_release(&offer->provider->offers, offer);
}

void provider_offer_tell(struct offer *offer, enum provider_event_kind kind, const char *text,
			 uint64_t now_ns)
{
	const struct provider_event event = {
		.kind = kind,
		.name = offer->spec.view.name,
		.version = offer->spec.view.version,
		.text = text ? text : "",
	};

	offer->provider->event(offer->provider->ctx, &event, now_ns);
}

void provider_offer_failed(struct offer *offer, const char *fault, uint64_t now_ns)
{
	offer->failed_cnt++;
	offer->provider->stats.failed_cnt++;
	if (offer->told_ns && now_ns - offer->told_ns < NS_PER_S)
		return;
	offer->told_ns = now_ns;
	provider_offer_tell(offer, PROVIDER_EVENT_FAILED, fault, now_ns);
}

void provider_offer_said(struct offer *offer, const char *line, uint64_t now_ns)
{
	if (offer->said_cnt == 0 || now_ns - offer->said_ns >= NS_PER_S) {
		offer->said_ns = now_ns;
		offer->said_cnt = 0;
	}
	if (offer->said_cnt >= PROVIDER_STDERR_PER_S)
		return;
	offer->said_cnt++;
	provider_offer_tell(offer, PROVIDER_EVENT_STDERR, line, now_ns);
}

uint64_t provider_offer_timeout_ns(const struct offer *offer)
{
	uint64_t timeout_ns = offer->spec.view.timeout_ns;

	return timeout_ns ? timeout_ns : offer->provider->config.timeout_ns;
}

size_t provider_offer_payload_len_max(const struct offer *offer)
{
	uint32_t len_max = offer->spec.view.payload_len_max;

	return len_max ? len_max : SERVICE_PAYLOAD_LEN_MAX;
}
