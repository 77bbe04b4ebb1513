/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"

/* Begins every text that is signed, so that a signature for another protocol is none here. */
#define DOMAIN	   "MESHSIG1"
#define DOMAIN_LEN 8

/* The bytes in front of a body. */
#define HEAD_LEN (DOMAIN_LEN + 1 + STATEMENT_TAG_LEN_MAX + 4)

/*
 * The text in one piece, as Ed25519 reads it twice. Bodies up to the
 * length of an overlay's value, or of a service message, need no memory
 * but the stack's; manifests do.
 */
struct statement_text {
	size_t len;
	uint8_t *bytes; /* own, or those of a long body */
	uint8_t own[HEAD_LEN + STATEMENT_BODY_LEN_ON_STACK];
};

/* text_init: 0, or -ENOMEM for a long body. */
static int text_init(struct statement_text *text, const struct statement *statement)
{
	size_t tag_len = strlen(statement->tag), len = statement->head_len + statement->rest_len;
	struct writer w;

	weft_assert(tag_len <= STATEMENT_TAG_LEN_MAX);
	weft_assert(len <= STATEMENT_BODY_LEN_MAX);
	text->bytes = HEAD_LEN + len <= sizeof(text->own) ? text->own : malloc(HEAD_LEN + len);
	if (!text->bytes)
		return -ENOMEM;
	w = writer_of(text->bytes, HEAD_LEN + len);
	writer_bytes(&w, DOMAIN, DOMAIN_LEN);
	writer_u8(&w, (uint8_t)tag_len);
	writer_bytes(&w, statement->tag, tag_len);
	writer_be32(&w, (uint32_t)len);
	writer_bytes(&w, statement->head, statement->head_len);
	writer_bytes(&w, statement->rest, statement->rest_len);
	text->len = writer_len(&w);
	return 0;
}

static void text_fini(struct statement_text *text)
{
	if (text->bytes != text->own)
		free(text->bytes);
}

int statement_sign(const struct statement *statement, const struct node_key *key,
		   uint8_t out_signature[static NODE_KEY_SIG_LEN])
{
	struct statement_text text;
	int err = text_init(&text, statement);

	if (err < 0)
		return err;
	node_key_sign(key, text.bytes, text.len, out_signature);
	text_fini(&text);
	return 0;
}

int statement_verify(const struct statement *statement, const uint8_t signer[static NODE_KEY_LEN],
		     const uint8_t signature[static NODE_KEY_SIG_LEN])
{
	struct statement_text text;
	int err = text_init(&text, statement);

	if (err < 0)
		return err;
	err = node_key_verify(signer, text.bytes, text.len, signature);
	text_fini(&text);
	return err;
}
