/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/bencode.h"
#include "support/check.h"

/* Source: BEP-3 for what is written; one encoding per value for what is refused. */
static const struct {
	const char *text;
	bool ok;
	const char *why;
} rows[] = {
	{"i0e", true, "zero"},
	{"i-1e", true, "a negative number"},
	{"i9223372036854775807e", true, "2^63-1"},
	{"i9223372036854775808e", false, "2^63"},
	{"i-9223372036854775808e", true, "-2^63"},
	{"i-9223372036854775809e", false, "-2^63-1"},
	{"i99999999999999999999999e", false, "more digits than 64 bits hold"},
	{"i-0e", false, "negative zero"},
	{"i00e", false, "two zeros"},
	{"i03e", false, "a leading zero"},
	{"i-03e", false, "a leading zero behind the sign"},
	{"ie", false, "no digits"},
	{"i-e", false, "a sign alone"},
	{"i+1e", false, "a plus sign"},
	{"i 1e", false, "a blank"},
	{"i1.0e", false, "a fraction"},
	{"i1", false, "an integer cut short"},
	{"0:", true, "an empty string"},
	{"4:spam", true, "a string"},
	{"4:spa", false, "a string cut short"},
	{"04:spam", false, "a length with a leading zero"},
	{"00:", false, "a length of two zeros"},
	{":", false, "no length"},
	{"-1:a", false, "a negative length"},
	{"4spam", false, "a length without its colon"},
	{"18446744073709551615:a", false, "a length beyond the input"},
	{"18446744073709551616:a", false, "a length beyond 64 bits"},
	{"99999999999999999999999:a", false, "a length far beyond 64 bits"},
	{"le", true, "an empty list"},
	{"l4:spami42ee", true, "a list of two"},
	{"l4:spam", false, "a list cut short"},
	{"de", true, "an empty dictionary"},
	{"d3:cow3:moo4:spam4:eggse", true, "keys in order"},
	{"d4:spam4:eggs3:cow3:mooe", false, "keys out of order"},
	{"d1:ai1e1:ai2ee", false, "a key twice"},
	{"d1:ai1e2:aai2ee", true, "a key that begins with the one before"},
	{"d2:aai1e1:ai2ee", false, "a key behind one that begins with it"},
	{"d0:i1e1:ai2ee", true, "an empty key first"},
	{"d0:i1e0:i2ee", false, "an empty key twice"},
	{"d1:bi1e2:aai2ee", false, "order is that of bytes, not of lengths"},
	{"d1:ae", false, "a key without its value"},
	{"di1ei2ee", false, "a key that is no string"},
	{"d1:ai1e", false, "a dictionary cut short"},
	{"d", false, "a dictionary of nothing"},
	{"i1ei2e", false, "bytes behind the value"},
	{"i1e ", false, "a blank behind the value"},
	{"dee", false, "an end too many"},
	{"e", false, "an end alone"},
	{"", false, "nothing"},
	{"x", false, "no type"},
	{"lllllllllleeeeeeeeee", true, "depth 10"},
	{"llllllllllleeeeeeeeeee", false, "depth 11"},
	{"llellellelee", false, "an end missing behind empty lists"},
	{"lleleleled1:aleee", true, "more than ten containers side by side"},
};

static void test_every_defect_is_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].text);
		uint8_t *exact = malloc(len ? len : 1);
		bool got;

		memcpy(exact, rows[i].text, len);
		got = bencode_check(exact, len) == 0;
		free(exact);
		if (got != rows[i].ok) {
			printf("# row %s: %s\n", rows[i].text, rows[i].why);
			CHECK_EQ(got, rows[i].ok);
		}
	}
}

static const char sample[] = "d1:ai-70000e1:b0:1:cl3:abci0e2:xye1:dd1:v4:wefte1:e3:abce";

static size_t sample_write(uint8_t *buf, size_t cap)
{
	struct writer w = writer_of(buf, cap);

	bencode_open_dict(&w);
	bencode_write_text(&w, "a");
	bencode_write_int(&w, -70000);
	bencode_write_text(&w, "b");
	bencode_write_bytes(&w, NULL, 0);
	bencode_write_text(&w, "c");
	bencode_open_list(&w);
	bencode_write_text(&w, "abc");
	bencode_write_int(&w, 0);
	bencode_write_text(&w, "xy");
	bencode_close(&w);
	bencode_write_text(&w, "d");
	bencode_open_dict(&w);
	bencode_write_text(&w, "v");
	bencode_write_text(&w, "weft");
	bencode_close(&w);
	bencode_write_text(&w, "e");
	bencode_write_head(&w, 3);
	writer_bytes(&w, "abc", 3);
	bencode_close(&w);
	return w.bad ? 0 : writer_len(&w);
}

/* 0: read and as expected, 1: read and other, -1: refused. */
static int sample_parse(const uint8_t *data, size_t len)
{
	struct bencode_reader r;
	struct bencode_span key, empty = {NULL, 1}, last = {NULL, 0}, raw = {NULL, 0};
	int64_t number = 0;
	unsigned string_cnt = 0;

	bencode_reader_init(&r, data, len);
	bencode_enter_dict(&r);
	while (bencode_next_key(&r, &key)) {
		if (bencode_is(&key, "a")) {
			number = bencode_read_int(&r);
		} else if (bencode_is(&key, "b")) {
			empty = bencode_read_bytes(&r);
		} else if (bencode_is(&key, "c")) {
			bencode_enter_list(&r);
			while (bencode_next(&r)) {
				string_cnt += bencode_peek(&r) == BENCODE_BYTES;
				bencode_skip(&r);
			}
		} else if (bencode_is(&key, "d")) {
			raw = bencode_read_raw(&r);
		} else {
			last = bencode_read_bytes(&r);
		}
	}
	if (bencode_reader_finish(&r) < 0)
		return -1;
	return number == -70000 && empty.len == 0 && string_cnt == 2 &&
			       bencode_is(&raw, "d1:v4:wefte") && bencode_is(&last, "abc")
		       ? 0
		       : 1;
}

static void test_what_is_written_is_read_back(void)
{
	uint8_t buf[128];
	size_t len = sample_write(buf, sizeof(buf));

	CHECK_EQ(len, strlen(sample));
	CHECK_MEM(buf, sample, len);
	CHECK_EQ(sample_parse(buf, len), 0);
}

static void test_every_prefix_is_refused(void)
{
	for (size_t cut = 0; cut < strlen(sample); cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		int got;

		memcpy(exact, sample, cut);
		got = sample_parse(exact, cut);
		free(exact);
		CHECK_EQ(got, -1);
	}
}

static void test_a_full_writer_stays_bad(void)
{
	uint8_t buf[128];

	for (size_t cap = 0; cap < strlen(sample); cap++)
		CHECK_EQ(sample_write(buf, cap), 0);
}

static void test_the_ends_of_64_bits_are_written_and_read(void)
{
	static const int64_t values[] = {INT64_MIN, -1, 0, 9, 10, INT64_MAX};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t buf[32];
		struct writer w = writer_of(buf, sizeof(buf));
		struct bencode_reader r;

		bencode_write_int(&w, values[i]);
		bencode_reader_init(&r, buf, writer_len(&w));
		CHECK_EQ(bencode_read_int(&r), values[i]);
		CHECK_EQ(bencode_reader_finish(&r), 0);
	}
}

static void test_a_value_of_another_type_is_refused(void)
{
	struct bencode_reader r;
	struct bencode_span key;

	bencode_reader_init(&r, "3:abc", 5);
	(void)bencode_read_int(&r);
	CHECK(bencode_is_bad(&r));
	bencode_reader_init(&r, "i1e", 3);
	CHECK(bencode_read_bytes(&r).data == NULL);
	CHECK(bencode_is_bad(&r));
	bencode_reader_init(&r, "le", 2);
	bencode_enter_dict(&r);
	CHECK(!bencode_next_key(&r, &key));
	CHECK(bencode_is_bad(&r));
}

/* A parser that reads a value without its key, or a key without its value, hears of it. */
static void test_a_reader_out_of_step_is_bad(void)
{
	struct bencode_reader r;
	struct bencode_span key;

	bencode_reader_init(&r, "d1:ai1ee", 8);
	bencode_enter_dict(&r);
	(void)bencode_read_bytes(&r);
	CHECK(bencode_is_bad(&r));
	bencode_reader_init(&r, "d1:a1:b1:c1:de", 14);
	bencode_enter_dict(&r);
	CHECK(bencode_next_key(&r, &key));
	CHECK(!bencode_next_key(&r, &key));
	CHECK(bencode_is_bad(&r));
}

int main(void)
{
	RUN(test_every_defect_is_refused);
	RUN(test_what_is_written_is_read_back);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_full_writer_stays_bad);
	RUN(test_the_ends_of_64_bits_are_written_and_read);
	RUN(test_a_value_of_another_type_is_refused);
	RUN(test_a_reader_out_of_step_is_bad);
	return check_done();
}
