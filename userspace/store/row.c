/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows with their checks. LMDB verifies nothing that it reads: what this
 * file lets through is what was put. Under every database of env.c and
 * derived.c; any thread that has a transaction.
 */
#include "store/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "base/siphash_bytes.h"

/* Not a secret. */
#define CHECK_KEY 0x77656674726f7773ull

int store_row_err(int lmdb_code)
{
	switch (lmdb_code) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return WEFT_EABSENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case MDB_DBS_FULL:
	case MDB_READERS_FULL:
		return WEFT_EFULL;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_DBI:
		return WEFT_EDAMAGED;
	case MDB_BAD_VALSIZE:
		return WEFT_ETOOLARGE;
	}
	/* LMDB's remaining codes follow an I/O error (MDB_PANIC, MDB_BAD_TXN). */
	return lmdb_code > 0 ? -lmdb_code : -EIO;
}

/* Each part's hash is the key of the next, so no part can lend bytes to another. */
static uint64_t check_of(const char *database, struct store_key key, const void *value,
			 size_t value_len)
{
	uint64_t chain[2] = {CHECK_KEY, strlen(database)};

	chain[0] = siphash(chain, database, strlen(database));
	chain[1] = key.len;
	chain[0] = siphash(chain, key.bytes, key.len);
	chain[1] = value_len;
	return siphash(chain, value, value_len);
}

int store_row_check(const char *database, const MDB_val *key, MDB_val *io_value)
{
	const uint8_t *bytes = io_value->mv_data;
	struct cursor c;
	size_t len;

	if (io_value->mv_size < ROW_CHECK_LEN)
		return WEFT_EDAMAGED;
	len = io_value->mv_size - ROW_CHECK_LEN;
	c = cursor_of(bytes + len, ROW_CHECK_LEN);
	if (cursor_be64(&c) !=
	    check_of(database, store_key(key->mv_data, key->mv_size), bytes, len))
		return WEFT_EDAMAGED;
	io_value->mv_size = len;
	return 0;
}

size_t store_row_len(const MDB_val *value)
{
	return value->mv_size < ROW_CHECK_LEN ? 0 : value->mv_size - ROW_CHECK_LEN;
}

int store_row_get(MDB_txn *txn, const struct row_db *db, struct store_key key,
		  const void **out_value, size_t *out_len)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.bytes};
	MDB_val v;
	int err = store_row_err(mdb_get(txn, db->dbi, &k, &v));

	if (err == 0)
		err = store_row_check(db->name, &k, &v);
	if (err < 0)
		return err;
	*out_value = v.mv_data;
	*out_len = v.mv_size;
	return 0;
}

int store_row_put(MDB_txn *txn, const struct row_db *db, struct store_key key, const void *value,
		  size_t value_len)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.bytes};
	MDB_val v = {value_len + ROW_CHECK_LEN, NULL};
	int err = store_row_err(mdb_put(txn, db->dbi, &k, &v, MDB_RESERVE));
	struct writer w;

	if (err < 0)
		return err;
	w = writer_of(v.mv_data, v.mv_size);
	writer_bytes(&w, value, value_len);
	writer_be64(&w, check_of(db->name, key, value, value_len));
	return 0;
}

int store_row_delete(MDB_txn *txn, const struct row_db *db, struct store_key key)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.bytes};
	int err = store_row_err(mdb_del(txn, db->dbi, &k, NULL));

	return err == WEFT_EABSENT ? 0 : err;
}

/* A put may move the page that key and value lie in: both are copied. */
static int row_rewrite(MDB_txn *txn, const struct row_db *db, const MDB_val *key,
		       const MDB_val *value)
{
	uint8_t *copy = malloc(key->mv_size + value->mv_size + 1);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, key->mv_data, key->mv_size);
	if (value->mv_size)
		memcpy(copy + key->mv_size, value->mv_data, value->mv_size);
	err = store_row_put(txn, db, store_key(copy, key->mv_size), copy + key->mv_size,
			    value->mv_size);
	free(copy);
	return err;
}

int store_row_seal(MDB_txn *txn, const struct row_db *db)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = store_row_err(mdb_cursor_open(txn, db->dbi, &cursor));

	if (err < 0)
		return err;
	/* LMDB keeps a cursor at its row when a put of the same transaction moves that. */
	while ((err = store_row_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0)
		if ((err = row_rewrite(txn, db, &key, &value)) < 0)
			break;
	mdb_cursor_close(cursor);
	return err == WEFT_EABSENT ? 0 : err;
}
