/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service's stream on a unix socket, bytes to frames and back. The
 * control socket, local providers and the client library speak it; it
 * knows no sockets.
 */
#include "codec/pipe_frame.h"

#include "codec/text/utf8.h"

static bool kind_is_piece(unsigned kind)
{
	return kind <= PIPE_FRAME_TEXT_MORE;
}

static bool kind_is_more(unsigned kind)
{
	return kind == PIPE_FRAME_BINARY_MORE || kind == PIPE_FRAME_TEXT_MORE;
}

static bool kind_is_text(unsigned kind)
{
	return kind == PIPE_FRAME_TEXT || kind == PIPE_FRAME_TEXT_MORE;
}

static unsigned in_kind(const struct pipe_frame_in *in)
{
	return in->head[PIPE_FRAME_HEAD_LEN - 1];
}

/* head_check: may a frame with this head come now? */
static int head_check(const struct pipe_frame_in *in, uint32_t len)
{
	unsigned kind = in_kind(in);

	if (kind_is_piece(kind)) {
		if (in->is_finished || (in->is_in_message && in->is_text != kind_is_text(kind)))
			return WEFT_EMALFORMED;
		return len > PIPE_FRAME_LEN_MAX ? WEFT_ETOOLARGE : 0;
	}
	if (kind == PIPE_FRAME_FINISH) {
		if (in->is_finished || in->is_in_message)
			return WEFT_EMALFORMED;
		return len > 0 ? WEFT_ETOOLARGE : 0;
	}
	if (kind != PIPE_FRAME_END || len == 0)
		return WEFT_EMALFORMED;
	return len > PIPE_FRAME_END_LEN_MAX ? WEFT_ETOOLARGE : 0;
}

/* head_take: 1 when the head is whole and good, 0 when c is used up. */
static int head_take(struct pipe_frame_in *in, struct cursor *c)
{
	struct cursor head;
	int err;

	while (in->head_len < PIPE_FRAME_HEAD_LEN && cursor_left(c))
		in->head[in->head_len++] = cursor_u8(c);
	if (in->head_len < PIPE_FRAME_HEAD_LEN)
		return 0;
	head = cursor_of(in->head, sizeof(in->head));
	in->left = cursor_be32(&head);
	err = head_check(in, in->left);
	return err < 0 ? err : 1;
}

static int piece_take(struct pipe_frame_in *in, struct cursor *c, struct pipe_frame *out_frame)
{
	size_t len = cursor_left(c) < in->left ? cursor_left(c) : in->left;
	unsigned kind = in_kind(in);
	bool is_whole = len == in->left;

	if (len == 0 && !is_whole)
		return 0;
	*out_frame = (struct pipe_frame){
		.kind = kind_is_text(kind) ? PIPE_FRAME_TEXT : PIPE_FRAME_BINARY,
		.is_last = is_whole && !kind_is_more(kind),
		.data = cursor_bytes(c, len),
		.len = len,
	};
	in->left -= (uint32_t)len;
	in->is_in_message = !out_frame->is_last;
	in->is_text = kind_is_text(kind);
	if (is_whole)
		in->head_len = 0;
	return 1;
}

static int end_take(struct pipe_frame_in *in, struct cursor *c, struct pipe_frame *out_frame)
{
	size_t len = cursor_left(c) < in->left ? cursor_left(c) : in->left;
	const char *text = (const char *)in->end + 1;

	cursor_copy(c, in->end + in->end_len, len);
	in->end_len = (uint8_t)(in->end_len + len);
	in->left -= (uint32_t)len;
	if (in->left)
		return 0;
	in->end[in->end_len] = '\0';
	/* A NUL within would make two texts of it. */
	if (!utf8_is_valid(text, in->end_len - 1u) || strlen(text) != in->end_len - 1u)
		return WEFT_EMALFORMED;
	in->head_len = 0;
	in->is_ended = true;
	*out_frame = (struct pipe_frame){
		.kind = PIPE_FRAME_END,
		.status = in->end[0],
		.text = text,
	};
	return 1;
}

int pipe_frame_input(struct pipe_frame_in *in, struct cursor *c, struct pipe_frame *out_frame)
{
	int err = 1;

	if (in->is_ended)
		return cursor_left(c) ? WEFT_EMALFORMED : 0;
	if (in->head_len < PIPE_FRAME_HEAD_LEN)
		err = head_take(in, c);
	if (err <= 0)
		return err;
	if (kind_is_piece(in_kind(in)))
		return piece_take(in, c, out_frame);
	if (in_kind(in) == PIPE_FRAME_END)
		return end_take(in, c, out_frame);
	in->head_len = 0;
	in->is_finished = true;
	*out_frame = (struct pipe_frame){.kind = PIPE_FRAME_FINISH};
	return 1;
}

void pipe_frame_head_write(struct writer *w, enum pipe_frame_kind kind, size_t len)
{
	writer_be32(w, (uint32_t)len);
	writer_u8(w, (uint8_t)kind);
}

void pipe_frame_end_write(struct writer *w, uint8_t status, const char *text)
{
	size_t len = strnlen(text, PIPE_FRAME_TEXT_LEN_MAX + 1);

	if (len > PIPE_FRAME_TEXT_LEN_MAX) {
		for (len = PIPE_FRAME_TEXT_LEN_MAX; len && (text[len] & 0xc0) == 0x80; len--)
			;
	}
	pipe_frame_head_write(w, PIPE_FRAME_END, 1 + len);
	writer_u8(w, status);
	writer_bytes(w, text, len);
}

enum pipe_frame_kind pipe_frame_piece_kind(bool is_text, bool is_last)
{
	if (is_text)
		return is_last ? PIPE_FRAME_TEXT : PIPE_FRAME_TEXT_MORE;
	return is_last ? PIPE_FRAME_BINARY : PIPE_FRAME_BINARY_MORE;
}
