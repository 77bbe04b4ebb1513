/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signed.h"

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/statement.h"

_Static_assert(SIGNED_TAG_LEN_MAX == STATEMENT_TAG_LEN_MAX, "a tag of either");
_Static_assert(SIGNED_BODY_LEN_MAX == STATEMENT_BODY_LEN_MAX, "a body of either");

enum { KEY_BODY = 0, KEY_SIGNER = 1, KEY_SIGNATURE = 2 };

void signed_write(struct writer *w, const struct node_key *key, const char *tag, const void *body,
		  size_t len)
{
	const struct statement statement = {.tag = tag, .head = body, .head_len = len};
	uint8_t signature[NODE_KEY_SIG_LEN];

	if (len > SIGNED_BODY_LEN_MAX || statement_sign(&statement, key, signature) < 0) {
		w->bad = true;
		return;
	}
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
	const struct statement statement = {
		.tag = tag, .head = object->body, .head_len = object->body_len};

	return statement_verify(&statement, object->signer, object->signature);
}
