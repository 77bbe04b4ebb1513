/* SPDX-License-Identifier: Apache-2.0 */
/* weft service call: a method with a payload, or a request to an HTTP server behind a service. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/blocks.h"
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
static void payload_add(json_t *parameters, const char *payload, size_t len)
{
	struct api_blocks blocks = {0};
	json_t *json = NULL;

	/* Without memory for it as JSON, it goes as bytes, or fails below. */
	if (len && json_heap_load(payload, len, JSON_REJECT_DUPLICATES, &json) < 0)
		json = NULL;

	if (json_is_object(json)) {
		json_object_set_new(parameters, "json", json);
		return;
	}
	json_decref(json);
	if (!len)
		return;
	json_object_set_new(parameters, "base64", json_string(api_base64(&blocks, payload, len)));
	api_blocks_free(&blocks);
}

json_t *service_parameters(const struct invocation *inv, const char *method)
{
	json_t *json = command_parameters(inv, method, "name");

	if (inv->timeout_ms)
		json_object_set_new(json, "timeout_ms", json_integer((json_int_t)inv->timeout_ms));
	return json;
}

/* print_payload: JSON for people on a terminal, else byte for byte. */
static int print_payload(const struct invocation *inv, const json_t *reply)
{
	const json_t *json = json_object_get(reply, "json");
	const char *base64 = json_string_value(json_object_get(reply, "base64"));
	struct api_blocks blocks = {0};
	const void *bytes;
	size_t len;

	if (json_is_object(json)) {
		if (inv->has_terminal_out)
			text_print_json(json);
		else {
			json_dumpf(json, stdout, JSON_COMPACT);
			printf("\n");
		}
		return STATUS_OK;
	}
	if (api_base64_read(&blocks, base64, &bytes, &len) == 0)
		fwrite(bytes, 1, len, stdout);
	api_blocks_free(&blocks);
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

/* next_of: what to do about a call of service that ended as reply says. */
static const char *next_of(const char *service, const json_t *reply, char next[static NEXT_CAP])
{
	static const struct {
		const char *before, *after; /* the service's name, if there is one */
	} rows[] = {
		[WEFT_CALL_UNKNOWN_ERROR] = {"The log of the node that provides ",
					     " has the reason."},
		[WEFT_CALL_SERVICE_NOT_FOUND] = {"weft service find ",
						 " shows who provides it, or hides."},
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
	uint64_t wait_ms = field_uint(reply, "not_before_ms");
	uint64_t status = field_uint(reply, "status");

	if (wait_ms)
		snprintf(next, NEXT_CAP, "Try again in %.1f s.", (double)wait_ms / 1000);
	else if (status < sizeof(rows) / sizeof(rows[0]) && rows[status].before)
		snprintf(next, NEXT_CAP, "%s%s%s", rows[status].before,
			 rows[status].after ? service : "",
			 rows[status].after ? rows[status].after : "");
	else
		snprintf(next, NEXT_CAP, "weft service list shows what is known.");
	return next;
}

static int tell_answer(const struct invocation *inv, const json_t *reply)
{
	uint64_t status = field_uint(reply, "status");
	char what[128], why[256], next[NEXT_CAP];
	const char *text = field_text(reply, "text");

	if (status == WEFT_CALL_OK)
		return print_payload(inv, reply);
	snprintf(what, sizeof(what), "%s %s", inv->args[0], inv->args[1]);
	snprintf(why, sizeof(why), "%s%s%s", field_text(reply, "status_name"), *text ? ": " : "",
		 text);
	return client_say_error(service_status_exit(status), what, why,
				next_of(inv->args[0], reply, next));
}

static bool keep_reply(void *arg, json_t *reply, bool is_last)
{
	(void)is_last;
	*(json_t **)arg = json_incref(reply);
	return true;
}

static int call_method(struct invocation *inv)
{
	json_t *reply = NULL;
	struct client_call call = {
		.method = "CallService", .is_long = true, .reply = keep_reply, .arg = &reply};
	char trace[SERVICE_TRACE_TEXT_CAP];
	size_t len;
	char *payload = service_payload(inv->arg_cnt > 2 ? inv->args[2] : NULL, &len);
	int status;

	if (!payload)
		return STATUS_FAILED;
	status = service_trace_option(inv, trace);
	if (status != STATUS_OK) {
		free(payload);
		return status;
	}
	call.parameters = service_parameters(inv, call.method);
	json_object_set_new(call.parameters, "method", json_string(inv->args[1]));
	if (*trace)
		json_object_set_new(call.parameters, "traceparent", json_string(trace));
	payload_add(call.parameters, payload, len);
	free(payload);
	/* The call has the time; the daemon itself answers at once or not at all. */
	status = client_call(inv, &call);
	if (status != STATUS_OK)
		return status;
	if (*trace)
		json_object_set_new(reply, "traceparent", json_string(trace));
	if (inv->is_json)
		text_print_json(reply);
	status = inv->is_json ? service_status_exit(field_uint(reply, "status"))
			      : tell_answer(inv, reply);
	json_decref(reply);
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
