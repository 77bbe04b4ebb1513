/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor_fields.h"

#include "support/cbor_sample.h"
#include "support/check.h"
#include "support/hex_digits.h"

static int parse(const struct cbor_table *table, const char *hex, struct cbor_sample *out)
{
	static uint8_t bytes[256];

	*out = (struct cbor_sample){.limited = 77};
	return cbor_fields_parse(bytes, hex_parse(hex, bytes), table, out);
}

static struct cbor_sample full_sample(void)
{
	return (struct cbor_sample){
		.small = 255,
		.limited = 1000,
		.large = UINT64_MAX,
		.difference = -500,
		.is_on = true,
		.is_flag = true,
		.id = {1, 2, 3, 4},
		.key = (const uint8_t *)"keys",
		.bytes = (const uint8_t *)"bytes",
		.bytes_len = 5,
		.words = "some words",
		.words_len = 10,
		.text = "t\xc3\xa4xt",
		.path = "/\xff/\xfe",
		.has_hour = true,
		.hour = 0,
		.numbers = {7, 8, 9},
		.number_cnt = 3,
		.pair = {1, 0},
		.addr = {.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4},
		.addrs = {{.ip = {192, 0, 2, 2}, .port = 1, .family = ADDR_IPV4},
			  {.ip = {0x20, 1}, .port = 2, .family = ADDR_IPV6}},
		.addr_cnt = 2,
		.rows = {{{1, 2}, 3}, {{4, 5}, 65535}},
		.row_cnt = 2,
		.ids = {"abc", "def"},
		.id_cnt = 2,
	};
}

static size_t write(const struct cbor_sample *sample, uint8_t bytes[static 256])
{
	struct writer w = writer_of(bytes, 256);

	cbor_fields_write(&w, &cbor_sample_table, sample);
	return w.bad ? 0 : writer_len(&w);
}

static void test_every_kind_is_written_and_read(void)
{
	const struct cbor_sample want = full_sample();
	struct cbor_sample got = {0};
	uint8_t bytes[256];
	size_t len = write(&want, bytes);

	CHECK_EQ(cbor_fields_parse(bytes, len, &cbor_sample_table, &got), 0);
	CHECK_EQ(got.small, 255);
	CHECK_EQ(got.limited, 1000);
	CHECK(got.large == UINT64_MAX);
	CHECK_EQ(got.difference, -500);
	CHECK(got.is_on && got.is_flag);
	CHECK_MEM(got.id, want.id, 4);
	CHECK_MEM(got.key, "keys", 4);
	CHECK_EQ(got.bytes_len, 5);
	CHECK_MEM(got.bytes, "bytes", 5);
	CHECK_EQ(got.words_len, 10);
	CHECK_MEM(got.words, "some words", 10);
	CHECK_STR(got.text, want.text);
	CHECK_STR(got.path, want.path);
	CHECK(got.has_hour);
	CHECK_EQ(got.hour, 0);
	CHECK_EQ(got.number_cnt, 3);
	CHECK_EQ(got.numbers[2], 9);
	CHECK_EQ(got.pair.first, 1);
	CHECK_EQ(got.pair.second, 0);
	CHECK(addr_equal(&got.addr, &want.addr));
	CHECK_EQ(got.addr_cnt, 2);
	CHECK(addr_equal(&got.addrs[1], &want.addrs[1]));
	CHECK_EQ(got.row_cnt, 2);
	CHECK_MEM(got.rows, want.rows, sizeof(want.rows));
	CHECK_EQ(got.id_cnt, 2);
	CHECK_MEM(got.ids, "abcdef", 6);
}

static void test_every_prefix_is_refused(void)
{
	const struct cbor_sample want = full_sample();
	uint8_t bytes[256];
	size_t len = write(&want, bytes);

	for (size_t cut = 0; cut < len; cut++) {
		struct cbor_sample got = {0};

		CHECK_EQ(cbor_fields_parse(bytes, cut, &cbor_sample_table, &got), WEFT_EMALFORMED);
	}
}

static void test_a_full_writer_is_bad(void)
{
	const struct cbor_sample sample = full_sample();
	uint8_t bytes[256];
	size_t len = write(&sample, bytes);

	for (size_t cap = 0; cap < len; cap++) {
		struct writer w = writer_of(bytes, cap);

		cbor_fields_write(&w, &cbor_sample_table, &sample);
		CHECK(w.bad);
	}
}

static void test_a_member_of_zeros_is_left_out_unless_usual(void)
{
	/* Another member decides of the pair. */
	struct cbor_sample sample = {.small = 0, .pair = {0, 9}};
	uint8_t bytes[256], want[256];
	size_t len = hex_parse("a500030100020005f4074400000000", want);

	CHECK_EQ(write(&sample, bytes), len);
	CHECK_MEM(bytes, want, len);
}

/* Version, small and id are needed: 0003, 0101, 0744aabbccdd. */
static const struct {
	const char *hex;
	bool is_open_ok, is_closed_ok;
	const char *why;
} rows[] = {
	{"a3000301010744aabbccdd", true, true, "only what is needed"},
	{"a201010744aabbccdd", false, false, "the version is missing"},
	{"a200030744aabbccdd", false, false, "a number is missing"},
	{"a200030101", false, false, "the id is missing"},
	{"a0", false, false, "all is missing"},
	{"80", false, false, "no map"},
	{"a3000301010744aabbccdd00", false, false, "a byte behind the map"},
	{"a40003010101010744aabbccdd", false, false, "a key twice"},
	{"a4000301010744aabbccdd0744aabbccdd", false, false, "the last key twice"},
	{"a3010100030744aabbccdd", false, false, "keys out of order"},
	{"a3000401010744aabbccdd", false, false, "another version"},
	{"a300f501010744aabbccdd", false, false, "a version that is no number"},
	{"a30003011901000744aabbccdd", false, false, "256 in one byte"},
	{"a300030118ff0744aabbccdd", true, true, "255 in one byte"},
	{"a300030141010744aabbccdd", false, false, "bytes for a number"},
	{"a400030101021903e80744aabbccdd", true, true, "the limit"},
	{"a400030101021903e90744aabbccdd", false, false, "above the limit"},
	{"a400030101031bffffffffffffffff0744aabbccdd", true, true, "64 bits"},
	{"a400030101043b7fffffffffffffff0744aabbccdd", true, true, "the lowest integer"},
	{"a400030101043b80000000000000000744aabbccdd", false, false, "below it"},
	{"a40003010105f40744aabbccdd", true, true, "false"},
	{"a40003010105000744aabbccdd", false, false, "a number for a bool"},
	{"a40003010106f50744aabbccdd", true, true, "a flag"},
	{"a40003010106f40744aabbccdd", false, false, "a flag that is false"},
	{"a3000301010743aabbcc", false, false, "an id too short"},
	{"a3000301010745aabbccddee", false, false, "an id too long"},
	{"a4000301010744aabbccdd084401020304", true, true, "a key"},
	{"a4000301010744aabbccdd0843010203", false, false, "a key too short"},
	{"a4000301010744aabbccdd0900", true, false, "an unknown key between known ones"},
	{"a4000301010744aabbccdd091817", false, false, "an unknown key of a longer form"},
	{"a4000301010744aabbccdd09a1616101", true, false, "an unknown map"},
	{"a4000301010744aabbccdd0a4101", false, false, "bytes below their least"},
	{"a4000301010744aabbccdd0a420102", true, true, "bytes of the least length"},
	{"a4000301010744aabbccdd0a450102030405", true, true, "bytes of the greatest length"},
	{"a4000301010744aabbccdd0a46010203040506", false, false, "bytes above it"},
	{"a4000301010744aabbccdd0a626162", false, false, "text for bytes"},
	{"a4000301010744aabbccdd0b60", true, true, "empty text"},
	{"a4000301010744aabbccdd0b61ff", false, false, "text that is no UTF-8"},
	{"a4000301010744aabbccdd0b420102", false, false, "bytes for text"},
	{"a4000301010744aabbccdd0c656162636465", true, true, "text that fills its place"},
	{"a4000301010744aabbccdd0c66616263646566", false, false, "text that does not fit"},
	{"a4000301010744aabbccdd0c626100", false, false, "text with NUL"},
	{"a4000301010744aabbccdd0d45ff62636465", true, true, "a path that fills its place"},
	{"a4000301010744aabbccdd0d46616263646566", false, false, "a path that does not fit"},
	{"a4000301010744aabbccdd0d426100", false, false, "a path with NUL"},
	{"a4000301010744aabbccdd0d6161", false, false, "a path as text"},
	{"a4000301010744aabbccdd181800", true, true, "a key of two bytes"},
	{"a4000301010744aabbccdd18181a00010000", false, false, "65536 in two bytes"},
	{"a4000301010744aabbccdd181983010203", true, true, "an array"},
	{"a4000301010744aabbccdd18198401020304", false, false, "an array too long"},
	{"a4000301010744aabbccdd1819811864", false, false, "an item above its limit"},
	{"a4000301010744aabbccdd181a820009", true, true, "a pair"},
	{"a4000301010744aabbccdd181a8100", false, false, "half a pair"},
	{"a4000301010744aabbccdd181ba30044c000020101010200", true, true, "an address"},
	{"a4000301010744aabbccdd181ba20044c00002010200", false, false, "an address without a port"},
	{"a4000301010744aabbccdd181c83a30044c000020101010200a30044c000020101010200a30044c0000201010"
	 "10200",
	 true, true, "a list of more addresses than are kept"},
	{"a4000301010744aabbccdd181c89a30044c000020101010200a30044c000020101010200a30044c0000201010"
	 "10200a30044c000020101010200a30044c000020101010200a30044c000020101010200a30044c00002010101"
	 "0200a30044c000020101010200a30044c000020101010200",
	 false, false, "a list of too many addresses"},
	{"a4000301010744aabbccdd181d82824201020382420405190100", true, true, "two rows"},
	{"a4000301010744aabbccdd181d83824201020382420102038242010203", false, false,
	 "a row too many"},
	{"a4000301010744aabbccdd181d8181420102", false, false, "a row of one item"},
	{"a4000301010744aabbccdd181d81834201020304", false, false, "a row of three items"},
	{"a4000301010744aabbccdd181d828242010203", false, false, "rows cut short"},
	{"a4000301010744aabbccdd181e824301020343010203", true, true, "two ids"},
	{"a4000301010744aabbccdd181e83430102034301020343010203", false, false, "an id too many"},
	{"a4000301010744aabbccdd181e81420102", false, false, "an id of another length"},
	{"a4000301010744aabbccdd181f05", true, true, "a former field"},
	{"a4000301010744aabbccdd184000", true, false, "a key above 63"},
	{"a4000301010744aabbccdd1a0001000700", true, false, "a key of a known one's low bits"},
	{"a4000301010744aabbccdd616100", false, false, "a key that is text"},
};

static void test_each_row_is_accepted_or_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cbor_sample got;

		printf("# %s\n", rows[i].why);
		CHECK_EQ(parse(&cbor_sample_table, rows[i].hex, &got) == 0, rows[i].is_open_ok);
		CHECK_EQ(parse(&cbor_sample_closed_table, rows[i].hex, &got) == 0,
			 rows[i].is_closed_ok);
	}
}

static void test_a_missing_field_keeps_its_member(void)
{
	struct cbor_sample got;

	CHECK_EQ(parse(&cbor_sample_table, "a3000301010744aabbccdd", &got), 0);
	CHECK_EQ(got.limited, 77);
	CHECK(!got.has_hour && !got.key && !got.bytes);
}

static void test_addresses_that_do_not_fit_are_left_out(void)
{
	struct cbor_sample got;

	CHECK_EQ(parse(&cbor_sample_table,
		       "a4000301010744aabbccdd181c83a30044c000020101010200"
		       "a30044c000020201020200a30044c000020301030200",
		       &got),
		 0);
	CHECK_EQ(got.addr_cnt, 2);
	CHECK_EQ(got.addrs[1].ip[3], 2);
	CHECK_EQ(got.row_cnt + got.id_cnt, 0);
}

static void test_a_former_field_is_read_and_not_written(void)
{
	struct cbor_sample got;
	uint8_t bytes[256];
	size_t len;

	CHECK_EQ(parse(&cbor_sample_table, "a4000301010744aabbccdd181f05", &got), 0);
	CHECK_EQ(got.former, 5);
	len = write(&got, bytes);
	CHECK_EQ(cbor_fields_parse(bytes, len, &cbor_sample_table, &(struct cbor_sample){0}), 0);
	CHECK(len > 0 && !memmem(bytes, len, "\x18\x1f", 2));
}

static void test_a_flagged_field_of_zero_is_there(void)
{
	struct cbor_sample got;

	CHECK_EQ(parse(&cbor_sample_table, "a4000301010744aabbccdd181800", &got), 0);
	CHECK(got.has_hour);
	CHECK_EQ(got.hour, 0);
}

static void test_a_map_inside_another_has_its_own_needed_fields(void)
{
	/* {0: the map of needed fields, 7: 1} and one whose inner map lacks its id */
	static const char *const hex[] = {"a200a3000301010744aabbccdd0701",
					  "a200a2000301010744aabbccdd"};
	uint8_t bytes[64];

	for (unsigned i = 0; i < 2; i++) {
		size_t len = hex_parse(hex[i], bytes);
		struct cbor_sample got = {0};
		struct cbor_reader r;
		uint64_t key;

		cbor_reader_init(&r, bytes, len);
		cbor_enter_map(&r);
		CHECK(cbor_next_key(&r, &key));
		cbor_fields_read(&r, &cbor_sample_table, &got);
		CHECK_EQ(cbor_is_bad(&r), i == 1);
		if (i == 0) {
			CHECK(cbor_next_key(&r, &key) && cbor_read_uint(&r) == 1);
			CHECK(!cbor_next_key(&r, &key));
			CHECK_EQ(cbor_reader_finish(&r), 0);
		}
	}
}

static int row_parse(const char *hex, struct cbor_sample *out)
{
	uint8_t bytes[64];
	size_t len = hex_parse(hex, bytes);
	struct cbor_reader r;

	cbor_reader_init(&r, bytes, len);
	cbor_row_read(&r, &cbor_sample_row_table, out);
	return cbor_reader_finish(&r);
}

static void test_a_row_has_exactly_its_fields(void)
{
	struct cbor_sample got = {0};
	uint8_t bytes[64], want[64];
	size_t len = hex_parse("8344aabbccdd82010205", want);
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(row_parse("8344aabbccdd82010205", &got), 0);
	CHECK_EQ(got.id[3], 0xdd);
	CHECK_EQ(got.number_cnt, 2);
	CHECK_EQ(got.limited, 5);
	cbor_row_write(&w, &cbor_sample_row_table, &got);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(bytes, want, len);
	CHECK(row_parse("8244aabbccdd820102", &got) < 0);
	CHECK(row_parse("8444aabbccdd8201020506", &got) < 0);
	CHECK(row_parse("8344aabbccdd8201021903e9", &got) < 0);
	CHECK(row_parse("a344aabbccdd82010205", &got) < 0);
	CHECK(row_parse("8344aabbccdd820102", &got) < 0);
	CHECK(row_parse("80", &got) < 0);
}

int main(void)
{
	RUN(test_every_kind_is_written_and_read);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_full_writer_is_bad);
	RUN(test_a_member_of_zeros_is_left_out_unless_usual);
	RUN(test_each_row_is_accepted_or_refused);
	RUN(test_a_missing_field_keeps_its_member);
	RUN(test_addresses_that_do_not_fit_are_left_out);
	RUN(test_a_former_field_is_read_and_not_written);
	RUN(test_a_flagged_field_of_zero_is_there);
	RUN(test_a_map_inside_another_has_its_own_needed_fields);
	RUN(test_a_row_has_exactly_its_fields);
	return check_done();
}
