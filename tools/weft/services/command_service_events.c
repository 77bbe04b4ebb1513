/* SPDX-License-Identifier: Apache-2.0 */
/* weft service subscribe, emit: the events of topics of services. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/text.h"
#include "services/command_service_status.h"

#define EVENT_LEN_MAX (64u * 1024) /* the daemon's limit, too */

/* Everything but events goes to the standard error. */
static void tell_notice(const struct invocation *inv, const struct api_subscribe_service_out *out)
{
	char cnt[TEXT_COUNT_CAP];

	if (out->lost)
		fprintf(stderr, "weft: lost %s\n",
			text_count((uint64_t)out->lost, "event", "events", cnt));
	if (inv->has_terminal_err && !out->has_at_ms)
		fprintf(stderr, "subscribed at %.12s, after %s\n", out->provider, out->position);
}

/* An event as it is, and the end of a line; on a terminal without what would steer it. */
static void print_event(const struct invocation *inv, const char *base64)
{
	static char clean[EVENT_LEN_MAX + 1];
	struct varlink_blocks blocks = {0};
	const void *data;
	size_t len;

	/* The bytes that are read end with a NUL. */
	if (varlink_base64_read(&blocks, base64, &data, &len) < 0)
		len = 0;
	if (len && inv->has_terminal_out)
		fputs(text_clean(data, clean, sizeof(clean)), stdout);
	else if (len)
		fwrite(data, 1, len, stdout);
	varlink_blocks_free(&blocks);
	putchar('\n');
}

static bool event_reply(void *arg, const struct client_reply *reply)
{
	const struct api_subscribe_service_out *out = reply->out;
	const struct invocation *inv = arg;

	if (inv->is_json) {
		text_print_json_line(reply->json);
	} else {
		tell_notice(inv, out);
		if (out->base64)
			print_event(inv, out->base64);
	}
	/* Each as it comes, also into a pipe; a reader that left ends the subscription. */
	return fflush(stdout) == 0;
}

int run_service_subscribe(struct invocation *inv)
{
	struct api_subscribe_service_in in = {.has_as_json = true, .as_json = inv->is_json};
	struct client_call call = {.request = api_subscribe_service_request(&in),
				   .wants_more = true,
				   .reply = event_reply,
				   .arg = inv};
	int status = command_fill(inv, API_SUBSCRIBE_SERVICE, &in);

	return status == STATUS_OK ? client_call(inv, &call) : status;
}

void print_service_emitted(const struct invocation *inv, const void *reply)
{
	const struct api_publish_event_out *out = reply;
	char cnt[TEXT_COUNT_CAP];

	if (inv->has_terminal_out)
		printf("%s to %s\n", out->position,
		       text_count((uint64_t)out->subscribers, "subscriber", "subscribers", cnt));
	else
		printf("%s\n", out->position);
}

int fill_service_emit(const struct invocation *inv, void *in)
{
	size_t len;
	char *data = service_payload(inv->arg_cnt > 2 ? inv->args[2] : NULL, &len);

	if (!data)
		return STATUS_FAILED;
	((struct api_publish_event_in *)in)->base64 = varlink_base64(inv->blocks, data, len);
	free(data);
	return STATUS_OK;
}
