/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory that a get writes into: its staging directory, and former versions of files in
 * .weft-versions/NUMBER/PATH. The files at paths below it are target_dir.c's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "blobs/manifest/manifest.h"
#include "target_dir.h"

#define VERSIONS_NAME	MANIFEST_STAGING_PREFIX "versions"
#define DIR_FLAGS	(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
#define NUMBER_CAP	24
#define PRUNE_MAX	4096u /* numbers looked at in one run; more go in the next */
#define PRUNE_DEPTH_MAX 256u

/* Makes path and its parents; links on the way to a target are the user's own. */
static int dirs_make(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		int made;

		if (slash)
			*slash = '\0';
		made = mkdir(path, 0777);
		if (slash)
			*slash = '/';
		if (made < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			return 0;
	}
}

/* Some filesystems have no way to sync a directory; then there is none. */
int blobs_target_fd_sync(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

/* Opens the directory, made if absent. WEFT_EUNSAFE: a link or a file stands there. */
static int child_make(int parent, const char *name, mode_t mode, bool *out_is_old)
{
	int fd;

	*out_is_old = mkdirat(parent, name, mode) < 0;
	if (*out_is_old && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, DIR_FLAGS);
	if (fd >= 0)
		return fd;
	return errno == ENOTDIR || errno == ELOOP ? WEFT_EUNSAFE : -errno;
}

static int stage_open(struct target *target)
{
	int fd = child_make(target->fd, target->stage_name, 0700, &target->is_stage_old);

	if (fd < 0)
		return fd;
	target->stage_fd = fd;
	return 0;
}

int blobs_target_fd_name(int fd, int dir, const char *name)
{
	char path[32];

	if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Kernels and filesystems say no to either step, so one is taken through both. */
static bool nameless_probe(const struct target *target)
{
	static const char name[] = "probe";
	int fd = openat(target->stage_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	bool is_linked = fd >= 0 && blobs_target_fd_name(fd, target->stage_fd, name) == 0;

	if (fd >= 0)
		close(fd);
	blobs_target_stage_remove(target, name);
	return is_linked;
}

void blobs_target_init(struct target *target)
{
	*target = (struct target){.fd = -1, .stage_fd = -1, .versions_fd = -1};
}

int blobs_target_open(struct target *target, const char *path, const char *stage_name)
{
	int err;

	blobs_target_init(target);
	if (strlen(path) >= sizeof(target->path) ||
	    strlen(stage_name) >= sizeof(target->stage_name))
		return WEFT_ETOOLARGE;
	strcpy(target->path, path);
	strcpy(target->stage_name, stage_name);
	err = dirs_make(target->path);
	if (err)
		return err;
	target->fd = open(target->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = target->fd < 0 ? -errno : stage_open(target);
	if (err)
		blobs_target_close(target);
	else
		target->has_nameless = nameless_probe(target);
	return err;
}

void blobs_target_close(struct target *target)
{
	if (target->stage_fd >= 0)
		close(target->stage_fd);
	if (target->versions_fd >= 0)
		close(target->versions_fd);
	target->versions_fd = -1;
	if (target->fd >= 0)
		close(target->fd);
	target->stage_fd = -1;
	target->fd = -1;
}

int blobs_target_clear(const struct target *target)
{
	int fd = openat(target->stage_fd, ".", DIR_FLAGS);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = stream ? 0 : -errno;

	if (fd >= 0 && !stream)
		close(fd);
	while (stream && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(target->stage_fd, entry->d_name, 0) < 0)
			err = -errno;
	if (stream)
		closedir(stream);
	if (!err && unlinkat(target->fd, target->stage_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		err = -errno;
	return err ? err : blobs_target_fd_sync(target->fd);
}

bool blobs_target_leave(const struct target *target)
{
	if (unlinkat(target->fd, target->stage_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return false;
	return blobs_target_fd_sync(target->fd) == 0;
}

int blobs_target_discard(const char *path, const char *stage_name)
{
	struct target target;
	int err;

	blobs_target_init(&target);
	target.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target.fd < 0)
		return errno == ENOENT ? 0 : -errno;
	snprintf(target.stage_name, sizeof(target.stage_name), "%s", stage_name);
	target.stage_fd = openat(target.fd, stage_name, DIR_FLAGS);
	err = target.stage_fd >= 0 ? blobs_target_clear(&target) : errno == ENOENT ? 0 : -errno;
	blobs_target_close(&target);
	return err;
}

int blobs_target_join(const struct target *target, const char *path, size_t len,
		      char out[static OBJECT_PATH_LEN_MAX])
{
	size_t root_len = strlen(target->path);

	if (root_len + 1 + len >= OBJECT_PATH_LEN_MAX)
		return WEFT_ETOOLARGE;
	memcpy(out, target->path, root_len);
	out[root_len] = '/';
	memcpy(out + root_len + 1, path, len);
	out[root_len + 1 + len] = '\0';
	return 0;
}

uint64_t blobs_target_free_len(const struct target *target)
{
	struct statvfs fs;

	return fstatvfs(target->fd, &fs) < 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

int blobs_target_open_there(struct target *target, const char *path)
{
	blobs_target_init(target);
	if (strlen(path) >= sizeof(target->path))
		return WEFT_ETOOLARGE;
	strcpy(target->path, path);
	target->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return target->fd < 0 ? -errno : 0;
}

int blobs_target_stage_open(const struct target *target, const char *name, bool *out_is_new)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(target->stage_fd, name, flags | O_CREAT | O_EXCL, 0666);

	*out_is_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = openat(target->stage_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

int blobs_target_stage_lookup(const struct target *target, const char *name)
{
	int fd = openat(target->stage_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void blobs_target_stage_remove(const struct target *target, const char *name)
{
	unlinkat(target->stage_fd, name, 0);
}

/* --- former versions --- */

int blobs_target_open_versions(struct target *target, uint64_t number)
{
	char name[NUMBER_CAP];
	bool is_old;
	int versions = child_make(target->fd, VERSIONS_NAME, 0777, &is_old);

	if (versions < 0)
		return versions;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
	target->versions_fd = child_make(versions, name, 0777, &is_old);
	close(versions);
	return target->versions_fd < 0 ? target->versions_fd : 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? 1 : left > right ? -1 : 0;
}

/* Removes a folder that this node made, and all in it. Links are not followed. */
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
