/* SPDX-License-Identifier: Apache-2.0 */
#include "placing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target_dir.h"

#define FILES_MIN 64u
#define TEXT_MIN  4096u

/* Room for len more bytes at *at, which has cap and uses used of it. */
static int room_make(void **at, size_t *cap, size_t used, size_t len, size_t least)
{
	size_t wanted = *cap ? *cap : least;
	void *grown;

	while (wanted - used < len)
		wanted *= 2;
	if (wanted == *cap)
		return 0;
	grown = realloc(*at, wanted);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*cap = wanted;
	return 0;
}

int blobs_placing_add(struct placing *placing, const struct placing_file *file, const char *path,
		      size_t path_len)
{
	size_t size = sizeof(*file), cap = placing->cap * size;
	void *files = placing->files, *text = placing->text;
	int err = room_make(&files, &cap, placing->cnt * size, size, FILES_MIN * size);
	struct placing_file *added;

	placing->files = files;
	placing->cap = cap / size;
	if (!err)
		err = room_make(&text, &placing->text_cap, placing->text_len, path_len, TEXT_MIN);
	placing->text = text;
	if (err)
		return err;
	added = &placing->files[placing->cnt++];
	*added = *file;
	added->path_at = placing->text_len;
	added->path_len = path_len;
	added->is_in_place = !file->has_fd && file->staged[0] == '\0';
	added->is_placed = added->is_changed = false;
	memcpy(placing->text + placing->text_len, path, path_len);
	placing->text_len += path_len;
	placing->byte_cnt += file->stamp.size;
	placing->fd_cnt += file->has_fd;
	return 0;
}

const char *blobs_placing_path(const struct placing *placing, const struct placing_file *file)
{
	return placing->text + file->path_at;
}

static void file_close(struct placing_file *file)
{
	if (file->has_fd)
		close(file->fd);
	file->has_fd = false;
}

void blobs_placing_fini(struct placing *placing)
{
	for (size_t i = 0; i < placing->cnt; i++)
		file_close(&placing->files[i]);
	free(placing->files);
	free(placing->text);
	*placing = (struct placing){0};
}

static size_t dir_len(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash ? (size_t)(slash - path) : 0;
}

static int text_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* By directory first: files of one directory become neighbours, which files by path are not. */
static int by_directory(const void *left, const void *right, void *arg)
{
	const struct placing_file *a = left, *b = right;
	const char *a_path = blobs_placing_path(arg, a), *b_path = blobs_placing_path(arg, b);
	size_t a_dir = dir_len(a_path, a->path_len), b_dir = dir_len(b_path, b->path_len);
	int order = text_compare(a_path, a_dir, b_path, b_dir);

	return order ? order : text_compare(a_path, a->path_len, b_path, b->path_len);
}

/* The stamp with the change time of the rename; nothing else of it may be new. */
static bool stamp_renew(struct object_stamp *stamp, const struct object_stamp *now)
{
	if (now->inode != stamp->inode || now->size != stamp->size ||
	    now->mtime_ns != stamp->mtime_ns)
		return false;
	*stamp = *now;
	return true;
}

static int file_name(const struct placing *placing, const struct placing_file *file,
		     struct target_dir *dir)
{
	const char *path = blobs_placing_path(placing, file);
	const struct object_stamp replaced = {.inode = file->replaced_inode,
					      .dev = file->replaced_dev};

	if (file->may_replace) {
		int err = blobs_target_keep(dir, path, file->path_len, &replaced);

		if (err)
			return err;
	}
	if (file->has_fd)
		return blobs_target_nameless_place(dir, file->fd, path, file->path_len);
	return blobs_target_place(dir, file->staged, path, file->path_len,
				  file->may_replace ? &replaced : NULL);
}

static int file_place(const struct placing *placing, struct placing_file *file,
		      struct target_dir *dir)
{
	struct object_stamp now;
	int err;

	if (!file->is_in_place) {
		err = file_name(placing, file, dir);
		file_close(file);
		if (err)
			return err;
		/* Another program may be quicker: what is there then is its own. */
		err = blobs_target_stamp(dir, blobs_placing_path(placing, file), file->path_len,
					 &now);
		file->is_changed = err < 0 || !stamp_renew(&file->stamp, &now);
	}
	file->is_placed = true;
	return 0;
}

/* Syncs each directory of the first cnt files, which are sorted, once. */
static int directories_sync(const struct placing *placing, size_t cnt, struct target_dir *dir)
{
	const char *last = NULL;
	size_t last_len = 0;
	int err = 0;

	for (size_t i = 0; i < cnt && !err; i++) {
		const struct placing_file *file = &placing->files[i];
		const char *path = blobs_placing_path(placing, file);
		size_t len = dir_len(path, file->path_len);

		if (file->is_in_place || (last && text_compare(path, len, last, last_len) == 0))
			continue;
		err = blobs_target_dir_sync(dir, path, file->path_len);
		last = path;
		last_len = len;
	}
	return err;
}

static int sync_failed(struct placing *placing, int err)
{
	for (size_t i = 0; i < placing->cnt; i++)
		placing->files[i].is_placed = false;
	placing->is_sync_error = true;
	return err;
}

int blobs_placing_run(struct placing *placing, const struct target *target)
{
	struct target_dir dir;
	int err = 0, sync_err;
	size_t at;

	placing->failed_at = placing->cnt;
	if (syncfs(target->fd) < 0)
		return sync_failed(placing, -errno);
	if (placing->cnt > 0)
		qsort_r(placing->files, placing->cnt, sizeof(placing->files[0]), by_directory,
			placing);
	blobs_target_dir_init(&dir, target);
	for (at = 0; at < placing->cnt && !err; at++)
		err = file_place(placing, &placing->files[at], &dir);
	if (err)
		placing->failed_at = at - 1;
	sync_err = directories_sync(placing, at, &dir);
	blobs_target_dir_fini(&dir);
	return sync_err ? sync_failed(placing, sync_err) : err;
}
