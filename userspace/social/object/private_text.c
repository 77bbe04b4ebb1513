/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/private_text.h"

/* Of ASCII: start of text, enquiry, acknowledge, data link escape. */
#define STX '\x02'
#define ENQ '\x05'
#define ACK '\x06'
#define DLE '\x10'

static bool is_mark(const char *text, size_t len)
{
	return len && (*text == STX || *text == ENQ || *text == ACK || *text == DLE);
}

static enum private_kind receipt_kind(const char *text, size_t len)
{
	if (len == 2 && text[1] == 'd')
		return PRIVATE_DELIVERED;
	return len == 2 && text[1] == 'r' ? PRIVATE_READ : PRIVATE_UNKNOWN;
}

enum private_kind social_private_kind(const char *text, size_t len, size_t *out_off)
{
	*out_off = is_mark(text, len);
	if (!*out_off)
		return PRIVATE_POST;
	switch (*text) {
	case STX:
		return PRIVATE_DIRECT;
	case ENQ:
		return PRIVATE_DIRECT_ASKING;
	case ACK:
		return receipt_kind(text, len);
	default:
		return PRIVATE_POST;
	}
}

char social_private_mark(enum private_kind kind, const char *text, size_t len)
{
	if (kind == PRIVATE_DIRECT)
		return STX;
	if (kind == PRIVATE_DIRECT_ASKING)
		return ENQ;
	return is_mark(text, len) ? DLE : '\0';
}
