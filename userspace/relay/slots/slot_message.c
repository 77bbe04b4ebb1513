/* SPDX-License-Identifier: Apache-2.0 */
#include "slot_message.h"

#include <stdio.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/text/zbase32.h"

#define SLOT_LEN 8u

static const struct cbor_field register_fields[] = {
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_register_message, nonce)},
};
static const struct cbor_table register_table = {CBOR_FIELDS(register_fields)};

static const struct cbor_field registered_fields[] = {
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_registered_message, slot)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_registered_message, life_s),
	 .max = RELAY_SLOT_LIFE_S},
	{3, CBOR_FIELD_FIXED, CBOR_HAS(struct relay_registered_message, has_key),
	 CBOR_AT(struct relay_registered_message, key)},
};
static const struct cbor_table registered_table = {CBOR_FIELDS(registered_fields)};

static const struct cbor_field connect_fields[] = {
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_connect_message, slot)},
};
static const struct cbor_table connect_table = {CBOR_FIELDS(connect_fields)};

void relay_message_register_write(struct writer *w, const struct relay_register_message *message)
{
	cbor_fields_write(w, &register_table, message);
}

int relay_message_register_parse(const uint8_t *data, size_t len,
				 struct relay_register_message *out_message)
{
	struct relay_register_message message = {.nonce = 0};

	if (cbor_fields_parse(data, len, &register_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_registered_write(struct writer *w,
				    const struct relay_registered_message *message)
{
	cbor_fields_write(w, &registered_table, message);
}

int relay_message_registered_parse(const uint8_t *data, size_t len,
				   struct relay_registered_message *out_message)
{
	struct relay_registered_message message = {.slot = 0};

	if (cbor_fields_parse(data, len, &registered_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_connect_write(struct writer *w, const struct relay_connect_message *message)
{
	cbor_fields_write(w, &connect_table, message);
}

int relay_message_connect_parse(const uint8_t *data, size_t len,
				struct relay_connect_message *out_message)
{
	struct relay_connect_message message = {.slot = 0};

	if (cbor_fields_parse(data, len, &connect_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

/* --- text --- */

char *relay_slot_text_write(uint64_t slot, const uint8_t relay[static MESH_KEY_LEN],
			    char text[static RELAY_SLOT_TEXT_CAP])
{
	uint8_t bytes[SLOT_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char *at = text + ZBASE32_TEXT_LEN(SLOT_LEN);

	writer_be64(&w, slot);
	zbase32_write(bytes, sizeof(bytes), text);
	*at = '@';
	zbase32_write(relay, MESH_KEY_LEN, at + 1);
	return text;
}

int relay_slot_text_read(const char *text, uint64_t *out_slot, uint8_t relay[static MESH_KEY_LEN])
{
	const char *at = strchr(text, '@');
	uint8_t bytes[SLOT_LEN], key[MESH_KEY_LEN];
	uint64_t slot = 0;

	if (!at ||
	    zbase32_parse(text, (size_t)(at - text), bytes, sizeof(bytes)) != (int)sizeof(bytes) ||
	    zbase32_parse(at + 1, strlen(at + 1), key, sizeof(key)) != (int)sizeof(key))
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		slot = slot << 8 | bytes[i];
	*out_slot = slot;
	memcpy(relay, key, sizeof(key));
	return 0;
}
