/* SPDX-License-Identifier: Apache-2.0 */
/* weft service subscribe, emit: the events of topics of services. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/blocks.h"
#include "command/daemon_client.h"
#include "services/command_service_status.h"
#include "print/text.h"

#define EVENT_LEN_MAX (64u * 1024) /* the daemon's limit, too */

/* Everything but events goes to the standard error. */
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
	static char clean[EVENT_LEN_MAX + 1];
	struct api_blocks blocks = {0};
	const void *data;
	size_t len;

	/* The bytes that are read end with a NUL. */
	if (api_base64_read(&blocks, field_text(reply, "base64"), &data, &len) < 0)
		len = 0;
	if (len && inv->has_terminal_out)
		fputs(text_clean(data, clean, sizeof(clean)), stdout);
	else if (len)
		fwrite(data, 1, len, stdout);
	api_blocks_free(&blocks);
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

int run_service_subscribe(struct invocation *inv)
{
	struct client_call call = {.method = "SubscribeService",
				   .parameters =
					   command_parameters(inv, "SubscribeService", "name"),
				   .wants_more = true,
				   .reply = event_reply,
				   .arg = inv};

	json_object_set_new(call.parameters, "topic", json_string(inv->args[1]));
	json_object_set_new(call.parameters, "as_json", json_boolean(inv->is_json));
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
	struct api_blocks blocks = {0};

	if (!data)
		return STATUS_FAILED;
	call.parameters = command_parameters(inv, call.method, "name");
	json_object_set_new(call.parameters, "topic", json_string(inv->args[1]));
	json_object_set_new(call.parameters, "base64", json_string(api_base64(&blocks, data, len)));
	api_blocks_free(&blocks);
	free(data);
	return client_call(inv, &call);
}
