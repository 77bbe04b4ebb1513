/* SPDX-License-Identifier: Apache-2.0 */
/* weft service: publish, withdraw, find, list, limits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_path.h"
#include "command/command_show.h"
#include "print/text.h"

#define DESCRIPTION_LEN_MAX 16384 /* the daemon's limit, too */

static const char example_publish[] =
	"for example: weft service publish hello --http 127.0.0.1:8080";

/* --- publish --- */

/* option_each gives the values of an option that may be there several times, one a line. */
static const char *option_each(const char **rest, char *text, size_t cap)
{
	const char *line = *rest;
	size_t len = line ? strcspn(line, "\n") : 0;

	if (!line || !*line)
		return NULL;
	snprintf(text, cap, "%.*s", (int)len, line);
	*rest = line[len] ? line + len + 1 : NULL;
	return text;
}

/* calls_read: "100", "100/min", "10/s". */
static bool calls_read(const char *text, uint64_t *out_per_min)
{
	char number[24];
	size_t len = strcspn(text, "/");
	uint64_t per = 1;

	if (len >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)len, text);
	if (strcmp(text + len, "/s") == 0)
		per = 60;
	else if (text[len] && strcmp(text + len, "/min") != 0)
		return false;
	if (!text_parse_count(number, out_per_min) || !*out_per_min ||
	    *out_per_min > UINT32_MAX / per)
		return false;
	*out_per_min *= per;
	return true;
}

static int limits_add(struct invocation *inv, json_t *parameters)
{
	const char *calls = invocation_option(inv, "calls");
	const char *payload = invocation_option(inv, "payload");
	const char *memory = invocation_option(inv, "memory");
	const char *concurrency = invocation_option(inv, "concurrency");
	const char *body = invocation_option(inv, "body-max");
	uint64_t value;

	if (calls && !calls_read(calls, &value))
		return client_say_error(STATUS_USAGE, "--calls", "not a number of calls",
					"for example: --calls 100/min");
	if (calls)
		json_object_set_new(parameters, "calls_per_min", json_integer((json_int_t)value));
	if (concurrency && (!text_parse_count(concurrency, &value) || !value || value > UINT32_MAX))
		return client_say_error(STATUS_USAGE, "--concurrency", "not a number of calls",
					"for example: --concurrency 8");
	if (concurrency)
		json_object_set_new(parameters, "concurrency", json_integer((json_int_t)value));
	if (payload && !text_parse_size(payload, strlen(payload), &value))
		return client_say_error(STATUS_USAGE, "--payload", "not a size",
					"for example: --payload 64K");
	if (payload)
		json_object_set_new(parameters, "payload_max", json_integer((json_int_t)value));
	if (memory && !text_parse_size(memory, strlen(memory), &value))
		return client_say_error(STATUS_USAGE, "--memory", "not a size",
					"for example: --memory 256M");
	if (memory)
		json_object_set_new(parameters, "memory_max", json_integer((json_int_t)value));
	if (body && !text_parse_size(body, strlen(body), &value))
		return client_say_error(STATUS_USAGE, "--body-max", "not a size",
					"for example: --body-max 512M");
	if (body)
		json_object_set_new(parameters, "body_max", json_integer((json_int_t)value));
	if (inv->timeout_ms)
		json_object_set_new(parameters, "timeout_ms",
				    json_integer((json_int_t)inv->timeout_ms));
	return STATUS_OK;
}

static int metadata_add(const struct invocation *inv, json_t *parameters)
{
	const char *meta = invocation_option(inv, "meta");
	json_t *pairs = json_object();
	int status = STATUS_OK;
	char line[4200];

	while (status == STATUS_OK && option_each(&meta, line, sizeof(line))) {
		char *equals = strchr(line, '=');

		if (!equals) {
			status = client_say_error(STATUS_USAGE, "--meta", "not KEY=VALUE",
						  "for example: --meta lang=en");
			break;
		}
		*equals = '\0';
		json_object_set_new(pairs, line, json_string(equals + 1));
	}
	if (json_object_size(pairs))
		json_object_set(parameters, "metadata", pairs);
	json_decref(pairs);
	return status;
}

/* program_add: which program it is; paths are those of here. */
static int program_add(const struct invocation *inv, json_t *parameters)
{
	const char *http = invocation_option(inv, "http");
	const char *socket = invocation_option(inv, "socket");
	const char *exec = invocation_option(inv, "exec");
	char path[PATH_MAX];
	json_t *words;

	if ((http != NULL) + (socket != NULL) + (exec != NULL) != 1)
		return client_say_error(STATUS_USAGE, inv->args[0],
					"one of --http, --socket and --exec says which "
					"program it is",
					example_publish);
	if (inv->arg_cnt > 1 && !exec)
		return client_say_error(STATUS_USAGE, inv->args[1], "arguments are for --exec only",
					example_publish);
	if (http)
		return STATUS_OK;
	if (!path_absolute(exec ? exec : socket, path))
		return client_say_error(STATUS_USAGE, exec ? exec : socket, "too long for a path",
					NULL);
	if (socket) {
		json_object_set_new(parameters, "socket", json_string(path));
		return STATUS_OK;
	}
	words = json_pack("[s]", path);
	for (unsigned i = 1; i < inv->arg_cnt; i++)
		json_array_append_new(words, json_string(inv->args[i]));
	json_object_set_new(parameters, "exec", words);
	return STATUS_OK;
}

static void print_offer(const struct invocation *inv, const json_t *reply)
{
	fields_print(inv, json_object_get(reply, "service"), api_view_service_offer_show);
}

/* describe_add: what --describe names, as it is; the daemon judges it. */
static int describe_add(const struct invocation *inv, json_t *parameters)
{
	const char *path = invocation_option(inv, "describe");
	char text[DESCRIPTION_LEN_MAX + 1];
	FILE *file;
	json_t *json;
	size_t len;

	if (!path)
		return STATUS_OK;
	file = fopen(path, "re");
	if (!file)
		return client_say_error(STATUS_FAILED, path, strerror(errno),
					"name a file with a varlink interface, or JSON");
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (len == sizeof(text))
		return client_say_error(STATUS_USAGE, path, "longer than 16 KiB",
					"describe fewer methods, or with fewer words");
	json = json_stringn(text, len);
	if (!json)
		return client_say_error(STATUS_USAGE, path, "no UTF-8 text",
					"name a file with a varlink interface, or JSON");
	json_object_set_new(parameters, "description", json);
	return STATUS_OK;
}

/* publish: a program that cannot be run is no success, though its offer waits until it can. */
static int publish(const struct invocation *inv, json_t *parameters)
{
	const json_t *offer;
	json_t *reply;
	int status = client_ask(inv, "PublishService", parameters, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		print_offer(inv, reply);
	offer = json_object_get(reply, "service");
	if (strcmp(field_text(offer, "provider"), "exec") == 0 &&
	    strcmp(field_text(offer, "state"), "down") == 0)
		status = client_say_error(STATUS_FAILED, field_text(offer, "target"),
					  field_text(offer, "why"),
					  "callers find the service once the program can be run; "
					  "weft service withdraw NAME ends the offer");
	json_decref(reply);
	return status;
}

int run_service_publish(struct invocation *inv)
{
	const char *health = invocation_option(inv, "health");
	json_t *parameters = command_parameters(inv, "PublishService", "name");
	int status = program_add(inv, parameters);

	if (status == STATUS_OK)
		status = metadata_add(inv, parameters);
	if (status == STATUS_OK)
		status = limits_add(inv, parameters);
	if (status == STATUS_OK)
		status = describe_add(inv, parameters);
	if (status != STATUS_OK) {
		json_decref(parameters);
		return status;
	}
	if (health)
		json_object_set_new(parameters, "health_path", json_string(health));
	inv->timeout_ms = 0; /* it was the service's, not the daemon's */
	return publish(inv, parameters);
}

int run_service_allow(struct invocation *inv)
{
	bool is_for_all = invocation_option(inv, "everybody") != NULL;
	json_t *parameters, *allow;

	if (is_for_all == (inv->arg_cnt > 1))
		return client_say_error(STATUS_USAGE, inv->args[0],
					"say who may call it, or --everybody, and not both",
					"for example: weft service allow hello DELETE=group:staff");
	allow = json_array();
	for (unsigned i = 1; i < inv->arg_cnt; i++)
		json_array_append_new(allow, json_string(inv->args[i]));
	parameters = command_parameters(inv, "SetServiceAccess", "name");
	json_object_set_new(parameters, "allow", allow);
	return client_show(inv, "SetServiceAccess", parameters, NULL);
}

void print_service_reset(const struct invocation *inv, const json_t *reply)
{
	uint64_t cnt = field_uint(reply, "closed");

	if (inv->has_terminal_out && !cnt)
		printf("nothing was held against it\n");
	else if (inv->has_terminal_out)
		printf("it is called again: failures were held against it in %" PRIu64 " place%s\n",
		       cnt, cnt == 1 ? "" : "s");
	else
		printf("%" PRIu64 "\n", cnt);
}

/* --- find, list, limits --- */

static void print_hidden(const struct invocation *inv, const json_t *hidden)
{
	const json_t *row;
	size_t idx;

	if (!json_array_size(hidden))
		return;
	fprintf(stderr, "%shidden: ", inv->has_terminal_out ? "" : "weft: ");
	json_array_foreach(hidden, idx, row)
		fprintf(stderr, "%s%" PRIu64 " %s", idx ? ", " : "", field_uint(row, "count"),
			field_text(row, "reason"));
	fprintf(stderr, "\n");
}

static void print_found(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "providers"), api_view_service_provider_found,
		    "nobody provides it");
	print_hidden(inv, json_object_get(reply, "hidden"));
	if (json_is_true(json_object_get(reply, "cached")))
		fprintf(stderr, "%sfrom the cache: heard says how long ago it was told\n",
			inv->has_terminal_out ? "" : "weft: ");
}

static bool text_is_service_id(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

int run_service_find(struct invocation *inv)
{
	const char *what = inv->args[0];
	json_t *reply, *parameters = command_parameters(inv, "FindService", NULL);
	int status;

	json_object_set_new(parameters, text_is_service_id(what) ? "service_id" : "name",
			    json_string(what));
	status = client_ask(inv, "FindService", parameters, &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		print_found(inv, reply);
	if (!json_array_size(json_object_get(reply, "providers")))
		status = STATUS_NOT_FOUND;
	json_decref(reply);
	return status;
}

void print_service_list(const struct invocation *inv, const json_t *reply)
{
	show_part(inv, "offer", json_object_get(reply, "offers"), api_view_service_offer_list);
	show_part(inv, "known", json_object_get(reply, "known"), api_view_service_provider_known);
}

/* most_called_first: a stable order for readers that look again and again. */
static void most_called_first(json_t *rows)
{
	for (size_t i = 1; i < json_array_size(rows); i++)
		for (size_t j = i; j > 0; j--) {
			json_t *row = json_array_get(rows, j),
			       *before = json_array_get(rows, j - 1);

			if (field_uint(row, "calls") <= field_uint(before, "calls"))
				break;
			json_incref(before);
			json_array_set(rows, j - 1, row);
			json_array_set_new(rows, j, before);
		}
}

void print_service_top(const struct invocation *inv, const json_t *reply)
{
	json_t *rows = json_object_get(reply, "methods");

	most_called_first(rows);
	table_print(inv, rows, api_view_service_method_counts_list,
		    "no service of this node was called yet");
}
