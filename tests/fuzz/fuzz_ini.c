/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ini.h"
#include "codec/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void text_check(const char *text)
{
	size_t len = strlen(text);

	if (len > INI_LINE_LEN_MAX || !utf8_is_valid(text, len) || strpbrk(text, "\r\n"))
		abort();
	if (len && (strchr(" \t", text[0]) || strchr(" \t", text[len - 1])))
		abort();
}

static int line_check(void *ctx, const struct ini_line *line)
{
	unsigned *last_number = ctx;

	text_check(line->section);
	text_check(line->key);
	text_check(line->value);
	if (!line->key[0] || strchr(line->key, '=') || line->number <= *last_number)
		abort();
	*last_number = line->number;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned last_number = 0, bad_number = 0;

	if (ini_parse((const char *)data, len, line_check, &last_number, &bad_number) < 0 &&
	    bad_number <= last_number)
		abort();
	return 0;
}
