/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of rows that can be made again (derived.h). Opening is where
 * its cheapness pays: there is no migration and no repair, what does not fit is
 * removed.
 */
#include "store/derived.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "store/pages.h"
#include "store/row.h"

#define PATH_CAP    4096
#define META_NAME   "meta"
#define ROWS_NAME   "checked" /* "rows" had no checks */
#define VERSION_KEY "version"

struct bad_rows {
	unsigned cnt;
	struct bad_row {
		size_t len;
		uint8_t key[DERIVED_KEY_LEN_MAX];
	} rows[DERIVED_BAD_MAX];
};

struct derived {
	struct derived_config config;
	char path[PATH_CAP];
	MDB_env *lmdb;
	struct row_db meta, rows;
	struct bad_rows *bad; /* while it is opened: found, and not dropped yet */
};

/* Never made: views and writes are transactions under their own names. */
struct derived_view {
	MDB_txn *txn;
	struct row_db rows;
};
struct derived_write {
	MDB_txn *txn;
	struct row_db rows;
	int err;
};

/* --- opening --- */

static int row_look(void *arg, const struct pages_row *row)
{
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};
	MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};
	struct bad_rows *bad = arg;

	if (store_row_check(ROWS_NAME, &key, &value) == 0)
		return 0;
	if (bad->cnt == DERIVED_BAD_MAX || row->key_len > DERIVED_KEY_LEN_MAX)
		return WEFT_EDAMAGED;
	bad->rows[bad->cnt].len = row->key_len;
	memcpy(bad->rows[bad->cnt++].key, row->key, row->key_len);
	return 0;
}

static int rows_look(int fd, struct bad_rows *bad)
{
	struct pages_config config = {.fd = fd};
	char finding[PAGES_FINDING_CAP];
	struct pages *pages;
	int err = store_pages_open(&config, &pages, finding);

	if (err < 0)
		return err == WEFT_EABSENT ? 0 : err;
	err = store_pages_walk(pages, META_NAME, NULL, NULL);
	if (err == 0)
		err = store_pages_walk(pages, ROWS_NAME, row_look, bad);
	store_pages_close(pages);
	return err;
}

/* All is read before LMDB maps it (pages.h), so reads need not check again. */
static int file_look(const struct derived *derived)
{
	char path[PATH_CAP + 16];
	int err, fd;

	snprintf(path, sizeof(path), "%s/data.mdb", derived->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = rows_look(fd, derived->bad);
	close(fd);
	return err;
}

static bool derived_has_checks(const struct derived *derived, MDB_txn *txn)
{
	MDB_val key = {strlen(VERSION_KEY), (void *)(uintptr_t)VERSION_KEY}, value;

	return mdb_get(txn, derived->meta.dbi, &key, &value) != MDB_SUCCESS ||
	       value.mv_size != sizeof(uint32_t);
}

static int version_take(struct derived *derived, MDB_txn *txn, enum derived_start *out_start)
{
	const void *value;
	uint8_t bytes[4];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;
	int err = store_row_get(txn, &derived->meta, store_key(VERSION_KEY, strlen(VERSION_KEY)),
				&value, &len);

	writer_be32(&w, derived->config.version);
	if (err == WEFT_EABSENT) {
		*out_start = DERIVED_NEW;
		return store_row_put(txn, &derived->meta,
				     store_key(VERSION_KEY, strlen(VERSION_KEY)), bytes,
				     sizeof(bytes));
	}
	*out_start = DERIVED_KEPT;
	/* Rows of the time before checks are of another version, not damaged. */
	if (err == WEFT_EDAMAGED && !derived_has_checks(derived, txn))
		return WEFT_EUNKNOWN;
	if (err < 0)
		return err;
	return len == sizeof(bytes) && memcmp(value, bytes, len) == 0 ? 0 : WEFT_EUNKNOWN;
}

static int databases_open(struct derived *derived, enum derived_start *out_start)
{
	MDB_txn *txn;
	int err = store_row_err(mdb_txn_begin(derived->lmdb, NULL, 0, &txn));

	if (err < 0)
		return err;
	err = store_row_err(mdb_dbi_open(txn, META_NAME, MDB_CREATE, &derived->meta.dbi));
	if (err == 0)
		err = store_row_err(mdb_dbi_open(txn, ROWS_NAME, MDB_CREATE, &derived->rows.dbi));
	if (err == 0)
		err = version_take(derived, txn, out_start);
	for (unsigned i = 0; err == 0 && i < derived->bad->cnt; i++)
		err = store_row_delete(
			txn, &derived->rows,
			store_key(derived->bad->rows[i].key, derived->bad->rows[i].len));
	if (err < 0) {
		mdb_txn_abort(txn);
		return err;
	}
	return store_row_err(mdb_txn_commit(txn));
}

/* 0, -errno, or what is wrong with what was found: WEFT_EDAMAGED, WEFT_EUNKNOWN. */
static int derived_begin(struct derived *derived, enum derived_start *out_start)
{
	const struct derived_config *config = &derived->config;
	int err;

	if (mkdir(derived->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	derived->bad->cnt = 0;
	err = file_look(derived);
	if (err < 0)
		return err;
	err = store_row_err(mdb_env_create(&derived->lmdb));
	if (err < 0)
		return err;
	err = store_row_err(mdb_env_set_maxdbs(derived->lmdb, 2));
	if (err == 0)
		err = store_row_err(mdb_env_set_maxreaders(derived->lmdb, config->reader_cap));
	if (err == 0)
		err = store_row_err(mdb_env_set_mapsize(derived->lmdb, config->map_len_max));
	if (err == 0)
		err = store_row_err(mdb_env_open(derived->lmdb, derived->path,
						 MDB_NOTLS | MDB_NOMETASYNC, 0600));
	return err < 0 ? err : databases_open(derived, out_start);
}

static void derived_end(struct derived *derived)
{
	if (derived->lmdb)
		mdb_env_close(derived->lmdb);
	derived->lmdb = NULL;
}

static int files_remove(const struct derived *derived)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	int dir_fd = open(derived->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (dir_fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			err = -errno;
	close(dir_fd);
	return err;
}

int store_derived_open(const struct derived_config *config, struct derived **out_derived,
		       enum derived_start *out_start)
{
	struct derived *derived = calloc(1, sizeof(*derived));
	enum derived_start start = DERIVED_NEW, again;
	int err;

	if (!derived)
		return -ENOMEM;
	derived->bad = calloc(1, sizeof(*derived->bad));
	if (!derived->bad) {
		free(derived);
		return -ENOMEM;
	}
	derived->config = *config;
	derived->meta.name = META_NAME;
	derived->rows.name = ROWS_NAME;
	if ((size_t)snprintf(derived->path, sizeof(derived->path), "%s/%s", config->state_dir,
			     config->name) >= sizeof(derived->path)) {
		store_derived_close(derived);
		return -ENAMETOOLONG;
	}
	err = derived_begin(derived, &start);
	if (err == WEFT_EDAMAGED || err == WEFT_EUNKNOWN) {
		start = err == WEFT_EDAMAGED ? DERIVED_DAMAGED : DERIVED_OTHER_VERSION;
		derived_end(derived);
		err = files_remove(derived);
		if (err == 0)
			err = derived_begin(derived, &again);
	}
	free(derived->bad);
	derived->bad = NULL;
	if (err < 0) {
		store_derived_close(derived);
		return err;
	}
	*out_derived = derived;
	*out_start = start;
	return 0;
}

void store_derived_close(struct derived *derived)
{
	if (!derived)
		return;
	derived_end(derived);
	free(derived->bad);
	free(derived);
}

uint64_t store_derived_used_len(const struct derived *derived)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(derived->lmdb, &info);
	mdb_env_stat(derived->lmdb, &stat);
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* --- reading --- */

int store_derived_view_open(struct derived *derived, struct derived_view **out_view)
{
	struct derived_view *view = calloc(1, sizeof(*view));
	int err;

	if (!view)
		return -ENOMEM;
	view->rows = derived->rows;
	err = store_row_err(mdb_txn_begin(derived->lmdb, NULL, MDB_RDONLY, &view->txn));
	if (err < 0) {
		free(view);
		return err;
	}
	*out_view = view;
	return 0;
}

void store_derived_view_close(struct derived_view *view)
{
	if (!view)
		return;
	mdb_txn_abort(view->txn);
	free(view);
}

int store_derived_view_get(struct derived_view *view, const void *key, size_t key_len,
			   const void **out_value, size_t *out_len)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v;
	int err = store_row_err(mdb_get(view->txn, view->rows.dbi, &k, &v));

	if (err < 0)
		return err;
	*out_value = v.mv_data;
	*out_len = v.mv_size - ROW_CHECK_LEN;
	return 0;
}

int store_derived_view_each(struct derived_view *view, const void *prefix, size_t prefix_len,
			    derived_row_fn fn, void *arg)
{
	MDB_val key = {prefix_len, (void *)(uintptr_t)prefix}, value;
	MDB_cursor *cursor;
	int err = store_row_err(mdb_cursor_open(view->txn, view->rows.dbi, &cursor));

	if (err < 0)
		return err;
	err = store_row_err(
		mdb_cursor_get(cursor, &key, &value, prefix_len ? MDB_SET_RANGE : MDB_FIRST));
	while (err == 0) {
		if (key.mv_size < prefix_len ||
		    (prefix_len && memcmp(key.mv_data, prefix, prefix_len) != 0))
			break;
		if (!fn(arg, key.mv_data, key.mv_size, value.mv_data,
			value.mv_size - ROW_CHECK_LEN))
			break;
		err = store_row_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
	}
	mdb_cursor_close(cursor);
	return err == WEFT_EABSENT ? 0 : err;
}

/* --- writing --- */

int store_derived_write_open(struct derived *derived, struct derived_write **out_write)
{
	struct derived_write *write = calloc(1, sizeof(*write));
	int err;

	if (!write)
		return -ENOMEM;
	write->rows = derived->rows;
	err = store_row_err(mdb_txn_begin(derived->lmdb, NULL, 0, &write->txn));
	if (err < 0) {
		free(write);
		return err;
	}
	*out_write = write;
	return 0;
}

void store_derived_write_put(struct derived_write *write, const void *key, size_t key_len,
			     const void *value, size_t value_len)
{
	if (write->err == 0)
		write->err = store_row_put(write->txn, &write->rows, store_key(key, key_len), value,
					   value_len);
}

void store_derived_write_delete(struct derived_write *write, const void *key, size_t key_len)
{
	if (write->err == 0)
		write->err = store_row_delete(write->txn, &write->rows, store_key(key, key_len));
}

int store_derived_write_commit(struct derived_write *write)
{
	int err = write->err;

	if (err == 0)
		err = store_row_err(mdb_txn_commit(write->txn));
	else
		mdb_txn_abort(write->txn);
	free(write);
	return err;
}
