/* SPDX-License-Identifier: Apache-2.0 */
#include "support/hex_digits.h"

#include <ctype.h>
#include <stdio.h>

size_t hex_parse(const char *text, uint8_t *out)
{
	size_t len = 0;

	while (isxdigit((unsigned char)text[2 * len]) &&
	       sscanf(text + 2 * len, "%2hhx", &out[len]) == 1)
		len++;
	return len;
}
