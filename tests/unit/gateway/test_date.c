/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/date.h"

#include "support/check.h"

static const struct {
	uint64_t wall_s;
	const char *text;
} rows[] = {
	{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110's own */
	{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
	{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
	{1700000000, "Tue, 14 Nov 2023 22:13:20 GMT"},
	{253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

static void test_dates_are_written_and_read(void)
{
	char text[HTTP_DATE_CAP];
	uint64_t wall_s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_STR(gateway_http_date_write(rows[i].wall_s, text), rows[i].text);
		CHECK_EQ(gateway_http_date_parse(rows[i].text, &wall_s), 0);
		CHECK_EQ(wall_s, rows[i].wall_s);
	}
	CHECK_STR(gateway_http_date_write(UINT64_MAX, text), rows[4].text);
}

static void test_what_is_no_such_date_is_refused(void)
{
	static const char *const bad[] = {
		"",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Mon, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun,  6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Wed, 31 Jun 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, -6 Nov 1994 08:49:37 GMT",
		"Wed, 31 Dec 1969 23:59:59 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
	};
	uint64_t wall_s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(gateway_http_date_parse(bad[i], &wall_s), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_dates_are_written_and_read);
	RUN(test_what_is_no_such_date_is_refused);
	return check_done();
}
