/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking after what is stored: verify, repair, compact. Runs in a job
 * or offline, in slices. Each slice takes the write lock for one
 * transaction, so the store thread never waits long.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/byte_cursor.h"

#define CHECK_SLICE_CNT	  256
#define COMPACT_SLICE_LEN (8u << 20)
#define FINDING_CAP	  200
#define KEY_LEN_MAX	  511

struct check {
	struct store *store;
	const struct store_check_ask *ask;
	struct store_stop stop; /* the caller's, and the store's own haste */
	struct store_check_result result;
};

static bool is_hurried(const struct store *store)
{
	return __atomic_load_n(&store->is_hurried, __ATOMIC_RELAXED);
}

static bool check_is_due(void *arg, size_t read_len)
{
	struct check *check = arg;
	const struct store_stop *asked = check->ask->stop.is_due ? &check->ask->stop : NULL;

	return stop_is_due(asked, read_len) || is_hurried(check->store);
}

static bool store_is_due(void *arg, size_t read_len)
{
	(void)read_len;
	return is_hurried(arg);
}

__attribute__((format(printf, 2, 3))) static void check_tell(struct check *check, const char *fmt,
							     ...)
{
	char finding[FINDING_CAP];
	va_list args;

	if (!check->ask->report)
		return;
	va_start(args, fmt);
	vsnprintf(finding, sizeof(finding), fmt, args);
	va_end(args);
	check->ask->report(check->ask->arg, finding);
}

static void id_short(const uint8_t *id, char text[static 17])
{
	for (int i = 0; i < 8; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* --- segments whose index is lost --- */

struct adoption {
	struct check *check;
	MDB_txn *txn;
	unsigned slice_cnt;
};

static int record_adopt(void *arg, const struct segment_place *place)
{
	struct adoption *adoption = arg;
	struct store *store = adoption->check->store;
	int err;

	if (check_is_due(adoption->check, (size_t)place->len))
		return WEFT_ECANCELLED;
	if (store_segment_verify(store->segments.dir_fd, place) < 0)
		return 0;
	err = store_blob_adopt(store, adoption->txn, place);
	if (err < 0)
		return err;
	adoption->check->result.repaired_cnt++;
	if (++adoption->slice_cnt < CHECK_SLICE_CNT)
		return 0;
	adoption->slice_cnt = 0;
	err = store_write_end(store, adoption->txn, 0);
	adoption->txn = NULL;
	return err < 0 ? err : store_write_begin(store, &adoption->txn);
}

static int segments_adopt(struct check *check)
{
	struct store *store = check->store;
	struct adoption adoption = {.check = check};
	int err = store_write_begin(store, &adoption.txn);

	/* A segment that was never made scans as empty. */
	for (uint32_t number = 1; err == 0 && number <= store->segments.durable; number++)
		err = store_segment_scan(store->segments.dir_fd, number, &check->stop, record_adopt,
					 &adoption);
	if (err == 0)
		err = store_env_delete(adoption.txn, STORE_META,
				       store_key(STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN));
	return adoption.txn ? store_write_end(store, adoption.txn, err) : err;
}

static int check_adoption(struct check *check)
{
	struct store *store = check->store;
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_META, store_key(STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN),
			&value, &len);
	store_snapshot_close(snapshot);
	if (err == WEFT_EABSENT)
		return 0;
	if (err < 0)
		return err;
	check_tell(check, "the databases are newer than the segments: the index of blobs is lost%s",
		   check->ask->repairs ? ", rebuilding it" : "; repair rebuilds it");
	return check->ask->repairs ? segments_adopt(check) : 0;
}

/* --- the walk over the databases --- */

/* One slice: verified from key on, at most CHECK_SLICE_CNT items; the bad ones to drop. */
struct slice {
	struct check *check;
	enum store_db db;
	unsigned cnt;
	bool is_last;
	uint8_t next[KEY_LEN_MAX];
	size_t next_len;
	uint8_t bad[CHECK_SLICE_CNT][KEY_LEN_MAX];
	size_t bad_len[CHECK_SLICE_CNT];
	unsigned bad_cnt;
	bool is_cut; /* by the caller, or the end of the process */
};

static size_t blob_len_of(const struct store_item *item)
{
	struct segment_place place;

	store_place_parse(item->key, item->value, item->value_len, &place);
	return (size_t)place.len;
}

static bool blob_is_sound(struct check *check, const struct store_item *item)
{
	struct segment_place place;
	char text[17];
	int err;

	check->result.blob_cnt++;
	if (item->value_len != BLOB_PLACE_LEN)
		return false;
	store_place_parse(item->key, item->value, item->value_len, &place);
	err = store_segment_verify(check->store->segments.dir_fd, &place);
	if (err == 0)
		return true;
	check->result.blob_bad_cnt++;
	id_short(item->key, text);
	check_tell(check, "blob %s...: %s in segment %08x at %llu%s", text,
		   err == WEFT_EABSENT	  ? "no such file"
		   : err == WEFT_EDAMAGED ? "damaged record"
					  : strerror(-err),
		   place.segment, (unsigned long long)place.off,
		   check->ask->repairs ? ", dropped" : "");
	/* A blob that the disk refuses today may be readable tomorrow: only damage is dropped. */
	return err != WEFT_EABSENT && err != WEFT_EDAMAGED;
}

static bool slice_item(struct slice *slice, const struct store_item *item, int err)
{
	struct check *check = slice->check;
	size_t key_len = store_env_databases[slice->db].key_len;

	/* Another slice would begin here; there is none. */
	if (check_is_due(check, slice->db == STORE_BLOBS ? blob_len_of(item) : 0)) {
		slice->is_cut = true;
		return false;
	}
	if (slice->cnt++ == CHECK_SLICE_CNT) {
		memcpy(slice->next, item->key, item->key_len);
		slice->next_len = item->key_len;
		slice->is_last = false;
		return false;
	}
	check->result.item_cnt++;
	if (key_len && item->key_len != key_len)
		check_tell(check, "database %s: a key of %zu bytes, %zu wanted",
			   store_db_name(slice->db), item->key_len, key_len);
	else if (err < 0)
		check_tell(check, "database %s: the check of a row does not match%s",
			   store_db_name(slice->db), check->ask->repairs ? ", dropped" : "");
	else if (slice->db != STORE_BLOBS || blob_is_sound(check, item))
		return true;
	check->result.item_bad_cnt++;
	memcpy(slice->bad[slice->bad_cnt], item->key, item->key_len);
	slice->bad_len[slice->bad_cnt++] = item->key_len;
	return true;
}

static int slice_repair(struct slice *slice)
{
	struct store *store = slice->check->store;
	MDB_txn *txn;
	int err = store_write_begin(store, &txn);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < slice->bad_cnt && err == 0; i++) {
		if (slice->db == STORE_BLOBS && slice->bad_len[i] == 32)
			err = store_blob_drop(store, txn, slice->bad[i]);
		else
			err = store_env_delete(txn, slice->db,
					       store_key(slice->bad[i], slice->bad_len[i]));
	}
	err = store_write_end(store, txn, err);
	if (err == 0)
		slice->check->result.repaired_cnt += slice->bad_cnt;
	return err;
}

static int database_check(struct check *check, enum store_db db)
{
	struct slice *slice = calloc(1, sizeof(*slice));
	int err = slice ? 0 : -ENOMEM;

	if (!slice)
		return err;
	slice->check = check;
	slice->db = db;
	do {
		struct store_iter iter =
			store_iter_fresh(check->store, db, store_key(slice->next, slice->next_len));
		struct store_item item;
		int row_err;

		slice->cnt = 0;
		slice->bad_cnt = 0;
		slice->is_last = true;
		while (store_iter_row(&iter, &item, &row_err) && slice_item(slice, &item, row_err))
			;
		err = store_iter_end(&iter);
		if (err == 0 && slice->is_cut)
			err = WEFT_ECANCELLED;
		if (err == 0 && slice->bad_cnt && check->ask->repairs)
			err = slice_repair(slice);
	} while (err == 0 && !slice->is_last);
	free(slice);
	return err;
}

/* The snapshot keeps the pages of its commit from being used again. */
static int pages_of_now(const struct check *check, int fd, struct store_snapshot **out_snapshot,
			struct pages **out_pages, char finding[static PAGES_FINDING_CAP])
{
	struct pages_config config = {.fd = fd, .is_txn = true, .stop = &check->stop};
	struct store *store = check->store;
	int err;

	/* Meta pages are written over two commits later. */
	pthread_mutex_lock(&store->write_lock);
	err = store_snapshot_open(store, out_snapshot);
	if (err == 0) {
		config.txn_id = store_snapshot_txn_id(*out_snapshot);
		err = store_pages_open(&config, out_pages, finding);
		if (err < 0)
			store_snapshot_close(*out_snapshot);
	}
	pthread_mutex_unlock(&store->write_lock);
	return err;
}

/* LMDB may die of a damaged page: they are all read before it goes over them. */
static int check_pages(struct check *check)
{
	char finding[PAGES_FINDING_CAP] = "";
	struct store_snapshot *snapshot;
	struct pages *pages;
	int fd = openat(check->store->dir_fd, "db/data.mdb", O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : pages_of_now(check, fd, &snapshot, &pages, finding);

	if (err == 0) {
		for (unsigned db = 0; db < ENV_DB_CNT && err == 0; db++)
			err = store_pages_walk(pages, store_env_databases[db].name, NULL, NULL);
		memcpy(finding, store_pages_finding(pages), sizeof(finding));
		store_pages_close(pages);
		store_snapshot_close(snapshot);
	}
	if (fd >= 0)
		close(fd);
	if (err == WEFT_EDAMAGED)
		check_tell(check, "%s", finding);
	return err;
}

int store_check_until(struct store *store, const struct store_check_ask *ask,
		      struct store_check_result *out_result)
{
	struct check check = {.store = store, .ask = ask, .stop = {check_is_due, &check}};
	int err = check_pages(&check);

	if (err == 0)
		err = check_adoption(&check);
	for (unsigned db = 0; db < STORE_DB_CNT && err == 0; db++)
		err = database_check(&check, (enum store_db)db);
	if (err == 0)
		*out_result = check.result;
	return err;
}

int store_check(struct store *store, bool repair, void (*report)(void *arg, const char *finding),
		void *arg, struct store_check_result *out_result)
{
	const struct store_check_ask ask = {.repairs = repair, .report = report, .arg = arg};

	return store_check_until(store, &ask, out_result);
}

/* --- compaction --- */

struct compaction {
	struct store *store;
	MDB_txn *txn;
	uint64_t slice_len;
	bool lost_any; /* a live record cannot be read: the segment stays */
};

static int record_move(struct compaction *c, const struct segment_place *place)
{
	struct store *store = c->store;
	uint8_t *data = malloc(place->len ? (size_t)place->len : 1);
	int err;

	if (!data)
		return -ENOMEM;
	err = store_segment_read(store->segments.dir_fd, place, 0, data, (size_t)place->len);
	if (err == WEFT_EDAMAGED) {
		c->lost_any = true;
		err = 0;
	} else if (err == 0) {
		err = store_blob_drop(store, c->txn, place->id);
		if (err == 0)
			err = store_blob_put(store, c->txn, place->id, data, (size_t)place->len);
		c->slice_len += place->len;
	}
	free(data);
	return err;
}

static int record_compact(void *arg, const struct segment_place *place)
{
	struct compaction *c = arg;
	struct segment_place live;
	int err;

	/* The moves of this slice are taken back, the slices before stay. */
	if (is_hurried(c->store))
		return WEFT_ECANCELLED;
	err = store_blob_place(c->txn, place->id, &live);
	if (err == WEFT_EABSENT)
		return 0;
	if (err < 0)
		return err;
	if (live.segment != place->segment || live.off != place->off)
		return 0;
	err = record_move(c, place);
	if (err < 0 || c->slice_len < COMPACT_SLICE_LEN)
		return err;
	c->slice_len = 0;
	err = store_write_end(c->store, c->txn, 0);
	c->txn = NULL;
	return err < 0 ? err : store_write_begin(c->store, &c->txn);
}

/* Moves what lives in the segment to the head, then drops its row and its file. */
static int segment_compact(struct store *store, uint32_t number)
{
	const struct store_stop stop = {store_is_due, store};
	struct compaction c = {.store = store};
	uint8_t key[SEGMENT_KEY_LEN];
	int err = store_write_begin(store, &c.txn);

	if (err < 0)
		return err;
	if (store->segments.head == number)
		store_segments_seal(&store->segments);
	err = store_segment_scan(store->segments.dir_fd, number, &stop, record_compact, &c);
	store_segment_key_write(key, number);
	if (err == 0 && !c.lost_any)
		err = store_env_delete(c.txn, ENV_SEGMENTS, store_key(key, sizeof(key)));
	if (c.txn)
		err = store_write_end(store, c.txn, err);
	if (err < 0 || c.lost_any)
		return err;
	return store_segments_remove(&store->segments, number);
}

static int compact_next(struct store *store, uint32_t after, struct segment_row *out_row)
{
	uint8_t from[SEGMENT_KEY_LEN];
	MDB_val key = {sizeof(from), from}, value;
	struct segment_row row;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int err = store_row_err(mdb_txn_begin(store->env.lmdb, NULL, MDB_RDONLY, &txn));

	if (err < 0)
		return err;
	store_segment_key_write(from, after + 1);
	err = store_env_cursor(txn, ENV_SEGMENTS, &cursor);
	if (err == 0) {
		err = store_row_err(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
		while (err == 0 &&
		       (!store_segment_row_parse(&key, &value, &row) || row.live_len >= row.len))
			err = store_row_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	if (err == 0)
		*out_row = row;
	return err;
}

static int64_t compact_run(struct store *store)
{
	struct segment_row row = {0};
	int64_t freed_len = 0;
	uint32_t last;
	int err;

	/* Segments after the last of now are what this run itself writes. */
	pthread_mutex_lock(&store->write_lock);
	last = store->segments.durable;
	pthread_mutex_unlock(&store->write_lock);
	while ((err = compact_next(store, row.number, &row)) == 0 && row.number <= last) {
		if (is_hurried(store))
			return WEFT_ECANCELLED;
		err = segment_compact(store, row.number);
		if (err < 0)
			return err;
		freed_len += (int64_t)(row.len - row.live_len);
	}
	return err < 0 && err != WEFT_EABSENT ? err : freed_len;
}

int64_t store_compact(struct store *store)
{
	int64_t freed_len;

	pthread_mutex_lock(&store->move_lock);
	freed_len = compact_run(store);
	pthread_mutex_unlock(&store->move_lock);
	return freed_len;
}
