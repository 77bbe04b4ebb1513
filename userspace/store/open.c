/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing: the lock on the directory, the databases, the
 * segments as the databases know them, the thread. Reversed on the way out.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/process/crash.h"
#include "base/thread/ring.h"

/* The descriptor of flock belongs to this open, so a second one here is refused as well. */
int store_state_lock(const char *dir, int *io_dir_fd, int *io_lock_fd)
{
	*io_dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*io_dir_fd < 0)
		return -errno;
	*io_lock_fd = openat(*io_dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*io_lock_fd < 0)
		return -errno;
	if (flock(*io_lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? WEFT_EBUSY : -errno;
	return 0;
}

struct segment_census {
	struct store *store;
	MDB_txn *txn;
	uint32_t newest;
	bool removes_unknown;
	int err;
};

static void segment_counted(void *arg, uint32_t number)
{
	struct segment_census *census = arg;
	struct store *store = census->store;
	uint8_t key[SEGMENT_KEY_LEN];
	const void *value;
	size_t len;
	int err = 0;

	if (number > census->newest)
		census->newest = number;
	store_segment_key_write(key, number);
	if (census->removes_unknown &&
	    store_env_get(census->txn, ENV_SEGMENTS, store_key(key, sizeof(key)), &value, &len) ==
		    WEFT_EABSENT)
		err = store_segments_remove(&store->segments, number);
	if (err < 0)
		census->err = err;
}

static int segments_newest(MDB_txn *txn, struct segment_row *out_row)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err;

	*out_row = (struct segment_row){0};
	err = store_env_cursor(txn, ENV_SEGMENTS, &cursor);
	if (err < 0)
		return err;
	err = store_row_err(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
	if (err == 0 && !store_segment_row_parse(&key, &value, out_row))
		err = WEFT_EDAMAGED;
	mdb_cursor_close(cursor);
	return err == WEFT_EABSENT ? 0 : err;
}

static int meta_has(MDB_txn *txn, const char *key, size_t key_len, bool *out_has)
{
	const void *value;
	size_t len;
	int err = store_env_get(txn, STORE_META, store_key(key, key_len), &value, &len);

	*out_has = err == 0;
	return err == WEFT_EABSENT ? 0 : err;
}

/*
 * Files that the databases do not know were left by a kill during an
 * append or a compaction, and are deleted. When the databases are new and
 * the files are not, the files are kept for adoption. Nothing is appended
 * to them.
 */
static int segments_reconcile(struct store *store, MDB_txn *txn)
{
	struct segment_census census = {.store = store, .txn = txn};
	bool has_seen, adopts;
	int err = meta_has(txn, STORE_SEEN_KEY, STORE_SEEN_KEY_LEN, &has_seen);

	if (err == 0)
		err = meta_has(txn, STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN, &adopts);
	if (err < 0)
		return err;
	census.removes_unknown = has_seen && !adopts;
	err = store_segments_each(store->segments.dir_fd, segment_counted, &census);
	if (err == 0)
		err = census.err;
	if (err == 0 && !has_seen)
		err = store_env_put(txn, STORE_META, store_key(STORE_SEEN_KEY, STORE_SEEN_KEY_LEN),
				    "", 0);
	if (err < 0 || census.removes_unknown || census.newest == 0)
		return err;
	if (census.newest > store->segments.head) {
		store->segments.head = census.newest;
		store_segments_seal(&store->segments);
		store_segments_keep(&store->segments);
	}
	return store_env_put(txn, STORE_META, store_key(STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN), "",
			     0);
}

static int segments_setup(struct store *store, MDB_txn *txn)
{
	struct segment_row row;
	int err = segments_newest(txn, &row);

	if (err == 0)
		err = store_segments_open(&store->segments, store->dir_fd,
					  store->config.segment_len_max, row.number, row.len);
	return err < 0 ? err : segments_reconcile(store, txn);
}

/* A dead disk shows as a fault in the map: the report says so. */
static int store_attend(struct store *store)
{
	void *map;
	size_t len;

	if (store_map_find(&store->env, &map, &len))
		crash_region(map, len, STORE_CRASH_HINT);
	return store_thread_start(store);
}

static int store_setup(struct store *store)
{
	const struct store_config *config = &store->config;
	MDB_txn *txn;
	int err;

	if (mkdir(store->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = store_state_lock(store->dir, &store->dir_fd, &store->lock_fd);
	if (err == 0)
		err = store_env_open(&store->env, config, store->dir_fd, &store_env_schema_current);
	if (err < 0)
		return err;
	err = store_row_err(mdb_txn_begin(store->env.lmdb, NULL, 0, &txn));
	if (err < 0)
		return err;
	err = segments_setup(store, txn);
	if (err == 0)
		err = store_row_err(mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
	if (err == 0 && !config->is_inline)
		err = store_attend(store);
	return err;
}

static void store_destroy(struct store *store)
{
	if (store->has_thread)
		crash_region(NULL, 0, NULL);
	store_thread_stop(store);
	store_segments_close(&store->segments);
	store_env_close(&store->env);
	ring_free(store->waiting);
	ring_free(store->finished);
	if (store->wake_fd >= 0)
		close(store->wake_fd);
	if (store->done_fd >= 0)
		close(store->done_fd);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	pthread_mutex_destroy(&store->move_lock);
	pthread_mutex_destroy(&store->write_lock);
	free(store->dir);
	free(store);
}

int store_open(const struct store_config *config, struct store **out_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->config = *config;
	store->dir_fd = store->lock_fd = store->wake_fd = store->done_fd = -1;
	store->segments.dir_fd = store->segments.head_fd = store->env.proof.fd = -1;
	store->inline_last = &store->inline_first;
	store->dir = strdup(config->dir);
	err = -pthread_mutex_init(&store->write_lock, NULL);
	if (err == 0)
		err = -pthread_mutex_init(&store->move_lock, NULL);
	if (!store->dir) {
		free(store);
		return -ENOMEM;
	}
	store->config.dir = store->dir;
	if (err == 0)
		err = store_setup(store);
	if (err < 0) {
		store_destroy(store);
		return err;
	}
	store->stats.map_len = store->env.map_len;
	*out_store = store;
	return 0;
}

struct store_batch *store_inline_take(struct store *store)
{
	struct store_batch *first = store->inline_first;

	store->inline_first = NULL;
	store->inline_last = &store->inline_first;
	return first;
}

static void batches_free(struct store_batch *first)
{
	while (first) {
		struct store_batch *batch = first;

		first = batch->next;
		store_batch_free(batch);
	}
}

void store_close(struct store *store)
{
	struct store_batch *batch;

	if (!store)
		return;
	store_thread_stop(store);
	while (store->finished && (batch = ring_pop(store->finished)))
		store_batch_free(batch);
	if (store->inline_first) {
		batch = store_inline_take(store);
		store_commit_group(store, batch);
		batches_free(batch);
	}
	store_destroy(store);
}

void store_freeze(struct store *store)
{
	weft_assert(store->config.is_inline);
	store->is_frozen = true;
}

void store_crash(struct store *store)
{
	batches_free(store_inline_take(store));
	store_segments_undo(&store->segments);
	store_segments_trim(&store->segments);
	store_destroy(store);
}
