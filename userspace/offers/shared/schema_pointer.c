/* SPDX-License-Identifier: Apache-2.0 */
/* A record as name servers gave it, which proves nothing: words with blanks between them. */
#include "offers/shared/schema_pointer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/hex.h"

#define VERSION "v=mesh-schema1"

enum part { PART_ID = 1, PART_HASH = 2, PART_URL = 4 };

static bool id_parse(const char *text, uint32_t *out)
{
	bool is_hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	const char *digits = text + (is_hex ? 2 : 0);
	size_t len = strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789");
	unsigned long long id;

	if (len == 0 || len > 10 || digits[len])
		return false;
	id = strtoull(digits, NULL, is_hex ? 16 : 10);
	*out = (uint32_t)id;
	return id >= 1 && id <= UINT32_MAX;
}

static bool url_is_plain(const char *url)
{
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* Which part a word is; 0: none that is known; negative: it is wrong. */
static int word_parse(const char *word, struct schema_pointer *out)
{
	if (strncmp(word, "id=", 3) == 0)
		return id_parse(word + 3, &out->id) ? PART_ID : WEFT_EMALFORMED;
	if (strncmp(word, "b3=", 3) == 0)
		return hex_read(word + 3, out->hash, sizeof(out->hash)) ? PART_HASH
									: WEFT_EMALFORMED;
	if (strncmp(word, "u=", 2) != 0)
		return 0;
	if (strlen(word + 2) >= sizeof(out->url) || !url_is_plain(word + 2))
		return WEFT_EMALFORMED;
	strcpy(out->url, word + 2);
	return PART_URL;
}

int offers_schema_pointer_parse(const char *text, size_t len, struct schema_pointer *out)
{
	const size_t version_len = sizeof(VERSION) - 1;
	struct schema_pointer pointer = {.id = 0};
	char words[SCHEMA_POINTER_LEN_MAX + 1];
	char *at, *next;
	int parts = 0;

	if (len < version_len || memcmp(text, VERSION, version_len) != 0 ||
	    (len > version_len && text[version_len] != ' '))
		return WEFT_EUNKNOWN;
	if (len > SCHEMA_POINTER_LEN_MAX || memchr(text, '\0', len))
		return WEFT_EMALFORMED;
	memcpy(words, text, len);
	words[len] = '\0';
	for (at = words + version_len; at; at = next) {
		int part;

		next = strchr(at, ' ');
		if (next)
			*next++ = '\0';
		part = word_parse(at, &pointer);
		if (part < 0 || (parts & part))
			return WEFT_EMALFORMED;
		parts |= part;
	}
	if ((parts & (PART_ID | PART_HASH)) != (PART_ID | PART_HASH))
		return WEFT_EMALFORMED;
	*out = pointer;
	return 0;
}
