/* SPDX-License-Identifier: Apache-2.0 */
/* weft event: what happens, as it happens. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/daemon_client.h"
#include "print/text.h"

/* A field as people read it: name=value, ids cut short. What is true or false is left out. */
static void print_event_field(const struct varlink_field *field, const void *at)
{
	const char *text = NULL;
	char clean[512];

	if (field->type->kind == VARLINK_KIND_INT)
		printf(" %s=%" PRId64, field->name, *(const int64_t *)at);
	else if (field->type->kind == VARLINK_KIND_ENUM)
		text = field->type->words[*(const unsigned *)at];
	else if (field->type->kind == VARLINK_KIND_STRING)
		text = text_clean(*(const char *const *)at, clean, sizeof(clean));
	if (text && (strcmp(field->name, "peer") == 0 || strcmp(field->name, "manifest") == 0))
		printf(" %s=%.12s", field->name, text);
	else if (text)
		printf(" %s=\"%s\"", field->name, text);
}

/* The fields of an event, by the type that names its kind; of a kind of a newer daemon, as JSON. */
static void print_event_fields(const struct api_event *event, const char *json)
{
	const struct varlink_type *type =
		varlink_typed_lookup(api_node_events, API_NODE_EVENT_CNT, event->kind);
	struct varlink_blocks blocks = {0};
	const void *fields = type ? varlink_read(type, event->fields, &blocks, NULL) : NULL;

	if (!fields)
		printf(" %s", json);
	for (size_t i = 0; fields && i < type->cnt; i++) {
		const void *at = varlink_field_at(&type->fields[i], fields);

		if (at)
			print_event_field(&type->fields[i], at);
	}
	varlink_blocks_free(&blocks);
}

static void print_event(const struct invocation *inv, const struct api_event *event)
{
	char *text = json_dumps(event->fields, JSON_COMPACT | JSON_ENSURE_ASCII);
	char when[TEXT_SHORT_CAP] = "", kind[64];
	time_t at = (time_t)event->at_s;
	struct tm tm;

	text_clean(event->kind, kind, sizeof(kind));
	if (inv->has_terminal_out && localtime_r(&at, &tm)) {
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
		printf("%s  #%-6" PRId64 " %-18s", when, event->seq, kind);
		print_event_fields(event, text ? text : "");
		printf("\n");
	} else {
		printf("%" PRId64 "\t%" PRId64 "\t%s\t%s\n", event->seq, event->at_s, kind,
		       text ? text : "");
	}
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
