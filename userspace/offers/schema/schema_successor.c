/* SPDX-License-Identifier: Apache-2.0 */
/* How versions of a schema meet: a later one only widens what the former has. */
#include <string.h>

#include "offers/schema/schema_registry.h"
#include "offers/schema/schema_type.h"

static const struct schema_field *field_of_key(const struct schema *schema, uint8_t key)
{
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (schema->fields[i].key == key)
			return &schema->fields[i];
	return NULL;
}

static int fault_of(const struct schema_field *field, struct schema_fault *fault, const char *next,
		    const char *what)
{
	return offers_schema_fault_set(fault, field->name, next, "%s: %s", field->name, what);
}

static bool choices_begin_alike(const struct schema_field *former, const struct schema_field *later)
{
	if (later->choice_cnt < former->choice_cnt)
		return false;
	for (unsigned i = 0; i < former->choice_cnt; i++)
		if (strcasecmp(former->choices[i].word, later->choices[i].word) != 0)
			return false;
	return true;
}

static int field_check(const struct schema_field *former, const struct schema_field *later,
		       struct schema_fault *fault)
{
	if (strcmp(former->name, later->name) != 0)
		return fault_of(later, fault, "give a new field a new key",
				"another field has this key in the former version");
	if (former->type != later->type || former->decimals != later->decimals)
		return fault_of(later, fault, "give it a new name and key",
				"the former version has another type or other decimals");
	if (later->min > former->min || later->max < former->max ||
	    later->item_max < former->item_max)
		return fault_of(later, fault, "keep the former bounds, or widen them",
				"the former version has wider bounds");
	if (!choices_begin_alike(former, later))
		return fault_of(later, fault, "add choices behind the former ones",
				"choices of the former version are missing or moved");
	return 0;
}

static int filter_check(const struct schema *former, const struct schema_filter *was,
			const struct schema *later, struct schema_fault *fault)
{
	for (unsigned i = 0; i < later->filter_cnt; i++) {
		const struct schema_filter *is = &later->filters[i];

		if (is->key == was->key &&
		    (is->comparison != was->comparison ||
		     later->fields[is->field].key != former->fields[was->field].key))
			return offers_schema_fault_set(
				fault, is->name, "give a new filter a new key",
				"another filter has this key in the former version");
	}
	return 0;
}

int offers_schema_is_successor(const struct schema *former, const struct schema *later,
			       struct schema_fault *fault)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < later->field_cnt; i++) {
		const struct schema_field *field = &later->fields[i];
		const struct schema_field *was = field_of_key(former, field->key);

		if (was)
			err = field_check(was, field, fault);
		else if (offers_schema_field_named(former, field->name, strlen(field->name)) >= 0)
			err = fault_of(field, fault, "keep its key",
				       "the former version has it under another key");
		if (err == 0 && field->is_required && field->since <= former->version &&
		    !(was && was->is_required))
			err = fault_of(field, fault, "write since = VERSION",
				       "the former version does not require it");
	}
	for (unsigned i = 0; err == 0 && i < former->filter_cnt; i++)
		err = filter_check(former, &former->filters[i], later, fault);
	return err;
}
