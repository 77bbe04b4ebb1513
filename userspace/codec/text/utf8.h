/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_UTF8_H
#define WEFT_CODEC_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* utf8_is_valid: RFC 3629; no overlong forms, surrogates or values past U+10FFFF. */
bool utf8_is_valid(const char *text, size_t len);
/* utf8_is_plain: and without control characters (C0, DEL, C1), so that a terminal may show it. */
bool utf8_is_plain(const char *text, size_t len);

/*
 * The same for text that comes in pieces, cut anywhere: all zero at its
 * begin. utf8_input: false as soon as no continuation could make the text
 * valid. utf8_is_whole: no character is cut off at the end.
 */
struct utf8_stream {
	uint8_t left;	   /* bytes that the character under way still needs */
	uint8_t low, high; /* what the next of them may be, inclusive */
};
bool utf8_input(struct utf8_stream *stream, const uint8_t *text, size_t len);
bool utf8_is_whole(const struct utf8_stream *stream);

#endif
