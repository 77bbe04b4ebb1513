/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing on a thread of the import pool. A file is stamped before and
 * after it is read; when the stamps differ it changed under us.
 */
#include "import_hash.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/container_of.h"

#define SMALL_TRIES 2

/* Threads of an import read the clock because they compare it with what the disk says. */
static bool is_racy_now(const struct object_stamp *stamp)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return blobs_object_stamp_is_racy(stamp, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static int stamp_read(int fd, struct object_stamp *out_stamp)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return WEFT_ECHANGED;
	blobs_object_stamp_of(&st, out_stamp);
	return 0;
}

static void small_hash(void *arg, const uint8_t *data, size_t len)
{
	blake3_hash(data, len, arg);
}

static int small_try(struct import_task *task, int fd, struct import_file *file)
{
	struct object_stamp before, after;
	int err = stamp_read(fd, &before);

	if (err)
		return err;
	if (before.size > BLAKE3_CHUNK_LEN)
		return WEFT_ECHANGED;
	file->is_racy = is_racy_now(&before);
	blake3_hash("", 0, file->content_id);
	err = blobs_import_reader_run(task->reader, &(struct import_part){fd, 0, before.size},
				      small_hash, file->content_id);
	if (err == 0)
		err = stamp_read(fd, &after);
	if (err == 0 && !blobs_object_stamp_equal(&before, &after))
		err = WEFT_ECHANGED;
	if (err == 0)
		file->stamp = before;
	return err;
}

static int small_run(struct import_task *task, struct import_file *file)
{
	int err = WEFT_ECHANGED;
	int fd = blobs_walk_open(task->walk, file->path);

	/* Gone, or a link now, since the walk saw it. */
	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return WEFT_ECHANGED;
	if (fd < 0)
		return fd;
	for (int i = 0; i < SMALL_TRIES && err == WEFT_ECHANGED; i++)
		err = small_try(task, fd, file);
	close(fd);
	return err;
}

static void slice_hash(void *arg, const uint8_t *data, size_t len)
{
	struct import_task *task = arg;
	uint64_t first_leaf = task->off / BLAKE3_LEAF_LEN +
			      (uint64_t)task->cv_cnt * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN);

	blake3_subtree(data, len, first_leaf, false, task->cvs[task->cv_cnt++]);
}

static int slice_run(struct import_task *task)
{
	struct object_stamp after;
	int fd = blobs_walk_open(task->walk, task->big->path);
	int err;

	task->cv_cnt = 0;
	task->stamp = task->big->stamp;
	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return WEFT_ECHANGED;
	if (fd < 0)
		return fd;
	err = stamp_read(fd, &task->stamp);
	task->is_racy = is_racy_now(&task->stamp);
	if (err == 0 && !blobs_object_stamp_equal(&task->stamp, &task->big->stamp))
		err = WEFT_ECHANGED;
	if (err == 0)
		err = blobs_import_reader_run(task->reader,
					      &(struct import_part){fd, task->off, task->len},
					      slice_hash, task);
	if (err == 0)
		err = stamp_read(fd, &after);
	if (err == 0 && !blobs_object_stamp_equal(&task->stamp, &after)) {
		task->stamp = after;
		err = WEFT_ECHANGED;
	}
	close(fd);
	return err;
}

void blobs_import_task_run(struct job *job)
{
	struct import_task *task = container_of(job, struct import_task, job);
	int err = 0;

	if (!task->reader)
		err = blobs_import_reader_new(IMPORT_READ_URING, &task->reader);
	if (task->big)
		task->err = err < 0 ? err : slice_run(task);
	for (unsigned i = 0; !task->big && i < task->run_cnt; i++)
		task->run[i]->err = err < 0 ? err : small_run(task, task->run[i]);
}
