/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric as a whole: its memory, its configuration, its counters. The story of a call is on top
 * of router.c (calls of peers) and call_client.c (calls of this node).
 */
#include "service/limits/access.h"
#include "service/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "service/service_channel.h"
#include "service/outgoing/call_client.h"
#include "service/directory/descriptor.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

void service_config_defaults(struct service_config *config)
{
	*config = (struct service_config){
		.timeouts = "shadow-index:60 mesh-stats:5 pod-chat:10",
	};
	service_limits_defaults(&config->limits);
}

/* Reads the next "name:value" of a list; false: there is none, or it is none. */
static bool named_next(const char **at, const char **out_name, size_t *out_len, uint64_t *out_value)
{
	const char *start = *at + strspn(*at, " ");
	const char *colon = strchr(start, ':');
	char *end;

	if (!colon || colon == start || strcspn(start, " ") < (size_t)(colon - start) ||
	    colon[1] < '0' || colon[1] > '9')
		return false;
	errno = 0;
	*out_value = strtoull(colon + 1, &end, 10);
	if (errno || !*out_value || *out_value > UINT32_MAX || (*end && *end != ' '))
		return false;
	*out_name = start;
	*out_len = (size_t)(colon - start);
	*at = end + strspn(end, " ");
	return true;
}

uint64_t service_named_value(const char *list, const char *name)
{
	const char *at = list, *found;
	uint64_t value;
	size_t len;

	while (*at && named_next(&at, &found, &len, &value))
		if (strlen(name) == len && memcmp(found, name, len) == 0)
			return value;
	return 0;
}

static int named_check(const char *list)
{
	const char *at = list, *name;
	uint64_t value;
	size_t len;

	while (*at)
		if (!named_next(&at, &name, &len, &value))
			return WEFT_EMALFORMED;
	return 0;
}

int service_config_check(const struct service_config *config)
{
	return named_check(config->calls) ?: named_check(config->timeouts)
	       ?: (service_groups_are_valid(config->groups) ? 0 : WEFT_EMALFORMED);
}

static int service_lay_out(struct service *service)
{
	const struct service_limits *limits = service_limits_of(service);
	struct arena *arena = &service->arena;
	struct service_topics_params topics = {.limits = limits, .random = service->params.random};
	uint64_t secret[2];
	int err;

	random_fill(service->params.random, secret, sizeof(secret));
	if ((err = heap_new(limits->memory_len, &service->heap)) < 0 ||
	    (err = arena_open(arena, ARENA_GROWS)) < 0 ||
	    (err = service_registry_init(&service->registry, arena, limits, secret)) < 0 ||
	    (err = service_callers_init(&service->callers, arena, limits, secret)) < 0 ||
	    (err = service_idempotency_init(&service->idempotent, arena, limits,
					    service->params.timers, secret)) < 0 ||
	    (err = service_client_init(service)) < 0 ||
	    (err = service_askers_init(&service->askers, arena, limits, secret)) < 0 ||
	    (err = service_routes_init(&service->routes, arena, limits, secret)) < 0 ||
	    (err = service_channels_init(service)) < 0)
		return err;
	topics.heap = service->heap;
	if ((err = service_topics_init(&service->topics, arena, &topics)) < 0)
		return err;
	service->memory.heap = service->heap;
	service->memory.cap_len = limits->memory_len;
	service->idempotent.since_ns = service->params.now_ns;
	err = service_router_init(service, secret);
	arena_fit(arena);
	return err;
}

int service_new(const struct service_params *params, struct service **out_service)
{
	struct service *service;
	int err = service_config_check(&params->config);

	if (err < 0)
		return err;
	service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->params = *params;
	service->config = params->config;
	service->now_ns = params->now_ns;
	memcpy(service->own_key, node_key_public(params->key), sizeof(service->own_key));
	err = service_lay_out(service);
	if (err < 0) {
		service_free(service);
		return err;
	}
	*out_service = service;
	return 0;
}

void service_free(struct service *service)
{
	if (!service)
		return;
	service_router_fini(service);
	service_client_fini(service);
	service_channels_fini(service);
	service_topics_fini(&service->topics);
	service_idempotency_fini(&service->idempotent);
	arena_close(&service->arena);
	heap_free(service->heap);
	free(service);
}

size_t service_footprint(const struct service_config *config)
{
	struct random random;
	const struct service_params params = {.random = &random};
	struct service *service = calloc(1, sizeof(*service));
	size_t len = 0;

	if (!service)
		return 0;
	random_init_seeded(&random, 0);
	service->params = params;
	service->config = *config;
	if (service_lay_out(service) == 0)
		len = sizeof(*service) + service->arena.used_len + config->limits.memory_len;
	service_free(service);
	return len;
}

/* Limits that lay out memory stay as they are. */
void service_configure(struct service *service, const struct service_config *config)
{
	struct service_limits laid_out = service->config.limits;
	struct service_limits *limits = &service->config.limits;

	service->config = *config;
	limits->memory_len = laid_out.memory_len;
	limits->offer_cnt = laid_out.offer_cnt;
	limits->in_hand_cnt = laid_out.in_hand_cnt;
	limits->peer_cnt = laid_out.peer_cnt;
	limits->idempotency_cnt = laid_out.idempotency_cnt;
	limits->channel_cnt = laid_out.channel_cnt;
	limits->subscriber_cnt = laid_out.subscriber_cnt;
	limits->topic_cnt = laid_out.topic_cnt;
	if (limits->out_pending_cnt > laid_out.out_pending_cnt)
		limits->out_pending_cnt = laid_out.out_pending_cnt;
	service_topics_configure(&service->topics, limits);
}

void service_tell(struct service *service, const struct service_event *event, uint64_t now_ns)
{
	if (service->params.on_event)
		service->params.on_event(service->params.ctx, event, now_ns);
}

void service_tell_violation(struct service *service, const uint8_t *key, const char *why,
			    uint64_t now_ns)
{
	if (memcmp(key, service->own_key, sizeof(service->own_key)) == 0)
		return;
	service->stats.violation_cnt++;
	if (service->params.on_violation)
		service->params.on_violation(service->params.ctx, key, why, now_ns);
}

unsigned service_health(const struct service *service, const struct service_descriptor *descriptor,
			uint64_t now_ns)
{
	const struct service_route *route =
		service_routes_lookup(&service->routes, descriptor->id, descriptor->owner);
	uint64_t wait_ns;

	if (!route)
		return 50;
	if (!service_circuit_admits(&route->circuit, service_limits_of(service), now_ns, &wait_ns))
		return 0;
	return now_ns < route->away_until_ns ? 0 : service_route_health(route);
}
