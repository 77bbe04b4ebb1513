/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "crypto/node_key.h"

/* Begins every text that is signed, so that a signature for another protocol is none here. */
#define DOMAIN	   "MESHSIG1"
#define DOMAIN_LEN 8

enum { KEY_BODY = 0, KEY_SIGNER = 1, KEY_SIGNATURE = 2 };

/* The bytes in front of a body. */
#define STATEMENT_HEAD_LEN (DOMAIN_LEN + 1 + SIGNED_TAG_LEN_MAX + 4)

/*
 * The text that is signed, in one piece, as Ed25519 reads it twice. Bodies up to the
 * length of an overlay's value need no memory but the stack's; manifests do.
 */
struct statement {
	size_t len;
	uint8_t *bytes; /* own, or those of a long body */
	uint8_t own[STATEMENT_HEAD_LEN + 65536];
};

/* statement_init: 0, or -ENOMEM for a long body. */
static int statement_init(struct statement *statement, const char *tag, const void *body,
			  size_t len)
{
	size_t tag_len = strlen(tag), cap = STATEMENT_HEAD_LEN + len;
	struct writer w;

	weft_assert(tag_len <= SIGNED_TAG_LEN_MAX);
	weft_assert(len <= SIGNED_BODY_LEN_MAX);
	statement->bytes = cap <= sizeof(statement->own) ? statement->own : malloc(cap);
	if (!statement->bytes)
		return -ENOMEM;
	w = writer_of(statement->bytes, cap);
	writer_bytes(&w, DOMAIN, DOMAIN_LEN);
	writer_u8(&w, (uint8_t)tag_len);
	writer_bytes(&w, tag, tag_len);
	writer_be32(&w, (uint32_t)len);
	writer_bytes(&w, body, len);
	statement->len = writer_len(&w);
	return 0;
}

static void statement_fini(struct statement *statement)
{
	if (statement->bytes != statement->own)
		free(statement->bytes);
}

void signed_write(struct writer *w, const struct node_key *key, const char *tag, const void *body,
		  size_t len)
{
	uint8_t signature[NODE_KEY_SIG_LEN];
	struct statement statement;

	if (len > SIGNED_BODY_LEN_MAX || statement_init(&statement, tag, body, len) < 0) {
		w->bad = true;
		return;
	}
	node_key_sign(key, statement.bytes, statement.len, signature);
	statement_fini(&statement);
	cbor_write_map(w, 3);
	cbor_field_bytes(w, KEY_BODY, body, len);
	cbor_field_bytes(w, KEY_SIGNER, node_key_public(key), NODE_KEY_LEN);
	cbor_field_bytes(w, KEY_SIGNATURE, signature, sizeof(signature));
}

/* The next field, which has to be key with a byte string. */
static const uint8_t *field_read(struct cbor_reader *r, uint64_t key, size_t *out_len)
{
	uint64_t got;

	if (!cbor_next_key(r, &got) || got != key)
		cbor_fail(r);
	return cbor_read_bytes(r, out_len);
}

static bool is_deterministic(const uint8_t *body, size_t len)
{
	struct cbor_reader r;

	cbor_reader_init(&r, body, len);
	cbor_skip(&r);
	return cbor_reader_finish(&r) == 0;
}

int signed_parse(const void *bytes, size_t len, struct signed_object *out_object)
{
	struct signed_object object;
	size_t signer_len, signature_len;
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	object.body = field_read(&r, KEY_BODY, &object.body_len);
	object.signer = field_read(&r, KEY_SIGNER, &signer_len);
	object.signature = field_read(&r, KEY_SIGNATURE, &signature_len);
	/* Another field would not be signed. */
	if (cbor_next_key(&r, &key))
		cbor_fail(&r);
	if (cbor_reader_finish(&r) < 0 || signer_len != NODE_KEY_LEN ||
	    signature_len != NODE_KEY_SIG_LEN)
		return WEFT_EMALFORMED;
	if (object.body_len > SIGNED_BODY_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!is_deterministic(object.body, object.body_len))
		return WEFT_EMALFORMED;
	*out_object = object;
	return 0;
}

int signed_verify(const struct signed_object *object, const char *tag)
{
	struct statement statement;
	int err = statement_init(&statement, tag, object->body, object->body_len);

	if (err < 0)
		return err;
	err = node_key_verify(object->signer, statement.bytes, statement.len, object->signature);
	statement_fini(&statement);
	return err;
}
