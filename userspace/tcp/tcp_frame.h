/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_FRAME_H
#define WEFT_TCP_TCP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * Frames above TLS (docs/wire/tcp.md): length u24, kind u8, stream u32, then so many bytes. All
 * numbers are big-endian. Stream 0 is the connection. A frame may lie across TLS records.
 */
enum tcp_frame_kind {
	TCP_FRAME_DATA = 0,
	TCP_FRAME_RESET = 1,
	TCP_FRAME_CREDIT = 2,
	TCP_FRAME_CLOSE = 3,
	TCP_FRAME_PING = 4,
	TCP_FRAME_PONG = 5,
	TCP_FRAME_DGRAM = 6,
};

#define TCP_FRAME_HEAD_LEN   8
#define TCP_FRAME_RECORD_LEN 16384 /* the most that one TLS record holds (RFC 8446 5.1) */
#define TCP_FRAME_DATA_MAX   (TCP_FRAME_RECORD_LEN - TCP_FRAME_HEAD_LEN)
#define TCP_FRAME_REASON_MAX 64
#define TCP_FRAME_PING_LEN   8
/* A close: code u64, not before u32, reason. */
#define TCP_FRAME_BODY_MAX (8 + 4 + TCP_FRAME_REASON_MAX)
#define TCP_FRAME_FIN	   0x80 /* a bit of the kind, with DATA alone */
/* A datagram of a relay flow: the ECN bits as a byte, then a label and what follows it. */
#define TCP_FRAME_DGRAM_MAX 1516
#define TCP_FRAME_ECN_LEN   1
#define TCP_FRAME_WHOLE_MAX (TCP_FRAME_ECN_LEN + TCP_FRAME_DGRAM_MAX)

struct tcp_frame {
	enum tcp_frame_kind kind;
	uint32_t stream;
	const uint8_t *data; /* DATA, PING, PONG and DGRAM, the reason of CLOSE; borrowed */
	size_t len;
	bool is_fin;		/* DATA: nothing follows on the stream */
	uint8_t ecn;		/* DGRAM */
	uint64_t code;		/* RESET, CLOSE */
	uint32_t credit;	/* CREDIT */
	uint32_t not_before_ms; /* CLOSE */
};

/* The received part of a frame that is not complete. Zeroed before its first use. */
struct tcp_frame_reader {
	uint8_t head[TCP_FRAME_HEAD_LEN];
	uint8_t body[TCP_FRAME_WHOLE_MAX];
	unsigned head_len, body_len;
	uint32_t left; /* bytes of the frame that have not come, once the head is there */
};

/*
 * tcp_frame_read takes bytes from c until there is something to act on. That is a whole frame, or
 * a piece of a DATA frame (is_fin only with the last piece). data points into c or into reader
 * and is valid until the next call.
 *
 * Returns 1 with *out_frame; 0: c is used up; WEFT_EMALFORMED: a rule of the format is broken.
 */
WEFT_MUST_CHECK
int tcp_frame_read(struct tcp_frame_reader *reader, struct cursor *c, struct tcp_frame *out_frame);

/* tcp_frame_write_head writes the head of a frame with len bytes; kind may hold TCP_FRAME_FIN. */
void tcp_frame_write_head(struct writer *w, unsigned kind, uint32_t stream, size_t len);
/* tcp_frame_write: a whole frame but DATA. */
void tcp_frame_write(struct writer *w, const struct tcp_frame *frame);

#endif
