/* SPDX-License-Identifier: Apache-2.0 */
/* weft service show: what is known of a service, offered here or elsewhere. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "table.h"
#include "text.h"

/* A list of texts as one, for a field: "Get List"; none: "none". */
static json_t *list_text(const json_t *list)
{
	char text[4096] = "";
	const json_t *one;
	size_t idx, len = 0;

	json_array_foreach(list, idx, one)
	{
		const char *word = json_string_value(one);
		size_t left = sizeof(text) - len;

		if (word && strlen(word) + 2 < left)
			len += (size_t)snprintf(text + len, left, "%s%s", len ? " " : "", word);
	}
	return json_string(len ? text : "none");
}

/* The pairs of an object as one text: "lang=en title=Hello". */
static json_t *pairs_text(json_t *pairs)
{
	char text[8192] = "";
	const char *key;
	json_t *value;
	size_t len = 0;

	json_object_foreach(pairs, key, value)
	{
		const char *word = json_string_value(value);
		size_t left = sizeof(text) - len;

		if (word && strlen(key) + strlen(word) + 3 < left)
			len += (size_t)snprintf(text + len, left, "%s%s=%s", len ? " " : "", key,
						word);
	}
	return json_string(text);
}

static void print_one(const struct invocation *inv, json_t *service)
{
	static const struct field fields[] = {
		{"name", "name", "name", COLUMN_TEXT},
		{"version", "version", "version", COLUMN_TEXT},
		{"service_id", "service id", "service_id", COLUMN_TEXT},
		{"node", "offered by", "by", COLUMN_TEXT},
		{"read_only", "read-only methods", "methods", COLUMN_TEXT},
		{"metadata", "metadata", "pairs", COLUMN_TEXT},
		{0},
	};
	static const struct field program_fields[] = {
		{"concurrency", "calls at once", "concurrency", COLUMN_COUNT},
		{"under_way", "under way", "under_way", COLUMN_COUNT},
		{"waiting", "waiting", "waiting", COLUMN_COUNT},
		{"waiting_max", "may wait", "waiting_max", COLUMN_COUNT},
		{0},
	};
	const json_t *node = json_object_get(service, "node_id");
	json_t *shown = json_copy(service);

	json_object_set_new(shown, "by", node ? json_copy((json_t *)node) : json_string("here"));
	json_object_set_new(shown, "methods", list_text(json_object_get(service, "read_only")));
	json_object_set_new(shown, "pairs", pairs_text(json_object_get(service, "metadata")));
	fields_print(inv, shown, fields);
	if (json_object_get(service, "concurrency"))
		fields_print(inv, shown, program_fields);
	json_decref(shown);
}

/* Adds those of rows that have name to services. */
static void take_named(json_t *services, const json_t *rows, const char *name)
{
	json_t *row;
	size_t idx;

	json_array_foreach(rows, idx,
			   row) if (strcmp(json_string_value(json_object_get(row, "name")), name) ==
				    0) json_array_append(services, row);
}

static int gather(const struct invocation *inv, json_t *services)
{
	const char *name = inv->args[0];
	json_t *reply;
	int status = client_ask(inv, "ListServices", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	take_named(services, json_object_get(reply, "offers"), name);
	take_named(services, json_object_get(reply, "known"), name);
	json_decref(reply);
	if (json_array_size(services))
		return STATUS_OK;
	status = client_ask(inv, "FindService", json_pack("{s:s}", "name", name), &reply);
	if (status != STATUS_OK)
		return status;
	take_named(services, json_object_get(reply, "providers"), name);
	json_decref(reply);
	return STATUS_OK;
}

int run_service_show(struct invocation *inv)
{
	json_t *services = json_array(), *service, *told;
	int status = gather(inv, services);
	size_t idx;

	if (status == STATUS_OK && !json_array_size(services))
		status = client_say_error(STATUS_NOT_FOUND, inv->args[0], "nobody provides it",
					  "see: weft service list");
	if (status == STATUS_OK && inv->is_json) {
		told = json_pack("{s:O}", "services", services);
		text_print_json(told);
		json_decref(told);
	} else if (status == STATUS_OK) {
		json_array_foreach(services, idx, service)
		{
			if (idx)
				putchar('\n');
			print_one(inv, service);
		}
	}
	json_decref(services);
	return status;
}
