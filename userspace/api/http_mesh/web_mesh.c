/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything below /mesh/: which service is meant, whether programs here
 * may call it, and what its answer means in HTTP. Home worker.
 */
#include "web_mesh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"

#define HTTP_PATH   "/mesh/http/"
#define SOCKET_PATH "/mesh/ws/"
#define EVENTS_PATH "/mesh/events/"

const struct gateway_error api_http_mesh_busy = {
	503, "gateway_busy", "Too many requests wait for services; try again.", 1};
const struct gateway_error api_http_mesh_bad_query = {
	400, "invalid_query", "The query is to be parameters in UTF-8, percent-encoded.", 0};
const struct gateway_error api_http_mesh_too_long = {
	413, "payload_too_large", "The body is longer than this service takes.", 0};
const struct gateway_error api_http_mesh_not_allowed = {
	403, "service_not_allowed",
	"The service, or this method of it, is not in gateway.services.", 0};

const struct gateway_error api_http_mesh_no_service = {
	404, "not_found",
	"Name a service behind /mesh/http/, or a service "
	"and its channel behind /mesh/ws/, or its topic "
	"behind /mesh/events/.",
	0};
static const struct gateway_error only_reads = {
	401, "token_required",
	"No provider declares this method read-only, so it wants the gateway's token, and at "
	"NAME.localhost POST with what weft service open NAME sets.",
	0};
static const struct gateway_error is_off = {503, "service_unavailable",
					    "The service fabric of this node is off.", 0};

struct service *api_http_mesh_service(const struct web_mesh *mesh)
{
	return mesh->params.service(mesh->params.ctx);
}

bool api_http_mesh_is_own(const struct web_mesh *mesh, const uint8_t *key)
{
	return mesh->params.own_key && memcmp(mesh->params.own_key, key, MESH_KEY_LEN) == 0;
}

static int runs_init(struct web_mesh *mesh, unsigned run_cap)
{
	int err = arena_open(&mesh->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&mesh->runs, &mesh->arena, sizeof(struct web_mesh_run), run_cap);
	arena_fit(&mesh->arena);
	return err;
}

size_t api_http_mesh_footprint(unsigned run_cap, size_t memory_cap)
{
	struct web_mesh *mesh = calloc(1, sizeof(*mesh));
	size_t len = 0;

	if (!mesh)
		return 0;
	if (runs_init(mesh, run_cap) == 0)
		len = mesh->arena.used_len + memory_cap;
	arena_close(&mesh->arena);
	free(mesh);
	return len;
}

void api_http_mesh_run_end(struct web_mesh_run *run)
{
	struct web_mesh *mesh = run->mesh;

	timer_cancel(mesh->params.timers, &run->timer);
	if (run->subscription)
		service_subscription_close(run->subscription);
	free(run->subscription);
	heap_release(mesh->heap, run->data);
	pool_release(&mesh->runs, run);
}

void api_http_mesh_run_refuse(struct web_mesh_run *run, const struct gateway_error *error,
			      uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_reply_error(exchange, error, now_ns);
}

static unsigned seconds_until(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns <= now_ns ? 1 : (unsigned)((at_ns - now_ns + NS_PER_S - 1) / NS_PER_S);
}

void api_http_mesh_run_fail(struct web_mesh_run *run, const struct service_answer *answer,
			    uint64_t now_ns)
{
	static const struct {
		unsigned status;
		const char *name;
	} rows[SERVICE_STATUS_CNT] = {
		[SERVICE_UNKNOWN_ERROR] = {500, "unknown_error"},
		[SERVICE_NOT_FOUND] = {404, "service_not_found"},
		[SERVICE_METHOD_NOT_FOUND] = {404, "method_not_found"},
		[SERVICE_INVALID_PAYLOAD] = {400, "invalid_payload"},
		[SERVICE_TIMEOUT] = {504, "timeout"},
		[SERVICE_RATE_LIMITED] = {429, "rate_limited"},
		[SERVICE_UNAUTHORIZED] = {502, "unauthorized"},
		[SERVICE_FORBIDDEN] = {502, "forbidden"},
		[SERVICE_PAYLOAD_TOO_LARGE] = {413, "payload_too_large"},
		[SERVICE_UNAVAILABLE] = {503, "service_unavailable"},
	};
	static const uint8_t nobody[MESH_KEY_LEN];
	enum service_status status = answer->status;
	struct gateway_error error;

	if (status == SERVICE_UNAUTHORIZED &&
	    memcmp(answer->provider, nobody, sizeof(nobody)) == 0) {
		api_http_mesh_run_refuse(run, &only_reads, now_ns);
		return;
	}
	/* No node provides it just now; a node that says so itself does not know it. */
	if (status == SERVICE_NOT_FOUND && memcmp(answer->provider, nobody, sizeof(nobody)) == 0)
		status = SERVICE_UNAVAILABLE;
	if ((unsigned)status >= SERVICE_STATUS_CNT || !rows[status].status)
		status = SERVICE_UNKNOWN_ERROR;
	error = (struct gateway_error){rows[status].status, rows[status].name, answer->text, 0};
	if (!answer->text || !answer->text[0])
		error.message = service_status_name(status);
	if (error.status == 429 || error.status == 503)
		error.retry_after_s = seconds_until(answer->not_before_ns, now_ns);
	api_http_mesh_run_refuse(run, &error, now_ns);
}

void api_http_mesh_run_patience(struct web_mesh_run *run, uint64_t now_ns)
{
	timer_set(run->mesh->params.timers, &run->timer, now_ns + run->mesh->params.timeout_ns);
}

uint64_t api_http_mesh_run_left_ns(const struct web_mesh_run *run)
{
	uint64_t timeout_ns = run->mesh->params.timeout_ns;

	return run->sought_ns < timeout_ns ? timeout_ns - run->sought_ns : 1;
}

int api_http_mesh_run_collect(struct web_mesh_run *run, const uint8_t *data, size_t len,
			      size_t len_max)
{
	size_t cap = run->cap ? run->cap : 1024;
	uint8_t *room = run->data;

	if (len > len_max - run->len)
		return WEFT_ETOOLARGE;
	while (cap < run->len + len)
		cap *= 2;
	if (cap != run->cap)
		room = heap_resize(run->mesh->heap, run->data, cap);
	if (!room)
		return WEFT_EFULL;
	run->data = room;
	run->cap = cap;
	if (len)
		memcpy(run->data + run->len, data, len);
	run->len += len;
	return 0;
}

void api_http_mesh_run_used(struct web_mesh_run *run, size_t len)
{
	run->unused_len += len;
	if (!run->exchange || gateway_backlog_len(run->exchange) <= GATEWAY_BACKLOG_LOW)
		api_http_mesh_run_drained(run, 0);
}

void api_http_mesh_run_drained(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	size_t len = run->unused_len;

	(void)now_ns;
	run->unused_len = 0;
	if (len && run->channel)
		service_channel_consume(run->channel, len);
}

void api_http_mesh_run_writable(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	(void)now_ns;
	if (run->exchange)
		gateway_resume(run->exchange);
}

bool api_http_mesh_allows(const struct web_mesh *mesh, const char *name, const char *method)
{
	for (unsigned i = 0; i < mesh->service_cnt; i++) {
		const struct web_mesh_service *service = &mesh->services[i];

		if (strcmp(service->name, name) == 0 &&
		    (!method || !service->method[0] || strcmp(service->method, method) == 0))
			return true;
	}
	return false;
}

struct service_target api_http_mesh_run_target(const struct web_mesh_run *run, const char *method)
{
	const struct service_named *target = &run->target.service;

	return (struct service_target){
		.name = target->name,
		.provider = target->has_provider ? target->provider : NULL,
		.version = target->version[0] ? target->version : NULL,
		.method = method,
		.trace = run->has_trace ? &run->trace : NULL,
		/* A room is on one node: the answer names the node of another one. */
		.is_own_last = !api_http_mesh_prefers_local(run->query) &&
			       strcmp(target->name, "pod-chat") != 0,
	};
}

char *api_http_mesh_provider_line(const uint8_t provider[MESH_KEY_LEN],
				  char lines[static WEB_MESH_LINES_CAP])
{
	static const uint8_t nobody[MESH_KEY_LEN];
	char text[ZBASE32_KEY_TEXT_CAP];

	lines[0] = '\0';
	if (memcmp(provider, nobody, sizeof(nobody)) != 0)
		snprintf(lines, WEB_MESH_LINES_CAP, "X-Mesh-Provider: %s\r\n",
			 zbase32_write(provider, MESH_KEY_LEN, text));
	return lines;
}

static void run_late(struct timer *timer, uint64_t now_ns)
{
	static const struct gateway_error late = {504, "timeout",
						  "The service did not answer in time.", 0};
	struct web_mesh_run *run = container_of(timer, struct web_mesh_run, timer);

	if (run->find)
		service_find_cancel(run->find);
	if (run->channel)
		service_channel_end(run->channel, SERVICE_TIMEOUT, "the caller waits no longer");
	if (run->ask)
		service_call_cancel(run->ask);
	if (run->exchange && run->is_begun)
		gateway_abort(run->exchange, now_ns);
	else if (run->exchange)
		api_http_mesh_run_refuse(run, &late, now_ns);
	api_http_mesh_run_end(run);
}

/* base_keep: what stands before a service's own paths; "" where it is too long to be repeated. */
static void base_keep(struct web_mesh_run *run, const struct gateway_request *request,
		      const char *rest)
{
	size_t len = request->site[0] ? 0 : (size_t)(rest - request->path);

	if (len < sizeof(run->base) && strncmp(request->path, HTTP_PATH, strlen(HTTP_PATH)) == 0)
		memcpy(run->base, request->path, len);
}

static struct web_mesh_run *run_new(struct web_mesh *mesh, struct gateway_exchange *exchange,
				    const struct gateway_request *request,
				    const struct web_mesh_target *target)
{
	const char *method = target->rest[0] ? target->rest + 1 : "";
	struct web_mesh_run *run = pool_acquire(&mesh->runs);
	const char *trace;

	if (!run)
		return NULL;
	run->mesh = mesh;
	run->exchange = exchange;
	run->is_body_whole = !request->has_body;
	run->has_said_len = request->said_len != GATEWAY_LEN_UNKNOWN;
	run->said_len = request->said_len;
	run->body_len_max = mesh->params.body_len_max;
	timer_init(&run->timer, run_late);
	base_keep(run, request, target->rest);
	run->target = *target;
	run->target.rest = NULL;
	run->verb = request->method;
	run->is_head = request->is_head;
	run->proof = request->proof;
	trace = gateway_header(request, "traceparent");
	/* A malformed one is none (W3C Trace Context, 3.3.2). */
	run->has_trace = trace && service_trace_parse(trace, &run->trace);
	/* A name too long for a method may still be a path. */
	if (strlen(method) <= SERVICE_METHOD_LEN_MAX)
		strcpy(run->method, method);
	snprintf(run->query, sizeof(run->query), "%s", request->query);
	api_http_mesh_pod_strip(&run->target.service, run->query);
	return run;
}

static bool target_read(const struct gateway_request *request, const char *prefix,
			struct web_mesh_target *out_target)
{
	if (request->site[0])
		return api_http_mesh_target_of_site(request->site, request->path, out_target);
	return api_http_mesh_target_parse(request->path + strlen(prefix), out_target);
}

static const struct gateway_error bad_pod = {400, "invalid_request",
					     "A room is named ?pod=ID@NODE: NODE is all 52 letters "
					     "of its node's id, and the same as the "
					     "node of the service's name, if that has one.",
					     0};

/* http_begin: what the service takes, HTTP or calls, decides what becomes of the request or the WebSocket. */
static void http_begin(struct web_mesh *mesh, struct gateway_exchange *exchange,
		       const struct gateway_request *request, bool is_upgrade, uint64_t now_ns)
{
	static const struct gateway_error bad_head = {
		400, "invalid_request", "The request's target or header cannot be passed on.", 0};
	const struct gateway_error *refusal =
		is_upgrade ? gateway_socket_reserve(exchange, request) : NULL;
	struct web_mesh_run *run = NULL;
	struct web_mesh_target target;
	int err;

	if (refusal)
		;
	else if (!target_read(request, is_upgrade ? SOCKET_PATH : HTTP_PATH, &target))
		refusal = &api_http_mesh_no_service;
	else if (!api_http_mesh_allows(mesh, target.service.name, NULL))
		refusal = &api_http_mesh_not_allowed;
	else if (!api_http_mesh_service(mesh))
		refusal = &is_off;
	else if (!api_http_mesh_pod_read(request->query, &target.service))
		refusal = &bad_pod;
	else if ((run = run_new(mesh, exchange, request, &target)) == NULL)
		refusal = &api_http_mesh_busy;
	if (refusal) {
		gateway_reply_error(exchange, refusal, now_ns);
		return;
	}
	run->is_upgrade = is_upgrade;
	/* A WebSocket's body is all that the client sends until it ends. */
	run->is_body_whole = run->is_body_whole && !is_upgrade;
	err = api_http_mesh_http_head(run, request, target.rest);
	if (err < 0) {
		api_http_mesh_run_refuse(run, err == WEFT_EFULL ? &api_http_mesh_busy : &bad_head,
					 now_ns);
		api_http_mesh_run_end(run);
		return;
	}
	api_http_mesh_kind_begin(run, now_ns);
}

static void http_handle(void *ctx, struct gateway_exchange *exchange,
			const struct gateway_request *request, uint64_t now_ns)
{
	http_begin(ctx, exchange, request, false, now_ns);
}

static void socket_handle(void *ctx, struct gateway_exchange *exchange,
			  const struct gateway_request *request, uint64_t now_ns)
{
	http_begin(ctx, exchange, request, true, now_ns);
}

static void events_handle(void *ctx, struct gateway_exchange *exchange,
			  const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error no_topic = {400, "invalid_request",
						      "A topic has 1 to 96 letters, digits and . _ "
						      ": / -, and since is the id of an event.",
						      0};
	static const struct gateway_reply head = {.status = 200,
						  .type = "text/event-stream",
						  .headers = "Cache-Control: no-store\r\n",
						  .body_len = GATEWAY_LEN_UNKNOWN};
	const struct gateway_error *refusal = NULL;
	struct web_mesh *mesh = ctx;
	struct web_mesh_run *run = NULL;
	struct web_mesh_target target;
	struct service_subscription_params params;

	if (!target_read(request, EVENTS_PATH, &target))
		refusal = &api_http_mesh_no_service;
	else if (!target.rest[0] ||
		 !api_http_mesh_subscription_read(request, target.rest + 1, &params))
		refusal = &no_topic;
	else if (!api_http_mesh_allows(mesh, target.service.name, params.topic))
		refusal = &api_http_mesh_not_allowed;
	else if (!api_http_mesh_service(mesh))
		refusal = &is_off;
	else if (!request->is_head && (run = run_new(mesh, exchange, request, &target)) == NULL)
		refusal = &api_http_mesh_busy;
	else if (run)
		refusal = api_http_mesh_events_begin(run, &params, now_ns);
	if (!refusal && !run) {
		gateway_reply_begin(exchange, &head, now_ns);
		gateway_reply_end(exchange, now_ns);
	}
	if (!refusal)
		return;
	gateway_reply_error(exchange, refusal, now_ns);
	if (run)
		api_http_mesh_run_end(run);
}

/* site_handle: NAME.localhost, where a WebSocket has no path of its own. */
static void site_handle(void *ctx, struct gateway_exchange *exchange,
			const struct gateway_request *request, uint64_t now_ns)
{
	http_begin(ctx, exchange, request, gateway_header(request, "Upgrade"), now_ns);
}

static void list_handle(void *ctx, struct gateway_exchange *exchange,
			const struct gateway_request *request, uint64_t now_ns)
{
	json_t *json = api_http_mesh_kinds_json(ctx, now_ns);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct gateway_reply reply = {.status = 200,
				      .type = "application/json",
				      .headers = "Cache-Control: no-store\r\n",
				      .body = text,
				      .body_len = text ? strlen(text) : 0};

	(void)request;
	gateway_reply(exchange, &reply, now_ns);
	json_decref(json);
	free(text);
}

static void services_read(struct web_mesh *mesh, const struct gateway_names *names)
{
	for (unsigned i = 0; i < names->cnt; i++) {
		struct web_mesh_service *service = &mesh->services[mesh->service_cnt];
		size_t len = strcspn(names->names[i], "/");
		const char *method = names->names[i] + len;

		/* A name that no service can have allows nothing. */
		if (len > SERVICE_NAME_LEN_MAX || strlen(method) > SERVICE_METHOD_LEN_MAX)
			continue;
		memcpy(service->name, names->names[i], len);
		strcpy(service->method, *method ? method + 1 : "");
		mesh->service_cnt++;
	}
}

int api_http_mesh_new(const struct web_mesh_params *params, struct web_mesh **out_mesh)
{
	struct web_mesh *mesh = calloc(1, sizeof(*mesh));
	struct gateway_names names = {.cnt = 0};
	int err;

	if (!mesh)
		return -ENOMEM;
	mesh->params = *params;
	mesh->params.services = NULL;
	err = gateway_names_parse(params->services, &names);
	services_read(mesh, &names);
	if (err == 0)
		err = runs_init(mesh, params->run_cap);
	if (err == 0)
		err = heap_new(params->memory_cap, &mesh->heap);
	if (err < 0)
		api_http_mesh_free(mesh);
	else
		*out_mesh = mesh;
	return err;
}

void api_http_mesh_free(struct web_mesh *mesh)
{
	struct web_mesh_run *run;

	if (!mesh)
		return;
	/* The client of each is gone; calls that wait for a channel's end get no event. */
	while (mesh->runs.cap_cnt && (run = pool_next(&mesh->runs, NULL)) != NULL) {
		if (run->channel)
			service_channel_end(run->channel, SERVICE_UNAVAILABLE, "this node stops");
		api_http_mesh_run_end(run);
	}
	arena_close(&mesh->arena);
	heap_free(mesh->heap);
	free(mesh);
}

void api_http_mesh_routes(struct web_mesh *mesh,
			  struct gateway_route routes[static WEB_MESH_ROUTE_CNT])
{
	size_t body_len_max = mesh->params.body_len_max;

	routes[0] = (struct gateway_route){.path = HTTP_PATH "services",
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_OPEN,
					   .is_busy = true,
					   .handle = list_handle,
					   .ctx = mesh};
	routes[1] = (struct gateway_route){.path = HTTP_PATH,
					   .methods = GATEWAY_GET | GATEWAY_POST | GATEWAY_PUT |
						      GATEWAY_DELETE | GATEWAY_PATCH,
					   .access = GATEWAY_OPEN,
					   .is_busy = true,
					   .is_streamed = true,
					   .passes_authorization = true,
					   .judges_body = true,
					   .body_len_max = body_len_max,
					   .handle = http_handle,
					   .ctx = mesh};
	routes[2] = (struct gateway_route){.path = SOCKET_PATH,
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_GUARDED,
					   .is_busy = true,
					   .is_streamed = true,
					   .body_len_max = body_len_max,
					   .handle = socket_handle,
					   .ctx = mesh};
	routes[3] = (struct gateway_route){.path = EVENTS_PATH,
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_OPEN,
					   .is_busy = true,
					   .handle = events_handle,
					   .ctx = mesh};
	routes[4] =
		(struct gateway_route){.path = "/",
				       .methods = GATEWAY_GET | GATEWAY_POST | GATEWAY_PUT |
						  GATEWAY_DELETE | GATEWAY_PATCH | GATEWAY_OPTIONS,
				       .access = GATEWAY_OPEN,
				       .is_site = true,
				       .is_busy = true,
				       .is_streamed = true,
				       .passes_authorization = true,
				       .judges_body = true,
				       .body_len_max = body_len_max,
				       .handle = site_handle,
				       .ctx = mesh};
}
