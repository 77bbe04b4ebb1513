/* SPDX-License-Identifier: Apache-2.0 */
#include "share_watch_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/import/import.h"
#include "blobs/manifest/manifest.h"
#include "blobs/blobs.h"

#define DEPTH_MAX 200u
#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |          \
	 IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
#define FLAGS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct opening {
	int fd;
	uint32_t dir_cnt, dir_cap;
	char path[BLOBS_PATH_CAP];
};

static int dir_watch(struct opening *opening)
{
	if (opening->dir_cnt >= opening->dir_cap)
		return WEFT_EFULL;
	if (inotify_add_watch(opening->fd, opening->path, EVENTS | FLAGS) < 0)
		/* It went meanwhile, or may not be read: then it is not published either. */
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	opening->dir_cnt++;
	return 0;
}

static bool is_dir(int parent, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Imports leave these out, too. */
static bool is_left_out(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strncmp(name, MANIFEST_STAGING_PREFIX, strlen(MANIFEST_STAGING_PREFIX)) == 0;
}

/* The watch comes before the names are read: what is made in between is reported. */
static int tree_watch(struct opening *opening, unsigned depth)
{
	size_t len = strlen(opening->path);
	int err = dir_watch(opening);
	struct dirent *entry;
	DIR *stream;

	if (err || depth == DEPTH_MAX)
		return err;
	stream = opendir(opening->path);
	while (stream && !err && (entry = readdir(stream))) {
		int added;

		if (is_left_out(entry->d_name) || !is_dir(dirfd(stream), entry))
			continue;
		added = snprintf(opening->path + len, sizeof(opening->path) - len, "/%s",
				 entry->d_name);
		if (added > 0 && (size_t)added < sizeof(opening->path) - len)
			err = tree_watch(opening, depth + 1);
		opening->path[len] = '\0';
	}
	if (stream)
		closedir(stream);
	return err;
}

/* A path of the share: a folder with all below it, or the folder that a file is in. */
static int root_watch(struct opening *opening)
{
	struct stat st;
	char *slash;

	if (lstat(opening->path, &st) == 0 && S_ISDIR(st.st_mode))
		return tree_watch(opening, 0);
	slash = strrchr(opening->path, '/');
	if (!slash || slash == opening->path)
		return -ENOENT;
	*slash = '\0';
	return dir_watch(opening);
}

static int roots_watch(struct opening *opening, const char *path, const char *only)
{
	const char *line;
	size_t len;
	int err = 0;

	if (!*only) {
		snprintf(opening->path, sizeof(opening->path), "%s", path);
		return root_watch(opening);
	}
	while (!err && (line = blobs_only_next(&only, &len))) {
		snprintf(opening->path, sizeof(opening->path), "%s/%.*s", path, (int)len, line);
		err = root_watch(opening);
	}
	return err;
}

int shares_watch_tree_open(const char *path, const char *only, uint32_t dir_cap,
			   uint32_t *out_dir_cnt)
{
	struct opening *opening = calloc(1, sizeof(*opening));
	int err;

	if (!opening)
		return -ENOMEM;
	opening->dir_cap = dir_cap;
	opening->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	err = opening->fd < 0 ? -errno : roots_watch(opening, path, only);
	if (!err)
		err = opening->dir_cnt ? opening->fd : -ENOENT;
	if (err < 0 && opening->fd >= 0)
		close(opening->fd);
	*out_dir_cnt = opening->dir_cnt;
	free(opening);
	return err;
}

static void event_take(const struct inotify_event *event, struct watch_news *news)
{
	if (event->mask & IN_Q_OVERFLOW)
		news->has_overflow = news->has_new_dirs = true;
	if (event->mask & IN_ISDIR || event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
		news->has_new_dirs |= !(event->mask & IN_ATTRIB);
	/* Files that a get or an update of the folder stages are no change. */
	if (event->len &&
	    strncmp(event->name, MANIFEST_STAGING_PREFIX, strlen(MANIFEST_STAGING_PREFIX)) == 0)
		return;
	news->has_changed = true;
}

void shares_watch_tree_read(int fd, struct watch_news *out_news)
{
	_Alignas(struct inotify_event) char buffer[16384];
	struct watch_news news = {0};
	ssize_t len;

	while ((len = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(const void *)(buffer + at);

			event_take(event, &news);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	*out_news = news;
}
