/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_ZBASE32_H
#define WEFT_CODEC_TEXT_ZBASE32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * z-base-32 (Zooko O'Whielacronx): alphabet
 * ybndrfg8ejkmcpqxot1uwisza345h769, most significant bit first, no padding.
 */
#define ZBASE32_TEXT_LEN(byte_cnt) (((byte_cnt) * 8 + 4) / 5)
#define ZBASE32_KEY_TEXT_CAP	   (ZBASE32_TEXT_LEN(32) + 1)

/* zbase32_write writes ZBASE32_TEXT_LEN(len) letters and a NUL; returns text. */
char *zbase32_write(const uint8_t *data, size_t len, char *text);
/* zbase32_is_letter: in either case; NUL is none. */
bool zbase32_is_letter(char letter);
/*
 * zbase32_parse reads text of text_len letters (either case) into dst.
 * Unused low bits of the last letter must be zero.
 * Returns the number of bytes, WEFT_EMALFORMED or WEFT_ETOOSMALL.
 */
WEFT_MUST_CHECK
int zbase32_parse(const char *text, size_t text_len, uint8_t *dst, size_t cap);

#endif
