/* SPDX-License-Identifier: Apache-2.0 */
/* Files at paths below a target, and nowhere else. */
#include "target_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blobs/manifest/manifest.h"

#define NAME_CAP 256
/* In the staging directory: a link on its way to where another stands. */
#define LINK_NAME "link"
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

void blobs_target_dir_init(struct target_dir *dir, const struct target *target)
{
	dir->target = target;
	dir->fd = -1;
	dir->len = 0;
}

void blobs_target_dir_fini(struct target_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
}

/* Why a component could not be opened as a directory. */
static int dir_obstacle(int parent, const char *name, int error)
{
	struct stat st;

	if (error != ENOTDIR && error != ELOOP)
		return -error;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return WEFT_EUNSAFE;
	return WEFT_EEXISTS;
}

static int child_open(int parent, const char *name, bool is_making)
{
	int fd = openat(parent, name, DIR_FLAGS);

	if (fd < 0 && errno == ENOENT && is_making) {
		if (mkdirat(parent, name, 0777) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(parent, name, DIR_FLAGS);
	}
	return fd < 0 ? dir_obstacle(parent, name, errno) : fd;
}

/* Opens the directory path below root, one component after the other. */
static int dir_walk(int root, const char *path, size_t len, bool is_making)
{
	int fd = openat(root, ".", DIR_FLAGS);
	char name[NAME_CAP];

	if (fd < 0)
		return -errno;
	while (len > 0 && fd >= 0) {
		const char *slash = memchr(path, '/', len);
		size_t part = slash ? (size_t)(slash - path) : len;
		int parent = fd;

		memcpy(name, path, part);
		name[part] = '\0';
		fd = child_open(parent, name, is_making);
		close(parent);
		path += part + (slash ? 1 : 0);
		len -= part + (slash ? 1 : 0);
	}
	return fd;
}

/* One call where the directory is there and the kernel has openat2. */
static int dir_open(int root, const char *path, size_t len, bool is_making)
{
	struct open_how how = {
		.flags = DIR_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	char text[OBJECT_PATH_LEN_MAX + 1];
	long fd = -1;

	if (len > 0) {
		memcpy(text, path, len);
		text[len] = '\0';
		fd = syscall(SYS_openat2, root, text, &how, sizeof(how));
	}
	return fd >= 0 ? (int)fd : dir_walk(root, path, len, is_making);
}

/* The directory part of path in *dir, and its last part in name. */
static int parent_open(struct target_dir *dir, const char *path, size_t len, bool is_making,
		       char name[static NAME_CAP])
{
	const char *slash = memrchr(path, '/', len);
	size_t dir_len = slash ? (size_t)(slash - path) : 0;
	size_t name_len = len - dir_len - (slash ? 1 : 0);
	int fd;

	memcpy(name, path + len - name_len, name_len);
	name[name_len] = '\0';
	if (dir->fd >= 0 && dir->len == dir_len && memcmp(dir->path, path, dir_len) == 0)
		return 0;
	blobs_target_dir_fini(dir);
	fd = dir_open(dir->target->fd, path, dir_len, is_making);
	if (fd < 0)
		return fd;
	dir->fd = fd;
	dir->len = dir_len;
	memcpy(dir->path, path, dir_len);
	return 0;
}

int blobs_target_make_dir(const struct target *target, const char *path, size_t len)
{
	int fd = dir_open(target->fd, path, len, true);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* The state of name: 0 the same link, 1 another link, or WEFT_EEXISTS. */
static int link_compare(int dir, const char *name, const char *text)
{
	char found[MANIFEST_LINK_LEN_MAX + 1];
	ssize_t len = readlinkat(dir, name, found, sizeof(found));

	if (len < 0)
		return errno == EINVAL ? WEFT_EEXISTS : -errno;
	return (size_t)len == strlen(text) && memcmp(found, text, (size_t)len) == 0 ? 0 : 1;
}

static int link_replace(const struct target *target, int dir, const char *name, const char *text)
{
	blobs_target_stage_remove(target, LINK_NAME);
	if (symlinkat(text, target->stage_fd, LINK_NAME) < 0 ||
	    renameat(target->stage_fd, LINK_NAME, dir, name) < 0)
		return -errno;
	return 0;
}

int blobs_target_make_link(struct target_dir *dir, const struct manifest_link *link,
			   bool may_replace)
{
	char name[NAME_CAP], text[MANIFEST_LINK_LEN_MAX + 1];
	int err = parent_open(dir, link->path, link->path_len, true, name);

	if (err)
		return err;
	memcpy(text, link->text, link->text_len);
	text[link->text_len] = '\0';
	if (symlinkat(text, dir->fd, name) == 0)
		return 0;
	if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		return 1;
	if (errno != EEXIST)
		return -errno;
	err = link_compare(dir->fd, name, text);
	if (err <= 0)
		return err;
	return may_replace ? link_replace(dir->target, dir->fd, name, text) : WEFT_EEXISTS;
}

int blobs_target_look_link(struct target_dir *dir, const char *path, size_t len,
			   char text[static MANIFEST_LINK_LEN_MAX + 1])
{
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, false, name);
	ssize_t text_len = err ? -1 : readlinkat(dir->fd, name, text, MANIFEST_LINK_LEN_MAX + 1);

	if (err)
		return err == -ENOENT ? WEFT_EABSENT : err;
	if (text_len > (ssize_t)MANIFEST_LINK_LEN_MAX)
		return WEFT_EEXISTS; /* longer than any that weft makes */
	if (text_len >= 0)
		return (int)text_len;
	return errno == ENOENT ? WEFT_EABSENT : errno == EINVAL ? WEFT_EEXISTS : -errno;
}

int blobs_target_lookup(struct target_dir *dir, const char *path, size_t len)
{
	char name[NAME_CAP];
	struct stat st;
	int err = parent_open(dir, path, len, false, name);
	int fd;

	if (err)
		return err == -ENOENT ? WEFT_EABSENT : err;
	fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		switch (errno) {
		case ENOENT:
			return WEFT_EABSENT;
		case ELOOP:
			return WEFT_EUNSAFE;
		case ENXIO:
			return WEFT_EEXISTS;
		default:
			return -errno;
		}
	}
	err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : WEFT_EEXISTS;
	if (err)
		close(fd);
	return err ? err : fd;
}

/* 0: the file of that inode stands at name. WEFT_EEXISTS: a race, or a name that differs in case. */
static int inode_check(int dir, const char *name, const struct object_stamp *stamp)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_ino == stamp->inode && st.st_dev == stamp->dev
		       ? 0
		       : WEFT_EEXISTS;
}

static int place_replacing(const struct target *target, int dir, const char *staged,
			   const char *name, const struct object_stamp *replaced)
{
	int err = inode_check(dir, name, replaced);

	if (err)
		return err;
	return renameat(target->stage_fd, staged, dir, name) < 0 ? -errno : 0;
}

int blobs_target_place(struct target_dir *dir, const char *staged, const char *path, size_t len,
		       const struct object_stamp *replaced)
{
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, true, name);

	if (err)
		return err;
	if (renameat2(dir->target->stage_fd, staged, dir->fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	err = -errno;
	/* A filesystem without RENAME_NOREPLACE: a hard link does not replace either. */
	if (err == -EINVAL || err == -ENOSYS) {
		err = linkat(dir->target->stage_fd, staged, dir->fd, name, 0) < 0 ? -errno : 0;
		if (!err)
			blobs_target_stage_remove(dir->target, staged);
	}
	if (err == -EEXIST)
		err = replaced ? place_replacing(dir->target, dir->fd, staged, name, replaced)
			       : WEFT_EEXISTS;
	return err;
}

int blobs_target_nameless_open(struct target_dir *dir, const char *path, size_t len)
{
	int err = blobs_target_dir_make(dir, path, len);
	int fd;

	if (err)
		return err;
	fd = openat(dir->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : fd;
}

int blobs_target_nameless_place(struct target_dir *dir, int fd, const char *path, size_t len)
{
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, true, name);

	if (!err)
		err = blobs_target_fd_name(fd, dir->fd, name);
	return err == -EEXIST ? WEFT_EEXISTS : err;
}

int blobs_target_stamp(struct target_dir *dir, const char *path, size_t len,
		       struct object_stamp *out_stamp)
{
	char name[NAME_CAP];
	struct stat st;
	int err = parent_open(dir, path, len, false, name);

	if (err)
		return err;
	if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	blobs_object_stamp_of(&st, out_stamp);
	return 0;
}

int blobs_target_dir_make(struct target_dir *dir, const char *path, size_t len)
{
	char name[NAME_CAP];

	return parent_open(dir, path, len, true, name);
}

int blobs_target_dir_sync(struct target_dir *dir, const char *path, size_t len)
{
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, false, name);

	/* Another program took it away, and the names with it. */
	if (err == -ENOENT || err == WEFT_EUNSAFE || err == WEFT_EEXISTS)
		return 0;
	return err ? err : blobs_target_fd_sync(dir->fd);
}

void blobs_target_remove_dirs(struct target_dir *dir, const char *path, size_t len)
{
	char name[NAME_CAP];

	while (len > 0 && parent_open(dir, path, len, false, name) == 0 &&
	       unlinkat(dir->fd, name, AT_REMOVEDIR) == 0) {
		const char *slash = memrchr(path, '/', len);

		len = slash ? (size_t)(slash - path) : 0;
	}
}

/* The directory of path, where a file was: it goes when nothing else is in it. */
static void parent_remove(struct target_dir *dir, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	(void)!blobs_target_fd_sync(dir->fd);
	if (slash)
		blobs_target_remove_dirs(dir, path, (size_t)(slash - path));
}

int blobs_target_remove(struct target_dir *dir, const char *path, size_t len,
			const struct object_stamp *stamp)
{
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, false, name);

	if (!err)
		err = inode_check(dir->fd, name, stamp);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (unlinkat(dir->fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	parent_remove(dir, path, len);
	return 0;
}

int blobs_target_remove_link(struct target_dir *dir, const struct manifest_link *link)
{
	char text[MANIFEST_LINK_LEN_MAX + 1], name[NAME_CAP];
	int len = blobs_target_look_link(dir, link->path, link->path_len, text);
	int err;

	if (len < 0)
		return len == WEFT_EABSENT || len == WEFT_EEXISTS || len == WEFT_EUNSAFE ? 0 : len;
	if ((size_t)len != link->text_len || memcmp(text, link->text, link->text_len) != 0)
		return 0;
	err = parent_open(dir, link->path, link->path_len, false, name);
	if (err || unlinkat(dir->fd, name, 0) < 0)
		return err ? err : -errno;
	parent_remove(dir, link->path, link->path_len);
	return 1;
}

/* Another directory of the same filesystem, and how a file gets its name there. */
struct other {
	int fd;
	int (*put)(int from, int to, const char *name);
};

static int name_move(int from, int to, const char *name)
{
	return renameat(from, name, to, name) < 0 ? -errno : 0;
}

static int name_link(int from, int to, const char *name)
{
	/* One from a run that was killed here is the same file. */
	if (unlinkat(to, name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (linkat(from, name, to, name, 0) == 0)
		return 0;
	return errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK ? name_move(from, to, name)
									: -errno;
}

/* 1: the file of that inode has the same path in other now. 0: it is not there any more. */
static int other_put(struct target_dir *dir, const char *path, size_t len,
		     const struct object_stamp *stamp, const struct other *other)
{
	const struct target to = {.fd = other->fd, .stage_fd = -1, .versions_fd = -1};
	struct target_dir to_dir;
	char name[NAME_CAP];
	int err = parent_open(dir, path, len, false, name);

	if (!err)
		err = inode_check(dir->fd, name, stamp);
	if (err)
		return err == -ENOENT ? 0 : err;
	blobs_target_dir_init(&to_dir, &to);
	err = parent_open(&to_dir, path, len, true, name);
	if (!err)
		err = other->put(dir->fd, to_dir.fd, name);
	if (!err)
		err = blobs_target_fd_sync(to_dir.fd);
	blobs_target_dir_fini(&to_dir);
	return err ? err : 1;
}

int blobs_target_move(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp, int to)
{
	const struct other other = {to, name_move};
	int err = other_put(dir, path, len, stamp, &other);

	if (err == 1)
		parent_remove(dir, path, len);
	return err < 0 ? err : 0;
}

int blobs_target_link(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp, int to)
{
	const struct other other = {to, name_link};
	int err = other_put(dir, path, len, stamp, &other);

	return err < 0 ? err : 0;
}

int blobs_target_keep(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp)
{
	const struct target *target = dir->target;

	return target->versions_fd < 0
		       ? 0
		       : blobs_target_link(dir, path, len, stamp, target->versions_fd);
}
