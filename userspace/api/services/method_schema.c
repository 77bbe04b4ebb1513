/* SPDX-License-Identifier: Apache-2.0 */
/* ListSchemas, ShowSchema, AddSchema, RemoveSchema. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/durable_reply.h"
#include "method_offer.h"

/* --- rows --- */

struct api_schema api_schema_row(struct varlink_blocks *blocks, const struct schema_entry *entry)
{
	const struct schema *schema = entry->schema;

	return (struct api_schema){
		.name = varlink_text(blocks, schema->name),
		.title = varlink_text(blocks, schema->title),
		.id = schema->id,
		.version = schema->version,
		.origin = entry->is_shipped ? API_SCHEMA_ORIGIN_CORE : API_SCHEMA_ORIGIN_OWN,
		.description = varlink_text(blocks, schema->description),
		.level = schema->min_verification,
		.ttl_hours = schema->ttl_hours,
	};
}

/* The bounds of a field's values, in words. */
static const char *bounds_text(struct varlink_blocks *blocks, const struct schema_field *field)
{
	char min[SCHEMA_NUMBER_CAP], max[SCHEMA_NUMBER_CAP];

	switch (field->type) {
	case SCHEMA_NUMBER:
		return varlink_format(blocks, "%s to %s",
				      offers_schema_number_print(field, field->min, min),
				      offers_schema_number_print(field, field->max, max));
	case SCHEMA_TEXT:
	case SCHEMA_WORDS:
		return varlink_format(blocks, "up to %" PRId64 " letters", field->max);
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		return varlink_format(blocks, "one of %u", field->choice_cnt);
	default:
		return "";
	}
}

static struct api_schema_field field_row(struct varlink_blocks *blocks,
					 const struct schema_field *field)
{
	struct api_schema_field row = {
		.name = varlink_text(blocks, field->name),
		.type = offers_schema_type_name(field->type),
		.required = field->is_required,
		.bounds = bounds_text(blocks, field),
		.unit = varlink_text(blocks, field->unit),
		.label = varlink_text(blocks, field->label),
	};

	for (unsigned i = 0; i < field->choice_cnt; i++)
		varlink_push(blocks, &row.choices, varlink_text(blocks, field->choices[i].word));
	return row;
}

static bool entry_of(struct service_offers *offers, const struct schema *schema,
		     struct schema_entry *out)
{
	for (unsigned i = 0; offers_schema_registry_at(offers_registry(offers), i, out); i++)
		if (out->schema == schema)
			return true;
	return false;
}

void api_list_schemas(struct api *api, struct control_call *call,
		      const struct api_list_schemas_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_schema_list list = {0};
	struct schema_entry entry;

	(void)in, (void)now_ns;
	if (!offers)
		return;
	for (unsigned i = 0; offers_schema_registry_at(offers_registry(offers), i, &entry); i++)
		varlink_push(blocks, &list, api_schema_row(blocks, &entry));
	api_reply(call, list_schemas, .schemas = list);
}

void api_show_schema(struct api *api, struct control_call *call,
		     const struct api_show_schema_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	const struct schema *schema = offers ? api_schema(offers, call, in->name) : NULL;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_schema_field_list fields = {0};
	struct api_schema_filter_list filters = {0};
	struct schema_entry entry;

	(void)now_ns;
	if (!schema || !entry_of(offers, schema, &entry))
		return;
	for (unsigned i = 0; i < schema->field_cnt; i++)
		varlink_push(blocks, &fields, field_row(blocks, &schema->fields[i]));
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_filter *filter = &schema->filters[i];

		varlink_push(
			blocks, &filters,
			((struct api_schema_filter){
				.name = varlink_text(blocks, filter->name),
				.field = varlink_text(blocks, schema->fields[filter->field].name),
				.comparison = offers_schema_comparison_name(filter->comparison),
				.label = varlink_text(blocks, filter->label),
			}));
	}
	api_reply(call, show_schema, .schema = api_schema_row(blocks, &entry), .fields = fields,
		  .filters = filters,
		  .text = varlink_format(blocks, "%.*s", (int)entry.text_len, entry.text));
}

/* --- changes --- */

static void schema_fail(struct control_call *call, int err, const struct schema_fault *fault)
{
	const char *what = fault->field[0] ? fault->field : "schema";

	if (!fault->field[0] && fault->line)
		what = varlink_format(control_blocks(call), "line %u", fault->line);
	control_fail(call, err, what, fault->what[0] ? fault->what : weft_err_text(err),
		     fault->next[0] ? fault->next : "weft schema test FILE says what is wrong");
}

void api_add_schema(struct api *api, struct control_call *call, const struct api_add_schema_in *in,
		    uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct offer_schema_change change = {
		.text = in->text,
		.text_len = strlen(in->text),
		.done = api_durable_reply_send,
	};
	struct schema_fault fault = {0};
	char name[SCHEMA_NAME_CAP];
	struct schema *schema;
	int err;

	(void)now_ns;
	if (!offers)
		return;
	err = offers_schema_parse(change.text, change.text_len, &schema, &fault);
	if (err < 0) {
		schema_fail(call, err, &fault);
		return;
	}
	snprintf(name, sizeof(name), "%s", schema->name);
	offers_schema_free(schema);
	change.arg = api_durable_reply_new(
		call, "schema", "add it again",
		api_add_schema_out_write(&(struct api_add_schema_out){.name = name}));
	if (!change.arg)
		return;
	change.name = name;
	err = offers_add_schema(offers, &change, &fault);
	if (err == 0)
		return;
	api_durable_reply_cancel(change.arg);
	schema_fail(call, err, &fault);
}

void api_remove_schema(struct api *api, struct control_call *call,
		       const struct api_remove_schema_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "no schema has that name",
		 "weft schema list shows those that are known"},
		{WEFT_EREFUSED, "it comes with weft",
		 "offers.enabled = no switches all offers off"},
		{0, NULL, "try again in some seconds"},
	};
	struct service_offers *offers = api_offers(api, call);
	struct offer_schema_change change = {.name = in->name, .done = api_durable_reply_send};
	int err;

	(void)now_ns;
	if (!offers)
		return;
	change.arg = api_durable_reply_new(
		call, "schema", "remove it again",
		api_remove_schema_out_write(&(struct api_remove_schema_out){0}));
	if (!change.arg)
		return;
	err = offers_remove_schema(offers, &change);
	if (err == 0)
		return;
	api_durable_reply_cancel(change.arg);
	control_fail_of(call, err, in->name, rows);
}
