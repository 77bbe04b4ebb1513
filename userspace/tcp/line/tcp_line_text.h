/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_LINE_TCP_LINE_TEXT_H
#define WEFT_TCP_LINE_TCP_LINE_TEXT_H

#include <stddef.h>

#include "tcp/tcp.h"

/*
 * Lines as words: PATH[:BAUD][@KEY], apart by commas or blanks, up to TCP_LINES_MAX. PATH is absolute.
 * Pure.
 *
 * tcp_line_text_parse returns 0, WEFT_ETOOLARGE: there are more, or WEFT_EMALFORMED: *out_word (len
 * *out_len) is none. Only then is the last pair written.
 */
WEFT_MUST_CHECK
int tcp_line_text_parse(const char *text, struct tcp_config *config, const char **out_word,
			size_t *out_len);
/* tcp_line_text_format writes the text that parse reads; returns text. */
char *tcp_line_text_format(const struct tcp_config *config, char *text, size_t cap);

#endif
