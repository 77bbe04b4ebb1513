/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event stream: the last event_cap events in a ring, written once as the reply they will be.
 * Watchers read it at their own speed. A watcher that the ring has overtaken gets the number of
 * events that it missed. Home worker.
 */
#include "control/control_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node.h"
#include "base/monotonic.h"
#include "codec/json_heap.h"
#include "control/redact.h"

/* A watcher is given the next event while less than this waits to be sent. */
#define WATCHER_BACKLOG_MAX (64 * 1024)

static struct event_entry *entry_of(struct control *control, uint64_t seq)
{
	return &control->events[seq % control->config.event_cap];
}

static uint64_t oldest_seq(const struct control *control)
{
	uint64_t cap = control->config.event_cap;

	return control->last_seq > cap ? control->last_seq - cap + 1 : 1;
}

static void pump_gap(struct control_call *call, uint64_t missed_cnt)
{
	control_reply_more(call, api_watch_events_out_write(&(struct api_watch_events_out){
					 API_IF(gap, true, api_uint(missed_cnt))}));
}

/* The reply is there already; a watcher with an id has it put in before the last brace. */
static void pump_entry(struct control_call *call, const char *text, size_t len)
{
	char *tagged = NULL;
	int tagged_len = 0;

	if (call->has_id)
		tagged_len =
			asprintf(&tagged, "%.*s,\"id\":%" PRIu64 "}", (int)len - 1, text, call->id);
	if (!call->has_id)
		control_client_write(call->client, text, len);
	else if (tagged_len > 0)
		control_client_write(call->client, tagged, (size_t)tagged_len);
	else
		pump_gap(call, 1);
	free(tagged);
}

void control_event_pump(struct control_call *call)
{
	struct control *control = call->control;
	uint64_t oldest = oldest_seq(control);

	if (call->next_seq < oldest &&
	    control_client_backlog_len(call->client) < WATCHER_BACKLOG_MAX) {
		pump_gap(call, oldest - call->next_seq);
		call->next_seq = oldest;
	}
	while (call->next_seq <= control->last_seq &&
	       control_client_backlog_len(call->client) < WATCHER_BACKLOG_MAX) {
		const struct event_entry *entry = entry_of(control, call->next_seq);

		if (call->client->state == CLIENT_BROKEN)
			return;
		if (entry->text && call->role == CONTROL_VIEW)
			pump_entry(call, entry->view_text, entry->view_len);
		else if (entry->text)
			pump_entry(call, entry->text, entry->len);
		else
			pump_gap(call, 1);
		call->next_seq++;
	}
}

static void entry_free(struct event_entry *entry)
{
	free(entry->text);
	free(entry->view_text);
	*entry = (struct event_entry){0};
}

/* event_text is the reply that carries the event, or NULL. */
static char *event_text(const json_t *event, size_t *out_len)
{
	char *json = event ? json_dumps(event, JSON_COMPACT) : NULL;
	char *text = NULL;
	int len = json ? asprintf(&text, EVENT_OPENING "%s" EVENT_CLOSING, json) : -1;

	free(json);
	*out_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? NULL : text;
}

/* entry_write leaves both texts or none; fields is taken. */
static void entry_write(struct event_entry *entry, uint64_t seq, const char *kind, json_t *fields)
{
	/*
	 * Fields lost: of fields, which then belong to no event, or of an
	 * answer that is being made.
	 */
	bool was_lost = json_heap_swap_lost(false);
	json_t *taken = fields ? fields : json_object();
	json_t *event = api_event_write(&(struct api_event){.seq = api_uint(seq),
							    .at_s = api_uint(clock_wall_s()),
							    .kind = kind,
							    .fields = taken});
	json_t *shown = event ? control_redact_capabilities(event) : NULL;

	entry_free(entry);
	entry->text = event_text(event, &entry->len);
	entry->view_text = event_text(shown, &entry->view_len);
	if (json_heap_swap_lost(was_lost) || was_lost || !entry->text || !entry->view_text)
		entry_free(entry);
	json_decref(shown);
	json_decref(event);
	json_decref(taken);
}

void control_event(struct control *control, const char *kind, json_t *fields, uint64_t now_ns)
{
	uint64_t seq = ++control->last_seq;
	struct event_entry *entry = entry_of(control, seq);
	struct control_call *next;

	control->now_ns = now_ns;
	control->stats.event_cnt++;
	entry_write(entry, seq, kind, fields);
	for (struct control_call *call = control->calls; call; call = next) {
		next = call->next;
		if (call->is_watching)
			control_event_pump(call);
	}
	if (control->event_told)
		control->event_told(control->event_told_arg);
}

uint64_t control_event_next(const struct control *control, enum control_role role, uint64_t after,
			    const char **out_text, size_t *out_len)
{
	uint64_t seq = after + 1 > oldest_seq(control) ? after + 1 : oldest_seq(control);
	const struct event_entry *entry;

	for (; seq <= control->last_seq; seq++) {
		entry = &control->events[seq % control->config.event_cap];
		if (!entry->text)
			continue;
		*out_text = (role == CONTROL_VIEW ? entry->view_text : entry->text) +
			    strlen(EVENT_OPENING);
		*out_len = (role == CONTROL_VIEW ? entry->view_len : entry->len) -
			   strlen(EVENT_OPENING EVENT_CLOSING);
		return seq;
	}
	return 0;
}

uint64_t control_event_last(const struct control *control)
{
	return control->last_seq;
}

void control_on_event(struct control *control, void (*told)(void *arg), void *arg)
{
	control->event_told = told;
	control->event_told_arg = arg;
}

void control_watch(struct control *control, struct control_call *call, uint64_t since)
{
	if (!call->wants_more) {
		control_call_fail_standard(call, API_EXPECTED_MORE_ERROR, NULL);
		return;
	}
	/* A number from before a restart may lie ahead: then there is nothing old to tell. */
	call->next_seq = since && since <= control->last_seq ? since : control->last_seq + 1;
	call->is_watching = true;
	call->client->watching_cnt += call->has_id;
	control->stats.watcher_cnt++;
	control_event_pump(call);
}

void control_events_free(struct control *control)
{
	for (uint32_t i = 0; control->events && i < control->config.event_cap; i++)
		entry_free(&control->events[i]);
	free(control->events);
}
