/* SPDX-License-Identifier: Apache-2.0 */
/* ListSchemas, ShowSchema, AddSchema, RemoveSchema. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/durable_reply.h"
#include "api/schema_use.h"
#include "method_offer.h"

/* --- rows --- */

struct api_schema api_schema_row(struct varlink_blocks *blocks, const struct schema_entry *entry,
				 bool is_on)
{
	static const enum api_schema_origin origins[] = {
		[SCHEMA_OF_CORE] = API_SCHEMA_ORIGIN_CORE,
		[SCHEMA_SHIPPED] = API_SCHEMA_ORIGIN_SHIPPED,
		[SCHEMA_ADDED] = API_SCHEMA_ORIGIN_OWN,
		[SCHEMA_OF_SHARE] = API_SCHEMA_ORIGIN_SHARE,
	};
	const struct schema *schema = entry->schema;

	return (struct api_schema){
		.name = varlink_text(blocks, schema->name),
		.title = varlink_text(blocks, schema->title),
		.id = schema->id,
		.version = schema->version,
		.origin = origins[entry->origin],
		.on = is_on,
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

/* The schema of a name, also of one that comes with weft and is off. */
static bool entry_named(struct service_offers *offers, const char *name, struct schema_entry *out,
			bool *out_is_on)
{
	const struct schema_registry *registry = offers_registry(offers);

	*out_is_on = true;
	for (unsigned i = 0; offers_schema_registry_at(registry, i, out); i++)
		if (strcasecmp(out->schema->name, name) == 0)
			return true;
	*out_is_on = false;
	for (unsigned i = 0; offers_schema_registry_off_at(registry, i, out); i++)
		if (strcasecmp(out->schema->name, name) == 0)
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
		varlink_push(blocks, &list, api_schema_row(blocks, &entry, true));
	for (unsigned i = 0; offers_schema_registry_off_at(offers_registry(offers), i, &entry); i++)
		varlink_push(blocks, &list, api_schema_row(blocks, &entry, false));
	api_reply(call, list_schemas, .schemas = list);
}

static void schema_fail(struct control_call *call, int err, const struct schema_fault *fault)
{
	const char *what = fault->field[0] ? fault->field : "schema";

	if (!fault->field[0] && fault->line)
		what = varlink_format(control_blocks(call), "line %u", fault->line);
	control_fail(call, err, what, fault->what[0] ? fault->what : weft_err_text(err),
		     fault->next[0] ? fault->next : "weft schema test FILE says what is wrong");
}

/* A followed share has a file of that name, which is no schema here: call was failed so. */
static bool refusal_say(struct service_offers *offers, struct control_call *call, const char *name)
{
	const struct schema_share *share;

	for (unsigned i = 0; (share = offers_schema_shares_at(offers_schema_shares(offers), i));
	     i++)
		for (unsigned j = 0; j < share->refusal_cnt; j++) {
			const struct schema_refusal *refusal = &share->refusals[j];

			if (strcasecmp(refusal->name, name) != 0)
				continue;
			schema_fail(call, WEFT_EREFUSED, &refusal->fault);
			return true;
		}
	return false;
}

void api_show_schema(struct api *api, struct control_call *call,
		     const struct api_show_schema_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_schema_field_list fields = {0};
	struct api_schema_filter_list filters = {0};
	const struct schema *schema;
	struct schema_entry entry;
	bool is_on;

	(void)now_ns;
	if (!offers)
		return;
	if (!entry_named(offers, in->name, &entry, &is_on)) {
		if (!refusal_say(offers, call, in->name))
			(void)api_schema(offers, call, in->name); /* it fails the call */
		return;
	}
	schema = entry.schema;
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
	api_reply(call, show_schema, .schema = api_schema_row(blocks, &entry, is_on),
		  .fields = fields, .filters = filters,
		  .text = varlink_format(blocks, "%.*s", (int)entry.text_len, entry.text));
}

/* --- changes --- */

/* The text to add; false: call was failed. */
static bool text_of(struct service_offers *offers, struct control_call *call,
		    const struct api_add_schema_in *in, struct offer_schema_change *change)
{
	struct schema_entry entry;
	bool is_on;

	if (!in->text == !in->name) {
		control_fail(call, WEFT_EMALFORMED, "schema", "it is given by a text or by a name",
			     "give one of the two");
		return false;
	}
	if (in->text) {
		change->text = in->text;
		change->text_len = strlen(in->text);
		return true;
	}
	if (!entry_named(offers, in->name, &entry, &is_on)) {
		control_fail(call, WEFT_EABSENT, in->name,
			     "no file and no schema that comes with weft has that name",
			     "weft schema list shows those that come with weft");
		return false;
	}
	change->text =
		varlink_format(control_blocks(call), "%.*s", (int)entry.text_len, entry.text);
	change->text_len = entry.text_len;
	return true;
}

void api_add_schema(struct api *api, struct control_call *call, const struct api_add_schema_in *in,
		    uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct offer_schema_change change = {.done = api_durable_reply_send};
	struct schema_fault fault = {0};
	char name[SCHEMA_NAME_CAP];
	struct schema *schema;
	int err;

	(void)now_ns;
	if (!offers || !text_of(offers, call, in, &change))
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

/* One that a share brings is not removed, but unfollowed. */
static bool removal_check(struct service_offers *offers, struct control_call *call,
			  const char *name)
{
	struct schema_entry entry;
	bool is_on;

	return !entry_named(offers, name, &entry, &is_on) || !is_on || entry.share_id ||
	       api_schema_unused_check(offers, call, entry.schema);
}

void api_remove_schema(struct api *api, struct control_call *call,
		       const struct api_remove_schema_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "no schema has that name",
		 "weft schema list shows those that are known"},
		{WEFT_EREFUSED, "it is one of the core, or a followed share brings it",
		 "weft schema list says which; weft schema unfollow SHARE takes those of a share "
		 "away"},
		{0, NULL, "try again in some seconds"},
	};
	struct service_offers *offers = api_offers(api, call);
	struct offer_schema_change change = {.name = in->name, .done = api_durable_reply_send};
	int err;

	(void)now_ns;
	if (!offers || !removal_check(offers, call, in->name))
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
