/* SPDX-License-Identifier: Apache-2.0 */
/* A varlink interface as the description of a service. Pure. */
#include "method_service_idl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "control/idl.h"
#include "varlink/node.h"

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

/* text_of copies a name of the interface. */
static const char *text_of(struct varlink_blocks *blocks, const struct idl_name *name)
{
	return varlink_format(blocks, "%.*s", (int)name->len, name->text);
}

/* field_of: a type that is too long to spell out stands as its kind. */
static struct api_offered_field field_of(struct varlink_blocks *blocks, const struct idl *idl,
					 const struct idl_field *field)
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
	return (struct api_offered_field){
		.name = text_of(blocks, &field->name),
		.type = varlink_format(blocks, "%.*s", (int)writer_len(&w), text)};
}

static struct api_offered_field_list fields_of(struct varlink_blocks *blocks, const struct idl *idl,
					       const struct idl_type *type)
{
	struct api_offered_field_list fields = {0};

	for (const struct idl_field *field = type->fields; field; field = field->next)
		varlink_push(blocks, &fields, field_of(blocks, idl, field));
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

/* The description, as it is made. */
struct making {
	struct varlink_blocks blocks;
	struct api_offered_description out;
	json_t *examples; /* a list, which keeps those of out */
};

/* comment_take reads the comment above a method: words for "about", and the example. */
static int comment_take(struct making *making, const char *text, const struct idl_member *member,
			struct api_offered_method *method)
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
			if (json_array_append_new(making->examples, example) < 0)
				return -ENOMEM;
			method->example = example;
		} else if (len + 1 <= sizeof(about) - writer_len(&w)) {
			text_write(&w, writer_len(&w) && len ? " " : "");
			writer_bytes(&w, words, len);
		}
	}
	method->about = varlink_format(&making->blocks, "%.*s", (int)writer_len(&w), about);
	return 0;
}

static int methods_add(struct making *making, const char *text, const struct idl *idl,
		       char why[static SERVICE_IDL_WHY_CAP])
{
	const struct idl_member *member = control_idl_members(idl);

	for (; member; member = member->next) {
		struct api_offered_method method;
		int err;

		if (member->kind != IDL_METHOD)
			continue;
		method = (struct api_offered_method){
			.name = text_of(&making->blocks, &member->name),
			.takes = fields_of(&making->blocks, idl, member->input),
			.gives = fields_of(&making->blocks, idl, member->output),
		};
		err = comment_take(making, text, member, &method);
		if (err == WEFT_EMALFORMED)
			snprintf(why, SERVICE_IDL_WHY_CAP,
				 "the example of method %.*s is no JSON object in one line",
				 (int)(member->name.len < 32 ? member->name.len : 32),
				 member->name.text);
		if (err < 0)
			return err;
		varlink_push(&making->blocks, &making->out.methods, method);
	}
	return 0;
}

int api_service_idl_description(const char *text, json_t **out_description,
				char why[static SERVICE_IDL_WHY_CAP])
{
	struct making making = {.out = {.about = ""}};
	struct idl *idl;
	unsigned line;
	int err = control_idl_parse(text, &idl, &line);

	if (err < 0) {
		snprintf(why, SERVICE_IDL_WHY_CAP, "line %u is no varlink interface description",
			 line);
		return err;
	}
	making.examples = json_array();
	err = methods_add(&making, text, idl, why);
	control_idl_free(idl);
	if (err == 0 && !(*out_description = api_offered_description_write(&making.out)))
		err = -ENOMEM;
	json_decref(making.examples);
	varlink_blocks_free(&making.blocks);
	return err;
}
