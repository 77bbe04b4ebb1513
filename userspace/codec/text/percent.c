/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/percent.h"

#include "codec/text/hex.h"

size_t percent_read(const char *text, size_t len, uint8_t *out_byte)
{
	char digits[3] = {0};

	if (len == 0)
		return 0;
	if (text[0] != '%') {
		*out_byte = (uint8_t)text[0];
		return 1;
	}
	if (len < 3)
		return 0;
	digits[0] = text[1];
	digits[1] = text[2];
	return hex_read(digits, out_byte, 1) ? 3 : 0;
}
