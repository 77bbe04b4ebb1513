/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_POST_H
#define WEFT_SOCIAL_OBJECT_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * A post: what a person says, which never changes (docs/wire/social.md). Its
 * id is the BLAKE3 hash of its bytes. Author and audience are signed beside
 * it, so that a change of the audience leaves the id:
 *
 *	0 version 1 | 1 author 32 | 2 time ms | 3 content | 4 attachments
 *	5 parent 32? | 6 [person 32]?
 *	attachment: [ids, type, size]
 *
 * The content of a private post is base64 of nonce, ciphertext and tag. An
 * attachment of a public post has one id, that of a file. One of a private
 * post has an id for each of its sealed units. Its type and size stand inside
 * the first of them, and are empty here.
 *
 * Pure, and thread-safe.
 */
#define POST_ID_LEN		 BLAKE3_HASH_LEN
#define POST_LEN_MAX		 (256u << 10)
#define POST_ATTACHMENTS_MAX	 32u
#define POST_UNITS_MAX		 1024u /* of an attachment */
#define POST_TYPE_LEN_MAX	 127u
#define POST_ATTACHMENT_SIZE_MAX (1ull << 40)
#define POST_MENTIONS_MAX	 64u

/* Pointers borrow the bytes that were parsed. */
struct post_attachment {
	const uint8_t *ids; /* ids_len: POST_ID_LEN each, 1 to POST_UNITS_MAX */
	size_t ids_len;
	const char *type; /* a media type, or empty */
	size_t type_len;
	uint64_t size; /* bytes */
};

struct post {
	const uint8_t *author; /* NODE_KEY_LEN */
	uint64_t time_ms;
	const char *content;
	size_t content_len;
	struct post_attachment attachments[POST_ATTACHMENTS_MAX];
	unsigned attachment_cnt;
	const uint8_t *parent; /* the post that it replies to, or NULL */
	uint8_t mentions[POST_MENTIONS_MAX][NODE_KEY_LEN];
	unsigned mention_cnt;
};

/*
 * social_post_parse: 0, WEFT_ETOOLARGE (more than POST_LEN_MAX bytes) or WEFT_EMALFORMED. Then
 * out_post is unspecified.
 */
WEFT_MUST_CHECK
int social_post_parse(const void *bytes, size_t len, struct post *out_post);
/* social_post_write: what no reader takes, more than POST_LEN_MAX bytes for one, makes w bad. */
void social_post_write(struct writer *w, const struct post *post);
/* social_post_id hashes the bytes that social_post_write made. */
void social_post_id(const void *bytes, size_t len, uint8_t out_id[static POST_ID_LEN]);

#endif
