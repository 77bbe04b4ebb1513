/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_ROW_H
#define WEFT_STORE_ROW_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "weft/err.h"

/*
 * A row as LMDB keeps it: key -> value, then ROW_CHECK_LEN bytes of SipHash
 * over the name of its database, the key and the value. The check finds
 * damage, not forgery. A row that was moved to another key or database, or
 * cut, does not pass.
 */
#define ROW_CHECK_LEN 8u

/*
 * store_row_check verifies what LMDB holds under key and cuts the check off
 * io_value. 0 or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int store_row_check(const char *database, const MDB_val *key, MDB_val *io_value);

/* store_row_len: the length of what LMDB holds without the check, neither read nor verified. */
size_t store_row_len(const MDB_val *value);

/*
 * row_{get,put,delete} on one database; the codes are those of weft/err.h. store_row_get lends
 * the value, verified, as long as txn lasts. Deleting what is not there is
 * no error.
 */
struct row_db {
	const char *name; /* goes into the check */
	MDB_dbi dbi;
};
WEFT_MUST_CHECK
int store_row_get(MDB_txn *txn, const struct row_db *db, struct store_key key,
		  const void **out_value, size_t *out_len);
WEFT_MUST_CHECK
int store_row_put(MDB_txn *txn, const struct row_db *db, struct store_key key, const void *value,
		  size_t value_len);
WEFT_MUST_CHECK
int store_row_delete(MDB_txn *txn, const struct row_db *db, struct store_key key);
/*
 * store_row_seal appends the check to every row of a database that has none: the
 * step to schema 6. 0 or an error, and the transaction is to be aborted.
 */
WEFT_MUST_CHECK
int store_row_seal(MDB_txn *txn, const struct row_db *db);

/* store_row_err turns LMDB's codes into those of weft/err.h. */
int store_row_err(int lmdb_code);

#endif
