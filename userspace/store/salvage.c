/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sound store out of a damaged one: every row whose check matches goes
 * into databases made anew, by the reader that trusts nothing (pages.h).
 * The old ones are kept beside them. Segments stay where they are; each
 * row of their index carries its own check as any row does.
 *
 * Offline: the lock of the state directory is held meanwhile.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAP     4096
#define SALVAGE_NAME "salvage"
#define TXN_ROW_MAX  5000u /* LMDB keeps the dirty pages of a commit in memory */
#define ASIDE_MAX    1000u
#define FINDING_CAP  200
#define REPORTED_MAX 50u /* a line for each would say no more than their count */

struct salvage {
	struct store *store; /* only its env and config are used: the new databases */
	struct pages *pages; /* the old ones; NULL: nothing of them can be read */
	MDB_txn *txn;
	unsigned txn_row_cnt;
	unsigned db; /* that is copied; ENV_DB_CNT: rows of any */
	bool has_checks;
	bool has_lost; /* an index of blobs that is not whole */
	unsigned reported_cnt;
	void (*report)(void *arg, const char *finding);
	void *arg;
	struct store_salvage_result result;
};

__attribute__((format(printf, 2, 3))) static void tell(struct salvage *s, const char *fmt, ...)
{
	char finding[FINDING_CAP];
	va_list args;

	if (!s->report || s->reported_cnt++ >= REPORTED_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(finding, sizeof(finding), fmt, args);
	va_end(args);
	s->report(s->arg, finding);
}

static void page_lost(void *arg, const char *finding)
{
	struct salvage *s = arg;

	s->has_lost = true;
	s->result.page_bad_cnt++;
	tell(s, "%s", finding);
}

/* --- rows --- */

static int txn_step(struct salvage *s)
{
	int err = 0;

	if (++s->txn_row_cnt >= TXN_ROW_MAX) {
		s->txn_row_cnt = 0;
		err = store_row_err(mdb_txn_commit(s->txn));
		s->txn = NULL;
		if (err == 0)
			err = store_row_err(mdb_txn_begin(s->store->env.lmdb, NULL, 0, &s->txn));
	}
	return err;
}

/* Rows that a new store writes by itself. */
static bool is_own_row(unsigned db, const MDB_val *key)
{
	return db == ENV_SEGMENTS || (db == STORE_META && key->mv_size == SCHEMA_KEY_LEN &&
				      memcmp(key->mv_data, SCHEMA_KEY, SCHEMA_KEY_LEN) == 0);
}

static int row_keep(struct salvage *s, unsigned db, const MDB_val *key, const MDB_val *value)
{
	struct segment_place place;
	int err;

	if (is_own_row(db, key))
		return 0;
	if (db == STORE_BLOBS) {
		if (key->mv_size != 32 || value->mv_size != BLOB_PLACE_LEN)
			return 0;
		store_place_parse(key->mv_data, value->mv_data, value->mv_size, &place);
		err = store_blob_adopt(s->store, s->txn, &place);
	} else {
		err = store_env_put(s->txn, db, store_key(key->mv_data, key->mv_size),
				    value->mv_data, value->mv_size);
	}
	s->result.row_cnt += err == 0;
	return err < 0 ? err : txn_step(s);
}

static int row_copy(void *arg, const struct pages_row *row)
{
	struct salvage *s = arg;
	const char *name = store_env_databases[s->db].name;
	size_t key_len = store_env_databases[s->db].key_len;
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};
	MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};

	if ((s->has_checks && store_row_check(name, &key, &value) < 0) ||
	    (key_len && row->key_len != key_len)) {
		s->result.row_bad_cnt++;
		s->has_lost |= s->db == STORE_BLOBS;
		tell(s, "database %s: a row is damaged and was left out", name);
		return 0;
	}
	return row_keep(s, s->db, &key, &value);
}

/* A row on a page that a damaged one led to: its check says of which database it is. */
static int row_find(void *arg, const struct pages_row *row)
{
	struct salvage *s = arg;
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};

	for (unsigned db = 0; db < ENV_DB_CNT; db++) {
		MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};
		const void *known;
		size_t known_len;

		if (store_row_check(store_env_databases[db].name, &key, &value) < 0)
			continue;
		if (store_env_get(s->txn, db, store_key(key.mv_data, key.mv_size), &known,
				  &known_len) != WEFT_EABSENT)
			return 0;
		s->result.row_found_cnt++;
		return row_keep(s, db, &key, &value);
	}
	return 0;
}

/* --- the new databases --- */

struct segment_lens {
	struct salvage *salvage;
	int err;
};

/*
 * A segment is at least as long as its file. Bytes that its lost rows
 * named are not cut off as the rest of an uncommitted write.
 */
static void segment_keep(void *arg, uint32_t number)
{
	struct segment_lens *lens = arg;
	struct salvage *s = lens->salvage;
	int err = store_segment_account_file(s->store, s->txn, number);

	if (lens->err == 0)
		lens->err = err;
}

static int rows_copy(struct salvage *s)
{
	struct segment_lens lens = {.salvage = s};
	int err = store_row_err(mdb_txn_begin(s->store->env.lmdb, NULL, 0, &s->txn));

	for (s->db = 0; s->pages && s->db < ENV_DB_CNT && err == 0; s->db++)
		err = store_pages_walk(s->pages, store_env_databases[s->db].name, row_copy, s);
	if (err == 0 && s->pages && s->has_checks)
		err = store_pages_lost(s->pages, row_find, s);
	if (err == 0)
		err = store_segments_each(s->store->segments.dir_fd, segment_keep, &lens);
	if (err == 0)
		err = lens.err;
	if (err == 0)
		err = store_env_put(s->txn, STORE_META,
				    store_key(STORE_SEEN_KEY, STORE_SEEN_KEY_LEN), "", 0);
	if (err == 0 && s->has_lost)
		err = store_env_put(s->txn, STORE_META,
				    store_key(STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN), "", 0);
	if (err == 0) {
		err = store_row_err(mdb_txn_commit(s->txn));
		s->txn = NULL;
	}
	if (s->txn)
		mdb_txn_abort(s->txn);
	return err;
}

static int version_seen(void *arg, const struct pages_row *row)
{
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};
	MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};
	uint32_t version;

	if (row->key_len == SCHEMA_KEY_LEN && memcmp(row->key, SCHEMA_KEY, SCHEMA_KEY_LEN) == 0 &&
	    store_schema_version_parse(&key, &value, &version) == 0)
		*(uint32_t *)arg = version;
	return 0;
}

/* An unreadable schema counts as the newest: then only rows with a right check are taken. */
static int version_look(struct salvage *s, const struct pages_config *config)
{
	uint32_t version = STORE_SCHEMA_VERSION;
	char finding[PAGES_FINDING_CAP] = "";
	struct pages_config quiet = {.fd = config->fd, .is_salvaging = true};
	struct pages *pages;
	int err = store_pages_open(&quiet, &pages, finding);

	if (err == WEFT_EDAMAGED || err == WEFT_EABSENT) {
		s->has_lost = true;
		tell(s, "%s", *finding ? finding : "the database file is empty");
		return 0;
	}
	if (err < 0)
		return err;
	err = store_pages_walk(pages, store_env_databases[STORE_META].name, version_seen, &version);
	store_pages_close(pages);
	if (err < 0)
		return err;
	if (version > STORE_SCHEMA_VERSION) {
		tell(s, "it has schema %u, and this version knows schemas up to %u",
		     (unsigned)version, STORE_SCHEMA_VERSION);
		return WEFT_ENEWER;
	}
	s->has_checks = version >= ENV_SCHEMA_CHECKS;
	if (!s->has_checks)
		tell(s, "rows of schema %u have no checks: all that can be read are taken",
		     (unsigned)version);
	return store_pages_open(config, &s->pages, finding);
}

static int salvage_run(struct salvage *s, int state_fd)
{
	struct store *store = s->store;
	struct pages_config config = {.is_salvaging = true, .report = page_lost, .arg = s};
	int new_fd = -1, err;

	config.fd = openat(state_fd, "db/data.mdb", O_RDONLY | O_CLOEXEC);
	if (config.fd < 0)
		return -errno;
	err = version_look(s, &config);
	if (err == 0 && mkdirat(state_fd, SALVAGE_NAME, 0700) < 0 && errno != EEXIST)
		err = -errno;
	/* A leftover of an earlier try that did not come to its end. */
	(void)unlinkat(state_fd, SALVAGE_NAME "/db/data.mdb", 0);
	(void)unlinkat(state_fd, SALVAGE_NAME "/db/lock.mdb", 0);
	if (err == 0)
		new_fd = openat(state_fd, SALVAGE_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (err == 0 && new_fd < 0)
		err = -errno;
	if (err == 0)
		err = store_env_open(&store->env, &store->config, new_fd,
				     &store_env_schema_current);
	if (err == 0)
		err = rows_copy(s);
	store_env_close(&store->env);
	store_pages_close(s->pages);
	if (new_fd >= 0)
		close(new_fd);
	close(config.fd);
	return err;
}

int store_aside(int state_fd, const char *name, char aside[static STORE_ASIDE_CAP])
{
	struct stat st;

	for (unsigned i = 1; i <= ASIDE_MAX; i++) {
		snprintf(aside, STORE_ASIDE_CAP, "%s.old%u", name, i);
		if (fstatat(state_fd, aside, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		return renameat(state_fd, name, state_fd, aside) < 0 ? -errno : 0;
	}
	return -EEXIST;
}

/* A kill between the two renames leaves no db: another salvage is refused with ENOENT, not lost. */
static int salvage_place(int state_fd, char aside[static STORE_ASIDE_CAP])
{
	int err = store_aside(state_fd, "db", aside);

	if (err == 0 && renameat(state_fd, SALVAGE_NAME "/db", state_fd, "db") < 0)
		err = -errno;
	if (err == 0 && fsync(state_fd) < 0)
		err = -errno;
	(void)unlinkat(state_fd, SALVAGE_NAME, AT_REMOVEDIR);
	return err;
}

int store_salvage(const char *dir, void (*report)(void *arg, const char *finding), void *arg,
		  struct store_salvage_result *out_result)
{
	struct store store = {.dir_fd = -1, .lock_fd = -1, .env.proof.fd = -1};
	struct salvage s = {.store = &store, .has_checks = true, .report = report, .arg = arg};
	char new_dir[PATH_CAP];
	int err;

	store.segments.dir_fd = -1;
	store_config_defaults(&store.config);
	store.config.dir = new_dir;
	if ((size_t)snprintf(new_dir, sizeof(new_dir), "%s/" SALVAGE_NAME, dir) >= sizeof(new_dir))
		return -ENAMETOOLONG;
	err = store_state_lock(dir, &store.dir_fd, &store.lock_fd);
	if (err == 0) {
		store.segments.dir_fd =
			openat(store.dir_fd, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = store.segments.dir_fd < 0 ? -errno : salvage_run(&s, store.dir_fd);
	}
	if (err == 0)
		err = salvage_place(store.dir_fd, s.result.aside);
	s.result.has_lost_blobs = s.has_lost;
	if (err == 0)
		*out_result = s.result;
	if (store.segments.dir_fd >= 0)
		close(store.segments.dir_fd);
	if (store.lock_fd >= 0)
		close(store.lock_fd);
	if (store.dir_fd >= 0)
		close(store.dir_fd);
	return err;
}
