/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_BASE64_H
#define WEFT_CODEC_TEXT_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/* base64 (RFC 4648, 4) with its padding, for bytes that travel in JSON. */

#define BASE64_LEN(len) (((len) + 2) / 3 * 4) /* letters for len bytes */

/* base64_write writes BASE64_LEN(len) letters and a NUL; returns text. */
char *base64_write(const uint8_t *data, size_t len, char *text);

/*
 * base64_read reads text_len letters into data, which has room for cap bytes;
 * data may be text itself. Returns 0 with *out_len; WEFT_EMALFORMED: a letter
 * that is none, white space, missing padding, or bits set that mean nothing;
 * WEFT_ETOOLARGE: more than cap bytes. On errors data holds nothing of use.
 */
WEFT_MUST_CHECK
int base64_read(const char *text, size_t text_len, uint8_t *data, size_t cap, size_t *out_len);

#endif
