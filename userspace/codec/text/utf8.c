/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/utf8.h"

/*
 * The second byte's range depends on the first (RFC 3629 4): that alone
 * rules out overlong forms, surrogates and what lies past U+10FFFF.
 */
static bool character_begin(struct utf8_stream *stream, uint8_t byte)
{
	if (byte < 0x80)
		return true;
	if (byte < 0xc2 || byte > 0xf4)
		return false;
	stream->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	stream->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
	stream->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
	return true;
}

bool utf8_input(struct utf8_stream *stream, const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!stream->left) {
			if (!character_begin(stream, text[i]))
				return false;
			continue;
		}
		if (text[i] < stream->low || text[i] > stream->high)
			return false;
		stream->left--;
		stream->low = 0x80;
		stream->high = 0xbf;
	}
	return true;
}

bool utf8_is_whole(const struct utf8_stream *stream)
{
	return !stream->left;
}

bool utf8_is_valid(const char *text, size_t len)
{
	struct utf8_stream stream = {0};

	return utf8_input(&stream, (const uint8_t *)text, len) && utf8_is_whole(&stream);
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
