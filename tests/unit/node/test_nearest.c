/* SPDX-License-Identifier: Apache-2.0 */
#include "weft/nearest.h"

#include <limits.h>

#include "support/check.h"

static void test_distance_counts_single_slips(void)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0},	       {"", "abc", 3},	       {"share", "share", 0},
		{"shar", "share", 1},  {"shares", "share", 1}, {"shsre", "share", 1},
		{"shrae", "share", 1}, {"hsrae", "share", 2},  {"kitten", "sitting", 3},
		{"ab", "ba", 1},       {"list", "watch", 5},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(weft_edit_distance(rows[i].a, rows[i].b), rows[i].distance);
		CHECK_EQ(weft_edit_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
}

static void test_long_words_are_compared_in_part(void)
{
	char a[1000], b[1000];

	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	CHECK_EQ(weft_edit_distance(a, b), WEFT_NEAREST_LEN_MAX);
}

static void test_only_what_may_be_meant_is_near(void)
{
	unsigned best = UINT_MAX;

	CHECK(!weft_is_nearer("xyzzy", "share", &best));
	CHECK(weft_is_nearer("lim", "limits", &best));
	CHECK(!weft_is_nearer("lim", "limits", &best));
	best = UINT_MAX;
	CHECK(weft_is_nearer("conn_kap", "conn_cap", &best));
	CHECK_EQ(best, 1);
	CHECK(!weft_is_nearer("", "share", &best));
	best = UINT_MAX;
	CHECK(!weft_is_nearer("mesh:yg6ywkagyeikkud81mmd6dhs3e8y5tcwz8jd4wcppyzn9", "list", &best));
}

int main(void)
{
	RUN(test_distance_counts_single_slips);
	RUN(test_long_words_are_compared_in_part);
	RUN(test_only_what_may_be_meant_is_near);
	return check_done();
}
