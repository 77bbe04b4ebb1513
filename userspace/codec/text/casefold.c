/* SPDX-License-Identifier: Apache-2.0 */
/* Folding by utf8proc's tables, which no one else sees; ASCII, most of all names, without them. */
#include "codec/text/casefold.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const utf8proc_option_t fold_options =
	UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

static int fold_foreign(const char *text, size_t len, char *dst, size_t cap)
{
	utf8proc_uint8_t *folded = NULL;
	utf8proc_ssize_t folded_len = utf8proc_map((const utf8proc_uint8_t *)text,
						   (utf8proc_ssize_t)len, &folded, fold_options);

	if (folded_len < 0)
		return folded_len == UTF8PROC_ERROR_NOMEM ? -ENOMEM : WEFT_EMALFORMED;
	if ((size_t)folded_len > cap)
		folded_len = WEFT_ETOOSMALL;
	else
		memcpy(dst, folded, (size_t)folded_len);
	free(folded);
	return (int)folded_len;
}

int fold_text(const char *text, size_t len, char *dst, size_t cap)
{
	size_t i;

	if (len > INT_MAX / FOLD_GROWTH_MAX)
		return WEFT_ETOOSMALL;
	for (i = 0; i < len && i < cap && (unsigned char)text[i] < 0x80; i++)
		dst[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
	if (i == len)
		return (int)len;
	return fold_foreign(text, len, dst, cap);
}

/*
 * The class of the character at text: 0 when it belongs to no word, else its
 * length; *out_len always.
 */
static bool char_is_of_word(const char *text, size_t len, size_t *out_len)
{
	unsigned char c = (unsigned char)text[0];
	utf8proc_int32_t code;
	utf8proc_ssize_t char_len;

	*out_len = 1;
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
	char_len = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &code);
	if (char_len < 1)
		return false;
	*out_len = (size_t)char_len;
	switch (utf8proc_category(code)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return true;
	default:
		return false;
	}
}

bool fold_word(const char *text, size_t len, size_t *io_off, const char **out_word, size_t *out_len)
{
	size_t at = *io_off, begin, char_len;

	while (at < len && !char_is_of_word(text + at, len - at, &char_len))
		at += char_len;
	begin = at;
	while (at < len && char_is_of_word(text + at, len - at, &char_len))
		at += char_len;
	*io_off = at;
	*out_word = text + begin;
	*out_len = at - begin;
	return at > begin;
}
