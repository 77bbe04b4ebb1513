/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of messages 420 to 423. */
#include <string.h>

#include "codec/cbor.h"
#include "room_record.h"

#define FIRST_KEYS(cnt) (CBOR_KEY(cnt) - 1)

enum { ASK_HOST, ASK_ROOM, ASK_NUMBER };
enum { ANSWER_BYTES, ANSWER_FIRST };

void builtin_room_ask_write(struct writer *w, const struct room_ask *ask, bool has_number)
{
	cbor_write_map(w, has_number ? 3 : 2);
	cbor_field_bytes(w, ASK_HOST, ask->host, MESH_KEY_LEN);
	cbor_field_text(w, ASK_ROOM, ask->id, POD_ID_LEN);
	if (has_number)
		cbor_field_uint(w, ASK_NUMBER, ask->number);
}

int builtin_room_ask_parse(const uint8_t *payload, size_t len, bool has_number,
			   struct room_ask *out_ask)
{
	struct cbor_reader r;
	uint64_t key;

	*out_ask = (struct room_ask){.host = NULL};
	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case ASK_HOST:
			out_ask->host = cbor_read_exactly(&r, MESH_KEY_LEN);
			break;
		case ASK_ROOM:
			cbor_read_text_copy(&r, out_ask->id, sizeof(out_ask->id));
			break;
		case ASK_NUMBER:
			out_ask->number = cbor_read_uint(&r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	if (strlen(out_ask->id) != POD_ID_LEN)
		cbor_fail(&r);
	return cbor_reader_finish_with(&r, FIRST_KEYS(has_number ? 3 : 2));
}

void builtin_room_answer_write(struct writer *w, const struct room_answer *answer, bool has_first)
{
	cbor_write_map(w, has_first ? 2 : 1);
	cbor_field_bytes(w, ANSWER_BYTES, answer->bytes, answer->len);
	if (has_first)
		cbor_field_uint(w, ANSWER_FIRST, answer->first);
}

int builtin_room_answer_parse(const uint8_t *payload, size_t len, bool has_first,
			      struct room_answer *out_answer)
{
	struct cbor_reader r;
	uint64_t key;

	*out_answer = (struct room_answer){.bytes = NULL};
	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case ANSWER_BYTES:
			out_answer->bytes = cbor_read_bytes(&r, &out_answer->len);
			break;
		case ANSWER_FIRST:
			out_answer->first = cbor_read_uint(&r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish_with(&r, FIRST_KEYS(has_first ? 2 : 1));
}
