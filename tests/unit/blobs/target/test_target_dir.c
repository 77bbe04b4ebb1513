/* SPDX-License-Identifier: Apache-2.0 */
/* Files into a folder, and nowhere else. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/target/target_dir.h"
#include "support/check.h"
#include "support/scratch.h"

static char dir[SCRATCH_CAP];
static struct target target;
static struct target_dir last;

static const char *path_of(const char *name)
{
	static char paths[4][SCRATCH_CAP + 64];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static bool begin(void)
{
	scratch_make(dir);
	blobs_target_dir_init(&last, &target);
	return blobs_target_open(&target, path_of("in"), ".weft-partial-1") == 0;
}

static void end(void)
{
	blobs_target_dir_fini(&last);
	blobs_target_close(&target);
	scratch_remove(dir);
}

static bool stage(const char *name, const char *text)
{
	bool is_new;
	int fd = blobs_target_stage_open(&target, name, &is_new);
	bool is_written = fd >= 0 && is_new && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return is_written;
}

static bool file_says(const char *path, const char *text)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);
	bool is_same = fd >= 0 && read(fd, got, sizeof(got) - 1) >= 0 && strcmp(got, text) == 0;

	if (fd >= 0)
		close(fd);
	return is_same;
}

static struct object_stamp stamp_of(const char *path)
{
	struct object_stamp stamp = {.size = 0};
	struct stat st;

	if (stat(path, &st) == 0)
		blobs_object_stamp_of(&st, &stamp);
	return stamp;
}

static void test_only_the_file_looked_at_is_replaced(void)
{
	struct object_stamp old, other;

	CHECK(begin());
	scratch_write(path_of("in/a"), "old", 3);
	scratch_write(path_of("in/b"), "other", 5);
	old = stamp_of(path_of("in/a"));
	other = stamp_of(path_of("in/b"));
	CHECK(stage("s", "new"));
	CHECK_EQ(blobs_target_place(&last, "s", "a", 1, NULL), WEFT_EEXISTS);
	CHECK_EQ(blobs_target_place(&last, "s", "a", 1, &other), WEFT_EEXISTS);
	CHECK(file_says(path_of("in/a"), "old"));
	CHECK_EQ(blobs_target_place(&last, "s", "a", 1, &old), 0);
	CHECK(file_says(path_of("in/a"), "new"));
	end();
}

/* Each way in, with a link where a directory of the path should be, from before or put there. */
static void test_link_in_the_way_is_not_followed(void)
{
	bool is_new;
	int fd;

	CHECK(begin());
	CHECK_EQ(mkdir(path_of("out"), 0755), 0);
	scratch_write(path_of("out/x"), "x", 1);
	CHECK_EQ(symlink("../out", path_of("in/d")), 0);
	fd = blobs_target_stage_open(&target, "s", &is_new);
	CHECK(fd >= 0 && is_new);
	close(fd);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(blobs_target_make_dir(&target, "d/e", 3), WEFT_EUNSAFE);
		CHECK_EQ(blobs_target_make_dir(&target, "d", 1), WEFT_EUNSAFE);
		CHECK_EQ(blobs_target_lookup(&last, "d/x", 3), WEFT_EUNSAFE);
		CHECK_EQ(blobs_target_place(&last, "s", "d/y", 3, NULL), WEFT_EUNSAFE);
		CHECK_EQ(blobs_target_place(&last, "s", "d/e/y", 5, NULL), WEFT_EUNSAFE);
		CHECK_EQ(blobs_target_dir_make(&last, "d/y", 3), WEFT_EUNSAFE);
		CHECK(access(path_of("out/y"), F_OK) < 0 && access(path_of("out/e"), F_OK) < 0);
		/* The second time a directory was there, and used, before the link. */
		if (round == 1)
			break;
		CHECK_EQ(unlink(path_of("in/d")), 0);
		CHECK_EQ(blobs_target_make_dir(&target, "d", 1), 0);
		CHECK_EQ(rmdir(path_of("in/d")), 0);
		CHECK_EQ(symlink("../out", path_of("in/d")), 0);
	}
	end();
}

static void test_link_for_a_file_is_neither_read_nor_replaced(void)
{
	struct object_stamp out;
	bool is_new;
	int fd;

	CHECK(begin());
	scratch_write(path_of("out"), "out", 3);
	CHECK_EQ(symlink("../out", path_of("in/a")), 0);
	out = stamp_of(path_of("out"));
	fd = blobs_target_stage_open(&target, "s", &is_new);
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(blobs_target_lookup(&last, "a", 1), WEFT_EUNSAFE);
	CHECK_EQ(blobs_target_place(&last, "s", "a", 1, NULL), WEFT_EEXISTS);
	CHECK_EQ(blobs_target_place(&last, "s", "a", 1, &out), WEFT_EEXISTS);
	CHECK(file_says(path_of("out"), "out"));
	end();
}

int main(void)
{
	RUN(test_only_the_file_looked_at_is_replaced);
	RUN(test_link_in_the_way_is_not_followed);
	RUN(test_link_for_a_file_is_neither_read_nor_replaced);
	return check_done();
}
