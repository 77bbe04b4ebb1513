/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ini.h"
#include "support/check.h"

static char seen[512];

static int line_note(void *ctx, const struct ini_line *line)
{
	size_t len = strlen(seen);

	(void)ctx;
	if (strcmp(line->key, "stop") == 0)
		return WEFT_EUNKNOWN;
	snprintf(seen + len, sizeof(seen) - len, "%u:%s.%s=%s|", line->number, line->section,
		 line->key, line->value);
	return 0;
}

static const struct {
	const char *text;
	int want;
	unsigned line;
	const char *seen;
} rows[] = {
	{"", 0, 0, ""},
	{"a=1", 0, 0, "1:.a=1|"},
	{"a=1\n", 0, 0, "1:.a=1|"},
	{"\n\r\n \t \n[s]\na = 1 \r\n", 0, 0, "5:s.a=1|"},
	{"[ s ]\n[t]\na=\n", 0, 0, "3:t.a=|"},
	{"# x=1\n; y=2\n  # z=3\n", 0, 0, ""},
	{"a=1 # kept\n", 0, 0, "1:.a=1 # kept|"},
	{"a=b=c\n", 0, 0, "1:.a=b=c|"},
	{"a=\"q\"\n", 0, 0, "1:.a=\"q\"|"},
	{"a=\xc3\xbc\n", 0, 0, "1:.a=\xc3\xbc|"},
	{"a b = c d\n", 0, 0, "1:.a b=c d|"},
	{"a=1\nb\n", WEFT_EMALFORMED, 2, "1:.a=1|"},
	{"=1\n", WEFT_EMALFORMED, 1, ""},
	{" =1\n", WEFT_EMALFORMED, 1, ""},
	{"[]\n", WEFT_EMALFORMED, 1, ""},
	{"[ ]\n", WEFT_EMALFORMED, 1, ""},
	{"[s\n", WEFT_EMALFORMED, 1, ""},
	{"[s]x\n", WEFT_EMALFORMED, 1, ""},
	{"a=\xff\n", WEFT_EMALFORMED, 1, ""},
	{"a=\x01\n", WEFT_EMALFORMED, 1, ""},
	{"a=1\rb=2\n", WEFT_EMALFORMED, 1, ""},
	{"a=\x7f\n", WEFT_EMALFORMED, 1, ""},
	{"a=1\nstop=1\nb=2\n", WEFT_EUNKNOWN, 2, "1:.a=1|"},
};

static void test_each_line_is_reported_or_refused_with_its_number(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned line = 0;

		seen[0] = '\0';
		CHECK_EQ(ini_parse(rows[i].text, strlen(rows[i].text), line_note, NULL, &line),
			 rows[i].want);
		CHECK_EQ(line, rows[i].line);
		CHECK_STR(seen, rows[i].seen);
	}
}

static void test_a_nul_is_refused(void)
{
	unsigned line = 0;

	CHECK_EQ(ini_parse("a=1\n\0\n", 6, line_note, NULL, &line), WEFT_EMALFORMED);
	CHECK_EQ(line, 2);
}

static void test_a_line_may_have_1024_bytes_and_no_more(void)
{
	static const char *const ends[] = {"", "\n", "\r\n"};
	char text[INI_LINE_LEN_MAX + 8];
	unsigned line = 0;

	for (size_t i = 0; i < 3; i++) {
		memset(text, 'k', sizeof(text));
		text[INI_LINE_LEN_MAX / 2] = '=';
		snprintf(text + INI_LINE_LEN_MAX, 8, "%s", ends[i]);
		CHECK_EQ(ini_parse(text, strlen(text), line_note, NULL, &line), 0);
		snprintf(text + INI_LINE_LEN_MAX, 8, "k%s", ends[i]);
		CHECK_EQ(ini_parse(text, strlen(text), line_note, NULL, &line), WEFT_ETOOLARGE);
		CHECK_EQ(line, 1);
		line = 0;
	}
}

/* A name of that length fills the buffer of the section. */
static void test_a_section_may_fill_a_line(void)
{
	char text[INI_LINE_LEN_MAX];
	unsigned line = 0;

	memset(text, 's', sizeof(text));
	text[0] = '[';
	text[sizeof(text) - 1] = ']';
	CHECK_EQ(ini_parse(text, sizeof(text), line_note, NULL, &line), 0);
}

static int head_note(void *ctx, const struct ini_line *head)
{
	size_t len = strlen(seen);

	if (strcmp(head->section, ctx) == 0)
		return WEFT_EUNKNOWN;
	snprintf(seen + len, sizeof(seen) - len, "%u:[%s]%s%s|", head->number, head->section,
		 head->key, head->value);
	return 0;
}

static void test_each_section_is_reported_also_an_empty_one(void)
{
	static const char text[] = "a=1\n[s]\n[t u]\nb=2\n[s]\n[end]\n[never]\n";
	const struct ini_calls calls = {head_note, line_note};
	unsigned line = 0;

	seen[0] = '\0';
	CHECK_EQ(ini_parse_sections(text, sizeof(text) - 1, &calls, "end", &line), WEFT_EUNKNOWN);
	CHECK_EQ(line, 6);
	CHECK_STR(seen, "1:.a=1|2:[s]|3:[t u]|4:t u.b=2|5:[s]|");
}

int main(void)
{
	RUN(test_each_line_is_reported_or_refused_with_its_number);
	RUN(test_a_nul_is_refused);
	RUN(test_a_line_may_have_1024_bytes_and_no_more);
	RUN(test_a_section_may_fill_a_line);
	RUN(test_each_section_is_reported_also_an_empty_one);
	return check_done();
}
