/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_caps.h"

#include <stdbool.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/signed.h"

#define ROLES (SERVICE_ROLE_PROVIDER | SERVICE_ROLE_RELAY)

/* As it is signed. */
struct caps_body {
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct service_caps caps;
};

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_caps_row, service)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_caps_row, roles)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_caps_row, version), .max = 127},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

static const struct cbor_field body_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct caps_body, address)},
	{1, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct caps_body, caps.rows, row_table),
	 CBOR_LEN(struct caps_body, caps.row_cnt)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct caps_body, caps.made_s)},
};
static const struct cbor_table body_table = {CBOR_FIELDS(body_fields)};

static bool rows_are_sound(const struct service_caps *caps)
{
	for (unsigned i = 0; i < caps->row_cnt; i++) {
		const struct service_caps_row *row = &caps->rows[i];

		if ((i && row->service <= row[-1].service) || row->service == OFFERS_ANY_SERVICE ||
		    row->service == OFFERS_RESERVED_SERVICE)
			return false;
	}
	return true;
}

static void rows_mask(struct service_caps *caps)
{
	for (unsigned i = 0; i < caps->row_cnt; i++)
		caps->rows[i].roles &= ROLES;
}

int offers_caps_parse(const void *bytes, size_t len, struct service_caps *out_caps)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct signed_object object;
	struct caps_body body;
	int err;

	if (len > SERVICE_CAPS_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	err = cbor_fields_parse(object.body, object.body_len, &body_table, &body);
	if (err < 0 || !rows_are_sound(&body.caps))
		return WEFT_EMALFORMED;
	offers_address(object.signer, address);
	if (memcmp(address, body.address, sizeof(address)) != 0)
		return WEFT_EWRONGKEY;
	if ((err = signed_verify(&object, SERVICE_CAPS_TAG)) < 0)
		return err;
	memcpy(body.caps.node, object.signer, sizeof(body.caps.node));
	rows_mask(&body.caps);
	*out_caps = body.caps;
	return 0;
}

void offers_caps_write(struct writer *w, const struct service_caps *caps,
		       const struct node_key *key)
{
	uint8_t bytes[SERVICE_CAPS_LEN_MAX];
	struct writer b = writer_of(bytes, sizeof(bytes));
	struct caps_body body = {.caps = *caps};

	if (!rows_are_sound(caps)) {
		w->bad = true;
		return;
	}
	offers_address(node_key_public(key), body.address);
	rows_mask(&body.caps);
	cbor_fields_write(&b, &body_table, &body);
	w->bad |= b.bad;
	signed_write(w, key, SERVICE_CAPS_TAG, bytes, writer_len(&b));
}

const struct service_caps_row *offers_caps_row(const struct service_caps *caps, uint32_t service)
{
	for (unsigned i = 0; i < caps->row_cnt; i++)
		if (caps->rows[i].service == service)
			return &caps->rows[i];
	return NULL;
}
