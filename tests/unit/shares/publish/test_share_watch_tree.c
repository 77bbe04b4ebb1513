/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are watched; what the kernel does not tell is noticed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shares/publish/share_watch_tree.h"
#include "support/check.h"
#include "support/scratch.h"

static char dir[SCRATCH_CAP];

static const char *at(const char *name)
{
	static char path[SCRATCH_CAP + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void test_each_directory_is_watched_up_to_the_cap(void)
{
	char from[SCRATCH_CAP + 64];
	struct watch_news news;
	uint32_t cnt;
	int fd;

	CHECK(scratch_make(dir));
	CHECK_EQ(mkdir(at("a"), 0755), 0);
	CHECK_EQ(mkdir(at("a/b"), 0755), 0);
	CHECK_EQ(symlink("a", at("link")), 0);
	CHECK_EQ(shares_watch_tree_open(dir, "", 2, &cnt), WEFT_EFULL);
	fd = shares_watch_tree_open(dir, "", 3, &cnt);
	CHECK(fd >= 0);
	CHECK_EQ(cnt, 3);
	shares_watch_tree_read(fd, &news);
	CHECK(!news.has_changed && !news.has_new_dirs && !news.has_overflow);
	scratch_write(at("a/b/x"), "x", 1);
	shares_watch_tree_read(fd, &news);
	CHECK(news.has_changed && !news.has_new_dirs);
	CHECK_EQ(mkdir(at("a/c"), 0755), 0);
	shares_watch_tree_read(fd, &news);
	CHECK(news.has_changed && news.has_new_dirs);
	/* What a get stages there is not published, so it is no news. */
	snprintf(from, sizeof(from), "%s", at("a/b/x"));
	CHECK_EQ(rename(from, at("a/b/.weft-x")), 0);
	shares_watch_tree_read(fd, &news);
	CHECK(news.has_changed); /* x went */
	scratch_write(at("a/b/.weft-x"), "y", 1);
	shares_watch_tree_read(fd, &news);
	CHECK(!news.has_changed);
	close(fd);
	scratch_remove(dir);
}

static void test_only_what_is_chosen_is_watched(void)
{
	uint32_t cnt;
	int fd;

	CHECK(scratch_make(dir));
	CHECK_EQ(mkdir(at("a"), 0755), 0);
	CHECK_EQ(mkdir(at("b"), 0755), 0);
	CHECK_EQ(mkdir(at("b/c"), 0755), 0);
	scratch_write(at("file"), "x", 1);
	fd = shares_watch_tree_open(dir, "b", 9, &cnt);
	CHECK(fd >= 0);
	CHECK_EQ(cnt, 2);
	close(fd);
	/* A file by the folder that it is in. */
	fd = shares_watch_tree_open(at("file"), "", 9, &cnt);
	CHECK(fd >= 0);
	CHECK_EQ(cnt, 1);
	close(fd);
	CHECK(shares_watch_tree_open("/nonexistent/x", "", 9, &cnt) < 0);
	scratch_remove(dir);
}

static unsigned queue_max(void)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	unsigned max = 0;

	if (file && fscanf(file, "%u", &max) != 1)
		max = 0;
	if (file)
		fclose(file);
	return max;
}

static void test_a_queue_that_ran_over_is_noticed(void)
{
	struct watch_news news;
	unsigned max = queue_max();
	uint32_t cnt;
	int fd;

	if (max == 0 || max > 100000) {
		printf("# skipped: max_queued_events is %u\n", max);
		return;
	}
	CHECK(scratch_make(dir));
	fd = shares_watch_tree_open(dir, "", 9, &cnt);
	CHECK(fd >= 0);
	/* Making and removing are two events, which are not merged. */
	for (unsigned i = 0; i < max / 2 + 2; i++) {
		CHECK_EQ(mkdir(at("d"), 0755), 0);
		CHECK_EQ(rmdir(at("d")), 0);
	}
	shares_watch_tree_read(fd, &news);
	CHECK(news.has_overflow && news.has_new_dirs);
	shares_watch_tree_read(fd, &news);
	CHECK(!news.has_overflow && !news.has_changed);
	close(fd);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_each_directory_is_watched_up_to_the_cap);
	RUN(test_only_what_is_chosen_is_watched);
	RUN(test_a_queue_that_ran_over_is_noticed);
	return check_done();
}
