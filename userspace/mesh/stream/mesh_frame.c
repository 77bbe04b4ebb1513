/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on a stream, both ways. Stands between the transport's bytes and sessions, requests and
 * incoming requests, each of which owns a struct mesh_frame_in per stream it reads. Never allocates
 * and never looks at a payload.
 *
 * The head is read by hand instead of with codec/cbor, because a prefix must be distinguished
 * from a violation. A giant length or a wrong type is refused at the byte that shows it.
 */
#include "mesh_frame.h"

#include "codec/cbor_fields.h"

#define MAP_OF_FOUR 0xa4

enum { PART_MORE = -1, PART_BAD = -2 };

/* One CBOR head in shortest form: value, or PART_MORE, PART_BAD. */
static int64_t part_uint(struct cursor *c, unsigned major, uint64_t value_max)
{
	unsigned first, extra_len;
	uint64_t value = 0;

	if (!cursor_left(c))
		return PART_MORE;
	first = cursor_u8(c);
	if (first >> 5 != major || (first & 31) > 26)
		return PART_BAD;
	if ((first & 31) < 24)
		return (first & 31) <= value_max ? (int64_t)(first & 31) : PART_BAD;
	extra_len = 1u << ((first & 31) - 24);
	for (unsigned i = 0; i < extra_len; i++) {
		uint64_t bits_left = 8 * (extra_len - 1 - i);

		if (!cursor_left(c))
			return PART_MORE;
		value = value << 8 | cursor_u8(c);
		if (value << bits_left > value_max)
			return PART_BAD;
	}
	/* Shortest form: the value would not have fitted the next smaller one. */
	if (extra_len == 1 ? value < 24 : value >> (4 * extra_len) == 0)
		return PART_BAD;
	return (int64_t)value;
}

/* A key of the map, which has the value of its place, and the field under it. */
static int64_t part_field(struct cursor *c, unsigned key, unsigned major, uint64_t value_max)
{
	if (!cursor_left(c))
		return PART_MORE;
	if (cursor_u8(c) != key)
		return PART_BAD;
	return part_uint(c, major, value_max);
}

static int part_result(int64_t part)
{
	return part == PART_MORE ? 0 : WEFT_EMALFORMED;
}

int mesh_frame_parse(const uint8_t *data, size_t len, struct mesh_frame *out_frame)
{
	static const struct {
		uint8_t major;
		uint64_t value_max;
	} fields[4] = {
		{0, UINT16_MAX},
		{0, UINT32_MAX},
		{0, MESH_FLAGS_MAX},
		{2, UINT32_MAX},
	};
	struct cursor c = cursor_of(data, len);
	int64_t values[4];
	uint32_t frame_len;
	size_t head_len;

	if (len < 4)
		return 0;
	frame_len = cursor_be32(&c);
	if (frame_len < MESH_FRAME_HEAD_LEN_MIN - 4)
		return WEFT_EMALFORMED;
	if (!cursor_left(&c))
		return 0;
	if (cursor_u8(&c) != MAP_OF_FOUR)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < 4; i++) {
		values[i] = part_field(&c, i, fields[i].major, fields[i].value_max);
		if (values[i] < 0)
			return part_result(values[i]);
	}
	head_len = len - cursor_left(&c);
	if (head_len - 4 + (uint64_t)values[3] != frame_len)
		return WEFT_EMALFORMED;
	*out_frame = (struct mesh_frame){
		.type = (uint32_t)values[0],
		.req_id = (uint32_t)values[1],
		.flags = (uint32_t)values[2],
		.payload_len = (size_t)values[3],
	};
	return (int)head_len;
}

void mesh_frame_write(struct writer *w, const struct mesh_frame *frame)
{
	uint8_t *len_at = writer_reserve(w, 4);
	uint8_t *map_at = w->pos;
	struct writer len_writer;

	cbor_write_map(w, 4);
	cbor_field_uint(w, 0, frame->type);
	cbor_field_uint(w, 1, frame->req_id);
	cbor_field_uint(w, 2, frame->flags);
	cbor_write_uint(w, 3);
	cbor_write_bytes_head(w, frame->payload_len);
	if (w->bad)
		return;
	len_writer = writer_of(len_at, 4);
	writer_be32(&len_writer, (uint32_t)((size_t)(w->pos - map_at) + frame->payload_len));
}

void mesh_frame_in_reset(struct mesh_frame_in *in)
{
	in->head_len = 0;
	in->has_frame = false;
	in->body = NULL;
	in->body_len = 0;
}

int mesh_frame_in_head(struct mesh_frame_in *in, struct cursor *c)
{
	int got;

	if (in->has_frame)
		return 1;
	/* Most heads come whole. */
	if (!in->head_len) {
		got = mesh_frame_parse(c->pos, cursor_left(c), &in->frame);
		if (got < 0)
			return got;
		in->has_frame = got > 0;
		if (in->has_frame) {
			(void)cursor_bytes(c, (size_t)got);
			return 1;
		}
	}
	while (cursor_left(c)) {
		in->head[in->head_len++] = cursor_u8(c);
		got = mesh_frame_parse(in->head, in->head_len, &in->frame);
		if (got < 0)
			return got;
		if (got > 0) {
			in->has_frame = true;
			return 1;
		}
	}
	return 0;
}

bool mesh_frame_in_body(struct mesh_frame_in *in, struct cursor *c)
{
	size_t len = in->frame.payload_len - in->body_len;

	if (len > cursor_left(c))
		len = cursor_left(c);
	if (in->body)
		cursor_copy(c, in->body + in->body_len, len);
	else
		(void)cursor_bytes(c, len);
	in->body_len += len;
	return in->body_len == in->frame.payload_len;
}

static const struct cbor_field error_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_error, code), .max = UINT16_MAX},
	{1, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct mesh_error, text)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct mesh_error, not_before_ms)},
};
static const struct cbor_table error_table = {CBOR_FIELDS(error_fields)};

void mesh_error_write(struct writer *w, const struct mesh_error *error)
{
	cbor_fields_write(w, &error_table, error);
}

int mesh_error_parse(const uint8_t *data, size_t len, struct mesh_error *out_error)
{
	struct mesh_error error = {0};
	int err = cbor_fields_parse(data, len, &error_table, &error);

	if (err == 0)
		*out_error = error;
	return err;
}
