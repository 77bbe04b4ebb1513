/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A form or a query of /offers as it comes, and the words that it becomes by a schema. What is read is
 * UTF-8 text, and each word begins with the name of a field or filter.
 */
#include <stdlib.h>
#include <string.h>

#include "api/http_offers/web_offers_state.h"
#include "base/assert.h"
#include "codec/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] = "[service]\nname = f\n"
			   "[field a]\ntype = number\nmin = 0\nmax = 99\n"
			   "[field b]\ntype = choices\nchoices = x, y, z\n"
			   "[field c]\ntype = text\n"
			   "[field when]\ntype = times\n"
			   "[filter a]\nfield = a\nmatch = at-most\n"
			   "[filter b]\nfield = b\nmatch = any-of\n"
			   "[filter c]\nfield = c\nmatch = prefix\n"
			   "[filter when]\nfield = when\nmatch = between\n";

static void word_check(const char *word, const char *name)
{
	weft_assert(!word || strncmp(word, name, strlen(name)) == 0);
	weft_assert(!word || word[strlen(name)] == '=');
	weft_assert(!word || utf8_is_valid(word, strlen(word)));
}

/* The words of one form, which has room for its fields or its filters. */
static void fields_check(const uint8_t *data, size_t len, const struct schema *schema)
{
	static struct schema_record record;
	struct schema_fault fault;
	struct web_form form;

	weft_assert(api_http_form_read((const char *)data, len, &form) == 0);
	offers_schema_record_init(&record, false);
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		const char *word = api_http_form_field(&form, &schema->fields[i]);

		word_check(word, schema->fields[i].name);
		if (word)
			(void)!offers_schema_value_from_text(schema, word, &record, &fault);
	}
	api_http_form_fini(&form);
}

static void filters_check(struct web_form *form, const struct schema *schema)
{
	static struct schema_query query;
	struct schema_fault fault;

	offers_schema_query_init(&query);
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const char *word = api_http_form_filter(form, &schema->filters[i]);

		word_check(word, schema->filters[i].name);
		if (word)
			(void)!offers_schema_query_from_text(schema, word, &query, &fault);
	}
}

/* What the next page is asked by says the same. */
static void query_check(const struct web_form *form, const struct schema *schema)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	struct web_form again;

	if (!out)
		abort();
	api_http_form_query(form, schema, out);
	if (fclose(out) != 0)
		abort();
	weft_assert(api_http_form_read(bytes, len, &again) == 0);
	for (unsigned i = 0; i < again.cnt; i++) {
		weft_assert(api_http_form_is_filter(schema, again.pairs[i].name));
		weft_assert(api_http_form_value(form, again.pairs[i].name));
	}
	api_http_form_fini(&again);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schema_fault fault;
	struct schema *schema;
	struct web_form form;

	if (offers_schema_parse(text, sizeof(text) - 1, &schema, &fault) < 0)
		abort();
	if (api_http_form_read((const char *)data, len, &form) == 0) {
		weft_assert(form.cnt <= WEB_FORM_PAIRS_MAX);
		for (unsigned i = 0; i < form.cnt; i++) {
			weft_assert(utf8_is_valid(form.pairs[i].name, strlen(form.pairs[i].name)));
			weft_assert(
				utf8_is_valid(form.pairs[i].value, strlen(form.pairs[i].value)));
		}
		fields_check(data, len, schema);
		filters_check(&form, schema);
		query_check(&form, schema);
		api_http_form_fini(&form);
	}
	offers_schema_free(schema);
	return 0;
}
