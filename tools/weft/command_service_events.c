/* SPDX-License-Identifier: Apache-2.0 */
/* weft service subscribe, emit: the events of topics of services. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_client.h"
#include "codec/base64.h"
#include "command_service_status.h"
#include "text.h"

#define EVENT_LEN_MAX (64u * 1024) /* the daemon's limit, too */

/* What happens beside events is for the standard error. */
static void tell_notice(const struct invocation *inv, const json_t *reply)
{
	uint64_t lost_cnt = field_uint(reply, "lost");
	char cnt[TEXT_COUNT_CAP];

	if (lost_cnt)
		fprintf(stderr, "weft: lost %s\n", text_count(lost_cnt, "event", "events", cnt));
	if (inv->has_terminal_err && !json_object_get(reply, "at_ms"))
		fprintf(stderr, "subscribed at %.12s, after %s\n", field_text(reply, "provider"),
			field_text(reply, "position"));
}

/* An event as it is, and the end of a line; on a terminal without what would steer it. */
static void print_event(const struct invocation *inv, const json_t *reply)
{
	static uint8_t data[EVENT_LEN_MAX + 3];
	static char clean[EVENT_LEN_MAX + 1];
	const json_t *text = json_object_get(reply, "base64");
	size_t len = 0;

	if (base64_read(json_string_value(text), json_string_length(text), data, EVENT_LEN_MAX,
			&len) < 0)
		return;
	data[len] = '\0';
	if (inv->has_terminal_out)
		fputs(text_clean((const char *)data, clean, sizeof(clean)), stdout);
	else
		fwrite(data, 1, len, stdout);
	putchar('\n');
}

static bool event_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;

	(void)is_last;
	if (inv->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		printf("\n");
	} else {
		tell_notice(inv, reply);
		if (json_object_get(reply, "base64"))
			print_event(inv, reply);
	}
	/* Each as it comes, also into a pipe; a reader that left ends the subscription. */
	return fflush(stdout) == 0;
}

static void option_add(const struct invocation *inv, json_t *parameters, const char *name)
{
	const char *value = invocation_option(inv, name);

	if (value)
		json_object_set_new(parameters, name, json_string(value));
}

int run_service_subscribe(struct invocation *inv)
{
	struct client_call call = {
		.method = "SubscribeService", .wants_more = true, .reply = event_reply, .arg = inv};

	call.parameters =
		json_pack("{s:s, s:s, s:b, s:b}", "name", inv->args[0], "topic", inv->args[1],
			  "as_json", inv->is_json, "sign", invocation_option(inv, "sign") != NULL);
	option_add(inv, call.parameters, "version");
	option_add(inv, call.parameters, "provider");
	option_add(inv, call.parameters, "prefer");
	option_add(inv, call.parameters, "since");
	return client_call(inv, &call);
}

static bool emit_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;
	char cnt[TEXT_COUNT_CAP];

	(void)is_last;
	if (inv->is_json)
		text_print_json(reply);
	else if (inv->has_terminal_out)
		printf("%s to %s\n", field_text(reply, "position"),
		       text_count(field_uint(reply, "subscribers"), "subscriber", "subscribers",
				  cnt));
	else
		printf("%s\n", field_text(reply, "position"));
	return true;
}

int run_service_emit(struct invocation *inv)
{
	struct client_call call = {.method = "PublishEvent", .reply = emit_reply, .arg = inv};
	size_t len;
	char *data = service_payload(inv->arg_cnt > 2 ? inv->args[2] : NULL, &len);
	char *text = data ? malloc(BASE64_LEN(len) + 1) : NULL;

	if (data && !text)
		client_say_error(STATUS_FAILED, "standard input", "no memory", NULL);
	if (!text) {
		free(data);
		return STATUS_FAILED;
	}
	call.parameters = json_pack("{s:s, s:s, s:s}", "name", inv->args[0], "topic", inv->args[1],
				    "base64", base64_write((const uint8_t *)data, len, text));
	option_add(inv, call.parameters, "version");
	free(data);
	free(text);
	return client_call(inv, &call);
}
