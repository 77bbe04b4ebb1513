/* SPDX-License-Identifier: Apache-2.0 */
/* Open files for serve.c. Slots belong to home; a job works on a slot in use. */
#include "serve_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "blobs/manifest/manifest.h"

void blobs_serve_files_init(struct serve_files *files)
{
	files->seq = 0;
	for (size_t i = 0; i < SERVE_FILES_MAX; i++) {
		files->slots[i].fd = -1;
		files->slots[i].use_cnt = 0;
		files->slots[i].is_known = false;
		files->slots[i].is_stale = false;
		files->slots[i].is_changed = false;
		files->slots[i].settled = NULL;
	}
}

static void slot_empty(struct serve_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	file->is_known = false;
	file->is_stale = false;
	if (file->settled != file->settled_few)
		free(file->settled);
	file->settled = NULL;
}

void blobs_serve_files_fini(struct serve_files *files)
{
	for (size_t i = 0; i < SERVE_FILES_MAX; i++)
		slot_empty(&files->slots[i]);
}

static struct serve_file *slot_use(struct serve_files *files, struct serve_file *file)
{
	file->use_cnt++;
	file->used_seq = ++files->seq;
	return file;
}

struct serve_file *blobs_serve_files_lookup(struct serve_files *files,
					    const uint8_t content_id[static OBJECT_ID_LEN])
{
	for (size_t i = 0; i < SERVE_FILES_MAX; i++) {
		struct serve_file *file = &files->slots[i];

		if (file->is_known && !file->is_stale &&
		    memcmp(file->object.content_id, content_id, OBJECT_ID_LEN) == 0)
			return slot_use(files, file);
	}
	return NULL;
}

static void settled_lay_out(struct serve_file *file)
{
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(file->object.stamp.size);

	file->settled_cnt = 0;
	if (!file->object.is_racy || chunk_cnt > SERVE_SETTLE_MAX)
		return;
	if (chunk_cnt > SERVE_SETTLE_FEW) {
		file->settled = calloc(1, (size_t)(chunk_cnt + 7) / 8);
		return;
	}
	memset(file->settled_few, 0, sizeof(file->settled_few));
	file->settled = file->settled_few;
}

struct serve_file *blobs_serve_files_add(struct serve_files *files,
					 const struct object_file *object)
{
	struct serve_file *oldest = NULL;

	for (size_t i = 0; i < SERVE_FILES_MAX; i++) {
		struct serve_file *file = &files->slots[i];

		if (file->use_cnt == 0 && (!oldest || !file->is_known ||
					   (oldest->is_known && file->used_seq < oldest->used_seq)))
			oldest = file;
	}
	if (!oldest)
		return NULL;
	slot_empty(oldest);
	oldest->object = *object;
	oldest->is_known = true;
	oldest->is_changed = false;
	settled_lay_out(oldest);
	return slot_use(files, oldest);
}

void blobs_serve_file_release(struct serve_file *file)
{
	weft_assert(file->use_cnt > 0);
	if (--file->use_cnt == 0 && file->is_stale)
		slot_empty(file);
}

void blobs_serve_file_drop(struct serve_file *file)
{
	file->is_stale = true;
	if (file->use_cnt == 0)
		slot_empty(file);
}

static bool chunk_is_settled(const struct serve_file *file, uint64_t chunk)
{
	return file->settled[chunk / 8] & 1u << chunk % 8;
}

bool blobs_serve_file_is_racy(const struct serve_file *file, uint64_t chunk)
{
	return file->object.is_racy && !(file->settled && chunk_is_settled(file, chunk));
}

bool blobs_serve_file_settle(struct serve_file *file, uint64_t chunk)
{
	if (!file->settled || chunk_is_settled(file, chunk))
		return false;
	file->settled[chunk / 8] |= (uint8_t)(1u << chunk % 8);
	if (++file->settled_cnt < blobs_manifest_chunk_cnt(file->object.stamp.size))
		return false;
	file->object.is_racy = false;
	return true;
}

uint32_t blobs_serve_file_ahead(struct serve_file *file, uint64_t chunk)
{
	/* Requests under way at once come in no exact order. */
	bool is_next = chunk + SERVE_AHEAD_MAX >= file->next_chunk &&
		       chunk <= file->next_chunk + SERVE_AHEAD_MAX && file->next_chunk > 0;

	file->run_cnt = is_next ? file->run_cnt + 1 : 0;
	if (!is_next || chunk >= file->next_chunk)
		file->next_chunk = chunk + 1;
	return file->run_cnt < SERVE_AHEAD_MAX ? file->run_cnt : SERVE_AHEAD_MAX;
}

bool blobs_serve_files_has_changed(const struct serve_files *files,
				   const struct object_file *object)
{
	for (size_t i = 0; i < SERVE_FILES_MAX; i++) {
		const struct serve_file *file = &files->slots[i];

		if (file->is_changed && strcmp(file->object.path, object->path) == 0 &&
		    blobs_object_stamp_equal(&file->object.stamp, &object->stamp))
			return true;
	}
	return false;
}

const struct object_file *
blobs_serve_files_changed_next(const struct serve_files *files,
			       const uint8_t content_id[static OBJECT_ID_LEN], size_t *at)
{
	while (*at < SERVE_FILES_MAX) {
		const struct serve_file *file = &files->slots[(*at)++];

		if (file->is_changed &&
		    memcmp(file->object.content_id, content_id, OBJECT_ID_LEN) == 0)
			return &file->object;
	}
	return NULL;
}

void blobs_serve_files_drop_all(struct serve_files *files)
{
	for (size_t i = 0; i < SERVE_FILES_MAX; i++)
		if (files->slots[i].is_known)
			blobs_serve_file_drop(&files->slots[i]);
}

/* Errors of open for a file that is not there as it was, as opposed to trouble of this node. */
static int open_error(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EACCES:
	case ENXIO:
		return WEFT_ECHANGED;
	default:
		return -error;
	}
}

static int file_check(int fd, const struct object_file *object)
{
	struct object_stamp stamp;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	blobs_object_stamp_of(&st, &stamp);
	return S_ISREG(st.st_mode) && blobs_object_stamp_equal(&stamp, &object->stamp)
		       ? 0
		       : WEFT_ECHANGED;
}

void blobs_serve_file_read_ahead(int fd, uint64_t off, uint64_t len)
{
	(void)posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_WILLNEED);
}

int blobs_serve_file_open(const struct object_file *object, bool is_waiting)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		.resolve = is_waiting ? 0 : RESOLVE_CACHED,
	};
	long fd = syscall(SYS_openat2, AT_FDCWD, object->path, &how, sizeof(how));

	/* A kernel without openat2 or without RESOLVE_CACHED may wait. */
	if (fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM)) {
		if (!is_waiting)
			return -EAGAIN;
		fd = open(object->path, (int)how.flags);
	}
	if (fd < 0)
		return open_error(errno);
	/* The kernel would read behind each chunk, and getters ask for chunks anywhere. */
	(void)posix_fadvise((int)fd, 0, 0, POSIX_FADV_RANDOM);
	return (int)fd;
}

int blobs_serve_file_read(int fd, const struct object_file *object, const struct serve_part *part,
			  bool is_waiting)
{
	int err = file_check(fd, object);
	size_t done = 0;

	while (!err && done < part->len) {
		struct iovec left = {(uint8_t *)part->dst + done, part->len - done};
		ssize_t got = preadv2(fd, &left, 1, (off_t)(part->off + done),
				      is_waiting ? 0 : RWF_NOWAIT);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			err = WEFT_ECHANGED; /* shorter than its record */
		else if (errno == EOPNOTSUPP && !is_waiting)
			err = -EAGAIN;
		else if (errno != EINTR)
			err = -errno;
	}
	return err ? err : file_check(fd, object);
}
