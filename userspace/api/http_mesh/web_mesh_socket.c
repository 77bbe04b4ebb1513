/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket bridged to a stream of a service. Messages go both ways as text or
 * binary as they came, in whatever pieces; the end of one side ends the other.
 * Home worker.
 */
#include <stdlib.h>
#include <string.h>

#include "web_mesh.h"

/* RFC 6455, 7.4.1. */
#define CLOSE_NORMAL	1000
#define CLOSE_ERROR	1011
#define CLOSE_TRY_LATER 1013

static bool socket_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	struct service_piece out = {.data = piece->data,
				    .len = piece->len,
				    .is_text = piece->is_text,
				    .is_last = piece->is_last};

	(void)now_ns;
	return service_channel_send(run->channel, &out, NULL, NULL) != WEFT_EFULL;
}

static void socket_gone(void *arg)
{
	struct web_mesh_run *run = arg;

	run->exchange = NULL;
	service_channel_end(run->channel, SERVICE_OK, "");
	api_http_mesh_run_end(run);
}

static const struct gateway_events exchange_events = {
	.piece = socket_piece, .drained = api_http_mesh_run_drained, .gone = socket_gone};

static void channel_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	(void)provider;
	run->is_opened = true;
	gateway_socket_accept(run->exchange, now_ns);
}

static void socket_close(struct web_mesh_run *run, unsigned code, const char *text, uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_socket_close(exchange, code, text, now_ns);
}

static void channel_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	struct gateway_piece out = {.data = piece->data,
				    .len = piece->len,
				    .is_text = piece->is_text,
				    .is_last = piece->is_last};

	if (run->exchange && gateway_socket_send(run->exchange, &out, now_ns) < 0) {
		socket_close(run, CLOSE_TRY_LATER, "the gateway is short of memory", now_ns);
		service_channel_end(run->channel, SERVICE_UNAVAILABLE,
				    "the caller reads too slowly");
		api_http_mesh_run_end(run);
		return;
	}
	api_http_mesh_run_used(run, piece->len);
}

static void channel_finished(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	socket_close(run, CLOSE_NORMAL, "", now_ns);
	service_channel_finish(run->channel); /* ended follows */
}

static void channel_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	bool is_good = answer->status == SERVICE_OK;

	run->channel = NULL;
	if (run->exchange && run->is_opened)
		socket_close(run, is_good ? CLOSE_NORMAL : CLOSE_ERROR, is_good ? "" : answer->text,
			     now_ns);
	else if (run->exchange)
		api_http_mesh_run_fail(run, answer, now_ns);
	api_http_mesh_run_end(run);
}

static const struct service_channel_events channel_events = {
	.opened = channel_opened,
	.piece = channel_piece,
	.finished = channel_finished,
	.writable = api_http_mesh_run_writable,
	.ended = channel_ended,
};

void api_http_mesh_socket_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	json_t *query = api_http_mesh_query_json(run->query);
	char *head = query && json_object_size(query) ? json_dumps(query, JSON_COMPACT) : NULL;
	const struct service_request request = {
		.target = api_http_mesh_run_target(run, run->method),
		.payload = head,
		.len = head ? strlen(head) : 0,
		.timeout_ns = run->mesh->params.timeout_ns,
		.events = &channel_events,
		.arg = run,
	};
	int err = WEFT_EMALFORMED;

	if (query)
		err = service_channel_open(api_http_mesh_service(run->mesh), &request, now_ns,
					   &run->channel);
	json_decref(query);
	free(head);
	if (err < 0) {
		api_http_mesh_run_refuse(run,
					 err == WEFT_EMALFORMED ? &api_http_mesh_bad_query
								: &api_http_mesh_busy,
					 now_ns);
		api_http_mesh_run_end(run);
		return;
	}
	gateway_watch(run->exchange, &exchange_events, run);
}
