/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pkarr relay's way to the DHT: a request -> pkarr_relay.c -> run_get,
 * run_put -> dht/ -> run_item, run_ended -> pkarr_relay.c -> a reply. Home
 * worker.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "dht/dht.h"
#include "pkarr_relay.h"
#include "web_routes_state.h"

/* A client waits for it; what is not found by then counts as not found. */
#define GET_BUDGET_NS (5 * NS_PER_S)

/* The DHT's work for one request. */
struct web_run {
	struct api *api;
	struct pkarr_relay_call *call; /* NULL: free */
	dht_handle handle;
};

struct web_pkarr {
	struct api *api;
	struct pkarr_relay *relay;
	unsigned run_cap;
	struct web_run runs[]; /* run_cap */
};

static size_t pkarr_len(const struct web_config *config)
{
	return sizeof(struct web_pkarr) + config->gateway.conn_cap * sizeof(struct web_run);
}

size_t api_http_pkarr_footprint(const struct web_config *config)
{
	return pkarr_len(config) +
	       api_pkarr_relay_footprint(config->pkarr_cache_cap, config->gateway.conn_cap);
}

static void run_item(void *ctx, const struct dht_item *item)
{
	struct web_run *run = ctx;
	struct pkarr_packet packet;

	if (dht_pkarr_packet_of_item(item, &packet) == 0)
		api_pkarr_relay_found(run->call, &packet);
}

static void run_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct web_run *run = ctx;
	struct pkarr_relay_call *call = run->call;
	struct pkarr_relay_outcome relay = {.err = outcome->err, .stored_cnt = outcome->stored_cnt};

	run->call = NULL;
	api_pkarr_relay_ended(call, &relay, run->api->home->now_ns);
}

/* run_new: there is one for each connection, which asks one thing at a time. */
static struct web_run *run_new(struct web_pkarr *pkarr, struct pkarr_relay_call *call)
{
	for (unsigned i = 0; i < pkarr->run_cap; i++) {
		if (pkarr->runs[i].call)
			continue;
		pkarr->runs[i] = (struct web_run){.api = pkarr->api, .call = call};
		return &pkarr->runs[i];
	}
	return NULL;
}

static struct web_run *run_begun(struct web_run *run, dht_handle handle)
{
	run->handle = handle;
	if (handle)
		return run;
	run->call = NULL;
	return NULL;
}

static void *run_get(void *ctx, const uint8_t key[static NODE_KEY_LEN],
		     struct pkarr_relay_call *call, uint64_t now_ns)
{
	struct web_pkarr *pkarr = ctx;
	struct dht *dht = pkarr->api->locate->dht;
	struct dht_get_params params = {.key = key, .budget_ns = GET_BUDGET_NS};
	struct dht_asker asker = {.item = run_item, .ended = run_ended};
	struct web_run *run = dht ? run_new(pkarr, call) : NULL;

	if (!run)
		return NULL;
	dht_item_target_of_key(key, NULL, 0, &params.target);
	asker.ctx = run;
	return run_begun(run, dht_get(dht, &params, &asker, now_ns));
}

static void *run_put(void *ctx, const struct pkarr_packet *packet, struct pkarr_relay_call *call,
		     uint64_t now_ns)
{
	struct web_pkarr *pkarr = ctx;
	struct dht *dht = pkarr->api->locate->dht;
	struct dht_asker asker = {.ended = run_ended};
	struct dht_item item;
	struct dht_put_params params = {.item = &item};
	struct web_run *run = dht ? run_new(pkarr, call) : NULL;

	if (!run)
		return NULL;
	dht_pkarr_packet_item(packet, &item);
	asker.ctx = run;
	return run_begun(run, dht_put(dht, &params, &asker, now_ns));
}

static void run_cancel(void *ctx, void *arg)
{
	struct web_pkarr *pkarr = ctx;
	struct web_run *run = arg;

	dht_cancel(pkarr->api->locate->dht, run->handle);
	run->call = NULL;
}

int api_http_pkarr_new(struct api *api, struct web_pkarr **out_pkarr)
{
	const struct web_config *config = &api->config->web;
	struct web_pkarr *pkarr = calloc(1, pkarr_len(config));
	uint64_t secret[2];
	struct pkarr_relay_params params = {
		.dht = {.get = run_get, .put = run_put, .cancel = run_cancel, .ctx = pkarr},
		.cache_cap = config->pkarr_cache_cap,
		.call_cap = config->gateway.conn_cap,
		.wall_s = clock_wall_s,
		.secret = secret,
	};
	int err;

	if (!pkarr)
		return -ENOMEM;
	pkarr->api = api;
	pkarr->run_cap = config->gateway.conn_cap;
	random_fill(api->random, secret, sizeof(secret));
	err = api_pkarr_relay_new(&params, &pkarr->relay);
	if (err < 0)
		free(pkarr);
	else
		*out_pkarr = pkarr;
	return err;
}

void api_http_pkarr_free(struct web_pkarr *pkarr)
{
	if (!pkarr)
		return;
	api_pkarr_relay_free(pkarr->relay);
	free(pkarr);
}

struct gateway_route api_http_pkarr_route(struct web_pkarr *pkarr)
{
	struct gateway_route route = api_pkarr_relay_route(pkarr->relay);

	if (pkarr->api->config->web.pkarr_use != WEB_PKARR_PUBLIC)
		route.access = GATEWAY_OPEN;
	return route;
}
