/* SPDX-License-Identifier: Apache-2.0 */
#include "grant_revocations.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/scheme_text.h"

static void serials_read(struct cbor_reader *r, void *record);
static void serials_write(struct writer *w, const void *record);

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_revocations, serial)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_revocations, made_s),
	 .max = INT64_MAX},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_revocations, below)},
	{3, CBOR_FIELD_CODED, CBOR_NEEDED, .read = serials_read, .write = serials_write},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* They ascend, so that one set has one list. */
static void serials_read(struct cbor_reader *r, void *record)
{
	struct relay_revocations *list = record;
	uint64_t before = 0;

	if (cbor_enter_array(r) > RELAY_REVOKED_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		uint64_t serial = cbor_read_uint(r);

		if (serial <= before)
			cbor_fail(r);
		if (!cbor_is_bad(r))
			list->serials[list->cnt++] = serial;
		before = serial;
	}
}

static void serials_write(struct writer *w, const void *record)
{
	const struct relay_revocations *list = record;

	cbor_write_array(w, list->cnt);
	for (uint32_t i = 0; i < list->cnt; i++)
		cbor_write_uint(w, list->serials[i]);
}

void relay_revocations_write(struct writer *w, const struct node_key *key,
			     struct relay_revocations *list)
{
	uint8_t body[RELAY_REVOCATIONS_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));

	memcpy(list->issuer, node_key_public(key), sizeof(list->issuer));
	cbor_fields_write(&b, &table, list);
	w->bad |= b.bad;
	signed_write(w, key, RELAY_REVOKE_TAG, body, writer_len(&b));
}

int relay_revocations_parse(const void *bytes, size_t len, struct relay_revocations *out_list)
{
	struct signed_object object;
	int err;

	if (len > RELAY_REVOCATIONS_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0 ||
	    (err = signed_verify(&object, RELAY_REVOKE_TAG)) < 0)
		return err;
	*out_list = (struct relay_revocations){.cnt = 0};
	memcpy(out_list->issuer, object.signer, sizeof(out_list->issuer));
	err = cbor_fields_parse(object.body, object.body_len, &table, out_list);
	return err == 0 && out_list->serial == 0 ? WEFT_EMALFORMED : err;
}

/* The first of the array that is not less than serial. */
static uint32_t place_of(const struct relay_revocations *list, uint64_t serial)
{
	uint32_t low = 0, high = list->cnt;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (list->serials[middle] < serial)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool relay_revocations_have(const struct relay_revocations *list, uint64_t serial)
{
	uint32_t at = place_of(list, serial);

	return serial < list->below || (at < list->cnt && list->serials[at] == serial);
}

int relay_revocations_add(struct relay_revocations *list, uint64_t serial)
{
	uint32_t at = place_of(list, serial);

	if (relay_revocations_have(list, serial))
		return WEFT_EEXISTS;
	if (list->cnt == RELAY_REVOKED_MAX)
		return WEFT_EFULL;
	memmove(&list->serials[at + 1], &list->serials[at],
		(list->cnt - at) * sizeof(list->serials[0]));
	list->serials[at] = serial;
	list->cnt++;
	return 0;
}

void relay_revocations_raise(struct relay_revocations *list, uint64_t below)
{
	uint32_t dropped = place_of(list, below);

	if (below <= list->below)
		return;
	list->below = below;
	list->cnt -= dropped;
	memmove(list->serials, &list->serials[dropped], list->cnt * sizeof(list->serials[0]));
}

char *relay_revocations_text_write(const uint8_t *bytes, size_t len,
				   char text[static RELAY_REVOCATIONS_TEXT_CAP])
{
	return relay_scheme_text_write(RELAY_REVOKE_SCHEME, bytes, len, text);
}

int relay_revocations_text_read(const char *text, uint8_t bytes[static RELAY_REVOCATIONS_LEN_MAX],
				size_t *out_len)
{
	struct writer w = writer_of(bytes, RELAY_REVOCATIONS_LEN_MAX);

	return relay_scheme_text_read(RELAY_REVOKE_SCHEME, text, &w, out_len);
}
