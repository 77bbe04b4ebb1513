/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_PERCENT_H
#define WEFT_CODEC_TEXT_PERCENT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Percent-encoding (RFC 3986 2.1). percent_read reads the byte that text,
 * of len letters, begins with. Returns how many letters it took, 1 or 3,
 * or 0, with *out_byte untouched: there are none, or a '%' without two
 * digits behind it.
 */
size_t percent_read(const char *text, size_t len, uint8_t *out_byte);

#endif
