/* SPDX-License-Identifier: Apache-2.0 */
/* The Range field (RFC 9110, 14.1.2 and 14.2). */
#include "gateway/range.h"
#include "support/check.h"

struct row {
	const char *text;
	uint64_t size;
	enum range_kind kind;
	uint64_t off, len;
};

static const struct row rows[] = {
	{NULL, 100, RANGE_NONE, 0, 0},
	{"bytes=0-0", 100, RANGE_PART, 0, 1},
	{"bytes=0-99", 100, RANGE_PART, 0, 100},
	{"bytes=0-100", 100, RANGE_PART, 0, 100},
	{"bytes=99-99", 100, RANGE_PART, 99, 1},
	{"bytes=100-", 100, RANGE_BEYOND, 0, 0},
	{"bytes=99-", 100, RANGE_PART, 99, 1},
	{"bytes=-1", 100, RANGE_PART, 99, 1},
	{"bytes=-100", 100, RANGE_PART, 0, 100},
	{"bytes=-101", 100, RANGE_PART, 0, 100},
	{"bytes=-0", 100, RANGE_BEYOND, 0, 0},
	{"bytes=0-", 0, RANGE_BEYOND, 0, 0},
	{"bytes=-5", 0, RANGE_BEYOND, 0, 0},
	{"Bytes= 5-6 ", 100, RANGE_PART, 5, 2},
	{"bytes=6-5", 100, RANGE_NONE, 0, 0},
	{"bytes=-", 100, RANGE_NONE, 0, 0},
	{"bytes=", 100, RANGE_NONE, 0, 0},
	{"bytes", 100, RANGE_NONE, 0, 0},
	{"bytes=5", 100, RANGE_NONE, 0, 0},
	{"bytes=1-2,4-5", 100, RANGE_NONE, 0, 0},
	{"bytes=+1-2", 100, RANGE_NONE, 0, 0},
	{"bytes=0x1-2", 100, RANGE_NONE, 0, 0},
	{"items=0-1", 100, RANGE_NONE, 0, 0},
	{"bytes=18446744073709551615-", 100, RANGE_BEYOND, 0, 0},
	{"bytes=1-99999999999999999999999", 100, RANGE_PART, 1, 99},
	{"bytes=99999999999999999999999-1", 100, RANGE_NONE, 0, 0},
	{"bytes=-99999999999999999999999", 100, RANGE_PART, 0, 100},
	{"bytes=18446744073709551614-", UINT64_MAX, RANGE_PART, UINT64_MAX - 1, 1},
};

static void test_ranges(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t off = 0, len = 0;

		CHECK_EQ(gateway_range_parse(rows[i].text, rows[i].size, &off, &len), rows[i].kind);
		CHECK_EQ(off, rows[i].off);
		CHECK_EQ(len, rows[i].len);
	}
}

int main(void)
{
	RUN(test_ranges);
	return check_done();
}
