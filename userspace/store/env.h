/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_ENV_H
#define WEFT_STORE_ENV_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/*
 * The LMDB environment: databases of one table, their schema version and
 * the room they may take.
 *
 * The map is laid out for map_len_max at once: without MDB_WRITEMAP that
 * is address space only, and LMDB forbids moving a map under an open
 * snapshot. What grows is map_len, the room batches may use: when three
 * quarters are used it doubles, if the file system has the bytes, so that a
 * disk that fills up is met before a commit and not inside it.
 */
struct env {
	MDB_env *lmdb;
	MDB_dbi dbis[STORE_DB_CNT];
	MDB_dbi segments; /* number u32be -> length u64be, live bytes u64be */
	uint64_t map_len;
	uint64_t map_len_max;
	int dir_fd; /* of the state directory, borrowed; for statvfs */
};

/* One row for each enum store_db. key_len 0: keys of any length. */
struct env_database {
	const char *name;
	size_t key_len;
};
extern const struct env_database env_databases[STORE_DB_CNT];

/* A schema step turns the databases of version from into from + 1, inside txn. */
struct env_step {
	uint32_t from;
	int (*run)(struct env *env, MDB_txn *txn);
};
struct env_schema {
	uint32_t version; /* the newest */
	const struct env_step *steps;
	unsigned step_cnt;
};
extern const struct env_schema env_schema_current;

/*
 * env_open opens or makes the environment under config->dir and brings it
 * to schema->version in one transaction. WEFT_ENEWER, WEFT_EDAMAGED,
 * WEFT_EFULL or -errno; nothing is changed then.
 */
WEFT_MUST_CHECK
int env_open(struct env *env, const struct store_config *config, int dir_fd,
	     const struct env_schema *schema);
void env_close(struct env *env);

/* env_err turns LMDB's codes into ours. */
int env_err(int lmdb_code);

/*
 * env_room makes room for put_len more bytes before a batch is applied.
 * 0, WEFT_EFULL (map_len_max is reached) or -ENOSPC. Context: holder of
 * the write lock.
 */
WEFT_MUST_CHECK
int env_room(struct env *env, uint64_t put_len);
/* env_used_len: the bytes of pages up to the last one in use. */
uint64_t env_used_len(const struct env *env);

/* env_{get,put,delete} on any database of env; codes are ours. */
WEFT_MUST_CHECK
int env_get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void **out_value,
	    size_t *out_len);
WEFT_MUST_CHECK
int env_put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void *value,
	    size_t value_len);
/* env_delete: deleting what is not there is no error. */
WEFT_MUST_CHECK
int env_delete(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len);

#endif
