/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values from peers (CBOR) and from users (text) become items in a pool of fixed size. A payload
 * takes SCHEMA_ITEMS_ALL of them at most, and is refused beyond.
 */
#include "offers/schema/schema_value.h"

#include <stdio.h>
#include <string.h>

#include "codec/text/hex.h"
#include "codec/text/utf8.h"

#define HASH_LEN       32
#define CBOR_NULL_HEAD 0xf6

bool offers_schema_shape_is_list(const struct schema_shape *shape)
{
	if (!shape->filter)
		return offers_schema_is_list(shape->field->type);
	return shape->filter->comparison == SCHEMA_ANY_OF ||
	       shape->filter->comparison == SCHEMA_ALL_OF ||
	       shape->filter->comparison == SCHEMA_BETWEEN;
}

const char *offers_schema_shape_name(const struct schema_shape *shape)
{
	return shape->filter ? shape->filter->name : shape->field->name;
}

static int fault_of(const struct schema_shape *shape, struct schema_fault *fault, const char *next,
		    const char *is)
{
	const char *name = offers_schema_shape_name(shape);

	return offers_schema_fault_set(fault, name, next, "%s %s", name, is);
}

static unsigned items_max(const struct schema_shape *shape)
{
	if (!offers_schema_shape_is_list(shape))
		return 1;
	return shape->filter ? SCHEMA_MEMBERS : shape->field->item_max;
}

static int item_check(const struct schema_shape *shape, const struct schema_item *item,
		      struct schema_fault *fault)
{
	return shape->filter
		       ? offers_schema_item_check_asked(shape->field, shape->filter, item, fault)
		       : offers_schema_item_check(shape->field, item, shape->is_newer, fault);
}

/* The next item of the pool becomes the value's. */
static int item_take(struct schema_pool *pool, const struct schema_shape *shape,
		     const struct schema_item *item, struct schema_value *value,
		     struct schema_fault *fault)
{
	int err = item_check(shape, item, fault);

	if (err < 0)
		return err;
	if (value->item_cnt == items_max(shape))
		return offers_schema_fault_set(fault, offers_schema_shape_name(shape),
					       "leave some out", "%s has more than %u values",
					       offers_schema_shape_name(shape), items_max(shape));
	if (pool->item_cnt == SCHEMA_ITEMS_ALL)
		return fault_of(shape, fault, "leave some values of lists out",
				"is too much: all fields together have 256 values");
	pool->items[pool->item_cnt++] = *item;
	value->item_cnt++;
	return 0;
}

/* What the rules of a list as a whole say of it. */
static int value_check(const struct schema_shape *shape, const struct schema_value *value,
		       struct schema_fault *fault)
{
	bool is_range = shape->filter && shape->filter->comparison == SCHEMA_BETWEEN;

	if (shape->filter && value->item_cnt == 0)
		return fault_of(shape, fault, "leave it out", "asks for nothing");
	if (is_range && (value->item_cnt != 2 || value->items[0].number > value->items[1].number))
		return fault_of(shape, fault, "write the lower and the upper end: 1..5",
				"is no range");
	return 0;
}

static bool is_named_choice(const struct schema_shape *shape)
{
	return shape->may_name &&
	       (shape->field->type == SCHEMA_CHOICE || shape->field->type == SCHEMA_CHOICES);
}

/* The number of a choice, or -1. */
static int choice_named(const struct schema_field *field, const char *word, size_t len)
{
	for (unsigned i = 0; i < field->choice_cnt; i++)
		if (strlen(field->choices[i].word) == len &&
		    strncasecmp(field->choices[i].word, word, len) == 0)
			return (int)i;
	return -1;
}

/* False: the next item of r is of another type. */
static bool item_has_type(const struct cbor_reader *r, const struct schema_shape *shape)
{
	enum cbor_type type = cbor_peek(r);

	switch (shape->field->type) {
	case SCHEMA_NUMBER:
		return type == CBOR_UINT || type == CBOR_NEGATIVE;
	case SCHEMA_FLAG:
		return type == CBOR_TRUE || type == CBOR_FALSE;
	case SCHEMA_HASH:
		return type == CBOR_BYTES;
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		return type == CBOR_UINT || (type == CBOR_TEXT && is_named_choice(shape));
	default:
		return type ==
		       (offers_schema_type_of(shape->field->type)->is_text ? CBOR_TEXT : CBOR_UINT);
	}
}

static struct schema_item item_read(struct cbor_reader *r, const struct schema_shape *shape)
{
	struct schema_item item = {.number = 0};

	switch (cbor_peek(r)) {
	case CBOR_TRUE:
	case CBOR_FALSE:
		item.number = cbor_read_bool(r);
		break;
	case CBOR_BYTES:
		item.text = (const char *)cbor_read_exactly(r, HASH_LEN);
		item.len = item.text ? HASH_LEN : 0;
		break;
	case CBOR_TEXT:
		item.text = cbor_read_text(r, &item.len);
		if (item.text && is_named_choice(shape))
			item = (struct schema_item){
				.number = choice_named(shape->field, item.text, item.len)};
		break;
	default:
		item.number = cbor_read_int(r);
	}
	return item;
}

static int item_read_into(struct cbor_reader *r, const struct schema_shape *shape,
			  struct schema_pool *pool, struct schema_value *out,
			  struct schema_fault *fault)
{
	struct schema_item item;

	if (!item_has_type(r, shape))
		return offers_schema_fault_set(fault, offers_schema_shape_name(shape), NULL,
					       "%s is not %s", offers_schema_shape_name(shape),
					       offers_schema_type_of(shape->field->type)->noun);
	item = item_read(r, shape);
	if (cbor_is_bad(r))
		return fault_of(shape, fault, NULL, "is not encoded as it has to be");
	return item_take(pool, shape, &item, out, fault);
}

int offers_schema_value_read(struct cbor_reader *r, const struct schema_shape *shape,
			     struct schema_pool *pool, struct schema_value *out,
			     struct schema_fault *fault)
{
	struct schema_value value = {SCHEMA_PRESENT, 0, pool->items + pool->item_cnt};
	int err = 0;

	if (!offers_schema_shape_is_list(shape)) {
		err = item_read_into(r, shape, pool, &value, fault);
	} else if (cbor_peek(r) != CBOR_ARRAY) {
		err = fault_of(shape, fault, NULL, "is no list");
	} else {
		(void)cbor_enter_array(r);
		while (err == 0 && cbor_next(r))
			err = item_read_into(r, shape, pool, &value, fault);
		if (err == 0 && cbor_is_bad(r))
			err = fault_of(shape, fault, NULL, "is not encoded as it has to be");
		/* Some writers send lists without members. */
		if (value.item_cnt == 0)
			value.state = SCHEMA_ABSENT;
	}
	if (err == 0)
		err = value_check(shape, &value, fault);
	if (err == 0)
		*out = value;
	return err;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(const char **io_text, size_t *io_len)
{
	while (*io_len && is_blank(**io_text)) {
		(*io_text)++;
		(*io_len)--;
	}
	while (*io_len && is_blank((*io_text)[*io_len - 1]))
		(*io_len)--;
}

/* Place for a text that is not as it was typed; NULL: there is none. */
static char *pool_reserve(struct schema_pool *pool, size_t len)
{
	char *at = pool->bytes + pool->byte_cnt;

	if (len > sizeof(pool->bytes) - pool->byte_cnt)
		return NULL;
	pool->byte_cnt += len;
	return at;
}

/* Postcodes are capitals, geohashes are small letters. */
static bool letters_take(struct schema_pool *pool, enum schema_type type, struct schema_item *item)
{
	char *copy = pool_reserve(pool, item->len);

	if (!copy)
		return false;
	for (size_t i = 0; i < item->len; i++) {
		char c = item->text[i];

		if (type == SCHEMA_POSTCODE && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (type == SCHEMA_GEOHASH && c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		copy[i] = c;
	}
	item->text = copy;
	return true;
}

static int hash_take(struct schema_pool *pool, const struct schema_shape *shape,
		     struct schema_item *item, struct schema_fault *fault)
{
	char digits[HEX_TEXT_CAP(HASH_LEN)] = "";
	uint8_t *hash = (uint8_t *)pool_reserve(pool, HASH_LEN);

	if (item->len == HASH_LEN * 2)
		memcpy(digits, item->text, item->len);
	if (!hash || !hex_read(digits, hash, HASH_LEN))
		return fault_of(shape, fault, "write 64 hexadecimal digits", "is no hash");
	*item = (struct schema_item){.text = (const char *)hash, .len = HASH_LEN};
	return 0;
}

static int choice_take(const struct schema_shape *shape, struct schema_item *item,
		       struct schema_fault *fault)
{
	const struct schema_field *field = shape->field;
	int number = choice_named(field, item->text, item->len);
	char next[sizeof(fault->next)];
	size_t len;

	if (number >= 0) {
		*item = (struct schema_item){.number = number};
		return 0;
	}
	len = (size_t)snprintf(next, sizeof(next), "one of:");
	for (unsigned i = 0; i < field->choice_cnt && len < sizeof(next); i++)
		len += (size_t)snprintf(next + len, sizeof(next) - len, " %s",
					field->choices[i].word);
	return offers_schema_fault_set(fault, offers_schema_shape_name(shape), next,
				       "%s has no choice %.*s", offers_schema_shape_name(shape),
				       item->len > 40 ? 40 : (int)item->len, item->text);
}

static int flag_take(const struct schema_shape *shape, struct schema_item *item,
		     struct schema_fault *fault)
{
	bool is_yes = item->len == 3 && memcmp(item->text, "yes", 3) == 0;

	if (!is_yes && !(item->len == 2 && memcmp(item->text, "no", 2) == 0))
		return fault_of(shape, fault, "write yes or no", "is neither yes nor no");
	*item = (struct schema_item){.number = is_yes};
	return 0;
}

/* item has the text as it was typed, and becomes the value. */
static int item_parse(const struct schema_shape *shape, struct schema_pool *pool,
		      struct schema_item *item, struct schema_fault *fault)
{
	struct schema_item number = {.number = 0};

	switch (shape->field->type) {
	case SCHEMA_NUMBER:
		if (!offers_schema_number_read(shape->field, item->text, item->len, &number.number))
			return fault_of(shape, fault,
					shape->field->decimals ? "for example: 12.5"
							       : "write digits alone",
					"is no number");
		*item = number;
		return 0;
	case SCHEMA_TIME:
	case SCHEMA_TIMES:
		if (!offers_schema_time_read(item->text, item->len, &number.number))
			return fault_of(shape, fault,
					"for example: 2027-01-15 or 2027-01-15T08:00+01:00",
					"is no time");
		*item = number;
		return 0;
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		return choice_take(shape, item, fault);
	case SCHEMA_FLAG:
		return flag_take(shape, item, fault);
	case SCHEMA_HASH:
		return hash_take(pool, shape, item, fault);
	case SCHEMA_POSTCODE:
	case SCHEMA_GEOHASH:
		if (!letters_take(pool, shape->field->type, item))
			return fault_of(shape, fault, NULL, "is too long");
		return 0;
	default:
		return 0;
	}
}

/* A part of a list, or all of a value that is none. */
static int part_parse(struct schema_item item, const struct schema_shape *shape,
		      struct schema_pool *pool, struct schema_value *value,
		      struct schema_fault *fault)
{
	int err;

	trim(&item.text, &item.len);
	if (item.len == 0)
		return fault_of(shape, fault, "write a,b", "has an empty part");
	err = item_parse(shape, pool, &item, fault);
	return err < 0 ? err : item_take(pool, shape, &item, value, fault);
}

/* An end of a range that is missing is the first or last value that there can be. */
static int end_parse(struct schema_item item, const struct schema_shape *shape,
		     struct schema_pool *pool, struct schema_value *value,
		     struct schema_fault *fault)
{
	bool is_number = shape->field->type == SCHEMA_NUMBER, is_first = value->item_cnt == 0;

	trim(&item.text, &item.len);
	if (item.len)
		return part_parse(item, shape, pool, value, fault);
	item = (struct schema_item){.number = is_first	  ? (is_number ? INT64_MIN : 0)
					      : is_number ? INT64_MAX
							  : SCHEMA_TIME_MAX};
	return item_take(pool, shape, &item, value, fault);
}

static int range_parse(const char *text, const struct schema_shape *shape, struct schema_pool *pool,
		       struct schema_value *value, struct schema_fault *fault)
{
	const char *dots = strstr(text, "..");
	struct schema_item first, last;
	int err;

	if (!dots)
		return fault_of(shape, fault, "write the lower and the upper end: 1..5",
				"is no range");
	first = (struct schema_item){.text = text, .len = (size_t)(dots - text)};
	last = (struct schema_item){.text = dots + 2, .len = strlen(dots + 2)};
	err = end_parse(first, shape, pool, value, fault);
	return err < 0 ? err : end_parse(last, shape, pool, value, fault);
}

static int list_parse(const char *text, const struct schema_shape *shape, struct schema_pool *pool,
		      struct schema_value *value, struct schema_fault *fault)
{
	int err = 0;

	for (const char *at = text; err == 0;) {
		size_t len = strcspn(at, ",");

		err = part_parse((struct schema_item){.text = at, .len = len}, shape, pool, value,
				 fault);
		if (!at[len])
			break;
		at += len + 1;
	}
	return err;
}

int offers_schema_value_parse(const char *text, const struct schema_shape *shape,
			      struct schema_pool *pool, struct schema_value *out,
			      struct schema_fault *fault)
{
	struct schema_value value = {SCHEMA_PRESENT, 0, pool->items + pool->item_cnt};
	struct schema_item whole = {.text = text, .len = strlen(text)};
	int err;

	if (shape->filter && shape->filter->comparison == SCHEMA_BETWEEN)
		err = range_parse(text, shape, pool, &value, fault);
	else if (offers_schema_shape_is_list(shape))
		err = list_parse(text, shape, pool, &value, fault);
	else
		err = part_parse(whole, shape, pool, &value, fault);
	if (err == 0)
		err = value_check(shape, &value, fault);
	if (err == 0)
		*out = value;
	return err;
}

static void item_write(struct writer *w, enum schema_type type, const struct schema_item *item)
{
	if (type == SCHEMA_FLAG)
		cbor_write_bool(w, item->number != 0);
	else if (type == SCHEMA_HASH)
		cbor_write_bytes(w, item->text, item->len);
	else if (item->text)
		cbor_write_text(w, item->text, item->len);
	else
		cbor_write_int(w, item->number);
}

void offers_schema_value_write(struct writer *w, const struct schema_shape *shape,
			       const struct schema_value *value)
{
	if (value->state == SCHEMA_REMOVED) {
		writer_u8(w, CBOR_NULL_HEAD);
		return;
	}
	if (offers_schema_shape_is_list(shape))
		cbor_write_array(w, value->item_cnt);
	for (unsigned i = 0; i < value->item_cnt; i++)
		item_write(w, shape->field->type, &value->items[i]);
}

/* One item as it is typed; buf has room for a hash. */
static size_t item_print(const struct schema_field *field, const struct schema_item *item,
			 char *buf, size_t cap)
{
	char text[HEX_TEXT_CAP(HASH_LEN)];

	switch (field->type) {
	case SCHEMA_NUMBER:
		offers_schema_number_print(field, item->number, text);
		break;
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		if (item->number >= 0 && item->number < (int64_t)field->choice_cnt)
			return (size_t)snprintf(buf, cap, "%s", field->choices[item->number].word);
		return (size_t)snprintf(buf, cap, "choice-%lld", (long long)item->number);
	case SCHEMA_TIME:
	case SCHEMA_TIMES:
		offers_schema_time_print(item->number, text);
		break;
	case SCHEMA_FLAG:
		return (size_t)snprintf(buf, cap, "%s", item->number ? "yes" : "no");
	case SCHEMA_HASH:
		hex_write(item->text, item->len, text);
		break;
	default:
		return (size_t)snprintf(buf, cap, "%.*s", (int)item->len, item->text);
	}
	return (size_t)snprintf(buf, cap, "%s", text);
}

void offers_schema_text_trim(char *text)
{
	size_t len = strlen(text), begin = len;

	while (begin > 0 && ((uint8_t)text[begin - 1] & 0xc0) == 0x80)
		begin--;
	/* The last character begins one byte before, and has to be whole. */
	if (begin > 0 && !utf8_is_valid(text + begin - 1, len - begin + 1))
		text[begin - 1] = '\0';
}

const char *offers_schema_value_print(const struct schema_field *field,
				      const struct schema_value *value, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; value->state == SCHEMA_PRESENT && i < value->item_cnt; i++) {
		if (i && len < cap)
			len += (size_t)snprintf(buf + len, cap - len, ",");
		if (len < cap)
			len += item_print(field, &value->items[i], buf + len, cap - len);
	}
	if (len >= cap)
		offers_schema_text_trim(buf);
	return buf;
}
