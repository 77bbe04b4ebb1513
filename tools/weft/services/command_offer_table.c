/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of offers, whose columns the schemas name. */
#include "services/command_offer_table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "services/command_schema.h"
#include "print/output_table.h"
#include "print/text.h"

/* A table has 16 columns, and 4 of them are of offers of any schema. */
#define LISTED_MAX  12
#define COLUMNS_CAP (LISTED_MAX + 5)
#define DATE_LEN    10
/* The letters by which calls take an offer. */
#define OFFER_SHOWN 8

struct offer_row {
	const char *offer, *expires;
	int64_t units, level;
	const char *values[LISTED_MAX];
};
struct offer_row_list {
	struct offer_row *rows;
	size_t cnt, cap;
};

/* The offers of one schema. */
struct offer_group {
	const struct invocation *inv;
	const struct api_offer_list *offers;
	const struct schema *schema;
	const struct schema_field *listed[LISTED_MAX];
	unsigned listed_cnt;
	struct offer_row_list rows;
	bool has_units, has_level; /* some are not as most are */
};

static const char *heading_of(struct varlink_blocks *blocks, const char *name)
{
	char heading[SCHEMA_NAME_CAP];
	size_t len = 0;

	for (; name[len] && len + 1 < sizeof(heading); len++)
		heading[len] = name[len] == '_' ? ' ' : (char)toupper((unsigned char)name[len]);
	heading[len] = '\0';
	return varlink_text(blocks, heading);
}

/* With its unit; NULL: the offer does not have it. */
static const char *value_of(struct varlink_blocks *blocks, const struct api_offer *offer,
			    const char *name)
{
	for (size_t i = 0; i < offer->values.cnt; i++) {
		const struct api_offer_value *value = &offer->values.rows[i];

		if (strcmp(value->field, name) == 0)
			return *value->unit
				       ? varlink_format(blocks, "%s %s", value->value, value->unit)
				       : value->value;
	}
	return NULL;
}

static void row_add(struct offer_group *group, const struct api_offer *offer)
{
	struct varlink_blocks *blocks = group->inv->blocks;
	char time[TEXT_SHORT_CAP];
	struct offer_row row = {
		.offer = varlink_format(blocks, "%.*s", OFFER_SHOWN, offer->offer_id),
		.expires = varlink_format(blocks, "%.*s", DATE_LEN,
					  text_time((uint64_t)offer->expires_s, time)),
		.units = offer->units,
		.level = offer->level,
	};

	for (unsigned i = 0; i < group->listed_cnt; i++)
		row.values[i] = value_of(blocks, offer, group->listed[i]->name);
	group->has_units |= offer->units != 1;
	group->has_level |= offer->needs > 0;
	varlink_push(blocks, &group->rows, row);
}

/* Ids and dates are kept whole where a line is too long. */
static void columns_make(const struct offer_group *group, struct column columns[static COLUMNS_CAP])
{
	static const struct column offer = COLUMN_OF("OFFER", offer_row, offer, string, ID);
	static const struct column units = COLUMN_OF("UNITS", offer_row, units, int, COUNT);
	static const struct column level = COLUMN_OF("LEVEL", offer_row, level, int, COUNT);
	static const struct column expires = COLUMN_OF("EXPIRES", offer_row, expires, string, ID);

	*columns++ = offer;
	for (unsigned i = 0; i < group->listed_cnt; i++)
		*columns++ = (struct column){
			heading_of(group->inv->blocks, group->listed[i]->name),
			{"", &api_string_type, offsetof(struct offer_row, values[i]),
			 VARLINK_NO_FLAG, true},
			group->listed[i]->type == SCHEMA_NUMBER ? COLUMN_COUNT : COLUMN_TEXT,
			NULL};
	if (group->has_units)
		*columns++ = units;
	if (group->has_level)
		*columns++ = level;
	*columns++ = expires;
	*columns = (struct column){0};
}

static void group_print(struct offer_group *group, const char *name)
{
	const struct api_offer_list *offers = group->offers;
	struct column columns[COLUMNS_CAP];

	for (unsigned i = 0; i < group->schema->field_cnt && group->listed_cnt < LISTED_MAX; i++)
		if (group->schema->fields[i].is_listed)
			group->listed[group->listed_cnt++] = &group->schema->fields[i];
	for (size_t i = 0; i < offers->cnt; i++)
		if (strcmp(offers->rows[i].schema, name) == 0)
			row_add(group, &offers->rows[i]);
	columns_make(group, columns);
	table_print(group->inv, TABLE_ROWS(group->rows), columns, "");
}

/* The schema of the offer at idx is that of an earlier one. */
static bool is_seen(const struct api_offer_list *offers, size_t idx)
{
	for (size_t i = 0; i < idx; i++)
		if (strcmp(offers->rows[i].schema, offers->rows[idx].schema) == 0)
			return true;
	return false;
}

static bool is_of_several(const struct api_offer_list *offers)
{
	for (size_t i = 1; i < offers->cnt; i++)
		if (!is_seen(offers, i))
			return true;
	return false;
}

void offer_table_print(const struct invocation *inv, const struct api_offer_list *offers,
		       const char *empty)
{
	bool is_named = is_of_several(offers);

	if (!inv->has_terminal_out || !offers->cnt) {
		table_print(inv, TABLE_ROWS(*offers), api_view_offer_list, empty);
		return;
	}
	for (size_t i = 0; i < offers->cnt; i++) {
		struct offer_group group = {.inv = inv, .offers = offers};
		struct schema *schema;

		if (is_seen(offers, i))
			continue;
		/* It was removed just now, as the message says; the others are shown. */
		if (schema_ask(inv, offers->rows[i].schema, &schema) != STATUS_OK)
			continue;
		group.schema = schema;
		if (is_named)
			printf("%s%s: %s\n", i ? "\n" : "", schema->name, schema->title);
		group_print(&group, offers->rows[i].schema);
		offers_schema_free(schema);
	}
}

void print_offer_list(const struct invocation *inv, const void *reply)
{
	const struct api_list_offers_out *out = reply;

	offer_table_print(inv, &out->offers,
			  "No offer: weft offer publish SCHEMA FIELD=VALUE... makes one");
	table_tell_more(out->cursor);
}
