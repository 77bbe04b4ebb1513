/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider as a whole: its configuration and memory, its start and end, its figures. Its offers
 * are in offers.c, their calls in the files of the kinds (http.c program_socket.c exec.c).
 */
#include "provider/provider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "provider/endpoint/endpoints.h"
#include "provider/exec/exec.h"
#include "provider/exec/exec_launch.h"
#include "provider/http/http.h"
#include "provider/http/http_upgrade.h"
#include "provider/http/http_conn.h"
#include "provider/exec/launcher.h"
#include "provider/program_offer.h"
#include "provider/exec/process_place.h"
#include "provider/socket/program_socket.h"
#include "provider/waiting.h"

void provider_config_defaults(struct provider_config *config)
{
	*config = (struct provider_config){
		.offer_cap = 64,
		.active_cap = 512,
		.process_cap = 32,
		.idle_cap = 128,
		.upgrade_cap = 128,
		.memory_len = 64 * 1024 * 1024,
		.health_ns = 5 * NS_PER_S,
		.timeout_ns = 30 * NS_PER_S,
		.stall_ns = 60 * NS_PER_S,
	};
}

static unsigned conn_cap(const struct provider_config *config)
{
	return config->active_cap + config->idle_cap + config->upgrade_cap;
}

/* The pools of one arena. */
struct pool_plan {
	struct pool *pool;
	size_t object_len;
	unsigned cap_cnt;
};
#define POOL_CNT 9

/* One more than wait: a newcomer is there before the one that makes room is gone. */
static uint32_t waiting_cap(const struct provider_config *config)
{
	return config->offer_cap * WAITING_CAP + 1;
}

static void pools_plan(struct provider *provider, const struct provider_config *config,
		       struct pool_plan plan[static POOL_CNT])
{
	const struct pool_plan rows[POOL_CNT] = {
		{&provider->offers, sizeof(struct offer), config->offer_cap},
		{&provider->changes, provider_change_len(), CHANGE_CAP},
		{&provider->http_streams, provider_http_stream_len(),
		 config->active_cap + config->upgrade_cap},
		{&provider->http_conns, sizeof(struct http_conn), conn_cap(config)},
		{&provider->socket_calls, provider_socket_call_len(), config->active_cap},
		{&provider->socket_streams, provider_socket_stream_len(), config->active_cap},
		{&provider->processes, provider_exec_process_len(), config->process_cap},
		{&provider->waiting, provider_waiting_len(), waiting_cap(config)},
		{&provider->turn_accounts, sizeof(struct turns_account),
		 waiting_cap(config) * TURNS_PEER_LEVELS},
	};

	memcpy(plan, rows, sizeof(rows));
}

/* One class for all; the first level of a path is the offer. */
static struct fair_config places_config(const struct provider_config *config)
{
	_Static_assert(FAIR_PEER_LEVELS < FAIR_LEVEL_MAX, "an offer and a caller's path are one");
	return (struct fair_config){.name = "service.program_calls",
				    .kind = FAIR_LASTING,
				    .cap_cnt = config->active_cap,
				    .level_cnt = FAIR_PEER_LEVELS + 1};
}

unsigned provider_watch_cap(const struct provider_config *config)
{
	/* A process takes three, its standard files, and the launcher one. */
	return config->offer_cap + conn_cap(config) + 3 * config->process_cap + 1 +
	       ENDPOINT_STREAM_MAX + ENDPOINT_ASKED_MAX;
}

static int pools_init(struct provider *provider)
{
	const struct fair_config places = places_config(&provider->config);
	struct pool_plan plan[POOL_CNT];
	int err = arena_open(&provider->arena, ARENA_GROWS);

	pools_plan(provider, &provider->config, plan);
	for (unsigned i = 0; err == 0 && i < POOL_CNT; i++)
		err = pool_init(plan[i].pool, &provider->arena, plan[i].object_len,
				plan[i].cap_cnt);
	if (err == 0)
		err = fair_init(&provider->places, &provider->arena, &places,
				provider->paths.secret);
	if (err == 0)
		err = provider_process_places_init(provider);
	if (err == 0)
		err = provider_http_upgrade_init(provider);
	if (err == 0)
		err = provider_endpoints_init(provider, &provider->arena);
	arena_fit(&provider->arena);
	return err;
}

size_t provider_footprint(const struct provider_config *config)
{
	struct provider *provider = calloc(1, sizeof(*provider));
	size_t len = 0;

	if (!provider)
		return 0;
	provider->config = *config;
	if (pools_init(provider) == 0)
		len = provider->arena.used_len + config->memory_len;
	arena_close(&provider->arena);
	free(provider);
	return len;
}

/* A launcher that is dead is no reason not to start: offers of programs say so. */
static int launcher_take(struct provider *provider, const struct provider_params *params)
{
	struct launch_setup setup = {
		.program_cap = params->config.process_cap + params->config.offer_cap,
	};
	int err;

	_Static_assert(PROVIDER_HIDDEN_MAX == LAUNCH_HIDDEN_MAX, "all of them are told");
	for (unsigned i = 0; params->hidden && i < PROVIDER_HIDDEN_MAX; i++)
		if (params->hidden[i] && params->hidden[i][0])
			setup.hidden[setup.hidden_cnt++] = params->hidden[i];
	if (!params->launcher)
		return 0;
	provider->launcher = params->launcher;
	err = provider_launcher_attach(params->launcher, &setup, params->poller,
				       &provider_exec_launcher_events, provider);
	return err == WEFT_ECLOSED ? 0 : err;
}

int provider_new(const struct provider_params *params, struct provider **out_provider)
{
	struct provider *provider = calloc(1, sizeof(*provider));
	int err;

	if (!provider)
		return -ENOMEM;
	provider->config = params->config;
	provider->service = params->service;
	provider->poller = params->poller;
	provider->timers = params->timers;
	provider->store = params->store;
	provider->tenants = params->tenants;
	provider->event = params->event;
	provider->ctx = params->ctx;
	random_fill(params->random, provider->paths.secret, sizeof(provider->paths.secret));
	list_init(&provider->offer_list);
	err = pools_init(provider);
	if (err == 0)
		err = heap_new(params->config.memory_len, &provider->heap);
	if (err == 0)
		err = launcher_take(provider, params);
	if (err < 0) {
		provider_free(provider);
		return err;
	}
	*out_provider = provider;
	return 0;
}

void provider_stop(struct provider *provider, uint64_t now_ns)
{
	if (!provider)
		return;
	provider_endpoints_end(provider, now_ns);
	provider_offers_end(provider, now_ns);
	provider_exec_reap_all(provider);
	provider_launcher_detach(provider->launcher);
}

void provider_free(struct provider *provider)
{
	if (!provider)
		return;
	heap_free(provider->heap);
	arena_close(&provider->arena);
	free(provider);
}

bool provider_next(struct provider_iter *iter, struct provider_view *out_view)
{
	const struct list_node *head = &iter->provider->offer_list;
	const struct offer *offer;

	iter->at = iter->at ? iter->at->next : head->next;
	if (iter->at == head)
		return false;
	offer = container_of(iter->at, struct offer, link);
	*out_view = (struct provider_view){
		.spec = offer->spec.view,
		.major = provider_spec_major(&offer->spec.view),
		.tenant = offer->tenant,
		.state = offer->health.state,
		.why = offer->health.why,
		.since_ns = offer->health.since_ns,
		.active_cnt = offer->active_cnt,
		.active_max = provider_offer_concurrency(offer),
		.waiting_cnt = offer->turns.cnt,
		.waiting_max = WAITING_CAP,
		.call_cnt = offer->call_cnt,
		.stream_cnt = offer->stream_cnt,
		.failed_cnt = offer->failed_cnt,
	};
	return true;
}

void provider_places(const struct provider *provider, struct fair_view *out)
{
	fair_read(&provider->places, out);
}

void provider_stats(const struct provider *provider, struct provider_stats *out_stats)
{
	const struct provider_config *config = &provider->config;
	struct heap_usage usage;

	heap_usage(provider->heap, &usage);
	*out_stats = provider->stats;
	out_stats->offer_cap = config->offer_cap;
	out_stats->ready_cnt = provider->ready_cnt;
	out_stats->active_cnt = provider->active_cnt;
	out_stats->active_peak_cnt = provider->active_peak_cnt;
	out_stats->active_cap = config->active_cap;
	out_stats->process_cnt = provider->processes.used_cnt;
	out_stats->process_cap = config->process_cap;
	provider_launcher_usage(provider->launcher, &out_stats->launcher);
	out_stats->waiting_cnt = provider->waiting.used_cnt;
	out_stats->waiting_cap = config->offer_cap * WAITING_CAP;
	out_stats->idle_cnt = provider->idle_cnt;
	out_stats->idle_cap = config->idle_cap;
	fair_read(&provider->upgrades, &out_stats->upgrades);
	out_stats->memory_used_len = usage.used_len;
	out_stats->memory_peak_len = usage.peak_len;
	out_stats->memory_len = usage.cap;
}
