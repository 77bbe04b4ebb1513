/* SPDX-License-Identifier: Apache-2.0 */
/* Former versions of files, below the target: .weft-versions/NUMBER/PATH. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target_dir.h"
#include "blobs/manifest/manifest.h"

#define VERSIONS_NAME	MANIFEST_STAGING_PREFIX "versions"
#define DIR_FLAGS	(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
#define NUMBER_CAP	24
#define PRUNE_MAX	4096u /* numbers looked at in one run; more go in the next */
#define PRUNE_DEPTH_MAX 256u

static int dir_make(int parent, const char *name)
{
	int fd;

	if (mkdirat(parent, name, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, DIR_FLAGS);
	if (fd >= 0)
		return fd;
	return errno == ENOTDIR || errno == ELOOP ? WEFT_EUNSAFE : -errno;
}

int blobs_target_open_versions(struct target *target, uint64_t number)
{
	char name[NUMBER_CAP];
	int versions = dir_make(target->fd, VERSIONS_NAME);

	if (versions < 0)
		return versions;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
	target->versions_fd = dir_make(versions, name);
	close(versions);
	return target->versions_fd < 0 ? target->versions_fd : 0;
}

int blobs_target_keep(const struct target *target, struct target_dir *dir, const char *path,
		      size_t len, const struct object_stamp *stamp)
{
	return target->versions_fd < 0
		       ? 0
		       : blobs_target_link(target, dir, path, len, stamp, target->versions_fd);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? 1 : left > right ? -1 : 0;
}

/* Removes all below dir: what is here was put here by us. Links are not followed. */
static int tree_remove(int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, DIR_FLAGS);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!stream) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (depth < PRUNE_DEPTH_MAX && (entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(stream), entry->d_name, 0) < 0)
			err = errno == EISDIR ? tree_remove(dirfd(stream), entry->d_name, depth + 1)
					      : -errno;
	}
	closedir(stream);
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? (err ? err : -errno) : 0;
}

static unsigned numbers_read(DIR *stream, uint64_t numbers[static PRUNE_MAX])
{
	struct dirent *entry;
	unsigned cnt = 0;

	while (cnt < PRUNE_MAX && (entry = readdir(stream))) {
		char *end;
		uint64_t number = strtoull(entry->d_name, &end, 10);

		/* Empty ones are of revisions in which nothing was replaced. */
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || *end ||
		    unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR) == 0)
			continue;
		numbers[cnt++] = number;
	}
	return cnt;
}

int blobs_target_prune_versions(const struct target *target, unsigned cnt)
{
	int fd = openat(target->fd, VERSIONS_NAME, DIR_FLAGS);
	uint64_t *numbers = calloc(PRUNE_MAX, sizeof(*numbers));
	DIR *stream = fd < 0 || !numbers ? NULL : fdopendir(fd);
	char name[NUMBER_CAP];
	unsigned number_cnt;
	int err = 0;

	if (!stream) {
		err = numbers ? -errno : -ENOMEM;
		if (fd >= 0)
			close(fd);
		free(numbers);
		return err == -ENOENT ? 0 : err;
	}
	number_cnt = numbers_read(stream, numbers);
	qsort(numbers, number_cnt, sizeof(*numbers), compare);
	for (unsigned i = cnt; i < number_cnt && !err; i++) {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)numbers[i]);
		err = tree_remove(dirfd(stream), name, 0);
	}
	closedir(stream);
	free(numbers);
	if (unlinkat(target->fd, VERSIONS_NAME, AT_REMOVEDIR) < 0 && !err && errno != ENOTEMPTY &&
	    errno != EEXIST)
		err = -errno;
	return err;
}
