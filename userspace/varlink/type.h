/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_VARLINK_TYPE_H
#define WEFT_VARLINK_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "varlink/blocks.h"
#include "weft/err.h"

/*
 * The types of the control interface, as tables that tools/varlink-c makes of
 * include/varlink/: where each field of a message is in its C struct. One pair
 * of functions reads and writes all of them.
 *
 *   varlink           C
 *   bool int float    bool, int64_t, double
 *   string            const char *
 *   object            json_t *, borrowed
 *   (a, b)            enum api_X, numbered as its words stand
 *   []T, [string]T    struct api_T_list, struct api_T_map: rows, cnt
 *   ?                 NULL of a string, an object, or a struct (a pointer then); else has_X
 */
enum varlink_kind {
	VARLINK_KIND_BOOL,
	VARLINK_KIND_INT,
	VARLINK_KIND_FLOAT,
	VARLINK_KIND_STRING,
	VARLINK_KIND_OBJECT,
	VARLINK_KIND_ENUM,
	VARLINK_KIND_STRUCT,
	VARLINK_KIND_LIST,
	VARLINK_KIND_MAP,
};

struct varlink_type {
	enum varlink_kind kind;
	size_t len;			    /* of the C type; of a list and a map, of a row */
	size_t cnt;			    /* fields of a struct, words of an enum */
	const char *const *words;	    /* of an enum */
	const struct varlink_field *fields; /* of a struct */
	const struct varlink_type *item;    /* of a list and a map */
	size_t item_off;		    /* in a row: of a map behind its key */
};

struct varlink_field {
	const char *name;
	const struct varlink_type *type;
	size_t off;
	size_t flag_off; /* of has_X, or VARLINK_NO_FLAG */
	bool is_optional;
};
#define VARLINK_NO_FLAG SIZE_MAX

enum varlink_role { VARLINK_VIEW, VARLINK_OPERATE, VARLINK_ADMIN };

struct varlink_method {
	const char *name; /* without its interface */
	const char *interface;
	enum varlink_role role;
	const struct varlink_type *in, *out; /* parameters and reply */
};

/* varlink_method_lookup finds one of cnt methods by its name, or NULL. */
const struct varlink_method *varlink_method_lookup(const struct varlink_method *methods, size_t cnt,
						   const char *name);

/* The description of an interface, as it is handed out. */
struct varlink_interface {
	const char *name, *text;
};

/* An error, by its full name, or a kind of event; and the type of its parameters or fields. */
struct varlink_typed {
	const char *name;
	const struct varlink_type *type;
};
/* varlink_typed_lookup finds the type of one of cnt by its name, or NULL. */
const struct varlink_type *varlink_typed_lookup(const struct varlink_typed *rows, size_t cnt,
						const char *name);

/*
 * varlink_parse reads value into a struct of type, in blocks; texts and objects are
 * borrowed from value. Unknown fields are refused, missing ones that are not
 * optional too; null is missing.
 *
 * Returns 0, -ENOMEM, or WEFT_EMALFORMED. out_field is then the path of the field at fault, as in
 * "peers[3].address", cut to VARLINK_FIELD_CAP - 1 bytes. It is "" when value is no object. A key of a
 * map stands in it as a field does.
 */
#define VARLINK_FIELD_CAP 128
WEFT_MUST_CHECK
int varlink_parse(const struct varlink_type *type, json_t *value, struct varlink_blocks *blocks,
		  const void **out_struct, char out_field[static VARLINK_FIELD_CAP]);
/*
 * varlink_read is varlink_parse for a reply from a daemon that may be of another version. Unknown
 * fields are ignored, and a missing one is 0, "" or empty. NULL: no memory, or another
 * type; out_field (NULL: not wanted) is as varlink_parse has it.
 */
const void *varlink_read(const struct varlink_type *type, json_t *value,
			 struct varlink_blocks *blocks, char *out_field);
/* varlink_check is varlink_parse without the struct: whether value follows type. */
bool varlink_check(const struct varlink_type *type, json_t *value,
		   char out_field[static VARLINK_FIELD_CAP]);
/*
 * varlink_write makes JSON of a struct. A text that is no UTF-8 has '?' for its bytes
 * above 127; one that is needed and NULL, as memory was lost, is "".
 */
json_t *varlink_write(const struct varlink_type *type, const void *value);
/* varlink_field_at: where the value of a struct's field is; NULL: it is optional, and missing. */
const void *varlink_field_at(const struct varlink_field *field, const void *of);
/* varlink_part: of a struct of type, the first field that is a struct of part; NULL: none, or missing. */
const void *varlink_part(const struct varlink_type *type, const struct varlink_type *part,
			 const void *of);

/* api_uint: a count as JSON has it, which knows no more than INT64_MAX. */
static inline int64_t api_uint(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}
/* API_SET gives an optional field, that has a flag, its value. */
#define API_SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))
/* API_IF is that in an initialiser, if condition holds: struct api_ping p = {API_IF(rtt_us, ns, ns / 1000)}. */
#define API_IF(field, condition, value)                                                            \
	.has_##field = (condition), .field = (condition) ? (value) : 0

#define VARLINK_CNT_OF(array) (sizeof(array) / sizeof((array)[0]))
/* API_ROWS makes a list of an array. */
#define API_ROWS(array) {(array), VARLINK_CNT_OF(array), VARLINK_CNT_OF(array)}

/* The parts of the generated tables. */
extern const struct varlink_type api_bool_type, api_int_type, api_float_type, api_string_type,
	api_object_type;
#define VARLINK_NEEDED(owner, name, field, type)                                                   \
	{name, &type, offsetof(struct owner, field), VARLINK_NO_FLAG, false}
#define VARLINK_NULLABLE(owner, name, field, type)                                                 \
	{name, &type, offsetof(struct owner, field), VARLINK_NO_FLAG, true}
#define VARLINK_FLAGGED(owner, name, field, type)                                                  \
	{name, &type, offsetof(struct owner, field), offsetof(struct owner, has_##field), true}
#define VARLINK_STRUCT_OF(name)                                                                    \
	{.kind = VARLINK_KIND_STRUCT,                                                              \
	 .len = sizeof(struct api_##name),                                                         \
	 .cnt = VARLINK_CNT_OF(name##_fields),                                                     \
	 .fields = name##_fields}
#define VARLINK_NOTHING_OF(name) {.kind = VARLINK_KIND_STRUCT, .len = sizeof(struct api_##name)}
#define VARLINK_ENUM_OF(name)                                                                      \
	{.kind = VARLINK_KIND_ENUM,                                                                \
	 .len = sizeof(enum api_##name),                                                           \
	 .cnt = VARLINK_CNT_OF(name##_words),                                                      \
	 .words = name##_words}
#define VARLINK_LIST_OF(name)                                                                      \
	{.kind = VARLINK_KIND_LIST,                                                                \
	 .len = sizeof(*((struct api_##name##_list *)NULL)->rows),                                 \
	 .item = &api_##name##_type}
#define VARLINK_MAP_OF(name)                                                                       \
	{.kind = VARLINK_KIND_MAP,                                                                 \
	 .len = sizeof(struct api_##name##_entry),                                                 \
	 .item = &api_##name##_type,                                                               \
	 .item_off = offsetof(struct api_##name##_entry, value)}

#endif
