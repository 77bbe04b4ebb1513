/* SPDX-License-Identifier: Apache-2.0 */
#include "content/reach.h"
#include "support/check.h"

static const uint8_t one[32] = {1}, two[32] = {2}, three[32] = {3};

static struct reach *reach_of(void)
{
	struct reach *reach = reach_new();

	if (!reach || reach_add_place(reach, "/srv/files", one) < 0 ||
	    reach_add_place(reach, "/srv/files/inner", two) < 0 ||
	    reach_add_place(reach, "/srv/one.iso", two) < 0 ||
	    reach_add_place(reach, "/home/get", NULL) < 0 || reach_add_manifest(reach, two) < 0 ||
	    reach_add_manifest(reach, one) < 0)
		abort();
	reach_seal(reach);
	return reach;
}

static const struct {
	const char *path;
	bool want;
} paths[] = {
	{"/srv/files", true},	    {"/srv/files/a", true},   {"/srv/files/a/b/c", true},
	{"/srv/filesystem", false}, /* a name that begins alike is not inside */
	{"/srv/file", false},	    {"/srv", false},	      {"/", false},
	{"/srv/one.iso", true},	    {"/srv/one.iso2", false}, {"/home/get/x", true},
	{"/home", false},	    {"srv/files/a", false},   {"", false},
};

static void test_path_is_reachable_at_or_below_a_place(void)
{
	struct reach *reach = reach_of();

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool got = reach_has_path(reach, paths[i].path);

		if (got != paths[i].want)
			printf("# %s\n", paths[i].path);
		CHECK_EQ(got, paths[i].want);
	}
	CHECK(reach_has_manifest(reach, one));
	CHECK(reach_has_manifest(reach, two));
	CHECK(!reach_has_manifest(reach, three));
	reach_free(reach);
}

static void test_root_folder_covers_all_and_an_empty_list_nothing(void)
{
	struct reach *reach = reach_new();

	CHECK(!reach_has_path(reach, "/any/thing"));
	CHECK(!reach_has_manifest(reach, one));
	CHECK_EQ(reach_add_place(reach, "/", one), 0);
	reach_seal(reach);
	CHECK(reach_has_path(reach, "/any/thing"));
	CHECK(reach_has_path(reach, "/"));
	reach_free(reach);
}

struct told {
	uint64_t by_first_byte[8];
	unsigned cnt;
};

static void tell(void *arg, const uint8_t share_id[static 32], uint64_t len)
{
	struct told *told = arg;

	told->by_first_byte[share_id[0]] += len;
	told->cnt++;
}

static void test_served_bytes_count_for_every_share_around_them_once(void)
{
	struct reach *reach = reach_of(), *copy;
	struct told told = {0};

	reach_note_served(reach, "/srv/files/inner/x", 100);
	reach_note_served(reach, "/srv/one.iso", 5);
	reach_note_served(reach, "/home/get/x", 7); /* a get has no count */
	copy = reach_copy(reach);
	reach_served_each(copy, tell, &told);
	CHECK_EQ(told.cnt, 0);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK_EQ(told.by_first_byte[2], 105);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK(reach_has_path(copy, "/srv/files/a") && reach_has_manifest(copy, two));
	reach_free(reach);
	reach_free(copy);
}

static void test_two_shares_of_one_path_are_both_counted(void)
{
	struct reach *reach = reach_new();
	struct told told = {0};

	CHECK_EQ(reach_add_place(reach, "/x", one), 0);
	CHECK_EQ(reach_add_place(reach, "/x", three), 0);
	reach_seal(reach);
	reach_note_served(reach, "/x/y", 9);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 9);
	CHECK_EQ(told.by_first_byte[3], 9);
	reach_free(reach);
}

static void test_path_longer_than_any_is_out_of_reach(void)
{
	static char path[8192];
	struct reach *reach = reach_new();

	CHECK_EQ(reach_add_place(reach, "/", one), 0);
	reach_seal(reach);
	memset(path, '/', sizeof(path) - 1);
	CHECK(!reach_has_path(reach, path));
	reach_free(reach);
}

int main(void)
{
	RUN(test_path_is_reachable_at_or_below_a_place);
	RUN(test_root_folder_covers_all_and_an_empty_list_nothing);
	RUN(test_served_bytes_count_for_every_share_around_them_once);
	RUN(test_two_shares_of_one_path_are_both_counted);
	RUN(test_path_longer_than_any_is_out_of_reach);
	return check_done();
}
