/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"

#define BYTES_CAP 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A text that parses is the one its bytes are written as, but for case. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[ZBASE32_TEXT_LEN(BYTES_CAP) + 1];
	uint8_t bytes[BYTES_CAP];
	int got = zbase32_parse((const char *)data, len, bytes, sizeof(bytes));

	if (got < 0)
		return 0;
	zbase32_write(bytes, (size_t)got, text);
	if (strlen(text) != len)
		abort();
	for (size_t i = 0; i < len; i++)
		if (tolower(data[i]) != text[i])
			abort();
	return 0;
}
