/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A Range field of any letters gives a part inside the body or none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t size, off, part_len;
	char *text;

	if (len < sizeof(size))
		return 0;
	memcpy(&size, data, sizeof(size));
	text = malloc(len - sizeof(size) + 1);
	if (!text)
		return 0;
	memcpy(text, data + sizeof(size), len - sizeof(size));
	text[len - sizeof(size)] = '\0';
	if (gateway_range_parse(text, size, &off, &part_len) == RANGE_PART)
		weft_assert(part_len >= 1 && off < size && part_len <= size - off);
	free(text);
	return 0;
}
