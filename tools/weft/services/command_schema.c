/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft schema: the compiler of schemas, which needs no daemon, and a schema that is added to a daemon.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "services/command_schema.h"
#include "offers/schema/schema_export.h"
#include "print/output_table.h"
#include "print/text.h"
#include "varlink/printed.h"

/* Of a payload that a message may have. */
#define PAYLOAD_LEN_MAX 65535

int schema_fault_say(const char *path, const struct schema_fault *fault)
{
	char what[512], why[sizeof(fault->what) + SCHEMA_NAME_CAP + 4];

	if (fault->line)
		snprintf(what, sizeof(what), "%s:%u", path, fault->line);
	else
		snprintf(what, sizeof(what), "%s", path);
	/* Faults of payloads begin with the name already. */
	if (fault->field[0] && strncmp(fault->what, fault->field, strlen(fault->field)) != 0)
		snprintf(why, sizeof(why), "%s: %s", fault->field, fault->what);
	else
		snprintf(why, sizeof(why), "%s", fault->what);
	return client_say_error(STATUS_FAILED, what, why, fault->next[0] ? fault->next : NULL);
}

int schema_file_read(const char *path, char **out_text, size_t *out_len)
{
	bool is_input = strcmp(path, "-") == 0;
	FILE *file = is_input ? stdin : fopen(path, "re");
	char *text = malloc(SCHEMA_TEXT_LEN_MAX + 1);
	bool is_read = false, is_absent = false;

	if (file && text) {
		*out_len = fread(text, 1, SCHEMA_TEXT_LEN_MAX + 1, file);
		is_read = !ferror(file);
	}
	if (!is_read) {
		is_absent = errno == ENOENT;
		client_say_error(is_absent ? STATUS_NOT_FOUND : STATUS_FAILED, path,
				 strerror(errno), NULL);
		free(text);
		text = NULL;
	}
	if (file && !is_input)
		fclose(file);
	if (!text)
		return is_absent ? STATUS_NOT_FOUND : STATUS_FAILED;
	*out_text = text;
	return STATUS_OK;
}

static int schema_fail(const char *path, int err, const struct schema_fault *fault)
{
	if (err == -ENOMEM)
		return client_say_error(STATUS_FAILED, path, strerror(ENOMEM), NULL);
	return err < 0 ? schema_fault_say(path, fault) : STATUS_OK;
}

/* The text of a schema, also of one that is a record. */
static int text_read(const char *path, char **out_text, size_t *out_len)
{
	struct schema_fault fault;
	char *text, *record;
	size_t len;
	int err = 0, status = schema_file_read(path, &text, &len);

	if (status != STATUS_OK)
		return status;
	if (offers_schema_is_record(text, len)) {
		record = text;
		text = malloc(SCHEMA_TEXT_LEN_MAX);
		err = text ? offers_schema_import((uint8_t *)record, len, text, &fault) : -ENOMEM;
		len = err < 0 ? 0 : (size_t)err;
		free(record);
	}
	if (err < 0) {
		free(text);
		return schema_fail(path, err, &fault);
	}
	*out_text = text;
	*out_len = len;
	return STATUS_OK;
}

static int schema_read(const char *path, struct schema **out)
{
	struct schema_fault fault;
	char *text;
	size_t len;
	int err, status = text_read(path, &text, &len);

	if (status != STATUS_OK)
		return status;
	err = offers_schema_parse(text, len, out, &fault);
	free(text);
	return schema_fail(path, err, &fault);
}

int schema_ask(const struct invocation *inv, const char *name, struct schema **out)
{
	const struct api_show_schema_in in = {.name = name};
	const struct api_show_schema_out *reply;
	struct schema_fault fault;
	int err, status = client_ask(inv, api_show_schema_request(&in), &reply);

	if (status != STATUS_OK)
		return status;
	err = offers_schema_parse(reply->text, strlen(reply->text), out, &fault);
	return schema_fail(name, err, &fault);
}

/* A word that can be a service's name, and is no file here. */
static bool is_service_name(const char *word)
{
	for (const char *at = word; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '-')
			return false;
	return strlen(word) < SCHEMA_NAME_CAP && access(word, F_OK) != 0;
}

#define DNS_PREFIX "dns:"

/* The schema that a name points to, where the user says that it is the one. */
static int dns_read(const struct invocation *inv, const char *name, const char **out_text)
{
	const struct api_look_up_schema_in in = {.name = name};
	const char *hash = invocation_option(inv, "hash");
	const struct api_look_up_schema_out *out;
	const char *next;
	int status = client_ask(inv, api_look_up_schema_request(&in), &out);

	if (status != STATUS_OK)
		return status;
	*out_text = out->text;
	if (hash && strcasecmp(hash, out->hash) == 0)
		return STATUS_OK;
	next = varlink_format(inv->blocks, "weft schema add " DNS_PREFIX "%s --hash %s", name,
			      out->hash);
	if (hash)
		return client_say_error(STATUS_NOT_VERIFIED, name,
					"its schema has another hash than the one that was given",
					"ask its publisher which one is right");
	fprintf(stderr, "%s: %s, version %" PRId64 ", BLAKE3 %s\n", out->schema.name,
		out->schema.title, out->schema.version, out->hash);
	return client_say_error(STATUS_REFUSED, name,
				"DNS is not authenticated: compare the hash with its publisher's",
				next);
}

/* Compiled here first, so what is wrong is said with the file's name and line. */
int fill_schema_add(const struct invocation *inv, void *parameters)
{
	struct api_add_schema_in *in = parameters;
	struct schema_fault fault;
	struct schema *schema;
	char *text;
	size_t len;
	int err, status;

	if (strncmp(inv->args[0], DNS_PREFIX, strlen(DNS_PREFIX)) == 0)
		return dns_read(inv, inv->args[0] + strlen(DNS_PREFIX), &in->text);
	if (is_service_name(inv->args[0])) {
		in->name = inv->args[0];
		return STATUS_OK;
	}
	status = text_read(inv->args[0], &text, &len);
	if (status != STATUS_OK)
		return status;
	err = offers_schema_parse(text, len, &schema, &fault);
	if (err == 0) {
		offers_schema_free(schema);
		in->text = varlink_format(inv->blocks, "%.*s", (int)len, text);
		err = in->text ? 0 : -ENOMEM;
	}
	free(text);
	return schema_fail(inv->args[0], err, &fault);
}

/* A bound as a user types it; "" for none. */
static const char *bound_text(struct varlink_blocks *blocks, const struct schema_field *field,
			      int64_t bound)
{
	const struct schema_item item = {.number = bound};
	const struct schema_value value = {SCHEMA_PRESENT, 1, &item};
	char text[64];

	switch (field->type) {
	case SCHEMA_TEXT:
	case SCHEMA_WORDS:
	case SCHEMA_URL:
		return varlink_format(blocks, "%lld", (long long)bound);
	case SCHEMA_NUMBER:
		if (bound == INT64_MIN || bound == INT64_MAX)
			return "";
		return varlink_text(blocks,
				    offers_schema_value_print(field, &value, text, sizeof(text)));
	default:
		return "";
	}
}

static struct api_printed_schema_field field_of(struct varlink_blocks *blocks,
						const struct schema_field *field)
{
	const char *unit = field->unit;
	struct api_printed_schema_field out = {
		.key = field->key,
		.name = field->name,
		.type = offers_schema_type_name(field->type),
		.required = field->is_required,
		.listed = field->is_listed,
		.min = bound_text(blocks, field, field->min),
		.max = bound_text(blocks, field, field->max),
		.label = field->label,
		.help = field->help,
	};

	/* Texts are bounded by their characters. */
	out.unit = field->type != SCHEMA_NUMBER && out.max[0] ? "characters" : unit;
	for (unsigned i = 0; i < field->choice_cnt; i++)
		varlink_push(blocks, &out.choices, field->choices[i].word);
	return out;
}

static struct api_printed_schema printed_of(struct varlink_blocks *blocks,
					    const struct schema *schema)
{
	struct api_printed_schema out = {
		.name = schema->name,
		.id = schema->id,
		.version = schema->version,
		.title = schema->title,
		.description = schema->description,
		.min_verification = schema->min_verification,
		.ttl_hours = schema->ttl_hours,
	};

	for (unsigned i = 0; i < schema->field_cnt; i++)
		varlink_push(blocks, &out.fields, field_of(blocks, &schema->fields[i]));
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_filter *filter = &schema->filters[i];

		varlink_push(blocks, &out.filters,
			     {.key = filter->key,
			      .name = filter->name,
			      .field = schema->fields[filter->field].name,
			      .match = offers_schema_comparison_name(filter->comparison),
			      .label = filter->label});
	}
	return out;
}

/* The length of the offer whose fields are the command's words. */
static int offer_measure(const struct invocation *inv, const struct schema *schema, size_t *out_len)
{
	uint8_t *bytes = malloc(PAYLOAD_LEN_MAX);
	struct schema_record *record = malloc(sizeof(*record));
	struct schema_fault fault;
	int err = bytes && record ? 0 : -ENOMEM;

	if (err == 0)
		offers_schema_record_init(record, false);
	for (unsigned i = 1; err == 0 && i < inv->arg_cnt; i++)
		err = offers_schema_value_from_text(schema, inv->args[i], record, &fault);
	if (err == 0)
		err = offers_schema_check(schema, record, &fault);
	if (err == 0) {
		struct writer w = writer_of(bytes, PAYLOAD_LEN_MAX);

		offers_schema_fields_write(schema, record, &w);
		*out_len = writer_len(&w);
	}
	free(bytes);
	free(record);
	if (err == -ENOMEM)
		return client_say_error(STATUS_FAILED, "the offer", strerror(ENOMEM), NULL);
	return err < 0 ? schema_fault_say("the offer", &fault) : STATUS_OK;
}

static void schema_show(const struct invocation *inv, const struct api_printed_schema *out)
{
	static const struct column field_columns[] = {
		COLUMN_OF("KEY", api_printed_schema_field, key, int, COUNT),
		COLUMN_OF("FIELD", api_printed_schema_field, name, string, TEXT),
		COLUMN_OF("TYPE", api_printed_schema_field, type, string, TEXT),
		COLUMN_OF("REQUIRED", api_printed_schema_field, required, bool, BOOL),
		COLUMN_OF("MIN", api_printed_schema_field, min, string, TEXT),
		COLUMN_OF("MAX", api_printed_schema_field, max, string, TEXT),
		COLUMN_OF("UNIT", api_printed_schema_field, unit, string, TEXT),
		COLUMN_OF("LABEL", api_printed_schema_field, label, string, TEXT),
		{0}};
	static const struct column filter_columns[] = {
		COLUMN_OF("KEY", api_printed_schema_filter, key, int, COUNT),
		COLUMN_OF("FILTER", api_printed_schema_filter, name, string, TEXT),
		COLUMN_OF("FIELD", api_printed_schema_filter, field, string, TEXT),
		COLUMN_OF("MATCH", api_printed_schema_filter, match, string, TEXT),
		COLUMN_OF("LABEL", api_printed_schema_filter, label, string, TEXT),
		{0}};

	if (inv->is_json) {
		json_t *json = api_printed_schema_write(out);

		text_print_json(json);
		json_decref(json);
		return;
	}
	if (inv->has_terminal_out)
		printf("%s: %s (id 0x%llx, version %lld)\n", out->name, out->title,
		       (unsigned long long)out->id, (long long)out->version);
	show_part(inv, "field", TABLE_ROWS(out->fields), field_columns);
	show_part(inv, "filter", TABLE_ROWS(out->filters), filter_columns);
	if (out->has_payload_len)
		printf(inv->has_terminal_out ? "This offer is valid; its fields have %lld bytes.\n"
					     : "offer\t%lld\n",
		       (long long)out->payload_len);
}

int run_schema_test(struct invocation *inv)
{
	struct api_printed_schema out;
	struct schema *schema;
	size_t len = 0;
	int status = schema_read(inv->args[0], &schema);

	if (status != STATUS_OK)
		return status;
	if (inv->arg_cnt > 1)
		status = offer_measure(inv, schema, &len);
	if (status == STATUS_OK) {
		out = printed_of(inv->blocks, schema);
		if (inv->arg_cnt > 1)
			API_SET(&out, payload_len, (int64_t)len);
		schema_show(inv, &out);
	}
	offers_schema_free(schema);
	return status;
}

int run_schema_export(struct invocation *inv)
{
	static uint8_t record[SCHEMA_TEXT_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));
	const char *path = inv->args[1];
	struct schema *schema;
	FILE *file;
	int status = is_service_name(inv->args[0]) ? schema_ask(inv, inv->args[0], &schema)
						   : schema_read(inv->args[0], &schema);

	if (status != STATUS_OK)
		return status;
	offers_schema_export(schema, &w);
	offers_schema_free(schema);
	if (w.bad)
		return client_say_error(STATUS_FAILED, inv->args[0],
					"its record has over 65536 bytes",
					"shorten labels and help");
	file = fopen(path, "wxe");
	if (!file && errno == EEXIST)
		return client_say_error(STATUS_REFUSED, path, strerror(errno),
					"remove it first, or name another file");
	if (!file)
		return client_say_error(STATUS_FAILED, path, strerror(errno), NULL);
	if (fwrite(record, 1, writer_len(&w), file) != writer_len(&w))
		status = STATUS_FAILED;
	if (fclose(file) != 0 || status != STATUS_OK)
		return client_say_error(STATUS_FAILED, path, strerror(errno), NULL);
	return STATUS_OK;
}
