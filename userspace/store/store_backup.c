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

static int bytes_copy(int from_fd, int to_fd)
{
	uint8_t *block = malloc(COPY_LEN);
	int err = block ? 0 : -ENOMEM;
	ssize_t len = 1;

	while (err == 0 && len > 0) {
		len = read(from_fd, block, COPY_LEN);
		for (ssize_t at = 0, n; at < len && err == 0; at += n) {
			n = write(to_fd, block + at, (size_t)(len - at));
			if (n < 0) {
				err = errno == EINTR ? 0 : -errno;
				n = 0;
			}
		}
		if (len < 0 && errno == EINTR)
			len = 1;
		else if (len < 0)
			err = -errno;
	}
	free(block);
	return err == 0 && fsync(to_fd) < 0 ? -errno : err;
}

static int file_copy(int from_dir_fd, int to_dir_fd, const char *name)
{
	int from_fd = openat(from_dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int to_fd, err;

	if (from_fd < 0)
		return -errno;
	to_fd = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = to_fd < 0 ? -errno : bytes_copy(from_fd, to_fd);
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
};

static void segment_copy(void *arg, uint32_t number)
{
	struct segment_copying *copying = arg;
	char name[FILE_NAME_CAP];
	int err = 0;

	snprintf(name, sizeof(name), "%08x.seg", number);
	if (!copying->removes)
		err = file_copy(copying->from_fd, copying->to_fd, name);
	else if (unlinkat(copying->from_fd, name, 0) < 0)
		err = -errno;
	if (copying->err == 0)
		copying->err = err;
}

static int segments_copy(int from_state_fd, int to_state_fd)
{
	struct segment_copying copying = {dir_open_at(from_state_fd, "segments"),
					  dir_make_at(to_state_fd, "segments"), false, 0};
	int err = copying.from_fd < 0 ? copying.from_fd : copying.to_fd < 0 ? copying.to_fd : 0;

	if (err == 0)
		err = store_segments_each(copying.from_fd, segment_copy, &copying);
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

/* LMDB makes the file with the mode that the mask leaves. */
static int databases_copy(struct store *store, const char *to, int to_fd)
{
	char path[PATH_CAP];
	int fd, err = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/db", to) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = dir_make_at(to_fd, "db");
	if (fd < 0)
		return fd;
	close(fd);
	err = store_row_err(mdb_env_copy(store->env.lmdb, path));
	fd = err == 0 ? openat(to_fd, "db/data.mdb", O_RDWR | O_CLOEXEC) : -1;
	if (err == 0 && (fd < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int store_backup(struct store *store, const char *to, const char *extra_file)
{
	int to_fd, err;

	/* LMDB copies pages as they are: no damaged one passes for a backup. */
	for (unsigned db = 0; db < ENV_DB_CNT; db++)
		if ((err = store_proof_need(&store->env.proof, db)) < 0)
			return err;
	if (mkdir(to, 0700) < 0)
		return -errno;
	to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to_fd < 0)
		return -errno;
	pthread_mutex_lock(&store->move_lock);
	err = databases_copy(store, to, to_fd);
	if (err == 0)
		err = segments_copy(store->dir_fd, to_fd);
	pthread_mutex_unlock(&store->move_lock);
	if (err == 0 && extra_file)
		err = file_copy(store->dir_fd, to_fd, extra_file);
	if (err == -ENOENT && extra_file)
		err = 0;
	if (err == 0 && fsync(to_fd) < 0)
		err = -errno;
	close(to_fd);
	return err;
}

/* --- putting one in place --- */

/* The leftover of an earlier try, or of this one if it fails. */
static void stage_clear(int state_fd)
{
	struct segment_copying removing = {.removes = true};

	(void)unlinkat(state_fd, STAGE_NAME "/db/data.mdb", 0);
	(void)unlinkat(state_fd, STAGE_NAME "/db/lock.mdb", 0);
	(void)unlinkat(state_fd, STAGE_NAME "/db", AT_REMOVEDIR);
	removing.from_fd = dir_open_at(state_fd, STAGE_NAME "/segments");
	if (removing.from_fd >= 0) {
		/* A file that stays fails the next restore, which then says so. */
		if (store_segments_each(removing.from_fd, segment_copy, &removing) < 0)
			removing.err = -EIO;
		close(removing.from_fd);
	}
	(void)unlinkat(state_fd, STAGE_NAME "/segments", AT_REMOVEDIR);
	(void)unlinkat(state_fd, STAGE_NAME "/lock", 0);
	(void)unlinkat(state_fd, STAGE_NAME, AT_REMOVEDIR);
}

static int stage_fill(int from_fd, int state_fd)
{
	int stage_fd = dir_make_at(state_fd, STAGE_NAME);
	int from_db_fd = dir_open_at(from_fd, "db"), to_db_fd = -1, err;

	err = stage_fd < 0 ? stage_fd : from_db_fd < 0 ? from_db_fd : 0;
	if (err == 0)
		to_db_fd = dir_make_at(stage_fd, "db");
	if (err == 0)
		err = to_db_fd < 0 ? to_db_fd : file_copy(from_db_fd, to_db_fd, "data.mdb");
	if (err == 0 && fsync(to_db_fd) < 0)
		err = -errno;
	if (err == 0)
		err = segments_copy(from_fd, stage_fd);
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){to_db_fd, from_db_fd, stage_fd}[i];

		if (fd >= 0)
			close(fd);
	}
	return err;
}

/* 0 when all of it is sound. */
static int stage_check(const char *stage, const struct store_restore_ask *ask)
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
			ask->report(ask->arg, finding);
		return err;
	}
	err = store_check(store, false, ask->report, ask->arg, &result);
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

static int restore_run(const struct store_restore_ask *ask, int from_fd, int state_fd,
		       struct store_restore_result *out_result)
{
	char stage[PATH_CAP];
	int err;

	if ((size_t)snprintf(stage, sizeof(stage), "%s/" STAGE_NAME, ask->dir) >= sizeof(stage))
		return -ENAMETOOLONG;
	stage_clear(state_fd);
	out_result->is_of_backup = true;
	err = stage_fill(from_fd, state_fd);
	if (err == 0)
		err = stage_check(stage, ask);
	if (err == 0) {
		out_result->is_of_backup = false;
		err = stage_place(state_fd, out_result->aside);
	}
	stage_clear(state_fd);
	return err;
}

int store_restore(const struct store_restore_ask *ask, struct store_restore_result *out_result)
{
	int dir_fd = -1, lock_fd = -1, from_fd, err;

	*out_result = (struct store_restore_result){.is_of_backup = true};
	from_fd = open(ask->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0)
		return -errno;
	out_result->is_of_backup = false;
	err = mkdir(ask->dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
	if (err == 0)
		err = store_state_lock(ask->dir, &dir_fd, &lock_fd);
	if (err == 0)
		err = restore_run(ask, from_fd, dir_fd, out_result);
	/* One that is there stays: it may have been made since. */
	if (err == 0 && ask->extra_file) {
		err = file_copy(from_fd, dir_fd, ask->extra_file);
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
