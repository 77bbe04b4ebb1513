/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/offer_terms.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"

enum {
	KEY_PROVIDER = 0,
	KEY_SEQUENCE = 240,
	KEY_OFFER_ID = 241,
	KEY_BASE = 242,
	KEY_UNITS = 243,
	KEY_RESERVE = 244,
	KEY_SCHEMA = 245,
};

_Static_assert(OFFER_KEY_LEN == NODE_KEY_LEN, "a provider's key is a node's");

/* The one byte of null (RFC 8949 3.3). */
#define NULL_ITEM 0xf6

static const uint8_t no_id[OFFER_ID_LEN];

/* Null stands for a value that an Update takes back. */
static bool null_is_next(struct cbor_reader *r, bool may_be_null)
{
	if (!may_be_null || cbor_peek(r) != CBOR_NULL)
		return false;
	cbor_read_null(r);
	return true;
}

static void schema_read(struct cbor_reader *r, struct offer_terms *terms)
{
	terms->schema = cbor_read_text(r, &terms->schema_len);
	if (terms->schema_len == 0 || terms->schema_len > OFFER_SCHEMA_NAME_LEN_MAX)
		cbor_fail(r);
}

static void term_read(struct cbor_reader *r, uint64_t key, uint8_t type, struct offer_terms *terms)
{
	bool may_be_null = type == SERVICE_MESSAGE_UPDATE;

	switch (key) {
	case KEY_PROVIDER:
		terms->provider_key = cbor_read_exactly(r, OFFER_KEY_LEN);
		break;
	case KEY_SEQUENCE:
		terms->has_sequence = true;
		terms->sequence = cbor_read_uint(r);
		break;
	case KEY_OFFER_ID:
		cbor_read_fixed(r, terms->offer_id, OFFER_ID_LEN);
		break;
	case KEY_BASE:
		terms->base = cbor_read_uint(r);
		if (type != SERVICE_MESSAGE_UPDATE)
			cbor_fail(r);
		break;
	case KEY_UNITS:
		terms->has_units = true;
		if (!null_is_next(r, may_be_null))
			terms->units = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case KEY_RESERVE:
		terms->has_reserve_key = true;
		if (!null_is_next(r, may_be_null))
			terms->reserve_key = cbor_read_exactly(r, OFFER_KEY_LEN);
		break;
	case KEY_SCHEMA:
		schema_read(r, terms);
		break;
	default:
		cbor_skip(r);
	}
}

/* Names of fields are in the seed form alone, and then there are no numbers beside them. */
static int names_check(struct cbor_reader *r)
{
	const char *name;
	size_t len;

	while (cbor_next_text_key(r, &name, &len))
		cbor_skip(r);
	return cbor_reader_finish(r);
}

static bool type_has_terms(uint8_t type)
{
	return type == SERVICE_MESSAGE_ANNOUNCE || type == SERVICE_MESSAGE_UPDATE ||
	       type == SERVICE_MESSAGE_REVOKE;
}

/* Each type has terms that it must have. has_base: key 242 was there. */
static bool terms_suffice(const struct service_message *msg, const struct offer_terms *terms,
			  bool has_base)
{
	bool is_announce = msg->type == SERVICE_MESSAGE_ANNOUNCE;

	if (msg->type == SERVICE_MESSAGE_UPDATE && (!has_base || terms->sequence <= terms->base))
		return false;
	if (is_announce && msg->service == OFFERS_CUSTOM_SERVICE && !terms->schema)
		return false;
	return !is_announce || terms->provider_key || !msg->is_full_cover;
}

static int key_check(const struct service_message *msg, const uint8_t *provider_key)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	if (!provider_key)
		return 0;
	offers_address(provider_key, address);
	return memcmp(address, msg->provider, sizeof(address)) == 0 ? 0 : WEFT_EWRONGKEY;
}

int offer_terms_read(const struct service_message *msg, struct offer_terms *out_terms)
{
	struct offer_terms terms = {.sequence = msg->timestamp_s, .units = 1};
	bool has_base = false;
	struct cbor_reader r;
	uint64_t key;
	int err;

	if (!type_has_terms(msg->type))
		return WEFT_EMALFORMED;
	cbor_reader_init(&r, msg->payload, msg->payload_len);
	cbor_enter_map(&r);
	if (cbor_peek(&r) == CBOR_TEXT && !msg->is_full_cover) {
		err = names_check(&r);
	} else {
		while (cbor_next_key(&r, &key)) {
			has_base |= key == KEY_BASE;
			term_read(&r, key, msg->type, &terms);
		}
		err = cbor_reader_finish(&r);
	}
	if (err < 0 || !terms_suffice(msg, &terms, has_base))
		return WEFT_EMALFORMED;
	if ((err = key_check(msg, terms.provider_key)) < 0)
		return err;
	*out_terms = terms;
	return 0;
}

/* --- writing --- */

static void reserve_key_write(struct writer *w, const struct offer_terms *terms)
{
	if (terms->reserve_key) {
		cbor_field_bytes(w, KEY_RESERVE, terms->reserve_key, OFFER_KEY_LEN);
	} else {
		cbor_write_uint(w, KEY_RESERVE);
		writer_u8(w, NULL_ITEM);
	}
}

void offer_terms_write(struct writer *w, uint8_t type, const struct offer_terms *terms,
		       const struct offer_fields *fields)
{
	bool has_id = memcmp(terms->offer_id, no_id, OFFER_ID_LEN) != 0;
	bool is_update = type == SERVICE_MESSAGE_UPDATE;
	unsigned cnt = fields ? fields->cnt : 0;

	cnt += (unsigned)((terms->provider_key != NULL) + terms->has_sequence + has_id + is_update);
	cnt += (unsigned)(terms->has_units + terms->has_reserve_key + (terms->schema_len > 0));
	cbor_write_map(w, cnt);
	if (terms->provider_key)
		cbor_field_bytes(w, KEY_PROVIDER, terms->provider_key, OFFER_KEY_LEN);
	if (fields)
		writer_bytes(w, fields->bytes, fields->len);
	if (terms->has_sequence)
		cbor_field_uint(w, KEY_SEQUENCE, terms->sequence);
	if (has_id)
		cbor_field_bytes(w, KEY_OFFER_ID, terms->offer_id, OFFER_ID_LEN);
	if (is_update)
		cbor_field_uint(w, KEY_BASE, terms->base);
	if (terms->has_units)
		cbor_field_uint(w, KEY_UNITS, terms->units);
	if (terms->has_reserve_key)
		reserve_key_write(w, terms);
	if (terms->schema_len)
		cbor_field_text(w, KEY_SCHEMA, terms->schema, terms->schema_len);
}

void offer_terms_update(struct offer_terms *terms, const struct offer_terms *update)
{
	terms->has_sequence = update->has_sequence;
	terms->sequence = update->sequence;
	if (update->has_units) {
		terms->has_units = true;
		terms->units = update->units;
	}
	if (update->has_reserve_key) {
		terms->has_reserve_key = true;
		terms->reserve_key = update->reserve_key;
	}
}
