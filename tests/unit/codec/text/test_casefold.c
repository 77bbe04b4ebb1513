/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/casefold.h"

#include <errno.h>

#include "support/check.h"

#define TEXT_CAP 256

static const struct {
	const char *text, *folded;
} rows[] = {
	{"", ""},
	{"README.TXT", "readme.txt"},
	{"\xef\xac\x81le", "file"},				      /* ligature fi */
	{"\xef\xbc\xb7\xef\xbd\x85\xef\xbd\x86\xef\xbd\x94", "weft"}, /* full width */
	{"STRA\xe1\xba\x9e"
	 "E",
	 "strasse"}, /* capital sharp s */
	{"stra\xc3\x9f"
	 "e",
	 "strasse"},
	{"\xce\xa3\xce\x91\xce\xa3", "\xcf\x83\xce\xb1\xcf\x83"}, /* final sigma alike */
	{"\xcf\x83\xce\xb1\xcf\x82", "\xcf\x83\xce\xb1\xcf\x83"},
	{"cafe\xcc\x81", "caf\xc3\xa9"}, /* composed */
	{"CAF\xc3\x89", "caf\xc3\xa9"},
	{"x\xc2\xb2", "x2"},		   /* superscript */
	{"co\xc2\xadop", "coop"},	   /* soft hyphen */
	{"\xc2\xbd", "1\xe2\x81\x84\x32"}, /* a half, with a fraction slash */
	{"\xe2\x84\xab", "\xc3\xa5"},	   /* Angstrom sign */
	{"\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac"},
};

static void test_what_reads_alike_folds_to_the_same_bytes(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char folded[TEXT_CAP] = {0};
		int len = fold_text(rows[i].text, strlen(rows[i].text), folded, sizeof(folded));

		CHECK_EQ(len, strlen(rows[i].folded));
		CHECK_STR(folded, rows[i].folded);
	}
}

static size_t utf8_of(uint32_t code, char *text)
{
	if (code < 0x80)
		return (size_t)((text[0] = (char)code), 1);
	if (code < 0x800) {
		text[0] = (char)(0xc0 | code >> 6);
		text[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		text[0] = (char)(0xe0 | code >> 12);
		text[1] = (char)(0x80 | (code >> 6 & 0x3f));
		text[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	text[0] = (char)(0xf0 | code >> 18);
	text[1] = (char)(0x80 | (code >> 12 & 0x3f));
	text[2] = (char)(0x80 | (code >> 6 & 0x3f));
	text[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static void test_every_character_folds_within_its_bound_and_twice_is_as_once(void)
{
	for (uint32_t code = 1; code < 0x110000; code++) {
		char text[4], once[TEXT_CAP], twice[TEXT_CAP];
		size_t len = utf8_of(code, text);
		int once_len, twice_len;

		if (code >= 0xd800 && code < 0xe000)
			continue;
		once_len = fold_text(text, len, once, sizeof(once));
		CHECK(once_len >= 0);
		CHECK((size_t)once_len <= len * FOLD_GROWTH_MAX);
		twice_len = fold_text(once, (size_t)once_len, twice, sizeof(twice));
		CHECK_EQ(twice_len, once_len);
		CHECK_MEM(twice, once, (size_t)once_len);
	}
}

static void test_text_that_does_not_fit_or_is_not_utf8_is_refused(void)
{
	char folded[4];

	CHECK_EQ(fold_text("abcd", 4, folded, 4), 4);
	CHECK_EQ(fold_text("abcde", 5, folded, 4), WEFT_ETOOSMALL);
	CHECK_EQ(fold_text("\xef\xac\x81xy", 5, folded, 4), 4);
	CHECK_EQ(fold_text("\xef\xac\x81xyz", 6, folded, 4), WEFT_ETOOSMALL);
	CHECK_EQ(fold_text("a\xff", 2, folded, 4), WEFT_EMALFORMED);
	CHECK_EQ(fold_text("a\xc3", 2, folded, 4), WEFT_EMALFORMED);
}

static void test_words_are_letters_digits_and_marks(void)
{
	const char *text =
		"--ubuntu-24.04_live\xe6\x97\xa5\xe6\x9c\xac\xe3\x80\x82\xc3\xa9t\xc3\xa9\xff.x";
	const char *want[] = {
		"ubuntu", "24", "04", "live\xe6\x97\xa5\xe6\x9c\xac", "\xc3\xa9t\xc3\xa9", "x"};
	size_t off = 0, len, cnt = 0;
	const char *word;

	while (fold_word(text, strlen(text), &off, &word, &len)) {
		CHECK(cnt < sizeof(want) / sizeof(want[0]));
		CHECK_EQ(len, strlen(want[cnt]));
		CHECK_MEM(word, want[cnt], len);
		cnt++;
	}
	CHECK_EQ(cnt, sizeof(want) / sizeof(want[0]));
	off = 0;
	CHECK(!fold_word("", 0, &off, &word, &len));
	CHECK(!fold_word(" .\xe3\x80\x82", 5, &off, &word, &len));
}

int main(void)
{
	RUN(test_what_reads_alike_folds_to_the_same_bytes);
	RUN(test_every_character_folds_within_its_bound_and_twice_is_as_once);
	RUN(test_text_that_does_not_fit_or_is_not_utf8_is_refused);
	RUN(test_words_are_letters_digits_and_marks);
	return check_done();
}
