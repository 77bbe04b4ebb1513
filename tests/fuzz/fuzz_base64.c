/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/text/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read has one form only, and is written as that. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[4096];
	char text[BASE64_LEN(sizeof(bytes)) + 1];
	size_t byte_cnt;

	if (base64_read((const char *)data, len, bytes, sizeof(bytes), &byte_cnt) < 0)
		return 0;
	base64_write(bytes, byte_cnt, text);
	weft_assert(strlen(text) == len && (len == 0 || memcmp(text, data, len) == 0));
	return 0;
}
