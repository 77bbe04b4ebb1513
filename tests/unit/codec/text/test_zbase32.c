/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "support/check.h"

/* Whole bytes of the examples in Zooko's text and of pkarr's key texts. */
static const struct {
	const char *bytes;
	size_t len;
	const char *text;
} rows[] = {
	{"", 0, ""},
	{"\x00", 1, "yy"},
	{"\xff", 1, "9h"},
	{"\xf0\xbf\xc7", 3, "6n9hq"},
	{"\xd4\x7a\x04", 3, "4t7ye"},
	{"\x00\x44\x32\x14\xc7", 5, "ybndrfg8"},
};

static void test_examples_are_written_and_parsed(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[8];
		char text[16];

		CHECK_STR(zbase32_write((const uint8_t *)rows[i].bytes, rows[i].len, text),
			  rows[i].text);
		CHECK_EQ(zbase32_parse(text, strlen(text), bytes, rows[i].len), rows[i].len);
		CHECK_MEM(bytes, rows[i].bytes, rows[i].len);
		for (char *at = text; *at; at++)
			*at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
		CHECK_EQ(zbase32_parse(text, strlen(text), bytes, rows[i].len), rows[i].len);
		CHECK_MEM(bytes, rows[i].bytes, rows[i].len);
	}
}

static void test_random_bytes_come_back(void)
{
	struct random random;

	random_init_seeded(&random, 11);
	for (size_t len = 0; len <= 64; len++) {
		uint8_t bytes[64], again[64];
		char text[ZBASE32_TEXT_LEN(64) + 1];

		random_fill(&random, bytes, len);
		zbase32_write(bytes, len, text);
		CHECK_EQ(strlen(text), ZBASE32_TEXT_LEN(len));
		CHECK_EQ(zbase32_parse(text, strlen(text), again, len), len);
		CHECK_MEM(again, bytes, len);
	}
}

static void test_what_no_bytes_give_is_refused(void)
{
	static const struct {
		const char *text;
		const char *why;
	} bad[] = {
		{"y", "five bits are no byte"},
		{"yyy", "a letter too many"},
		{"yyyyyy", "a letter too many"},
		{"yb", "low bits set"},
		{"9h9", "a letter too many"},
		{"6n9hb", "low bits set"},
		{"y0", "0 is no letter"},
		{"l2", "l and 2 are no letters"},
		{"v ", "v and blank are no letters"},
		{"y\xc3", "not ASCII"},
	};
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (zbase32_parse(bad[i].text, strlen(bad[i].text), bytes, 8) != WEFT_EMALFORMED)
			printf("# %s\n", bad[i].why);
		CHECK_EQ(zbase32_parse(bad[i].text, strlen(bad[i].text), bytes, 8),
			 WEFT_EMALFORMED);
	}
	CHECK_EQ(zbase32_parse("y\0", 2, bytes, 8), WEFT_EMALFORMED);
}

static void test_a_small_buffer_is_refused(void)
{
	uint8_t bytes[8];

	CHECK_EQ(zbase32_parse("6n9hq", 5, bytes, 3), 3);
	CHECK_EQ(zbase32_parse("6n9hq", 5, bytes, 2), WEFT_ETOOSMALL);
}

int main(void)
{
	RUN(test_examples_are_written_and_parsed);
	RUN(test_random_bytes_come_back);
	RUN(test_what_no_bytes_give_is_refused);
	RUN(test_a_small_buffer_is_refused);
	return check_done();
}
