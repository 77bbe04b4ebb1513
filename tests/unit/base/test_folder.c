/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"

static void test_what_is_missing_on_the_way_is_made(void)
{
	char top[] = "/tmp/weft-folder-XXXXXX", path[64];
	struct stat st;

	CHECK(mkdtemp(top) != NULL);
	snprintf(path, sizeof(path), "%s/a/b/socket", top);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(folder_make_parents(path, 0700), 0);
	CHECK(access(path, F_OK) < 0);
	snprintf(path, sizeof(path), "%s/a/b", top);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0700);
	CHECK_EQ(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/a", top);
	CHECK_EQ(rmdir(path), 0);
	CHECK_EQ(rmdir(top), 0);
}

static void test_a_folder_that_cannot_be_made_is_reported(void)
{
	static char path[PATH_MAX + 8];

	CHECK_EQ(folder_make_parents("/dev/null/a/b", 0700), -ENOTDIR);
	CHECK_EQ(folder_make_parents("name", 0700), 0);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = path[sizeof(path) - 3] = '/';
	CHECK_EQ(folder_make_parents(path, 0700), -ENAMETOOLONG);
}

static void test_the_folder_of_a_path_is_synced_or_the_reason_is_reported(void)
{
	static char path[PATH_MAX + 8];

	CHECK_EQ(folder_sync_parent("/tmp/file"), 0);
	CHECK_EQ(folder_sync_parent("/file"), 0);
	CHECK_EQ(folder_sync_parent("file"), 0);
	CHECK_EQ(folder_sync_parent("/dev/null/file"), -ENOTDIR);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = path[sizeof(path) - 3] = '/';
	CHECK_EQ(folder_sync_parent(path), -ENAMETOOLONG);
}

int main(void)
{
	RUN(test_what_is_missing_on_the_way_is_made);
	RUN(test_a_folder_that_cannot_be_made_is_reported);
	RUN(test_the_folder_of_a_path_is_synced_or_the_reason_is_reported);
	return check_done();
}
