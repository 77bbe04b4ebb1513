/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_IDL_H
#define WEFT_CONTROL_IDL_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

/*
 * A varlink interface description in memory: what a local program says of its
 * own methods. Everything lives until control_idl_free and is read only.
 */
struct idl;

enum idl_kind {
	IDL_BOOL,
	IDL_INT,
	IDL_FLOAT,
	IDL_STRING,
	IDL_OBJECT,
	IDL_STRUCT, /* fields */
	IDL_ENUM,   /* fields, names only */
	IDL_NAMED,  /* name; its type is looked up */
	IDL_ARRAY,  /* of item */
	IDL_MAP,    /* from string to item */
};

struct idl_name {
	const char *text; /* in the description, not NUL-terminated */
	size_t len;
};

struct idl_type {
	enum idl_kind kind;
	bool is_nullable;
	struct idl_name name;
	const struct idl_type *item;
	const struct idl_field *fields;
};

struct idl_field {
	const struct idl_field *next;
	struct idl_name name;
	const struct idl_type *type;
};

enum idl_member_kind { IDL_TYPE, IDL_METHOD, IDL_ERROR };

struct idl_member {
	const struct idl_member *next;
	enum idl_member_kind kind;
	struct idl_name name;
	const struct idl_type *input;  /* of a method; the type itself; an error's parameters */
	const struct idl_type *output; /* of a method, else NULL */
};

/*
 * control_idl_parse reads the description of one interface; text (NUL-terminated)
 * is borrowed for the result's life. Names that are used but not defined,
 * and members defined twice, are errors.
 *
 * Returns 0, WEFT_EMALFORMED with *out_line where, or -errno.
 */
WEFT_MUST_CHECK
int control_idl_parse(const char *text, struct idl **out_idl, unsigned *out_line);
void control_idl_free(struct idl *idl);

const struct idl_member *control_idl_members(const struct idl *idl);
/* control_idl_type_resolve follows names to what they stand for; NULL: nothing, or a circle. */
const struct idl_type *control_idl_type_resolve(const struct idl *idl, const struct idl_type *type);

#endif
