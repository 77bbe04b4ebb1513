/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "support/check.h"
#include "weft/nearest.h"

static const struct {
	const char *wanted, *candidate;
	bool near;
} rows[] = {
	{"lst", "list", true},
	{"lsit", "list", true},
	{"lim", "limits", true},
	{"listen", "listen", true},
	{"resmue", "resume", true},
	{"li", "limits", false},
	{"x", "list", false},
	{"list", "gc", false},
	{"", "list", false},
	{"share", "status", false},
	{"cancel", "resume", false},
	/* A link is long, so that many letters away is still a small part of it. */
	{"mesh:yrzfdextspf4u7dmjkt36z5tx5r6jb1en6x7c546f7by5ufbddwhqyrddc3unyzfqh7grri9c3yn1kbuy",
	 "resume", false},
};

static void test_only_a_slip_is_near(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned best = UINT_MAX;
		bool near = weft_is_nearer(rows[i].wanted, rows[i].candidate, &best);

		if (near != rows[i].near)
			printf("# %s, %s\n", rows[i].wanted, rows[i].candidate);
		CHECK_EQ(near, rows[i].near);
	}
}

static void test_distance_counts_single_slips(void)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} pairs[] = {
		{"", "", 0},	       {"", "abc", 3},	       {"share", "share", 0},
		{"shar", "share", 1},  {"shares", "share", 1}, {"shsre", "share", 1},
		{"shrae", "share", 1}, {"hsrae", "share", 2},  {"kitten", "sitting", 3},
		{"ab", "ba", 1},       {"list", "watch", 5},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		CHECK_EQ(weft_edit_distance(pairs[i].a, pairs[i].b), pairs[i].distance);
		CHECK_EQ(weft_edit_distance(pairs[i].b, pairs[i].a), pairs[i].distance);
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
	RUN(test_only_a_slip_is_near);
	RUN(test_distance_counts_single_slips);
	RUN(test_long_words_are_compared_in_part);
	RUN(test_only_what_may_be_meant_is_near);
	return check_done();
}
