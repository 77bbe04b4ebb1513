/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /mesh/events/SERVICE/TOPIC: the events of a topic as server-sent events (HTML Living
 * Standard, 9.2). Their ids are positions, so a browser that connects again goes on where it was.
 * While a client does not read, its subscription is held; the client then gets the number of events
 * that it lost. Home worker.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/text/base64.h"
#include "codec/text/utf8.h"
#include "web_mesh.h"

#define HEARTBEAT_NS                                                                               \
	(15 * NS_PER_S) /* so that proxies keep the connection, and dead ones are found */
#define ID_CAP (SERVICE_POSITION_CAP + 64)

/* say: false: the reader was given up, for want of memory, and run is gone. */
static bool say(struct web_mesh_run *run, const char *text, size_t len, uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;

	if (gateway_reply_more(exchange, text, len, now_ns) == 0)
		return true;
	gateway_abort(exchange, now_ns);
	api_http_mesh_run_end(run);
	return false;
}

static void heartbeat_fire(struct timer *timer, uint64_t now_ns)
{
	struct web_mesh_run *run = container_of(timer, struct web_mesh_run, timer);

	timer_set(run->mesh->params.timers, timer, now_ns + HEARTBEAT_NS);
	if (!gateway_backlog_len(run->exchange))
		(void)say(run, ":\n\n", 3, now_ns);
}

static void on_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	char lines[WEB_MESH_LINES_CAP], headers[WEB_MESH_LINES_CAP + 32];
	struct gateway_reply reply = {.status = 200,
				      .type = "text/event-stream",
				      .headers = headers,
				      .body_len = GATEWAY_LEN_UNKNOWN};

	if (run->is_begun)
		return;
	run->is_begun = true;
	snprintf(headers, sizeof(headers), "Cache-Control: no-store\r\n%s",
		 api_http_mesh_provider_line(provider, lines));
	gateway_reply_begin(run->exchange, &reply, now_ns);
	timer_cancel(run->mesh->params.timers, &run->timer);
	timer_init(&run->timer, heartbeat_fire);
	timer_set(run->mesh->params.timers, &run->timer, now_ns + HEARTBEAT_NS);
}

/* text_say: each line is a field; the last one is ended by the caller. */
static bool text_say(struct web_mesh_run *run, const char *text, size_t len, uint64_t now_ns)
{
	const char *line = text, *end = text + len;

	while (line) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t line_len = (size_t)((next ? next : end) - line);

		if (!say(run, "data: ", 6, now_ns) ||
		    (line_len && !say(run, line, line_len, now_ns)) || !say(run, "\n", 1, now_ns))
			return false;
		line = next ? next + 1 : NULL;
	}
	return true;
}

/* Data that is no text, or would not arrive as it is, comes as base64 in an event of that name. */
static bool bytes_say(struct web_mesh_run *run, const struct service_event_message *message,
		      uint64_t now_ns)
{
	static char text[BASE64_LEN(SERVICE_EVENT_LEN_MAX) + 1];

	base64_write(message->data, message->len, text);
	return say(run, "event: base64\n", 14, now_ns) && text_say(run, text, strlen(text), now_ns);
}

static bool data_say(struct web_mesh_run *run, const struct service_event_message *message,
		     uint64_t now_ns)
{
	const char *data = (const char *)message->data;

	if (message->len && (!utf8_is_valid(data, message->len) ||
			     memchr(data, '\0', message->len) || memchr(data, '\r', message->len)))
		return bytes_say(run, message, now_ns);
	return text_say(run, data, message->len, now_ns);
}

static bool lost_say(struct web_mesh_run *run, uint64_t lost_cnt, uint64_t now_ns)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "event: lost\ndata: {\"lost\":%" PRIu64 "}\n\n",
			   lost_cnt);

	return !lost_cnt || say(run, text, (size_t)len, now_ns);
}

/* A notice is an id without data: the browser keeps it, and shows it to no page. */
static void on_message(void *arg, const struct service_event_message *message, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;
	char position[SERVICE_POSITION_CAP], id[ID_CAP];
	int len = snprintf(id, sizeof(id), "id: %s\n",
			   service_position_write(message->epoch, message->sequence, position));

	if (!lost_say(run, message->lost_cnt, now_ns) || !say(run, id, (size_t)len, now_ns) ||
	    (!message->is_notice && !data_say(run, message, now_ns)) || !say(run, "\n", 1, now_ns))
		return;
	if (gateway_backlog_len(run->exchange) > GATEWAY_BACKLOG_LOW)
		service_subscription_hold(run->subscription, true);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	if (run->is_begun)
		gateway_reply_end(run->exchange, now_ns);
	else
		api_http_mesh_run_fail(run, answer, now_ns);
	api_http_mesh_run_end(run);
}

static const struct service_subscription_events subscription_events = {
	.opened = on_opened, .message = on_message, .ended = on_ended};

static void reader_drained(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	(void)now_ns;
	service_subscription_hold(run->subscription, false);
}

static void reader_gone(void *arg)
{
	api_http_mesh_run_end(arg);
}

static const struct gateway_events exchange_events = {.drained = reader_drained,
						      .gone = reader_gone};

const struct gateway_error *
api_http_mesh_events_begin(struct web_mesh_run *run,
			   const struct service_subscription_params *params, uint64_t now_ns)
{
	struct service_target target = api_http_mesh_run_target(run, SERVICE_SUBSCRIBE);
	int err;

	run->subscription = calloc(1, sizeof(*run->subscription));
	if (!run->subscription)
		return &api_http_mesh_busy;
	run->subscription->events = &subscription_events;
	run->subscription->arg = run;
	err = service_subscription_open(run->subscription, api_http_mesh_service(run->mesh),
					&target, params, now_ns);
	if (err < 0)
		return err == WEFT_EMALFORMED ? &api_http_mesh_no_service : &api_http_mesh_busy;
	gateway_watch(run->exchange, &exchange_events, run);
	api_http_mesh_run_patience(run, now_ns);
	return NULL;
}

bool api_http_mesh_subscription_read(const struct gateway_request *request, const char *topic,
				     struct service_subscription_params *out_params)
{
	const char *since = gateway_header(request, "Last-Event-ID");
	char text[SERVICE_POSITION_CAP];

	*out_params = (struct service_subscription_params){.has_since = false};
	if (!service_topic_is_valid(topic, strlen(topic)))
		return false;
	strcpy(out_params->topic, topic);
	if (!since && strncmp(request->query, "since=", 6) == 0) {
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(request->query + 6, "&"),
			 request->query + 6);
		since = text;
	}
	return !since || service_position_parse(since, out_params) == 0;
}
