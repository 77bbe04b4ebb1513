/* SPDX-License-Identifier: Apache-2.0 */
/* A varlink interface as the description of a service. Pure. */
#include "method_service_idl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "control/idl.h"

#define TYPE_CAP    500 /* of a field, as descriptions have it */
#define ABOUT_CAP   500
#define SPELL_DEPTH 3 /* of types in types; below it their names stand */
#define EXAMPLE	    "Example:"

static void text_write(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

static void type_write(struct writer *w, const struct idl *idl, const struct idl_type *type,
		       unsigned depth);

static void fields_write(struct writer *w, const struct idl *idl, const struct idl_type *type,
			 unsigned depth)
{
	text_write(w, "(");
	for (const struct idl_field *field = type->fields; field; field = field->next) {
		writer_bytes(w, field->name.text, field->name.len);
		if (type->kind == IDL_STRUCT) {
			text_write(w, ": ");
			type_write(w, idl, field->type, depth + 1);
		}
		text_write(w, field->next ? ", " : "");
	}
	text_write(w, ")");
}

/* type_write: as varlink writes it, names replaced by what they stand for. */
static void type_write(struct writer *w, const struct idl *idl, const struct idl_type *type,
		       unsigned depth)
{
	static const char *const names[] = {
		[IDL_BOOL] = "bool",	 [IDL_INT] = "int",	  [IDL_FLOAT] = "float",
		[IDL_STRING] = "string", [IDL_OBJECT] = "object", [IDL_ARRAY] = "[]",
		[IDL_MAP] = "[string]",
	};
	const struct idl_type *named = NULL;

	if (type->is_nullable)
		text_write(w, "?");
	if (type->kind == IDL_NAMED && depth < SPELL_DEPTH)
		named = control_idl_type_resolve(idl, type);
	if (named && (named->kind == IDL_STRUCT || named->kind == IDL_ENUM))
		fields_write(w, idl, named, depth);
	else if (type->kind == IDL_NAMED)
		writer_bytes(w, type->name.text, type->name.len);
	else if (type->kind == IDL_STRUCT || type->kind == IDL_ENUM)
		fields_write(w, idl, type, depth);
	else
		text_write(w, names[type->kind]);
	if (type->kind == IDL_ARRAY || type->kind == IDL_MAP)
		type_write(w, idl, type->item, depth);
}

/* field_json: a type that is too long to spell out stands as its kind. */
static json_t *field_json(const struct idl *idl, const struct idl_field *field)
{
	char text[TYPE_CAP];
	struct writer w = writer_of(text, sizeof(text));

	type_write(&w, idl, field->type, 0);
	if (w.bad) {
		w = writer_of(text, sizeof(text));
		type_write(&w, idl, field->type, SPELL_DEPTH);
	}
	if (w.bad) {
		w = writer_of(text, sizeof(text));
		text_write(&w, field->type->is_nullable ? "?object" : "object");
	}
	return json_pack("{s:s%, s:s%}", "name", field->name.text, field->name.len, "type", text,
			 writer_len(&w));
}

static json_t *fields_json(const struct idl *idl, const struct idl_type *type)
{
	json_t *fields = json_array();

	for (const struct idl_field *field = type->fields; field; field = field->next)
		(void)json_array_append_new(fields, field_json(idl, field));
	return fields;
}

/* line_before: the start of the line before the one that at stands in; NULL: there is none. */
static const char *line_before(const char *text, const char *at)
{
	while (at > text && at[-1] != '\n')
		at--;
	if (at == text)
		return NULL;
	for (at--; at > text && at[-1] != '\n'; at--)
		;
	return at;
}

/* The comment's words of one line, or NULL: it is none. */
static const char *comment_of(const char *line, size_t *out_len)
{
	line += strspn(line, " \t");
	if (*line != '#')
		return NULL;
	line += 1 + strspn(line + 1, "# \t");
	*out_len = strcspn(line, "\r\n");
	return line;
}

/* comment_begin: the first line of the comment that ends right above at. */
static const char *comment_begin(const char *text, const char *at)
{
	const char *first = at, *line = at;
	size_t len;

	while ((line = line_before(text, line)) && comment_of(line, &len))
		first = line;
	return first;
}

/* comment_take reads the comment above a method: words for "about", and the example. */
static int comment_take(const char *text, const struct idl_member *member, json_t *method)
{
	char about[ABOUT_CAP];
	struct writer w = writer_of(about, sizeof(about));
	const char *line = comment_begin(text, member->name.text), *words;
	size_t len;

	for (; (words = comment_of(line, &len)); line = words + len + strspn(words + len, "\r\n")) {
		if (len >= strlen(EXAMPLE) && memcmp(words, EXAMPLE, strlen(EXAMPLE)) == 0) {
			json_t *example = json_loadb(words + strlen(EXAMPLE), len - strlen(EXAMPLE),
						     JSON_REJECT_DUPLICATES, NULL);

			if (!json_is_object(example)) {
				json_decref(example);
				return WEFT_EMALFORMED;
			}
			(void)json_object_set_new(method, "example", example);
		} else if (len + 1 <= sizeof(about) - writer_len(&w)) {
			text_write(&w, writer_len(&w) && len ? " " : "");
			writer_bytes(&w, words, len);
		}
	}
	(void)json_object_set_new(method, "about", json_stringn(about, writer_len(&w)));
	return 0;
}

static int methods_add(const char *text, const struct idl *idl, json_t *methods,
		       char why[static SERVICE_IDL_WHY_CAP])
{
	const struct idl_member *member = control_idl_members(idl);

	for (; member; member = member->next) {
		json_t *method;

		if (member->kind != IDL_METHOD)
			continue;
		method = json_pack("{s:s%, s:o, s:o}", "name", member->name.text, member->name.len,
				   "takes", fields_json(idl, member->input), "gives",
				   fields_json(idl, member->output));
		if (comment_take(text, member, method) < 0) {
			snprintf(why, SERVICE_IDL_WHY_CAP,
				 "the example of method %.*s is no JSON object in one line",
				 (int)(member->name.len < 32 ? member->name.len : 32),
				 member->name.text);
			json_decref(method);
			return WEFT_EMALFORMED;
		}
		if (json_array_append_new(methods, method) < 0)
			return -ENOMEM;
	}
	return 0;
}

int api_service_idl_description(const char *text, json_t **out_description,
				char why[static SERVICE_IDL_WHY_CAP])
{
	struct idl *idl;
	unsigned line;
	json_t *methods;
	int err = control_idl_parse(text, &idl, &line);

	if (err < 0) {
		snprintf(why, SERVICE_IDL_WHY_CAP, "line %u is no varlink interface description",
			 line);
		return err;
	}
	methods = json_array();
	err = methods_add(text, idl, methods, why);
	control_idl_free(idl);
	if (err == 0 &&
	    !(*out_description = json_pack("{s:s, s:O}", "about", "", "methods", methods)))
		err = -ENOMEM;
	json_decref(methods);
	return err;
}
