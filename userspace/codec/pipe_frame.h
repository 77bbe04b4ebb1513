/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_PIPE_FRAME_H
#define WEFT_CODEC_PIPE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The format of a service's stream on a unix socket, to a local program that opened it or that
 * provides it. It is the same both ways:
 *
 *	u32 length, big-endian ‖ u8 kind ‖ length bytes
 *
 * Messages travel in pieces; the pieces of one are all binary or all text. After FINISH its
 * sender sends no more pieces. END ends both directions and is the last frame: u8 status (enum
 * service_status), then why, in UTF-8. A side that closes the socket without it has gone.
 */
enum pipe_frame_kind {
	PIPE_FRAME_BINARY = 0, /* the last piece of a message, or all of it */
	PIPE_FRAME_TEXT = 1,
	PIPE_FRAME_BINARY_MORE = 2, /* the message goes on */
	PIPE_FRAME_TEXT_MORE = 3,
	PIPE_FRAME_FINISH = 4, /* length 0 */
	PIPE_FRAME_END = 5,
};
#define PIPE_FRAME_HEAD_LEN	5
#define PIPE_FRAME_LEN_MAX	(256 * 1024) /* of the bytes behind a head; SERVICE_PIECE_LEN_MAX */
#define PIPE_FRAME_TEXT_LEN_MAX 200	     /* of END; SERVICE_TEXT_LEN_MAX */
#define PIPE_FRAME_END_LEN_MAX	(1 + PIPE_FRAME_TEXT_LEN_MAX)

/*
 * The result of input. For a piece it has the bytes that are there, so that
 * none is held here; is_last with the last of a message. data is borrowed from
 * the cursor, and so may be empty with is_last.
 */
struct pipe_frame {
	enum pipe_frame_kind kind; /* BINARY or TEXT, whether or not there is more; FINISH; END */
	bool is_last;		   /* of BINARY and TEXT */
	const uint8_t *data;
	size_t len;
	uint8_t status;	  /* of END */
	const char *text; /* of END; NUL-terminated, borrowed from the parser */
};

/* All zero is a parser at the beginning of a stream. */
struct pipe_frame_in {
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	uint8_t head_len;
	uint32_t left; /* bytes of the frame that are to come */
	bool is_in_message;
	bool is_text; /* of that message */
	bool is_finished;
	bool is_ended;
	uint8_t end_len;
	uint8_t end[PIPE_FRAME_END_LEN_MAX + 1];
};

/*
 * pipe_frame_input takes bytes of c, which may be cut anywhere, up to the next
 * thing to tell. A parser that failed is not asked again.
 *
 * Returns 1 with *out_frame, 0 (c is used up), WEFT_ETOOLARGE (length), or
 * WEFT_EMALFORMED. Malformed are: an unknown kind, text within a binary
 * message or the reverse, FINISH within a message or twice. So are a piece
 * after FINISH, anything after END, and text that is no UTF-8.
 */
WEFT_MUST_CHECK
int pipe_frame_input(struct pipe_frame_in *in, struct cursor *c, struct pipe_frame *out_frame);

/* pipe_frame_head_write writes the head of a frame of any kind; len bytes are to follow. */
void pipe_frame_head_write(struct writer *w, enum pipe_frame_kind kind, size_t len);
/* pipe_frame_end_write writes END; of text only what fits, whole letters. */
void pipe_frame_end_write(struct writer *w, uint8_t status, const char *text);
/* pipe_frame_piece_kind: of a piece that is_last of its message or not. */
enum pipe_frame_kind pipe_frame_piece_kind(bool is_text, bool is_last);

#endif
