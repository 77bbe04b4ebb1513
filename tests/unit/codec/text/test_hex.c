/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "codec/text/hex.h"

static void test_bytes_are_read_as_written(void)
{
	uint8_t bytes[256], again[256];
	char text[HEX_TEXT_CAP(256)];

	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	hex_write(bytes, sizeof(bytes), text);
	CHECK_MEM(text + 2 * 0x9a, "9a9b", 4);
	CHECK(hex_read(text, again, sizeof(again)));
	CHECK_MEM(again, bytes, sizeof(bytes));
	CHECK_STR(hex_write(bytes, 0, text), "");
}

static void test_what_is_not_hexadecimal_is_refused(void)
{
	static const char *const rows[] = {"",	   "0",	   "00",   "00000", "000g",
					   "0x00", "00 0", "+000", "000000"};
	uint8_t out[2] = {7, 7};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(!hex_read(rows[i], out, 2));
	CHECK_EQ(out[0], 7);
	CHECK(hex_read("aBCd", out, 2));
	CHECK_EQ(out[0], 0xab);
	CHECK_EQ(out[1], 0xcd);
}

int main(void)
{
	RUN(test_bytes_are_read_as_written);
	RUN(test_what_is_not_hexadecimal_is_refused);
	return check_done();
}
