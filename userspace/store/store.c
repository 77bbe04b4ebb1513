/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's life and its two ways in.
 *
 * Writes: store_submit -> ring -> store_main (store thread) ->
 * commit_group (commit.c) -> ring -> store_reap. Inline, the queue stands
 * for the rings and store_reap commits. Reads: snapshots of LMDB, and
 * store_blob_read from the segments, on any thread.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "base/ring.h"

/* One commit takes at most about so much; LMDB holds its dirty pages in memory. */
#define GROUP_LEN_MAX (64ull << 20)
/* Times a blob is looked up again when compaction moved it meanwhile. */
#define BLOB_TRIES 3

struct store_snapshot {
	struct store *store;
	MDB_txn *txn;
};

void store_config_defaults(struct store_config *config)
{
	*config = (struct store_config){
		.map_len = 64ull << 20,
		.map_len_max = 64ull << 30,
		.segment_len_max = 256ull << 20,
		.reader_cap = 126,
		.batch_cap = 1024,
	};
}

const char *store_db_name(enum store_db db)
{
	return env_databases[db].name;
}

/* --- the store thread --- */

static void eventfd_raise(int fd)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then it is readable anyway. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void eventfd_lower(int fd)
{
	uint64_t cnt;

	if (read(fd, &cnt, sizeof(cnt)) < 0)
		return;
}

static bool fd_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, -1) == 1;
}

/* group_take links what waits into a list; true when the stop batch was met. */
static bool group_take(struct store *store, struct store_batch **out_first)
{
	struct store_batch *batch, **link = out_first;
	uint64_t len = 0;

	*link = NULL;
	while (len < GROUP_LEN_MAX && (batch = ring_pop(store->waiting))) {
		if (batch == &store->stop)
			return true;
		len += batch->len;
		*link = batch;
		link = &batch->next;
		*link = NULL;
	}
	return false;
}

static void group_finish(struct store *store, struct store_batch *first)
{
	while (first) {
		struct store_batch *batch = first;

		first = batch->next;
		/* Never full: no more are in flight than fit in. */
		if (ring_push(store->finished, batch) < 0)
			weft_assert(!"the ring of finished batches is full");
	}
	eventfd_raise(store->done_fd);
}

static void *store_main(void *arg)
{
	struct store *store = arg;
	struct store_batch *first;
	bool is_stopping = false;

	while (!is_stopping) {
		is_stopping = group_take(store, &first);
		if (first) {
			commit_group(store, first);
			group_finish(store, first);
		} else if (!is_stopping) {
			fd_wait(store->wake_fd);
			eventfd_lower(store->wake_fd);
		}
	}
	return NULL;
}

static uint32_t ring_cap_for(unsigned batch_cap)
{
	uint32_t cap = 2;

	while (cap < batch_cap + 1)
		cap *= 2;
	return cap;
}

static int thread_start(struct store *store)
{
	int err;

	store->waiting = ring_new(ring_cap_for(store->config.batch_cap));
	store->finished = ring_new(ring_cap_for(store->config.batch_cap));
	if (!store->waiting || !store->finished)
		return -ENOMEM;
	store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->wake_fd < 0 || store->done_fd < 0)
		return -errno;
	err = pthread_create(&store->thread, NULL, store_main, store);
	if (err)
		return -err;
	store->has_thread = true;
	return 0;
}

static void thread_stop(struct store *store)
{
	if (!store->has_thread)
		return;
	if (ring_push(store->waiting, &store->stop) < 0)
		weft_assert(!"the ring of waiting batches is full");
	eventfd_raise(store->wake_fd);
	pthread_join(store->thread, NULL);
	store->has_thread = false;
}

/* --- opening --- */

/* The descriptor of flock belongs to this open, so a second one here is refused as well. */
static int dir_lock(struct store *store)
{
	store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return -errno;
	store->lock_fd = openat(store->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return -errno;
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
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

	if (number > census->newest)
		census->newest = number;
	segment_key_write(key, number);
	if (census->removes_unknown && env_get(census->txn, store->env.segments, key, sizeof(key),
					       &value, &len) == WEFT_EABSENT)
		census->err = segments_remove(&store->segments, number);
}

static int segments_newest(struct store *store, MDB_txn *txn, struct segment_row *out_row)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err;

	*out_row = (struct segment_row){0};
	err = env_err(mdb_cursor_open(txn, store->env.segments, &cursor));
	if (err < 0)
		return err;
	err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
	if (err == 0 && !segment_row_parse(&key, &value, out_row))
		err = WEFT_EDAMAGED;
	mdb_cursor_close(cursor);
	return err == WEFT_EABSENT ? 0 : err;
}

/*
 * Files the databases do not know are what a kill left of an append or a
 * compaction, and go; unless the databases are new and the files are not.
 */
static int segments_reconcile(struct store *store, MDB_txn *txn)
{
	MDB_dbi meta = store->env.dbis[STORE_META];
	struct segment_census census = {.store = store, .txn = txn};
	const void *value;
	size_t len;
	int err = env_get(txn, meta, STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN, &value, &len);

	if (err < 0 && err != WEFT_EABSENT)
		return err;
	census.removes_unknown = err == WEFT_EABSENT && !store->env.is_fresh;
	err = segments_each(store->segments.dir_fd, segment_counted, &census);
	if (err < 0 || census.err < 0)
		return err < 0 ? err : census.err;
	if (census.removes_unknown || census.newest == 0)
		return 0;
	if (census.newest > store->segments.head) {
		store->segments.head = census.newest;
		segments_seal(&store->segments);
		segments_keep(&store->segments);
	}
	return env_put(txn, meta, STORE_ADOPT_KEY, STORE_ADOPT_KEY_LEN, "", 0);
}

static int segments_setup(struct store *store, MDB_txn *txn)
{
	struct segment_row row;
	int err = segments_newest(store, txn, &row);

	if (err == 0)
		err = segments_open(&store->segments, store->dir_fd, store->config.segment_len_max,
				    row.number, row.len);
	return err < 0 ? err : segments_reconcile(store, txn);
}

static int store_setup(struct store *store)
{
	const struct store_config *config = &store->config;
	MDB_txn *txn;
	int err;

	if (mkdir(store->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = dir_lock(store);
	if (err == 0)
		err = env_open(&store->env, config, store->dir_fd, &env_schema_current);
	if (err < 0)
		return err;
	err = env_err(mdb_txn_begin(store->env.lmdb, NULL, 0, &txn));
	if (err < 0)
		return err;
	err = segments_setup(store, txn);
	if (err == 0)
		err = env_err(mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
	if (err == 0 && !config->is_inline)
		err = thread_start(store);
	return err;
}

static void store_destroy(struct store *store)
{
	thread_stop(store);
	segments_close(&store->segments);
	env_close(&store->env);
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
	store->segments.dir_fd = store->segments.head_fd = -1;
	store->inline_last = &store->inline_first;
	store->dir = strdup(config->dir);
	err = -pthread_mutex_init(&store->write_lock, NULL);
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

static struct store_batch *inline_take(struct store *store)
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
	thread_stop(store);
	while (store->finished && (batch = ring_pop(store->finished)))
		store_batch_free(batch);
	if (store->inline_first) {
		batch = inline_take(store);
		commit_group(store, batch);
		batches_free(batch);
	}
	store_destroy(store);
}

void store_drop_waiting(struct store *store)
{
	struct store_batch *batch;

	weft_assert(store->config.is_inline);
	for (batch = store->inline_first; batch; batch = batch->next)
		store->in_flight--;
	batches_free(inline_take(store));
}

void store_crash(struct store *store)
{
	store_drop_waiting(store);
	segments_undo(&store->segments);
	segments_trim(&store->segments);
	store_destroy(store);
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
		eventfd_raise(store->wake_fd);
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
		struct store_batch *first = inline_take(store);

		if (first)
			commit_group(store, first);
		while ((batch = first)) {
			first = batch->next;
			batch_tell(store, batch);
			cnt++;
		}
		return cnt;
	}
	eventfd_lower(store->done_fd);
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
			fd_wait(store->done_fd);
		(void)store_reap(store);
	}
}

/* --- reading --- */

int store_snapshot_open(struct store *store, struct store_snapshot **out_snapshot)
{
	struct store_snapshot *snapshot = malloc(sizeof(*snapshot));
	int err;

	if (!snapshot)
		return -ENOMEM;
	snapshot->store = store;
	err = env_err(mdb_txn_begin(store->env.lmdb, NULL, MDB_RDONLY, &snapshot->txn));
	if (err < 0) {
		free(snapshot);
		return err;
	}
	*out_snapshot = snapshot;
	return 0;
}

void store_snapshot_close(struct store_snapshot *snapshot)
{
	if (!snapshot)
		return;
	mdb_txn_abort(snapshot->txn);
	free(snapshot);
}

int store_get(struct store_snapshot *snapshot, enum store_db db, const void *key, size_t key_len,
	      const void **out_value, size_t *out_len)
{
	return env_get(snapshot->txn, snapshot->store->env.dbis[db], key, key_len, out_value,
		       out_len);
}

int store_each(struct store_snapshot *snapshot, enum store_db db, const void *from, size_t from_len,
	       bool (*fn)(void *arg, const struct store_item *item), void *arg)
{
	MDB_val key = {from_len, (void *)(uintptr_t)from}, value;
	MDB_cursor *cursor;
	int err, code;

	err = env_err(mdb_cursor_open(snapshot->txn, snapshot->store->env.dbis[db], &cursor));
	if (err < 0)
		return err;
	code = mdb_cursor_get(cursor, &key, &value, from && from_len ? MDB_SET_RANGE : MDB_FIRST);
	while (code == MDB_SUCCESS) {
		struct store_item item = {key.mv_data, key.mv_size, value.mv_data, value.mv_size};

		if (!fn(arg, &item))
			break;
		code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : env_err(code);
}

int64_t store_blob_len(struct store_snapshot *snapshot, const uint8_t id[static 32])
{
	struct segment_place place;
	int err = blob_place(snapshot->store, snapshot->txn, id, &place);

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
		err = blob_place(store, snapshot->txn, id, &place);
		store_snapshot_close(snapshot);
		if (err < 0)
			return err;
		err = segment_read(store->segments.dir_fd, &place, id, off, dst, len);
		if (err != WEFT_EABSENT)
			return err;
	}
	/* The index names a segment that is not there. */
	return WEFT_EDAMAGED;
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
	out_stats->map_used_len = env_used_len(&store->env);
	out_stats->map_len_max = store->env.map_len_max;
	out_stats->batch_waiting = store->in_flight;
	out_stats->batch_cap = store->config.batch_cap;
	out_stats->reader_cap = store->config.reader_cap;
	mdb_env_info(store->env.lmdb, &info);
	out_stats->reader_cnt = info.me_numreaders;
	if (store_snapshot_open(store, &snapshot) < 0)
		return;
	for (unsigned db = 0; db < STORE_DB_CNT; db++)
		if (mdb_stat(snapshot->txn, store->env.dbis[db], &stat) == MDB_SUCCESS)
			out_stats->item_cnt[db] = stat.ms_entries;
	if (mdb_cursor_open(snapshot->txn, store->env.segments, &cursor) == MDB_SUCCESS) {
		struct segment_row row;

		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS &&
		       segment_row_parse(&key, &value, &row)) {
			out_stats->segment_cnt++;
			out_stats->segment_len += row.len;
			out_stats->segment_dead_len += row.len - row.live_len;
		}
		mdb_cursor_close(cursor);
	}
	store_snapshot_close(snapshot);
}
