/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_ATTACHMENT_HEAD_H
#define WEFT_SOCIAL_OBJECT_ATTACHMENT_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post.h"
#include "weft/err.h"

/*
 * What an attachment is: its type, its name and its size. One of a private post says so at the
 * start of its first unit, inside the seal:
 *
 *	length u16be | {0 type, 1 size, 2 name?} | bytes
 *
 * One of a public post has its name as a parameter of its type: image/png; name="boat.png".
 *
 * What a peer wrote is judged. A type that is none becomes application/octet-stream. A name that could
 * steer a terminal, or lead to another folder, becomes empty.
 *
 * Pure, and thread-safe.
 */
#define ATTACHMENT_NAME_MAX 200u
#define ATTACHMENT_HEAD_MAX 512u /* with its length */

struct attachment_head {
	char type[POST_TYPE_LEN_MAX + 1];
	char name[ATTACHMENT_NAME_MAX + 1]; /* "": none */
	uint64_t size;
};

/* social_attachment_head_set: name may be NULL. Size is left. */
void social_attachment_head_set(struct attachment_head *head, const char *type, const char *name);
/* social_attachment_head_parse: *out_off is where the bytes begin. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_attachment_head_parse(const uint8_t *bytes, size_t len, struct attachment_head *out_head,
				 size_t *out_off);
void social_attachment_head_write(struct writer *w, const struct attachment_head *head);
/* social_attachment_type_{parse,write}: that of a public one; the size is not in it. */
void social_attachment_type_parse(const char *type, size_t len, struct attachment_head *out_head);
void social_attachment_type_write(const struct attachment_head *head,
				  char out_type[static POST_TYPE_LEN_MAX + 1]);
/*
 * social_attachment_unit_cnt: units that a private one of that head has. A public one has as many
 * chunks as its file (BLAKE3_CHUNK_LEN), and one if it is empty.
 */
uint64_t social_attachment_unit_cnt(const struct attachment_head *head, size_t head_len);
uint64_t social_attachment_chunk_cnt(uint64_t size);

#endif
