/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a service that takes HTTP. Its head opens a stream, its
 * body follows, and the answer comes back the same way. Only heads are
 * held (service/http_envelope.h). Home worker.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "web_mesh.h"

static void http_gone(void *arg)
{
	struct web_mesh_run *run = arg;

	run->exchange = NULL;
	if (run->channel)
		service_channel_end(run->channel, SERVICE_UNAVAILABLE, "the caller left");
	api_http_mesh_run_end(run);
}

/* http_cut ends both sides of what cannot go on. */
static void http_cut(struct web_mesh_run *run, const struct gateway_error *error, uint64_t now_ns)
{
	if (run->channel)
		service_channel_end(run->channel, SERVICE_INVALID_PAYLOAD, "no answer in HTTP");
	if (run->exchange && run->is_begun)
		gateway_abort(run->exchange, now_ns);
	else if (run->exchange)
		api_http_mesh_run_refuse(run, error, now_ns);
	api_http_mesh_run_end(run);
}

static bool http_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	struct service_piece out = {.data = piece->data, .len = piece->len, .is_last = true};

	/* Not before the service took the stream: else no other provider could be asked. */
	if (!run->is_opened)
		return false;
	if (service_channel_send(run->channel, &out, NULL, NULL) == WEFT_EFULL)
		return false;
	if (!run->is_tunnel)
		api_http_mesh_body_log(run, piece);
	if (!run->is_begun)
		api_http_mesh_run_patience(run, now_ns);
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
	.drained = api_http_mesh_run_drained,
	.gone = http_gone,
};

static void channel_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	memcpy(run->provider, provider, sizeof(run->provider));
	run->is_opened = true;
	api_http_mesh_run_patience(run, now_ns);
	if (run->is_body_whole)
		service_channel_finish(run->channel);
	else
		gateway_resume(run->exchange);
}

/* Fields that the gateway sets itself; a page at an origin of its own has its own policy. */
static bool is_own_field(const struct web_mesh_run *run, const struct service_http_header *header)
{
	static const char *const own[] = {
		"Content-Security-Policy", "Date",
		"X-Content-Type-Options",  "X-Frame-Options",
		"Referrer-Policy",	   "Cross-Origin-Resource-Policy"};

	for (size_t i = run->target.is_site; i < sizeof(own) / sizeof(own[0]); i++)
		if (strlen(own[i]) == header->name_len &&
		    strncasecmp(own[i], header->name, header->name_len) == 0)
			return true;
	return false;
}

/*
 * field_is_of_origin: cookies and passwords belong to an origin. All services and every other
 * program of this machine share the origin of the gateway's hosts. So these fields are neither
 * passed on there, nor taken.
 */
static bool field_is_of_origin(const struct service_http_header *header)
{
	static const char *const names[] = {"Set-Cookie", "WWW-Authenticate"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == header->name_len &&
		    strncasecmp(names[i], header->name, header->name_len) == 0)
			return true;
	return false;
}

static bool is_domain(const char *attribute, size_t len)
{
	size_t skip = 0;

	while (skip < len && (attribute[skip] == ' ' || attribute[skip] == '\t'))
		skip++;
	return len > skip + 6 && strncasecmp(attribute + skip, "Domain", 6) == 0 &&
	       strchr("= \t", attribute[skip + 6]);
}

/*
 * cookie_set writes a cookie that a service sets at its own origin. It has no Domain, so it
 * stays there, and nothing that a gateway would take for its own.
 */
static size_t cookie_set(const struct service_http_header *header, char *out, size_t cap)
{
	const char *end = header->value + header->value_len;
	const char *at = header->value;
	size_t len = 0;

	if (gateway_cookie_is_own(at, header->value_len))
		return 0;
	while (at < end) {
		const char *semicolon = memchr(at, ';', (size_t)(end - at));
		size_t part = (size_t)((semicolon ? semicolon : end) - at);

		if (at == header->value || !is_domain(at, part))
			len += (size_t)snprintf(out + len, len < cap ? cap - len : 0, "%s%.*s",
						at == header->value ? "Set-Cookie: " : ";",
						(int)part, at);
		at += part + 1;
	}
	return len + (size_t)snprintf(out + len, len < cap ? cap - len : 0, "\r\n");
}

/* location_name: the field may name a place; NULL: it is another one. */
static const char *location_name(const struct service_http_header *header)
{
	static const char *const names[] = {"Location", "Content-Location"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == header->name_len &&
		    strncasecmp(names[i], header->name, header->name_len) == 0)
			return names[i];
	return NULL;
}

/*
 * base_of: the prefix that a place in a field lacks, so that it leads to the service. At the
 * gateway's own hosts the service's paths lie below its own. Once for each name, which is as many
 * as an answer has.
 */
static const char *base_of(const struct web_mesh_run *run,
			   const struct service_http_headers *headers,
			   const struct service_http_header *header)
{
	const char *name = location_name(header);

	if (!name || service_http_header_lookup(headers, name) != header ||
	    header->value_len == 0 || header->value[0] != '/' ||
	    (header->value_len > 1 && header->value[1] == '/'))
		return "";
	return run->base;
}

/* Each field costs two bytes more in lines than at least three in CBOR. */
#define LINES_CAP (SERVICE_HTTP_HEAD_LEN_MAX + 256 + 2 * WEB_MESH_BASE_CAP)

static void lines_write(const struct web_mesh_run *run, const struct service_http_headers *headers,
			char lines[static LINES_CAP])
{
	size_t at = strlen(api_http_mesh_provider_line(run->provider, lines));

	for (unsigned i = 0; i < headers->cnt && at < LINES_CAP; i++) {
		const struct service_http_header *header = &headers->list[i];

		if (is_own_field(run, header))
			continue;
		if (field_is_of_origin(header) && !run->target.is_site)
			continue;
		if (header->name_len == 10 && strncasecmp(header->name, "Set-Cookie", 10) == 0)
			at += cookie_set(header, lines + at, LINES_CAP - at);
		else
			at += (size_t)snprintf(lines + at, LINES_CAP - at, "%.*s: %s%.*s\r\n",
					       (int)header->name_len, header->name,
					       base_of(run, headers, header),
					       (int)header->value_len, header->value);
	}
}

static const struct gateway_error bad_answer = {502, "bad_gateway",
						"The service's answer is none that HTTP knows.", 0};

/* A node that is older does not know the method. */
static const struct gateway_error no_upgrade = {
	501, "upgrade_not_supported",
	"The node that provides this service runs a version of weft that passes no WebSocket on to "
	"a web server. Name another one by NAME.NODE.localhost, or have it updated.",
	0};

static int answer_parse(const struct web_mesh_run *run, struct service_http_answer *out_answer)
{
	return run->is_upgrade ? service_http_switch_parse(run->data, run->len, out_answer)
			       : service_http_answer_parse(run->data, run->len, out_answer);
}

/* tunnel_begin: the server agreed to a WebSocket. */
static void tunnel_begin(struct web_mesh_run *run, const struct service_http_answer *answer,
			 const char *lines, uint64_t now_ns)
{
	const struct service_http_header *accept =
		service_http_header_lookup(&answer->headers, "Sec-WebSocket-Accept");

	if (!accept || !gateway_tunnel_accepts(run->exchange, accept->value, accept->value_len)) {
		http_cut(run, &bad_answer, now_ns);
		return;
	}
	run->is_begun = run->is_tunnel = true;
	timer_cancel(run->mesh->params.timers, &run->timer);
	gateway_tunnel_begin(run->exchange, lines, now_ns);
}

/* answer_begin: the answer's head is whole. */
static void answer_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	struct service_http_answer answer;
	char lines[LINES_CAP];
	struct gateway_reply reply = {.headers = lines, .is_site_page = run->target.is_site};

	if (answer_parse(run, &answer) < 0) {
		http_cut(run, &bad_answer, now_ns);
		return;
	}
	lines_write(run, &answer.headers, lines);
	if (answer.status == SERVICE_HTTP_SWITCHED) {
		tunnel_begin(run, &answer, lines, now_ns);
		return;
	}
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
		err = (run->is_tunnel ? gateway_tunnel_send : gateway_reply_more)(
			run->exchange, piece->data, piece->len, now_ns);
		if (err < 0)
			http_cut(run, &api_http_mesh_busy, now_ns);
		else
			api_http_mesh_run_used(run, piece->len);
		return;
	}
	err = api_http_mesh_run_collect(run, piece->data, piece->len, SERVICE_HTTP_HEAD_LEN_MAX);
	if (err < 0) {
		http_cut(run, err == WEFT_EFULL ? &api_http_mesh_busy : &bad_answer, now_ns);
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
	if (run->is_tunnel)
		gateway_tunnel_end(exchange, now_ns);
	else
		gateway_reply_end(exchange, now_ns);
	if (run->is_body_whole)
		return; /* ended follows */
	service_channel_end(run->channel, SERVICE_OK, "");
	api_http_mesh_run_end(run);
}

static void channel_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	run->channel = NULL;
	if (run->exchange && run->is_begun)
		gateway_abort(run->exchange, now_ns);
	else if (run->exchange && answer->status == SERVICE_OK)
		api_http_mesh_run_refuse(run, &bad_answer, now_ns);
	else if (run->exchange && run->is_upgrade && answer->status == SERVICE_METHOD_NOT_FOUND)
		api_http_mesh_run_refuse(run, &no_upgrade, now_ns);
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

static const char *verb_of(const struct gateway_request *request)
{
	switch (request->method) {
	case GATEWAY_POST:
		return "POST";
	case GATEWAY_PUT:
		return "PUT";
	case GATEWAY_DELETE:
		return "DELETE";
	case GATEWAY_PATCH:
		return "PATCH";
	case GATEWAY_OPTIONS:
		return "OPTIONS";
	default:
		return request->is_head ? "HEAD" : "GET";
	}
}

#define COOKIES_CAP 8192 /* as long as a header may be */

/*
 * cookies_take: at an origin of its own a service has its own cookies, without the gateway's. At
 * the gateway's hosts they are those of every program of this machine. NULL: none crosses.
 */
static const char *cookies_take(const struct gateway_request *request, const char *value,
				char room[static COOKIES_CAP])
{
	if (!request->site[0] || !gateway_cookies_write(value, room, COOKIES_CAP))
		return NULL;
	return room;
}

/* headers_take: room is what a field Cookie borrows from; a second one is none. */
static void headers_take(const struct gateway_request *request, char room[static COOKIES_CAP],
			 struct service_http_headers *headers)
{
	const char *name, *value;
	bool has_cookies = false;

	headers->cnt = 0;
	for (unsigned i = 0; gateway_header_at(request, i, &name, &value) &&
			     headers->cnt < SERVICE_HTTP_HEADERS_MAX;
	     i++) {
		if (gateway_header_is_secret(request, name, value))
			continue;
		if (strcasecmp(name, "Cookie") == 0) {
			value = has_cookies ? NULL : cookies_take(request, value, room);
			has_cookies = true;
		}
		if (!value)
			continue;
		headers->list[headers->cnt++] =
			(struct service_http_header){.name = name,
						     .value = value,
						     .name_len = strlen(name),
						     .value_len = strlen(value)};
	}
}

int api_http_mesh_http_head(struct web_mesh_run *run, const struct gateway_request *request,
			    const char *rest)
{
	char target[WEB_MESH_QUERY_CAP + 2];
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	char room[COOKIES_CAP];
	struct service_http_request envelope = {.verb = verb_of(request), .target = target};
	struct writer w = writer_of(head, sizeof(head));
	int err;

	envelope.verb_len = strlen(envelope.verb);
	envelope.target_len = (size_t)snprintf(target, sizeof(target), "%s%s%s", *rest ? rest : "/",
					       request->query[0] ? "?" : "", request->query);
	envelope.body_len = request->said_len == GATEWAY_LEN_UNKNOWN ? SERVICE_HTTP_BODY_LEN_UNTOLD
								     : request->said_len;
	headers_take(request, room, &envelope.headers);
	err = service_http_request_write(&w, &envelope);
	return err < 0 ? err : api_http_mesh_run_collect(run, head, writer_len(&w), sizeof(head));
}

void api_http_mesh_http_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	struct service_request request = {
		.target = api_http_mesh_run_target(run, run->is_upgrade ? SERVICE_HTTP_UPGRADE
									: SERVICE_HTTP_METHOD),
		.payload = run->data,
		.len = run->len,
		.timeout_ns = api_http_mesh_run_left_ns(run),
		.events = &channel_events,
		.arg = run,
	};
	int err;

	/* Any provider may claim to be HTTP: another one of the name may take calls. */
	request.target.only_reads = run->proof < GATEWAY_PROOF_COOKIE;
	err = service_channel_open(api_http_mesh_service(run->mesh), &request, now_ns,
				   &run->channel);
	run->len = 0; /* the answer's head takes its place */
	if (err < 0) {
		api_http_mesh_run_refuse(run, &api_http_mesh_busy, now_ns);
		api_http_mesh_run_end(run);
		return;
	}
	gateway_watch(run->exchange, &exchange_events, run);
	gateway_resume(run->exchange);
}
