/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a schema, from and to other programs. A text of it that has a line end or a control
 * character is refused, so none becomes a line of its own.
 */
#include "offers/schema/schema_export.h"

#include <stdio.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/cbor_fields.h"
#include "codec/ini.h"
#include "codec/text/utf8.h"
#include "offers/schema/schema_type.h"

#define PART_LEN_MAX 65536

static void text_write(struct writer *w, const char *text)
{
	cbor_write_text(w, text, strlen(text));
}

static void text_field(struct writer *w, uint64_t key, const char *text)
{
	cbor_field_text(w, key, text, strlen(text));
}

static void choices_write(struct writer *w, const struct schema_field *field)
{
	cbor_write_array(w, field->choice_cnt);
	for (unsigned i = 0; i < field->choice_cnt; i++) {
		cbor_write_array(w, 2);
		text_write(w, field->choices[i].word);
		text_write(w, field->choices[i].label);
	}
}

static void field_write(struct writer *w, const struct schema_field *field)
{
	cbor_write_map(w, 13);
	text_field(w, 0, field->name);
	text_field(w, 1, offers_schema_type_name(field->type));
	cbor_field_uint(w, 2, field->key);
	cbor_field_uint(w, 3, field->since);
	cbor_field_bool(w, 4, field->is_required);
	cbor_field_uint(w, 5, field->decimals);
	cbor_write_uint(w, 6);
	cbor_write_int(w, field->min);
	cbor_write_uint(w, 7);
	cbor_write_int(w, field->max);
	cbor_field_uint(w, 8, field->item_max);
	text_field(w, 9, field->unit);
	text_field(w, 10, field->label);
	text_field(w, 11, field->help);
	cbor_write_uint(w, 12);
	choices_write(w, field);
}

static void announce_write(struct writer *w, const struct schema *schema)
{
	cbor_write_map(w, 5);
	text_field(w, 0, schema->title);
	cbor_field_uint(w, 1, schema->ttl_hours);
	cbor_write_uint(w, 2);
	cbor_write_array(w, 3);
	cbor_write_uint(w, schema->announces_per_min);
	cbor_write_uint(w, schema->queries_per_min);
	cbor_write_uint(w, schema->reserves_per_min);
	cbor_field_bool(w, 3, schema->takes_seed_form);
	cbor_write_uint(w, 4);
	cbor_write_array(w, schema->field_cnt);
	for (unsigned i = 0; i < schema->field_cnt; i++)
		field_write(w, &schema->fields[i]);
}

static void query_write(struct writer *w, const struct schema *schema)
{
	cbor_write_array(w, schema->filter_cnt);
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_filter *filter = &schema->filters[i];

		cbor_write_map(w, 6);
		text_field(w, 0, filter->name);
		cbor_field_uint(w, 1, filter->key);
		text_field(w, 2, schema->fields[filter->field].name);
		text_field(w, 3, offers_schema_comparison_name(filter->comparison));
		text_field(w, 4, filter->label);
		text_field(w, 5, filter->help);
	}
}

static void response_write(struct writer *w, const struct schema *schema)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < schema->field_cnt; i++)
		cnt += schema->fields[i].is_listed;
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (schema->fields[i].is_listed)
			text_write(w, schema->fields[i].name);
}

/* A part is a byte string of what write gives. */
static void part_write(struct writer *w, uint64_t key,
		       void (*write)(struct writer *w, const struct schema *schema),
		       const struct schema *schema)
{
	uint8_t bytes[PART_LEN_MAX];
	struct writer part = writer_of(bytes, sizeof(bytes));

	write(&part, schema);
	w->bad |= part.bad;
	cbor_field_bytes(w, key, bytes, writer_len(&part));
}

void offers_schema_export(const struct schema *schema, struct writer *w)
{
	cbor_write_map(w, 8);
	cbor_field_uint(w, 0, schema->id);
	text_field(w, 1, schema->name);
	cbor_field_uint(w, 2, schema->version);
	part_write(w, 3, announce_write, schema);
	part_write(w, 4, query_write, schema);
	part_write(w, 5, response_write, schema);
	cbor_field_uint(w, 6, schema->min_verification);
	text_field(w, 7, schema->description);
}

bool offers_schema_is_record(const void *bytes, size_t len)
{
	return len > 0 && *(const uint8_t *)bytes == 0xa8;
}

/* Text of the record, not NUL-terminated. */
struct span {
	const char *text;
	size_t len;
};

struct part {
	const uint8_t *bytes;
	size_t len;
};

struct record {
	uint64_t id, version, level;
	struct span name, description;
	struct part announce, query, response;
};

#define PART(member) CBOR_AT(struct record, member.bytes), CBOR_LEN(struct record, member.len)
#define SPAN(member) CBOR_AT(struct record, member.text), CBOR_LEN(struct record, member.len)
static const struct cbor_field record_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct record, id), .max = UINT32_MAX},
	{1, CBOR_FIELD_SPAN, CBOR_NEEDED, SPAN(name), .max = SCHEMA_NAME_CAP - 1},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct record, version),
	 .max = SCHEMA_VERSION_MAX},
	{3, CBOR_FIELD_BYTES, CBOR_NEEDED, PART(announce)},
	{4, CBOR_FIELD_BYTES, CBOR_NEEDED, PART(query)},
	{5, CBOR_FIELD_BYTES, CBOR_NEEDED, PART(response)},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct record, level), .max = 3},
	{7, CBOR_FIELD_SPAN, CBOR_NEEDED, SPAN(description), .max = INI_LINE_LEN_MAX},
};
static const struct cbor_table record_table = {CBOR_FIELDS(record_fields)};

static void put(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

/* KEY = TEXT, and nothing for an empty text. */
static void span_put(struct writer *w, const char *key, struct span span)
{
	if (span.len == 0)
		return;
	if (!utf8_is_plain(span.text, span.len))
		w->bad = true;
	put(w, key);
	put(w, " = ");
	writer_bytes(w, span.text, span.len);
	put(w, "\n");
}

static void number_put(struct writer *w, const char *key, uint64_t number)
{
	char line[64];

	snprintf(line, sizeof(line), "%s = %llu\n", key, (unsigned long long)number);
	put(w, line);
}

/* 0 is what a file without the line has. */
static void rate_put(struct writer *w, const char *key, uint64_t per_min)
{
	if (per_min)
		number_put(w, key, per_min);
}

static struct span span_read(struct cbor_reader *r)
{
	struct span span;

	span.text = cbor_read_text(r, &span.len);
	return span;
}

static bool response_lists(const struct part *response, struct span name)
{
	struct cbor_reader r;
	bool is_listed = false;

	cbor_reader_init(&r, response->bytes, response->len);
	(void)cbor_enter_array(&r);
	while (cbor_next(&r)) {
		struct span span = span_read(&r);

		is_listed |= span.text && span.len == name.len &&
			     memcmp(span.text, name.text, name.len) == 0;
	}
	return is_listed;
}

/* [WORD, LABEL] */
static void choice_import(struct cbor_reader *r, struct writer *w)
{
	struct span word, label;

	if (cbor_enter_array(r) != 2)
		cbor_fail(r);
	(void)cbor_next(r);
	word = span_read(r);
	(void)cbor_next(r);
	label = span_read(r);
	(void)cbor_next(r);
	/* A word with = in it would end the key; the compiler judges all else. */
	if (cbor_is_bad(r) || word.len == 0 || memchr(word.text, '=', word.len)) {
		cbor_fail(r);
		return;
	}
	span_put(w, "choices", word);
	if (label.len) {
		put(w, "label ");
		writer_bytes(w, word.text, word.len);
		span_put(w, "", label);
	}
}

/* min or max, which need type and decimals; bounds of types that take none are not written. */
static void bound_put(struct writer *w, const char *key, const struct schema_field *field,
		      int64_t number)
{
	char text[SCHEMA_NUMBER_CAP];
	bool is_taken = field->type == SCHEMA_NUMBER || field->type == SCHEMA_TEXT ||
			field->type == SCHEMA_WORDS || field->type == SCHEMA_URL;

	if (!is_taken || number == INT64_MIN || number == INT64_MAX)
		return;
	offers_schema_number_print(field, number, text);
	span_put(w, key, (struct span){text, strlen(text)});
}

static enum schema_type type_import(struct cbor_reader *r, struct writer *w)
{
	struct span span = span_read(r);
	char name[16];
	int type;

	snprintf(name, sizeof(name), "%.*s", (int)span.len, span.text ? span.text : "");
	type = offers_schema_type_named(name);
	if (type < 0)
		cbor_fail(r);
	span_put(w, "type", span);
	return type < 0 ? SCHEMA_FLAG : (enum schema_type)type;
}

static void head_put(struct writer *w, const char *kind, struct span name)
{
	if (name.len == 0 || !utf8_is_plain(name.text, name.len))
		w->bad = true;
	put(w, "\n[");
	put(w, kind);
	put(w, " ");
	writer_bytes(w, name.text, name.len);
	put(w, "]\n");
}

static void field_key_import(struct cbor_reader *r, uint64_t key, struct schema_field *field,
			     struct writer *w)
{
	uint64_t number;

	switch (key) {
	case 1:
		field->type = type_import(r, w);
		break;
	case 2:
		number_put(w, "key", cbor_read_uint(r));
		break;
	case 3:
		number_put(w, "since", cbor_read_uint(r));
		break;
	case 4:
		put(w, cbor_read_bool(r) ? "required = yes\n" : "");
		break;
	case 5:
		field->decimals = (uint8_t)cbor_read_uint_max(r, 6);
		if (field->decimals)
			number_put(w, "decimals", field->decimals);
		break;
	case 6:
		bound_put(w, "min", field, cbor_read_int(r));
		break;
	case 7:
		bound_put(w, "max", field, cbor_read_int(r));
		break;
	case 8:
		number = cbor_read_uint(r);
		if (offers_schema_is_list(field->type))
			number_put(w, "items", number);
		break;
	case 9:
		span_put(w, "unit", span_read(r));
		break;
	case 10:
		span_put(w, "label", span_read(r));
		break;
	case 11:
		span_put(w, "help", span_read(r));
		break;
	case 12:
		(void)cbor_enter_array(r);
		while (cbor_next(r))
			choice_import(r, w);
		break;
	default:
		cbor_skip(r);
	}
}

static void field_import(struct cbor_reader *r, const struct record *record, struct writer *w)
{
	struct schema_field field = {.type = SCHEMA_FLAG};
	struct span name;
	uint64_t key;

	(void)cbor_enter_map(r);
	if (!cbor_next_key(r, &key) || key != 0)
		cbor_fail(r);
	name = span_read(r);
	if (cbor_is_bad(r))
		return;
	head_put(w, "field", name);
	if (response_lists(&record->response, name))
		put(w, "listed = yes\n");
	while (cbor_next_key(r, &key))
		field_key_import(r, key, &field, w);
}

static int announce_import(const struct record *record, struct writer *w)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, record->announce.bytes, record->announce.len);
	(void)cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		switch (key) {
		case 0:
			span_put(w, "title", span_read(&r));
			break;
		case 1:
			number_put(w, "ttl_hours", cbor_read_uint(&r));
			break;
		case 2:
			if (cbor_enter_array(&r) != 3)
				cbor_fail(&r);
			rate_put(w, "announces_per_min", cbor_read_uint(&r));
			rate_put(w, "queries_per_min", cbor_read_uint(&r));
			rate_put(w, "reserves_per_min", cbor_read_uint(&r));
			(void)cbor_next(&r);
			break;
		case 3:
			put(w, cbor_read_bool(&r) ? "seed_form = yes\n" : "seed_form = no\n");
			break;
		case 4:
			(void)cbor_enter_array(&r);
			while (cbor_next(&r))
				field_import(&r, record, w);
			break;
		default:
			cbor_skip(&r);
		}
	return cbor_reader_finish(&r);
}

static int query_import(const struct record *record, struct writer *w)
{
	static const char *const keys[] = {"", "key", "field", "match", "label", "help"};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, record->query.bytes, record->query.len);
	(void)cbor_enter_array(&r);
	while (cbor_next(&r)) {
		(void)cbor_enter_map(&r);
		while (cbor_next_key(&r, &key))
			if (key == 0)
				head_put(w, "filter", span_read(&r));
			else if (key == 1)
				number_put(w, keys[key], cbor_read_uint(&r));
			else if (key < sizeof(keys) / sizeof(keys[0]))
				span_put(w, keys[key], span_read(&r));
			else
				cbor_skip(&r);
	}
	return cbor_reader_finish(&r);
}

int offers_schema_import(const uint8_t *bytes, size_t len, char text[static SCHEMA_TEXT_LEN_MAX],
			 struct schema_fault *fault)
{
	struct writer w = writer_of(text, SCHEMA_TEXT_LEN_MAX);
	struct record record = {.id = 0};
	char line[64];

	*fault = (struct schema_fault){.line = 0};
	if (len > SCHEMA_TEXT_LEN_MAX || cbor_fields_parse(bytes, len, &record_table, &record) < 0)
		return offers_schema_fault_set(fault, "", NULL, "this is no record of a schema");
	put(&w, "[service]\n");
	span_put(&w, "name", record.name);
	snprintf(line, sizeof(line), "id = 0x%llx\n", (unsigned long long)record.id);
	put(&w, line);
	number_put(&w, "version", record.version);
	number_put(&w, "min_verification", record.level);
	span_put(&w, "description", record.description);
	if (announce_import(&record, &w) < 0)
		return offers_schema_fault_set(fault, "", NULL,
					       "the record's announce schema is malformed");
	if (query_import(&record, &w) < 0)
		return offers_schema_fault_set(fault, "", NULL,
					       "the record's query schema is malformed");
	if (w.bad)
		return offers_schema_fault_set(fault, "", NULL,
					       "the record is too large, or a text has line ends");
	return (int)writer_len(&w);
}
