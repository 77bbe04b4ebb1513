/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled schema as text that compiles to the same. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/ini.h"
#include "offers/schema/schema_export.h"
#include "offers/schema/schema_type.h"

__attribute__((format(printf, 2, 3))) static void line_write(struct writer *w, const char *format,
							     ...)
{
	char line[INI_LINE_LEN_MAX + 2];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(line))
		w->bad = true;
	else
		writer_bytes(w, line, (size_t)len);
}

static void text_line(struct writer *w, const char *key, const char *text)
{
	if (text[0])
		line_write(w, "%s = %s\n", key, text);
}

static void number_line(struct writer *w, const char *key, const struct schema_field *field,
			int64_t number)
{
	char text[SCHEMA_NUMBER_CAP];

	/* The widest bounds are those of a field without bounds. */
	if (number != INT64_MIN && number != INT64_MAX)
		text_line(w, key, offers_schema_number_print(field, number, text));
}

static void field_write(struct writer *w, const struct schema_field *field)
{
	bool has_bounds = field->type == SCHEMA_NUMBER || field->type == SCHEMA_TEXT ||
			  field->type == SCHEMA_WORDS || field->type == SCHEMA_URL;

	line_write(w, "\n[field %s]\nkey = %u\ntype = %s\n", field->name, field->key,
		   offers_schema_type_name(field->type));
	if (field->since > 1)
		line_write(w, "since = %u\n", field->since);
	line_write(w, "%s%s", field->is_required ? "required = yes\n" : "",
		   field->is_listed ? "listed = yes\n" : "");
	if (field->decimals)
		line_write(w, "decimals = %u\n", field->decimals);
	if (has_bounds) {
		number_line(w, "min", field, field->min);
		number_line(w, "max", field, field->max);
	}
	if (offers_schema_is_list(field->type))
		line_write(w, "items = %u\n", field->item_max);
	for (unsigned i = 0; i < field->choice_cnt; i++)
		line_write(w, "choices = %s\nlabel %s = %s\n", field->choices[i].word,
			   field->choices[i].word, field->choices[i].label);
	text_line(w, "unit", field->unit);
	text_line(w, "label", field->label);
	text_line(w, "help", field->help);
}

static void rate_line(struct writer *w, const char *key, unsigned per_min)
{
	if (per_min)
		line_write(w, "%s = %u\n", key, per_min);
}

int offers_schema_text_write(const struct schema *schema, char *text, size_t cap)
{
	struct writer w = writer_of(text, cap);

	line_write(&w, "[service]\nname = %s\nversion = %u\n", schema->name, schema->version);
	if (schema->id == SCHEMA_ID_CUSTOM)
		line_write(&w, "id = 0xFFFF\n");
	text_line(&w, "title", schema->title);
	text_line(&w, "description", schema->description);
	line_write(&w, "min_verification = %u\nttl_hours = %u\nseed_form = %s\n",
		   schema->min_verification, schema->ttl_hours,
		   schema->takes_seed_form ? "yes" : "no");
	rate_line(&w, "announces_per_min", schema->announces_per_min);
	rate_line(&w, "queries_per_min", schema->queries_per_min);
	rate_line(&w, "reserves_per_min", schema->reserves_per_min);
	for (unsigned i = 0; i < schema->field_cnt; i++)
		field_write(&w, &schema->fields[i]);
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_filter *filter = &schema->filters[i];

		line_write(&w, "\n[filter %s]\nkey = %u\nfield = %s\nmatch = %s\n", filter->name,
			   filter->key, schema->fields[filter->field].name,
			   offers_schema_comparison_name(filter->comparison));
		text_line(&w, "label", filter->label);
		text_line(&w, "help", filter->help);
	}
	return w.bad ? WEFT_ETOOSMALL : (int)writer_len(&w);
}
