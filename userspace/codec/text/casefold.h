/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_CASEFOLD_H
#define WEFT_CODEC_TEXT_CASEFOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

/*
 * Text as it is compared with other text: what looks or reads alike becomes the same
 * bytes. The form is NFKC_Casefold of Unicode (UAX #15, UAX #31). Compatibility
 * forms are resolved (the ligature of fi, full-width letters), letters are composed,
 * case is folded, and ignorable characters are left out. Folding twice changes
 * nothing.
 *
 * Thread-safe.
 */
#define FOLD_GROWTH_MAX 11u /* bytes of the folded text for one: U+FDFA, 33 of 3 */

/*
 * fold_text writes the folded text into dst, without a NUL. Returns its length, which
 * may be 0, or WEFT_EMALFORMED (not UTF-8), WEFT_ETOOSMALL, -ENOMEM. ASCII allocates
 * nothing.
 */
WEFT_MUST_CHECK
int fold_text(const char *text, size_t len, char *dst, size_t cap);

/*
 * fold_word gives the next word of text from *io_off on: letters, digits and marks that
 * follow each other, of folded text or of any. False: there is none any more. Bytes that
 * are not UTF-8 divide words.
 */
bool fold_word(const char *text, size_t len, size_t *io_off, const char **out_word,
	       size_t *out_len);

#endif
