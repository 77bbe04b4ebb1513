/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of a TCP connection as bytes. The content of a DATA frame passes through in the
 * pieces in which TLS gives it. Other frames are small and kept until they are whole.
 */
#include "tcp/tcp_frame.h"

#define CLOSE_LEN_MIN 12
#define RESET_LEN     8
#define CREDIT_LEN    4
#define ECN_MAX	      3

struct frame_head {
	uint32_t len;
	unsigned kind; /* without TCP_FRAME_FIN */
	bool is_fin;
	uint32_t stream;
};

static struct frame_head head_of(const struct tcp_frame_reader *reader)
{
	struct cursor c = cursor_of(reader->head, sizeof(reader->head));
	uint32_t word = cursor_be32(&c);

	return (struct frame_head){
		.len = word >> 8,
		.kind = word & 0x7f,
		.is_fin = word & TCP_FRAME_FIN,
		.stream = cursor_be32(&c),
	};
}

static bool head_is_good(const struct frame_head *head)
{
	if (head->is_fin && head->kind != TCP_FRAME_DATA)
		return false;
	switch (head->kind) {
	case TCP_FRAME_DATA:
		return head->stream && head->len <= TCP_FRAME_DATA_MAX &&
		       (head->len || head->is_fin);
	case TCP_FRAME_RESET:
		return head->stream && head->len == RESET_LEN;
	case TCP_FRAME_CREDIT:
		return head->stream && head->len == CREDIT_LEN;
	case TCP_FRAME_CLOSE:
		return !head->stream && head->len >= CLOSE_LEN_MIN &&
		       head->len <= TCP_FRAME_BODY_MAX;
	case TCP_FRAME_PING:
	case TCP_FRAME_PONG:
		return !head->stream && head->len == TCP_FRAME_PING_LEN;
	case TCP_FRAME_DGRAM:
		return !head->stream && head->len > TCP_FRAME_ECN_LEN &&
		       head->len <= TCP_FRAME_WHOLE_MAX;
	default:
		return false;
	}
}

/* 1 with the whole head, 0 without, or WEFT_EMALFORMED. */
static int head_read(struct tcp_frame_reader *reader, struct cursor *c)
{
	size_t len = sizeof(reader->head) - reader->head_len;
	struct frame_head head;

	if (len > cursor_left(c))
		len = cursor_left(c);
	cursor_copy(c, reader->head + reader->head_len, len);
	reader->head_len += (unsigned)len;
	if (reader->head_len < sizeof(reader->head))
		return 0;
	head = head_of(reader);
	if (!head_is_good(&head))
		return WEFT_EMALFORMED;
	reader->left = head.len;
	reader->body_len = 0;
	return 1;
}

static int data_read(struct tcp_frame_reader *reader, struct cursor *c, struct tcp_frame *out_frame)
{
	struct frame_head head = head_of(reader);
	size_t len = cursor_left(c) < reader->left ? cursor_left(c) : reader->left;

	if (!len && reader->left)
		return 0;
	*out_frame = (struct tcp_frame){
		.kind = TCP_FRAME_DATA,
		.stream = head.stream,
		.data = len ? cursor_bytes(c, len) : NULL,
		.len = len,
	};
	reader->left -= (uint32_t)len;
	if (reader->left)
		return 1;
	out_frame->is_fin = head.is_fin;
	reader->head_len = 0;
	return 1;
}

static int body_parse(const struct tcp_frame_reader *reader, struct tcp_frame *out_frame)
{
	struct frame_head head = head_of(reader);
	struct cursor c = cursor_of(reader->body, reader->body_len);
	struct tcp_frame frame = {.kind = (enum tcp_frame_kind)head.kind, .stream = head.stream};

	switch (frame.kind) {
	case TCP_FRAME_RESET:
		frame.code = cursor_be64(&c);
		break;
	case TCP_FRAME_CREDIT:
		frame.credit = cursor_be32(&c);
		if (!frame.credit)
			return WEFT_EMALFORMED;
		break;
	case TCP_FRAME_CLOSE:
		frame.code = cursor_be64(&c);
		frame.not_before_ms = cursor_be32(&c);
		frame.len = cursor_left(&c);
		frame.data = cursor_bytes(&c, frame.len);
		break;
	case TCP_FRAME_DGRAM:
		frame.ecn = cursor_u8(&c);
		if (frame.ecn > ECN_MAX)
			return WEFT_EMALFORMED;
		frame.len = cursor_left(&c);
		frame.data = cursor_bytes(&c, frame.len);
		break;
	default:
		frame.len = cursor_left(&c);
		frame.data = cursor_bytes(&c, frame.len);
	}
	*out_frame = frame;
	return 1;
}

static int body_read(struct tcp_frame_reader *reader, struct cursor *c, struct tcp_frame *out_frame)
{
	size_t len = cursor_left(c) < reader->left ? cursor_left(c) : reader->left;

	cursor_copy(c, reader->body + reader->body_len, len);
	reader->body_len += (unsigned)len;
	reader->left -= (uint32_t)len;
	if (reader->left)
		return 0;
	reader->head_len = 0;
	return body_parse(reader, out_frame);
}

int tcp_frame_read(struct tcp_frame_reader *reader, struct cursor *c, struct tcp_frame *out_frame)
{
	int err;

	if (reader->head_len < sizeof(reader->head) && (err = head_read(reader, c)) <= 0)
		return err;
	if (head_of(reader).kind == TCP_FRAME_DATA)
		return data_read(reader, c, out_frame);
	return body_read(reader, c, out_frame);
}

void tcp_frame_write_head(struct writer *w, unsigned kind, uint32_t stream, size_t len)
{
	writer_be32(w, (uint32_t)len << 8 | (uint32_t)kind);
	writer_be32(w, stream);
}

void tcp_frame_write(struct writer *w, const struct tcp_frame *frame)
{
	switch (frame->kind) {
	case TCP_FRAME_RESET:
		tcp_frame_write_head(w, frame->kind, frame->stream, RESET_LEN);
		writer_be64(w, frame->code);
		break;
	case TCP_FRAME_CREDIT:
		tcp_frame_write_head(w, frame->kind, frame->stream, CREDIT_LEN);
		writer_be32(w, frame->credit);
		break;
	case TCP_FRAME_CLOSE:
		tcp_frame_write_head(w, frame->kind, 0, CLOSE_LEN_MIN + frame->len);
		writer_be64(w, frame->code);
		writer_be32(w, frame->not_before_ms);
		writer_bytes(w, frame->data, frame->len);
		break;
	case TCP_FRAME_DGRAM:
		tcp_frame_write_head(w, frame->kind, 0, TCP_FRAME_ECN_LEN + frame->len);
		writer_u8(w, frame->ecn);
		writer_bytes(w, frame->data, frame->len);
		break;
	default:
		tcp_frame_write_head(w, frame->kind, 0, frame->len);
		writer_bytes(w, frame->data, frame->len);
	}
}
