/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_SCHEME_TEXT_H
#define WEFT_RELAY_SCHEME_TEXT_H

#include "base/byte_cursor.h"
#include "weft/err.h"

/* Signed bytes as text: a scheme with its colon, then z-base-32. Private to relay/. */

/* relay_scheme_text_write: text has room for scheme, ZBASE32_TEXT_LEN(len) letters and a NUL. */
char *relay_scheme_text_write(const char *scheme, const uint8_t *bytes, size_t len, char *text);
/*
 * relay_scheme_text_read writes the bytes to w; white space around is left out.
 * 0, WEFT_EMALFORMED, or WEFT_ETOOLARGE: w has no room.
 */
WEFT_MUST_CHECK
int relay_scheme_text_read(const char *scheme, const char *text, struct writer *w, size_t *out_len);

#endif
