/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters (application/x-www-form-urlencoded) of a query or of a form, and the words of a schema
 * that they say. What is left empty is not said, as browsers send all controls of a form.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/percent.h"
#include "codec/text/utf8.h"
#include "web_offers_state.h"

#define RANGE_FROM ".from"
#define RANGE_TO   ".to"

/* --- pairs --- */

/* part_decode decodes len letters in place; false: a '%' without two digits behind it. */
static bool part_decode(char *part, size_t len, size_t *out_len)
{
	size_t took, at = 0;

	for (size_t i = 0; i < len; i += took) {
		bool is_plus = part[i] == '+';
		uint8_t byte;

		took = percent_read(part + i, len - i, &byte);
		if (!took || byte == '\0')
			return false;
		/* Browsers end lines with CR LF. */
		if (byte != '\r')
			part[at++] = is_plus ? ' ' : (char)byte;
	}
	part[at] = '\0';
	*out_len = at;
	return utf8_is_valid(part, at);
}

static bool pair_take(struct web_form *form, char *text, size_t len)
{
	char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len, decoded;
	char *value = equals ? equals + 1 : text + len;

	/* The NUL behind a part lies where '=' or '&' was, or further in front. */
	if (!part_decode(value, equals ? len - name_len - 1 : 0, &decoded) ||
	    !part_decode(text, name_len, &decoded))
		return false;
	form->pairs[form->cnt++] = (struct web_pair){.name = text, .value = value};
	return true;
}

static int pairs_take(struct web_form *form)
{
	char *at = form->text;

	while (*at) {
		size_t len = strcspn(at, "&");
		bool is_last = !at[len];

		at[len] = '\0';
		if (len && form->cnt == WEB_FORM_PAIRS_MAX)
			return WEFT_ETOOLARGE;
		if (len && !pair_take(form, at, len))
			return WEFT_EMALFORMED;
		at += len + !is_last;
	}
	return 0;
}

int api_http_form_read(const char *bytes, size_t len, struct web_form *out_form)
{
	struct web_form form = {.text = malloc(len + 1)};
	int err = -ENOMEM;

	/* Each pair is said once at most, by a name that is about as long. */
	form.words_cap = 2 * len + (size_t)SCHEMA_FIELDS_MAX * (2 * SCHEMA_NAME_CAP);
	form.words = malloc(form.words_cap);
	form.pairs = calloc(WEB_FORM_PAIRS_MAX, sizeof(*form.pairs));
	if (form.text && form.words && form.pairs) {
		/* An empty body is no pointer. */
		if (len)
			memcpy(form.text, bytes, len);
		form.text[len] = '\0';
		err = strlen(form.text) == len ? pairs_take(&form) : WEFT_EMALFORMED;
	}
	if (err < 0)
		api_http_form_fini(&form);
	else
		*out_form = form;
	return err;
}

void api_http_form_fini(struct web_form *form)
{
	free(form->text);
	free(form->words);
	free(form->pairs);
	*form = (struct web_form){.cnt = 0};
}

const char *api_http_form_value(const struct web_form *form, const char *name)
{
	for (unsigned i = 0; i < form->cnt; i++)
		if (form->pairs[i].value[0] && strcmp(form->pairs[i].name, name) == 0)
			return form->pairs[i].value;
	return NULL;
}

bool api_http_form_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t number;
	char *end;

	if (!text)
		return true;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < 1 || number > max)
		return false;
	*out = number;
	return true;
}

bool api_http_form_has(const struct web_form *form, const char *name, const char *value)
{
	for (unsigned i = 0; i < form->cnt; i++) {
		const char *at = form->pairs[i].value;

		if (strcmp(form->pairs[i].name, name) != 0)
			continue;
		/* A program may have joined several by commas. */
		while (*at) {
			size_t len = strcspn(at, ",");

			if (len == strlen(value) && memcmp(at, value, len) == 0)
				return true;
			at += len + (at[len] == ',');
		}
	}
	return false;
}

/* --- words --- */

static void word_add(struct web_form *form, const char *text)
{
	size_t len = strlen(text);

	/* It always fits, as the room was reckoned by the pairs. */
	if (len > form->words_cap - form->words_len)
		len = form->words_cap - form->words_len;
	memcpy(form->words + form->words_len, text, len);
	form->words_len += len;
}

static const char *word_end(struct web_form *form, size_t begin)
{
	if (form->words_len == form->words_cap)
		form->words_len--;
	form->words[form->words_len++] = '\0';
	return form->words + begin;
}

/* NAME=VALUE,VALUE of all that name has; NULL: nothing. */
const char *api_http_form_word(struct web_form *form, const char *name)
{
	size_t begin = form->words_len;

	if (!api_http_form_value(form, name))
		return NULL;
	word_add(form, name);
	for (unsigned i = 0, said = 0; i < form->cnt; i++) {
		if (!form->pairs[i].value[0] || strcmp(form->pairs[i].name, name) != 0)
			continue;
		word_add(form, said++ ? "," : "=");
		word_add(form, form->pairs[i].value);
	}
	return word_end(form, begin);
}

const char *api_http_form_field(struct web_form *form, const struct schema_field *field)
{
	return api_http_form_word(form, field->name);
}

static const char *range_end(const struct web_form *form, const struct schema_filter *filter,
			     const char *end)
{
	char name[SCHEMA_NAME_CAP + sizeof(RANGE_FROM)];

	snprintf(name, sizeof(name), "%s%s", filter->name, end);
	return api_http_form_value(form, name);
}

const char *api_http_form_filter(struct web_form *form, const struct schema_filter *filter)
{
	const char *joined = api_http_form_word(form, filter->name);
	const char *from = range_end(form, filter, RANGE_FROM);
	const char *to = range_end(form, filter, RANGE_TO);
	size_t begin = form->words_len;

	if (joined || filter->comparison != SCHEMA_BETWEEN || (!from && !to))
		return joined;
	word_add(form, filter->name);
	word_add(form, "=");
	word_add(form, from ? from : "");
	word_add(form, "..");
	word_add(form, to ? to : "");
	return word_end(form, begin);
}

bool api_http_form_is_filter(const struct schema *schema, const char *name)
{
	size_t len = strcspn(name, ".");
	int idx = offers_schema_filter_named(schema, name, len);

	return idx >= 0 && (!name[len] || (schema->filters[idx].comparison == SCHEMA_BETWEEN &&
					   (strcmp(name + len, RANGE_FROM) == 0 ||
					    strcmp(name + len, RANGE_TO) == 0)));
}

/* --- queries --- */

/* All but what a part may hold as it is (RFC 3986, unreserved) is encoded. */
void api_http_url_write(FILE *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			fputc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
	}
}

void api_http_form_query(const struct web_form *form, const struct schema *schema, FILE *out)
{
	for (unsigned i = 0; i < form->cnt; i++) {
		if (!form->pairs[i].value[0] ||
		    !api_http_form_is_filter(schema, form->pairs[i].name))
			continue;
		api_http_url_write(out, form->pairs[i].name);
		fputc('=', out);
		api_http_url_write(out, form->pairs[i].value);
		fputc('&', out);
	}
}
