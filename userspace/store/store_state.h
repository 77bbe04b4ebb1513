/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_STORE_STATE_H
#define WEFT_STORE_STORE_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/env.h"
#include "store/segment.h"
#include "store/store.h"

/* Shared by the files of store/. */

struct ring;

enum op_kind { OP_PUT, OP_DELETE, OP_PUT_BLOB, OP_DELETE_BLOB };

struct op {
	uint8_t kind; /* enum op_kind */
	uint8_t db;   /* enum store_db; of blobs STORE_BLOBS */
	struct store_key key;
	uint64_t value_len;
	const void *value;
};

/*
 * The worker fills it and hands it over through store->waiting; the store
 * thread then owns it until it comes back through store->finished.
 */
struct store_batch {
	struct store_batch *next; /* of one group */
	uint8_t *ops;		  /* records of op_head and bytes, in order of asking */
	size_t len;
	size_t cap;
	uint64_t put_len; /* bytes that the databases will take, about */
	int err;	  /* sticky while filled, the outcome afterwards */
	bool ends_group;  /* the last of one commit */
	uint64_t map_len; /* env.map_len after that commit */
	void (*done)(void *arg, int err);
	void *arg;
};

/* store_batch_op_next reads the op at *io_off and moves it on; false at the end. */
bool store_batch_op_next(const struct store_batch *batch, size_t *io_off, struct op *out_op);

/*
 * The worker owns in_flight, config, stats and, inline, the queue. env and
 * segments belong to the holder of write_lock; LMDB itself serves snapshots
 * of any thread.
 */
struct store {
	struct store_config config;
	char *dir;
	int dir_fd;
	int lock_fd;
	struct env env;
	struct segments segments;
	pthread_mutex_t write_lock;
	pthread_mutex_t move_lock; /* compaction, or a copy of segments; before write_lock */

	struct ring *waiting;  /* batches: worker -> store thread */
	struct ring *finished; /* batches: store thread -> worker */
	int wake_fd;	       /* eventfd: waiting has something */
	int done_fd;	       /* eventfd: finished has something */
	pthread_t thread;
	bool has_thread;
	struct store_batch *inline_first;
	struct store_batch **inline_last;
	bool is_frozen;		 /* store_freeze; inline only */
	struct store_batch stop; /* the batch that ends the thread */
	bool is_hurried;	 /* atomic: store_hurry */

	unsigned in_flight; /* submitted and not reaped */
	struct store_stats stats;
};

/*
 * store_state_lock opens a state directory and takes it for this process: 0,
 * WEFT_EBUSY or -errno; the caller closes what is not -1.
 */
WEFT_MUST_CHECK
int store_state_lock(const char *dir, int *io_dir_fd, int *io_lock_fd);
/* store_aside renames name in the state directory to one that is free: 0 or -errno. */
WEFT_MUST_CHECK
int store_aside(int state_fd, const char *name, char aside[static STORE_ASIDE_CAP]);

/* Reported with a crash that LMDB ends in: its pages were sound when the store was opened. */
#define STORE_CRASH_HINT                                                                           \
	"the databases of the state folder cannot be read as they were at the start: the disk "    \
	"fails, or another program changed them; see to the disk, then run weft store salvage"
/* store_map_find: where LMDB has its file; false: unknown. */
bool store_map_find(const struct env *env, void **out_start, size_t *out_len);
/* store_thread_start makes rings, eventfds and the thread; store_thread_stop lets it finish. */
WEFT_MUST_CHECK
int store_thread_start(struct store *store);
void store_thread_stop(struct store *store);
/*
 * wake_{raise,lower,wait} on an eventfd; wait is false when timeout_ms went
 * by (-1: none) or a signal came first.
 */
void store_wake_raise(int fd);
void store_wake_lower(int fd);
bool store_wake_wait(int fd, int timeout_ms);
/* store_rest gives back memory that only commits needed. Context: store thread. */
void store_rest(struct store *store);
/* store_inline_take empties the queue of an inline store. */
struct store_batch *store_inline_take(struct store *store);

/* store_snapshot_txn_id: the commit that a snapshot shows. */
uint64_t store_snapshot_txn_id(struct store_snapshot *snapshot);
/*
 * store_iter_row: as store_iter_next, and those rows that it would not show; err is 0 or
 * WEFT_EDAMAGED, and the value then has no meaning.
 */
bool store_iter_row(struct store_iter *iter, struct store_item *out_item, int *out_err);

/*
 * store_commit_group applies a list of batches in one transaction and sets their
 * err. When that fails each is tried alone, so that one bad batch fails
 * alone. Context: store thread, or the worker when inline.
 */
void store_commit_group(struct store *store, struct store_batch *first);

/*
 * A write beside the store thread: check and compact. store_write_begin takes the lock;
 * store_write_end commits (err 0) or takes back what was appended, and gives the outcome.
 */
WEFT_MUST_CHECK
int store_write_begin(struct store *store, MDB_txn **out_txn);
WEFT_MUST_CHECK
int store_write_end(struct store *store, MDB_txn *txn, int err);

/* blob_{put,drop} inside a transaction, with the account of the segment. */
WEFT_MUST_CHECK
int store_blob_put(struct store *store, MDB_txn *txn, const uint8_t id[static 32], const void *data,
		   size_t len);
WEFT_MUST_CHECK
int store_blob_drop(struct store *store, MDB_txn *txn, const uint8_t id[static 32]);
/* store_blob_adopt indexes a record that is in a segment already, unless its id is known. */
WEFT_MUST_CHECK
int store_blob_adopt(struct store *store, MDB_txn *txn, const struct segment_place *place);
/* store_blob_place: where id is; 0, WEFT_EABSENT, WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int store_blob_place(MDB_txn *txn, const uint8_t id[static 32], struct segment_place *out_place);

/* store_segment_account_file: the account of a segment covers its file, if there is one. */
WEFT_MUST_CHECK
int store_segment_account_file(struct store *store, MDB_txn *txn, uint32_t number);

#define BLOB_PLACE_LEN	20 /* segment u32be, offset u64be, length u64be */
#define SEGMENT_KEY_LEN 4
#define SEGMENT_ROW_LEN 16 /* length u64be, live bytes u64be */
struct segment_row {
	uint32_t number;
	uint64_t len;
	uint64_t live_len;
};
void store_place_parse(const uint8_t id[static 32], const void *value, size_t len,
		       struct segment_place *out_place);
void store_segment_key_write(uint8_t key[static SEGMENT_KEY_LEN], uint32_t number);
/* store_segment_row_parse reads a row of ENV_SEGMENTS as LMDB holds it; false when it is damaged. */
bool store_segment_row_parse(const MDB_val *key, const MDB_val *value, struct segment_row *out_row);

/* META "schema": u32be. store_schema_version_parse: 0 or WEFT_EDAMAGED. */
#define SCHEMA_KEY     "schema"
#define SCHEMA_KEY_LEN 6
WEFT_MUST_CHECK
int store_schema_version_parse(const MDB_val *key, const MDB_val *value, uint32_t *out_version);
/*
 * META "adopt" is set while segments of a lost database are on disk whose
 * records are not indexed yet: store_check with repair does it.
 */
#define STORE_ADOPT_KEY	    "adopt"
#define STORE_ADOPT_KEY_LEN 5
/* META "segments" is set when the databases first saw the segment files there are. */
#define STORE_SEEN_KEY	   "segments"
#define STORE_SEEN_KEY_LEN 8

#endif
