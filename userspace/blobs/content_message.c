/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers about content, to and from bytes. One table says
 * which fields a message has; a missing field, one too many or one of
 * another kind makes it malformed.
 */
#include "content_message.h"

#include "codec/cbor.h"
#include "mesh/seam.h"

/* Fields by key; the first is always the id. */
enum field { FIELD_NONE, FIELD_FIRST, FIELD_CNT, FIELD_TOTAL, FIELD_BYTES };

struct shape {
	unsigned type;
	enum field fields[3]; /* of keys 1, 2, 3 */
};

static const struct shape requests[] = {
	{MESH_GET_MANIFEST, {FIELD_NONE}},
	{MESH_GET_CHUNK, {FIELD_FIRST}},
	{MESH_GET_CHUNK_HASHES, {FIELD_FIRST, FIELD_CNT}},
	{MESH_RANGE_PROOF, {FIELD_FIRST, FIELD_CNT}},
};

static const struct shape answers[] = {
	{MESH_MANIFEST_DATA, {FIELD_BYTES}},
	{MESH_CHUNK_DATA, {FIELD_FIRST, FIELD_BYTES}},
	{MESH_CHUNK_HASH_LIST, {FIELD_FIRST, FIELD_BYTES, FIELD_TOTAL}},
	{MESH_RANGE_PROOF, {FIELD_FIRST, FIELD_TOTAL, FIELD_BYTES}},
};

#define SHAPE_FIELDS (sizeof(requests[0].fields) / sizeof(requests[0].fields[0]))

static const struct shape *shape_lookup(const struct shape *shapes, size_t cnt, unsigned type)
{
	for (size_t i = 0; i < cnt; i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

static const struct shape *request_shape(unsigned type)
{
	return shape_lookup(requests, sizeof(requests) / sizeof(requests[0]), type);
}

static const struct shape *answer_shape(unsigned type)
{
	return shape_lookup(answers, sizeof(answers) / sizeof(answers[0]), type);
}

static unsigned shape_field_cnt(const struct shape *shape)
{
	unsigned cnt = 0;

	while (cnt < SHAPE_FIELDS && shape->fields[cnt] != FIELD_NONE)
		cnt++;
	return cnt;
}

void blobs_message_id_write(struct writer *w, uint64_t key, const uint8_t id[static 32],
			    const uint8_t *veiled)
{
	cbor_write_uint(w, key);
	cbor_write_bytes_head(w, veiled ? 64 : 32);
	writer_bytes(w, id, 32);
	if (veiled)
		writer_bytes(w, veiled, 32);
}

bool blobs_message_id_read(struct cbor_reader *r, uint8_t out_id[static 32],
			   uint8_t out_veiled[static 32])
{
	size_t len = 0;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || (len != 32 && len != 64)) {
		cbor_fail(r);
		return false;
	}
	memcpy(out_id, bytes, 32);
	if (len == 64)
		memcpy(out_veiled, bytes + 32, 32);
	return len == 64;
}

size_t blobs_message_request_write(unsigned type, const struct message_request *request,
				   uint8_t out[static MESSAGE_REQUEST_CAP])
{
	const struct shape *shape = request_shape(type);
	unsigned cnt = shape_field_cnt(shape);
	struct writer w = writer_of(out, MESSAGE_REQUEST_CAP);

	cbor_write_map(&w, 1 + cnt);
	blobs_message_id_write(&w, 0, request->id, request->is_blind ? request->veiled : NULL);
	for (unsigned i = 0; i < cnt; i++)
		cbor_field_uint(&w, i + 1,
				shape->fields[i] == FIELD_FIRST ? request->first : request->cnt);
	return writer_len(&w);
}

/* Reads the map of shape; what a message has no field for stays zero. */
static int fields_parse(const struct shape *shape, const void *payload, size_t len,
			struct message_answer *out, struct message_request *request)
{
	unsigned field_cnt = shape_field_cnt(shape);
	struct cbor_reader r;
	uint64_t key, seen_cnt = 0;

	*out = (struct message_answer){.first = 0};
	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		seen_cnt++;
		if (key > field_cnt)
			cbor_fail(&r);
		else if (key == 0 && request)
			request->is_blind = blobs_message_id_read(&r, out->id, request->veiled);
		else if (key == 0)
			cbor_read_fixed(&r, out->id, sizeof(out->id));
		else if (shape->fields[key - 1] == FIELD_BYTES)
			out->bytes = cbor_read_bytes(&r, &out->len);
		else if (shape->fields[key - 1] == FIELD_FIRST)
			out->first = cbor_read_uint(&r);
		else if (shape->fields[key - 1] == FIELD_TOTAL)
			out->total = cbor_read_uint(&r);
		else
			request->cnt = cbor_read_uint(&r); /* no answer has one */
	}
	/* Keys ascend and are unique, so counting them finds a missing one. */
	if (seen_cnt != field_cnt + 1)
		cbor_fail(&r);
	return cbor_reader_finish(&r);
}

int blobs_message_request_parse(unsigned type, const void *payload, size_t len,
				struct message_request *out_request)
{
	struct message_request request = {.first = 0};
	struct message_answer fields;
	int err = fields_parse(request_shape(type), payload, len, &fields, &request);

	if (err)
		return err;
	memcpy(request.id, fields.id, sizeof(request.id));
	request.first = fields.first;
	*out_request = request;
	return 0;
}

void blobs_message_answer_write_head(struct writer *w, unsigned type,
				     const struct message_answer *answer)
{
	const struct shape *shape = answer_shape(type);
	unsigned cnt = shape_field_cnt(shape);

	cbor_write_map(w, 1 + cnt);
	cbor_field_bytes(w, 0, answer->id, sizeof(answer->id));
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_uint(w, i + 1);
		if (shape->fields[i] == FIELD_BYTES) {
			cbor_write_bytes_head(w, answer->len);
			return;
		}
		cbor_write_uint(w, shape->fields[i] == FIELD_FIRST ? answer->first : answer->total);
	}
}

size_t blobs_message_answer_write_end(unsigned type, const struct message_answer *answer,
				      uint8_t out[static MESSAGE_END_CAP])
{
	struct writer w = writer_of(out, MESSAGE_END_CAP);

	if (type == MESH_CHUNK_HASH_LIST)
		cbor_field_uint(&w, 3, answer->total);
	return writer_len(&w);
}

int blobs_message_answer_parse(unsigned type, const void *payload, size_t len,
			       struct message_answer *out_answer)
{
	return fields_parse(answer_shape(type), payload, len, out_answer, NULL);
}
