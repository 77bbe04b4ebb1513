/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/social_text.h"

#include <stdint.h>

#include "codec/text/utf8.h"

/* Ranges of characters that are not seen, or that turn the text around them; inclusive. */
static const uint32_t hidden[][2] = {
	{0x0, 0x1f},	  {0x7f, 0x9f},	    {0xad, 0xad},     {0x61c, 0x61c},
	{0x180e, 0x180e}, {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e},
	{0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};
#define HIDDEN_CNT (sizeof(hidden) / sizeof(hidden[0]))

/* The character at text, which is valid UTF-8. */
static uint32_t character_at(const char *text, size_t *io_at)
{
	const uint8_t *at = (const uint8_t *)text + *io_at;
	unsigned more = at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
	uint32_t value = more ? at[0] & (0x3fu >> more) : at[0];

	for (unsigned i = 1; i <= more; i++)
		value = value << 6 | (at[i] & 0x3fu);
	*io_at += 1 + more;
	return value;
}

static bool is_hidden(uint32_t character)
{
	for (size_t i = 0; i < HIDDEN_CNT; i++)
		if (character >= hidden[i][0] && character <= hidden[i][1])
			return true;
	return false;
}

/* Of those that are not hidden, the ones without ink. */
static bool is_blank(uint32_t character)
{
	return character == ' ' || character == 0xa0 || character == 0x1680 ||
	       (character >= 0x2000 && character <= 0x200a) || character == 0x200c ||
	       character == 0x200d || character == 0x202f || character == 0x205f ||
	       character == 0x3000 || character == 0x3164 || character == 0x2800;
}

static bool is_sound(const char *text, size_t len, bool has_lines, size_t *out_ink_cnt)
{
	*out_ink_cnt = 0;
	if (!utf8_is_valid(text, len))
		return false;
	for (size_t at = 0; at < len;) {
		uint32_t character = character_at(text, &at);

		if (is_hidden(character) && !(has_lines && character == '\n'))
			return false;
		*out_ink_cnt += !is_blank(character);
	}
	return true;
}

bool social_text_is_name(const char *text, size_t len)
{
	size_t ink_cnt;

	return is_sound(text, len, false, &ink_cnt) && ink_cnt > 0;
}

bool social_text_is_shown(const char *text, size_t len)
{
	size_t ink_cnt;

	return is_sound(text, len, true, &ink_cnt);
}
