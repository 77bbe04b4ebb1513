/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets the times and the mode that the publisher stated for a file. Runs in a job,
 * before the sync and the rename (placing.h), so a placed file has them
 * also after a power cut.
 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "get_run.h"

#define SETTLED_AGE_S 2
#define MODE_BITS     0777 /* never setuid, setgid or sticky */

/* Each class with the read bit gets the execute bit; the process's umask limits the read bits. */
static mode_t mode_of(mode_t mode, bool is_executable)
{
	mode_t may_read = mode & 0444;

	mode &= MODE_BITS;
	return is_executable ? mode | may_read >> 2 : mode & ~(mode_t)0111;
}

/* A filesystem that has no modes says so in its own way: the bytes are what counts. */
static void mode_set(int fd, const struct stat *st, bool is_executable)
{
	mode_t mode = mode_of(st->st_mode, is_executable);

	if (mode != (st->st_mode & 07777))
		(void)fchmod(fd, mode);
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

int blobs_get_run_settle(int fd, const struct manifest_item *item, struct object_stamp *out_stamp)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	mode_set(fd, &st, item->is_executable);
	times[1] = st.st_mtim;
	times[1].tv_sec -= SETTLED_AGE_S;
	if (item->mtime_ns)
		times[1] = time_of(item->mtime_ns);
	if (futimens(fd, times) < 0 || fstat(fd, &st) < 0)
		return -errno;
	blobs_object_stamp_of(&st, out_stamp);
	return 0;
}

/*
 * A later write leaves a time that is not before the change time of the stamp. So a time of the
 * item that is before it shows any write, on a filesystem that keeps fractions of a millisecond.
 * Others may round by up to two seconds, as FAT does.
 */
bool blobs_get_run_settled_is_racy(const struct manifest_item *item,
				   const struct object_stamp *stamp)
{
	bool is_fine = stamp->mtime_ns % (int64_t)NS_PER_MS || stamp->ctime_ns % (int64_t)NS_PER_MS;
	int64_t slack_ns = is_fine ? 0 : SETTLED_AGE_S * (int64_t)NS_PER_S;

	return item->mtime_ns && stamp->mtime_ns >= stamp->ctime_ns - slack_ns;
}

int blobs_get_run_settle_again(int fd, const struct manifest_item *item,
			       struct object_stamp *io_stamp)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, time_of(item->mtime_ns)};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	mode_set(fd, &st, item->is_executable);
	if (item->mtime_ns && (uint64_t)io_stamp->mtime_ns != item->mtime_ns &&
	    futimens(fd, times) < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	blobs_object_stamp_of(&st, io_stamp);
	return 0;
}
