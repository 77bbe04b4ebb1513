/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_TYPE_H
#define WEFT_API_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "api/blocks.h"
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
enum api_kind {
	API_KIND_BOOL,
	API_KIND_INT,
	API_KIND_FLOAT,
	API_KIND_STRING,
	API_KIND_OBJECT,
	API_KIND_ENUM,
	API_KIND_STRUCT,
	API_KIND_LIST,
	API_KIND_MAP,
};

struct api_type {
	enum api_kind kind;
	size_t len;			/* of the C type; of a list and a map, of a row */
	size_t cnt;			/* fields of a struct, words of an enum */
	const char *const *words;	/* of an enum */
	const struct api_field *fields; /* of a struct */
	const struct api_type *item;	/* of a list and a map */
	size_t item_off;		/* in a row: of a map behind its key */
};

struct api_field {
	const char *name;
	const struct api_type *type;
	size_t off;
	size_t flag_off; /* of has_X, or API_NO_FLAG */
	bool is_optional;
};
#define API_NO_FLAG SIZE_MAX

enum api_role { API_VIEW, API_OPERATE, API_ADMIN };

struct api_method {
	const char *name; /* without its interface */
	const char *interface;
	enum api_role role;
	const struct api_type *in, *out; /* parameters and reply */
};

/* api_method_lookup finds one of cnt methods by its name, or NULL. */
const struct api_method *api_method_lookup(const struct api_method *methods, size_t cnt,
					   const char *name);

/* The description of an interface, as it is handed out. */
struct api_interface {
	const char *name, *text;
};

struct api_error {
	const char *name;	     /* with its interface */
	const struct api_type *type; /* of its parameters */
};

/*
 * api_parse reads value into a struct of type, in blocks; texts and objects are
 * borrowed from value. Unknown fields are refused, missing ones that are not
 * optional too; null is missing.
 *
 * Returns 0, -ENOMEM, or WEFT_EMALFORMED. out_field is then the path of the field at fault, as in
 * "peers[3].address", cut to API_FIELD_CAP - 1 bytes. It is "" when value is no object. A key of a
 * map stands in it as a field does.
 */
#define API_FIELD_CAP 128
WEFT_MUST_CHECK
int api_parse(const struct api_type *type, json_t *value, struct api_blocks *blocks,
	      const void **out_struct, char out_field[static API_FIELD_CAP]);
/*
 * api_read is api_parse for a reply from a daemon that may be of another version. Unknown
 * fields are ignored, and a missing one is 0, "" or empty. NULL: no memory, or another
 * type; out_field (NULL: not wanted) is as api_parse has it.
 */
const void *api_read(const struct api_type *type, json_t *value, struct api_blocks *blocks,
		     char *out_field);
/* api_check is api_parse without the struct: whether value follows type. */
bool api_check(const struct api_type *type, json_t *value, char out_field[static API_FIELD_CAP]);
/*
 * api_write makes JSON of a struct. A text that is no UTF-8 has '?' for its bytes
 * above 127; one that is needed and NULL, as memory was lost, is "".
 */
json_t *api_write(const struct api_type *type, const void *value);
/* api_field_at: where the value of a struct's field is; NULL: it is optional, and missing. */
const void *api_field_at(const struct api_field *field, const void *of);
/* api_part: of a struct of type, the first field that is a struct of part; NULL: none, or missing. */
const void *api_part(const struct api_type *type, const struct api_type *part, const void *of);

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

#define API_CNT_OF(array) (sizeof(array) / sizeof((array)[0]))
/* API_ROWS makes a list of an array. */
#define API_ROWS(array) {(array), API_CNT_OF(array), API_CNT_OF(array)}

/* The parts of the generated tables. */
extern const struct api_type api_bool_type, api_int_type, api_float_type, api_string_type,
	api_object_type;
#define API_NEEDED(owner, name, field, type)                                                       \
	{name, &type, offsetof(struct owner, field), API_NO_FLAG, false}
#define API_NULLABLE(owner, name, field, type)                                                     \
	{name, &type, offsetof(struct owner, field), API_NO_FLAG, true}
#define API_FLAGGED(owner, name, field, type)                                                      \
	{name, &type, offsetof(struct owner, field), offsetof(struct owner, has_##field), true}
#define API_STRUCT_OF(name)                                                                        \
	{.kind = API_KIND_STRUCT,                                                                  \
	 .len = sizeof(struct api_##name),                                                         \
	 .cnt = API_CNT_OF(name##_fields),                                                         \
	 .fields = name##_fields}
#define API_NOTHING_OF(name) {.kind = API_KIND_STRUCT, .len = sizeof(struct api_##name)}
#define API_ENUM_OF(name)                                                                          \
	{.kind = API_KIND_ENUM,                                                                    \
	 .len = sizeof(enum api_##name),                                                           \
	 .cnt = API_CNT_OF(name##_words),                                                          \
	 .words = name##_words}
#define API_LIST_OF(name)                                                                          \
	{.kind = API_KIND_LIST,                                                                    \
	 .len = sizeof(*((struct api_##name##_list *)NULL)->rows),                                 \
	 .item = &api_##name##_type}
#define API_MAP_OF(name)                                                                           \
	{.kind = API_KIND_MAP,                                                                     \
	 .len = sizeof(struct api_##name##_entry),                                                 \
	 .item = &api_##name##_type,                                                               \
	 .item_off = offsetof(struct api_##name##_entry, value)}

#endif
