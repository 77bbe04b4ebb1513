/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /events: the control socket's events as a stream of server-sent events (HTML Living Standard,
 * 9.2). Each reader goes at its own speed through the ring that control/ keeps. A reader that was
 * overtaken gets the number of events that it missed. A reader comes back with the number that it
 * saw last. Home worker.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "web_routes_state.h"

#define READER_CAP 32
#define HEARTBEAT_NS                                                                               \
	(15 * NS_PER_S) /* so that proxies keep the connection, and dead ones are found */

struct event_reader {
	struct web_events *events;
	struct gateway_exchange *exchange;
	uint64_t seen_seq;
};

struct web_events {
	struct api *api;
	struct timer heartbeat;
	struct arena arena;
	struct pool readers;
};

static int readers_init(struct web_events *events)
{
	int err = arena_open(&events->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&events->readers, &events->arena, sizeof(struct event_reader),
				READER_CAP);
	arena_fit(&events->arena);
	return err;
}

size_t api_http_events_footprint(void)
{
	struct web_events events = {0};
	size_t len = readers_init(&events) < 0 ? 0 : events.arena.used_len;

	arena_close(&events.arena);
	return len;
}

static void reader_end(struct event_reader *reader)
{
	pool_release(&reader->events->readers, reader);
}

/* reader_say: false when the reader was given up, for want of memory. */
static bool reader_say(struct event_reader *reader, const char *text, size_t len)
{
	uint64_t now_ns = reader->events->api->home->now_ns;

	if (gateway_reply_more(reader->exchange, text, len, now_ns) == 0)
		return true;
	gateway_abort(reader->exchange, now_ns);
	reader_end(reader);
	return false;
}

static bool reader_say_gap(struct event_reader *reader, uint64_t missed_cnt)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "event: gap\ndata: {\"missed\":%" PRIu64 "}\n\n",
			   missed_cnt);

	return reader_say(reader, text, (size_t)len);
}

static bool reader_say_event(struct event_reader *reader, uint64_t seq, const char *json,
			     size_t json_len)
{
	char head[48];
	int len = snprintf(head, sizeof(head), "id: %" PRIu64 "\ndata: ", seq);

	return reader_say(reader, head, (size_t)len) && reader_say(reader, json, json_len) &&
	       reader_say(reader, "\n\n", 2);
}

static void reader_pump(struct event_reader *reader)
{
	const struct api *api = reader->events->api;
	const char *json;
	size_t len;
	uint64_t seq;

	while (gateway_backlog_len(reader->exchange) <= GATEWAY_BACKLOG_LOW &&
	       (seq = control_event_next(api->control, api->config->web.role, reader->seen_seq,
					 &json, &len)) != 0) {
		uint64_t missed_cnt = seq - reader->seen_seq - 1;

		if (missed_cnt && !reader_say_gap(reader, missed_cnt))
			return;
		reader->seen_seq = seq;
		if (!reader_say_event(reader, seq, json, len))
			return;
	}
}

static void reader_drained(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	reader_pump(arg);
}

static void reader_gone(void *arg)
{
	reader_end(arg);
}

static void events_told(void *arg)
{
	struct web_events *events = arg;
	struct event_reader *reader = NULL;

	while ((reader = pool_next(&events->readers, reader)) != NULL)
		reader_pump(reader);
}

static void heartbeat_fire(struct timer *timer, uint64_t now_ns)
{
	struct web_events *events = container_of(timer, struct web_events, heartbeat);
	struct event_reader *reader = NULL;

	while ((reader = pool_next(&events->readers, reader)) != NULL)
		if (!gateway_backlog_len(reader->exchange))
			(void)reader_say(reader, ":\n\n", 3);
	timer_set(&events->api->home->timers, timer, now_ns + HEARTBEAT_NS);
}

/* A reader without a number wants what happens from now on. */
static uint64_t first_seq(const struct gateway_request *request, uint64_t last_seq)
{
	const char *text = gateway_header(request, "Last-Event-ID");
	unsigned long long seq;
	char end;

	if (!text && strncmp(request->query, "since=", 6) == 0)
		text = request->query + 6;
	if (!text || sscanf(text, "%llu%c", &seq, &end) != 1)
		return last_seq;
	/* A number from before a restart may lie ahead: all that is kept is new to its reader. */
	return seq <= last_seq ? seq : 0;
}

static void events_handle(void *ctx, struct gateway_exchange *exchange,
			  const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error full = {
		503, "too_many_readers", "As many programs read events as are served.", 10};
	static const struct gateway_events exchange_events = {.drained = reader_drained,
							      .gone = reader_gone};
	static const struct gateway_reply reply = {.status = 200,
						   .type = "text/event-stream",
						   .headers = "Cache-Control: no-store\r\n",
						   .body_len = GATEWAY_LEN_UNKNOWN};
	struct web_events *events = ctx;
	struct event_reader *reader = request->is_head ? NULL : pool_acquire(&events->readers);

	if (request->is_head) {
		gateway_reply_begin(exchange, &reply, now_ns);
		gateway_reply_end(exchange, now_ns);
		return;
	}
	if (!reader) {
		gateway_reply_error(exchange, &full, now_ns);
		return;
	}
	reader->events = events;
	reader->exchange = exchange;
	reader->seen_seq = first_seq(request, control_event_last(events->api->control));
	control_on_event(events->api->control, events_told, events);
	gateway_watch(exchange, &exchange_events, reader);
	gateway_reply_begin(exchange, &reply, now_ns);
	reader_pump(reader);
	if (!timer_is_set(&events->heartbeat))
		timer_set(&events->api->home->timers, &events->heartbeat, now_ns + HEARTBEAT_NS);
}

int api_http_events_new(struct api *api, struct web_events **out_events)
{
	struct web_events *events = calloc(1, sizeof(*events));
	int err;

	if (!events)
		return -ENOMEM;
	events->api = api;
	timer_init(&events->heartbeat, heartbeat_fire);
	err = readers_init(events);
	if (err < 0)
		api_http_events_free(events);
	else
		*out_events = events;
	return err;
}

void api_http_events_free(struct web_events *events)
{
	if (!events)
		return;
	timer_cancel(&events->api->home->timers, &events->heartbeat);
	if (events->api->control)
		control_on_event(events->api->control, NULL, NULL);
	arena_close(&events->arena);
	free(events);
}

struct gateway_route api_http_events_route(struct web_events *events)
{
	return (struct gateway_route){
		.path = "/events",
		.methods = GATEWAY_GET,
		.access = GATEWAY_GUARDED,
		.is_streamed = true,
		.is_busy = true,
		.handle = events_handle,
		.ctx = events,
	};
}
