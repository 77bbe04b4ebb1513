/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types of fields as a table, and the rules of their values. A place is never finer than a
 * postcode or a geohash of 5 letters: offers are public, and a provider may be at home.
 */
#include "offers/schema/schema_type.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/text/utf8.h"

#define BIT(comparison) (1u << (SCHEMA_##comparison))
#define ORDERED		(BIT(EQUAL) | BIT(AT_MOST) | BIT(AT_LEAST) | BIT(BETWEEN) | BIT(ANY_OF))
#define NAMED		(BIT(EQUAL) | BIT(ANY_OF))

static const struct schema_type_row rows[SCHEMA_TYPE_CNT] = {
	[SCHEMA_NUMBER] = {"number", "a number", false, false, ORDERED},
	[SCHEMA_CHOICE] = {"choice", "the number of a choice", false, false, NAMED},
	[SCHEMA_CHOICES] = {"choices", "a list of numbers of choices", true, false,
			    NAMED | BIT(ALL_OF)},
	[SCHEMA_TEXT] = {"text", "text", false, true, NAMED | BIT(PREFIX)},
	[SCHEMA_WORDS] = {"words", "a list of texts", true, true,
			  NAMED | BIT(PREFIX) | BIT(ALL_OF)},
	[SCHEMA_TIME] = {"time", "a time in seconds", false, false, ORDERED},
	[SCHEMA_TIMES] = {"times", "a list of times in seconds", true, false, ORDERED},
	[SCHEMA_FLAG] = {"flag", "true or false", false, false, BIT(EQUAL)},
	[SCHEMA_POSTCODE] = {"postcode", "text", false, true, NAMED | BIT(PREFIX)},
	[SCHEMA_GEOHASH] = {"geohash", "text", false, true, NAMED | BIT(PREFIX)},
	[SCHEMA_URL] = {"url", "text", false, true, 0},
	[SCHEMA_HASH] = {"hash", "32 bytes", false, false, NAMED},
};

static const char *const comparisons[SCHEMA_COMPARISON_CNT] = {
	[SCHEMA_EQUAL] = "equal",     [SCHEMA_AT_MOST] = "at-most", [SCHEMA_AT_LEAST] = "at-least",
	[SCHEMA_BETWEEN] = "between", [SCHEMA_PREFIX] = "prefix",   [SCHEMA_ANY_OF] = "any-of",
	[SCHEMA_ALL_OF] = "all-of",
};

const struct schema_type_row *offers_schema_type_of(enum schema_type type)
{
	return &rows[type];
}

const char *offers_schema_type_name(enum schema_type type)
{
	return rows[type].name;
}

const char *offers_schema_comparison_name(enum schema_comparison comparison)
{
	return comparisons[comparison];
}

bool offers_schema_is_list(enum schema_type type)
{
	return rows[type].is_list;
}

int offers_schema_type_named(const char *name)
{
	for (int i = 0; i < SCHEMA_TYPE_CNT; i++)
		if (strcmp(rows[i].name, name) == 0)
			return i;
	return -1;
}

int offers_schema_comparison_named(const char *name)
{
	for (int i = 0; i < SCHEMA_COMPARISON_CNT; i++)
		if (strcmp(comparisons[i], name) == 0)
			return i;
	return -1;
}

bool offers_schema_type_takes(enum schema_type type, enum schema_comparison comparison)
{
	return rows[type].comparisons >> comparison & 1;
}

int offers_schema_fault_set(struct schema_fault *fault, const char *field, const char *next,
			    const char *what, ...)
{
	va_list args;

	snprintf(fault->field, sizeof(fault->field), "%s", field);
	snprintf(fault->next, sizeof(fault->next), "%s", next ? next : "");
	va_start(args, what);
	vsnprintf(fault->what, sizeof(fault->what), what, args);
	va_end(args);
	return WEFT_EMALFORMED;
}

static size_t characters_of(const char *text, size_t len)
{
	size_t cnt = 0;

	for (size_t i = 0; i < len; i++)
		cnt += ((unsigned char)text[i] & 0xc0) != 0x80;
	return cnt;
}

/* Without control characters, but for the line ends of a text. */
static bool text_is_plain(const struct schema_field *field, const char *text, size_t len)
{
	const char *newline;

	while (field->type == SCHEMA_TEXT && (newline = memchr(text, '\n', len)) != NULL) {
		if (!utf8_is_plain(text, (size_t)(newline - text)))
			return false;
		len -= (size_t)(newline - text) + 1;
		text = newline + 1;
	}
	return utf8_is_plain(text, len);
}

static int text_check(const struct schema_field *field, const struct schema_item *item,
		      bool is_newer, struct schema_fault *fault)
{
	size_t cnt = characters_of(item->text, item->len);

	if (!text_is_plain(field, item->text, item->len))
		return offers_schema_fault_set(fault, field->name, "leave control characters out",
					       "%s is no plain text", field->name);
	if (cnt > (is_newer ? SCHEMA_TEXT_CHARS : (size_t)field->max))
		return offers_schema_fault_set(fault, field->name, "shorten it",
					       "%s has %zu characters, at most %" PRId64,
					       field->name, cnt, field->max);
	if (cnt < (is_newer ? 1 : (size_t)field->min))
		return offers_schema_fault_set(fault, field->name, NULL,
					       "%s has %zu characters, at least %" PRId64,
					       field->name, cnt, field->min);
	if (field->type == SCHEMA_WORDS &&
	    (memchr(item->text, ',', item->len) || item->text[0] == ' ' ||
	     item->text[item->len - 1] == ' '))
		return offers_schema_fault_set(fault, field->name, "write a,b",
					       "a word of %s has a comma or a blank at its end",
					       field->name);
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/*
 * A postcode of any country has a digit, and never more than three letters in a row. So a
 * street's name is refused.
 */
static bool postcode_is_valid(const char *text, size_t len, bool is_beginning)
{
	unsigned letters = 0, digits = 0;

	if (len == 0 || len > SCHEMA_POSTCODE_LEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		letters = is_capital(text[i]) ? letters + 1 : 0;
		digits += is_digit(text[i]);
		if (letters > 3 ||
		    !(letters || is_digit(text[i]) || text[i] == ' ' || text[i] == '-'))
			return false;
	}
	return (digits || is_beginning) && text[0] != ' ' && (is_beginning || text[len - 1] != ' ');
}

static bool geohash_is_valid(const char *text, size_t len)
{
	if (len == 0 || len > SCHEMA_GEOHASH_LEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr("0123456789bcdefghjkmnpqrstuvwxyz", text[i]))
			return false;
	return true;
}

static bool url_is_valid(const char *text, size_t len)
{
	bool is_http = len > 7 && memcmp(text, "http://", 7) == 0;
	bool is_https = len > 8 && memcmp(text, "https://", 8) == 0;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
			return false;
	return is_http || is_https;
}

static int number_check(const struct schema_field *field, int64_t number, bool is_newer,
			struct schema_fault *fault)
{
	char is[SCHEMA_NUMBER_CAP], bound[SCHEMA_NUMBER_CAP];

	if (is_newer)
		return 0;
	if (number > field->max)
		return offers_schema_fault_set(
			fault, field->name, NULL, "%s is %s, at most %s", field->name,
			offers_schema_number_print(field, number, is),
			offers_schema_number_print(field, field->max, bound));
	if (number < field->min)
		return offers_schema_fault_set(
			fault, field->name, NULL, "%s is %s, at least %s", field->name,
			offers_schema_number_print(field, number, is),
			offers_schema_number_print(field, field->min, bound));
	return 0;
}

static int choice_check(const struct schema_field *field, int64_t number, bool is_newer,
			struct schema_fault *fault)
{
	if (number < 0 || number >= (is_newer ? UINT16_MAX : (int64_t)field->choice_cnt))
		return offers_schema_fault_set(fault, field->name, NULL,
					       "%s is choice %" PRId64 ", of 0 to %u", field->name,
					       number, field->choice_cnt - 1);
	return 0;
}

static int time_check(const struct schema_field *field, int64_t number, struct schema_fault *fault)
{
	if (number < 0 || number > SCHEMA_TIME_MAX)
		return offers_schema_fault_set(fault, field->name, NULL,
					       "%s is no time from 1970 to the year 9999",
					       field->name);
	return 0;
}

int offers_schema_item_check(const struct schema_field *field, const struct schema_item *item,
			     bool is_newer, struct schema_fault *fault)
{
	switch (field->type) {
	case SCHEMA_NUMBER:
		return number_check(field, item->number, is_newer, fault);
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		return choice_check(field, item->number, is_newer, fault);
	case SCHEMA_TIME:
	case SCHEMA_TIMES:
		return time_check(field, item->number, fault);
	case SCHEMA_TEXT:
	case SCHEMA_WORDS:
		return text_check(field, item, is_newer, fault);
	case SCHEMA_POSTCODE:
		if (!postcode_is_valid(item->text, item->len, false))
			return offers_schema_fault_set(
				fault, field->name,
				"a postcode has at most 10 capitals, digits, blanks and hyphens",
				"%s is no postcode", field->name);
		return 0;
	case SCHEMA_GEOHASH:
		if (!geohash_is_valid(item->text, item->len))
			return offers_schema_fault_set(
				fault, field->name,
				"cut it to 5 letters: finer places are not sent",
				"%s is no geohash of at most 5 letters", field->name);
		return 0;
	case SCHEMA_URL:
		if (!url_is_valid(item->text, item->len))
			return offers_schema_fault_set(
				fault, field->name, "for example: https://example.org/about",
				"%s is no http or https address", field->name);
		return text_check(field, item, is_newer, fault);
	case SCHEMA_FLAG:
	case SCHEMA_HASH:
	case SCHEMA_TYPE_CNT:
		break;
	}
	return 0;
}

/* What a filter asks for need not be in the range of what is offered. */
int offers_schema_item_check_asked(const struct schema_field *field,
				   const struct schema_filter *filter,
				   const struct schema_item *item, struct schema_fault *fault)
{
	bool is_prefix = filter->comparison == SCHEMA_PREFIX;
	struct schema_field wide = *field;

	wide.name = filter->name;
	wide.min = field->type == SCHEMA_NUMBER ? INT64_MIN : 1;
	wide.max = field->type == SCHEMA_NUMBER ? INT64_MAX : SCHEMA_TEXT_CHARS;
	if (is_prefix && field->type == SCHEMA_POSTCODE &&
	    postcode_is_valid(item->text, item->len, true))
		return 0;
	return offers_schema_item_check(&wide, item, true, fault);
}
