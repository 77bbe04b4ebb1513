/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"
#include "support/check.h"

/* RFC 9000 A.1 for the first four; then both sides of each border. */
static const struct {
	const char *bytes;
	size_t len;
	uint64_t value;
} rows[] = {
	{"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8, 151288809941952652ull},
	{"\x9d\x7f\x3e\x7d", 4, 494878333},
	{"\x7b\xbd", 2, 15293},
	{"\x25", 1, 37},
	{"\x00", 1, 0},
	{"\x3f", 1, 63},
	{"\x40\x40", 2, 64},
	{"\x7f\xff", 2, 16383},
	{"\x80\x00\x40\x00", 4, 16384},
	{"\xbf\xff\xff\xff", 4, 1073741823},
	{"\xc0\x00\x00\x00\x40\x00\x00\x00", 8, 1073741824},
	{"\xff\xff\xff\xff\xff\xff\xff\xff", 8, VARINT_MAX},
};

static void test_vectors_are_read_and_written_and_no_prefix_is_read(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cursor c = cursor_of(rows[i].bytes, rows[i].len);
		uint8_t bytes[8];
		struct writer w = writer_of(bytes, rows[i].len);

		CHECK_EQ(varint_read(&c), rows[i].value);
		CHECK(!c.bad && c.pos == c.end);
		varint_write(&w, rows[i].value);
		CHECK(!w.bad);
		CHECK_EQ(writer_len(&w), rows[i].len);
		CHECK_MEM(bytes, rows[i].bytes, rows[i].len);
		for (size_t cut = 0; cut < rows[i].len; cut++) {
			c = cursor_of(rows[i].bytes, cut);
			CHECK_EQ(varint_read(&c), 0);
			CHECK(c.bad);
			w = writer_of(bytes, cut);
			varint_write(&w, rows[i].value);
			CHECK(w.bad);
		}
	}
}

static void test_a_longer_form_than_needed_is_read(void)
{
	struct cursor c = cursor_of("\x40\x25", 2);

	CHECK_EQ(varint_read(&c), 37);
	CHECK(!c.bad);
}

static void test_a_value_past_the_range_is_not_written(void)
{
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	varint_write(&w, VARINT_MAX + 1);
	CHECK(w.bad);
	CHECK_EQ(writer_len(&w), 0);
}

int main(void)
{
	RUN(test_vectors_are_read_and_written_and_no_prefix_is_read);
	RUN(test_a_longer_form_than_needed_is_read);
	RUN(test_a_value_past_the_range_is_not_written);
	return check_done();
}
