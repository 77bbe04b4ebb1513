/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_LINE_TCP_LINE_FRAME_H
#define WEFT_TCP_LINE_TCP_LINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * Frames of a line, a serial port for example (docs/wire/line.md). A frame is a head, data and a
 * CRC-32 of both, in consistent overhead byte stuffing (COBS), and a zero byte ends it. So a
 * reader that lost bytes finds the next frame at the next zero.
 *
 *	u8 kind ‖ u16 id ‖ u8 seq ‖ u8 ack ‖ data ‖ u32 CRC
 *
 * Numbers are big-endian. id is of the connection: a line has one at a time.
 */
enum tcp_line_kind {
	TCP_LINE_OPEN = 1,   /* its sender begins a connection */
	TCP_LINE_ACCEPT = 2, /* the answer */
	TCP_LINE_DATA = 3,   /* the next bytes; none: nothing follows */
	TCP_LINE_ACK = 4,    /* what came, where there is nothing to send */
	TCP_LINE_END = 5,    /* its sender knows no such connection, or no more */
};
/* A bit of the kind: the sender is the side that opened the connection. */
#define TCP_LINE_OPENER 0x80

#define TCP_LINE_FRAME_MAX 200 /* on the line */
#define TCP_LINE_HEAD_LEN  5
#define TCP_LINE_CRC_LEN   4
/* The zero, and one byte of stuffing, which is enough for up to 254. */
#define TCP_LINE_BODY_MAX (TCP_LINE_FRAME_MAX - 2)
#define TCP_LINE_DATA_MAX (TCP_LINE_BODY_MAX - TCP_LINE_HEAD_LEN - TCP_LINE_CRC_LEN)

struct tcp_line_frame {
	enum tcp_line_kind kind;
	bool is_of_opener;
	uint16_t id;
	uint8_t seq; /* DATA: of this frame */
	uint8_t ack; /* DATA and ACK: of the next frame that the sender wants */
	const uint8_t *data;
	size_t len; /* DATA: up to TCP_LINE_DATA_MAX; else 0 */
};

/* What came since the last zero. Zeroed before its first use. */
struct tcp_line_reader {
	uint8_t body[TCP_LINE_BODY_MAX + 1];
	unsigned len;
	bool is_too_long;
};

/*
 * tcp_line_frame_read takes bytes from c up to the end of a frame. data points into reader and is
 * valid until the next call.
 *
 * Returns 1 with *out_frame; 0: c is used up; WEFT_EMALFORMED: what ended was no frame, or was
 * damaged. The reader goes on behind it.
 */
WEFT_MUST_CHECK
int tcp_line_frame_read(struct tcp_line_reader *reader, struct cursor *c,
			struct tcp_line_frame *out_frame);
/* tcp_line_frame_write returns the length of what it wrote. */
size_t tcp_line_frame_write(const struct tcp_line_frame *frame,
			    uint8_t out[static TCP_LINE_FRAME_MAX]);

#endif
