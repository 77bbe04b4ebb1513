/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text by libsodium; any thread. */
#include "codec/text/hex.h"

#include <string.h>

#include <sodium.h>

char *hex_write(const void *data, size_t len, char *text)
{
	return sodium_bin2hex(text, HEX_TEXT_CAP(len), data, len);
}

bool hex_read(const char *text, uint8_t *out, size_t len)
{
	/* Asked first: sodium_hex2bin has written what stands before a wrong letter. */
	if (strlen(text) != 2 * len || strspn(text, "0123456789abcdefABCDEF") != 2 * len)
		return false;
	return sodium_hex2bin(out, len, text, 2 * len, NULL, NULL, NULL) == 0;
}
