/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/object.h"
#include "blobs/scope.h"
#include "blobs/serve/served_index.h"
#include "support/check.h"

static const uint8_t one[32] = {1}, two[32] = {2}, three[32] = {3};

static struct served_index *served_index_of(void)
{
	struct served_index *served_index = blobs_served_index_new();

	if (!served_index || blobs_served_index_add_share(served_index, "/srv/files", one) < 0 ||
	    blobs_served_index_add_share(served_index, "/srv/files/inner", two) < 0 ||
	    blobs_served_index_add_share(served_index, "/srv/one.iso", two) < 0 ||
	    blobs_served_index_add_manifest(served_index, two) < 0 ||
	    blobs_served_index_add_manifest(served_index, one) < 0)
		abort();
	blobs_served_index_seal(served_index);
	return served_index;
}

/* A file that was hashed where it lies. */
static bool has_path(const struct served_index *served_index, const char *path)
{
	struct object_file file = {.is_got = false};

	snprintf(file.path, sizeof(file.path), "%s", path);
	return blobs_served_index_has_file(served_index, &file);
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
	struct served_index *served_index = served_index_of();

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool got = has_path(served_index, paths[i].path);

		if (got != paths[i].want)
			printf("# %s\n", paths[i].path);
		CHECK_EQ(got, paths[i].want);
	}
	CHECK(blobs_served_index_gives_manifest(served_index, one, NULL));
	CHECK(blobs_served_index_gives_manifest(served_index, two, NULL));
	CHECK(!blobs_served_index_gives_manifest(served_index, three, NULL));
	blobs_served_index_free(served_index);
}

static void test_root_folder_covers_all_and_an_empty_list_nothing(void)
{
	struct served_index *served_index = blobs_served_index_new();

	CHECK(!has_path(served_index, "/any/thing"));
	CHECK(!blobs_served_index_gives_manifest(served_index, one, NULL));
	CHECK_EQ(blobs_served_index_add_share(served_index, "/", one), 0);
	blobs_served_index_seal(served_index);
	CHECK(has_path(served_index, "/any/thing"));
	CHECK(has_path(served_index, "/"));
	blobs_served_index_free(served_index);
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

static void note_served(struct served_index *served_index, const char *path, uint64_t len)
{
	struct object_file file = {0};

	snprintf(file.path, sizeof(file.path), "%s", path);
	blobs_served_index_note_served(served_index, &file, len);
}

/* A folder that was got and is shared as the same collection counts a byte once. */
static void test_bytes_of_a_got_file_count_once_for_its_collection(void)
{
	struct object_file file = {.path = "/x/y", .is_got = true};
	struct served_index *served_index = blobs_served_index_new();
	struct told told = {0};

	memcpy(file.got_id, one, sizeof(file.got_id));
	CHECK_EQ(blobs_served_index_add_share(served_index, "/x", one), 0);
	CHECK_EQ(blobs_served_index_add_share(served_index, "/x", three), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, one), 0);
	blobs_served_index_seal(served_index);
	blobs_served_index_note_served(served_index, &file, 9);
	blobs_served_index_served_each(served_index, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 9);
	CHECK_EQ(told.by_first_byte[3], 9);
	blobs_served_index_free(served_index);
}

/* Kept for the node itself: neither its list nor its files are given to peers. */
static void test_held_collection_is_not_served(void)
{
	struct object_file file = {.path = "/home/get/x", .is_got = true};
	struct served_index *served_index = blobs_served_index_new(), *copy;

	memcpy(file.got_id, one, sizeof(file.got_id));
	CHECK_EQ(blobs_served_index_add_held(served_index, one), 0);
	CHECK_EQ(blobs_served_index_add_held(served_index, three), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, three), 0);
	blobs_served_index_seal(served_index);
	copy = blobs_served_index_copy(served_index);
	CHECK(!blobs_served_index_gives_manifest(copy, one, NULL) &&
	      !blobs_served_index_has_file(copy, &file));
	CHECK(blobs_served_index_holds_manifest(copy, one) &&
	      blobs_served_index_holds_file(copy, &file));
	CHECK(blobs_served_index_gives_manifest(copy, three, NULL));
	blobs_served_index_free(copy);
	blobs_served_index_free(served_index);
}

static void test_served_bytes_count_for_every_share_around_them_once(void)
{
	struct served_index *served_index = served_index_of(), *copy;
	struct told told = {0};

	note_served(served_index, "/srv/files/inner/x", 100);
	note_served(served_index, "/srv/one.iso", 5);
	note_served(served_index, "/home/get/x", 7); /* of a get: no share counts it */
	copy = blobs_served_index_copy(served_index);
	blobs_served_index_served_each(copy, tell, &told);
	CHECK_EQ(told.cnt, 0);
	blobs_served_index_served_each(served_index, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK_EQ(told.by_first_byte[2], 105);
	blobs_served_index_served_each(served_index, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 100);
	CHECK(has_path(copy, "/srv/files/a") && blobs_served_index_gives_manifest(copy, two, NULL));
	blobs_served_index_free(served_index);
	blobs_served_index_free(copy);
}

static void test_two_shares_of_one_path_are_both_counted(void)
{
	struct served_index *served_index = blobs_served_index_new();
	struct told told = {0};

	CHECK_EQ(blobs_served_index_add_share(served_index, "/x", one), 0);
	CHECK_EQ(blobs_served_index_add_share(served_index, "/x", three), 0);
	blobs_served_index_seal(served_index);
	note_served(served_index, "/x/y", 9);
	blobs_served_index_served_each(served_index, tell, &told);
	CHECK_EQ(told.by_first_byte[1], 9);
	CHECK_EQ(told.by_first_byte[3], 9);
	blobs_served_index_free(served_index);
}

static void test_got_file_is_reachable_while_its_collection_is(void)
{
	struct object_file file = {.path = "/home/get/x", .is_got = true};
	struct served_index *served_index = served_index_of();

	memcpy(file.got_id, two, sizeof(two));
	CHECK(blobs_served_index_has_file(served_index, &file));
	memcpy(file.got_id, three, sizeof(three));
	CHECK(!blobs_served_index_has_file(served_index, &file));
	memcpy(file.got_id, two, sizeof(two));
	file.is_got = false;
	CHECK(!blobs_served_index_has_file(served_index, &file));
	blobs_served_index_free(served_index);
}

/* A share has all of it though a get of the same is not done yet. */
static bool is_two(void *arg, const uint8_t id[static 32])
{
	(void)arg;
	return memcmp(id, two, sizeof(two)) == 0;
}

static void test_a_part_of_it_has_what_belongs_to_the_wanted_manifests(void)
{
	struct served_index *served_index = served_index_of(),
			    *some = blobs_served_index_copy_some(served_index, is_two, NULL);
	struct object_file got = {.is_got = true, .path = "/tmp/got"};

	CHECK(some != NULL);
	CHECK(blobs_served_index_gives_manifest(some, two, NULL) &&
	      !blobs_served_index_gives_manifest(some, one, NULL));
	CHECK(has_path(some, "/srv/one.iso") && has_path(some, "/srv/files/inner/a"));
	CHECK(!has_path(some, "/srv/files/a"));
	memcpy(got.got_id, two, sizeof(two));
	CHECK(blobs_served_index_has_file(some, &got));
	memcpy(got.got_id, one, sizeof(one));
	CHECK(!blobs_served_index_has_file(some, &got));
	blobs_served_index_free(some);
	blobs_served_index_free(served_index);
}

static void test_manifest_is_whole_for_a_peer_that_says_so(void)
{
	struct served_index *served_index = blobs_served_index_new(), *copy;

	CHECK(served_index);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, one), 0);
	CHECK_EQ(blobs_served_index_add_whole(served_index, two), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, two), 0);
	CHECK_EQ(blobs_served_index_add_growing(served_index, one), 0);
	blobs_served_index_seal(served_index);
	copy = blobs_served_index_copy(served_index);
	CHECK(blobs_served_index_gives_manifest(copy, one, NULL) &&
	      !blobs_served_index_gives_whole(copy, one, NULL));
	CHECK(blobs_served_index_gives_manifest(copy, two, NULL) &&
	      blobs_served_index_gives_whole(copy, two, NULL));
	CHECK(!blobs_served_index_gives_manifest(copy, three, NULL) &&
	      !blobs_served_index_gives_whole(copy, three, NULL));
	CHECK(blobs_served_index_is_growing(copy, one));
	CHECK(!blobs_served_index_is_growing(copy, two) &&
	      !blobs_served_index_is_growing(copy, three));
	blobs_served_index_free(served_index);
	blobs_served_index_free(copy);
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
	const struct served_reader m = {member, admits_c, NULL, NULL},
				   o = {other, admits_c, NULL, NULL};
	struct scope c = {.cnt = 1, .ids = {{'c'}}}, d = {.cnt = 1, .ids = {{'d'}}}, open = {0},
		     told;
	struct object_file file = {.is_got = false, .path = "/srv/c/d/file"};
	struct served_index *served_index = blobs_served_index_new(), *copy;

	CHECK(served_index);
	CHECK_EQ(blobs_served_index_set_scope(served_index, &c), 0);
	CHECK_EQ(blobs_served_index_add_share(served_index, "/srv/c", one), 0);
	CHECK_EQ(blobs_served_index_add_whole(served_index, one), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, two), 0);
	CHECK_EQ(blobs_served_index_set_scope(served_index, &d), 0);
	CHECK_EQ(blobs_served_index_add_share(served_index, "/srv/c/d", three), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, one), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, three), 0);
	CHECK_EQ(blobs_served_index_set_scope(served_index, &open), 0);
	CHECK_EQ(blobs_served_index_add_manifest(served_index, two), 0);
	CHECK_EQ(blobs_served_index_set_scope(served_index, &c),
		 0); /* once more: no scope is there twice */
	CHECK_EQ(blobs_served_index_add_manifest(served_index, two), 0);
	blobs_served_index_seal(served_index);
	copy = blobs_served_index_copy(served_index);
	blobs_served_index_free(served_index);
	CHECK(blobs_served_index_gives_whole(copy, one, &m) &&
	      !blobs_served_index_gives_manifest(copy, one, &o));
	CHECK(blobs_served_index_gives_manifest(copy, two, &m) &&
	      blobs_served_index_gives_manifest(copy, two, &o));
	CHECK(!blobs_served_index_gives_manifest(copy, three, &m) &&
	      blobs_served_index_gives_manifest(copy, three, NULL));
	CHECK(blobs_served_index_gives_file(copy, &file, &m) &&
	      !blobs_served_index_gives_file(copy, &file, &o));
	CHECK(blobs_served_index_has_file(copy, &file));
	CHECK(blobs_served_index_scope_of(copy, three, &told) && blobs_scope_is_equal(&told, &d));
	CHECK(blobs_served_index_scope_of(copy, two, &told) && blobs_scope_is_open(&told));
	blobs_served_index_free(copy);
}

int main(void)
{
	RUN(test_scope_is_the_widest_of_all_that_name_it);
	RUN(test_a_part_of_it_has_what_belongs_to_the_wanted_manifests);
	RUN(test_manifest_is_whole_for_a_peer_that_says_so);
	RUN(test_path_is_reachable_at_or_below_a_place);
	RUN(test_root_folder_covers_all_and_an_empty_list_nothing);
	RUN(test_bytes_of_a_got_file_count_once_for_its_collection);
	RUN(test_held_collection_is_not_served);
	RUN(test_served_bytes_count_for_every_share_around_them_once);
	RUN(test_two_shares_of_one_path_are_both_counted);
	RUN(test_got_file_is_reachable_while_its_collection_is);
	return check_done();
}
