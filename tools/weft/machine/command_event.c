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

static void print_event(const struct invocation *inv, const json_t *event)
{
	json_t *fields = json_object_get(event, "fields"), *value;
	time_t at = (time_t)field_uint(event, "at_s");
	char when[TEXT_SHORT_CAP] = "", kind[64], *text;
	const char *name;
	struct tm tm;

	text_clean(field_text(event, "kind"), kind, sizeof(kind));
	if (inv->has_terminal_out && localtime_r(&at, &tm)) {
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
		printf("%s  #%-6" PRIu64 " %-18s", when, field_uint(event, "seq"), kind);
		json_object_foreach(fields, name, value) print_event_field(name, value);
		printf("\n");
		return;
	}
	text = json_dumps(fields, JSON_COMPACT | JSON_ENSURE_ASCII);
	printf("%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n", field_uint(event, "seq"),
	       field_uint(event, "at_s"), kind, text ? text : "");
	free(text);
}

static bool event_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;
	const json_t *event = json_object_get(reply, "event");
	char cnt[TEXT_COUNT_CAP];

	(void)is_last;
	if (inv->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		printf("\n");
	} else if (event && !json_is_null(event)) {
		print_event(inv, event);
	} else {
		fprintf(stderr, "weft: missed %s\n",
			text_count(field_uint(reply, "gap"), "event", "events", cnt));
	}
	/* Each as it happens, also into a pipe; a reader that left ends the watch. */
	return fflush(stdout) == 0;
}

int run_event_watch(struct invocation *inv)
{
	const char *since = invocation_option(inv, "since");
	uint64_t seq = 0;
	struct client_call call = {
		.method = "WatchEvents", .wants_more = true, .reply = event_reply, .arg = inv};

	if (since && !text_parse_count(since, &seq))
		return client_say_error(STATUS_USAGE, "--since", "not an event number",
					"Events are numbered from 1: weft event watch --since 1");
	call.parameters = json_pack("{s:I}", "since", (json_int_t)seq);
	return client_call(inv, &call);
}
