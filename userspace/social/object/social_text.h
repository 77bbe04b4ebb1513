/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_SOCIAL_TEXT_H
#define WEFT_SOCIAL_OBJECT_SOCIAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Words that people write of themselves, and that others are shown. None of them holds what
 * could steer a terminal, or make a name look like another one. So control characters are refused, and
 * those that are not seen or change the direction of text. Marks such as < and & are letters here; pages show
 * them as text.
 *
 * Thread-safe.
 */
/* social_text_is_name: on one line, and with something to see in it. */
bool social_text_is_name(const char *text, size_t len);
/* social_text_is_shown: of any number of lines, ended by LF; it may be empty. */
bool social_text_is_shown(const char *text, size_t len);

#endif
