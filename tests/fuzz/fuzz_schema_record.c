/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a schema: what is imported compiles, or is refused with a reason. */
#include "base/assert.h"
#include "offers/schema/schema_export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[SCHEMA_TEXT_LEN_MAX], again[SCHEMA_TEXT_LEN_MAX];
	struct schema_fault fault;
	struct schema *schema;
	int text_len = offers_schema_import(data, len, text, &fault);

	if (text_len < 0) {
		weft_assert(fault.what[0]);
		return 0;
	}
	if (offers_schema_parse(text, (size_t)text_len, &schema, &fault) < 0) {
		weft_assert(fault.what[0]);
		return 0;
	}
	weft_assert(offers_schema_text_write(schema, again, sizeof(again)) > 0);
	offers_schema_free(schema);
	return 0;
}
