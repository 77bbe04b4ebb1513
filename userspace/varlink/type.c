/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the control interface between JSON and C, by their tables. */
#include "varlink/type.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/json_heap.h"

const struct varlink_type api_bool_type = {.kind = VARLINK_KIND_BOOL, .len = sizeof(bool)};
const struct varlink_type api_int_type = {.kind = VARLINK_KIND_INT, .len = sizeof(int64_t)};
const struct varlink_type api_float_type = {.kind = VARLINK_KIND_FLOAT, .len = sizeof(double)};
const struct varlink_type api_string_type = {.kind = VARLINK_KIND_STRING,
					     .len = sizeof(const char *)};
const struct varlink_type api_object_type = {.kind = VARLINK_KIND_OBJECT, .len = sizeof(json_t *)};

/*
 * Reading. Where a value goes is NULL when it is only checked; each function
 * returns 0, WEFT_EMALFORMED or -ENOMEM.
 */
struct reading {
	struct varlink_blocks *blocks;
	bool is_lenient; /* as varlink_read has it */
	char *fault;	 /* [VARLINK_FIELD_CAP]: the path of what is at fault */
};
static int value_read(const struct varlink_type *type, json_t *value, struct reading *reading,
		      void *at);

/*
 * fault_note puts name before the path, which is made from the inside out as readers return;
 * an item begins with a bracket. Returns err, and notes nothing of another than WEFT_EMALFORMED.
 */
static int fault_note(struct reading *reading, int err, const char *name)
{
	char inner[VARLINK_FIELD_CAP];
	int len;

	if (err != WEFT_EMALFORMED)
		return err;
	memcpy(inner, reading->fault, sizeof(inner));
	len = snprintf(reading->fault, VARLINK_FIELD_CAP, "%s%s%s", name,
		       *inner && *inner != '[' ? "." : "", inner);
	weft_assert(len >= 0);
	return err;
}

static int item_fault_note(struct reading *reading, int err, size_t idx)
{
	char name[32];

	snprintf(name, sizeof(name), "[%zu]", idx);
	return fault_note(reading, err, name);
}

static void *rows_new(struct reading *reading, const struct varlink_type *type, size_t cnt,
		      struct varlink_list *list)
{
	list->rows = cnt ? varlink_alloc(reading->blocks, cnt * type->len) : NULL;
	list->cnt = list->cap = cnt;
	return list->rows;
}

static void *row_at(const struct varlink_type *type, const struct varlink_list *list, size_t idx)
{
	return (char *)list->rows + idx * type->len;
}

static int list_read(const struct varlink_type *type, json_t *value, struct reading *reading,
		     struct varlink_list *list)
{
	size_t cnt = json_array_size(value);

	if (!json_is_array(value))
		return WEFT_EMALFORMED;
	if (list && !rows_new(reading, type, cnt, list) && cnt)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++) {
		int err = value_read(type->item, json_array_get(value, i), reading,
				     list ? row_at(type, list, i) : NULL);

		if (err < 0)
			return item_fault_note(reading, err, i);
	}
	return 0;
}

static int map_read(const struct varlink_type *type, json_t *value, struct reading *reading,
		    struct varlink_list *list)
{
	size_t idx = 0, cnt = json_object_size(value);
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return WEFT_EMALFORMED;
	if (list && !rows_new(reading, type, cnt, list) && cnt)
		return -ENOMEM;
	json_object_foreach(value, key, item)
	{
		char *row = list ? row_at(type, list, idx++) : NULL;
		int err = value_read(type->item, item, reading, row ? row + type->item_off : NULL);

		if (err < 0)
			return fault_note(reading, err, key);
		if (row)
			*(const char **)row = key;
	}
	return 0;
}

static int enum_read(const struct varlink_type *type, const json_t *value, unsigned *at)
{
	const char *word = json_string_value(value);

	for (unsigned i = 0; word && i < type->cnt; i++) {
		if (strcmp(word, type->words[i]) != 0)
			continue;
		if (at)
			*at = i;
		return 0;
	}
	return WEFT_EMALFORMED;
}

/* A struct that may be missing is behind a pointer. */
static int inner_read(const struct varlink_field *field, json_t *value, struct reading *reading,
		      void *at)
{
	void *inner;

	if (!at || !field->is_optional || field->type->kind != VARLINK_KIND_STRUCT)
		return value_read(field->type, value, reading, at);
	inner = varlink_alloc(reading->blocks, field->type->len);
	if (!inner)
		return -ENOMEM;
	*(void **)at = inner;
	return value_read(field->type, value, reading, inner);
}

/* A text that is needed is never NULL. */
static void field_default(const struct varlink_field *field, char *at)
{
	const struct varlink_type *type = field->type;

	if (field->is_optional)
		return;
	if (type->kind == VARLINK_KIND_STRING)
		*(const char **)(at + field->off) = "";
	for (size_t i = 0; type->kind == VARLINK_KIND_STRUCT && i < type->cnt; i++)
		field_default(&type->fields[i], at + field->off);
}

static int field_read(const struct varlink_field *field, const json_t *object,
		      struct reading *reading, char *at)
{
	json_t *value = json_object_get(object, field->name);
	int err;

	if (!value || json_is_null(value)) {
		if (reading->is_lenient)
			field_default(field, at);
		return field->is_optional || reading->is_lenient ? 0 : WEFT_EMALFORMED;
	}
	err = inner_read(field, value, reading, at ? at + field->off : NULL);
	if (err == 0 && at && field->flag_off != VARLINK_NO_FLAG)
		*(bool *)(at + field->flag_off) = true;
	return err;
}

static bool has_field(const struct varlink_type *type, const char *name)
{
	for (size_t i = 0; i < type->cnt; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return true;
	return false;
}

static int struct_read(const struct varlink_type *type, json_t *value, struct reading *reading,
		       void *at)
{
	const char *name;
	json_t *unused;

	if (!json_is_object(value))
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < type->cnt; i++) {
		int err = field_read(&type->fields[i], value, reading, at);

		if (err < 0)
			return fault_note(reading, err, type->fields[i].name);
	}
	json_object_foreach(value, name, unused)
	{
		if (!reading->is_lenient && !has_field(type, name))
			return fault_note(reading, WEFT_EMALFORMED, name);
	}
	return 0;
}

static int basic_read(const struct varlink_type *type, json_t *value, void *at)
{
	switch (type->kind) {
	case VARLINK_KIND_BOOL:
		if (at)
			*(bool *)at = json_is_true(value);
		return json_is_boolean(value) ? 0 : WEFT_EMALFORMED;
	case VARLINK_KIND_INT:
		if (at)
			*(int64_t *)at = json_integer_value(value);
		return json_is_integer(value) ? 0 : WEFT_EMALFORMED;
	case VARLINK_KIND_FLOAT:
		if (at)
			*(double *)at = json_number_value(value);
		return json_is_number(value) ? 0 : WEFT_EMALFORMED;
	case VARLINK_KIND_STRING:
		if (at)
			*(const char **)at = json_string_value(value);
		return json_is_string(value) ? 0 : WEFT_EMALFORMED;
	default:
		if (at)
			*(json_t **)at = value;
		return json_is_object(value) ? 0 : WEFT_EMALFORMED;
	}
}

static int value_read(const struct varlink_type *type, json_t *value, struct reading *reading,
		      void *at)
{
	switch (type->kind) {
	case VARLINK_KIND_STRUCT:
		return struct_read(type, value, reading, at);
	case VARLINK_KIND_LIST:
		return list_read(type, value, reading, at);
	case VARLINK_KIND_MAP:
		return map_read(type, value, reading, at);
	case VARLINK_KIND_ENUM:
		return enum_read(type, value, at);
	default:
		return basic_read(type, value, at);
	}
}

static int message_read(const struct varlink_type *type, json_t *value, struct reading *reading,
			const void **out_struct)
{
	void *made = varlink_alloc(reading->blocks, type->len);
	int err = made ? struct_read(type, value, reading, made) : -ENOMEM;

	if (err == 0)
		*out_struct = made;
	return err;
}

int varlink_parse(const struct varlink_type *type, json_t *value, struct varlink_blocks *blocks,
		  const void **out_struct, char out_field[static VARLINK_FIELD_CAP])
{
	struct reading reading = {.blocks = blocks, .fault = out_field};

	*out_field = '\0';
	return message_read(type, value, &reading, out_struct);
}

const void *varlink_read(const struct varlink_type *type, json_t *value,
			 struct varlink_blocks *blocks, char *out_field)
{
	char unwanted[VARLINK_FIELD_CAP];
	struct reading reading = {
		.blocks = blocks, .is_lenient = true, .fault = out_field ? out_field : unwanted};
	const void *made = NULL;

	*reading.fault = '\0';
	return message_read(type, value, &reading, &made) == 0 ? made : NULL;
}

bool varlink_check(const struct varlink_type *type, json_t *value,
		   char out_field[static VARLINK_FIELD_CAP])
{
	struct reading reading = {.fault = out_field};

	*out_field = '\0';
	return struct_read(type, value, &reading, NULL) == 0;
}

const struct varlink_method *varlink_method_lookup(const struct varlink_method *methods, size_t cnt,
						   const char *name)
{
	for (size_t i = 0; i < cnt; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

const struct varlink_type *varlink_typed_lookup(const struct varlink_typed *rows, size_t cnt,
						const char *name)
{
	for (size_t i = 0; i < cnt; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].type;
	return NULL;
}

/* Writing. */
static json_t *value_write(const struct varlink_type *type, const void *at);

static json_t *list_write(const struct varlink_type *type, const struct varlink_list *list)
{
	json_t *json = json_array();

	for (size_t i = 0; i < list->cnt; i++)
		(void)json_array_append_new(json, value_write(type->item, row_at(type, list, i)));
	return json;
}

static json_t *map_write(const struct varlink_type *type, const struct varlink_list *list)
{
	json_t *json = json_object();

	for (size_t i = 0; i < list->cnt; i++) {
		const char *row = row_at(type, list, i);

		(void)json_object_set_new(json, *(const char *const *)row,
					  value_write(type->item, row + type->item_off));
	}
	return json;
}

const void *varlink_field_at(const struct varlink_field *field, const void *of)
{
	enum varlink_kind kind = field->type->kind;
	const char *at = of;

	if (field->flag_off != VARLINK_NO_FLAG)
		return *(const bool *)(at + field->flag_off) ? at + field->off : NULL;
	if (!field->is_optional)
		return at + field->off;
	if (kind == VARLINK_KIND_STRUCT)
		return *(const void *const *)(at + field->off);
	return *(const void *const *)(at + field->off) ? at + field->off : NULL;
}

const void *varlink_part(const struct varlink_type *type, const struct varlink_type *part,
			 const void *of)
{
	for (size_t i = 0; i < type->cnt; i++)
		if (type->fields[i].type == part)
			return varlink_field_at(&type->fields[i], of);
	return NULL;
}

static json_t *struct_write(const struct varlink_type *type, const void *at)
{
	json_t *json = json_object();

	for (size_t i = 0; i < type->cnt; i++) {
		const void *value = varlink_field_at(&type->fields[i], at);

		if (value)
			(void)json_object_set_new(json, type->fields[i].name,
						  value_write(type->fields[i].type, value));
	}
	return json;
}

static json_t *value_write(const struct varlink_type *type, const void *at)
{
	switch (type->kind) {
	case VARLINK_KIND_BOOL:
		return json_boolean(*(const bool *)at);
	case VARLINK_KIND_INT:
		return json_integer(*(const int64_t *)at);
	case VARLINK_KIND_FLOAT:
		return json_real(*(const double *)at);
	case VARLINK_KIND_STRING:
		return json_heap_text(*(const char *const *)at);
	case VARLINK_KIND_OBJECT:
		return json_incref(*(json_t *const *)at);
	case VARLINK_KIND_ENUM:
		weft_assert(*(const unsigned *)at < type->cnt);
		return json_string(type->words[*(const unsigned *)at]);
	case VARLINK_KIND_STRUCT:
		return struct_write(type, at);
	case VARLINK_KIND_LIST:
		return list_write(type, at);
	case VARLINK_KIND_MAP:
		return map_write(type, at);
	}
	return NULL;
}

json_t *varlink_write(const struct varlink_type *type, const void *value)
{
	return struct_write(type, value);
}
