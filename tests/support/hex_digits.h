/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_HEX_DIGITS_H
#define WEFT_TESTS_HEX_DIGITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * hex_parse reads the pairs of digits that text begins with into out,
 * which has room for strlen(text) / 2 bytes. Returns how many bytes those were.
 */
size_t hex_parse(const char *text, uint8_t *out);

#endif
