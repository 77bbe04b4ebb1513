/* SPDX-License-Identifier: Apache-2.0 */
/* weft service: publish, allow, reset, find, top. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/utf8.h"
#include "command/command_path.h"
#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

#define DESCRIPTION_LEN_MAX 16384 /* the daemon's limit, too */

/* --- publish --- */

/* "100", "100/min", "10/s". */
static bool calls_read(const char *text, int64_t *out_per_min)
{
	size_t len = strcspn(text, "/");
	uint64_t per = strcmp(text + len, "/s") == 0 ? 60 : 1, calls;

	if (per == 1 && text[len] && strcmp(text + len, "/min") != 0)
		return false;
	if (!len || strspn(text, "0123456789") < len || !text_parse_size(text, len, &calls) ||
	    !calls || calls > UINT32_MAX / per)
		return false;
	*out_per_min = (int64_t)(calls * per);
	return true;
}

static int metadata_add(const struct invocation *inv, struct api_publish_service_in *in)
{
	const char *line = invocation_option(inv, "meta");

	while (line && *line) {
		size_t len = strcspn(line, "\n"), key_len = strcspn(line, "=");

		if (key_len >= len)
			return client_say_error(STATUS_USAGE, "--meta", "not KEY=VALUE",
						"for example: --meta lang=en");
		in->has_metadata = true;
		varlink_push(inv->blocks, &in->metadata,
			     {varlink_format(inv->blocks, "%.*s", (int)key_len, line),
			      varlink_format(inv->blocks, "%.*s", (int)(len - key_len - 1),
					     line + key_len + 1)});
		line += len + (line[len] != '\0');
	}
	return STATUS_OK;
}

/* Which program it is; paths are those of here. */
static int program_add(const struct invocation *inv, struct api_publish_service_in *in)
{
	static const char example[] =
		"for example: weft service publish hello --http 127.0.0.1:8080";
	const char *exec = invocation_option(inv, "exec");
	char path[PATH_MAX];

	if ((in->http != NULL) + (in->socket != NULL) + (exec != NULL) != 1)
		return client_say_error(STATUS_USAGE, inv->args[0],
					"one of --http, --socket and --exec says which "
					"program it is",
					example);
	if (inv->arg_cnt > 1 && !exec)
		return client_say_error(STATUS_USAGE, inv->args[1], "arguments are for --exec only",
					example);
	if (!exec)
		return STATUS_OK;
	if (!path_absolute(exec, path))
		return client_say_error(STATUS_USAGE, exec, "too long for a path", NULL);
	in->exec = (struct api_string_list){0};
	varlink_push(inv->blocks, &in->exec, varlink_text(inv->blocks, path));
	for (unsigned i = 1; i < inv->arg_cnt; i++)
		varlink_push(inv->blocks, &in->exec, inv->args[i]);
	return STATUS_OK;
}

/* The file of --describe, as it is; the daemon judges it. */
static int describe_add(const struct invocation *inv, struct api_publish_service_in *in)
{
	const char *path = invocation_option(inv, "describe");
	char *text = varlink_alloc(inv->blocks, DESCRIPTION_LEN_MAX + 2);
	FILE *file;
	size_t len;

	if (!path || !text)
		return STATUS_OK;
	file = fopen(path, "re");
	if (!file)
		return client_say_error(STATUS_FAILED, path, strerror(errno),
					"name a file with a varlink interface, or JSON");
	len = fread(text, 1, DESCRIPTION_LEN_MAX + 1, file);
	fclose(file);
	if (len > DESCRIPTION_LEN_MAX)
		return client_say_error(STATUS_USAGE, path, "longer than 16 KiB",
					"describe fewer methods, or with fewer words");
	if (!utf8_is_valid(text, len) || strlen(text) < len)
		return client_say_error(STATUS_USAGE, path, "no UTF-8 text",
					"name a file with a varlink interface, or JSON");
	in->description = text;
	return STATUS_OK;
}

int run_service_publish(struct invocation *inv)
{
	struct api_publish_service_in in = {.has_timeout_ms = inv->timeout_ms != 0,
					    .timeout_ms = (int64_t)inv->timeout_ms};
	struct client_call call = {.request = api_publish_service_request(&in)};
	const char *calls = invocation_option(inv, "calls");
	const struct api_service_offer *offer;
	int status = command_fill(inv, API_PUBLISH_SERVICE, &in);

	if (status == STATUS_OK)
		status = program_add(inv, &in);
	if (status == STATUS_OK)
		status = metadata_add(inv, &in);
	if (status == STATUS_OK && calls && !calls_read(calls, &in.calls_per_min))
		status = client_say_error(STATUS_USAGE, "--calls", "not a number of calls",
					  "for example: --calls 100/min");
	in.has_calls_per_min = calls != NULL;
	if (status == STATUS_OK)
		status = describe_add(inv, &in);
	inv->timeout_ms = 0; /* it was the service's, not the daemon's */
	if (status == STATUS_OK)
		status = client_show_call(inv, &call, command_show);
	if (status != STATUS_OK)
		return status;
	/* A program that cannot be run is no success, though its offer waits until it can. */
	offer = &((const struct api_publish_service_out *)call.last.out)->service;
	if (offer->provider == API_SERVICE_OFFER_PROVIDER_EXEC &&
	    offer->state == API_SERVICE_OFFER_STATE_DOWN)
		status = client_say_error(STATUS_FAILED, offer->target, offer->why,
					  "callers find the service once the program can be run; "
					  "weft service withdraw NAME ends the offer");
	return status;
}

/* --- allow, reset, find, top --- */

int fill_service_allow(const struct invocation *inv, void *in)
{
	(void)in;
	if ((invocation_option(inv, "everybody") != NULL) != (inv->arg_cnt > 1))
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, inv->args[0],
				"name the callers that may call it, or --everybody, and not both",
				"for example: weft service allow hello DELETE=group:staff");
}

void print_service_reset(const struct invocation *inv, const void *reply)
{
	int64_t cnt = ((const struct api_reset_service_out *)reply)->closed;

	if (inv->has_terminal_out && !cnt)
		printf("nothing was held against it\n");
	else if (inv->has_terminal_out)
		printf("it is called again: failures were held against it in %" PRId64 " place%s\n",
		       cnt, cnt == 1 ? "" : "s");
	else
		printf("%" PRId64 "\n", cnt);
}

void print_service_forgotten(const struct invocation *inv, const void *reply)
{
	(void)inv;
	printf("%" PRId64 "\n", ((const struct api_forget_service_rows_out *)reply)->rows);
}

void print_service_found(const struct invocation *inv, const void *reply)
{
	const struct api_find_service_out *out = reply;
	const char *mark = inv->has_terminal_out ? "" : "weft: ";

	table_print(inv, TABLE_ROWS(out->providers), api_view_service_provider_found,
		    "no node provides it");
	for (size_t i = 0; i < out->hidden.cnt; i++)
		fprintf(stderr, "%s%s%" PRId64 " %s%s", i ? "" : mark,
			i ? ", " : "hidden: ", out->hidden.rows[i].count,
			out->hidden.rows[i].reason, i + 1 < out->hidden.cnt ? "" : "\n");
	if (out->cached)
		fprintf(stderr, "%sfrom the cache: heard says how old the report is\n", mark);
}

int fill_service_find(const struct invocation *inv, void *parameters)
{
	struct api_find_service_in *in = parameters;
	const char *what = inv->args[0];
	bool is_id = strlen(what) == 64 && strspn(what, "0123456789abcdef") == 64;

	in->service_id = is_id ? what : NULL;
	in->name = is_id ? NULL : what;
	return STATUS_OK;
}

int judge_service_find(const struct invocation *inv, const void *reply)
{
	(void)inv;
	return ((const struct api_find_service_out *)reply)->providers.cnt ? STATUS_OK
									   : STATUS_NOT_FOUND;
}

/* A stable order for readers that look again and again: those called most first. */
void print_service_top(const struct invocation *inv, const void *reply)
{
	const struct api_service_method_counts_list *methods =
		&((const struct api_list_service_methods_out *)reply)->methods;
	struct api_service_method_counts_list sorted = {0};

	for (size_t i = 0; i < methods->cnt; i++) {
		size_t at = sorted.cnt;

		varlink_push(inv->blocks, &sorted, methods->rows[i]);
		for (; at && sorted.rows[at - 1].calls < methods->rows[i].calls; at--)
			sorted.rows[at] = sorted.rows[at - 1];
		sorted.rows[at] = methods->rows[i];
	}
	table_print(inv, TABLE_ROWS(sorted), api_view_service_method_counts_list,
		    "no service of this node was called yet");
}
