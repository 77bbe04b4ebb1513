/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_EXPORT_H
#define WEFT_OFFERS_SCHEMA_EXPORT_H

#include "offers/schema/schema.h"

/*
 * A schema in its two forms beside the compiled one: text without comments, and the registry's
 * record, a CBOR map of eight fields:
 *
 *	0 id, 1 name, 2 version, 3 announce, 4 query, 5 response, 6 min_verification, 7 description
 *
 * 3 to 5 are byte strings of CBOR: the fields, the filters, and the names of the listed fields.
 * A record becomes text before it is compiled, so one compiler judges both.
 */

/* offers_schema_text_write writes the text. Its length, or WEFT_ETOOSMALL. */
int offers_schema_text_write(const struct schema *schema, char *text, size_t cap);

/* offers_schema_export writes the record; it sets w->bad where there is no room. */
void offers_schema_export(const struct schema *schema, struct writer *w);
/* offers_schema_is_record: the bytes are no text, and may be a record. */
bool offers_schema_is_record(const void *bytes, size_t len);
/*
 * offers_schema_import writes the text of a record. Its length, WEFT_EMALFORMED or WEFT_ETOOLARGE
 * with *fault. What it wrote is still to be compiled.
 */
WEFT_MUST_CHECK
int offers_schema_import(const uint8_t *bytes, size_t len, char text[static SCHEMA_TEXT_LEN_MAX],
			 struct schema_fault *fault);

#endif
