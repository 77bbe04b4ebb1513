/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as a call: METHOD is what is behind the service's name, its
 * payload the body, or the query's parameters as a JSON object. A reply that is
 * JSON is passed as it is, any other in base64. Home worker.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/text/base64.h"
#include "codec/json_heap.h"
#include "web_mesh.h"

static bool is_json(const uint8_t *payload, size_t len)
{
	json_t *json;

	/* Without memory to parse it, the payload is passed as any other. */
	if (json_heap_load((const char *)payload, len, JSON_DECODE_ANY, &json) < 0)
		return false;
	json_decref(json);
	return true;
}

/* payload_wrap: {"payload": base64, "encoding": "base64"}, for free, or NULL. */
static char *payload_wrap(const uint8_t *payload, size_t len, size_t *out_len)
{
	static const char opening[] = "{\"payload\":\"", closing[] = "\",\"encoding\":\"base64\"}";
	char *text = malloc(sizeof(opening) + BASE64_LEN(len) + sizeof(closing));

	if (!text)
		return NULL;
	strcpy(text, opening);
	base64_write(payload, len, text + strlen(opening));
	strcat(text + strlen(opening) + BASE64_LEN(len), closing);
	*out_len = strlen(opening) + BASE64_LEN(len) + strlen(closing);
	return text;
}

static void reply_pass(struct web_mesh_run *run, const struct service_answer *answer,
		       uint64_t now_ns)
{
	char lines[WEB_MESH_LINES_CAP];
	struct gateway_reply reply = {.status = 200,
				      .type = "application/json",
				      .headers = lines,
				      .body = answer->payload,
				      .body_len = answer->len};
	struct gateway_exchange *exchange = run->exchange;
	char *wrapped = NULL;

	strcat(api_http_mesh_provider_line(answer->provider, lines), "Cache-Control: no-store\r\n");

	if (!answer->len) {
		reply.type = NULL;
	} else if (!is_json(answer->payload, answer->len)) {
		wrapped = payload_wrap(answer->payload, answer->len, &reply.body_len);
		reply.body = wrapped;
		if (!wrapped) {
			api_http_mesh_run_refuse(run, &api_http_mesh_busy, now_ns);
			return;
		}
	}
	run->exchange = NULL;
	gateway_reply(exchange, &reply, now_ns);
	free(wrapped);
}

static void call_done(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	run->ask = NULL;
	if (answer->status == SERVICE_OK)
		reply_pass(run, answer, now_ns);
	else
		api_http_mesh_run_fail(run, answer, now_ns);
	api_http_mesh_run_end(run);
}

/*
 * may_change: the caller showed that it may act as this node. At a site that is a POST, whose
 * Origin was looked at; a page of another port makes a browser GET with the cookie.
 */
static bool may_change(const struct web_mesh_run *run)
{
	return run->proof >= GATEWAY_PROOF_COOKIE &&
	       (!run->target.is_site || run->verb == GATEWAY_POST);
}

static int call_start(struct web_mesh_run *run, const void *payload, size_t len, uint64_t now_ns)
{
	struct service_request request = {
		.target = api_http_mesh_run_target(run, run->method),
		.payload = payload,
		.len = len,
		.timeout_ns = api_http_mesh_run_left_ns(run),
		.done = call_done,
		.arg = run,
	};

	request.target.only_reads = !may_change(run);
	return service_call_start(api_http_mesh_service(run->mesh), &request, now_ns, &run->ask);
}

static const struct gateway_error no_method = {
	404, "method_not_found",
	"A call names its method behind the service, in 1 to 64 visible letters.", 0};
static const struct gateway_error too_large = {413, "payload_too_large",
					       "A call of a service takes at most 1 MiB.", 0};

static const struct gateway_error wrong_token = {
	401, "token_required",
	"This is not the gateway's token, and a call has no use for another.", 0};
static const struct gateway_error no_call = {
	405, "method_not_allowed", "The service takes calls: GET for what only reads, or POST.", 0};

static void call_send(struct web_mesh_run *run, uint64_t now_ns)
{
	json_t *query = run->len ? NULL : api_http_mesh_query_json(run->query);
	char *text = query && json_object_size(query) ? json_dumps(query, JSON_COMPACT) : NULL;
	int err = WEFT_EUNKNOWN;

	if (run->len)
		err = call_start(run, run->data, run->len, now_ns);
	else if (query)
		err = call_start(run, text, text ? strlen(text) : 0, now_ns);
	json_decref(query);
	free(text);
	if (err == 0)
		return;
	if (err == WEFT_EUNKNOWN)
		api_http_mesh_run_refuse(run, &api_http_mesh_bad_query, now_ns);
	else if (err == WEFT_EMALFORMED)
		api_http_mesh_run_refuse(run, &no_method, now_ns);
	else if (err == WEFT_ETOOLARGE)
		api_http_mesh_run_refuse(run, &too_large, now_ns);
	else
		api_http_mesh_run_refuse(run, &api_http_mesh_busy, now_ns);
	api_http_mesh_run_end(run);
}

static bool call_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	int err = api_http_mesh_run_collect(run, piece->data, piece->len, SERVICE_PAYLOAD_LEN_MAX);

	if (err == 0)
		api_http_mesh_body_log(run, piece);
	if (err == 0)
		return true;
	api_http_mesh_run_refuse(run, err == WEFT_ETOOLARGE ? &too_large : &api_http_mesh_busy,
				 now_ns);
	api_http_mesh_run_end(run);
	return true;
}

static void call_finished(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	run->is_body_whole = true;
	call_send(run, now_ns);
}

static void call_gone(void *arg)
{
	struct web_mesh_run *run = arg;

	if (run->ask)
		service_call_cancel(run->ask);
	api_http_mesh_run_end(run);
}

void api_http_mesh_call_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	static const struct gateway_events events = {
		.piece = call_piece, .finished = call_finished, .gone = call_gone};

	const struct gateway_error *refusal = NULL;

	if (!api_http_mesh_allows(run->mesh, run->target.service.name, run->method))
		refusal = &api_http_mesh_not_allowed;
	else if (run->proof == GATEWAY_PROOF_BEARER)
		refusal = &wrong_token;
	else if (!(run->verb & (GATEWAY_GET | GATEWAY_POST)))
		refusal = &no_call;
	if (refusal == &no_call)
		gateway_allow(run->exchange, GATEWAY_GET | GATEWAY_POST);
	if (refusal) {
		api_http_mesh_run_refuse(run, refusal, now_ns);
		api_http_mesh_run_end(run);
		return;
	}
	run->len = 0; /* the head is not wanted */
	gateway_watch(run->exchange, &events, run);
	if (run->is_body_whole)
		call_send(run, now_ns);
	else
		gateway_resume(run->exchange);
}
