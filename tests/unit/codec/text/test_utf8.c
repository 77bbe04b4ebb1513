/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/utf8.h"

#include "support/check.h"

static const struct {
	const char *text;
	bool is_valid;
	bool is_prefix; /* something valid may begin so */
} rows[] = {
	{"", true, true},
	{"plain", true, true},
	{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", true, true},
	{"\xf4\x8f\xbf\xbf", true, true},
	{"\xed\x9f\xbf", true, true},
	{"\xc3", false, true},
	{"\xe2\x82", false, true},
	{"\xf0\x9f\x98", false, true},
	{"\x80", false, false},
	{"\xc0\x80", false, false},
	{"\xc1\xbf", false, false},
	{"\xe0\x9f\xbf", false, false},
	{"\xed\xa0", false, false},
	{"\xf0\x8f\xbf\xbf", false, false},
	{"\xf4\x90", false, false},
	{"\xf5", false, false},
	{"\xff", false, false},
	{"\xe2\x82\x41", false, false},
	{"\xc3\xa9\xa9", false, false},
};

static void test_text_is_judged_alike_whole_and_in_pieces(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t *text = (const uint8_t *)rows[i].text;
		size_t len = strlen(rows[i].text);

		CHECK_EQ(utf8_is_valid(rows[i].text, len), rows[i].is_valid);
		for (size_t cut = 0; cut <= len; cut++) {
			struct utf8_stream stream = {0};
			bool is_prefix = utf8_input(&stream, text, cut) &&
					 utf8_input(&stream, text + cut, len - cut);

			CHECK_EQ(is_prefix, rows[i].is_prefix);
			CHECK_EQ(is_prefix && utf8_is_whole(&stream), rows[i].is_valid);
		}
	}
}

int main(void)
{
	RUN(test_text_is_judged_alike_whole_and_in_pieces);
	return check_done();
}
