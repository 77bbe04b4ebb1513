/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions in the program win over libc's, static or shared, so every
 * library linked in is covered as well. The real thing is reached by
 * syscall(2).
 */
#include "support/fail_nth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int fail_left; /* calls until one fails; 0: not armed */
static atomic_int fail_error;
static atomic_bool fail_stays;
static atomic_bool fail_fired;
static atomic_int fail_sync_error; /* 0: not armed */

static void arm(unsigned n, int error, bool stays)
{
	fail_error = error;
	fail_stays = stays;
	fail_fired = false;
	fail_left = (int)n;
}

void fail_nth_arm(unsigned n, int error)
{
	arm(n, error, false);
}

void fail_nth_arm_all(unsigned n, int error)
{
	arm(n, error, true);
}

void fail_nth_arm_sync(int error)
{
	fail_fired = false;
	fail_sync_error = error;
}

bool fail_nth_disarm(void)
{
	fail_left = 0;
	fail_sync_error = 0;
	return fail_fired;
}

static bool call_fails(void)
{
	int left = fail_left;

	if (left <= 0)
		return false;
	left = atomic_fetch_sub(&fail_left, 1);
	if (left != 1)
		return false;
	fail_fired = true;
	if (fail_error == FAIL_NTH_KILL)
		kill(getpid(), SIGKILL);
	if (fail_stays)
		fail_left = 1;
	errno = fail_error;
	return true;
}

static bool fd_call_fails(int fd)
{
	struct stat st;

	if (fail_left <= 0)
		return false;
	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return false;
	return call_fails();
}

static unsigned open_mode(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
	unsigned mode;
	va_list args;

	va_start(args, flags);
	mode = open_mode(flags, args);
	va_end(args);
	return call_fails() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	unsigned mode;
	va_list args;

	va_start(args, flags);
	mode = open_mode(flags, args);
	va_end(args);
	return call_fails() ? -1 : (int)syscall(SYS_openat, dir_fd, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
	return fd_call_fails(fd) ? -1 : syscall(SYS_write, fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t off)
{
	return fd_call_fails(fd) ? -1 : syscall(SYS_pwrite64, fd, data, len, off);
}

ssize_t pwritev(int fd, const struct iovec *iov, int cnt, off_t off)
{
	return fd_call_fails(fd) ? -1 : syscall(SYS_pwritev, fd, iov, (long)cnt, off, 0L);
}

ssize_t pread(int fd, void *data, size_t len, off_t off)
{
	return fd_call_fails(fd) ? -1 : syscall(SYS_pread64, fd, data, len, off);
}

int fsync(int fd)
{
	return fd_call_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fd_call_fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	int error = atomic_exchange(&fail_sync_error, 0);

	if (error) {
		fail_fired = true;
		errno = error;
		return -1;
	}
	return fd_call_fails(fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int ftruncate(int fd, off_t len)
{
	return fd_call_fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int mkdir(const char *path, mode_t mode)
{
	return call_fails() ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	return call_fails() ? -1 : (int)syscall(SYS_mkdirat, dir_fd, path, mode);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return call_fails() ? -1 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	return call_fails() ? -1 : (int)syscall(SYS_unlinkat, dir_fd, path, flags);
}

int rename(const char *from, const char *to)
{
	return call_fails() ? -1 : (int)syscall(SYS_rename, from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return call_fails() ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return call_fails() ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
