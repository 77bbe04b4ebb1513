/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_LYING_DISK_H
#define WEFT_TESTS_LYING_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * A disk below one folder, in the place of libc's calls: what a program writes
 * there is done and recorded, with what it synced. disk_image then makes the
 * folder as a power cut after any of these calls may leave it. Unsynced data is
 * there, in part (by sectors of 512 bytes, or torn inside of one), or not. Names
 * become durable in their order, and with fsync of their folder at the latest.
 * Calls can be made to fail at random. A failed sync lost its data, and the next
 * one does not bring it back, as Linux does. It can lie: say that it synced and
 * not do it.
 *
 * Folders exist at once and for good. One thread; state is static, for the
 * program that includes this.
 */
#define DISK_FILE_CAP 256
#define DISK_OP_CAP   20000
#define DISK_FD_CAP   256
#define DISK_SECTOR   512u
#define DISK_NAME_CAP 64

enum disk_op_kind {
	DISK_WRITE,
	DISK_CUT,
	DISK_MAKE,
	DISK_UNLINK,
	DISK_MOVE,
	DISK_SYNC,
	DISK_SYNC_DIR
};

struct disk_op {
	uint8_t kind;	 /* enum disk_op_kind */
	bool is_lost;	 /* a sync of it failed: no later one is for it */
	bool is_through; /* on the disk when the call returned (O_DSYNC) */
	unsigned file;
	uint64_t off, len;
	uint8_t *data;
};

/* One that was made; the name may be another's later. */
struct disk_file {
	char name[DISK_NAME_CAP];   /* below the folder: "db/data.mdb" */
	char former[DISK_NAME_CAP]; /* until it was moved */
	uint8_t *base;		    /* as the folder was when recording began */
	uint64_t base_len;
	bool is_of_base, is_gone;
};

static struct {
	char dir[PATH_MAX];
	bool is_recording, lies;
	bool is_through[DISK_FD_CAP]; /* opened with O_DSYNC, which the real one has no need of */
	unsigned fault_per_1000;      /* of each call */
	uint64_t random;
	struct disk_file files[DISK_FILE_CAP];
	unsigned file_cnt;
	struct disk_op ops[DISK_OP_CAP];
	unsigned op_cnt;
} disk;

static uint64_t disk_random(void)
{
	/* SplitMix64 (Steele, Lea, Flood 2014). */
	uint64_t z = disk.random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* In [0, end). */
static unsigned disk_pick(unsigned end)
{
	return (unsigned)(disk_random() % end);
}

static bool disk_chance(unsigned per_1000)
{
	return disk_pick(1000) < per_1000;
}

/* --- what is recorded --- */

static bool disk_name(const char *path, char name[static DISK_NAME_CAP])
{
	size_t len = strlen(disk.dir);

	if (!disk.is_recording || strncmp(path, disk.dir, len) != 0 || path[len] != '/')
		return false;
	path += len + 1;
	/* LMDB's readers and the store's lock are of the process, not of the disk. */
	if (strstr(path, "lock") || strlen(path) >= DISK_NAME_CAP)
		return false;
	strcpy(name, path);
	return true;
}

static bool disk_fd_path(int fd, char path[static PATH_MAX])
{
	char link[40];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len < 0)
		return false;
	path[len] = '\0';
	return true;
}

static struct disk_file *disk_lookup(const char *name)
{
	for (unsigned i = disk.file_cnt; i-- > 0;)
		if (!disk.files[i].is_gone && strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	return NULL;
}

static struct disk_file *disk_file_of(int fd)
{
	char path[PATH_MAX], name[DISK_NAME_CAP];

	if (!disk.is_recording || !disk_fd_path(fd, path) || !disk_name(path, name))
		return NULL;
	return disk_lookup(name);
}

static struct disk_op *disk_note(enum disk_op_kind kind, unsigned file)
{
	struct disk_op *op = &disk.ops[disk.op_cnt++];

	if (disk.op_cnt > DISK_OP_CAP)
		abort();
	*op = (struct disk_op){.kind = (uint8_t)kind, .file = file};
	return op;
}

static void disk_note_write(int fd, const void *data, size_t len, uint64_t off)
{
	struct disk_file *file = disk_file_of(fd);
	struct disk_op *op;

	if (!file || len == 0)
		return;
	op = disk_note(DISK_WRITE, (unsigned)(file - disk.files));
	op->off = off;
	op->len = len;
	op->data = malloc(len);
	if (!op->data)
		abort();
	memcpy(op->data, data, len);
	op->is_through = !disk.lies && fd < DISK_FD_CAP && disk.is_through[fd];
}

static struct disk_file *disk_add(const char *name)
{
	struct disk_file *file = &disk.files[disk.file_cnt++];

	if (disk.file_cnt > DISK_FILE_CAP)
		abort();
	*file = (struct disk_file){0};
	strcpy(file->name, name);
	return file;
}

static void disk_opened(int fd, int flags)
{
	char path[PATH_MAX], name[DISK_NAME_CAP];
	struct disk_file *file;
	struct stat st;

	if (fd >= 0 && fd < DISK_FD_CAP)
		disk.is_through[fd] = flags & O_DSYNC;
	if (fd < 0 || !(flags & O_CREAT) || !disk_fd_path(fd, path) || !disk_name(path, name) ||
	    fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	file = disk_lookup(name);
	if (!file)
		disk_note(DISK_MAKE, (unsigned)(disk_add(name) - disk.files));
	else if (flags & O_TRUNC)
		disk_note(DISK_CUT, (unsigned)(file - disk.files));
}

static bool disk_is_of_dir(const struct disk_file *file, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(file->name, dir, len) == 0 && file->name[len] == '/';
}

/* --- calls that fail --- */

/* Before the call; a write may be done in part as well. */
static bool disk_fails(int fd, size_t *io_len)
{
	static const int errors[] = {EIO, EIO, ENOSPC, EINTR};

	if (!disk.fault_per_1000 || !disk_file_of(fd) || !disk_chance(disk.fault_per_1000))
		return false;
	/* Linux ends a short write at a block's end, not inside of one. */
	if (io_len && *io_len > DISK_SECTOR && disk_chance(400)) {
		*io_len = (1 + disk_random() % (*io_len / DISK_SECTOR)) * DISK_SECTOR;
		return false;
	}
	errno = errors[disk_pick(4)];
	return true;
}

static unsigned disk_open_mode(int flags, va_list args)
{
	return flags & O_CREAT ? va_arg(args, unsigned) : 0;
}

static int disk_open(int dir_fd, const char *path, int flags, unsigned mode)
{
	int fd = (int)syscall(SYS_openat, dir_fd, path, flags & ~O_SYNC, mode);

	disk_opened(fd, flags);
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	unsigned mode;

	va_start(args, flags);
	mode = disk_open_mode(flags, args);
	va_end(args);
	return disk_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	va_list args;
	unsigned mode;

	va_start(args, flags);
	mode = disk_open_mode(flags, args);
	va_end(args);
	return disk_open(dir_fd, path, flags, mode);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t off)
{
	ssize_t n;

	if (disk_fails(fd, &len))
		return -1;
	n = syscall(SYS_pwrite64, fd, data, len, off);
	if (n > 0)
		disk_note_write(fd, data, (size_t)n, (uint64_t)off);
	return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
	off_t off = disk_file_of(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t n;

	if (disk_fails(fd, &len))
		return -1;
	n = syscall(SYS_write, fd, data, len);
	if (n > 0)
		disk_note_write(fd, data, (size_t)n, (uint64_t)off);
	return n;
}

/* As much of the first part as one call takes: a short write is allowed. */
ssize_t pwritev(int fd, const struct iovec *iov, int cnt, off_t off)
{
	ssize_t done = 0;

	for (int i = 0; i < cnt; i++) {
		ssize_t n = iov[i].iov_len ? pwrite(fd, iov[i].iov_base, iov[i].iov_len, off + done)
					   : 0;

		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

ssize_t writev(int fd, const struct iovec *iov, int cnt)
{
	ssize_t done = 0;

	if (!disk_file_of(fd))
		return syscall(SYS_writev, fd, iov, cnt);
	for (int i = 0; i < cnt; i++) {
		ssize_t n = iov[i].iov_len ? write(fd, iov[i].iov_base, iov[i].iov_len) : 0;

		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

ssize_t pread(int fd, void *data, size_t len, off_t off)
{
	if (disk_fails(fd, &len))
		return -1;
	return syscall(SYS_pread64, fd, data, len, off);
}

/* The last op before end after which all that is before is durable; 0: none. */
static unsigned disk_synced(unsigned file, unsigned end, enum disk_op_kind kind)
{
	for (unsigned i = end; i-- > 0;)
		if (disk.ops[i].file == file && disk.ops[i].kind == kind)
			return i;
	return 0;
}

/* What was to be synced and was not is not tried again. */
static void disk_sync_failed(unsigned file)
{
	for (unsigned i = disk_synced(file, disk.op_cnt, DISK_SYNC); i < disk.op_cnt; i++)
		if (disk.ops[i].file == file && disk.ops[i].kind <= DISK_CUT)
			disk.ops[i].is_lost = true;
}

static int disk_sync_dir(int fd)
{
	char path[PATH_MAX], name[DISK_NAME_CAP];

	if (disk.is_recording && !disk.lies && disk_fd_path(fd, path) && disk_name(path, name))
		for (unsigned i = 0; i < disk.file_cnt; i++)
			if (disk_is_of_dir(&disk.files[i], name))
				disk_note(DISK_SYNC_DIR, i);
	return 0;
}

int fdatasync(int fd)
{
	struct disk_file *file = disk_file_of(fd);

	if (!file)
		return disk_sync_dir(fd);
	if (disk_fails(fd, NULL)) {
		disk_sync_failed((unsigned)(file - disk.files));
		return -1;
	}
	if (!disk.lies)
		disk_note(DISK_SYNC, (unsigned)(file - disk.files));
	return 0;
}

int fsync(int fd)
{
	return fdatasync(fd);
}

int ftruncate(int fd, off_t len)
{
	struct disk_file *file = disk_file_of(fd);
	int err;

	if (disk_fails(fd, NULL))
		return -1;
	err = (int)syscall(SYS_ftruncate, fd, len);
	if (err == 0 && file)
		disk_note(DISK_CUT, (unsigned)(file - disk.files))->len = (uint64_t)len;
	return err;
}

static struct disk_file *disk_lookup_at(int dir_fd, const char *path,
					char name[static DISK_NAME_CAP])
{
	char at[PATH_MAX], whole[PATH_MAX * 2];

	if (!disk.is_recording || !disk_fd_path(dir_fd, at))
		return NULL;
	snprintf(whole, sizeof(whole), "%s/%s", at, path);
	return disk_name(whole, name) ? disk_lookup(name) : NULL;
}

static void disk_gone(struct disk_file *file)
{
	disk_note(DISK_UNLINK, (unsigned)(file - disk.files));
	file->is_gone = true;
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	char name[DISK_NAME_CAP];
	struct disk_file *file = disk_lookup_at(dir_fd, path, name);

	if (file)
		disk_gone(file);
	return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
}

/* Folders and their names are not recorded; defined here, for fail_nth.c defines them beside the others. */
int mkdir(const char *path, mode_t mode)
{
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	return (int)syscall(SYS_mkdirat, dir_fd, path, mode);
}

int rename(const char *from, const char *to)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Of files once, and within their folder. */
int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	char name[DISK_NAME_CAP];
	struct disk_file *replaced = disk_lookup_at(to_fd, to, name);
	struct disk_file *file = disk_lookup_at(from_fd, from, name);

	if (file && replaced)
		disk_gone(replaced);
	if (file) {
		strcpy(file->former, file->name);
		(void)disk_lookup_at(to_fd, to, file->name);
		disk_note(DISK_MOVE, (unsigned)(file - disk.files));
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int syncfs(int fd)
{
	return (int)syscall(SYS_syncfs, fd);
}

/* --- recording --- */

static void disk_base_load(struct disk_file *file)
{
	char path[PATH_MAX + DISK_NAME_CAP];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", disk.dir, file->name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	file->is_of_base = true;
	file->base_len = (uint64_t)st.st_size;
	file->base = malloc(file->base_len + 1);
	if (!file->base || syscall(SYS_pread64, fd, file->base, file->base_len, 0) != st.st_size)
		abort();
	close(fd);
}

/* disk_begin records what is done below dir; names are what it has of files that matter. */
static void disk_begin(const char *dir, const char (*names)[DISK_NAME_CAP], unsigned cnt)
{
	snprintf(disk.dir, sizeof(disk.dir), "%s", dir);
	disk.file_cnt = disk.op_cnt = 0;
	for (unsigned i = 0; i < cnt; i++)
		disk_base_load(disk_add(names[i]));
	disk.is_recording = true;
}

/* disk_end: nothing is recorded or fails any more; what was recorded stays. */
static void disk_end(void)
{
	disk.is_recording = false;
	disk.fault_per_1000 = 0;
}

static void disk_forget(void)
{
	for (unsigned i = 0; i < disk.op_cnt; i++)
		free(disk.ops[i].data);
	for (unsigned i = 0; i < disk.file_cnt; i++)
		free(disk.files[i].base);
	disk.op_cnt = disk.file_cnt = 0;
}

#endif
