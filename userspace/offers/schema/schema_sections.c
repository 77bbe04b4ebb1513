/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sections of a schema's text mean. Lines are kept as they are until their section ends,
 * so their order is free. What is refused is said with the line, the name and the next step.
 */
#include "offers/schema/schema_sections.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/blake3/blake3.h"

static const char *const service_keys[SCHEMA_SECTION_KEYS] = {
	"name",
	"id",
	"version",
	"title",
	"description",
	"min_verification",
	"ttl_hours",
	"announces_per_min",
	"queries_per_min",
	"reserves_per_min",
	"seed_form",
};
static const char *const field_keys[SCHEMA_SECTION_KEYS] = {
	"type", "key",	 "since", "required", "listed", "min",	   "max",
	"unit", "label", "help",  "decimals", "items",	"choices",
};
static const char *const filter_keys[SCHEMA_SECTION_KEYS] = {"field", "match", "key", "label",
							     "help"};
static const char *const *const keys_of[] = {
	[SECTION_SERVICE] = service_keys,
	[SECTION_FIELD] = field_keys,
	[SECTION_FILTER] = filter_keys,
};

struct schema_fault *offers_schema_fault_at(const struct schema_parsing *parse, unsigned line)
{
	parse->fault->line = line;
	return parse->fault;
}

char *offers_schema_text_keep(struct schema_parsing *parse, const char *text, size_t len)
{
	struct schema_compiled *made = parse->made;
	char *at = made->text + made->text_len;

	weft_assert(len < made->text_cap - made->text_len);
	memcpy(at, text, len);
	at[len] = '\0';
	made->text_len += len + 1;
	return at;
}

const char *offers_schema_label_make(struct schema_parsing *parse, const char *name)
{
	char *label = offers_schema_text_keep(parse, name, strlen(name));

	label[0] = (char)toupper((unsigned char)label[0]);
	for (char *at = label; *at; at++)
		if (*at == '-' || *at == '_')
			*at = ' ';
	return label;
}

const char *offers_schema_section_name(const struct schema_parsing *parse)
{
	const struct schema *schema = &parse->made->schema;

	if (parse->section == SECTION_FIELD)
		return schema->fields[schema->field_cnt].name;
	if (parse->section == SECTION_FILTER)
		return schema->filters[schema->filter_cnt].name;
	return "";
}

int offers_schema_section_key_named(enum schema_section section, const char *name)
{
	for (int i = 0; i < SCHEMA_SECTION_KEYS && keys_of[section][i]; i++)
		if (strcmp(keys_of[section][i], name) == 0)
			return i;
	return -1;
}

void offers_schema_section_keys_list(enum schema_section section, char *buf, size_t cap)
{
	size_t len = (size_t)snprintf(buf, cap, "keys:");

	for (int i = 0; i < SCHEMA_SECTION_KEYS && keys_of[section][i] && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, " %s", keys_of[section][i]);
}

static const char *value_of(const struct schema_parsing *parse, const char *key)
{
	return parse->values[offers_schema_section_key_named(parse->section, key)];
}

static unsigned line_of(const struct schema_parsing *parse, const char *key)
{
	return parse->lines[offers_schema_section_key_named(parse->section, key)];
}

/* A number of [min, max]; *out stays as it is when the key is not given. */
static int count_read(const struct schema_parsing *parse, const char *key, unsigned min,
		      unsigned max, unsigned *out)
{
	const char *value = value_of(parse, key);
	unsigned long number;
	char *end;

	if (!value)
		return 0;
	number = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || strlen(value) > 9 || number < min ||
	    number > max)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line_of(parse, key)),
					       offers_schema_section_name(parse), NULL,
					       "%s is a number from %u to %u", key, min, max);
	*out = (unsigned)number;
	return 0;
}

static int flag_read(const struct schema_parsing *parse, const char *key, bool *out)
{
	const char *value = value_of(parse, key);

	if (!value)
		return 0;
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line_of(parse, key)),
					       offers_schema_section_name(parse), "write yes or no",
					       "%s is neither yes nor no", key);
	*out = value[0] == 'y';
	return 0;
}

static const char *text_of(const struct schema_parsing *parse, const char *key,
			   const char *otherwise)
{
	const char *value = value_of(parse, key);

	return value ? value : otherwise;
}

static const struct {
	const char *name;
	uint32_t id;
} core[] = {{"fapp", 1},  {"housing", 2}, {"repair", 3},
	    {"tutor", 4}, {"medical", 5}, {"custom", SCHEMA_ID_CUSTOM}};

uint32_t offers_schema_id_of_name(const char *name)
{
	uint8_t hash[BLAKE3_HASH_LEN];

	for (size_t i = 0; i < sizeof(core) / sizeof(core[0]); i++)
		if (strcmp(core[i].name, name) == 0)
			return core[i].id;
	blake3_hash(name, strlen(name), hash);
	return 0x80000000u | (uint32_t)(hash[0] & 0x7f) << 24 | (uint32_t)hash[1] << 16 |
	       (uint32_t)hash[2] << 8 | hash[3];
}

bool offers_schema_name_is_valid(const char *name, const char *beside)
{
	size_t len = strlen(name);

	if (len == 0 || len > SCHEMA_NAME_LEN_MAX || strchr(beside, name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    !strchr(beside, name[i]))
			return false;
	return true;
}

/* The id is the name's; another one would be taken for another service. */
static int id_read(const struct schema_parsing *parse, struct schema *schema)
{
	const char *value = value_of(parse, "id");
	char *end;
	unsigned long id = value ? strtoul(value, &end, 0) : 0;

	schema->id = offers_schema_id_of_name(schema->name);
	if (schema->id == SCHEMA_ID_ANY)
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line), "",
					       "choose another one",
					       "the id of this name is reserved");
	if (!value)
		return 0;
	if (!isdigit((unsigned char)value[0]) || *end || id > UINT32_MAX ||
	    (id != schema->id && id != SCHEMA_ID_CUSTOM))
		return offers_schema_fault_set(offers_schema_fault_at(parse, line_of(parse, "id")),
					       "",
					       "leave it out, or write 0xFFFF for an experiment",
					       "the id of %s is 0x%x", schema->name, schema->id);
	schema->id = (uint32_t)id;
	return 0;
}

static int service_limits(const struct schema_parsing *parse, struct schema *schema)
{
	unsigned version = 1, level = 0, hours = 168, announces = 0, queries = 0, reserves = 0;
	int err = count_read(parse, "version", 1, SCHEMA_VERSION_MAX, &version);

	if (err == 0)
		err = count_read(parse, "min_verification", 0, 3, &level);
	if (err == 0)
		err = count_read(parse, "ttl_hours", 1, 8760, &hours);
	if (err == 0)
		err = count_read(parse, "announces_per_min", 1, 6000, &announces);
	if (err == 0)
		err = count_read(parse, "queries_per_min", 1, 6000, &queries);
	if (err == 0)
		err = count_read(parse, "reserves_per_min", 1, 6000, &reserves);
	schema->version = (uint8_t)version;
	schema->min_verification = (uint8_t)level;
	schema->ttl_hours = (uint16_t)hours;
	schema->announces_per_min = (uint16_t)announces;
	schema->queries_per_min = (uint16_t)queries;
	schema->reserves_per_min = (uint16_t)reserves;
	/* A service that verifies providers does not take what leaves their address unsigned. */
	schema->takes_seed_form = level == 0;
	return err < 0 ? err : flag_read(parse, "seed_form", &schema->takes_seed_form);
}

static int service_end(struct schema_parsing *parse)
{
	struct schema *schema = &parse->made->schema;
	char *name = (char *)value_of(parse, "name");
	int err;

	if (!name)
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line), "",
					       "write name = NAME", "the service has no name");
	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (!offers_schema_name_is_valid(name, "-"))
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, line_of(parse, "name")), "",
			"use 1 to 32 letters, digits and hyphens", "this is no name of a service");
	schema->name = name;
	schema->title = value_of(parse, "title");
	if (!schema->title)
		schema->title = offers_schema_label_make(parse, name);
	schema->description = text_of(parse, "description", "");
	err = service_limits(parse, schema);
	return err < 0 ? err : id_read(parse, schema);
}

/* How many of one field's values, and which numbers, there can be. */
static int field_bounds(const struct schema_parsing *parse, struct schema_field *field)
{
	unsigned decimals = 0, items = SCHEMA_ITEMS_MAX;
	int err = count_read(parse, "decimals", 0, 6, &decimals);

	if (err == 0)
		err = count_read(parse, "items", 1, SCHEMA_ITEMS_MAX, &items);
	field->decimals = (uint8_t)decimals;
	field->item_max = offers_schema_is_list(field->type) ? items : 1;
	return err;
}

/* Keys that say nothing of some types. */
static int field_keys_check(const struct schema_parsing *parse, const struct schema_field *field)
{
	bool is_number = field->type == SCHEMA_NUMBER;
	bool is_choice = field->type == SCHEMA_CHOICE || field->type == SCHEMA_CHOICES;
	bool has_length = field->type == SCHEMA_TEXT || field->type == SCHEMA_WORDS ||
			  field->type == SCHEMA_URL;
	const struct {
		const char *key;
		bool is_taken;
	} rows[] = {
		{"min", is_number || has_length},
		{"max", is_number || has_length},
		{"unit", is_number},
		{"decimals", is_number},
		{"items", offers_schema_is_list(field->type)},
		{"choices", is_choice},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (value_of(parse, rows[i].key) && !rows[i].is_taken)
			return offers_schema_fault_set(
				offers_schema_fault_at(parse, line_of(parse, rows[i].key)),
				field->name, "leave it out", "a field of type %s takes no %s",
				offers_schema_type_name(field->type), rows[i].key);
	if (is_choice && field->choice_cnt == 0)
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line),
					       field->name, "write choices = WORD, WORD",
					       "there are no choices");
	return 0;
}

/* min or max, in the numbers of the wire. */
static int bound_read(const struct schema_parsing *parse, const char *key,
		      const struct schema_field *field, int64_t *out)
{
	const char *value = value_of(parse, key);
	bool is_number = field->type == SCHEMA_NUMBER;

	if (!value)
		return 0;
	if (!offers_schema_number_read(field, value, strlen(value), out) ||
	    (!is_number && (*out < 1 || *out > SCHEMA_TEXT_CHARS)))
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, line_of(parse, key)), field->name, NULL,
			is_number ? "%s is no number with the field's decimals"
				  : "%s is a number of characters, 1 to 8000",
			key);
	return 0;
}

static int field_range(const struct schema_parsing *parse, struct schema_field *field)
{
	bool is_number = field->type == SCHEMA_NUMBER;
	int err;

	field->min = is_number ? INT64_MIN : 1;
	field->max = is_number ? INT64_MAX : field->type == SCHEMA_WORDS ? 40 : 500;
	err = bound_read(parse, "min", field, &field->min);
	if (err == 0)
		err = bound_read(parse, "max", field, &field->max);
	if (err == 0 && field->min > field->max) {
		const char *later = value_of(parse, "max") ? "max" : "min";
		char max[SCHEMA_NUMBER_CAP];

		return offers_schema_fault_set(offers_schema_fault_at(parse, line_of(parse, later)),
					       field->name, "lower min, or write a greater max",
					       "min is greater than max, which is %s",
					       offers_schema_number_print(field, field->max, max));
	}
	return err;
}

/* The next key, or a later one that is given. */
static int key_read(const struct schema_parsing *parse, unsigned last, uint8_t *out)
{
	unsigned key = last + 1;
	int err = 0;

	if (last == SCHEMA_KEY_MAX)
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line),
					       offers_schema_section_name(parse), NULL,
					       "keys end at %u", SCHEMA_KEY_MAX);
	err = count_read(parse, "key", last + 1, SCHEMA_KEY_MAX, &key);
	*out = (uint8_t)key;
	return err;
}

static int type_read(const struct schema_parsing *parse, struct schema_field *field)
{
	static const char *const finer[] = {"address",	"location",  "street", "coordinates",
					    "latitude", "longitude", "gps",    "position"};
	const char *value = value_of(parse, "type");
	int type = value ? offers_schema_type_named(value) : -1;

	if (!value)
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line),
					       field->name, "write type = TYPE",
					       "the field has no type");
	for (size_t i = 0; i < sizeof(finer) / sizeof(finer[0]); i++)
		if (strcmp(finer[i], value) == 0 || strcmp(finer[i], field->name) == 0)
			return offers_schema_fault_set(
				offers_schema_fault_at(parse, line_of(parse, "type")), field->name,
				"use postcode, or geohash of at most 5 letters",
				"offers are public: places finer than a postcode are not sent");
	if (type < 0)
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, line_of(parse, "type")), field->name,
			"types: number choice choices text words time times flag "
			"postcode geohash url hash",
			"there is no type %.40s", value);
	field->type = (enum schema_type)type;
	return 0;
}

static int field_end(struct schema_parsing *parse)
{
	struct schema *schema = &parse->made->schema;
	struct schema_field *field = &schema->fields[schema->field_cnt];
	unsigned last = schema->field_cnt ? field[-1].key : 0, since = 1;
	int err = type_read(parse, field);

	if (err == 0)
		err = field_keys_check(parse, field);
	if (err == 0)
		err = field_bounds(parse, field);
	if (err == 0)
		err = field_range(parse, field);
	if (err == 0)
		err = key_read(parse, last, &field->key);
	if (err == 0)
		err = count_read(parse, "since", 1, schema->version, &since);
	if (err == 0)
		err = flag_read(parse, "required", &field->is_required);
	if (err == 0)
		err = flag_read(parse, "listed", &field->is_listed);
	if (err < 0)
		return err;
	field->since = (uint8_t)since;
	field->column = SCHEMA_NO_COLUMN;
	field->unit = text_of(parse, "unit", "");
	field->help = text_of(parse, "help", "");
	field->label = value_of(parse, "label");
	if (!field->label)
		field->label = offers_schema_label_make(parse, field->name);
	schema->field_cnt++;
	return 0;
}

static int filter_end(struct schema_parsing *parse)
{
	struct schema *schema = &parse->made->schema;
	unsigned idx = schema->filter_cnt;
	struct schema_filter *filter = &schema->filters[idx];
	const char *match = text_of(parse, "match", "equal");
	int comparison = offers_schema_comparison_named(match);
	int err;

	if (comparison < 0)
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, line_of(parse, "match")), filter->name,
			"one of: equal at-most at-least between prefix any-of "
			"all-of",
			"there is no match %.40s", match);
	filter->comparison = (enum schema_comparison)comparison;
	parse->filter_fields[idx] = value_of(parse, "field");
	parse->filter_lines[idx] = parse->head_line;
	if (!parse->filter_fields[idx])
		return offers_schema_fault_set(offers_schema_fault_at(parse, parse->head_line),
					       filter->name, "write field = NAME",
					       "the filter names no field");
	err = key_read(parse, idx ? filter[-1].key : 0, &filter->key);
	filter->help = text_of(parse, "help", "");
	filter->label = value_of(parse, "label");
	if (!filter->label)
		filter->label = offers_schema_label_make(parse, filter->name);
	schema->filter_cnt += err == 0;
	return err;
}

int offers_schema_section_end(struct schema_parsing *parse)
{
	switch (parse->section) {
	case SECTION_SERVICE:
		return service_end(parse);
	case SECTION_FIELD:
		return field_end(parse);
	case SECTION_FILTER:
		return filter_end(parse);
	case SECTION_NONE:
		break;
	}
	return 0;
}
