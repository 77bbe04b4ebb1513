/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/endorsement_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct endorsement_message, hop_cnt),
	 .max = ENDORSEMENT_HOPS_END - 1},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct endorsement_message, bytes),
	 CBOR_LEN(struct endorsement_message, len), .min = 1, .max = ENDORSEMENT_LEN_MAX},
};
/* Else a relay would send on what it did not read. */
static const struct cbor_table table = {CBOR_FIELDS(fields), .is_closed = true};

int offers_endorsement_message_parse(const void *data, size_t len,
				     struct endorsement_message *out_message)
{
	struct endorsement_message message;
	int err = cbor_fields_parse(data, len, &table, &message);

	if (err == 0)
		*out_message = message;
	return err;
}

void offers_endorsement_message_write(struct writer *w, const struct endorsement_message *message)
{
	cbor_fields_write(w, &table, message);
}
