/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_PRIVATE_TEXT_H
#define WEFT_SOCIAL_OBJECT_PRIVATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a private text is, by its first character (docs/wire/social.md). It lies inside the seal, so
 * that no holder of the post learns it:
 *
 *	U+0002	a direct message
 *	U+0005	a direct message whose author wants receipts
 *	U+0006	a receipt of the direct message that is the post's parent: "d" behind it, delivered,
 *		or "r", read
 *	U+0010	a post whose own first character is one of these four; it is left out
 *	other	a post
 *
 * Pure, and thread-safe.
 */
enum private_kind {
	PRIVATE_POST,
	PRIVATE_DIRECT,
	PRIVATE_DIRECT_ASKING,
	PRIVATE_DELIVERED,
	PRIVATE_READ,
	PRIVATE_UNKNOWN, /* a receipt of a later version */
};

/* social_private_kind: *out_off is where the text begins that people see. */
enum private_kind social_private_kind(const char *text, size_t len, size_t *out_off);
/*
 * social_private_mark: the character that goes before a text of that kind, a post or a direct
 * message; '\0' for none.
 */
char social_private_mark(enum private_kind kind, const char *text, size_t len);

#define PRIVATE_RECEIPT_DELIVERED                                                                  \
	"\x06"                                                                                     \
	"d"
#define PRIVATE_RECEIPT_READ                                                                       \
	"\x06"                                                                                     \
	"r"

#endif
