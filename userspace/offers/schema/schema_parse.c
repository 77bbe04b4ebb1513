/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler of schemas: INI text becomes one read-only block. Here are lines and heads of
 * sections; schema_sections.c has what they mean. Filters are bound to fields at the end of the
 * text. It runs at start and for the operator, never on bytes of a peer.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ini.h"
#include "codec/text/utf8.h"
#include "offers/schema/schema_sections.h"

/* What begins [field NAME] or [filter NAME]. */
static int named_begin(struct schema_parsing *parse, const char *name, unsigned line)
{
	struct schema *schema = &parse->made->schema;
	bool is_field = parse->section == SECTION_FIELD;
	unsigned cnt = is_field ? schema->field_cnt : schema->filter_cnt;
	unsigned max = is_field ? SCHEMA_FIELDS_MAX : SCHEMA_FILTERS_MAX;
	const char *kept;
	int found;

	if (!schema->name)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line), "",
					       "begin with [service]",
					       "the service is not described yet");
	if (cnt == max)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line), "", NULL,
					       "more than %u %s", max,
					       is_field ? "fields" : "filters");
	if (!offers_schema_name_is_valid(name, "_") || isdigit((unsigned char)name[0]))
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, line), "",
			"use 1 to 32 small letters, digits and _, a letter first",
			"this is no name of a %s", is_field ? "field" : "filter");
	found = is_field ? offers_schema_field_named(schema, name, strlen(name))
			 : offers_schema_filter_named(schema, name, strlen(name));
	if (found >= 0)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line), name,
					       "choose another name", "it is there already");
	kept = offers_schema_text_keep(parse, name, strlen(name));
	if (is_field)
		schema->fields[cnt].name = kept;
	else
		schema->filters[cnt].name = kept;
	return 0;
}

static int on_section(void *ctx, const struct ini_line *head)
{
	struct schema_parsing *parse = ctx;
	const char *name = strpbrk(head->section, " \t");
	size_t len = name ? (size_t)(name - head->section) : strlen(head->section);
	int err = offers_schema_section_end(parse);

	if (err < 0)
		return err;
	memset(parse->values, 0, sizeof(parse->values));
	memset(parse->lines, 0, sizeof(parse->lines));
	parse->head_line = head->number;
	name = name ? name + strspn(name, " \t") : "";
	parse->section = SECTION_NONE;
	if (strcmp(head->section, "service") == 0 && !parse->made->schema.name) {
		parse->section = SECTION_SERVICE;
		return 0;
	}
	if (len == 5 && memcmp(head->section, "field", 5) == 0)
		parse->section = SECTION_FIELD;
	if (len == 6 && memcmp(head->section, "filter", 6) == 0)
		parse->section = SECTION_FILTER;
	if (parse->section != SECTION_NONE)
		return named_begin(parse, name, head->number);
	return offers_schema_fault_set(offers_schema_fault_at(parse, head->number), "",
				       "sections: [service] once, [field NAME], [filter NAME]",
				       "[%.60s] is not expected here", head->section);
}

static int choice_add(struct schema_parsing *parse, const char *word, size_t len, unsigned line)
{
	struct schema_compiled *made = parse->made;
	struct schema_field *field = &made->schema.fields[made->schema.field_cnt];
	char *kept;

	if (field->choice_cnt == SCHEMA_CHOICES_MAX || made->choice_cnt == SCHEMA_CHOICES_ALL)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line), field->name,
					       NULL, "more than %u choices, or %u in the schema",
					       SCHEMA_CHOICES_MAX, SCHEMA_CHOICES_ALL);
	if (len == 0 || len > SCHEMA_NAME_LEN_MAX || word[0] == '-')
		return offers_schema_fault_set(offers_schema_fault_at(parse, line), field->name,
					       "separate words of letters, digits and - by commas",
					       "a choice has 1 to 32 characters");
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)word[i]) && word[i] != '-')
			return offers_schema_fault_set(
				offers_schema_fault_at(parse, line), field->name,
				"use letters, digits and -; write label WORD = "
				"TEXT for what people read",
				"%.*s is no word of a choice", (int)len, word);
	for (unsigned i = 0; i < field->choice_cnt; i++)
		if (strlen(field->choices[i].word) == len &&
		    strncasecmp(field->choices[i].word, word, len) == 0)
			return offers_schema_fault_set(offers_schema_fault_at(parse, line),
						       field->name, NULL,
						       "%.*s is a choice already", (int)len, word);
	if (field->choice_cnt == 0)
		field->choices = &made->choices[made->choice_cnt];
	kept = offers_schema_text_keep(parse, word, len);
	made->choices[made->choice_cnt++] =
		(struct schema_choice){kept, offers_schema_label_make(parse, kept)};
	field->choice_cnt++;
	return 0;
}

static int choices_add(struct schema_parsing *parse, const struct ini_line *line)
{
	const char *at = line->value;
	int err = 0;

	while (err == 0) {
		size_t len = strcspn(at, ","), word_len = len;
		const char *word = at + strspn(at, " \t");

		word_len = word > at + len ? 0 : len - (size_t)(word - at);
		while (word_len && (word[word_len - 1] == ' ' || word[word_len - 1] == '\t'))
			word_len--;
		err = choice_add(parse, word, word_len, line->number);
		if (!at[len])
			break;
		at += len + 1;
	}
	parse->values[offers_schema_section_key_named(SECTION_FIELD, "choices")] = "";
	parse->lines[offers_schema_section_key_named(SECTION_FIELD, "choices")] = line->number;
	return err;
}

/* label WORD = TEXT, behind choices. */
static int choice_label(struct schema_parsing *parse, const struct ini_line *line)
{
	struct schema_compiled *made = parse->made;
	struct schema_field *field = &made->schema.fields[made->schema.field_cnt];
	struct schema_choice *choices = &made->choices[made->choice_cnt - field->choice_cnt];
	const char *word = line->key + 5 + strspn(line->key + 5, " \t");

	for (unsigned i = 0; i < field->choice_cnt; i++)
		if (strcasecmp(choices[i].word, word) == 0) {
			choices[i].label =
				offers_schema_text_keep(parse, line->value, strlen(line->value));
			return 0;
		}
	return offers_schema_fault_set(offers_schema_fault_at(parse, line->number), field->name,
				       "write choices = WORD, WORD first", "%.60s is no choice",
				       word);
}

static int on_line(void *ctx, const struct ini_line *line)
{
	struct schema_parsing *parse = ctx;
	bool is_field = parse->section == SECTION_FIELD;
	char next[sizeof(parse->fault->next)];
	int key;

	if (parse->section == SECTION_NONE)
		return offers_schema_fault_set(offers_schema_fault_at(parse, line->number), "",
					       "begin with [service]",
					       "a line before the first section");
	/* Labels go to terminals, where C1 characters are commands, and to lines with tabs. */
	if (!utf8_is_plain(line->value, strlen(line->value)))
		return offers_schema_fault_set(offers_schema_fault_at(parse, line->number),
					       offers_schema_section_name(parse),
					       "leave control characters and tabs out",
					       "%.40s is no plain text", line->key);
	if (is_field && strcmp(line->key, "choices") == 0)
		return choices_add(parse, line);
	if (is_field && strncmp(line->key, "label", 5) == 0 && strchr(" \t", line->key[5]) &&
	    line->key[5])
		return choice_label(parse, line);
	key = offers_schema_section_key_named(parse->section, line->key);
	if (key < 0) {
		offers_schema_section_keys_list(parse->section, next, sizeof(next));
		return offers_schema_fault_set(offers_schema_fault_at(parse, line->number),
					       offers_schema_section_name(parse), next,
					       "there is no key %.40s", line->key);
	}
	if (parse->values[key])
		return offers_schema_fault_set(offers_schema_fault_at(parse, line->number),
					       offers_schema_section_name(parse), NULL,
					       "%s is there twice", line->key);
	parse->values[key] = offers_schema_text_keep(parse, line->value, strlen(line->value));
	parse->lines[key] = line->number;
	return 0;
}

/* A filter's field, its comparison with that, and the field's column. */
static int filter_bind(const struct schema_parsing *parse, unsigned idx)
{
	struct schema *schema = &parse->made->schema;
	struct schema_filter *filter = &schema->filters[idx];
	const char *name = parse->filter_fields[idx];
	int at = offers_schema_field_named(schema, name, strlen(name));
	struct schema_field *field = &schema->fields[at < 0 ? 0 : at];

	if (at < 0)
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, parse->filter_lines[idx]), filter->name, NULL,
			"there is no field %.40s", name);
	if (!offers_schema_type_takes(field->type, filter->comparison))
		return offers_schema_fault_set(
			offers_schema_fault_at(parse, parse->filter_lines[idx]), filter->name, NULL,
			"a field of type %s is not compared by %s",
			offers_schema_type_name(field->type),
			offers_schema_comparison_name(filter->comparison));
	filter->field = (uint8_t)at;
	if (field->column == SCHEMA_NO_COLUMN) {
		field->column = (uint8_t)schema->column_cnt;
		schema->columns[schema->column_cnt++] = (uint8_t)at;
	}
	return 0;
}

static int parse_end(struct schema_parsing *parse)
{
	struct schema *schema = &parse->made->schema;
	int err = offers_schema_section_end(parse);

	if (err == 0 && schema->field_cnt == 0)
		return offers_schema_fault_set(offers_schema_fault_at(parse, 0), "",
					       "add [field NAME]", "there is no field");
	for (unsigned i = 0; err == 0 && i < schema->filter_cnt; i++)
		err = filter_bind(parse, i);
	return err;
}

int offers_schema_parse(const char *text, size_t len, struct schema **out,
			struct schema_fault *fault)
{
	static const struct ini_calls calls = {on_section, on_line};
	const size_t text_cap = 2 * len + SCHEMA_NAME_CAP;
	struct schema_parsing parse = {.fault = fault};
	unsigned line = 0;
	int err;

	*fault = (struct schema_fault){.line = 0};
	if (len > SCHEMA_TEXT_LEN_MAX) {
		(void)offers_schema_fault_set(fault, "", "shorten it", "the text has over %d bytes",
					      SCHEMA_TEXT_LEN_MAX);
		return WEFT_ETOOLARGE;
	}
	parse.made = calloc(1, sizeof(*parse.made) + text_cap);
	if (!parse.made)
		return -ENOMEM;
	parse.made->text_cap = text_cap;
	err = ini_parse_sections(text, len, &calls, &parse, &line);
	if (err < 0 && !fault->what[0])
		(void)offers_schema_fault_set(
			offers_schema_fault_at(&parse, line), "",
			"write [SECTION] or KEY = VALUE, at most 1024 bytes a line",
			"the line is neither a section nor a key with a value");
	if (err == 0)
		err = parse_end(&parse);
	if (err < 0) {
		free(parse.made);
		return err;
	}
	*out = &parse.made->schema;
	return 0;
}

void offers_schema_free(struct schema *schema)
{
	free(schema);
}
