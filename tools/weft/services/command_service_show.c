/* SPDX-License-Identifier: Apache-2.0 */
/* weft service show: what is known of a service, offered here or elsewhere, and what it says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"
#include "services/command_service_status.h"

#define DESCRIBE_MS 5000 /* unless --timeout says otherwise */
#define TEXT_LEN    8192 /* of a cell */

/* The known facts of a service: node NULL: it is offered here. */
struct known_row {
	const char *name, *version, *service_id, *node, *read_only, *metadata;
	const struct api_service_offer *offer;
};
struct capability_row {
	const char *tags;
};
struct known_list {
	struct known_row *rows;
	size_t cnt, cap;
	json_t *json; /* the same, as the daemon has them */
};

/* Appends "WORDmarkMORE" to a text of words, if it has room. */
static void word_add(char text[static TEXT_LEN], const char *word, const char *mark,
		     const char *more)
{
	size_t len = strlen(text);

	if (len + strlen(word) + strlen(more) + 3 < TEXT_LEN)
		snprintf(text + len, TEXT_LEN - len, "%s%s%s%s", len ? " " : "", word, mark, more);
}

/* A list of texts as one: "Get List"; none: "none". */
static const char *list_text(const struct invocation *inv, const struct api_string_list *list)
{
	char text[TEXT_LEN] = "";

	for (size_t i = 0; i < list->cnt; i++)
		word_add(text, list->rows[i], "", "");
	return *text ? varlink_text(inv->blocks, text) : "none";
}

/* Pairs as one text: "lang=en title=Hello". */
static const char *pairs_text(const struct invocation *inv, const struct api_string_map *pairs)
{
	char text[TEXT_LEN] = "";

	for (size_t i = 0; i < pairs->cnt; i++)
		word_add(text, pairs->rows[i].key, "=", pairs->rows[i].value);
	return varlink_text(inv->blocks, text);
}

/* Fields as one text: "pod:string limit:?int". */
static const char *fields_text(const struct invocation *inv,
			       const struct api_service_field_list *fields)
{
	char text[TEXT_LEN] = "";

	for (size_t i = 0; i < fields->cnt; i++)
		word_add(text, fields->rows[i].name, ":", fields->rows[i].type);
	return varlink_text(inv->blocks, text);
}

/* --- what is known --- */

static void print_capabilities(const struct invocation *inv,
			       const struct api_service_capabilities *capabilities)
{
	struct capability_row row = {.tags = list_text(inv, &capabilities->tags)};
	static const struct field tags[] = {
		{"tags", COLUMN_OF("tags", capability_row, tags, string, TEXT)},
		{0},
	};

	fields_print(inv, capabilities, api_view_service_capabilities_show);
	fields_print(inv, &row, tags);
	if (capabilities->counters.cnt)
		table_print(inv, TABLE_ROWS(capabilities->counters), api_view_service_count_list,
			    "");
}

static void print_one(const struct invocation *inv, const struct known_row *row)
{
	static const struct field fields[] = {
		{"name", COLUMN_OF("name", known_row, name, string, TEXT)},
		{"version", COLUMN_OF("version", known_row, version, string, TEXT)},
		{"service_id", COLUMN_OF("service id", known_row, service_id, string, TEXT)},
		{"node", COLUMN_OF("offered by", known_row, node, string, TEXT)},
		{"read_only", COLUMN_OF("read-only methods", known_row, read_only, string, TEXT)},
		{"metadata", COLUMN_OF("metadata", known_row, metadata, string, TEXT)},
		{0},
	};

	fields_print(inv, row, fields);
	if (row->offer && row->offer->has_concurrency)
		fields_print(inv, row->offer, api_view_service_offer_program);
	if (row->offer && row->offer->capabilities)
		print_capabilities(inv, row->offer->capabilities);
}

static void take_providers(const struct invocation *inv, struct known_list *list,
			   const struct api_service_provider_list *providers, const json_t *json)
{
	for (size_t i = 0; i < providers->cnt; i++) {
		const struct api_service_provider *row = &providers->rows[i];

		if (strcmp(row->name, inv->args[0]) != 0)
			continue;
		json_array_append(list->json, json_array_get(json, i));
		varlink_push(inv->blocks, list,
			     {.name = row->name,
			      .version = row->version,
			      .service_id = row->service_id,
			      .node = row->node_id,
			      .read_only = list_text(inv, &row->read_only),
			      .metadata = pairs_text(inv, &row->metadata)});
	}
}

static void take_offers(const struct invocation *inv, struct known_list *list,
			const struct api_service_offer_list *offers, const json_t *json)
{
	for (size_t i = 0; i < offers->cnt; i++) {
		const struct api_service_offer *row = &offers->rows[i];

		if (strcmp(row->name, inv->args[0]) != 0)
			continue;
		json_array_append(list->json, json_array_get(json, i));
		varlink_push(inv->blocks, list,
			     {.name = row->name,
			      .version = row->version,
			      .service_id = row->service_id,
			      .node = "here",
			      .read_only = list_text(inv, &row->read_only),
			      .metadata = pairs_text(inv, &row->metadata),
			      .offer = row});
	}
}

static int gather(const struct invocation *inv, struct known_list *list)
{
	const struct api_find_service_in in = {.name = inv->args[0]};
	struct client_call known = {.request = api_list_services_request(NULL)};
	struct client_call found = {.request = api_find_service_request(&in)};
	const struct api_list_services_out *out;
	int status = client_call(inv, &known);

	if (status != STATUS_OK)
		return status;
	out = known.last.out;
	take_offers(inv, list, &out->offers, json_object_get(known.last.json, "offers"));
	take_providers(inv, list, &out->known, json_object_get(known.last.json, "known"));
	if (list->cnt)
		return STATUS_OK;
	status = client_call(inv, &found);
	if (status == STATUS_OK)
		take_providers(inv, list,
			       &((const struct api_find_service_out *)found.last.out)->providers,
			       json_object_get(found.last.json, "providers"));
	return status;
}

/* --- what it says of itself --- */

/* A method, or a topic, which has fewer columns. */
struct described_row {
	const char *name, *takes, *gives, *about, *example;
	bool read_only, stream;
};
struct described_list {
	struct described_row *rows;
	size_t cnt, cap;
};

static void print_methods(const struct invocation *inv,
			  const struct api_service_description *service)
{
	static const struct column columns[] = {
		COLUMN_OF("METHOD", described_row, name, string, TEXT),
		COLUMN_OF("READ-ONLY", described_row, read_only, bool, BOOL),
		COLUMN_OF("STREAM", described_row, stream, bool, BOOL),
		COLUMN_OF("TAKES", described_row, takes, string, TEXT),
		COLUMN_OF("GIVES", described_row, gives, string, TEXT),
		COLUMN_OF("ABOUT", described_row, about, string, TEXT),
		COLUMN_OF("EXAMPLE", described_row, example, string, TEXT),
		{0},
	};
	struct described_list list = {0};

	for (size_t i = 0; i < service->methods.cnt; i++) {
		const struct api_described_method *method = &service->methods.rows[i];
		char *example = method->example ? json_dumps(method->example, 0) : NULL;

		varlink_push(inv->blocks, &list,
			     {.name = method->name,
			      .takes = fields_text(inv, &method->takes),
			      .gives = fields_text(inv, &method->gives),
			      .about = method->about,
			      .example = varlink_text(inv->blocks, example ? example : ""),
			      .read_only = method->read_only,
			      .stream = method->stream});
		free(example);
	}
	fields_print(inv, service, api_view_service_description_show);
	putchar('\n');
	table_print(inv, TABLE_ROWS(list), columns, "Its owner describes no methods.");
}

/* Nothing of a service that describes none. */
static void print_topics(const struct invocation *inv,
			 const struct api_service_description *service)
{
	static const struct column columns[] = {
		COLUMN_OF("TOPIC", described_row, name, string, TEXT),
		COLUMN_OF("GIVES", described_row, gives, string, TEXT),
		COLUMN_OF("ABOUT", described_row, about, string, TEXT),
		{0},
	};
	struct described_list list = {0};

	for (size_t i = 0; i < service->topics.cnt; i++)
		varlink_push(inv->blocks, &list,
			     {.name = service->topics.rows[i].name,
			      .gives = fields_text(inv, &service->topics.rows[i].gives),
			      .about = service->topics.rows[i].about});
	if (!list.cnt)
		return;
	putchar('\n');
	table_print(inv, TABLE_ROWS(list), columns, "");
}

/* describe asks the provider. The last reply of call is empty unless the status is OK. */
static int describe(const struct invocation *inv, struct client_call *call)
{
	struct api_describe_service_in in = {
		.has_timeout_ms = true,
		.timeout_ms = inv->timeout_ms ? (int64_t)inv->timeout_ms : DESCRIBE_MS};
	const struct api_describe_service_out *out;
	char why[256];
	int status = command_fill(inv, API_DESCRIBE_SERVICE, &in);

	*call = (struct client_call){.request = api_describe_service_request(&in), .is_long = true};
	if (status == STATUS_OK)
		status = client_call(inv, call);
	out = call->last.out;
	if (status != STATUS_OK || out->status == 0)
		return status;
	snprintf(why, sizeof(why), "it does not describe itself: %s: %s", out->status_name,
		 out->text);
	call->last = (struct client_reply){0};
	return client_say_error(service_status_exit((uint64_t)out->status), inv->args[0], why,
				"weft service find NAME shows its providers");
}

static void print_all(const struct invocation *inv, const struct known_list *list,
		      const struct client_reply *described)
{
	const struct api_describe_service_out *out = described->out;
	json_t *told;

	if (inv->is_json) {
		told = json_pack("{s:O}", "services", list->json);
		json_object_set(told, "description", json_object_get(described->json, "service"));
		text_print_json(told);
		json_decref(told);
		return;
	}
	for (size_t i = 0; i < list->cnt; i++) {
		if (i)
			putchar('\n');
		print_one(inv, &list->rows[i]);
	}
	if (!out || !out->service)
		return;
	if (list->cnt)
		putchar('\n');
	print_methods(inv, out->service);
	print_topics(inv, out->service);
}

int run_service_show(struct invocation *inv)
{
	bool is_named = invocation_option(inv, "provider") || strchr(inv->args[0], '@');
	struct known_list list = {.json = json_array()};
	struct client_call call = {0};
	int status = is_named ? STATUS_OK : gather(inv, &list);

	if (status == STATUS_OK && !is_named && !list.cnt)
		status = client_say_error(STATUS_NOT_FOUND, inv->args[0], "no node provides it",
					  "see: weft service list");
	if (status == STATUS_OK)
		status = describe(inv, &call);
	if (call.last.out || list.cnt)
		print_all(inv, &list, &call.last);
	/* The known part was shown, with the reason why there is no more. */
	if (list.cnt)
		status = STATUS_OK;
	json_decref(list.json);
	return status;
}
