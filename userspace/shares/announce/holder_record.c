/* SPDX-License-Identifier: Apache-2.0 */
#include "holder_record.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define TAG "provider" /* a constant of the wire: stays, although this is a holder */

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct holder, id)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct holder, key)},
	{2, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct holder, places)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct holder, time_s), .max = INT64_MAX},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

void shares_holder_record_write(struct writer *w, const struct node_key *key, struct holder *holder)
{
	uint8_t body[HOLDER_RECORD_LEN_MAX];
	struct writer body_w = writer_of(body, sizeof(body));

	memcpy(holder->key, node_key_public(key), sizeof(holder->key));
	cbor_fields_write(&body_w, &table, holder);
	w->bad |= body_w.bad;
	signed_write(w, key, TAG, body, writer_len(&body_w));
}

int shares_holder_record_parse(const void *bytes, size_t len, struct holder *out_holder)
{
	struct holder holder = {0};
	struct signed_object object;
	int err;

	if (len > HOLDER_RECORD_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	if (cbor_fields_parse(object.body, object.body_len, &table, &holder) < 0 ||
	    memcmp(holder.key, object.signer, sizeof(holder.key)) != 0)
		return WEFT_EMALFORMED;
	*out_holder = holder;
	return 0;
}

int shares_holder_record_verify_signature(const void *bytes, size_t len)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, TAG);
}

int shares_holder_record_check_time(uint64_t time_s, uint64_t wall_s)
{
	if (time_s > wall_s + HOLDER_RECORD_SKEW_S)
		return WEFT_EREFUSED;
	return time_s + HOLDER_RECORD_LIFE_S <= wall_s ? WEFT_ESTALE : 0;
}
