/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a tree: each level holds one directory's names, sorted, so that
 * the same tree gives the same order on every file system.
 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "import.h"
#include "blobs/manifest/manifest.h"

struct level {
	int fd;
	char *names;	   /* one after the other, each with its NUL */
	const char **list; /* into names, sorted */
	size_t cnt;
	size_t idx;
	size_t path_len; /* of the directory itself in walk.path */
	bool has_any;	 /* an entry below it was reported */
};

struct walk {
	char *root;
	int root_fd; /* of the root, or of the directory that holds the single file */
	bool is_file;
	bool is_done; /* the single file was reported */
	const char *only;
	unsigned depth;
	struct level levels[WALK_DEPTH_MAX];
	char path[MANIFEST_PATH_LEN_MAX + 1];
	char link[MANIFEST_LINK_LEN_MAX + 1];
};

/* --- one directory --- */

struct names {
	char *text;
	size_t len, cap, cnt;
};

static int names_add(struct names *names, const char *name)
{
	size_t len = strlen(name) + 1;

	if (names->len + len > WALK_NAMES_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (names->len + len > names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 1024;
		char *text;

		while (cap < names->len + len)
			cap *= 2;
		text = realloc(names->text, cap);
		if (!text)
			return -ENOMEM;
		names->text = text;
		names->cap = cap;
	}
	memcpy(names->text + names->len, name, len);
	names->len += len;
	names->cnt++;
	return 0;
}

static int names_read(int fd, struct names *names)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int err = 0;

	if (!dir) {
		err = -errno;
		if (copy >= 0)
			close(copy);
		return err;
	}
	while (err == 0 && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = names_add(names, entry->d_name);
	if (err == 0 && errno)
		err = -errno;
	closedir(dir);
	return err;
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void level_close(struct level *level)
{
	close(level->fd);
	free(level->names);
	free(level->list);
}

/* level_open takes fd on success. */
static int level_open(struct level *level, int fd, size_t path_len)
{
	struct names names = {0};
	const char **list, *at;
	int err = names_read(fd, &names);

	if (err < 0) {
		free(names.text);
		return err;
	}
	list = malloc((names.cnt + 1) * sizeof(*list));
	if (!list) {
		free(names.text);
		return -ENOMEM;
	}
	at = names.text;
	for (size_t i = 0; i < names.cnt; i++) {
		list[i] = at;
		at += strlen(at) + 1;
	}
	if (names.cnt)
		qsort(list, names.cnt, sizeof(*list), name_order);
	*level = (struct level){.fd = fd,
				.names = names.text,
				.list = list,
				.cnt = names.cnt,
				.path_len = path_len};
	return 0;
}

/* --- the root --- */

static int root_open_file(struct walk *walk)
{
	char *slash = strrchr(walk->root, '/');
	const char *name = slash ? slash + 1 : walk->root;

	if (!slash || !blobs_manifest_path_is_safe(name, strlen(name)))
		return WEFT_EUNSAFE;
	memcpy(walk->path, name, strlen(name) + 1);
	walk->is_file = true;
	/* The path of the directory ends where the name begins; "/" stays. */
	slash[slash == walk->root] = '\0';
	walk->root_fd = open(walk->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->root_fd < 0 ? -errno : 0;
}

static int root_open(struct walk *walk)
{
	struct stat st;
	int fd, err;

	if (stat(walk->root, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return root_open_file(walk);
	if (!S_ISDIR(st.st_mode))
		return WEFT_EUNSAFE;
	walk->root_fd = open(walk->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (walk->root_fd < 0)
		return -errno;
	fd = fcntl(walk->root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = level_open(&walk->levels[0], fd, 0);
	if (err < 0)
		close(fd);
	else
		walk->depth = 1;
	return err;
}

int blobs_walk_new(const char *root, struct walk **out_walk)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	size_t len = strlen(root);
	int err;

	if (!walk)
		return -ENOMEM;
	walk->root_fd = -1;
	while (len > 1 && root[len - 1] == '/')
		len--;
	walk->root = strndup(root, len);
	err = walk->root ? root_open(walk) : -ENOMEM;
	if (err < 0) {
		blobs_walk_free(walk);
		return err;
	}
	*out_walk = walk;
	return 0;
}

void blobs_walk_limit(struct walk *walk, const char *only)
{
	walk->only = only;
}

void blobs_walk_free(struct walk *walk)
{
	if (!walk)
		return;
	while (walk->depth)
		level_close(&walk->levels[--walk->depth]);
	if (walk->root_fd >= 0)
		close(walk->root_fd);
	free(walk->root);
	free(walk);
}

const char *blobs_walk_special_kind(const char *root)
{
	struct stat st;

	if (stat(root, &st) < 0)
		return NULL;
	switch (st.st_mode & S_IFMT) {
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return NULL;
	}
}

bool blobs_walk_is_file(const struct walk *walk)
{
	return walk->is_file;
}

/* --- the next entry --- */

/* An error that the system gives every caller must not look like an unreadable file. */
static bool is_scarcity(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static int dir_enter(struct walk *walk, const struct level *parent, const char *name,
		     size_t path_len)
{
	int fd, err;

	if (walk->depth == WALK_DEPTH_MAX)
		return WEFT_ETOOLARGE;
	fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = level_open(&walk->levels[walk->depth], fd, path_len);
	if (err < 0)
		close(fd);
	else
		walk->depth++;
	return err;
}

static enum walk_kind kind_of(mode_t mode)
{
	return S_ISREG(mode) ? WALK_FILE : S_ISLNK(mode) ? WALK_FAR_LINK : WALK_SPECIAL;
}

/* name_append gives the length of the path, 0 when it cannot be shared. */
static size_t name_append(struct walk *walk, const struct level *level, const char *name)
{
	size_t dir_len = level->path_len + (level->path_len != 0);
	size_t len = dir_len + strlen(name);

	if (len > MANIFEST_PATH_LEN_MAX) {
		walk->path[level->path_len] = '\0';
		return 0;
	}
	if (level->path_len)
		walk->path[level->path_len] = '/';
	memcpy(walk->path + dir_len, name, strlen(name) + 1);
	return blobs_manifest_path_is_safe(walk->path, len) ? len : 0;
}

/* A link is reported only if its target stays in the tree wherever the tree is copied. */
static void link_look(struct walk *walk, const struct level *level, const char *name,
		      struct walk_entry *entry)
{
	ssize_t got = readlinkat(level->fd, name, walk->link, sizeof(walk->link));
	size_t len;

	if (got < 0 || (size_t)got == sizeof(walk->link))
		return;
	len = blobs_manifest_link_normalise(walk->link, (size_t)got);
	if (!blobs_manifest_link_is_safe(walk->path, entry->path_len, walk->link, len))
		return;
	entry->kind = WALK_SYMLINK;
	entry->link = walk->link;
	entry->link_len = len;
}

static void entry_stat(struct walk_entry *entry, const struct stat *st)
{
	entry->kind = kind_of(st->st_mode);
	entry->is_executable = entry->kind == WALK_FILE && (st->st_mode & S_IXUSR);
	blobs_object_stamp_of(st, &entry->stamp);
}

/* entry_look: 1 reported, 0 nothing to report (it entered a directory), or an error. */
static int entry_look(struct walk *walk, struct level *level, struct walk_entry *entry)
{
	const char *name = level->list[level->idx++];
	size_t len = name_append(walk, level, name);
	struct stat st;
	int err = 0;

	if (len && !blobs_only_admits(walk->only, walk->path, len))
		return 0;
	*entry = (struct walk_entry){.kind = WALK_BAD_NAME, .path = walk->path};
	entry->path_len = strlen(walk->path);
	if (len == 0)
		return 1;
	if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		err = -errno;
	} else if (S_ISDIR(st.st_mode)) {
		err = dir_enter(walk, level, name, len);
		if (err == 0) {
			level->has_any = true;
			return 0;
		}
		if (err == WEFT_ETOOLARGE)
			return 1;
	} else {
		entry_stat(entry, &st);
		if (entry->kind == WALK_FAR_LINK)
			link_look(walk, level, name, entry);
		level->has_any |= entry->kind == WALK_FILE || entry->kind == WALK_SYMLINK;
		return 1;
	}
	entry->kind = WALK_UNREADABLE;
	entry->err = err;
	return is_scarcity(err) ? err : 1;
}

static int walk_next_single(struct walk *walk, struct walk_entry *entry)
{
	struct stat st;

	if (walk->is_done)
		return 0;
	walk->is_done = true;
	if (fstatat(walk->root_fd, walk->path, &st, 0) < 0)
		return -errno;
	*entry = (struct walk_entry){.path = walk->path, .path_len = strlen(walk->path)};
	entry_stat(entry, &st);
	return 1;
}

int blobs_walk_next(struct walk *walk, struct walk_entry *out_entry)
{
	if (walk->is_file)
		return walk_next_single(walk, out_entry);
	while (walk->depth) {
		struct level *level = &walk->levels[walk->depth - 1];
		bool is_empty = !level->has_any && level->path_len;
		int got;

		if (level->idx < level->cnt) {
			got = entry_look(walk, level, out_entry);
			if (got)
				return got;
			continue;
		}
		walk->path[level->path_len] = '\0';
		*out_entry = (struct walk_entry){
			.kind = WALK_EMPTY_DIR, .path = walk->path, .path_len = level->path_len};
		level_close(level);
		walk->depth--;
		if (is_empty)
			return 1;
	}
	return 0;
}

/* For kernels and filters without openat2: each part by itself. */
static int open_by_parts(int root_fd, const char *path, int flags)
{
	int dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 0), next;
	char name[MANIFEST_NAME_LEN_MAX + 1];
	const char *slash;

	if (dir < 0)
		return -errno;
	for (; dir >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		next = next < 0 ? -errno : next;
		close(dir);
		dir = next;
	}
	if (dir < 0)
		return dir;
	next = openat(dir, path, flags | O_NOFOLLOW);
	next = next < 0 ? -errno : next;
	close(dir);
	return next;
}

int blobs_walk_open(const struct walk *walk, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd;

	/* The user named a single file, which may be a link on purpose. */
	if (walk->is_file)
		how.resolve = 0;
	fd = (int)syscall(SYS_openat2, walk->root_fd, path, &how, sizeof(how));
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd < 0 ? -errno : fd;
	if (!walk->is_file)
		return open_by_parts(walk->root_fd, path, (int)how.flags);
	fd = openat(walk->root_fd, path, (int)how.flags);
	return fd < 0 ? -errno : fd;
}

int blobs_walk_file_path(const struct walk *walk, const char *path, char *dst, size_t cap)
{
	bool is_top = strcmp(walk->root, "/") == 0;
	int len = snprintf(dst, cap, "%s/%s", is_top ? "" : walk->root, path);

	return len < 0 || (size_t)len >= cap ? WEFT_ETOOSMALL : 0;
}
