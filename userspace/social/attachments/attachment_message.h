/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ATTACHMENTS_ATTACHMENT_MESSAGE_H
#define WEFT_SOCIAL_ATTACHMENTS_ATTACHMENT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post.h"
#include "weft/err.h"

/*
 * The messages by which nodes exchange pieces of attachments (docs/wire/social.md):
 *
 *	607 ATTACHMENT_GET	0 post 32 | 1 attachment | 2 piece | 3 true: the list of its chunks
 *	608 ATTACHMENT_DATA	0 bytes
 *
 * Pure, and thread-safe.
 */
enum attachment_message { ATTACHMENT_GET = 607, ATTACHMENT_DATA = 608 };

struct attachment_get {
	uint8_t post[POST_ID_LEN];
	uint32_t attachment, piece; /* from 0 */
	bool is_list;		    /* piece is 0 */
};
/* social_attachment_get_parse: 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_attachment_get_parse(const void *bytes, size_t len, struct attachment_get *out_get);
void social_attachment_get_write(struct writer *w, const struct attachment_get *get);

/* social_attachment_data_parse: *out_bytes, at most PIECE_LEN_MAX, are in bytes. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_attachment_data_parse(const void *bytes, size_t len, const uint8_t **out_bytes,
				 size_t *out_len);
/* social_attachment_data_head_write: what goes before len bytes of a 608. */
#define ATTACHMENT_DATA_HEAD_MAX 16u
void social_attachment_data_head_write(struct writer *w, size_t len);

#endif
