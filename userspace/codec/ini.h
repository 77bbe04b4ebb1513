/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_INI_H
#define WEFT_CODEC_INI_H

#include <stddef.h>

#include "weft/err.h"

/*
 * INI text: [section], key = value, comments from # or ; at line start,
 * UTF-8, LF or CRLF. Values are trimmed; quotes are not special. Lines of
 * at most 1024 bytes.
 */
#define INI_LINE_LEN_MAX 1024

struct ini_line {
	const char *section; /* "" before the first section; NUL-terminated like key, value */
	const char *key;
	const char *value;
	unsigned number; /* from 1 */
};

/* Returns 0 to go on, else what ini_parse returns. */
typedef int (*ini_line_fn)(void *ctx, const struct ini_line *line);

/*
 * ini_parse calls on_line for every assignment.
 * Returns 0, what on_line returned, or WEFT_EMALFORMED / WEFT_ETOOLARGE
 * with *out_line_number set to the line at fault (also for on_line's code).
 */
WEFT_MUST_CHECK
int ini_parse(const char *text, size_t len, ini_line_fn on_line, void *ctx,
	      unsigned *out_line_number);

/*
 * ini_parse_sections is ini_parse for formats whose sections are things of their own: on_section
 * gets each head, also of a section without lines. Its key and value are "".
 */
struct ini_calls {
	ini_line_fn on_section, on_line;
};
WEFT_MUST_CHECK
int ini_parse_sections(const char *text, size_t len, const struct ini_calls *calls, void *ctx,
		       unsigned *out_line_number);

#endif
