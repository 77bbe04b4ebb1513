/* SPDX-License-Identifier: Apache-2.0 */
/* A TXT record of any name server: a URL that is read is one line of printable ASCII. */
#include <string.h>

#include "base/assert.h"
#include "offers/shared/schema_pointer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schema_pointer pointer;

	if (offers_schema_pointer_parse((const char *)data, len, &pointer) < 0)
		return 0;
	weft_assert(pointer.id != 0);
	weft_assert(strlen(pointer.url) < sizeof(pointer.url));
	for (const char *at = pointer.url; *at; at++)
		weft_assert(*at > ' ' && *at <= '~');
	return 0;
}
