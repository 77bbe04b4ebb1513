/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a service that takes HTTP: its head opens a stream, its
 * body follows, the answer comes back the same way; nothing is held but
 * heads (service/http_envelope.h). Home worker.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "codec/zbase32.h"
#include "node/web/web_mesh.h"

static void http_gone(void *arg)
{
	struct web_mesh_run *run = arg;

	run->exchange = NULL;
	if (run->channel)
		service_channel_end(run->channel, SERVICE_UNAVAILABLE, "the caller left");
	web_mesh_run_end(run);
}

/* http_cut ends both sides of what cannot go on. */
static void http_cut(struct web_mesh_run *run, const struct gateway_error *error, uint64_t now_ns)
{
	if (run->channel)
		service_channel_end(run->channel, SERVICE_INVALID_PAYLOAD, "no answer in HTTP");
	if (run->exchange && run->is_begun)
		gateway_abort(run->exchange, now_ns);
	else if (run->exchange)
		web_mesh_run_refuse(run, error, now_ns);
	web_mesh_run_end(run);
}

static bool http_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	struct service_piece out = {.data = piece->data, .len = piece->len, .is_last = true};

	/* Not before the service took the stream: else nobody else could be asked. */
	if (!run->is_opened)
		return false;
	if (service_channel_send(run->channel, &out, NULL, NULL) == WEFT_EFULL)
		return false;
	if (!run->is_begun)
		web_mesh_run_patience(run, now_ns);
	return true;
}

static void http_finished(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	(void)now_ns;
	run->is_body_whole = true;
	if (run->channel)
		service_channel_finish(run->channel);
}

static const struct gateway_events exchange_events = {
	.piece = http_piece,
	.finished = http_finished,
	.drained = web_mesh_run_drained,
	.gone = http_gone,
};

static void channel_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	memcpy(run->provider, provider, sizeof(run->provider));
	run->is_opened = true;
	web_mesh_run_patience(run, now_ns);
	if (run->is_body_whole)
		service_channel_finish(run->channel);
	else
		gateway_resume(run->exchange);
}

/* Fields that the gateway tells itself. */
static bool is_own_field(const struct service_http_header *header)
{
	static const char *const own[] = {"Date",
					  "X-Content-Type-Options",
					  "X-Frame-Options",
					  "Referrer-Policy",
					  "Content-Security-Policy",
					  "Cross-Origin-Resource-Policy"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strlen(own[i]) == header->name_len &&
		    strncasecmp(own[i], header->name, header->name_len) == 0)
			return true;
	return false;
}

/*
 * field_is_of_origin: cookies and passwords belong to an origin, and all services and every other
 * program of this machine share the gateway's own: none is told there, and none is taken.
 */
static bool field_is_of_origin(const char *name, size_t len)
{
	static const char *const names[] = {"Cookie", "Set-Cookie", "WWW-Authenticate"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], name, len) == 0)
			return true;
	return false;
}

/* Each field costs two bytes more in lines than at least three in CBOR. */
#define LINES_CAP (SERVICE_HTTP_HEAD_LEN_MAX + 256)

static void lines_write(const struct web_mesh_run *run, const struct service_http_headers *headers,
			char lines[static LINES_CAP])
{
	char provider[ZBASE32_KEY_TEXT_CAP];
	size_t at = (size_t)snprintf(lines, LINES_CAP, "X-Mesh-Provider: %s\r\n",
				     zbase32_write(run->provider, MESH_KEY_LEN, provider));

	for (unsigned i = 0; i < headers->cnt && at < LINES_CAP; i++) {
		const struct service_http_header *header = &headers->list[i];

		if (!is_own_field(header) && !field_is_of_origin(header->name, header->name_len))
			at += (size_t)snprintf(lines + at, LINES_CAP - at, "%.*s: %.*s\r\n",
					       (int)header->name_len, header->name,
					       (int)header->value_len, header->value);
	}
}

static const struct gateway_error bad_answer = {502, "bad_gateway",
						"The service's answer is none that HTTP knows.", 0};

/* answer_begin: the answer's head is whole. */
static void answer_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	struct service_http_answer answer;
	char lines[LINES_CAP];
	struct gateway_reply reply = {.headers = lines};

	if (service_http_answer_parse(run->data, run->len, &answer) < 0) {
		http_cut(run, &bad_answer, now_ns);
		return;
	}
	lines_write(run, &answer.headers, lines);
	reply.status = answer.status;
	reply.body_len = answer.body_len == SERVICE_HTTP_BODY_LEN_UNTOLD ? GATEWAY_LEN_UNKNOWN
									 : answer.body_len;
	gateway_reply_begin(run->exchange, &reply, now_ns);
	run->is_begun = true;
	timer_cancel(run->mesh->params.timers, &run->timer);
}

static void channel_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	int err;

	if (!run->exchange) {
		service_channel_consume(run->channel, piece->len);
		return;
	}
	if (run->is_begun) {
		err = gateway_reply_more(run->exchange, piece->data, piece->len, now_ns);
		if (err < 0)
			http_cut(run, &web_mesh_busy, now_ns);
		else
			web_mesh_run_used(run, piece->len);
		return;
	}
	err = web_mesh_run_collect(run, piece->data, piece->len, SERVICE_HTTP_HEAD_LEN_MAX);
	if (err < 0) {
		http_cut(run, err == WEFT_EFULL ? &web_mesh_busy : &bad_answer, now_ns);
		return;
	}
	service_channel_consume(run->channel, piece->len);
	if (piece->is_last)
		answer_begin(run, now_ns);
}

static void channel_finished(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	struct gateway_exchange *exchange = run->exchange;

	if (!exchange)
		return;
	if (!run->is_begun) {
		http_cut(run, &bad_answer, now_ns);
		return;
	}
	run->exchange = NULL;
	gateway_reply_end(exchange, now_ns);
	if (run->is_body_whole)
		return; /* ended follows */
	service_channel_end(run->channel, SERVICE_OK, "");
	web_mesh_run_end(run);
}

static void channel_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	run->channel = NULL;
	if (run->exchange && run->is_begun)
		gateway_abort(run->exchange, now_ns);
	else if (run->exchange && answer->status == SERVICE_OK)
		web_mesh_run_refuse(run, &bad_answer, now_ns);
	else if (run->exchange)
		web_mesh_run_fail(run, answer, now_ns);
	web_mesh_run_end(run);
}

static const struct service_channel_events channel_events = {
	.opened = channel_opened,
	.piece = channel_piece,
	.finished = channel_finished,
	.writable = web_mesh_run_writable,
	.ended = channel_ended,
};

static const char *verb_of(const struct gateway_request *request)
{
	switch (request->method) {
	case GATEWAY_POST:
		return "POST";
	case GATEWAY_PUT:
		return "PUT";
	case GATEWAY_DELETE:
		return "DELETE";
	default:
		return request->is_head ? "HEAD" : "GET";
	}
}

static void headers_take(const struct gateway_request *request,
			 struct service_http_headers *headers)
{
	const char *name, *value;

	headers->cnt = 0;
	for (unsigned i = 0; gateway_header_at(request, i, &name, &value) &&
			     headers->cnt < SERVICE_HTTP_HEADERS_MAX;
	     i++) {
		if (gateway_header_is_secret(request, name, value) ||
		    field_is_of_origin(name, strlen(name)))
			continue;
		headers->list[headers->cnt++] =
			(struct service_http_header){.name = name,
						     .value = value,
						     .name_len = strlen(name),
						     .value_len = strlen(value)};
	}
}

int web_mesh_http_head(struct web_mesh_run *run, const struct gateway_request *request,
		       const char *rest)
{
	char target[WEB_MESH_QUERY_CAP + 2];
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	struct service_http_request envelope = {.verb = verb_of(request), .target = target};
	struct writer w = writer_of(head, sizeof(head));
	int err;

	envelope.verb_len = strlen(envelope.verb);
	envelope.target_len = (size_t)snprintf(target, sizeof(target), "%s%s%s", *rest ? rest : "/",
					       request->query[0] ? "?" : "", request->query);
	envelope.body_len = request->said_len == GATEWAY_LEN_UNKNOWN ? SERVICE_HTTP_BODY_LEN_UNTOLD
								     : request->said_len;
	headers_take(request, &envelope.headers);
	err = service_http_request_write(&w, &envelope);
	return err < 0 ? err : web_mesh_run_collect(run, head, writer_len(&w), sizeof(head));
}

void web_mesh_http_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	struct service_target target = {.name = run->name, .method = SERVICE_HTTP_METHOD};
	int err = service_channel_open(web_mesh_service(run->mesh), &target, run->data, run->len,
				       web_mesh_run_left_ns(run), &channel_events, run, now_ns,
				       &run->channel);

	run->len = 0; /* the answer's head takes its place */
	if (err < 0) {
		web_mesh_run_refuse(run, &web_mesh_busy, now_ns);
		web_mesh_run_end(run);
		return;
	}
	gateway_watch(run->exchange, &exchange_events, run);
	gateway_resume(run->exchange);
}
