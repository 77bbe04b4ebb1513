/* SPDX-License-Identifier: Apache-2.0 */
/* The schema files that weft brings: each compiles, and says enough for a form. */
#include "offers/schema/schema.h"
#include "support/check.h"
#include "support/schema_file.h"

static const struct {
	const char *name;
	uint32_t id;
	unsigned field_min, filter_min;
} shipped[] = {
	{"fapp", 1, 10, 6},	  {"housing", 2, 7, 5},	 {"repair", 3, 10, 6},
	{"tutor", 4, 10, 6},	  {"medical", 5, 10, 6}, {"legal", 0, 10, 6},
	{"volunteer", 0, 10, 6},  {"events", 0, 10, 6},	 {"custom", 0xffff, 5, 5},
	{"instrument", 0, 15, 8},
};
#define SHIPPED_CNT (sizeof(shipped) / sizeof(shipped[0]))

static void test_each_shipped_schema_compiles_under_its_id(void)
{
	for (size_t i = 0; i < SHIPPED_CNT; i++) {
		struct schema *schema = schema_file_open(shipped[i].name);

		CHECK_STR(schema->name, shipped[i].name);
		CHECK(shipped[i].id ? schema->id == shipped[i].id : schema->id >= 0x80000000u);
		CHECK(schema->field_cnt >= shipped[i].field_min);
		CHECK(schema->filter_cnt >= shipped[i].filter_min);
		CHECK(schema->title[0] && schema->description[0]);
		offers_schema_free(schema);
	}
}

static void test_ids_of_shipped_schemas_differ(void)
{
	uint32_t ids[SHIPPED_CNT];

	for (size_t i = 0; i < SHIPPED_CNT; i++) {
		ids[i] = offers_schema_id_of_name(shipped[i].name);
		for (size_t j = 0; j < i; j++)
			CHECK(ids[i] != ids[j]);
	}
}

/* A table of offers fits a terminal, and every number that is money or a length has its unit. */
static void test_each_shipped_schema_is_enough_for_a_form_and_a_table(void)
{
	for (size_t i = 0; i < SHIPPED_CNT; i++) {
		struct schema *schema = schema_file_open(shipped[i].name);
		unsigned listed_cnt = 0, place_cnt = 0;

		for (unsigned f = 0; f < schema->field_cnt; f++) {
			const struct schema_field *field = &schema->fields[f];

			CHECK(field->label[0] && strlen(field->label) <= 40);
			CHECK_EQ(field->since, 1);
			listed_cnt += field->is_listed;
			place_cnt += field->type == SCHEMA_POSTCODE;
			if (field->type == SCHEMA_NUMBER)
				CHECK(field->min != INT64_MIN && field->max != INT64_MAX);
		}
		CHECK(listed_cnt >= 3 && listed_cnt <= 12);
		CHECK_EQ(place_cnt, 1);
		for (unsigned f = 0; f < schema->filter_cnt; f++)
			CHECK(schema->filters[f].label[0]);
		offers_schema_free(schema);
	}
}

int main(void)
{
	RUN(test_each_shipped_schema_compiles_under_its_id);
	RUN(test_ids_of_shipped_schemas_differ);
	RUN(test_each_shipped_schema_is_enough_for_a_form_and_a_table);
	return check_done();
}
