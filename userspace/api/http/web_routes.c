/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's routes put together: what is configured, which clients may ask, and which file
 * answers what. Home worker.
 */
#include "web_routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "mesh/seam_neighbours.h"
#include "web_content.h"
#include "api/http_mesh/web_mesh.h"
#include "api/http_offers/web_offers.h"
#include "api/http_people/web_people.h"
#include "web_routes_state.h"
#include "web_token.h"

enum {
	ROUTE_HEALTHZ,
	ROUTE_READYZ,
	ROUTE_METRICS,
	ROUTE_EVENTS,
	ROUTE_API,
	ROUTE_MESH,
	ROUTE_NO_MESH = ROUTE_MESH + WEB_MESH_ROUTE_CNT,
	ROUTE_CONTENT,
	ROUTE_OFFERS = ROUTE_CONTENT + WEB_CONTENT_ROUTE_CNT,
	ROUTE_PEOPLE = ROUTE_OFFERS + WEB_OFFERS_ROUTE_CNT,
	ROUTE_PKARR = ROUTE_PEOPLE + WEB_PEOPLE_ROUTE_CNT,
	ROUTE_CNT
};

struct web {
	struct api *api;
	struct gateway *gateway;
	struct web_api *methods;
	struct web_events *events;
	struct web_mesh *mesh;
	struct web_content *content;
	struct web_offers *offers;
	struct web_pkarr *pkarr;
	struct gateway_route routes[ROUTE_CNT + 1];
};

/* The log line's part about the gateway's relay. */
static const char *const pkarr_told[] = {
	[WEB_PKARR_NO] = "",
	[WEB_PKARR_YES] = ", with a pkarr relay",
	[WEB_PKARR_PUBLIC] = ", with a public pkarr relay",
};

size_t api_http_footprint(const struct web_config *config)
{
	const struct gateway_config *gateway = &config->gateway;

	if (!gateway->is_on)
		return 0;
	return sizeof(struct web) + gateway_footprint(gateway) + api_http_api_footprint(config) +
	       api_http_events_footprint() + api_http_content_footprint() +
	       api_http_offers_footprint() +
	       (config->serves_mesh
			? api_http_mesh_footprint(gateway->conn_cap, gateway->memory_cap)
			: 0) +
	       (config->pkarr_use != WEB_PKARR_NO ? api_http_pkarr_footprint(config) : 0);
}

static void healthz(void *ctx, struct gateway_exchange *exchange,
		    const struct gateway_request *request, uint64_t now_ns)
{
	(void)ctx;
	(void)request;
	gateway_reply_text(exchange, 200, "ok", now_ns);
}

static void readyz(void *ctx, struct gateway_exchange *exchange,
		   const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error stopping = {503, "stopping",
						      "This node finishes what it has begun.", 1};
	const struct api *api = ctx;

	(void)request;
	if (api->is_stopping)
		gateway_reply_error(exchange, &stopping, now_ns);
	else
		gateway_reply_text(exchange, 200, "ready", now_ns);
}

static const struct gateway_error mesh_disabled = {
	404, "mesh_gateway_disabled",
	"Services of the mesh are not served here; see gateway.mesh in weft.conf(5).", 0};

static struct service *fabric_service_of(void *ctx)
{
	struct api *api = ctx;

	return api->service;
}

static struct service_directory *fabric_directory_of(void *ctx)
{
	struct api *api = ctx;

	return api->directory;
}

static int mesh_open(struct web *web)
{
	const struct web_config *config = &web->api->config->web;
	const struct web_mesh_params params = {
		.services = config->services,
		.run_cap = config->gateway.conn_cap,
		.memory_cap = config->gateway.memory_cap,
		.body_len_max = config->body_len_max,
		.body_log_len = config->body_log_len,
		.timeout_ns = config->timeout_ns,
		.timers = &web->api->home->timers,
		.service = fabric_service_of,
		.directory = fabric_directory_of,
		.ctx = web->api,
		.own_key = web->api->own_key,
	};

	return api_http_mesh_new(&params, &web->mesh);
}

static const struct gateway_error mesh_nothing = {
	404, "not_found",
	"Below /mesh/ there are /mesh/http/SERVICE/, /mesh/ws/SERVICE/CHANNEL and "
	"/mesh/events/SERVICE/TOPIC.",
	0};

/* routes_fill leaves no row empty: an empty path would be the end of the table. */
static int routes_fill(struct web *web)
{
	const struct web_config *config = &web->api->config->web;
	struct gateway_route *routes = web->routes;
	int err;

	for (unsigned i = ROUTE_MESH; i <= ROUTE_NO_MESH; i++)
		routes[i] = (struct gateway_route){.path = "/mesh/", .instead = &mesh_disabled};
	routes[ROUTE_HEALTHZ] = (struct gateway_route){.path = "/healthz",
						       .methods = GATEWAY_GET,
						       .access = GATEWAY_OPEN,
						       .handle = healthz};
	routes[ROUTE_READYZ] = (struct gateway_route){.path = "/readyz",
						      .methods = GATEWAY_GET,
						      .access = GATEWAY_OPEN,
						      .handle = readyz,
						      .ctx = web->api};
	routes[ROUTE_METRICS] = api_http_metrics_route(web->api);
	if ((err = api_http_events_new(web->api, &web->events)) < 0 ||
	    (err = api_http_api_new(web->api, &web->methods)) < 0 ||
	    (err = api_http_content_new(web->api, &web->content)) < 0 ||
	    (err = api_http_offers_new(web->api, &web->offers)) < 0)
		return err;
	api_http_content_routes(web->content, routes + ROUTE_CONTENT);
	api_http_offers_routes(web->offers, routes + ROUTE_OFFERS);
	api_http_people_routes(web->api, routes + ROUTE_PEOPLE);
	routes[ROUTE_EVENTS] = api_http_events_route(web->events);
	routes[ROUTE_API] = api_http_api_route(web->methods);
	if (config->serves_mesh) {
		if ((err = mesh_open(web)) < 0)
			return err;
		api_http_mesh_routes(web->mesh, routes + ROUTE_MESH);
		routes[ROUTE_NO_MESH].instead = &mesh_nothing;
	}
	if (config->pkarr_use == WEB_PKARR_NO)
		return 0;
	if ((err = api_http_pkarr_new(web->api, &web->pkarr)) < 0)
		return err;
	routes[ROUTE_PKARR] = api_http_pkarr_route(web->pkarr);
	return 0;
}

/* token_hint: what to do about it, where the error's own text does not say. */
static const char *token_hint(int err)
{
	switch (err) {
	case WEFT_EREFUSED:
		return " (others may read it; give it mode 0600)";
	case WEFT_EMALFORMED:
		return " (its first line is to be 32 to 128 visible letters)";
	default:
		return "";
	}
}

static int token_load(struct web *web, char token[static GATEWAY_TOKEN_CAP], char *what)
{
	const struct node_config *config = web->api->config;
	bool is_own = !config->web.token_file[0];
	char path[CONFIG_PATH_CAP + sizeof("/" WEB_TOKEN_NAME)];
	int err;

	if (is_own)
		snprintf(path, sizeof(path), "%s/" WEB_TOKEN_NAME, config->state_dir);
	else
		snprintf(path, sizeof(path), "%s", config->web.token_file);
	err = api_http_token_load(path, is_own, web->api->random, token);
	if (err < 0)
		snprintf(what, WORKER_WHAT_CAP, "gateway.token_file %.160s%s", path,
			 token_hint(err));
	else
		log_notice("gateway: the token is in %s", path);
	return err;
}

/* names_take: config_web_fault has read the lists before. */
static struct gateway_names names_take(const char *text)
{
	struct gateway_names names = {.cnt = 0};

	(void)!gateway_names_parse(text, &names);
	return names;
}

static int web_open_gateway(struct web *web, char *what)
{
	const struct web_config *config = &web->api->config->web;
	struct gateway_params params = {
		.config = config->gateway,
		.routes = web->routes,
		.hosts = names_take(config->hosts),
		.origins = names_take(config->origins),
		.wall_s = clock_wall_s,
		.poller = web->api->home->poller,
		.timers = &web->api->home->timers,
		.load = &web->api->home->load,
		.is_deaf = web->api->home->is_simulated,
		.now_ns = web->api->home->now_ns,
	};
	char text[ADDR_TEXT_CAP];
	struct addr addr;
	int err = addr_parse(config->listen, &params.config.listen);

	if (err == 0) {
		if ((err = token_load(web, params.token, what)) < 0)
			return err;
		params.is_token_always = config->token_use == WEB_TOKEN_ALWAYS ||
					 !addr_is_loopback(&params.config.listen);
		err = gateway_open(&params, &web->gateway);
	}
	if (err < 0) {
		snprintf(what, WORKER_WHAT_CAP, "gateway.listen %s", config->listen);
		return err;
	}
	/* On loopback it serves this machine alone, and others need not know. */
	if (!addr_is_loopback(&params.config.listen))
		mesh_neighbour_ops.announce(web->api->home->mesh, MESH_CAP_GATEWAY, true);
	addr = gateway_addr(web->gateway);
	log_notice("gateway: http://%s/%s", addr_format(&addr, text),
		   pkarr_told[config->pkarr_use]);
	return 0;
}

int api_http_open(struct api *api, char *what)
{
	struct web *web;
	int err;

	if (!api->config->web.gateway.is_on)
		return 0;
	snprintf(what, WORKER_WHAT_CAP, "gateway");
	web = calloc(1, sizeof(*web));
	if (!web)
		return -ENOMEM;
	api->web = web;
	web->api = api;
	err = routes_fill(web);
	return err < 0 ? err : web_open_gateway(web, what);
}

void api_http_adopt(struct web *web, int fd, const struct addr *remote, uint64_t now_ns)
{
	gateway_adopt(web->gateway, fd, remote, now_ns);
}

int api_http_pass_issue(struct web *web, const char *name, uint64_t now_ns,
			char out_url[static GATEWAY_PASS_URL_CAP])
{
	char site[GATEWAY_SITE_CAP];
	int err;

	if (!web || !web->mesh)
		return WEFT_EREFUSED;
	err = api_http_mesh_site(web->mesh, name, site);
	return err < 0 ? err : gateway_pass_issue(web->gateway, site, now_ns, out_url);
}

int api_http_page_issue(struct web *web, const char *path, uint64_t now_ns,
			char out_url[static GATEWAY_PAGE_URL_CAP])
{
	if (!web)
		return WEFT_EREFUSED;
	gateway_page_issue(web->gateway, path, now_ns, out_url);
	return 0;
}

bool api_http_page_end_all(struct web *web)
{
	return web && gateway_page_end_all(web->gateway);
}

void api_http_close(struct web *web)
{
	if (!web)
		return;
	gateway_close(web->gateway);
	api_http_content_free(web->content);
	api_http_offers_free(web->offers);
	api_http_api_free(web->methods);
	api_http_events_free(web->events);
	api_http_mesh_free(web->mesh);
	api_http_pkarr_free(web->pkarr);
	free(web);
}

void api_http_stats(const struct web *web, struct gateway_stats *out_stats)
{
	if (web)
		gateway_stats(web->gateway, out_stats);
}

bool api_http_places(const struct web *web, struct fair_view *out)
{
	if (web)
		gateway_places(web->gateway, out);
	return web != NULL;
}

bool api_http_sockets(const struct web *web, struct fair_view *out)
{
	return web && gateway_sockets(web->gateway, out);
}
