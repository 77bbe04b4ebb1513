/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of messages 420 to 423. */
#include <string.h>

#include "codec/cbor_fields.h"
#include "room_record.h"

static const struct cbor_field ask_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct room_ask, host), .max = MESH_KEY_LEN},
	{1, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct room_ask, id)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct room_ask, number)},
};
static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct room_answer, bytes),
	 CBOR_LEN(struct room_answer, len)},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct room_answer, first)},
};

/* The last field is of one of the two messages of each kind. */
static struct cbor_table table_of(const struct cbor_field *fields, unsigned cnt, bool has_last)
{
	return (struct cbor_table){.fields = fields, .cnt = has_last ? cnt : cnt - 1};
}

void builtin_room_ask_write(struct writer *w, const struct room_ask *ask, bool has_number)
{
	struct cbor_table table = table_of(ask_fields, 3, has_number);

	cbor_fields_write(w, &table, ask);
}

int builtin_room_ask_parse(const uint8_t *payload, size_t len, bool has_number,
			   struct room_ask *out_ask)
{
	struct cbor_table table = table_of(ask_fields, 3, true);
	struct cbor_reader r;

	*out_ask = (struct room_ask){.host = NULL};
	cbor_reader_init(&r, payload, len);
	cbor_fields_read(&r, &table, out_ask);
	if (strlen(out_ask->id) != POD_ID_LEN)
		cbor_fail(&r);
	return cbor_reader_finish_with(&r, has_number ? CBOR_KEY(2) : 0);
}

void builtin_room_answer_write(struct writer *w, const struct room_answer *answer, bool has_first)
{
	struct cbor_table table = table_of(answer_fields, 2, has_first);

	cbor_fields_write(w, &table, answer);
}

int builtin_room_answer_parse(const uint8_t *payload, size_t len, bool has_first,
			      struct room_answer *out_answer)
{
	struct cbor_table table = table_of(answer_fields, 2, true);
	struct cbor_reader r;

	*out_answer = (struct room_answer){.bytes = NULL};
	cbor_reader_init(&r, payload, len);
	cbor_fields_read(&r, &table, out_answer);
	return cbor_reader_finish_with(&r, has_first ? CBOR_KEY(1) : 0);
}
