/* SPDX-License-Identifier: Apache-2.0 */
/* The fabric's counters, and how full its limits are. */
#include <string.h>

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

const uint32_t service_latency_bounds_us[SERVICE_LATENCY_CNT - 1] = {
	100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 1000000, 10000000,
};

const char *service_refusal_name(enum service_refusal_reason reason)
{
	static const char *const names[SERVICE_REFUSED_CNT] = {
#define REFUSAL(name, word) [SERVICE_REFUSED_##name] = word,
#include "service/refusals.def"
	};

	return names[reason];
}

void service_count(struct service_counts *counts, enum service_status status, uint64_t took_ns)
{
	uint64_t took_us = took_ns / NS_PER_US;
	unsigned bucket = 0;

	while (bucket < SERVICE_LATENCY_CNT - 1 && took_us > service_latency_bounds_us[bucket])
		bucket++;
	counts->status_cnt[status]++;
	counts->latency_cnt[bucket]++;
	counts->latency_sum_us += took_us;
}

/* A caller chooses the name it calls: a name gets its own counts after a successful answer only. */
static struct service_method_counts *method_counts(struct service_offer *offer, const char *method,
						   enum service_status status)
{
	struct service_method_counts *counts;

	for (unsigned i = 1; i <= offer->method_cnt; i++)
		if (strcmp(offer->methods[i].method, method) == 0)
			return &offer->methods[i];
	if (status != SERVICE_OK || offer->method_cnt == SERVICE_METHODS_MAX)
		return &offer->methods[0];
	counts = &offer->methods[++offer->method_cnt];
	strcpy(counts->method, method);
	return counts;
}

void service_call_note(struct service_call *call, enum service_status status, uint64_t now_ns)
{
	struct service *service = call->service;
	struct service_offer *offer = call->admission.offer;
	struct service_access_record record = {
		.method = call->verb[0] ? call->verb : call->head.method,
		.caller = call->caller.key,
		.is_local = call->caller.is_local,
		.is_stream = call->is_stream,
		.status = status,
		.took_ns = now_ns - call->began_ns,
	};

	/* A refused call: a flood of calls must not write the log. */
	if (!offer && status != SERVICE_RATE_LIMITED)
		offer = service_registry_lookup(&service->registry, call->head.service_id,
						call->head.has_major ? &call->head.major : NULL);
	if (!offer || call->is_noted)
		return;
	call->is_noted = true;
	record.service = offer->offering.name;
	record.version = offer->offering.version;
	service_count(&method_counts(offer, record.method, status)->counts, status, record.took_ns);
	if (service->params.on_access)
		service->params.on_access(service->params.ctx, &record, now_ns);
}

void service_stats(const struct service *service, struct service_stats *out_stats)
{
	struct heap_usage usage;

	heap_usage(service->heap, &usage);
	*out_stats = service->stats;
	out_stats->offer_cnt = service->registry.offers.used_cnt;
	out_stats->in_hand_cnt = service->peer_call_cnt;
	out_stats->pending_cnt = service->pending_cnt;
	out_stats->channel_cnt = service->channels.used_cnt;
	out_stats->peer_cnt = service_callers_peer_cnt(&service->callers);
	out_stats->idempotency_cnt = service->idempotent.idempotent.used_cnt;
	out_stats->memory_len = usage.used_len;
	out_stats->memory_peak_len = usage.peak_len;
}

/* False: the limit has no counter, as the length of a payload. */
static bool limit_used(const struct service *service, enum service_limit which, uint64_t now_ns,
		       uint64_t *out_used)
{
	struct service_stats stats;

	service_stats(service, &stats);
	switch (which) {
	case SERVICE_LIMIT_memory_len:
		*out_used = stats.memory_len;
		return true;
	case SERVICE_LIMIT_offer_cnt:
		*out_used = stats.offer_cnt;
		return true;
	case SERVICE_LIMIT_in_hand_cnt:
		*out_used = stats.in_hand_cnt;
		return true;
	case SERVICE_LIMIT_peer_cnt:
		*out_used = stats.peer_cnt;
		return true;
	case SERVICE_LIMIT_idempotency_cnt:
		*out_used = stats.idempotency_cnt;
		return true;
	case SERVICE_LIMIT_out_pending_cnt:
		*out_used = stats.pending_cnt;
		return true;
	case SERVICE_LIMIT_hedges_per_100:
		*out_used = service->hedge_cnt;
		return true;
	case SERVICE_LIMIT_channel_cnt:
		*out_used = stats.channel_cnt;
		return true;
	case SERVICE_LIMIT_subscriber_cnt:
		*out_used = service->topics.places.held_cnt;
		return true;
	case SERVICE_LIMIT_topic_cnt:
		*out_used = service->topics.kept_cnt;
		return true;
	case SERVICE_LIMIT_out_per_peer:
		*out_used = service_routes_busiest(&service->routes);
		return true;
	default:
		return service_callers_used(&service->callers, which, now_ns, out_used);
	}
}

bool service_limits_next(struct service_limit_iter *iter, struct service_limit_state *out_state)
{
	unsigned idx = iter->idx;

	if (idx == SERVICE_LIMIT_CNT)
		return false;
	iter->idx++;
	*out_state = (struct service_limit_state){
		.info = &service_limit_infos[idx],
		.value = service_limit_value(service_limits_of(iter->service), idx),
	};
	out_state->has_fill = limit_used(iter->service, idx, iter->now_ns, &out_state->used);
	return true;
}
