/* SPDX-License-Identifier: Apache-2.0 */
/* weft service call: a method with a payload, or a request to an HTTP server behind a service. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "codec/json_heap.h"
#include "services/command_service_status.h"
#include "print/text.h"
#include "weft/client.h"

#define PAYLOAD_LEN_MAX (16u << 20) /* the daemon's own limit is lower, and says so */

/* payload_stdin reads all of the standard input; NULL: it was said why not. */
static char *payload_stdin(size_t *out_len)
{
	size_t len = 0, cap = 65536;
	char *data = malloc(cap), *more;
	ssize_t n = 1;

	while (data && n > 0 && len < PAYLOAD_LEN_MAX) {
		if (len == cap) {
			cap *= 2;
			more = realloc(data, cap);
			if (!more)
				break;
			data = more;
		}
		n = read(STDIN_FILENO, data + len, cap - len);
		if (n > 0)
			len += (size_t)n;
	}
	if (data && n == 0) {
		*out_len = len;
		return data;
	}
	free(data);
	client_say_error(STATUS_FAILED, "standard input",
			 n < 0 ? strerror(errno) : "too long for the payload of a call", NULL);
	return NULL;
}

char *service_payload(const char *text, size_t *out_len)
{
	if (text && strcmp(text, "-") == 0)
		return payload_stdin(out_len);
	*out_len = text ? strlen(text) : 0;
	return strdup(text ? text : "");
}

/* payload_add: a JSON object as it is, so that its answer comes as one, else as bytes. */
static void payload_add(const struct invocation *inv, struct api_call_service_in *in,
			const char *payload, size_t len)
{
	/* Without memory for it as JSON, it goes as bytes, or fails below. */
	if (len && json_heap_load(payload, len, JSON_REJECT_DUPLICATES, &in->json) < 0)
		in->json = NULL;
	if (json_is_object(in->json))
		return;
	json_decref(in->json);
	in->json = NULL;
	if (len)
		in->base64 = varlink_base64(inv->blocks, payload, len);
}

/* print_payload: JSON for people on a terminal, else byte for byte. */
static int print_payload(const struct invocation *inv, const struct api_call_service_out *out)
{
	const void *bytes;
	size_t len;

	if (out->json && inv->has_terminal_out) {
		text_print_json(out->json);
	} else if (out->json) {
		json_dumpf(out->json, stdout, JSON_COMPACT);
		printf("\n");
	} else if (varlink_base64_read(inv->blocks, out->base64, &bytes, &len) == 0) {
		fwrite(bytes, 1, len, stdout);
	}
	return STATUS_OK;
}

int service_status_exit(uint64_t status)
{
	switch (status) {
	case WEFT_CALL_OK:
		return STATUS_OK;
	case WEFT_CALL_SERVICE_NOT_FOUND:
	case WEFT_CALL_METHOD_NOT_FOUND:
		return STATUS_NOT_FOUND;
	case WEFT_CALL_TIMEOUT:
		return STATUS_TIMEOUT;
	case WEFT_CALL_RATE_LIMITED:
	case WEFT_CALL_UNAUTHORIZED:
	case WEFT_CALL_FORBIDDEN:
	case WEFT_CALL_UNAVAILABLE:
		return STATUS_REFUSED;
	default:
		return STATUS_FAILED;
	}
}

#define NEXT_CAP 256

/* next_of: what to do about a call of service that ended as out says. */
static const char *next_of(const char *service, const struct api_call_service_out *out,
			   char next[static NEXT_CAP])
{
	static const struct {
		const char *before, *after; /* the service's name, if there is one */
	} rows[] = {
		[WEFT_CALL_UNKNOWN_ERROR] = {"The log of the node that provides ",
					     " has the reason."},
		[WEFT_CALL_SERVICE_NOT_FOUND] = {"weft service find ",
						 " shows its providers, and those it hides."},
		[WEFT_CALL_METHOD_NOT_FOUND] = {"weft service show ", " lists its methods."},
		[WEFT_CALL_INVALID_PAYLOAD] = {"weft service show ",
					       " tells what its methods take."},
		[WEFT_CALL_TIMEOUT] = {"Wait longer with --timeout SECONDS.", NULL},
		[WEFT_CALL_RATE_LIMITED] = {"Try again later.", NULL},
		[WEFT_CALL_UNAUTHORIZED] = {"Sign the call with --sign.", NULL},
		[WEFT_CALL_FORBIDDEN] = {"Ask the owner of a node that weft service find ",
					 " shows."},
		[WEFT_CALL_PAYLOAD_TOO_LARGE] = {"Send less, or stream it if ", " takes streams."},
		[WEFT_CALL_UNAVAILABLE] = {"weft service find ",
					   " shows other nodes that provide it."},
	};
	uint64_t status = (uint64_t)out->status;

	if (out->not_before_ms)
		snprintf(next, NEXT_CAP, "Try again in %.1f s.", (double)out->not_before_ms / 1000);
	else if (status < sizeof(rows) / sizeof(rows[0]) && rows[status].before)
		snprintf(next, NEXT_CAP, "%s%s%s", rows[status].before,
			 rows[status].after ? service : "",
			 rows[status].after ? rows[status].after : "");
	else
		snprintf(next, NEXT_CAP, "weft service list shows what is known.");
	return next;
}

static int tell_answer(const struct invocation *inv, const struct api_call_service_out *out)
{
	char what[128], why[256], next[NEXT_CAP];

	if (out->status == WEFT_CALL_OK)
		return print_payload(inv, out);
	snprintf(what, sizeof(what), "%s %s", inv->args[0], inv->args[1]);
	snprintf(why, sizeof(why), "%s%s%s", out->status_name, *out->text ? ": " : "", out->text);
	return client_say_error(service_status_exit((uint64_t)out->status), what, why,
				next_of(inv->args[0], out, next));
}

/* The call has the time; the daemon itself answers at once or not at all. */
static int call_run(const struct invocation *inv, const struct api_call_service_in *in)
{
	struct client_call call = {.request = api_call_service_request(in), .is_long = true};
	const struct api_call_service_out *out;
	int status = client_call(inv, &call);

	if (status != STATUS_OK)
		return status;
	out = call.last.out;
	if (!inv->is_json)
		return tell_answer(inv, out);
	if (in->traceparent)
		json_object_set_new(call.last.json, "traceparent", json_string(in->traceparent));
	text_print_json(call.last.json);
	return service_status_exit((uint64_t)out->status);
}

static int call_method(const struct invocation *inv)
{
	struct api_call_service_in in = {.has_timeout_ms = inv->timeout_ms != 0,
					 .timeout_ms = (int64_t)inv->timeout_ms};
	char trace[SERVICE_TRACE_TEXT_CAP];
	size_t len;
	char *payload = service_payload(inv->arg_cnt > 2 ? inv->args[2] : NULL, &len);
	int status = payload ? service_trace_option(inv, trace) : STATUS_FAILED;

	if (status == STATUS_OK)
		status = command_fill(inv, API_CALL_SERVICE, &in);
	if (status == STATUS_OK) {
		in.traceparent = *trace ? trace : NULL;
		payload_add(inv, &in, payload, len);
		status = call_run(inv, &in);
		json_decref(in.json);
	}
	free(payload);
	return status;
}

int run_service_call(struct invocation *inv)
{
	if (inv->arg_cnt > 2 && inv->args[2][0] == '/' && service_verb_is_http(inv->args[1]))
		return service_http_call(inv);
	if (inv->arg_cnt > 3)
		return client_say_error(
			STATUS_USAGE, inv->args[3], "one argument too many",
			"for example: weft service call mesh-stats GetMeshStatus '{}'");
	if (invocation_option(inv, "header"))
		return client_say_error(STATUS_USAGE, "--header", "only requests of HTTP have any",
					"for example: weft service call hello GET /");
	return call_method(inv);
}
