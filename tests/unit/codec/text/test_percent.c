/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "codec/text/percent.h"
#include "support/check.h"

static const struct {
	const char *text;
	size_t took;
	uint8_t byte; /* 0xaa: untouched */
	const char *why;
} rows[] = {
	{"a", 1, 'a', "a letter is itself"},
	{"+", 1, '+', "a plus, too: what a form means by it is not said here"},
	{"%41b", 3, 'A', "digits"},
	{"%fF", 3, 0xff, "of either case"},
	{"%00", 3, 0, "whether a zero may stand there is the caller's to say"},
	{"%2541", 3, '%', "what was decoded is not decoded again"},
	{"", 0, 0xaa, "nothing"},
	{"%", 0, 0xaa, "no digits"},
	{"%4", 0, 0xaa, "one digit"},
	{"%4g", 0, 0xaa, "no digit"},
	{"%g4", 0, 0xaa, "no digit before one"},
	{"%%41", 0, 0xaa, "a percent sign is no digit"},
	{"% 4", 0, 0xaa, "nor is a space"},
};

static void test_each_form_is_read_or_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t byte = 0xaa;
		size_t took = percent_read(rows[i].text, strlen(rows[i].text), &byte);

		if (took != rows[i].took || byte != rows[i].byte)
			printf("# row %s: %s\n", rows[i].text, rows[i].why);
		CHECK_EQ(took, rows[i].took);
		CHECK_EQ(byte, rows[i].byte);
	}
}

static void test_digits_behind_the_end_are_not_read(void)
{
	uint8_t byte = 0xaa;

	CHECK_EQ(percent_read("%41", 2, &byte), 0);
	CHECK_EQ(percent_read("%41", 1, &byte), 0);
	CHECK_EQ(percent_read("a", 0, &byte), 0);
	CHECK_EQ(byte, 0xaa);
}

int main(void)
{
	RUN(test_each_form_is_read_or_refused);
	RUN(test_digits_behind_the_end_are_not_read);
	return check_done();
}
