/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/import/import.h"

#include <string.h>

#include "support/check.h"

static void test_what_is_chosen_is_admitted_with_the_way_to_it(void)
{
	static const struct {
		const char *path;
		bool is_admitted;
	} rows[] = {
		{"a", true},   {"a/b", true},	    {"a/b/c", true},	      {"d", true},
		{"d/e", true}, {"d/e/f.txt", true}, {"d/e/f", false},	      {"d/x", false},
		{"ab", false}, {"b", false},	    {"d/e/f.txt.bak", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(blobs_only_admits("a\nd/e/f.txt", rows[i].path, strlen(rows[i].path)),
			 rows[i].is_admitted);
	CHECK(blobs_only_admits("", "x", 1));
	CHECK(blobs_only_admits(NULL, "x", 1));
}

static void test_paths_that_lead_elsewhere_are_refused(void)
{
	static const char *const bad[] = {"..",	  "../a",   "/a",      "a/../b",
					  "a//b", "a\n\nb", ".weft-x", "a\n.."};
	static char longest[ONLY_CAP + 1];

	CHECK(blobs_only_is_sound(""));
	CHECK(blobs_only_is_sound(NULL));
	CHECK(blobs_only_is_sound("a\nb/c\n"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!blobs_only_is_sound(bad[i]));
	memset(longest, 'a', ONLY_CAP - 1);
	for (size_t i = 200; i < ONLY_CAP - 1; i += 200)
		longest[i] = '\n';
	CHECK(blobs_only_is_sound(longest));
	longest[ONLY_CAP - 1] = 'a';
	CHECK(!blobs_only_is_sound(longest));
}

int main(void)
{
	RUN(test_what_is_chosen_is_admitted_with_the_way_to_it);
	RUN(test_paths_that_lead_elsewhere_are_refused);
	return check_done();
}
