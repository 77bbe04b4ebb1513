/* SPDX-License-Identifier: Apache-2.0 */
/* base64 by libsodium, which reads the one form that RFC 4648 calls canonical and no other. */
#include "codec/text/base64.h"

#include <sodium.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL

char *base64_write(const uint8_t *data, size_t len, char *text)
{
	return sodium_bin2base64(text, BASE64_LEN(len) + 1, data, len, VARIANT);
}

int base64_read(const char *text, size_t text_len, uint8_t *data, size_t cap, size_t *out_len)
{
	size_t len = text_len / 4 * 3;

	for (size_t i = 1; i <= 2 && i <= text_len && text[text_len - i] == '='; i++)
		len--;
	if (text_len % 4 == 0 && len > cap)
		return WEFT_ETOOLARGE;
	if (sodium_base642bin(data, cap, text, text_len, NULL, out_len, NULL, VARIANT) != 0)
		return WEFT_EMALFORMED;
	return 0;
}
