/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to base64 letters and back; the shortest form is the only one read. */
#include "codec/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_write(const uint8_t *data, size_t len, char *text)
{
	char *out = text;

	for (; len >= 3; data += 3, len -= 3) {
		uint32_t bits = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];

		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		*out++ = letters[bits >> 6 & 63];
		*out++ = letters[bits & 63];
	}
	if (len) {
		uint32_t bits = (uint32_t)data[0] << 16 | (len == 2 ? (uint32_t)data[1] << 8 : 0);

		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		*out++ = len == 2 ? letters[bits >> 6 & 63] : '=';
		*out++ = '=';
	}
	*out = '\0';
	return text;
}

/* letter_value: [0, 63], or more for what is no letter. */
static uint32_t letter_value(char letter)
{
	if (letter >= 'A' && letter <= 'Z')
		return (uint32_t)(letter - 'A');
	if (letter >= 'a' && letter <= 'z')
		return (uint32_t)(letter - 'a') + 26;
	if (letter >= '0' && letter <= '9')
		return (uint32_t)(letter - '0') + 52;
	if (letter == '+')
		return 62;
	return letter == '/' ? 63 : UINT32_MAX;
}

/* group_read reads letter_cnt letters, 2 to 4, into one byte less; false: malformed. */
static bool group_read(const char *text, unsigned letter_cnt, uint8_t bytes[static 3])
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < letter_cnt; i++) {
		uint32_t value = letter_value(text[i]);

		if (value > 63)
			return false;
		bits |= value << (18 - 6 * i);
	}
	bytes[0] = (uint8_t)(bits >> 16);
	bytes[1] = (uint8_t)(bits >> 8);
	bytes[2] = (uint8_t)bits;
	return (bits & (0xffffffu >> 8 * (letter_cnt - 1) & 0xffffffu)) == 0;
}

int base64_read(const char *text, size_t text_len, uint8_t *data, size_t cap, size_t *out_len)
{
	size_t len = 0;

	if (text_len % 4)
		return WEFT_EMALFORMED;
	for (size_t off = 0; off < text_len; off += 4) {
		bool is_last = off + 4 == text_len;
		unsigned letter_cnt = 4;
		uint8_t bytes[3];

		if (is_last && text[off + 3] == '=')
			letter_cnt = text[off + 2] == '=' ? 2 : 3;
		if (!group_read(text + off, letter_cnt, bytes))
			return WEFT_EMALFORMED;
		if (cap - len < letter_cnt - 1)
			return WEFT_ETOOLARGE;
		for (unsigned i = 0; i < letter_cnt - 1; i++)
			data[len++] = bytes[i];
	}
	*out_len = len;
	return 0;
}
