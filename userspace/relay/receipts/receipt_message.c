/* SPDX-License-Identifier: Apache-2.0 */
#include "receipt_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field claim_fields[] = {
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct relay_claim_message, claim),
	 CBOR_LEN(struct relay_claim_message, claim_len), .min = 1, .max = RELAY_CLAIM_LEN_MAX},
	{2, CBOR_FIELD_BYTES, CBOR_WHEN(struct relay_claim_message, last_len),
	 CBOR_AT(struct relay_claim_message, last), CBOR_LEN(struct relay_claim_message, last_len),
	 .min = 1, .max = RELAY_RECEIPT_LEN_MAX},
};
static const struct cbor_table claim_table = {CBOR_FIELDS(claim_fields)};

static const struct cbor_field receipt_fields[] = {
	{3, CBOR_FIELD_BYTES, CBOR_WHEN(struct relay_receipt_message, receipt_len),
	 CBOR_AT(struct relay_receipt_message, receipt),
	 CBOR_LEN(struct relay_receipt_message, receipt_len), .min = 1,
	 .max = RELAY_RECEIPT_LEN_MAX},
	{4, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_receipt_message, counted.sent),
	 .max = RELAY_RECEIPT_BYTES_MAX},
	{5, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_receipt_message, counted.received),
	 .max = RELAY_RECEIPT_BYTES_MAX},
};
static const struct cbor_table receipt_table = {CBOR_FIELDS(receipt_fields)};

void relay_message_claim_write(struct writer *w, const struct relay_claim_message *message)
{
	cbor_fields_write(w, &claim_table, message);
}

int relay_message_claim_parse(const uint8_t *data, size_t len,
			      struct relay_claim_message *out_message)
{
	struct relay_claim_message message = {.last_len = 0};

	if (cbor_fields_parse(data, len, &claim_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_receipt_write(struct writer *w, const struct relay_receipt_message *message)
{
	cbor_fields_write(w, &receipt_table, message);
}

int relay_message_receipt_parse(const uint8_t *data, size_t len,
				struct relay_receipt_message *out_message)
{
	struct relay_receipt_message message = {.receipt_len = 0};

	if (cbor_fields_parse(data, len, &receipt_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}
