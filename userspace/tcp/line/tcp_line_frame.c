/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/line/tcp_line_frame.h"

#include <string.h>

/* The generator of IEEE 802.3, its lowest bit first. */
#define CRC_GENERATOR 0xedb88320u

static uint32_t crc_of(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC_GENERATOR : 0);
	}
	return ~crc;
}

/* COBS of up to 254 bytes: each zero, and the end, are told by their distance from the one before. */
static size_t stuff(const uint8_t *body, size_t len, uint8_t *out)
{
	size_t mark = 0;

	for (size_t i = 0; i < len; i++) {
		out[i + 1] = body[i];
		if (body[i])
			continue;
		out[mark] = (uint8_t)(i + 1 - mark);
		mark = i + 1;
	}
	out[mark] = (uint8_t)(len + 1 - mark);
	return len + 1;
}

/* In place; body has no zero. False: a distance leads past the end. */
static bool unstuff(uint8_t *body, size_t len)
{
	size_t mark = body[0];

	while (mark < len) {
		size_t next = mark + body[mark];

		body[mark] = 0;
		mark = next;
	}
	return mark == len;
}

static bool frame_is_well_formed(const struct tcp_line_frame *frame)
{
	if (frame->kind < TCP_LINE_OPEN || frame->kind > TCP_LINE_END)
		return false;
	return frame->kind == TCP_LINE_DATA || !frame->len;
}

static int frame_parse(const uint8_t *body, size_t len, struct tcp_line_frame *out_frame)
{
	struct cursor c = cursor_of(body, len);
	struct tcp_line_frame frame;
	uint8_t kind;

	if (len < TCP_LINE_HEAD_LEN + TCP_LINE_CRC_LEN)
		return WEFT_EMALFORMED;
	kind = cursor_u8(&c);
	frame.kind = kind & ~TCP_LINE_OPENER;
	frame.is_of_opener = kind & TCP_LINE_OPENER;
	frame.id = cursor_be16(&c);
	frame.seq = cursor_u8(&c);
	frame.ack = cursor_u8(&c);
	frame.len = len - TCP_LINE_HEAD_LEN - TCP_LINE_CRC_LEN;
	frame.data = cursor_bytes(&c, frame.len);
	if (cursor_be32(&c) != crc_of(body, len - TCP_LINE_CRC_LEN) ||
	    !frame_is_well_formed(&frame))
		return WEFT_EMALFORMED;
	*out_frame = frame;
	return 1;
}

/* A zero came. 0: there was nothing before it. */
static int reader_end(struct tcp_line_reader *reader, struct tcp_line_frame *out_frame)
{
	unsigned len = reader->len;
	bool is_too_long = reader->is_too_long;

	reader->len = 0;
	reader->is_too_long = false;
	if (is_too_long || (len && !unstuff(reader->body, len)))
		return WEFT_EMALFORMED;
	return len ? frame_parse(reader->body + 1, len - 1, out_frame) : 0;
}

int tcp_line_frame_read(struct tcp_line_reader *reader, struct cursor *c,
			struct tcp_line_frame *out_frame)
{
	while (cursor_left(c)) {
		uint8_t byte = cursor_u8(c);
		int rv = byte ? 0 : reader_end(reader, out_frame);

		if (rv)
			return rv;
		if (!byte)
			continue;
		if (reader->len == sizeof(reader->body))
			reader->is_too_long = true;
		else
			reader->body[reader->len++] = byte;
	}
	return 0;
}

size_t tcp_line_frame_write(const struct tcp_line_frame *frame,
			    uint8_t out[static TCP_LINE_FRAME_MAX])
{
	uint8_t body[TCP_LINE_BODY_MAX];
	struct writer w = writer_of(body, sizeof(body));
	size_t len;

	writer_u8(&w, (uint8_t)(frame->kind | (frame->is_of_opener ? TCP_LINE_OPENER : 0)));
	writer_be16(&w, frame->id);
	writer_u8(&w, frame->seq);
	writer_u8(&w, frame->ack);
	writer_bytes(&w, frame->data, frame->len);
	writer_be32(&w, crc_of(body, writer_len(&w)));
	len = stuff(body, writer_len(&w), out);
	out[len++] = 0;
	return len;
}
