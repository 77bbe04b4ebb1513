/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/zbase32.h"

#include <string.h>

static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";

char *zbase32_write(const uint8_t *data, size_t len, char *text)
{
	uint32_t bits = 0;
	unsigned bit_cnt = 0;
	char *at = text;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (bit_cnt += 8; bit_cnt >= 5; bit_cnt -= 5)
			*at++ = alphabet[bits >> (bit_cnt - 5) & 31];
	}
	if (bit_cnt)
		*at++ = alphabet[bits << (5 - bit_cnt) & 31];
	*at = '\0';
	return text;
}

static int letter_value(char letter)
{
	const char *at;

	if (letter >= 'A' && letter <= 'Z')
		letter = (char)(letter - 'A' + 'a');
	at = letter ? strchr(alphabet, letter) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

bool zbase32_is_letter(char letter)
{
	return letter_value(letter) >= 0;
}

int zbase32_parse(const char *text, size_t text_len, uint8_t *dst, size_t cap)
{
	uint32_t bits = 0;
	unsigned bit_cnt = 0;
	size_t len = 0;

	if (text_len * 5 / 8 > cap)
		return WEFT_ETOOSMALL;
	if (text_len != ZBASE32_TEXT_LEN(text_len * 5 / 8))
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < text_len; i++) {
		int value = letter_value(text[i]);

		if (value < 0)
			return WEFT_EMALFORMED;
		bits = bits << 5 | (uint32_t)value;
		bit_cnt += 5;
		if (bit_cnt >= 8) {
			bit_cnt -= 8;
			dst[len++] = (uint8_t)(bits >> bit_cnt);
		}
	}
	if (bits & ((1u << bit_cnt) - 1))
		return WEFT_EMALFORMED;
	return (int)len;
}
