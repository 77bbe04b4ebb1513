/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes large stores, and times what goes over all of one, for
 * tests/system/test_large_store.py:
 *
 * 	large_store fill DIR ROWS_MIB BLOBS_MIB
 * 	large_store compact DIR STOP_MS
 *
 * fill spreads the rows over four databases, then drops every fourth row and
 * every second blob. Thus there is a free list and something to compact. It
 * syncs nothing. compact tells the store after STOP_MS that the process is to
 * end, and prints how many milliseconds that took; 0: it lets it run.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "store/store.h"

#define ROW_LEN	       180u
#define ROW_COST       280u /* with its key, check and share of a page */
#define BLOB_LEN       (256u << 10)
#define BATCH_ROW_CNT  20000u
#define BATCH_BLOB_CNT 32u

int fdatasync(int fd);
int fsync(int fd);
static bool is_syncing = true;

/* In place of libc's, for LMDB as well. */
int fdatasync(int fd)
{
	return is_syncing ? (int)syscall(SYS_fdatasync, fd) : 0;
}

int fsync(int fd)
{
	return is_syncing ? (int)syscall(SYS_fsync, fd) : 0;
}

static const struct row_kind {
	enum store_db db;
	size_t key_len;
} row_kinds[] = {
	{STORE_PATHS, 32}, {STORE_OBJECTS, 64}, {STORE_MEMBERS, 64}, {STORE_OUTBOARDS, 32}};
#define ROW_KIND_CNT (sizeof(row_kinds) / sizeof(row_kinds[0]))

static void number_write(uint8_t *dst, uint64_t number)
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		dst[i] = (uint8_t)number;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "large_store: %s: %s\n", what, weft_err_text(err));
	exit(1);
}

static void batch_end(struct store *store, struct store_batch *batch)
{
	int err = store_submit(store, batch, NULL, NULL);

	if (err < 0)
		die("a batch", err);
	store_flush(store);
}

static void rows_batch(struct store *store, uint64_t first, bool deletes)
{
	struct store_batch *batch = store_batch_new(store);
	uint8_t key[64], value[ROW_LEN];

	for (uint64_t number = first; number < first + BATCH_ROW_CNT; number++) {
		const struct row_kind *kind = &row_kinds[number % ROW_KIND_CNT];

		if (deletes && number / ROW_KIND_CNT % 4)
			continue;
		memset(key, 0x5a, sizeof(key));
		memset(value, (int)number, sizeof(value));
		number_write(key, number);
		number_write(value, number);
		if (deletes)
			store_batch_delete(batch, kind->db, store_key(key, kind->key_len));
		else
			store_batch_put(batch, kind->db, store_key(key, kind->key_len), value,
					sizeof(value));
	}
	batch_end(store, batch);
}

static void blobs_batch(struct store *store, uint64_t first, bool deletes)
{
	static uint8_t bytes[BLOB_LEN];
	struct store_batch *batch = store_batch_new(store);
	uint8_t id[32] = {0};

	for (uint64_t number = first; number < first + BATCH_BLOB_CNT; number++) {
		if (deletes && number % 2)
			continue;
		memset(bytes, (int)number, sizeof(bytes));
		number_write(id, number + 1);
		if (deletes)
			store_batch_delete_blob(batch, id);
		else
			store_batch_put_blob(batch, id, bytes, sizeof(bytes));
	}
	batch_end(store, batch);
}

static struct store *open_at(const char *dir, bool is_inline)
{
	struct store_config config;
	struct store *store;
	int err;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = is_inline;
	err = store_open(&config, &store);
	if (err < 0)
		die(dir, err);
	return store;
}

static int fill(const char *dir, uint64_t rows_mib, uint64_t blobs_mib)
{
	uint64_t row_cnt = (rows_mib << 20) / ROW_COST, blob_cnt = (blobs_mib << 20) / BLOB_LEN;
	struct store *store;

	is_syncing = false;
	store = open_at(dir, true);
	for (int deletes = 0; deletes < 2; deletes++) {
		for (uint64_t at = 0; at < row_cnt; at += BATCH_ROW_CNT)
			rows_batch(store, at, deletes);
		for (uint64_t at = 0; at < blob_cnt; at += BATCH_BLOB_CNT)
			blobs_batch(store, at, deletes);
	}
	store_close(store);
	return 0;
}

static void *compact_run(void *arg)
{
	static int64_t freed;

	freed = store_compact(arg);
	return &freed;
}

static int compact(const char *dir, long stop_ms)
{
	struct store *store = open_at(dir, false);
	struct timespec span = {stop_ms / 1000, stop_ms % 1000 * 1000000};
	uint64_t began_ns = clock_monotonic_ns();
	pthread_t thread;
	void *freed;

	if (pthread_create(&thread, NULL, compact_run, store) != 0)
		die("a thread", -EAGAIN);
	if (stop_ms) {
		nanosleep(&span, NULL);
		began_ns = clock_monotonic_ns();
		store_hurry(store);
	}
	pthread_join(thread, &freed);
	store_close(store);
	printf("%lld %llu\n", (long long)*(int64_t *)freed,
	       (unsigned long long)((clock_monotonic_ns() - began_ns) / 1000000));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "fill") == 0)
		return fill(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "compact") == 0)
		return compact(argv[2], strtol(argv[3], NULL, 10));
	fprintf(stderr, "large_store fill DIR ROWS_MIB BLOBS_MIB | compact DIR STOP_MS\n");
	return 2;
}
