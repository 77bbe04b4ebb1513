/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/METHOD: a method of the control socket, its parameters as the
 * body, its reply as the answer's. Methods with several replies, or that need
 * the connection, refuse themselves. Home worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "codec/json_heap.h"
#include "web_routes_state.h"

#define PATH	     "/api/v1/"
#define BODY_LEN_MAX 65536

struct api_call {
	struct web_api *web_api;
	struct gateway_exchange *exchange;
	struct control_call *call; /* NULL: not yet, or answered */
};

struct web_api {
	struct api *api;
	struct arena arena;
	struct pool calls;
};

static int calls_init(struct web_api *web_api, const struct web_config *config)
{
	int err = arena_open(&web_api->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&web_api->calls, &web_api->arena, sizeof(struct api_call),
				config->gateway.conn_cap);
	arena_fit(&web_api->arena);
	return err;
}

size_t api_http_api_footprint(const struct web_config *config)
{
	struct web_api web_api = {0};
	size_t len = calls_init(&web_api, config) < 0 ? 0 : web_api.arena.used_len;

	arena_close(&web_api.arena);
	return len;
}

/* Errors are those of net.weft.Node and of org.varlink.service; what is not here is 500. */
static unsigned status_of(const char *error)
{
	static const struct {
		const char *error;
		unsigned status;
	} rows[] = {
		{API_NOT_FOUND_ERROR, 404},	    {API_INVALID_ERROR, 400},
		{API_REFUSED_ERROR, 409},	    {API_TIMEOUT_ERROR, 504},
		{API_NOT_VERIFIED_ERROR, 502},	    {API_METHOD_NOT_FOUND_ERROR, 404},
		{API_INVALID_PARAMETER_ERROR, 400}, {API_PERMISSION_DENIED_ERROR, 403},
		{API_EXPECTED_MORE_ERROR, 400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].error, error) == 0)
			return rows[i].status;
	return 500;
}

static json_t *error_json(const char *error, const json_t *parameters)
{
	static const struct api_failure unread;
	struct varlink_blocks blocks = {0};
	const struct api_failure *failure =
		varlink_read(&api_failure_type, (json_t *)parameters, &blocks, NULL);
	char message[1024];

	failure = failure ? failure : &unread;
	if (failure->what && failure->why)
		snprintf(message, sizeof(message), "%s: %s", failure->what, failure->why);
	else if (failure->parameter)
		snprintf(message, sizeof(message),
			 "The parameter %s is missing or not of its type.", failure->parameter);
	else if (strcmp(error, API_EXPECTED_MORE_ERROR) == 0)
		snprintf(message, sizeof(message),
			 "The method answers more than once; ask it on the control socket, or read "
			 "/events.");
	else if (strcmp(error, API_PERMISSION_DENIED_ERROR) == 0)
		snprintf(message, sizeof(message),
			 "The method needs a higher role than gateway.role grants.");
	else
		snprintf(message, sizeof(message), "There is no such method.");
	varlink_blocks_free(&blocks);
	return api_gateway_error_write(&(struct api_gateway_error){
		.error = error, .message = message, .parameters = (json_t *)parameters});
}

static void call_answered(void *arg, const char *error, const json_t *parameters)
{
	struct api_call *call = arg;
	json_t *failure = error ? error_json(error, parameters) : NULL;
	char *text = json_dumps(error ? failure : parameters, JSON_COMPACT);
	struct gateway_reply reply = {
		.status = error ? status_of(error) : 200,
		.type = "application/json",
		.headers = "Cache-Control: no-store\r\n",
		.body = text ? text : "{}",
		.body_len = text ? strlen(text) : 2,
	};

	gateway_reply(call->exchange, &reply, call->web_api->api->home->now_ns);
	json_decref(failure);
	free(text);
	pool_release(&call->web_api->calls, call);
}

static void call_gone(void *arg)
{
	struct api_call *call = arg;

	control_ask_leave(call->call);
	pool_release(&call->web_api->calls, call);
}

static const struct gateway_error not_an_object = {
	400, "invalid_body",
	"The body is to be a JSON object of the method's parameters, or empty.", 0};
static const struct gateway_error busy = {503, "gateway_busy",
					  "Too many calls are under way; try again.", 1};

/* parameters_read: 0, -ENOMEM, or WEFT_EMALFORMED when the body is no object. */
static int parameters_read(const struct gateway_request *request, json_t **out_parameters)
{
	json_t *parameters;
	int err = 0;

	if (request->body_len)
		err = json_heap_load((const char *)request->body, request->body_len,
				     JSON_REJECT_DUPLICATES, &parameters);
	else if (!(parameters = json_object()))
		err = -ENOMEM;
	if (err < 0)
		return err;
	if (!json_is_object(parameters)) {
		json_decref(parameters);
		return WEFT_EMALFORMED;
	}
	*out_parameters = parameters;
	return 0;
}

static void api_handle(void *ctx, struct gateway_exchange *exchange,
		       const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_events events = {.gone = call_gone};
	struct web_api *web_api = ctx;
	json_t *parameters = NULL;
	int err = parameters_read(request, &parameters);
	struct api_call *call = err == 0 ? pool_acquire(&web_api->calls) : NULL;
	struct control_call *control_call;
	struct control_ask ask = {
		.role = web_api->api->config->web.role,
		.method = request->path + strlen(PATH),
		.parameters = parameters,
		.answered = call_answered,
		.arg = call,
	};

	if (!call) {
		gateway_reply_error(exchange, err == WEFT_EMALFORMED ? &not_an_object : &busy,
				    now_ns);
		json_decref(parameters);
		return;
	}
	*call = (struct api_call){.web_api = web_api, .exchange = exchange};
	if (control_ask(web_api->api->control, &ask, now_ns, &control_call) < 0) {
		pool_release(&web_api->calls, call);
		gateway_reply_error(exchange, &busy, now_ns);
	} else if (control_call) {
		call->call = control_call;
		gateway_watch(exchange, &events, call);
	}
	json_decref(parameters);
}

int api_http_api_new(struct api *api, struct web_api **out_api)
{
	struct web_api *web_api = calloc(1, sizeof(*web_api));
	int err;

	if (!web_api)
		return -ENOMEM;
	web_api->api = api;
	err = calls_init(web_api, &api->config->web);
	if (err < 0)
		api_http_api_free(web_api);
	else
		*out_api = web_api;
	return err;
}

void api_http_api_free(struct web_api *web_api)
{
	if (!web_api)
		return;
	arena_close(&web_api->arena);
	free(web_api);
}

struct gateway_route api_http_api_route(struct web_api *web_api)
{
	return (struct gateway_route){
		.path = PATH,
		.methods = GATEWAY_POST,
		.access = GATEWAY_GUARDED,
		.is_busy = true,
		.body_len_max = BODY_LEN_MAX,
		.handle = api_handle,
		.ctx = web_api,
	};
}
