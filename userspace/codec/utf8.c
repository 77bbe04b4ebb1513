/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/utf8.h"

#include <stdint.h>

/*
 * The second byte's range depends on the first (RFC 3629 4): that alone
 * rules out overlong forms, surrogates and what lies past U+10FFFF.
 */
static size_t sequence_len(const uint8_t *at, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len = at[0] < 0x80   ? 1
		     : at[0] < 0xc2 ? 0
		     : at[0] < 0xe0 ? 2
		     : at[0] < 0xf0 ? 3
		     : at[0] < 0xf5 ? 4
				    : 0;

	if (at[0] == 0xe0)
		low = 0xa0;
	if (at[0] == 0xed)
		high = 0x9f;
	if (at[0] == 0xf0)
		low = 0x90;
	if (at[0] == 0xf4)
		high = 0x8f;
	if (len > left || (len > 1 && (at[1] < low || at[1] > high)))
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool utf8_is_valid(const char *text, size_t len)
{
	const uint8_t *at = (const uint8_t *)text;

	while (len) {
		size_t step = sequence_len(at, len);

		if (!step)
			return false;
		at += step;
		len -= step;
	}
	return true;
}

/* UTF-8 writes C1 as c2 80 to c2 9f. */
bool utf8_is_plain(const char *text, size_t len)
{
	const uint8_t *at = (const uint8_t *)text;

	for (size_t i = 0; i < len; i++)
		if (at[i] < 0x20 || at[i] == 0x7f ||
		    (at[i] == 0xc2 && i + 1 < len && at[i + 1] < 0xa0))
			return false;
	return utf8_is_valid(text, len);
}
