/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/base64.h"
#include "support/check.h"

/* RFC 4648, 10; then all 64 letters, by the base64 of GNU coreutils. */
static const struct {
	const char *bytes;
	size_t len;
	const char *text;
} rows[] = {
	{"", 0, ""},
	{"f", 1, "Zg=="},
	{"fo", 2, "Zm8="},
	{"foo", 3, "Zm9v"},
	{"foob", 4, "Zm9vYg=="},
	{"fooba", 5, "Zm9vYmE="},
	{"foobar", 6, "Zm9vYmFy"},
	{"\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71"
	 "\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e"
	 "\xbb\xf3\xdf\xbf",
	 48, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
};
#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

static void test_vectors_are_written_and_read(void)
{
	for (size_t i = 0; i < ROW_CNT; i++) {
		char text[80];
		size_t len;

		CHECK_STR(base64_write((const uint8_t *)rows[i].bytes, rows[i].len, text),
			  rows[i].text);
		CHECK_EQ(strlen(text), BASE64_LEN(rows[i].len));
		/* In place: what was read is never overtaken. */
		CHECK_EQ(base64_read(text, strlen(text), (uint8_t *)text, sizeof(text), &len), 0);
		CHECK_EQ(len, rows[i].len);
		CHECK_MEM(text, rows[i].bytes, len);
	}
}

static void test_what_is_not_the_one_form_is_refused(void)
{
	static const char *const bad[] = {
		"Z",	      "Zg",   "Zg=",	  "Zg===",	"=g==",	   "Zg=v",
		"Zh==",	      "Zm9=", "Zg==Zg==", "Zm9v\nZm8=", "Zm9v Zg", "Z-==",
		"Z\xc3\xa4=", "====", "Zm9vZ===", "Zm_v"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t data[16];
		size_t len;

		CHECK_EQ(base64_read(bad[i], strlen(bad[i]), data, sizeof(data), &len),
			 WEFT_EMALFORMED);
	}
}

static void test_room_is_for_so_many_bytes_and_no_more(void)
{
	for (size_t i = 1; i < ROW_CNT; i++) {
		uint8_t data[64];
		size_t len;

		CHECK_EQ(base64_read(rows[i].text, strlen(rows[i].text), data, rows[i].len, &len),
			 0);
		CHECK_EQ(base64_read(rows[i].text, strlen(rows[i].text), data, rows[i].len - 1,
				     &len),
			 WEFT_ETOOLARGE);
	}
}

int main(void)
{
	RUN(test_vectors_are_written_and_read);
	RUN(test_what_is_not_the_one_form_is_refused);
	RUN(test_room_is_for_so_many_bytes_and_no_more);
	return check_done();
}
