/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/sim.h"

#define TREE_PATH_CAP 512
#define CHUNK_LEN     (256u * 1024)
#define FILE_LEN_MAX  (4 * CHUNK_LEN + 77777)

/* Around the limits of groups (16 KiB) and chunks (256 KiB). */
static const size_t lens[] = {
	1000,
	0,
	1,
	16384,
	70000,
	CHUNK_LEN,
	16385,
	3000,
	5,
	CHUNK_LEN + 1,
	2 * CHUNK_LEN - 1,
	40000,
	300,
	FILE_LEN_MAX,
};
#define LEN_CNT (sizeof(lens) / sizeof(lens[0]))

#define FILES_S 4000000000 /* since 1970: in the year 2096 */

void sim_file_date(const char *path, unsigned number)
{
	const struct timespec at = {.tv_sec = FILES_S + number};

	if (utimensat(AT_FDCWD, path, (struct timespec[2]){at, at}, 0) < 0)
		abort();
}

uint64_t sim_tree_make(struct random *random, const char *dir, unsigned file_cnt)
{
	static const char *const folders[] = {"", "a/", "a/b/", "c/"};
	static uint8_t bytes[FILE_LEN_MAX];
	char path[TREE_PATH_CAP];
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			abort();
	}
	for (unsigned i = 0; i < file_cnt; i++) {
		size_t len = lens[i % LEN_CNT];

		/* Every tenth is the twin of the one before, but for the name. */
		if (i % 10 == 9)
			len = lens[(i - 1) % LEN_CNT];
		else
			random_fill(random, bytes, len);
		snprintf(path, sizeof(path), "%s/%sfile%u.bin", dir, folders[i % 4], i);
		scratch_write(path, bytes, len);
		sim_file_date(path, 0);
		sum += len;
	}
	return sum;
}

static size_t file_read(const char *path, uint8_t *bytes, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, bytes, cap);

	if (fd >= 0)
		close(fd);
	return got < 0 ? SIZE_MAX : (size_t)got;
}

static bool file_equal(const char *a, const char *b)
{
	static uint8_t bytes[2][FILE_LEN_MAX + 1];
	size_t len = file_read(a, bytes[0], sizeof(bytes[0]));

	if (len != SIZE_MAX && file_read(b, bytes[1], sizeof(bytes[1])) == len &&
	    memcmp(bytes[0], bytes[1], len) == 0)
		return true;
	printf("# %s and %s differ\n", a, b);
	return false;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Each entry of a is in b; with_bytes, with the same bytes. */
static bool tree_within(const char *a, const char *b, bool with_bytes)
{
	DIR *dir = opendir(a);
	struct dirent *entry;
	bool is_within = true;

	while (dir && is_within && (entry = readdir(dir))) {
		char below_a[TREE_PATH_CAP], below_b[TREE_PATH_CAP];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		scratch_path(below_a, sizeof(below_a), a, entry->d_name);
		scratch_path(below_b, sizeof(below_b), b, entry->d_name);
		if (access(below_b, F_OK) < 0) {
			printf("# %s is not in %s\n", below_a, b);
			is_within = false;
		} else if (is_dir(below_a)) {
			is_within = tree_within(below_a, below_b, with_bytes);
		} else if (with_bytes) {
			is_within = file_equal(below_a, below_b);
		}
	}
	if (!dir)
		printf("# no folder %s\n", a);
	else
		closedir(dir);
	return dir && is_within;
}

bool sim_tree_equal(const char *a, const char *b)
{
	return tree_within(a, b, true) && tree_within(b, a, false);
}
