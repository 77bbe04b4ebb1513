/* SPDX-License-Identifier: Apache-2.0 */
/* weft event: what happens, as it happens. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/daemon_client.h"
#include "print/text.h"

/* A field as people read it: name=value, ids cut short. */
static void print_event_field(const char *name, const json_t *value)
{
	const char *text = json_string_value(value);
	bool is_id = text && (strcmp(name, "peer") == 0 || strcmp(name, "manifest") == 0);
	char clean[512];

	if (is_id)
		printf(" %s=%.12s", name, text_clean(text, clean, sizeof(clean)));
	else if (text)
		printf(" %s=\"%s\"", name, text_clean(text, clean, sizeof(clean)));
	else if (json_is_integer(value))
		printf(" %s=%" JSON_INTEGER_FORMAT, name, json_integer_value(value));
}

static void print_event(const struct invocation *inv, const struct api_event *event)
{
	char when[TEXT_SHORT_CAP] = "", kind[64], *text;
	time_t at = (time_t)event->at_s;
	const char *name;
	json_t *value;
	struct tm tm;

	text_clean(event->kind, kind, sizeof(kind));
	if (inv->has_terminal_out && localtime_r(&at, &tm)) {
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
		printf("%s  #%-6" PRId64 " %-18s", when, event->seq, kind);
		json_object_foreach(event->fields, name, value) print_event_field(name, value);
		printf("\n");
		return;
	}
	text = json_dumps(event->fields, JSON_COMPACT | JSON_ENSURE_ASCII);
	printf("%" PRId64 "\t%" PRId64 "\t%s\t%s\n", event->seq, event->at_s, kind,
	       text ? text : "");
	free(text);
}

static bool event_reply(void *arg, const struct client_reply *reply)
{
	const struct api_watch_events_out *out = reply->out;
	const struct invocation *inv = arg;
	char cnt[TEXT_COUNT_CAP];

	if (inv->is_json)
		text_print_json_line(reply->json);
	else if (out->event)
		print_event(inv, out->event);
	else
		fprintf(stderr, "weft: missed %s\n",
			text_count((uint64_t)out->gap, "event", "events", cnt));
	/* Each as it happens, also into a pipe; a reader that left ends the watch. */
	return fflush(stdout) == 0;
}

int run_event_watch(struct invocation *inv)
{
	struct api_watch_events_in in = {.has_since = true};
	struct client_call call = {.request = api_watch_events_request(&in),
				   .wants_more = true,
				   .reply = event_reply,
				   .arg = inv};
	int status = command_fill(inv, API_WATCH_EVENTS, &in);

	return status == STATUS_OK ? client_call(inv, &call) : status;
}
