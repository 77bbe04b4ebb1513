/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's two ways in (its life is in open.c).
 *
 * Writes: store_submit -> ring -> store_main (thread.c) -> commit_group
 * (commit.c) -> ring -> store_reap. Inline, the queue stands for the rings
 * and store_reap commits. Reads: snapshots of LMDB, and
 * store_blob_read from the segments, on any thread.
 */
#include "store/store_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/ring.h"

/* Times a blob is looked up again when compaction moved it meanwhile. */
#define BLOB_TRIES 3

/* A snapshot is a transaction of LMDB, and its environment knows the store: nothing to allocate. */
static MDB_txn *snapshot_txn(struct store_snapshot *snapshot)
{
	return (MDB_txn *)snapshot;
}

static struct store *snapshot_store(struct store_snapshot *snapshot)
{
	return mdb_env_get_userctx(mdb_txn_env(snapshot_txn(snapshot)));
}

void store_config_defaults(struct store_config *config)
{
	*config = (struct store_config){
		.map_len = 64ull << 20,
		.map_len_max = 64ull << 30,
		.segment_len_max = 256ull << 20,
		.reader_cap = 126,
		.batch_cap = 1024,
		.proof_ns = 200 * NS_PER_MS,
		.stop_fd = -1,
	};
}

const char *store_db_name(enum store_db db)
{
	return store_env_databases[db].name;
}

const char *store_damage(const struct store *store)
{
	return store_proof_finding(&store->env.proof);
}

void store_hurry(struct store *store)
{
	if (!store)
		return;
	__atomic_store_n(&store->is_hurried, true, __ATOMIC_RELAXED);
	store_proof_hurry(&store->env.proof);
}

/* --- writing --- */

int store_submit(struct store *store, struct store_batch *batch, void (*done)(void *arg, int err),
		 void *arg)
{
	if (!batch)
		return -ENOMEM;
	if (batch->err < 0)
		return batch->err;
	if (store->in_flight >= store->config.batch_cap)
		return WEFT_EFULL;
	batch->done = done;
	batch->arg = arg;
	batch->next = NULL;
	if (store->config.is_inline) {
		*store->inline_last = batch;
		store->inline_last = &batch->next;
	} else {
		if (ring_push(store->waiting, batch) < 0)
			return WEFT_EFULL;
		store_wake_raise(store->wake_fd);
	}
	store->in_flight++;
	return 0;
}

static void batch_tell(struct store *store, struct store_batch *batch)
{
	store->in_flight--;
	store->stats.batch_cnt++;
	store->stats.commit_cnt += batch->ends_group && batch->err == 0;
	store->stats.failed_cnt += batch->err < 0;
	store->stats.map_len = batch->map_len;
	if (batch->done)
		batch->done(batch->arg, batch->err);
	store_batch_free(batch);
}

unsigned store_reap(struct store *store)
{
	struct store_batch *batch;
	unsigned cnt = 0;

	if (store->config.is_inline) {
		struct store_batch *first = store_inline_take(store);

		if (first && !store->is_frozen)
			store_commit_group(store, first);
		while ((batch = first)) {
			if (store->is_frozen)
				batch->err = -EIO;
			first = batch->next;
			batch_tell(store, batch);
			cnt++;
		}
		return cnt;
	}
	store_wake_lower(store->done_fd);
	while ((batch = ring_pop(store->finished))) {
		batch_tell(store, batch);
		cnt++;
	}
	return cnt;
}

bool store_is_pending(const struct store *store)
{
	return store->in_flight > 0;
}

int store_fd(const struct store *store)
{
	return store->done_fd;
}

void store_flush(struct store *store)
{
	while (store->in_flight) {
		if (!store->config.is_inline)
			store_wake_wait(store->done_fd, -1);
		(void)store_reap(store);
	}
}

/* --- reading --- */

int store_snapshot_open(struct store *store, struct store_snapshot **out_snapshot)
{
	MDB_txn *txn;
	int err = store_row_err(mdb_txn_begin(store->env.lmdb, NULL, MDB_RDONLY, &txn));

	if (err < 0)
		return err;
	*out_snapshot = (struct store_snapshot *)txn;
	return 0;
}

void store_snapshot_close(struct store_snapshot *snapshot)
{
	if (snapshot)
		mdb_txn_abort(snapshot_txn(snapshot));
}

uint64_t store_snapshot_txn_id(struct store_snapshot *snapshot)
{
	return mdb_txn_id(snapshot_txn(snapshot));
}

int store_get(struct store_snapshot *snapshot, enum store_db db, const void *key, size_t key_len,
	      const void **out_value, size_t *out_len)
{
	return store_env_get(&snapshot_store(snapshot)->env, snapshot_txn(snapshot), db, key,
			     key_len, out_value, out_len);
}

int store_snapshot_each(struct store_snapshot *snapshot, enum store_db db, const void *from,
			size_t from_len, snapshot_row_fn fn, void *arg)
{
	MDB_val key = {from_len, (void *)(uintptr_t)from}, value;
	MDB_cursor *cursor;
	int err, code;

	err = store_env_cursor(&snapshot_store(snapshot)->env, snapshot_txn(snapshot), db, &cursor);
	if (err < 0)
		return err;
	code = mdb_cursor_get(cursor, &key, &value, from && from_len ? MDB_SET_RANGE : MDB_FIRST);
	while (code == MDB_SUCCESS) {
		int row = store_row_check(store_env_databases[db].name, &key, &value);
		struct store_item item = {key.mv_data, key.mv_size, value.mv_data, value.mv_size};

		if (row == WEFT_EDAMAGED)
			store_proof_note_row(&snapshot_store(snapshot)->env.proof, db);
		if (!fn(arg, &item, row))
			break;
		code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : store_row_err(code);
}

struct sound_rows {
	size_t key_len;
	bool (*fn)(void *arg, const struct store_item *item);
	void *arg;
	int err;
};

static bool sound_row(void *arg, const struct store_item *item, int err)
{
	struct sound_rows *rows = arg;

	if (rows->key_len && item->key_len != rows->key_len)
		return true;
	rows->err = err;
	return err == 0 && rows->fn(rows->arg, item);
}

int store_each(struct store_snapshot *snapshot, enum store_db db, const void *from, size_t from_len,
	       bool (*fn)(void *arg, const struct store_item *item), void *arg)
{
	struct sound_rows rows = {store_env_databases[db].key_len, fn, arg, 0};
	int err = store_snapshot_each(snapshot, db, from, from_len, sound_row, &rows);

	return err < 0 ? err : rows.err;
}

int64_t store_blob_len(struct store_snapshot *snapshot, const uint8_t id[static 32])
{
	struct segment_place place;
	int err = store_blob_place(snapshot_store(snapshot), snapshot_txn(snapshot), id, &place);

	return err < 0 ? err : (int64_t)place.len;
}

int store_blob_read(struct store *store, const uint8_t id[static 32], uint64_t off, void *dst,
		    size_t len)
{
	int err = WEFT_EABSENT;

	for (int i = 0; i < BLOB_TRIES; i++) {
		struct store_snapshot *snapshot;
		struct segment_place place;

		err = store_snapshot_open(store, &snapshot);
		if (err < 0)
			return err;
		err = store_blob_place(store, snapshot_txn(snapshot), id, &place);
		store_snapshot_close(snapshot);
		if (err < 0)
			return err;
		err = store_segment_read(store->segments.dir_fd, &place, id, off, dst, len);
		if (err != WEFT_EABSENT)
			return err;
	}
	/* The index names a segment that is not there. */
	return WEFT_EDAMAGED;
}

int store_blob_load(struct store *store, const uint8_t id[static 32], size_t len_max,
		    uint8_t **out_bytes, size_t *out_len)
{
	struct store_snapshot *snapshot;
	uint8_t *bytes;
	int64_t len;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	len = store_blob_len(snapshot, id);
	store_snapshot_close(snapshot);
	if (len < 0)
		return (int)len;
	if ((uint64_t)len > len_max)
		return WEFT_EDAMAGED;
	bytes = malloc((size_t)len + 1);
	if (!bytes)
		return -ENOMEM;
	err = store_blob_read(store, id, 0, bytes, (size_t)len);
	if (err < 0) {
		free(bytes);
		return err;
	}
	*out_bytes = bytes;
	*out_len = (size_t)len;
	return 0;
}

/* --- status --- */

void store_stats(struct store *store, struct store_stats *out_stats)
{
	struct store_snapshot *snapshot;
	MDB_cursor *cursor;
	MDB_envinfo info;
	MDB_val key, value;
	MDB_stat stat;

	*out_stats = store->stats;
	out_stats->map_used_len = store_env_used_len(&store->env);
	out_stats->map_len_max = store->env.map_len_max;
	out_stats->batch_waiting = store->in_flight;
	out_stats->batch_cap = store->config.batch_cap;
	out_stats->reader_cap = store->config.reader_cap;
	mdb_env_info(store->env.lmdb, &info);
	out_stats->reader_cnt = info.me_numreaders;
	if (store_snapshot_open(store, &snapshot) < 0)
		return;
	for (unsigned db = 0; db < STORE_DB_CNT; db++)
		if (mdb_stat(snapshot_txn(snapshot), store->env.dbs[db].dbi, &stat) == MDB_SUCCESS)
			out_stats->item_cnt[db] = stat.ms_entries;
	if (store_env_cursor(&store->env, snapshot_txn(snapshot), ENV_SEGMENTS, &cursor) == 0) {
		struct segment_row row;

		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS &&
		       store_segment_row_parse(&key, &value, &row)) {
			out_stats->segment_cnt++;
			out_stats->segment_len += row.len;
			out_stats->segment_dead_len += row.len - row.live_len;
		}
		mdb_cursor_close(cursor);
	}
	store_snapshot_close(snapshot);
}
