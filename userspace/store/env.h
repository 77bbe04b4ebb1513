/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_ENV_H
#define WEFT_STORE_ENV_H

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/pages.h"
#include "store/row.h"
#include "store/store.h"

/*
 * The LMDB environment: databases of one table, their schema version and
 * the room they may take.
 *
 * The map is laid out for map_len_max at once. Without MDB_WRITEMAP that is
 * address space only, and LMDB forbids moving a map under an open snapshot.
 * map_len grows, the room that batches may use. When three quarters are
 * used it doubles, if the file system has the bytes. So a full disk is met
 * before a commit and not inside it.
 *
 * Nothing of a database is handed to LMDB before page_check.c has read it.
 */
#define ENV_SEGMENTS ((unsigned)STORE_DB_CNT) /* number u32be -> length u64be, live bytes u64be */
/* Databases of schemas before 7; since then they have damaged rows alone. */
#define ENV_OLD_PODS	 (ENV_SEGMENTS + 1)
#define ENV_OLD_MESSAGES (ENV_SEGMENTS + 2)
#define ENV_OLD_TRACKS	 (ENV_SEGMENTS + 3)
#define ENV_DB_CNT	 (ENV_SEGMENTS + 4)

/* One row for each enum store_db, then ENV_SEGMENTS and the old ones. key_len 0: keys of any length. */
struct env_database {
	const char *name;
	size_t key_len;
	bool is_late; /* not read as a whole while a node starts */
};
extern const struct env_database store_env_databases[ENV_DB_CNT];

/*
 * The state of the file when it was opened. lock guards all of it; any thread. A state that is
 * PROOF_SOUND or PROOF_DAMAGED stays and may be read without the lock. pages is NULL once every
 * database was read.
 */
enum proof_state { PROOF_OPEN, PROOF_READING, PROOF_SOUND, PROOF_DAMAGED };
struct proof {
	pthread_mutex_t lock;
	pthread_cond_t turn;  /* waiting_cnt or a state is another */
	unsigned waiting_cnt; /* atomic: callers that need a database, before the reading behind */
	pthread_t behind;     /* the thread that reads behind the start */
	bool has_behind;
	struct pages *pages;
	int fd;
	uint8_t states[ENV_DB_CNT];	 /* enum proof_state */
	char finding[PAGES_FINDING_CAP]; /* the first; empty: none */
	bool is_damaged;		 /* atomic: finding stands, and changes no more */
	bool is_absent;			 /* there is no file yet, or an empty one */
	bool is_hurried;		 /* atomic: what is not read yet is not read any more */
	int stop_fd;			 /* readable: the process is to end; or -1 */
	unsigned asked_cnt;		 /* of stop */
	struct store_stop stop;
};

struct env {
	MDB_env *lmdb;
	struct row_db dbs[ENV_DB_CNT];
	struct proof proof;
	uint64_t map_len;
	uint64_t map_len_max;
	uint64_t skipped_cnt; /* damaged rows that a schema step left out */
	int dir_fd;	      /* of the state directory, borrowed; for statvfs */
};

/* A schema step turns the databases of version from into from + 1, inside txn. */
struct env_step {
	uint32_t from;
	int (*run)(MDB_txn *txn);
};
struct env_schema {
	uint32_t version; /* the newest */
	const struct env_step *steps;
	unsigned step_cnt;
};
extern const struct env_schema store_env_schema_current;
/* The first schema whose rows have checks (row.h). */
#define ENV_SCHEMA_CHECKS 6u

/*
 * store_env_open opens or makes the environment under config->dir and brings it
 * to schema->version in one transaction. WEFT_ENEWER, WEFT_EDAMAGED,
 * WEFT_EFULL or -errno; nothing is changed then.
 */
WEFT_MUST_CHECK
int store_env_open(struct env *env, const struct store_config *config, int dir_fd,
		   const struct env_schema *schema);
void store_env_close(struct env *env);

/*
 * store_env_room makes room for put_len more bytes before a batch is applied.
 * 0, WEFT_EFULL (map_len_max is reached) or -ENOSPC. Context: holder of
 * the write lock.
 */
WEFT_MUST_CHECK
int store_env_room(struct env *env, uint64_t put_len);
/* store_env_used_len: the bytes of pages up to the last one in use. */
uint64_t store_env_used_len(const struct env *env);

/*
 * store_env_{get,put,delete} on a database of the environment of txn; the codes are those of
 * weft/err.h. A damaged database gives WEFT_EDAMAGED. The first use of a late one may wait until
 * it is read. store_env_len: the value's length, neither read nor verified. store_env_of: the
 * environment of a transaction.
 */
struct env *store_env_of(MDB_txn *txn);
WEFT_MUST_CHECK
int store_env_get(MDB_txn *txn, unsigned db, struct store_key key, const void **out_value,
		  size_t *out_len);
WEFT_MUST_CHECK
int64_t store_env_len(MDB_txn *txn, unsigned db, struct store_key key);
WEFT_MUST_CHECK
int store_env_put(MDB_txn *txn, unsigned db, struct store_key key, const void *value,
		  size_t value_len);
/* store_env_delete: deleting what is not there is no error. */
WEFT_MUST_CHECK
int store_env_delete(MDB_txn *txn, unsigned db, struct store_key key);
/* store_env_cursor opens a cursor; its rows are for store_row_check. */
WEFT_MUST_CHECK
int store_env_cursor(MDB_txn *txn, unsigned db, MDB_cursor **out_cursor);

/*
 * store_proof_open reads the list of databases, the free list and every database that
 * is not late, before LMDB opens the file. It reads the late ones, too, while time is
 * left of late_ns (UINT64_MAX: all) or the schema is older. version_max: the newest
 * schema known. stop_fd, borrowed, ends it early when it is readable, as
 * store_proof_hurry does. 0, WEFT_ENEWER, WEFT_EDAMAGED,
 * WEFT_ECANCELLED or -errno; finding is set with WEFT_EDAMAGED. store_proof_close takes
 * what failed to open.
 */
struct proof_config {
	int dir_fd;
	int stop_fd; /* -1: none */
	uint32_t version_max;
	uint64_t late_ns;
};
WEFT_MUST_CHECK
int store_proof_open(struct proof *proof, const struct proof_config *config);
void store_proof_close(struct proof *proof);
/*
 * store_proof_hurry: no database is read any more, so that one that was not read
 * yet is not used in this process. Any thread.
 */
void store_proof_hurry(struct proof *proof);
/* store_proof_need reads db unless that was done: 0, WEFT_EDAMAGED, WEFT_ECANCELLED, -ENOMEM or -errno. */
WEFT_MUST_CHECK
int store_proof_need(struct proof *proof, unsigned db);
/* store_proof_next reads one more; false: none is left. */
bool store_proof_next(struct proof *proof);
/*
 * store_proof_note_row: a row of db was damaged when it was read. store_proof_finding:
 * what was found first since the start; NULL without damage. Any thread.
 */
void store_proof_note_row(struct proof *proof, unsigned db);
void store_proof_note_gone(struct proof *proof); /* the file of the databases is not in its place */
const char *store_proof_finding(const struct proof *proof);

#endif
