/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches become durable here. Blobs are appended to the segments, the
 * segments are synced, then LMDB commits (which syncs). Only then is
 * anything called done. A batch that fails leaves no trace: the
 * transaction is aborted and the segments are cut back.
 *
 * Context: under the write lock.
 */
#include "store/store_state.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/byte_cursor.h"

void store_place_parse(const uint8_t id[static 32], const void *value, size_t len,
		       struct segment_place *out_place)
{
	struct cursor c = cursor_of(value, len);

	out_place->id = id;
	out_place->segment = cursor_be32(&c);
	out_place->off = cursor_be64(&c);
	out_place->len = cursor_be64(&c);
}

void store_segment_key_write(uint8_t key[static SEGMENT_KEY_LEN], uint32_t number)
{
	struct writer w = writer_of(key, SEGMENT_KEY_LEN);

	writer_be32(&w, number);
}

bool store_segment_row_parse(const MDB_val *key, const MDB_val *value, struct segment_row *out_row)
{
	struct cursor k = cursor_of(key->mv_data, key->mv_size), v;
	MDB_val bare = *value;

	if (store_row_check(store_env_databases[ENV_SEGMENTS].name, key, &bare) < 0)
		return false;
	v = cursor_of(bare.mv_data, bare.mv_size);
	out_row->number = cursor_be32(&k);
	out_row->len = cursor_be64(&v);
	out_row->live_len = cursor_be64(&v);
	return !k.bad && !v.bad;
}

int store_blob_place(MDB_txn *txn, const uint8_t id[static 32], struct segment_place *out_place)
{
	const void *value;
	size_t len;
	int err = store_env_get(txn, STORE_BLOBS, store_key(id, 32), &value, &len);

	if (err < 0)
		return err;
	if (len != BLOB_PLACE_LEN)
		return WEFT_EDAMAGED;
	store_place_parse(id, value, len, out_place);
	return 0;
}

/* The account of a segment: how long it is, and how much of it is named. */
static int segment_account(struct store *store, MDB_txn *txn, const struct segment_place *place,
			   int64_t live_delta)
{
	uint8_t key[SEGMENT_KEY_LEN], value[SEGMENT_ROW_LEN];
	uint64_t end = place->off + segment_record_len(place->len);
	struct segment_row row = {.number = place->segment};
	struct writer w = writer_of(value, sizeof(value));
	MDB_val k = {sizeof(key), key}, v;
	int err;

	store_segment_key_write(key, place->segment);
	err = store_proof_need(&store->env.proof, ENV_SEGMENTS);
	if (err == 0)
		err = store_row_err(mdb_get(txn, store->env.dbs[ENV_SEGMENTS].dbi, &k, &v));
	if (err < 0 && err != WEFT_EABSENT)
		return err;
	if (err == 0 && !store_segment_row_parse(&k, &v, &row))
		return WEFT_EDAMAGED;
	writer_be64(&w, row.len > end ? row.len : end);
	writer_be64(&w, row.live_len + (uint64_t)live_delta);
	return store_env_put(txn, ENV_SEGMENTS, store_key(key, sizeof(key)), value, sizeof(value));
}

int store_segment_account_file(struct store *store, MDB_txn *txn, uint32_t number)
{
	struct segment_place place = {.segment = number};
	uint64_t file_len;
	int err = store_segment_file_len(store->segments.dir_fd, number, &file_len);

	if (err < 0 || file_len < SEGMENT_RECORD_ALIGN)
		return err == WEFT_EABSENT ? 0 : err;
	/* As a record would that ends there, at the next place where one may begin. */
	place.off = (file_len - 1) / SEGMENT_RECORD_ALIGN * SEGMENT_RECORD_ALIGN;
	return segment_account(store, txn, &place, 0);
}

static int blob_index(struct store *store, MDB_txn *txn, const struct segment_place *place)
{
	uint8_t value[BLOB_PLACE_LEN];
	struct writer w = writer_of(value, sizeof(value));
	int err;

	writer_be32(&w, place->segment);
	writer_be64(&w, place->off);
	writer_be64(&w, place->len);
	err = store_env_put(txn, STORE_BLOBS, store_key(place->id, 32), value, sizeof(value));
	if (err < 0)
		return err;
	return segment_account(store, txn, place, (int64_t)segment_record_len(place->len));
}

int store_blob_put(struct store *store, MDB_txn *txn, const uint8_t id[static 32], const void *data,
		   size_t len)
{
	struct segment_place place;
	int err = store_blob_place(txn, id, &place);

	if (err != WEFT_EABSENT)
		return err;
	err = store_segments_append(&store->segments, id, data, len, &place);
	return err < 0 ? err : blob_index(store, txn, &place);
}

int store_blob_adopt(struct store *store, MDB_txn *txn, const struct segment_place *place)
{
	struct segment_place known;
	int err = store_blob_place(txn, place->id, &known);

	return err == WEFT_EABSENT ? blob_index(store, txn, place) : err;
}

int store_blob_drop(struct store *store, MDB_txn *txn, const uint8_t id[static 32])
{
	struct segment_place place;
	int err = store_blob_place(txn, id, &place);

	if (err == WEFT_EABSENT)
		return 0;
	if (err == 0)
		err = segment_account(store, txn, &place, -(int64_t)segment_record_len(place.len));
	if (err < 0 && err != WEFT_EDAMAGED)
		return err;
	return store_env_delete(txn, STORE_BLOBS, store_key(id, 32));
}

static int batch_apply(struct store *store, MDB_txn *txn, const struct store_batch *batch)
{
	struct op op;
	size_t off = 0;
	int err = batch->put_len ? store_env_room(&store->env, batch->put_len) : 0;

	while (err == 0 && store_batch_op_next(batch, &off, &op)) {
		switch ((enum op_kind)op.kind) {
		case OP_PUT:
			err = store_env_put(txn, op.db, op.key, op.value, (size_t)op.value_len);
			break;
		case OP_DELETE:
			err = store_env_delete(txn, op.db, op.key);
			break;
		case OP_PUT_BLOB:
			err = store_blob_put(store, txn, op.key.bytes, op.value,
					     (size_t)op.value_len);
			break;
		case OP_DELETE_BLOB:
			err = store_blob_drop(store, txn, op.key.bytes);
			break;
		}
	}
	return err;
}

/* Written to a file without a name, all would be acknowledged, and lost at the end. */
static int file_check(struct store *store)
{
	struct stat open_st, st;
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->env.lmdb, &fd) == MDB_SUCCESS && fstat(fd, &open_st) == 0 &&
	    fstatat(store->dir_fd, "db/data.mdb", &st, 0) == 0 && st.st_ino == open_st.st_ino &&
	    st.st_dev == open_st.st_dev)
		return 0;
	store_proof_note_gone(&store->env.proof);
	return WEFT_EDAMAGED;
}

int store_write_begin(struct store *store, MDB_txn **out_txn)
{
	int err;

	pthread_mutex_lock(&store->write_lock);
	err = file_check(store);
	if (err == 0)
		err = store_row_err(mdb_txn_begin(store->env.lmdb, NULL, 0, out_txn));
	if (err < 0)
		pthread_mutex_unlock(&store->write_lock);
	return err;
}

/* LMDB says EIO when a full disk took part of a write. */
static int commit_err(const struct store *store, int lmdb_code)
{
	struct statvfs fs;

	if (lmdb_code == EIO && fstatvfs(store->segments.dir_fd, &fs) == 0 && fs.f_bavail == 0)
		return -ENOSPC;
	return store_row_err(lmdb_code);
}

int store_write_end(struct store *store, MDB_txn *txn, int err)
{
	if (err == 0)
		err = store_segments_sync(&store->segments);
	if (err == 0) {
		err = commit_err(store, mdb_txn_commit(txn));
		if (err == 0)
			store_segments_keep(&store->segments);
		else
			store_segments_undo(&store->segments);
	} else {
		mdb_txn_abort(txn);
		store_segments_undo(&store->segments);
		store_segments_trim(&store->segments);
	}
	pthread_mutex_unlock(&store->write_lock);
	return err;
}

/* Applies first and those behind it, up to but not with end. */
static int commit_run(struct store *store, struct store_batch *first, struct store_batch *end)
{
	MDB_txn *txn;
	int err = store_write_begin(store, &txn);

	if (err < 0)
		return err;
	for (struct store_batch *batch = first; batch != end && err == 0; batch = batch->next)
		err = batch_apply(store, txn, batch);
	return store_write_end(store, txn, err);
}

void store_commit_group(struct store *store, struct store_batch *first)
{
	bool is_alone = !first->next;
	int err = commit_run(store, first, NULL);

	for (struct store_batch *batch = first; batch; batch = batch->next) {
		batch->err = err < 0 && !is_alone ? commit_run(store, batch, batch->next) : err;
		batch->ends_group = !batch->next || err < 0;
		batch->map_len = store->env.map_len;
	}
}
