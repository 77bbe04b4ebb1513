/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's routes and the pkarr relay's way to the DHT: a request ->
 * pkarr_relay.c -> run_get, run_put -> dht/ -> run_item, run_ended ->
 * pkarr_relay.c -> a reply. Home worker.
 */
#include "node/web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "dht/dht.h"
#include "node/node_state.h"
#include "node/pkarr_relay.h"

/* A client waits for it; what is not found by then is told as not found. */
#define GET_BUDGET_NS (5 * NS_PER_S)

enum { ROUTE_HEALTHZ, ROUTE_PKARR, ROUTE_CNT };

/* What the DHT does for one request. */
struct web_run {
	struct node *node;
	struct pkarr_relay_call *call; /* NULL: free */
	dht_handle handle;
};

struct web {
	struct node *node;
	struct gateway *gateway;
	struct pkarr_relay *relay;
	struct gateway_route routes[ROUTE_CNT + 1];
	unsigned run_cap;
	struct web_run runs[]; /* run_cap */
};

void web_config_defaults(struct web_config *config)
{
	gateway_config_defaults(&config->gateway);
	addr_format(&config->gateway.listen, config->listen);
	config->serves_pkarr = true;
	config->pkarr_cache_cap = 1024;
}

static size_t web_len(const struct web_config *config)
{
	return sizeof(struct web) + config->gateway.conn_cap * sizeof(struct web_run);
}

size_t web_footprint(const struct web_config *config)
{
	const struct gateway_config *gateway = &config->gateway;

	if (!gateway->is_on)
		return 0;
	return web_len(config) + gateway_footprint(gateway) +
	       (config->serves_pkarr
			? pkarr_relay_footprint(config->pkarr_cache_cap, gateway->conn_cap)
			: 0);
}

static void run_item(void *ctx, const struct dht_item *item)
{
	struct web_run *run = ctx;
	struct pkarr_packet packet;

	if (pkarr_packet_of_item(item, &packet) == 0)
		pkarr_relay_found(run->call, &packet);
}

static void run_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct web_run *run = ctx;
	struct pkarr_relay_call *call = run->call;
	struct pkarr_relay_outcome relay = {.err = outcome->err, .stored_cnt = outcome->stored_cnt};

	run->call = NULL;
	pkarr_relay_ended(call, &relay, run->node->home.now_ns);
}

/* run_new: there is one for each connection, which asks one thing at a time. */
static struct web_run *run_new(struct web *web, struct pkarr_relay_call *call)
{
	for (unsigned i = 0; i < web->run_cap; i++) {
		if (web->runs[i].call)
			continue;
		web->runs[i] = (struct web_run){.node = web->node, .call = call};
		return &web->runs[i];
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
	struct web *web = ctx;
	struct dht *dht = web->node->home.dht;
	struct dht_get_params params = {.key = key, .budget_ns = GET_BUDGET_NS};
	struct dht_asker asker = {.item = run_item, .ended = run_ended};
	struct web_run *run = dht ? run_new(web, call) : NULL;

	if (!run)
		return NULL;
	dht_item_target_of_key(key, NULL, 0, &params.target);
	asker.ctx = run;
	return run_begun(run, dht_get(dht, &params, &asker, now_ns));
}

static void *run_put(void *ctx, const struct pkarr_packet *packet, struct pkarr_relay_call *call,
		     uint64_t now_ns)
{
	struct web *web = ctx;
	struct dht *dht = web->node->home.dht;
	struct dht_asker asker = {.ended = run_ended};
	struct dht_item item;
	struct dht_put_params params = {.item = &item};
	struct web_run *run = dht ? run_new(web, call) : NULL;

	if (!run)
		return NULL;
	pkarr_packet_item(packet, &item);
	asker.ctx = run;
	return run_begun(run, dht_put(dht, &params, &asker, now_ns));
}

static void run_cancel(void *ctx, void *arg)
{
	struct web *web = ctx;
	struct web_run *run = arg;

	dht_cancel(web->node->home.dht, run->handle);
	run->call = NULL;
}

static void healthz(void *ctx, struct gateway_exchange *exchange,
		    const struct gateway_request *request, uint64_t now_ns)
{
	(void)ctx;
	(void)request;
	gateway_reply_text(exchange, 200, "ok", now_ns);
}

static int web_open_relay(struct web *web)
{
	const struct web_config *config = &web->node->config->web;
	uint64_t secret[2];
	struct pkarr_relay_params params = {
		.dht = {.get = run_get, .put = run_put, .cancel = run_cancel, .ctx = web},
		.cache_cap = config->pkarr_cache_cap,
		.call_cap = config->gateway.conn_cap,
		.wall_s = clock_wall_s,
		.secret = secret,
	};
	int err;

	random_fill(web->node->random, secret, sizeof(secret));
	err = pkarr_relay_new(&params, &web->relay);
	if (err == 0)
		web->routes[ROUTE_PKARR] = pkarr_relay_route(web->relay);
	return err;
}

static int web_open_gateway(struct web *web, char *what)
{
	const struct web_config *config = &web->node->config->web;
	struct gateway_params params = {
		.config = config->gateway,
		.routes = web->routes,
		.wall_s = clock_wall_s,
		.poller = web->node->home.poller,
		.timers = &web->node->home.timers,
		.now_ns = web->node->home.now_ns,
	};
	char text[ADDR_TEXT_CAP];
	struct addr addr;
	int err;

	snprintf(what, NODE_WHAT_CAP, "gateway.listen %s", config->listen);
	if ((err = addr_parse(config->listen, &params.config.listen)) < 0 ||
	    (err = gateway_open(&params, &web->gateway)) < 0)
		return err;
	addr = gateway_addr(web->gateway);
	log_notice("gateway: http://%s/%s", addr_format(&addr, text),
		   config->serves_pkarr ? ", with a pkarr relay" : "");
	return 0;
}

int web_open(struct node *node, char *what)
{
	const struct web_config *config = &node->config->web;
	struct web *web;
	int err;

	if (!config->gateway.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "gateway");
	web = calloc(1, web_len(config));
	if (!web)
		return -ENOMEM;
	node->web = web;
	web->node = node;
	web->run_cap = config->gateway.conn_cap;
	web->routes[ROUTE_HEALTHZ] = (struct gateway_route){.path = "/healthz",
							    .methods = GATEWAY_GET,
							    .access = GATEWAY_OPEN,
							    .handle = healthz};
	if (config->serves_pkarr && (err = web_open_relay(web)) < 0)
		return err;
	return web_open_gateway(web, what);
}

void web_close(struct web *web)
{
	if (!web)
		return;
	gateway_close(web->gateway);
	pkarr_relay_free(web->relay);
	free(web);
}

void web_stats(const struct web *web, struct gateway_stats *out_stats)
{
	if (web)
		gateway_stats(web->gateway, out_stats);
}
