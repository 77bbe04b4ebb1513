/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"
#include "support/check.h"
#include "support/hex_digits.h"

static int walk(const uint8_t *data, size_t len)
{
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	cbor_skip(&r);
	return cbor_reader_finish(&r);
}

/* Sources: RFC 8949 appendix A for the accepted ones, 4.2.1 for the rules. */
static const struct {
	const char *hex;
	bool ok;
	const char *why;
} rows[] = {
	{"00", true, "zero"},
	{"17", true, "23 in one byte"},
	{"1818", true, "24 in two"},
	{"1817", false, "23 must be one byte"},
	{"190100", true, "256"},
	{"1900ff", false, "255 must be two bytes"},
	{"1a00010000", true, "65536"},
	{"1a0000ffff", false, "65535 must be three bytes"},
	{"1b0000000100000000", true, "2^32"},
	{"1b00000000ffffffff", false, "2^32-1 must be five bytes"},
	{"1bffffffffffffffff", true, "2^64-1"},
	{"20", true, "-1"},
	{"3bffffffffffffffff", true, "-2^64"},
	{"40", true, "empty bytes"},
	{"420102", true, "two bytes"},
	{"4201", false, "bytes cut short"},
	{"5802aabb", false, "length must be in the head"},
	{"6161", true, "text a"},
	{"61ff", false, "not UTF-8"},
	{"62c080", false, "overlong UTF-8"},
	{"63eda080", false, "surrogate"},
	{"64f4908080", false, "past U+10FFFF"},
	{"62c3bc", true, "u umlaut"},
	{"80", true, "empty array"},
	{"83010203", true, "array of three"},
	{"830102", false, "array cut short"},
	{"9f0102ff", false, "indefinite array"},
	{"5f4101ff", false, "indefinite bytes"},
	{"7f6161ff", false, "indefinite text"},
	{"bf0001ff", false, "indefinite map"},
	{"a0", true, "empty map"},
	{"a200010102", true, "map in order"},
	{"a201020001", false, "map out of order"},
	{"a200010001", false, "duplicate key"},
	{"a2616101616202", true, "text keys in order"},
	{"a2616201616102", false, "text keys out of order"},
	{"a1f501", false, "a key that is neither number nor text"},
	{"a20001616102", false, "keys of two kinds"},
	{"a100", false, "key without value"},
	{"f4", true, "false"},
	{"f6", true, "null"},
	{"f7", false, "undefined"},
	{"f814", false, "false in two bytes"},
	{"f93c00", false, "half float"},
	{"fa3f800000", false, "float"},
	{"fb3ff0000000000000", false, "double"},
	{"c000", false, "tag"},
	{"ff", false, "break alone"},
	{"1c", false, "reserved head"},
	{"0000", false, "bytes left over"},
	{"", false, "nothing"},
	{"8181818181818180", true, "depth 8"},
	{"818181818181818180", false, "depth 9"},
	{"9bffffffffffffffff00", false, "a count beyond the input"},
	{"5bffffffffffffffff00", false, "a length beyond the input"},
	{"82a10001a10002", true, "maps in an array"},
	{"a2008101018102", true, "arrays in a map"},
};

static void test_every_rule_of_determinism_is_enforced(void)
{
	uint8_t data[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = hex_parse(rows[i].hex, data);

		if ((walk(data, len) == 0) != rows[i].ok) {
			printf("# row %s: %s\n", rows[i].hex, rows[i].why);
			CHECK_EQ(walk(data, len) == 0, rows[i].ok);
		}
	}
}

static size_t sample_write(uint8_t *buf, size_t cap)
{
	struct writer w = writer_of(buf, cap);

	cbor_write_map(&w, 5);
	cbor_write_uint(&w, 0);
	cbor_write_uint(&w, 70000);
	cbor_write_uint(&w, 1);
	cbor_write_bytes(&w, "abc", 3);
	cbor_write_uint(&w, 2);
	cbor_write_text(&w, "weft", 4);
	cbor_write_uint(&w, 3);
	cbor_write_array(&w, 2);
	cbor_write_int(&w, -5);
	cbor_write_bool(&w, true);
	cbor_write_uint(&w, 9);
	writer_u8(&w, 0xf6); /* null */
	return w.bad ? 0 : writer_len(&w);
}

static int sample_parse(const uint8_t *data, size_t len)
{
	struct cbor_reader r;
	uint64_t key, number = 0;
	uint8_t bytes[3] = {0};
	char text[8] = "";
	int64_t first = 0;
	bool second = false;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			number = cbor_read_uint(&r);
			break;
		case 1:
			cbor_read_fixed(&r, bytes, sizeof(bytes));
			break;
		case 2:
			cbor_read_text_copy(&r, text, sizeof(text));
			break;
		case 3:
			if (cbor_enter_array(&r) != 2)
				cbor_fail(&r);
			first = cbor_next(&r) ? cbor_read_int(&r) : 0;
			second = cbor_next(&r) && cbor_read_bool(&r);
			(void)cbor_next(&r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	if (cbor_reader_finish(&r) < 0)
		return -1;
	return number == 70000 && memcmp(bytes, "abc", 3) == 0 && strcmp(text, "weft") == 0 &&
			       first == -5 && second
		       ? 0
		       : 1;
}

static void test_what_is_written_is_read_back(void)
{
	uint8_t buf[128];
	size_t len = sample_write(buf, sizeof(buf));

	CHECK(len > 0);
	CHECK_EQ(sample_parse(buf, len), 0);
}

static void test_every_prefix_is_refused(void)
{
	uint8_t buf[128];
	size_t len = sample_write(buf, sizeof(buf));

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, buf, cut);
		int got = sample_parse(exact, cut);

		free(exact);
		CHECK_EQ(got, -1);
	}
}

static void test_a_full_writer_stays_bad(void)
{
	uint8_t buf[128];
	size_t len = sample_write(buf, sizeof(buf));

	for (size_t cap = 0; cap < len; cap++)
		CHECK_EQ(sample_write(buf, cap), 0);
}

static void test_text_with_a_nul_or_too_long_is_refused(void)
{
	struct cbor_reader r;
	char text[4];

	cbor_reader_init(&r, "\x63\x61\x00\x62", 4);
	cbor_read_text_copy(&r, text, sizeof(text));
	CHECK(cbor_reader_finish(&r) < 0);
	cbor_reader_init(&r, "\x64\x61\x61\x61\x61", 5);
	cbor_read_text_copy(&r, text, sizeof(text));
	CHECK(cbor_reader_finish(&r) < 0);
	CHECK_STR(text, "");
}

static int finish_with(const char *data, size_t len, uint64_t needed)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		cbor_skip(&r);
	return cbor_reader_finish_with(&r, needed);
}

static void test_a_map_without_a_needed_key_is_refused(void)
{
	/* {1: {0: 0}, 63: 0, 64: 0} */
	static const char map[] = "\xa3\x01\xa1\x00\x00\x18\x3f\x00\x18\x40\x00";
	const size_t len = sizeof(map) - 1;

	CHECK_EQ(finish_with(map, len, 0), 0);
	CHECK_EQ(finish_with(map, len, CBOR_KEY(1) | CBOR_KEY(63)), 0);
	CHECK_EQ(finish_with(map, len, CBOR_KEY(1) | CBOR_KEY(2)), WEFT_EMALFORMED);
	/* A key of a map inside is none of the outermost one. */
	CHECK_EQ(finish_with(map, len, CBOR_KEY(0)), WEFT_EMALFORMED);
	CHECK_EQ(finish_with(map, len - 1, CBOR_KEY(1)), WEFT_EMALFORMED);
}

static void test_a_key_is_had_once_it_was_read(void)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, "\xa1\x05\x00", 3);
	cbor_enter_map(&r);
	CHECK(!cbor_has_key(&r, 5));
	CHECK(cbor_next_key(&r, &key));
	CHECK(cbor_has_key(&r, 5));
	CHECK(!cbor_has_key(&r, 4));
}

static void test_bytes_of_another_length_are_refused(void)
{
	static const uint8_t bytes[] = {0x42, 1, 2};
	struct cbor_reader r;

	cbor_reader_init(&r, bytes, sizeof(bytes));
	CHECK(cbor_read_exactly(&r, 2) == bytes + 1);
	CHECK_EQ(cbor_reader_finish(&r), 0);
	for (size_t len = 1; len <= 3; len += 2) {
		cbor_reader_init(&r, bytes, sizeof(bytes));
		CHECK(cbor_read_exactly(&r, len) == NULL);
		CHECK(cbor_reader_finish(&r) < 0);
	}
}

static void test_a_record_says_its_layout_first(void)
{
	static const struct {
		const char *hex;
		int err;
		const char *why;
	} layouts[] = {
		{"a20002010a", 0, "the layout that is known"},
		{"a20003010a", WEFT_ENEWER, "one of a later program"},
		{"a20001010a", WEFT_EMALFORMED, "one that is read no more"},
		{"a20000010a", WEFT_EMALFORMED, "no layout has the number 0"},
		{"a1010a", WEFT_EMALFORMED, "none is said"},
		{"a20061330102", WEFT_EMALFORMED, "text is no number"},
		{"a0", WEFT_EMALFORMED, "nothing is said"},
		{"820002", WEFT_EMALFORMED, "an array is no record"},
		{"a100", WEFT_EMALFORMED, "cut short"},
		{"", WEFT_EMALFORMED, "no bytes"},
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		uint8_t bytes[16];
		size_t len = hex_parse(layouts[i].hex, bytes);
		struct cbor_reader r;
		int err = cbor_enter_record(&r, bytes, len, 2);

		if (err != layouts[i].err)
			printf("# record %s: %s\n", layouts[i].hex, layouts[i].why);
		CHECK_EQ(err, layouts[i].err);
	}
}

static void test_a_field_is_its_key_and_its_value(void)
{
	static const uint8_t want[] = {0x18, 0x1e, 7, 1, 0xf5, 2, 0x41, 0xaa, 3, 0x61, 'a'};
	uint8_t buf[sizeof(want)];
	struct writer w = writer_of(buf, sizeof(buf));

	cbor_field_uint(&w, 30, 7);
	cbor_field_bool(&w, 1, true);
	cbor_field_bytes(&w, 2, "\xaa", 1);
	cbor_field_text(&w, 3, "a", 1);
	CHECK(!w.bad);
	CHECK_EQ(writer_len(&w), sizeof(want));
	CHECK_MEM(buf, want, sizeof(want));
}

int main(void)
{
	RUN(test_every_rule_of_determinism_is_enforced);
	RUN(test_what_is_written_is_read_back);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_full_writer_stays_bad);
	RUN(test_text_with_a_nul_or_too_long_is_refused);
	RUN(test_a_map_without_a_needed_key_is_refused);
	RUN(test_a_key_is_had_once_it_was_read);
	RUN(test_bytes_of_another_length_are_refused);
	RUN(test_a_record_says_its_layout_first);
	RUN(test_a_field_is_its_key_and_its_value);
	return check_done();
}
