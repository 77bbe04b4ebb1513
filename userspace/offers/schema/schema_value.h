/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_VALUE_H
#define WEFT_OFFERS_SCHEMA_VALUE_H

#include "codec/cbor.h"
#include "offers/schema/schema_type.h"

/*
 * One value of a field or a filter: from and to CBOR and text. What fields and filters differ in
 * stands in struct schema_shape.
 */
struct schema_shape {
	const struct schema_field *field;
	const struct schema_filter *filter; /* NULL: of a field */
	bool is_newer;			    /* written by a newer version of the schema */
	bool may_name;			    /* a choice may be its word */
};
/* offers_schema_shape_is_list: the value is an array. */
bool offers_schema_shape_is_list(const struct schema_shape *shape);
/* offers_schema_shape_name: the field's or the filter's. */
const char *offers_schema_shape_name(const struct schema_shape *shape);

/* offers_schema_value_read reads the next item of r, which is not null. */
WEFT_MUST_CHECK
int offers_schema_value_read(struct cbor_reader *r, const struct schema_shape *shape,
			     struct schema_pool *pool, struct schema_value *out,
			     struct schema_fault *fault);
/* offers_schema_value_parse reads the text of len bytes. */
WEFT_MUST_CHECK
int offers_schema_value_parse(const char *text, const struct schema_shape *shape,
			      struct schema_pool *pool, struct schema_value *out,
			      struct schema_fault *fault);
void offers_schema_value_write(struct writer *w, const struct schema_shape *shape,
			       const struct schema_value *value);

#endif
