/* SPDX-License-Identifier: Apache-2.0 */
/* weft service show: what is known of a service, offered here or elsewhere, and what it says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "services/command_service_status.h"
#include "print/output_table.h"
#include "print/text.h"

#define DESCRIBE_MS 5000 /* unless --timeout says otherwise */

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
	const json_t *node = json_object_get(service, "node_id");
	json_t *shown = json_copy(service);

	json_object_set_new(shown, "by", node ? json_copy((json_t *)node) : json_string("here"));
	json_object_set_new(shown, "methods", list_text(json_object_get(service, "read_only")));
	json_object_set_new(shown, "pairs", pairs_text(json_object_get(service, "metadata")));
	fields_print(inv, shown, fields);
	if (json_object_get(service, "concurrency"))
		fields_print(inv, shown, api_view_service_offer_program);
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

/* A list of fields as one text: "pod:string limit:?int". */
static json_t *fields_text(const json_t *fields)
{
	char text[8192] = "";
	const json_t *field;
	size_t idx, len = 0;

	json_array_foreach(fields, idx, field)
	{
		const char *name = field_text(field, "name"), *type = field_text(field, "type");
		size_t left = sizeof(text) - len;

		if (strlen(name) + strlen(type) + 3 < left)
			len += (size_t)snprintf(text + len, left, "%s%s:%s", len ? " " : "", name,
						type);
	}
	return json_string(text);
}

static json_t *example_text(const json_t *method)
{
	char *text = json_dumps(json_object_get(method, "example"), 0);
	json_t *json = json_string(text ? text : "");

	free(text);
	return json;
}

/* print_methods: what a service says of itself. */
static void print_methods(const struct invocation *inv, const json_t *described)
{
	static const struct column columns[] = {
		{"METHOD", "name", COLUMN_TEXT},	  {"READ-ONLY", "read_only", COLUMN_BOOL},
		{"STREAM", "stream", COLUMN_BOOL},	  {"TAKES", "takes_text", COLUMN_TEXT},
		{"GIVES", "gives_text", COLUMN_TEXT},	  {"ABOUT", "about", COLUMN_TEXT},
		{"EXAMPLE", "example_text", COLUMN_TEXT}, {0},
	};
	const json_t *methods = json_object_get(described, "methods"), *method;
	json_t *rows = json_array();
	size_t idx;

	fields_print(inv, described, api_view_service_description_show);
	json_array_foreach(methods, idx, method)
	{
		json_t *row = json_copy((json_t *)method);

		json_object_set_new(row, "takes_text",
				    fields_text(json_object_get(method, "takes")));
		json_object_set_new(row, "gives_text",
				    fields_text(json_object_get(method, "gives")));
		json_object_set_new(row, "example_text", example_text(method));
		json_array_append_new(rows, row);
	}
	putchar('\n');
	table_print(inv, rows, columns, "Its owner describes no methods.");
	json_decref(rows);
}

/* print_topics: nothing of a service that describes none. */
static void print_topics(const struct invocation *inv, const json_t *described)
{
	static const struct column columns[] = {
		{"TOPIC", "name", COLUMN_TEXT},
		{"GIVES", "gives_text", COLUMN_TEXT},
		{"ABOUT", "about", COLUMN_TEXT},
		{0},
	};
	const json_t *topics = json_object_get(described, "topics"), *topic;
	json_t *rows = json_array();
	size_t idx;

	json_array_foreach(topics, idx, topic)
	{
		json_t *row = json_copy((json_t *)topic);

		json_object_set_new(row, "gives_text",
				    fields_text(json_object_get(topic, "gives")));
		json_array_append_new(rows, row);
	}
	if (json_array_size(rows)) {
		putchar('\n');
		table_print(inv, rows, columns, "");
	}
	json_decref(rows);
}

static bool keep_reply(void *arg, json_t *reply, bool is_last)
{
	(void)is_last;
	*(json_t **)arg = json_incref(reply);
	return true;
}

/* describe asks the provider what its service says of itself. *out_described is NULL unless the status is OK. */
static int describe(struct invocation *inv, json_t **out_described)
{
	json_t *reply = NULL, *parameters = service_parameters(inv, "DescribeService");
	struct client_call call = {
		.method = "DescribeService", .is_long = true, .reply = keep_reply, .arg = &reply};
	char why[256];
	uint64_t answered;
	int status;

	*out_described = NULL;
	if (!inv->timeout_ms)
		json_object_set_new(parameters, "timeout_ms", json_integer(DESCRIBE_MS));
	call.parameters = parameters;
	status = client_call(inv, &call);
	if (status != STATUS_OK)
		return status;
	answered = field_uint(reply, "status");
	if (answered == 0) {
		*out_described = json_incref(json_object_get(reply, "service"));
		json_decref(reply);
		return STATUS_OK;
	}
	snprintf(why, sizeof(why), "it does not describe itself: %s: %s",
		 field_text(reply, "status_name"), field_text(reply, "text"));
	json_decref(reply);
	return client_say_error(service_status_exit(answered), inv->args[0], why,
				"weft service find NAME shows who provides it");
}

static void print_all(const struct invocation *inv, const json_t *services, json_t *described)
{
	json_t *service, *told;
	size_t idx;

	if (inv->is_json) {
		told = json_pack("{s:O}", "services", services);
		if (described)
			json_object_set(told, "description", described);
		text_print_json(told);
		json_decref(told);
		return;
	}
	json_array_foreach(services, idx, service)
	{
		if (idx)
			putchar('\n');
		print_one(inv, service);
	}
	if (described && json_array_size(services))
		putchar('\n');
	if (!described)
		return;
	print_methods(inv, described);
	print_topics(inv, described);
}

int run_service_show(struct invocation *inv)
{
	bool is_named = invocation_option(inv, "provider") || strchr(inv->args[0], '@');
	json_t *services = json_array(), *described = NULL;
	int status = is_named ? STATUS_OK : gather(inv, services);

	if (status == STATUS_OK && !is_named && !json_array_size(services))
		status = client_say_error(STATUS_NOT_FOUND, inv->args[0], "nobody provides it",
					  "see: weft service list");
	if (status == STATUS_OK)
		status = describe(inv, &described);
	if (described || json_array_size(services))
		print_all(inv, services, described);
	/* What is known was shown; why there is no more was said. */
	if (json_array_size(services))
		status = STATUS_OK;
	json_decref(services);
	json_decref(described);
	return status;
}
