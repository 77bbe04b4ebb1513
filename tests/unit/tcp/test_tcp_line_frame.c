/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/random.h"
#include "tcp/line/tcp_line_frame.h"

/* docs/wire/line.md shows these bytes. */
static const struct {
	struct tcp_line_frame frame;
	uint8_t bytes[32];
	size_t len;
} vectors[] = {
	{{.kind = TCP_LINE_OPEN, .is_of_opener = true, .id = 0x1234},
	 "\x04\x81\x12\x34\x01\x05\x93\xd6\xbc\x67\x00",
	 11},
	{{.kind = TCP_LINE_DATA,
	  .is_of_opener = true,
	  .id = 0x1234,
	  .seq = 1,
	  .ack = 2,
	  .data = (const uint8_t *)"hello",
	  .len = 5},
	 "\x0f\x83\x12\x34\x01\x02\x68\x65\x6c\x6c\x6f\x76\x84\x16\x20\x00",
	 16},
	{{.kind = TCP_LINE_ACK, .id = 0x1234, .ack = 2},
	 "\x04\x04\x12\x34\x06\x02\x04\xde\xe2\xa9\x00",
	 11},
};
#define VECTOR_CNT (sizeof(vectors) / sizeof(vectors[0]))

static bool frames_agree(const struct tcp_line_frame *a, const struct tcp_line_frame *b)
{
	return a->kind == b->kind && a->is_of_opener == b->is_of_opener && a->id == b->id &&
	       a->seq == b->seq && a->ack == b->ack && a->len == b->len &&
	       (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static void test_frames_have_the_published_bytes(void)
{
	uint8_t bytes[TCP_LINE_FRAME_MAX];

	for (size_t i = 0; i < VECTOR_CNT; i++) {
		CHECK_EQ(tcp_line_frame_write(&vectors[i].frame, bytes), vectors[i].len);
		CHECK_MEM(bytes, vectors[i].bytes, vectors[i].len);
	}
}

/* All lengths, with many zeros and with none: no frame is longer than 200 bytes. */
static void test_a_frame_of_any_length_is_read_as_it_was_written(void)
{
	struct tcp_line_reader reader = {0};
	uint8_t data[TCP_LINE_DATA_MAX], bytes[TCP_LINE_FRAME_MAX];
	struct tcp_line_frame frame = {
		.kind = TCP_LINE_DATA, .id = 0xff00, .seq = 0, .ack = 255, .data = data};
	struct tcp_line_frame read;
	struct random random;

	random_init_seeded(&random, 1);
	for (unsigned zeros = 1; zeros <= 300; zeros += 299)
		for (frame.len = 0; frame.len <= sizeof(data); frame.len++) {
			struct cursor c;
			size_t len;

			for (size_t i = 0; i < frame.len; i++)
				data[i] = random_below(&random, zeros) ? (uint8_t)(i + 1) : 0;
			len = tcp_line_frame_write(&frame, bytes);
			CHECK(len <= TCP_LINE_FRAME_MAX);
			CHECK(memchr(bytes, 0, len) == bytes + len - 1);
			c = cursor_of(bytes, len);
			CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 1);
			CHECK(frames_agree(&frame, &read));
			CHECK_EQ(cursor_left(&c), 0);
		}
	frame.len = sizeof(data);
	CHECK_EQ(tcp_line_frame_write(&frame, bytes), TCP_LINE_FRAME_MAX);
}

static size_t good_frame(uint8_t bytes[static TCP_LINE_FRAME_MAX])
{
	return tcp_line_frame_write(&vectors[1].frame, bytes);
}

static void test_a_frame_that_lacks_bytes_is_damaged_and_the_next_one_is_read(void)
{
	uint8_t bytes[2 * TCP_LINE_FRAME_MAX];
	size_t len = good_frame(bytes);

	/* Each run of bytes within the frame is lost once. */
	for (size_t from = 0; from < len - 1; from++)
		for (size_t to = from + 1; to < len; to++) {
			struct tcp_line_reader reader = {0};
			struct tcp_line_frame read;
			size_t cut_len = len - (to - from);
			struct cursor c;

			(void)good_frame(bytes);
			memmove(bytes + from, bytes + to, len - to);
			(void)good_frame(bytes + cut_len);
			c = cursor_of(bytes, cut_len + len);
			if (cut_len > 1)
				CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), WEFT_EMALFORMED);
			CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 1);
			CHECK(frames_agree(&read, &vectors[1].frame));
		}
}

static void test_a_changed_bit_is_noticed(void)
{
	uint8_t bytes[2 * TCP_LINE_FRAME_MAX];
	size_t len = good_frame(bytes);

	for (size_t bit = 0; bit < 8 * (len - 1); bit++) {
		struct tcp_line_reader reader = {0};
		struct tcp_line_frame read;
		unsigned whole_cnt = 0;
		struct cursor c;
		int rv;

		(void)good_frame(bytes);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		(void)good_frame(bytes + len);
		c = cursor_of(bytes, 2 * len);
		while ((rv = tcp_line_frame_read(&reader, &c, &read)))
			whole_cnt += rv > 0;
		CHECK_EQ(whole_cnt, 1);
	}
}

static void test_a_prefix_of_a_frame_is_none(void)
{
	uint8_t bytes[TCP_LINE_FRAME_MAX];
	size_t len = good_frame(bytes);

	for (size_t cut = 0; cut < len; cut++) {
		struct tcp_line_reader reader = {0};
		struct tcp_line_frame read;
		uint8_t *exact = malloc(cut ? cut : 1);
		struct cursor c = cursor_of(exact, cut);

		memcpy(exact, bytes, cut);
		CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 0);
		c = cursor_of(bytes + cut, len - cut);
		CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 1);
		free(exact);
	}
}

static void test_noise_without_an_end_takes_no_more_than_the_reader(void)
{
	struct tcp_line_reader reader = {0};
	uint8_t noise[1000], bytes[TCP_LINE_FRAME_MAX];
	struct tcp_line_frame read;
	struct cursor c = cursor_of(noise, sizeof(noise));
	size_t len = good_frame(bytes);

	memset(noise, 0x55, sizeof(noise));
	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 0);
	c = cursor_of("", 1);
	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), WEFT_EMALFORMED);
	c = cursor_of(bytes, len);
	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 1);
	/* One byte more than a frame has before its zero. */
	memset(noise, 1, TCP_LINE_FRAME_MAX);
	c = cursor_of(noise, TCP_LINE_FRAME_MAX - 1);
	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 0);
	CHECK(!reader.is_too_long);
	c = cursor_of(noise, 1);
	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 0);
	CHECK(reader.is_too_long);
}

static void test_zeros_between_frames_are_nothing(void)
{
	struct tcp_line_reader reader = {0};
	const uint8_t zeros[5] = {0};
	struct cursor c = cursor_of(zeros, sizeof(zeros));
	struct tcp_line_frame read;

	CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), 0);
}

static void test_what_is_no_frame_is_refused(void)
{
	static const struct tcp_line_frame bad[] = {
		{.kind = 0},
		{.kind = 6},
		{.kind = 0x40 | TCP_LINE_DATA},
		{.kind = TCP_LINE_ACK, .data = (const uint8_t *)"x", .len = 1},
		{.kind = TCP_LINE_END, .data = (const uint8_t *)"x", .len = 1},
	};
	uint8_t bytes[TCP_LINE_FRAME_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tcp_line_reader reader = {0};
		struct tcp_line_frame read;
		struct cursor c = cursor_of(bytes, tcp_line_frame_write(&bad[i], bytes));

		CHECK_EQ(tcp_line_frame_read(&reader, &c, &read), WEFT_EMALFORMED);
	}
}

int main(void)
{
	RUN(test_frames_have_the_published_bytes);
	RUN(test_a_frame_of_any_length_is_read_as_it_was_written);
	RUN(test_a_frame_that_lacks_bytes_is_damaged_and_the_next_one_is_read);
	RUN(test_a_changed_bit_is_noticed);
	RUN(test_a_prefix_of_a_frame_is_none);
	RUN(test_noise_without_an_end_takes_no_more_than_the_reader);
	RUN(test_zeros_between_frames_are_nothing);
	RUN(test_what_is_no_frame_is_refused);
	return check_done();
}
