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

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/ring.h"

/* Times a blob is looked up again when compaction moved it meanwhile. */
#define BLOB_TRIES 3

/* A snapshot is a transaction of LMDB, whose environment is part of the store: nothing to allocate. */
static MDB_txn *snapshot_txn(struct store_snapshot *snapshot)
{
	return (MDB_txn *)snapshot;
}

static struct store *snapshot_store(struct store_snapshot *snapshot)
{
	return container_of(store_env_of(snapshot_txn(snapshot)), struct store, env);
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

int store_get(struct store_snapshot *snapshot, enum store_db db, struct store_key key,
	      const void **out_value, size_t *out_len)
{
	return store_env_get(snapshot_txn(snapshot), db, key, out_value, out_len);
}

int64_t store_len(struct store_snapshot *snapshot, enum store_db db, struct store_key key)
{
	return store_env_len(snapshot_txn(snapshot), db, key);
}

/* iter_step: key and value of the next row, with its check. False behind the last, or iter->err. */
static bool iter_step(struct store_iter *iter, MDB_val *out_key, MDB_val *out_value)
{
	MDB_cursor_op op = MDB_NEXT;

	if (iter->err)
		return false;
	*out_key = (MDB_val){iter->from.len, (void *)(uintptr_t)iter->from.bytes};
	if (!iter->cursor) {
		op = iter->from.len ? MDB_SET_RANGE : MDB_FIRST;
		if (iter->store)
			iter->err = store_snapshot_open(iter->store, &iter->snapshot);
		if (iter->err == 0)
			iter->err = store_env_cursor(snapshot_txn(iter->snapshot), iter->db,
						     &iter->cursor);
	}
	if (iter->err == 0)
		iter->err = store_row_err(mdb_cursor_get(iter->cursor, out_key, out_value, op));
	if (iter->err == WEFT_EABSENT)
		iter->err = 1;
	return !iter->err;
}

bool store_iter_row(struct store_iter *iter, struct store_item *out_item, int *out_err)
{
	MDB_val key, value;

	if (!iter_step(iter, &key, &value))
		return false;
	*out_err = store_row_check(store_env_databases[iter->db].name, &key, &value);
	if (*out_err == WEFT_EDAMAGED)
		store_proof_note_row(&snapshot_store(iter->snapshot)->env.proof, iter->db);
	*out_item = (struct store_item){key.mv_data, key.mv_size, value.mv_data, value.mv_size};
	return true;
}

bool store_iter_next_len(struct store_iter *iter, struct store_item *out_item)
{
	size_t key_len = store_env_databases[iter->db].key_len;
	MDB_val key, value;

	while (iter_step(iter, &key, &value)) {
		if (key_len && key.mv_size != key_len)
			continue;
		*out_item = (struct store_item){.key = key.mv_data,
						.key_len = key.mv_size,
						.value_len = store_row_len(&value)};
		return true;
	}
	return false;
}

bool store_iter_next(struct store_iter *iter, struct store_item *out_item)
{
	size_t key_len = store_env_databases[iter->db].key_len;
	int err;

	while (store_iter_row(iter, out_item, &err)) {
		if (key_len && out_item->key_len != key_len)
			continue;
		iter->err = err;
		return err == 0;
	}
	return false;
}

int store_iter_end(struct store_iter *iter)
{
	if (iter->cursor)
		mdb_cursor_close(iter->cursor);
	if (iter->store)
		store_snapshot_close(iter->snapshot);
	return iter->err < 0 ? iter->err : 0;
}

int64_t store_blob_len(struct store_snapshot *snapshot, const uint8_t id[static 32])
{
	struct segment_place place;
	int err = store_blob_place(snapshot_txn(snapshot), id, &place);

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
		err = store_blob_place(snapshot_txn(snapshot), id, &place);
		store_snapshot_close(snapshot);
		if (err < 0)
			return err;
		err = store_segment_read(store->segments.dir_fd, &place, off, dst, len);
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
	out_stats->skipped_cnt = store->env.skipped_cnt;
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
	if (store_env_cursor(snapshot_txn(snapshot), ENV_SEGMENTS, &cursor) == 0) {
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
