/* SPDX-License-Identifier: Apache-2.0 */
#include "content/object.h"
#include "content/scope.h"
#include "content/serve/reach.h"
#include "support/check.h"

static const uint8_t one[32] = {1}, two[32] = {2}, three[32] = {3};

static struct reach *reach_of(void)
{
	struct reach *reach = reach_new();

	if (!reach || reach_add_share(reach, "/srv/files", one) < 0 ||
	    reach_add_share(reach, "/srv/files/inner", two) < 0 ||
	    reach_add_share(reach, "/srv/one.iso", two) < 0 || reach_add_manifest(reach, two) < 0 ||
	    reach_add_manifest(reach, one) < 0)
		abort();
	reach_seal(reach);
	return reach;
}

/* A file that was hashed where it lies. */
static bool has_path(const struct reach *reach, const char *path)
{
	struct object_file file = {.is_got = false};

	snprintf(file.path, sizeof(file.path), "%s", path);
	return reach_has_file(reach, &file);
}

static const struct {
	const char *path;
	bool want;
} paths[] = {
	{"/srv/files", true},
	{"/srv/files/a", true},
	{"/srv/files/a/b/c", true},
	{"/srv/filesystem", false}, /* a name that begins alike is not inside */
	{"/srv/file", false},
	{"/srv", false},
	{"/", false},
	{"/srv/one.iso", true},
	{"/srv/one.iso2", false},
	{"/home", false},
	{"srv/files/a", false},
	{"", false},
};

static void test_path_is_reachable_at_or_below_a_place(void)
{
	struct reach *reach = reach_of();

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool got = has_path(reach, paths[i].path);

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

	CHECK(!has_path(reach, "/any/thing"));
	CHECK(!reach_has_manifest(reach, one));
	CHECK_EQ(reach_add_share(reach, "/", one), 0);
	reach_seal(reach);
	CHECK(has_path(reach, "/any/thing"));
	CHECK(has_path(reach, "/"));
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

static void note_served(struct reach *reach, const char *path, uint64_t len)
{
	struct object_file file = {0};

	snprintf(file.path, sizeof(file.path), "%s", path);
	reach_note_served(reach, &file, len);
}

/* A folder that was got and is shared as the same collection counts a byte once. */
static void test_bytes_of_a_got_file_count_once_for_its_collection(void)
{
	struct object_file file = {.path = "/x/y", .is_got = true};
	struct reach *reach = reach_new();
	struct told told = {0};

	memcpy(file.got_id, one, sizeof(file.got_id));
	CHECK_EQ(reach_add_share(reach, "/x", one), 0);
	CHECK_EQ(reach_add_share(reach, "/x", three), 0);
	CHECK_EQ(reach_add_manifest(reach, one), 0);
	reach_seal(reach);
	reach_note_served(reach, &file, 9);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 9);
	CHECK_EQ(told.by_first_byte[3], 9);
	reach_free(reach);
}

/* Kept for the node itself: neither its list nor its files are given to peers. */
static void test_held_collection_is_not_served(void)
{
	struct object_file file = {.path = "/home/get/x", .is_got = true};
	struct reach *reach = reach_new(), *copy;

	memcpy(file.got_id, one, sizeof(file.got_id));
	CHECK_EQ(reach_add_held(reach, one), 0);
	CHECK_EQ(reach_add_held(reach, three), 0);
	CHECK_EQ(reach_add_manifest(reach, three), 0);
	reach_seal(reach);
	copy = reach_copy(reach);
	CHECK(!reach_has_manifest(copy, one) && !reach_has_file(copy, &file));
	CHECK(reach_holds_manifest(copy, one) && reach_holds_file(copy, &file));
	CHECK(reach_has_manifest(copy, three));
	reach_free(copy);
	reach_free(reach);
}

static void test_served_bytes_count_for_every_share_around_them_once(void)
{
	struct reach *reach = reach_of(), *copy;
	struct told told = {0};

	note_served(reach, "/srv/files/inner/x", 100);
	note_served(reach, "/srv/one.iso", 5);
	note_served(reach, "/home/get/x", 7); /* of a get: no share counts it */
	copy = reach_copy(reach);
	reach_served_each(copy, tell, &told);
	CHECK_EQ(told.cnt, 0);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK_EQ(told.by_first_byte[2], 105);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK(has_path(copy, "/srv/files/a") && reach_has_manifest(copy, two));
	reach_free(reach);
	reach_free(copy);
}

static void test_two_shares_of_one_path_are_both_counted(void)
{
	struct reach *reach = reach_new();
	struct told told = {0};

	CHECK_EQ(reach_add_share(reach, "/x", one), 0);
	CHECK_EQ(reach_add_share(reach, "/x", three), 0);
	reach_seal(reach);
	note_served(reach, "/x/y", 9);
	reach_served_each(reach, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 9);
	CHECK_EQ(told.by_first_byte[3], 9);
	reach_free(reach);
}

static void test_got_file_is_reachable_while_its_collection_is(void)
{
	struct object_file file = {.path = "/home/get/x", .is_got = true};
	struct reach *reach = reach_of();

	memcpy(file.got_id, two, sizeof(two));
	CHECK(reach_has_file(reach, &file));
	memcpy(file.got_id, three, sizeof(three));
	CHECK(!reach_has_file(reach, &file));
	memcpy(file.got_id, two, sizeof(two));
	file.is_got = false;
	CHECK(!reach_has_file(reach, &file));
	reach_free(reach);
}

/* A share has all of it though a get of the same is not done yet. */
static bool is_two(void *arg, const uint8_t id[static 32])
{
	(void)arg;
	return memcmp(id, two, sizeof(two)) == 0;
}

static void test_a_part_of_it_has_what_belongs_to_the_wanted_manifests(void)
{
	struct reach *reach = reach_of(), *some = reach_copy_some(reach, is_two, NULL);
	struct object_file got = {.is_got = true, .path = "/tmp/got"};

	CHECK(some != NULL);
	CHECK(reach_has_manifest(some, two) && !reach_has_manifest(some, one));
	CHECK(has_path(some, "/srv/one.iso") && has_path(some, "/srv/files/inner/a"));
	CHECK(!has_path(some, "/srv/files/a"));
	memcpy(got.got_id, two, sizeof(two));
	CHECK(reach_has_file(some, &got));
	memcpy(got.got_id, one, sizeof(one));
	CHECK(!reach_has_file(some, &got));
	reach_free(some);
	reach_free(reach);
}

static void test_manifest_is_whole_for_one_who_says_so(void)
{
	struct reach *reach = reach_new(), *copy;

	CHECK(reach);
	CHECK_EQ(reach_add_manifest(reach, one), 0);
	CHECK_EQ(reach_add_whole(reach, two), 0);
	CHECK_EQ(reach_add_manifest(reach, two), 0);
	CHECK_EQ(reach_add_growing(reach, one), 0);
	reach_seal(reach);
	copy = reach_copy(reach);
	CHECK(reach_has_manifest(copy, one) && !reach_has_whole(copy, one));
	CHECK(reach_has_manifest(copy, two) && reach_has_whole(copy, two));
	CHECK(!reach_has_manifest(copy, three) && !reach_has_whole(copy, three));
	CHECK(reach_is_growing(copy, one));
	CHECK(!reach_is_growing(copy, two) && !reach_is_growing(copy, three));
	reach_free(reach);
	reach_free(copy);
}

static bool admits_c(void *ctx, const uint8_t id[static 32], const uint8_t key[static 32])
{
	(void)ctx;
	return id[0] == 'c' && key[0] == 'm';
}

/* Where two name the same, each peer may read what either lets it. */
static void test_scope_is_the_widest_of_all_that_name_it(void)
{
	static const uint8_t member[32] = {'m'}, other[32] = {'o'};
	const struct reach_reader m = {member, admits_c, NULL, NULL},
				  o = {other, admits_c, NULL, NULL};
	struct scope c = {.cnt = 1, .ids = {{'c'}}}, d = {.cnt = 1, .ids = {{'d'}}}, open = {0},
		     told;
	struct object_file file = {.is_got = false, .path = "/srv/c/d/file"};
	struct reach *reach = reach_new(), *copy;

	CHECK(reach);
	CHECK_EQ(reach_set_scope(reach, &c), 0);
	CHECK_EQ(reach_add_share(reach, "/srv/c", one), 0);
	CHECK_EQ(reach_add_whole(reach, one), 0);
	CHECK_EQ(reach_add_manifest(reach, two), 0);
	CHECK_EQ(reach_set_scope(reach, &d), 0);
	CHECK_EQ(reach_add_share(reach, "/srv/c/d", three), 0);
	CHECK_EQ(reach_add_manifest(reach, one), 0);
	CHECK_EQ(reach_add_manifest(reach, three), 0);
	CHECK_EQ(reach_set_scope(reach, &open), 0);
	CHECK_EQ(reach_add_manifest(reach, two), 0);
	CHECK_EQ(reach_set_scope(reach, &c), 0); /* once more: no scope is there twice */
	CHECK_EQ(reach_add_manifest(reach, two), 0);
	reach_seal(reach);
	copy = reach_copy(reach);
	reach_free(reach);
	CHECK(reach_gives_whole(copy, one, &m) && !reach_gives_manifest(copy, one, &o));
	CHECK(reach_gives_manifest(copy, two, &m) && reach_gives_manifest(copy, two, &o));
	CHECK(!reach_gives_manifest(copy, three, &m) && reach_has_manifest(copy, three));
	CHECK(reach_gives_file(copy, &file, &m) && !reach_gives_file(copy, &file, &o));
	CHECK(reach_has_file(copy, &file));
	CHECK(reach_scope_of(copy, three, &told) && scope_is_equal(&told, &d));
	CHECK(reach_scope_of(copy, two, &told) && scope_is_open(&told));
	reach_free(copy);
}

int main(void)
{
	RUN(test_scope_is_the_widest_of_all_that_name_it);
	RUN(test_a_part_of_it_has_what_belongs_to_the_wanted_manifests);
	RUN(test_manifest_is_whole_for_one_who_says_so);
	RUN(test_path_is_reachable_at_or_below_a_place);
	RUN(test_root_folder_covers_all_and_an_empty_list_nothing);
	RUN(test_bytes_of_a_got_file_count_once_for_its_collection);
	RUN(test_held_collection_is_not_served);
	RUN(test_served_bytes_count_for_every_share_around_them_once);
	RUN(test_two_shares_of_one_path_are_both_counted);
	RUN(test_got_file_is_reachable_while_its_collection_is);
	return check_done();
}
