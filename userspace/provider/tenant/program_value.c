/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/tenant/program_value.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define SIGNED_TAG  "program"
#define NAME_PREFIX "app:"
#define SKEW_S	    300
#define BODY_CAP    (PROGRAM_VALUE_LEN_MAX + OVERLAY_NAME_LEN_MAX + 48)

static const struct cbor_field body_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct program_value, name),
	 CBOR_LEN(struct program_value, name_len), .min = 1, .max = OVERLAY_NAME_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct program_value, number)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct program_value, created_s)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct program_value, expires_s)},
	{4, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct program_value, bytes),
	 CBOR_LEN(struct program_value, len), .max = PROGRAM_VALUE_LEN_MAX},
};
static const struct cbor_table body_table = {CBOR_FIELDS(body_fields), .is_closed = true};

size_t provider_program_value_name(const char *service, const char *tag, const void *key,
				   size_t key_len, uint8_t out_name[static OVERLAY_NAME_LEN_MAX])
{
	struct writer w = writer_of(out_name, OVERLAY_NAME_LEN_MAX);

	if (!key_len || key_len > PROGRAM_VALUE_KEY_LEN_MAX)
		return 0;
	writer_bytes(&w, NAME_PREFIX, strlen(NAME_PREFIX));
	writer_bytes(&w, service, strlen(service));
	writer_u8(&w, ':');
	writer_bytes(&w, tag, strlen(tag));
	writer_u8(&w, ':');
	writer_bytes(&w, key, key_len);
	return w.bad ? 0 : writer_len(&w);
}

void provider_program_value_write(struct writer *w, const struct program_value *value,
				  const struct node_key *key)
{
	uint8_t body[BODY_CAP];
	struct writer b = writer_of(body, sizeof(body));

	cbor_fields_write(&b, &body_table, value);
	if (b.bad || value->len > PROGRAM_VALUE_LEN_MAX) {
		w->bad = true;
		return;
	}
	writer_u8(w, PROGRAM_VALUE_OVERLAY_TAG);
	signed_write(w, key, SIGNED_TAG, body, writer_len(&b));
}

static int value_parse(const uint8_t *bytes, size_t len, struct signed_object *object,
		       struct program_value *out_value)
{
	int err;

	*out_value = (struct program_value){.name = NULL};
	if (len < 1 || bytes[0] != PROGRAM_VALUE_OVERLAY_TAG)
		return WEFT_EMALFORMED;
	err = signed_parse(bytes + 1, len - 1, object);
	if (err == 0)
		err = cbor_fields_parse(object->body, object->body_len, &body_table, out_value);
	if (err == 0)
		out_value->signer = object->signer;
	return err < 0 ? WEFT_EMALFORMED : 0;
}

int provider_program_value_parse(const uint8_t *bytes, size_t len, struct program_value *out_value)
{
	struct signed_object object;

	return value_parse(bytes, len, &object, out_value);
}

static int value_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	struct signed_object object;
	struct program_value own;
	int err = value_parse(value->bytes, value->len, &object, &own);

	(void)ctx;
	if (err < 0)
		return err;
	if (own.created_s >= own.expires_s ||
	    own.expires_s - own.created_s > PROGRAM_VALUE_LIFE_MAX_S)
		return WEFT_EMALFORMED;
	if (own.name_len != value->name_len || memcmp(own.name, value->name, own.name_len) != 0 ||
	    own.created_s > wall_s + SKEW_S)
		return WEFT_EREFUSED;
	if (own.expires_s + SKEW_S < wall_s)
		return WEFT_ESTALE;
	if ((err = signed_verify(&object, SIGNED_TAG)) < 0)
		return err;
	*out_claim = (struct overlay_claim){
		.seq = own.number, .created_s = own.created_s, .expires_s = own.expires_s};
	memcpy(out_claim->writer, object.signer, OVERLAY_WRITER_LEN);
	return 0;
}

struct overlay_rule provider_program_value_rule(void)
{
	return (struct overlay_rule){.tag = PROGRAM_VALUE_OVERLAY_TAG,
				     .prefix = NAME_PREFIX,
				     .len_max = PROGRAM_VALUE_CAP,
				     .key_max = PROGRAM_VALUE_WRITERS_MAX,
				     .prefix_max = 4,
				     .check = value_check,
				     .pool = "overlay.value_cap: values of programs"};
}
