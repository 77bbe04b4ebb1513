/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_HEX_H
#define WEFT_CODEC_TEXT_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hexadecimal, as ids of the Mainline DHT are written by people and other programs. */
#define HEX_TEXT_CAP(len) (2 * (len) + 1)

/* hex_write writes len bytes as lower case letters and a NUL; returns text. */
char *hex_write(const void *data, size_t len, char *text);
/*
 * hex_read reads exactly len bytes, of either case. False, with out
 * untouched: another length or another letter.
 */
bool hex_read(const char *text, uint8_t *out, size_t len);

#endif
