/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_UTF8_H
#define WEFT_CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* utf8_is_valid: RFC 3629; no overlong forms, surrogates or values past U+10FFFF. */
bool utf8_is_valid(const char *text, size_t len);
/* utf8_is_plain: and without control characters (C0, DEL, C1), so that a terminal may show it. */
bool utf8_is_plain(const char *text, size_t len);

#endif
