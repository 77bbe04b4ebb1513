/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup is a state folder of its own: databases of one commit, and the
 * segments, which grow but do not change. The databases are copied first,
 * so that all blobs they name are in the segments copied after them.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAP      4096
#define STAGE_NAME    "restore"
#define COPY_LEN      (1u << 20)
#define FILE_NAME_CAP 40

/* --- copying --- */

static int block_write(int fd, const uint8_t *block, size_t len)
{
	while (len) {
		ssize_t n = write(fd, block, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			block += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Copies [off, end) of a file, or up to its end where that is less. */
static int span_copy(int from_fd, int to_fd, uint64_t off, uint64_t end,
		     const struct store_stop *stop)
{
	uint8_t *block = malloc(COPY_LEN);
	int err = block ? 0 : -ENOMEM;
	ssize_t len = 1;

	while (err == 0 && len > 0 && off < end) {
		size_t cap = end - off < COPY_LEN ? (size_t)(end - off) : COPY_LEN;

		do
			len = pread(from_fd, block, cap, (off_t)off);
		while (len < 0 && errno == EINTR);
		if (len < 0)
			err = -errno;
		else if (stop_is_due(stop, (size_t)len))
			err = WEFT_ECANCELLED;
		else
			err = block_write(to_fd, block, (size_t)len);
		off += len > 0 ? (size_t)len : 0;
	}
	free(block);
	return err;
}

static int bytes_copy(int from_fd, int to_fd, const struct store_stop *stop)
{
	int err = span_copy(from_fd, to_fd, 0, UINT64_MAX, stop);

	return err == 0 && fsync(to_fd) < 0 ? -errno : err;
}

static int file_copy(int from_dir_fd, int to_dir_fd, const char *name,
		     const struct store_stop *stop)
{
	int from_fd = openat(from_dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int to_fd, err;

	if (from_fd < 0)
		return -errno;
	to_fd = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = to_fd < 0 ? -errno : bytes_copy(from_fd, to_fd, stop);
	if (to_fd >= 0)
		close(to_fd);
	close(from_fd);
	return err;
}

static int dir_open_at(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int dir_make_at(int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return dir_open_at(dir_fd, name);
}

struct segment_copying {
	int from_fd, to_fd;
	bool removes; /* from from_fd, and nothing is copied */
	int err;
	const struct store_stop *stop;
};

static void segment_copy(void *arg, uint32_t number)
{
	struct segment_copying *copying = arg;
	char name[FILE_NAME_CAP];
	int err = 0;

	snprintf(name, sizeof(name), "%08x.seg", number);
	if (copying->err < 0 && !copying->removes)
		return;
	if (!copying->removes)
		err = file_copy(copying->from_fd, copying->to_fd, name, copying->stop);
	else if (unlinkat(copying->from_fd, name, 0) < 0)
		err = -errno;
	if (copying->err == 0)
		copying->err = err;
}

static int segments_copy(int from_state_fd, int to_state_fd, const struct store_stop *stop)
{
	struct segment_copying copying = {dir_open_at(from_state_fd, "segments"),
					  dir_make_at(to_state_fd, "segments"), false, 0, stop};
	int err = copying.from_fd < 0 ? copying.from_fd : copying.to_fd < 0 ? copying.to_fd : 0;

	if (err == 0)
		err = segments_each(copying.from_fd, segment_copy, &copying);
	if (err == 0)
		err = copying.err;
	if (err == 0 && fsync(copying.to_fd) < 0)
		err = -errno;
	if (copying.from_fd >= 0)
		close(copying.from_fd);
	if (copying.to_fd >= 0)
		close(copying.to_fd);
	return err;
}

/* --- making one --- */

/*
 * As mdb_env_copy does, with a word in between: both meta pages while nothing commits, then the
 * pages that the newest leads to, which no commit takes while a transaction reads them.
 */
static int pages_copy(struct store *store, int to_fd, const struct store_stop *stop)
{
	struct store_snapshot *snapshot;
	mdb_filehandle_t from_fd;
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t metas_len;
	int err;

	(void)mdb_env_stat(store->env.lmdb, &stat);
	metas_len = 2 * (uint64_t)stat.ms_psize;
	err = row_err(mdb_env_get_fd(store->env.lmdb, &from_fd));
	if (err < 0)
		return err;
	pthread_mutex_lock(&store->write_lock);
	err = store_snapshot_open(store, &snapshot);
	(void)mdb_env_info(store->env.lmdb, &info);
	if (err == 0)
		err = span_copy(from_fd, to_fd, 0, metas_len, NULL);
	pthread_mutex_unlock(&store->write_lock);
	if (err < 0)
		return err;
	err = span_copy(from_fd, to_fd, metas_len, (info.me_last_pgno + 1) * stat.ms_psize, stop);
	store_snapshot_close(snapshot);
	return err;
}

static int databases_copy(struct store *store, int to_fd, const struct store_stop *stop)
{
	int db_fd = dir_make_at(to_fd, "db"), fd, err;

	if (db_fd < 0)
		return db_fd;
	fd = openat(db_fd, "data.mdb", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : pages_copy(store, fd, stop);
	if (err == 0 && (fsync(fd) < 0 || fsync(db_fd) < 0))
		err = -errno;
	if (fd >= 0)
		close(fd);
	close(db_fd);
	return err;
}

static int backup_fill(struct store *store, int to_fd, const char *extra_file,
		       const struct store_stop *stop)
{
	int err;

	pthread_mutex_lock(&store->move_lock);
	err = databases_copy(store, to_fd, stop);
	if (err == 0)
		err = segments_copy(store->dir_fd, to_fd, stop);
	pthread_mutex_unlock(&store->move_lock);
	if (err == 0 && extra_file)
		err = file_copy(store->dir_fd, to_fd, extra_file, NULL);
	if (err == -ENOENT && extra_file)
		err = 0;
	return err == 0 && fsync(to_fd) < 0 ? -errno : err;
}

/* copy_remove removes what a backup or a restore makes in the folder name. */
static void copy_remove(int parent_fd, const char *name, const char *extra_file)
{
	struct segment_copying removing = {.removes = true};
	int fd = dir_open_at(parent_fd, name);

	if (fd < 0)
		return;
	(void)unlinkat(fd, "db/data.mdb", 0);
	(void)unlinkat(fd, "db/lock.mdb", 0);
	(void)unlinkat(fd, "db", AT_REMOVEDIR);
	removing.from_fd = dir_open_at(fd, "segments");
	if (removing.from_fd >= 0) {
		/* What stays fails the next restore, which then says so. */
		if (segments_each(removing.from_fd, segment_copy, &removing) < 0)
			removing.err = -EIO;
		close(removing.from_fd);
	}
	(void)unlinkat(fd, "segments", AT_REMOVEDIR);
	(void)unlinkat(fd, "lock", 0);
	if (extra_file)
		(void)unlinkat(fd, extra_file, 0);
	close(fd);
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

int store_backup(struct store *store, const char *to, const char *extra_file,
		 const struct store_stop *stop)
{
	int to_fd, err;

	/* Pages are copied as they are: no damaged one passes for a backup. */
	for (unsigned db = 0; db < ENV_DB_CNT; db++)
		if ((err = proof_need(&store->env.proof, db)) < 0)
			return err;
	if (mkdir(to, 0700) < 0)
		return -errno;
	to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = to_fd < 0 ? -errno : backup_fill(store, to_fd, extra_file, stop);
	if (to_fd >= 0)
		close(to_fd);
	if (err < 0)
		copy_remove(AT_FDCWD, to, extra_file);
	return err;
}

/* --- putting one in place --- */

/* What an earlier try left, or this one if it fails. */
static void stage_clear(int state_fd)
{
	copy_remove(state_fd, STAGE_NAME, NULL);
}

static int stage_fill(int from_fd, int state_fd)
{
	int stage_fd = dir_make_at(state_fd, STAGE_NAME);
	int from_db_fd = dir_open_at(from_fd, "db"), to_db_fd = -1, err;

	err = stage_fd < 0 ? stage_fd : from_db_fd < 0 ? from_db_fd : 0;
	if (err == 0)
		to_db_fd = dir_make_at(stage_fd, "db");
	if (err == 0)
		err = to_db_fd < 0 ? to_db_fd : file_copy(from_db_fd, to_db_fd, "data.mdb", NULL);
	if (err == 0 && fsync(to_db_fd) < 0)
		err = -errno;
	if (err == 0)
		err = segments_copy(from_fd, stage_fd, NULL);
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){to_db_fd, from_db_fd, stage_fd}[i];

		if (fd >= 0)
			close(fd);
	}
	return err;
}

/* 0 when all of it is sound. */
static int stage_check(const char *stage, void (*report)(void *arg, const char *finding), void *arg)
{
	struct store_check_result result;
	char finding[STORE_FINDING_CAP] = "";
	struct store_config config;
	struct store *store;
	int err;

	store_config_defaults(&config);
	config.dir = stage;
	config.is_inline = true;
	config.finding = finding;
	err = store_open(&config, &store);
	if (err < 0) {
		if (*finding)
			report(arg, finding);
		return err;
	}
	err = store_check(store, false, report, arg, &result);
	store_close(store);
	if (err == 0 && (result.blob_bad_cnt || result.item_bad_cnt))
		err = WEFT_EDAMAGED;
	return err;
}

/* Between any two renames a start finds segments that it keeps for adoption, or all. */
static int stage_place(int state_fd, char aside[static STORE_ASIDE_CAP])
{
	char segments_aside[STORE_ASIDE_CAP];
	int err = store_aside(state_fd, "db", aside);

	if (err == -ENOENT) {
		aside[0] = '\0';
		err = 0;
	}
	if (err == 0)
		err = store_aside(state_fd, "segments", segments_aside);
	if (err < 0 && err != -ENOENT)
		return err;
	if (renameat(state_fd, STAGE_NAME "/segments", state_fd, "segments") < 0 ||
	    renameat(state_fd, STAGE_NAME "/db", state_fd, "db") < 0 || fsync(state_fd) < 0)
		return -errno;
	return 0;
}

static int restore_run(int from_fd, int state_fd, const char *stage,
		       void (*report)(void *arg, const char *finding), void *arg,
		       struct store_restore_result *out_result)
{
	int err;

	stage_clear(state_fd);
	out_result->is_of_backup = true;
	err = stage_fill(from_fd, state_fd);
	if (err == 0)
		err = stage_check(stage, report, arg);
	if (err == 0) {
		out_result->is_of_backup = false;
		err = stage_place(state_fd, out_result->aside);
	}
	stage_clear(state_fd);
	return err;
}

int store_restore(const char *from, const char *dir, const char *extra_file,
		  void (*report)(void *arg, const char *finding), void *arg,
		  struct store_restore_result *out_result)
{
	int dir_fd = -1, lock_fd = -1, from_fd, err;
	char stage[PATH_CAP];

	*out_result = (struct store_restore_result){.is_of_backup = true};
	if ((size_t)snprintf(stage, sizeof(stage), "%s/" STAGE_NAME, dir) >= sizeof(stage))
		return -ENAMETOOLONG;
	from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0)
		return -errno;
	out_result->is_of_backup = false;
	err = mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
	if (err == 0)
		err = state_lock(dir, &dir_fd, &lock_fd);
	if (err == 0)
		err = restore_run(from_fd, dir_fd, stage, report, arg, out_result);
	/* One that is there stays: it may have been made since. */
	if (err == 0 && extra_file) {
		err = file_copy(from_fd, dir_fd, extra_file, NULL);
		if (err == -EEXIST || err == -ENOENT)
			err = 0;
	}
	if (lock_fd >= 0)
		close(lock_fd);
	if (dir_fd >= 0)
		close(dir_fd);
	close(from_fd);
	return err;
}
