/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/social_address.h"

#include <string.h>

#include "social/object/social_signed.h"

static const struct cbor_field address_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct social_address, time_ms)},
	{1, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct social_address, places)},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct social_address, caps)},
};
static const struct cbor_table address_table = {CBOR_FIELDS(address_fields)};
static const struct social_kind address_kind = {SOCIAL_ADDRESS_TAG, &address_table,
						SOCIAL_ADDRESS_LEN_MAX};

int social_address_read(const void *bytes, size_t len, struct social_address *out_address)
{
	const uint8_t *signer = NULL;
	int err;

	*out_address = (struct social_address){.time_ms = 0};
	if ((err = social_signed_read(&address_kind, bytes, len, out_address, &signer)) < 0)
		return err;
	memcpy(out_address->node, signer, sizeof(out_address->node));
	return 0;
}

void social_address_write(struct writer *w, const struct social_address *address,
			  const struct node_key *node)
{
	social_signed_write(w, &address_kind, address, node);
}
