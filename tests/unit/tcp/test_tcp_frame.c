/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "tcp/tcp_frame.h"
#include "weft/err.h"

static size_t frame_bytes(const struct tcp_frame *frame, uint8_t *bytes, size_t cap)
{
	struct writer w = writer_of(bytes, cap);

	if (frame->kind == TCP_FRAME_DATA) {
		tcp_frame_write_head(&w, TCP_FRAME_DATA | (frame->is_fin ? TCP_FRAME_FIN : 0),
				     frame->stream, frame->len);
		writer_bytes(&w, frame->data, frame->len);
	} else {
		tcp_frame_write(&w, frame);
	}
	return w.bad ? 0 : writer_len(&w);
}

/* docs/wire/tcp.md shows these bytes. */
static const struct {
	struct tcp_frame frame;
	uint8_t bytes[32];
	size_t len;
} vectors[] = {
	{{.kind = TCP_FRAME_DATA, .stream = 1, .data = (const uint8_t *)"hello", .len = 5},
	 "\0\0\5\0\0\0\0\1hello",
	 13},
	{{.kind = TCP_FRAME_DATA, .stream = 1, .is_fin = true}, "\0\0\0\x80\0\0\0\1", 8},
	{{.kind = TCP_FRAME_RESET, .stream = 3, .code = 0x7765662},
	 "\0\0\x08\1\0\0\0\3\0\0\0\0\7\x76\x56\x62",
	 16},
	{{.kind = TCP_FRAME_CREDIT, .stream = 2, .credit = 262144}, "\0\0\4\2\0\0\0\2\0\4\0\0", 12},
	{{.kind = TCP_FRAME_CLOSE,
	  .code = 1,
	  .not_before_ms = 700,
	  .data = (const uint8_t *)"bye",
	  .len = 3},
	 "\0\0\x0f\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\2\xbc"
	 "bye",
	 23},
	{{.kind = TCP_FRAME_PING, .data = (const uint8_t *)"12345678", .len = 8},
	 "\0\0\x08\4\0\0\0\0"
	 "12345678",
	 16},
	{{.kind = TCP_FRAME_PONG, .data = (const uint8_t *)"12345678", .len = 8},
	 "\0\0\x08\5\0\0\0\0"
	 "12345678",
	 16},
	{{.kind = TCP_FRAME_DGRAM, .ecn = 2, .data = (const uint8_t *)"datagram", .len = 8},
	 "\0\0\x09\6\0\0\0\0\2"
	 "datagram",
	 17},
};
#define VECTOR_CNT (sizeof(vectors) / sizeof(vectors[0]))

static bool frames_agree(const struct tcp_frame *a, const struct tcp_frame *b)
{
	return a->kind == b->kind && a->stream == b->stream && a->len == b->len &&
	       (!a->len || memcmp(a->data, b->data, a->len) == 0) && a->is_fin == b->is_fin &&
	       a->ecn == b->ecn && a->code == b->code && a->credit == b->credit &&
	       a->not_before_ms == b->not_before_ms;
}

static void test_frames_are_the_bytes_of_the_vectors(void)
{
	for (size_t i = 0; i < VECTOR_CNT; i++) {
		struct tcp_frame_reader reader = {0};
		struct cursor c = cursor_of(vectors[i].bytes, vectors[i].len);
		struct tcp_frame frame;
		uint8_t bytes[64];

		CHECK_EQ(frame_bytes(&vectors[i].frame, bytes, sizeof(bytes)), vectors[i].len);
		CHECK_MEM(bytes, vectors[i].bytes, vectors[i].len);
		CHECK_EQ(tcp_frame_read(&reader, &c, &frame), 1);
		CHECK(frames_agree(&frame, &vectors[i].frame));
		CHECK_EQ(cursor_left(&c), 0);
		CHECK_EQ(tcp_frame_read(&reader, &c, &frame), 0);
	}
}

static void test_a_frame_that_is_cut_short_is_no_frame(void)
{
	for (size_t i = 0; i < VECTOR_CNT; i++)
		for (size_t len = 0; len < vectors[i].len; len++) {
			struct tcp_frame_reader reader = {0};
			struct cursor c = cursor_of(vectors[i].bytes, len);
			struct tcp_frame frame = {0};
			int rv = tcp_frame_read(&reader, &c, &frame);

			/* Of DATA there may be a piece. */
			CHECK(rv == 0 || (rv == 1 && vectors[i].frame.kind == TCP_FRAME_DATA &&
					  frame.len < vectors[i].frame.len));
			CHECK_EQ(cursor_left(&c), 0);
		}
}

static void test_frames_come_in_pieces_of_any_length(void)
{
	for (size_t cut = 1; cut < 9; cut++) {
		struct tcp_frame_reader reader = {0};
		struct tcp_frame frame;
		uint8_t got[16];
		size_t got_len = 0;
		unsigned whole_cnt = 0;

		for (size_t i = 0; i < VECTOR_CNT; i++)
			for (size_t off = 0; off < vectors[i].len; off += cut) {
				size_t left = vectors[i].len - off;
				struct cursor c =
					cursor_of(vectors[i].bytes + off, left < cut ? left : cut);

				while (tcp_frame_read(&reader, &c, &frame) == 1) {
					whole_cnt += frame.kind != TCP_FRAME_DATA || frame.is_fin;
					/* A piece of DATA that only ends the stream has no bytes. */
					if (frame.kind != TCP_FRAME_DATA || frame.len == 0)
						continue;
					memcpy(got + got_len, frame.data, frame.len);
					got_len += frame.len;
				}
			}
		CHECK_EQ(whole_cnt, VECTOR_CNT - 1);
		CHECK_EQ(got_len, 5);
		CHECK_MEM(got, "hello", 5);
	}
}

static void test_a_frame_against_the_rules_is_refused(void)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		const char *why;
	} rows[] = {
		{"\0\0\1\0\0\0\0\0x", 9, "data on the connection"},
		{"\0\0\0\0\0\0\0\1", 8, "data that is nothing"},
		{"\0\x3f\xf9\0\0\0\0\1", 8, "data longer than a record holds"},
		{"\0\0\x08\x81\0\0\0\1\0\0\0\0\0\0\0\0", 16, "an end of a reset"},
		{"\0\0\x07\1\0\0\0\1", 8, "a short reset"},
		{"\0\0\x08\1\0\0\0\0", 8, "a reset of the connection"},
		{"\0\0\4\2\0\0\0\0\0\0\0\1", 12, "credit of the connection"},
		{"\0\0\4\2\0\0\0\1\0\0\0\0", 12, "credit of nothing"},
		{"\0\0\5\2\0\0\0\1", 8, "long credit"},
		{"\0\0\x0b\3\0\0\0\0", 8, "a short close"},
		{"\0\0\x4d\3\0\0\0\0", 8, "a long close"},
		{"\0\0\x0c\3\0\0\0\1", 8, "a close of a stream"},
		{"\0\0\x08\4\0\0\0\1", 8, "a ping on a stream"},
		{"\0\0\x09\4\0\0\0\0", 8, "a long ping"},
		{"\0\0\1\6\0\0\0\0", 8, "a datagram of nothing"},
		{"\0\5\xee\6\0\0\0\0", 8, "a datagram of 1,517 bytes"},
		{"\0\0\2\6\0\0\0\1", 8, "a datagram on a stream"},
		{"\0\0\2\6\0\0\0\0\4x", 10, "a datagram with three bits of ECN"},
		{"\0\0\2\x86\0\0\0\0\0x", 10, "the end of a datagram"},
		{"\0\0\x08\7\0\0\0\0", 8, "an unknown kind"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tcp_frame_reader reader = {0};
		struct cursor c = cursor_of(rows[i].bytes, rows[i].len);
		struct tcp_frame frame;
		int rv = tcp_frame_read(&reader, &c, &frame);

		if (rv != WEFT_EMALFORMED)
			printf("# accepted: %s\n", rows[i].why);
		CHECK_EQ(rv, WEFT_EMALFORMED);
	}
}

static void test_the_longest_datagram_is_read_whole(void)
{
	static uint8_t data[TCP_FRAME_DGRAM_MAX], bytes[TCP_FRAME_DGRAM_MAX + 16];
	struct tcp_frame frame = {.kind = TCP_FRAME_DGRAM, .data = data, .len = sizeof(data)}, got;
	struct tcp_frame_reader reader = {0};
	struct cursor c;
	size_t len;

	memset(data, 0x5a, sizeof(data));
	len = frame_bytes(&frame, bytes, sizeof(bytes));
	CHECK_EQ(len, TCP_FRAME_DGRAM_MAX + 9);
	c = cursor_of(bytes, len);
	CHECK_EQ(tcp_frame_read(&reader, &c, &got), 1);
	CHECK(frames_agree(&frame, &got));
}

int main(void)
{
	RUN(test_frames_are_the_bytes_of_the_vectors);
	RUN(test_a_frame_that_is_cut_short_is_no_frame);
	RUN(test_frames_come_in_pieces_of_any_length);
	RUN(test_a_frame_against_the_rules_is_refused);
	RUN(test_the_longest_datagram_is_read_whole);
	return check_done();
}
