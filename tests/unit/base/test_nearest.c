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

int main(void)
{
	RUN(test_only_a_slip_is_near);
	return check_done();
}
