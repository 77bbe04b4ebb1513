/* SPDX-License-Identifier: Apache-2.0 */
#include "store/derived.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

#define MAP_LEN_MAX (8ull << 20)
#define LARGE_LEN   (3u << 20)

static char dir[SCRATCH_CAP];

static int open_version(uint32_t version, struct derived **out, enum derived_start *out_start)
{
	struct derived_config config = {.state_dir = dir,
					.name = "derived",
					.version = version,
					.map_len_max = MAP_LEN_MAX,
					.reader_cap = 8};

	return store_derived_open(&config, out, out_start);
}

static int put(struct derived *derived, const char *key, const void *value, size_t len)
{
	struct derived_write *write;
	int err = store_derived_write_open(derived, &write);

	if (err < 0)
		return err;
	store_derived_write_put(write, key, strlen(key), value, len);
	return store_derived_write_commit(write);
}

static int drop(struct derived *derived, const char *key)
{
	struct derived_write *write;
	int err = store_derived_write_open(derived, &write);

	if (err < 0)
		return err;
	store_derived_write_delete(write, key, strlen(key));
	return store_derived_write_commit(write);
}

static bool has(struct derived *derived, const char *key, const void *value, size_t len)
{
	struct derived_view *view;
	const void *got;
	size_t got_len;
	bool is_there;

	if (store_derived_view_open(derived, &view) < 0)
		return false;
	is_there = store_derived_view_get(view, key, strlen(key), &got, &got_len) == 0 &&
		   got_len == len && memcmp(got, value, len) == 0;
	store_derived_view_close(view);
	return is_there;
}

static void test_rows_outlive_a_close_and_a_kill(void)
{
	enum derived_start start;
	struct derived *derived;
	int status;
	pid_t pid;

	scratch_make(dir);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	CHECK_EQ(start, DERIVED_NEW);
	CHECK_EQ(put(derived, "a", "one", 3), 0);
	store_derived_close(derived);
	pid = fork();
	if (pid == 0) {
		struct derived_write *write;

		if (open_version(1, &derived, &start) < 0 || start != DERIVED_KEPT ||
		    put(derived, "b", "two", 3) < 0 ||
		    store_derived_write_open(derived, &write) < 0)
			_exit(1);
		store_derived_write_put(write, "c", 1, "half", 4);
		_exit(0); /* in the middle of a write, with the lock held */
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	CHECK_EQ(start, DERIVED_KEPT);
	CHECK(has(derived, "a", "one", 3));
	CHECK(has(derived, "b", "two", 3));
	CHECK(!has(derived, "c", "half", 4));
	CHECK_EQ(put(derived, "c", "", 0), 0);
	CHECK(has(derived, "c", "", 0));
	store_derived_close(derived);
	scratch_remove(dir);
}

static void test_rows_of_another_version_are_thrown_away(void)
{
	enum derived_start start;
	struct derived *derived;

	scratch_make(dir);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	CHECK_EQ(put(derived, "a", "one", 3), 0);
	store_derived_close(derived);
	CHECK_EQ(open_version(2, &derived, &start), 0);
	CHECK_EQ(start, DERIVED_OTHER_VERSION);
	CHECK(!has(derived, "a", "one", 3));
	store_derived_close(derived);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	CHECK_EQ(start, DERIVED_OTHER_VERSION);
	store_derived_close(derived);
	scratch_remove(dir);
}

/* What is done to the file of an environment with a small and a large row. */
static bool file_damage(unsigned how)
{
	char path[SCRATCH_CAP + 32], junk[4096];
	struct stat st;
	int fd;

	memset(junk, 0xa5, sizeof(junk));
	fd = open(scratch_path(path, sizeof(path), dir, "derived/data.mdb"), O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	switch (how) {
	case 0: /* cut short */
		if (ftruncate(fd, st.st_size / 2) < 0)
			return false;
		break;
	case 1: /* no environment at all */
		if (pwrite(fd, junk, sizeof(junk), 0) < 0 ||
		    pwrite(fd, junk, sizeof(junk), sizeof(junk)) < 0)
			return false;
		break;
	default: /* pages of the trees; where they are depends on LMDB, so all small ones */
		for (off_t off = 2 * 4096; off < st.st_size; off += 4096)
			if (pwrite(fd, junk, sizeof(junk), off) < 0)
				return false;
	}
	return close(fd) == 0;
}

static void test_damaged_rows_are_thrown_away(void)
{
	static uint8_t large[LARGE_LEN];
	enum derived_start start;
	struct derived *derived;

	for (unsigned how = 0; how < 3; how++) {
		scratch_make(dir);
		CHECK_EQ(open_version(1, &derived, &start), 0);
		CHECK_EQ(put(derived, "a", "one", 3), 0);
		CHECK_EQ(put(derived, "large", large, sizeof(large)), 0);
		store_derived_close(derived);
		CHECK(file_damage(how));
		CHECK_EQ(open_version(1, &derived, &start), 0);
		CHECK_EQ(start, DERIVED_DAMAGED);
		CHECK(!has(derived, "a", "one", 3));
		CHECK_EQ(put(derived, "a", "two", 3), 0);
		CHECK(has(derived, "a", "two", 3));
		store_derived_close(derived);
		scratch_remove(dir);
	}
}

static bool rows_put(struct derived *derived, unsigned cnt)
{
	struct derived_write *write;
	char name[16];

	if (store_derived_write_open(derived, &write) < 0)
		return false;
	for (unsigned i = 0; i < cnt; i++) {
		snprintf(name, sizeof(name), "mark-%03u", i);
		store_derived_write_put(write, name + 5, 3, name, 8);
	}
	return store_derived_write_commit(write) == 0;
}

/* A letter of the values of the first rows, cnt of them. */
static bool rows_damage(unsigned cnt)
{
	static uint8_t file[1 << 20];
	char path[SCRATCH_CAP + 32], name[16];
	ssize_t len;
	int fd =
		open(scratch_path(path, sizeof(path), dir, "derived/data.mdb"), O_RDWR | O_CLOEXEC);

	len = read(fd, file, sizeof(file));
	for (unsigned i = 0; len > 0 && i < cnt; i++) {
		uint8_t *value;

		snprintf(name, sizeof(name), "mark-%03u", i);
		value = memmem(file, (size_t)len, name, 8);
		if (!value || pwrite(fd, "M", 1, value - file) != 1)
			len = 0;
	}
	return close(fd) == 0 && len > 0;
}

static void test_damaged_values_are_dropped_alone_up_to_a_number(void)
{
	enum derived_start start;
	struct derived *derived;

	for (unsigned more = 0; more < 2; more++) {
		scratch_make(dir);
		CHECK_EQ(open_version(1, &derived, &start), 0);
		CHECK(rows_put(derived, DERIVED_BAD_MAX + 2));
		store_derived_close(derived);
		CHECK(rows_damage(DERIVED_BAD_MAX + more));
		CHECK_EQ(open_version(1, &derived, &start), 0);
		CHECK_EQ(start, more ? DERIVED_DAMAGED : DERIVED_KEPT);
		CHECK(!has(derived, "000", "mark-000", 8) && !has(derived, "063", "mark-063", 8));
		CHECK_EQ(has(derived, "065", "mark-065", 8), !more);
		store_derived_close(derived);
		scratch_remove(dir);
	}
}

static void test_a_full_environment_refuses_and_has_room_after_a_delete(void)
{
	static uint8_t large[LARGE_LEN];
	enum derived_start start;
	struct derived *derived;

	scratch_make(dir);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	memset(large, 7, sizeof(large));
	CHECK_EQ(put(derived, "a", large, sizeof(large)), 0);
	CHECK_EQ(put(derived, "b", large, sizeof(large)), 0);
	CHECK_EQ(put(derived, "c", large, sizeof(large)), WEFT_EFULL);
	CHECK(!has(derived, "c", large, sizeof(large)));
	CHECK(has(derived, "b", large, sizeof(large)));
	CHECK(store_derived_used_len(derived) <= MAP_LEN_MAX);
	CHECK_EQ(drop(derived, "a"), 0);
	/* LMDB uses pages again two commits later, some of them for its tree. */
	CHECK_EQ(put(derived, "d", "x", 1), 0);
	CHECK_EQ(put(derived, "c", large, sizeof(large) - 65536), 0);
	CHECK(has(derived, "c", large, sizeof(large) - 65536));
	store_derived_close(derived);
	scratch_remove(dir);
}

struct listing {
	char keys[64];
	unsigned left; /* rows until enough is enough */
};

static bool list_key(void *arg, const uint8_t *key, size_t key_len, const void *value,
		     size_t value_len)
{
	struct listing *listing = arg;

	(void)value, (void)value_len;
	strncat(listing->keys, (const char *)key, key_len);
	strcat(listing->keys, " ");
	return --listing->left > 0;
}

static void test_rows_are_walked_by_prefix_in_a_view_that_stays(void)
{
	static const char *const keys[] = {"a1", "b2", "b1", "b", "c"};
	struct listing listing = {.left = 9};
	enum derived_start start;
	struct derived *derived;
	struct derived_view *view;

	scratch_make(dir);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CHECK_EQ(put(derived, keys[i], "x", 1), 0);
	CHECK_EQ(store_derived_view_open(derived, &view), 0);
	CHECK_EQ(drop(derived, "b1"), 0);
	CHECK_EQ(store_derived_view_each(view, "b", 1, list_key, &listing), 0);
	CHECK_STR(listing.keys, "b b1 b2 ");
	listing = (struct listing){.left = 2};
	CHECK_EQ(store_derived_view_each(view, "", 0, list_key, &listing), 0);
	CHECK_STR(listing.keys, "a1 b ");
	listing = (struct listing){.left = 9};
	CHECK_EQ(store_derived_view_each(view, "d", 1, list_key, &listing), 0);
	CHECK_STR(listing.keys, "");
	store_derived_view_close(view);
	store_derived_close(derived);
	scratch_remove(dir);
}

static void test_a_write_is_refused_whole(void)
{
	char long_key[DERIVED_KEY_LEN_MAX + 1] = {0};
	struct derived_write *write;
	enum derived_start start;
	struct derived *derived;

	scratch_make(dir);
	CHECK_EQ(open_version(1, &derived, &start), 0);
	CHECK_EQ(store_derived_write_open(derived, &write), 0);
	store_derived_write_put(write, "a", 1, "x", 1);
	store_derived_write_put(write, long_key, sizeof(long_key), "x", 1);
	store_derived_write_put(write, "b", 1, "x", 1);
	CHECK_EQ(store_derived_write_commit(write), WEFT_ETOOLARGE);
	CHECK(!has(derived, "a", "x", 1));
	CHECK(!has(derived, "b", "x", 1));
	CHECK_EQ(store_derived_write_open(derived, &write), 0);
	store_derived_write_put(write, long_key, DERIVED_KEY_LEN_MAX, "x", 1);
	store_derived_write_put(write, "a", 1, "x", 1);
	CHECK_EQ(store_derived_write_commit(write), 0);
	CHECK(has(derived, "a", "x", 1));
	store_derived_close(derived);
	store_derived_close(NULL);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_rows_outlive_a_close_and_a_kill);
	RUN(test_rows_of_another_version_are_thrown_away);
	RUN(test_damaged_rows_are_thrown_away);
	RUN(test_damaged_values_are_dropped_alone_up_to_a_number);
	RUN(test_a_full_environment_refuses_and_has_room_after_a_delete);
	RUN(test_rows_are_walked_by_prefix_in_a_view_that_stays);
	RUN(test_a_write_is_refused_whole);
	return check_done();
}
