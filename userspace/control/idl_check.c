/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values against the types of an interface description. Home worker. */
#include "control/idl.h"

#include <string.h>

static const struct idl_field *field_of_name(const struct idl_type *type, const char *name)
{
	for (const struct idl_field *f = type->fields; f; f = f->next) {
		if (idl_name_is(&f->name, name))
			return f;
	}
	return NULL;
}

static void field_tell(char out_field[static IDL_FIELD_CAP], const char *name, size_t len)
{
	if (len > IDL_FIELD_CAP - 1)
		len = IDL_FIELD_CAP - 1;
	memcpy(out_field, name, len);
	out_field[len] = '\0';
}

static json_t *field_value(const json_t *object, const struct idl_field *field)
{
	return json_object_getn(object, field->name.text, field->name.len);
}

static bool value_follows(const struct idl *idl, const struct idl_type *type, json_t *value);

static bool fields_follow(const struct idl *idl, const struct idl_type *type, json_t *object,
			  char out_field[static IDL_FIELD_CAP])
{
	const char *name;
	json_t *value;

	for (const struct idl_field *f = type->fields; f; f = f->next) {
		if (!value_follows(idl, f->type, field_value(object, f))) {
			field_tell(out_field, f->name.text, f->name.len);
			return false;
		}
	}
	json_object_foreach(object, name, value)
	{
		if (!field_of_name(type, name)) {
			field_tell(out_field, name, strlen(name));
			return false;
		}
	}
	return true;
}

static bool items_follow(const struct idl *idl, const struct idl_type *type, json_t *value)
{
	const char *name;
	json_t *item;
	size_t idx;

	if (type->kind == IDL_ARRAY) {
		json_array_foreach(value, idx, item)
		{
			if (!value_follows(idl, type->item, item))
				return false;
		}
		return json_is_array(value);
	}
	json_object_foreach(value, name, item)
	{
		if (!value_follows(idl, type->item, item))
			return false;
	}
	return json_is_object(value);
}

static bool value_follows(const struct idl *idl, const struct idl_type *type, json_t *value)
{
	char field[IDL_FIELD_CAP];
	bool is_nullable = type->is_nullable;

	type = idl_type_resolve(idl, type);
	if (!value || json_is_null(value))
		return is_nullable || (type && type->is_nullable);
	switch (type->kind) {
	case IDL_BOOL:
		return json_is_boolean(value);
	case IDL_INT:
		return json_is_integer(value);
	case IDL_FLOAT:
		return json_is_number(value);
	case IDL_STRING:
		return json_is_string(value);
	case IDL_OBJECT:
		return json_is_object(value);
	case IDL_ENUM:
		return json_is_string(value) && field_of_name(type, json_string_value(value));
	case IDL_STRUCT:
		return json_is_object(value) && fields_follow(idl, type, value, field);
	case IDL_ARRAY:
	case IDL_MAP:
		return items_follow(idl, type, value);
	case IDL_NAMED:
		break;
	}
	return false;
}

bool idl_check(const struct idl *idl, const struct idl_type *type, json_t *value,
	       char out_field[static IDL_FIELD_CAP])
{
	out_field[0] = '\0';
	return json_is_object(value) && fields_follow(idl, type, value, out_field);
}
