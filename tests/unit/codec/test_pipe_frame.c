/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pipe_frame.h"
#include "support/check.h"

/* A stream, and what it says: messages as kind (b, t) and text, F finish, E end, ... goes on. */
struct row {
	const char *bytes;
	size_t len;
	const char *said;
	int err;
};
#define ROW(bytes, said, err) {bytes, sizeof(bytes) - 1, said, err}

static const struct row rows[] = {
	ROW("\0\0\0\2\0hi", "b:hi;", 0),
	ROW("\0\0\0\0\0", "b:;", 0),
	ROW("\0\0\0\2\1hi\0\0\0\1\1!", "t:hi;t:!;", 0),
	ROW("\0\0\0\1\2a\0\0\0\1\2b\0\0\0\1\0c", "b:abc;", 0),
	ROW("\0\0\0\1\3a\0\0\0\0\1", "t:a;", 0),
	ROW("\0\0\0\0\4", "F", 0),
	ROW("\0\0\0\1\0a\0\0\0\0\4\0\0\0\1\5\0", "b:a;FE0", 0),
	ROW("\0\0\0\5\5\12full", "E10full", 0),
	ROW("\0\0\0\1\2a\0\0\0\1\5\1", "b:aE1", 0),
	ROW("\0\0\0\0\6", "", WEFT_EMALFORMED),
	ROW("\0\0\0\0\377", "", WEFT_EMALFORMED),
	ROW("\0\0\0\1\2a\0\0\0\1\1b", "b:a", WEFT_EMALFORMED),
	ROW("\0\0\0\1\3a\0\0\0\1\2b", "t:a", WEFT_EMALFORMED),
	ROW("\0\0\0\0\4\0\0\0\0\4", "F", WEFT_EMALFORMED),
	ROW("\0\0\0\0\4\0\0\0\1\0a", "F", WEFT_EMALFORMED),
	ROW("\0\0\0\1\2a\0\0\0\0\4", "b:a", WEFT_EMALFORMED),
	ROW("\0\0\0\1\4a", "", WEFT_ETOOLARGE),
	ROW("\0\0\0\0\5", "", WEFT_EMALFORMED),
	ROW("\0\0\0\3\5\1\300\257", "", WEFT_EMALFORMED),
	ROW("\0\0\0\3\5\1a\0", "", WEFT_EMALFORMED),
	ROW("\0\0\0\1\5\0\0", "E0", WEFT_EMALFORMED),
	ROW("\0\4\0\1\0", "", WEFT_ETOOLARGE),
	ROW("\0\0\0\312\5", "", WEFT_ETOOLARGE),
	ROW("\377\377\377\377\0", "", WEFT_ETOOLARGE),
};
#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

struct hearing {
	struct pipe_frame_in in;
	char said[128];
	bool is_in_message;
};

static void hear_frame(struct hearing *h, const struct pipe_frame *frame)
{
	char *end = h->said + strlen(h->said);
	size_t room = sizeof(h->said) - strlen(h->said);

	if (frame->kind == PIPE_FRAME_FINISH)
		snprintf(end, room, "F");
	else if (frame->kind == PIPE_FRAME_END)
		snprintf(end, room, "E%u%s", frame->status, frame->text);
	else
		snprintf(end, room, "%s%.*s%s",
			 h->is_in_message		  ? ""
			 : frame->kind == PIPE_FRAME_TEXT ? "t:"
							  : "b:",
			 (int)frame->len, frame->len ? (const char *)frame->data : "",
			 frame->is_last ? ";" : "");
	h->is_in_message = frame->kind <= PIPE_FRAME_TEXT && !frame->is_last;
}

/* hear gives the parser len bytes in parts of at most part bytes, and what it ended with. */
static int hear(struct hearing *h, const char *bytes, size_t len, size_t part)
{
	int err = 0;

	*h = (struct hearing){0};
	for (size_t off = 0; off < len && err == 0; off += part) {
		struct cursor c = cursor_of(bytes + off, len - off < part ? len - off : part);
		struct pipe_frame frame;

		while ((err = pipe_frame_input(&h->in, &c, &frame)) == 1)
			hear_frame(h, &frame);
	}
	return err;
}

static void test_streams_say_the_same_however_they_are_cut(void)
{
	for (size_t i = 0; i < ROW_CNT; i++) {
		for (size_t part = 1; part <= rows[i].len; part++) {
			struct hearing h;

			CHECK_EQ(hear(&h, rows[i].bytes, rows[i].len, part), rows[i].err);
			CHECK_STR(h.said, rows[i].said);
		}
	}
}

static void test_a_prefix_waits_for_more(void)
{
	for (size_t i = 0; i < ROW_CNT; i++) {
		for (size_t len = 0; rows[i].err == 0 && len < rows[i].len; len++) {
			struct hearing h;

			CHECK_EQ(hear(&h, rows[i].bytes, len, rows[i].len), 0);
			CHECK_MEM(h.said, rows[i].said, strlen(h.said));
		}
	}
}

/* write_then_read: one frame's head with len zero bytes behind it. */
static int write_then_read(enum pipe_frame_kind kind, size_t len, struct pipe_frame *out_frame)
{
	static uint8_t bytes[PIPE_FRAME_HEAD_LEN + PIPE_FRAME_LEN_MAX + 1];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct pipe_frame_in in = {0};
	struct cursor c;

	pipe_frame_head_write(&w, kind, len);
	c = cursor_of(bytes, writer_len(&w) + len);
	return pipe_frame_input(&in, &c, out_frame);
}

static void test_the_longest_frame_is_taken_and_one_byte_more_is_not(void)
{
	static const enum pipe_frame_kind kinds[] = {PIPE_FRAME_BINARY, PIPE_FRAME_TEXT_MORE};
	struct pipe_frame frame;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		CHECK_EQ(write_then_read(kinds[i], PIPE_FRAME_LEN_MAX, &frame), 1);
		CHECK_EQ(frame.len, PIPE_FRAME_LEN_MAX);
		CHECK_EQ(write_then_read(kinds[i], PIPE_FRAME_LEN_MAX + 1, &frame), WEFT_ETOOLARGE);
	}
	CHECK_EQ(write_then_read(PIPE_FRAME_END, PIPE_FRAME_END_LEN_MAX + 1, &frame),
		 WEFT_ETOOLARGE);
}

static void test_end_is_read_as_written_and_its_text_cut_between_letters(void)
{
	char text[PIPE_FRAME_TEXT_LEN_MAX + 3];
	uint8_t bytes[PIPE_FRAME_HEAD_LEN + PIPE_FRAME_END_LEN_MAX];

	/* Two bytes each, the first one alone: the bound is within a letter. */
	memset(text, 'x', sizeof(text));
	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	for (size_t len = 0; len < sizeof(text); len += len ? 2 : 1) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct pipe_frame_in in = {0};
		struct pipe_frame frame;
		struct cursor c;
		char sent[sizeof(text) + 1];

		snprintf(sent, sizeof(sent), "%.*s", (int)len, text);
		pipe_frame_end_write(&w, 6, sent);
		CHECK(!w.bad);
		c = cursor_of(bytes, writer_len(&w));
		CHECK_EQ(pipe_frame_input(&in, &c, &frame), 1);
		CHECK_EQ(frame.status, 6);
		CHECK_EQ(strlen(frame.text), len > PIPE_FRAME_TEXT_LEN_MAX ? 199 : len);
		CHECK_MEM(frame.text, sent, strlen(frame.text));
	}
}

static void test_kinds_of_pieces(void)
{
	CHECK_EQ(pipe_frame_piece_kind(false, true), PIPE_FRAME_BINARY);
	CHECK_EQ(pipe_frame_piece_kind(true, true), PIPE_FRAME_TEXT);
	CHECK_EQ(pipe_frame_piece_kind(false, false), PIPE_FRAME_BINARY_MORE);
	CHECK_EQ(pipe_frame_piece_kind(true, false), PIPE_FRAME_TEXT_MORE);
}

int main(void)
{
	RUN(test_streams_say_the_same_however_they_are_cut);
	RUN(test_a_prefix_waits_for_more);
	RUN(test_the_longest_frame_is_taken_and_one_byte_more_is_not);
	RUN(test_end_is_read_as_written_and_its_text_cut_between_letters);
	RUN(test_kinds_of_pieces);
	return check_done();
}
