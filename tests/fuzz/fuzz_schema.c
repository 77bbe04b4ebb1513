/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a schema: what compiles keeps the limits, what is refused is said. */
#include <string.h>

#include "base/assert.h"
#include "offers/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_field(const struct schema *schema, unsigned idx)
{
	const struct schema_field *field = &schema->fields[idx];

	weft_assert(field->key > (idx ? field[-1].key : 0) && field->key <= SCHEMA_KEY_MAX);
	weft_assert(field->min <= field->max);
	weft_assert(field->label && field->help && field->unit && field->name[0]);
	weft_assert(field->choice_cnt <= SCHEMA_CHOICES_MAX);
	weft_assert(field->item_max >= 1 && field->item_max <= SCHEMA_ITEMS_MAX);
	weft_assert(field->since >= 1 && field->since <= schema->version);
	for (unsigned i = 0; i < field->choice_cnt; i++)
		weft_assert(field->choices[i].word[0] && field->choices[i].label);
	weft_assert(offers_schema_field_named(schema, field->name, strlen(field->name)) ==
		    (int)idx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schema_fault fault;
	struct schema *schema;

	if (offers_schema_parse((const char *)data, len, &schema, &fault) < 0) {
		weft_assert(fault.what[0] && fault.line <= len);
		return 0;
	}
	weft_assert(schema->field_cnt >= 1 && schema->field_cnt <= SCHEMA_FIELDS_MAX);
	weft_assert(schema->filter_cnt <= SCHEMA_FILTERS_MAX);
	weft_assert(schema->column_cnt <= schema->filter_cnt);
	for (unsigned i = 0; i < schema->field_cnt; i++)
		check_field(schema, i);
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		weft_assert(schema->columns[schema->fields[schema->filters[i].field].column] ==
			    schema->filters[i].field);
	offers_schema_free(schema);
	return 0;
}
