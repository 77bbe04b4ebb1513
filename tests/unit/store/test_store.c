/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

struct outcome {
	unsigned cnt;
	int err;
};

static void outcome_note(void *arg, int err)
{
	struct outcome *outcome = arg;

	outcome->cnt++;
	outcome->err = err;
}

static struct store *store_of(const char *dir, bool is_inline)
{
	struct store_config config;
	struct store *store = NULL;
	int err;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = is_inline;
	config.map_len_max = 1ull << 30;
	err = store_open(&config, &store);
	if (err < 0)
		printf("# store_open: %d\n", err);
	return store;
}

static void key_of(unsigned n, uint8_t key[static 32])
{
	memset(key, 0, 32);
	for (int i = 0; i < 4; i++)
		key[i] = (uint8_t)(n >> (24 - 8 * i));
	key[31] = 0xa5;
}

/* put_one gives what done was told. */
static int put_one(struct store *store, enum store_db db, const void *key, size_t key_len,
		   const void *value, size_t len)
{
	struct store_batch *batch = store_batch_new(store);
	struct outcome outcome = {0, 1};
	int err;

	store_batch_put(batch, db, store_key(key, key_len), value, len);
	err = store_submit(store, batch, outcome_note, &outcome);
	if (err < 0) {
		store_batch_free(batch);
		return err;
	}
	store_flush(store);
	return outcome.cnt == 1 ? outcome.err : 1;
}

static bool has_text(struct store *store, enum store_db db, const void *key, size_t key_len,
		     const char *want)
{
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	bool has;

	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	has = store_get(snapshot, db, store_key(key, key_len), &value, &len) == 0 &&
	      len == strlen(want) && memcmp(value, want, len) == 0;
	store_snapshot_close(snapshot);
	return has;
}

static void test_what_was_put_is_there_after_reopening(void)
{
	char dir[SCRATCH_CAP];
	uint8_t key[32];

	key_of(1, key);
	scratch_make(dir);
	for (int is_inline = 0; is_inline < 2; is_inline++) {
		struct store *store = store_of(dir, is_inline);

		CHECK(store);
		CHECK_EQ(put_one(store, STORE_PEERS, key, 32, "peer", 4), 0);
		CHECK(has_text(store, STORE_PEERS, key, 32, "peer"));
		store_close(store);
		store = store_of(dir, is_inline);
		CHECK(store);
		CHECK(has_text(store, STORE_PEERS, key, 32, "peer"));
		CHECK(!has_text(store, STORE_SHARES, key, 32, "peer"));
		store_close(store);
	}
	scratch_remove(dir);
}

static void test_close_commits_what_was_submitted(void)
{
	char dir[SCRATCH_CAP];
	uint8_t key[32];

	scratch_make(dir);
	for (int is_inline = 0; is_inline < 2; is_inline++) {
		struct store *store = store_of(dir, is_inline);
		struct store_batch *batch = store_batch_new(store);
		struct outcome outcome = {0, 1};

		key_of((unsigned)is_inline, key);
		store_batch_put(batch, STORE_PEERS, store_key(key, 32), "late", 4);
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcome), 0);
		store_close(store);
		CHECK_EQ(outcome.cnt, 0);
		store = store_of(dir, is_inline);
		CHECK(has_text(store, STORE_PEERS, key, 32, "late"));
		store_close(store);
	}
	scratch_remove(dir);
}

static void test_crash_loses_what_was_not_reaped(void)
{
	char dir[SCRATCH_CAP];
	uint8_t key[32], blob[100] = {1};
	struct store *store;
	struct store_batch *batch;
	struct store_stats stats;

	scratch_make(dir);
	store = store_of(dir, true);
	key_of(1, key);
	CHECK_EQ(put_one(store, STORE_PEERS, key, 32, "kept", 4), 0);
	batch = store_batch_new(store);
	key_of(2, key);
	store_batch_put(batch, STORE_PEERS, store_key(key, 32), "lost", 4);
	store_batch_put_blob(batch, key, blob, sizeof(blob));
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_crash(store);
	store = store_of(dir, true);
	CHECK(!has_text(store, STORE_PEERS, key, 32, "lost"));
	CHECK_EQ(store_blob_read(store, key, 0, blob, 1), WEFT_EABSENT);
	key_of(1, key);
	CHECK(has_text(store, STORE_PEERS, key, 32, "kept"));
	store_stats(store, &stats);
	CHECK_EQ(stats.segment_len, 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_second_open_is_refused(void)
{
	struct store_config config;
	struct store *store, *second = NULL;
	char dir[SCRATCH_CAP];

	scratch_make(dir);
	store = store_of(dir, true);
	CHECK(store);
	store_config_defaults(&config);
	config.dir = dir;
	CHECK_EQ(store_open(&config, &second), WEFT_EBUSY);
	store_close(store);
	CHECK_EQ(store_open(&config, &second), 0);
	store_close(second);
	scratch_remove(dir);
}

static void test_the_directory_is_private(void)
{
	char base[SCRATCH_CAP], dir[SCRATCH_CAP + 10];
	struct store *store;
	struct stat st;

	scratch_path(dir, sizeof(dir), scratch_make(base), "state");
	store = store_of(dir, true);
	CHECK(store);
	CHECK_EQ(stat(dir, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0700);
	store_close(store);
	scratch_remove(base);
}

static void test_a_missing_parent_is_an_error(void)
{
	struct store_config config;
	struct store *store = NULL;

	store_config_defaults(&config);
	config.dir = "/nonexistent-weft/state";
	CHECK_EQ(store_open(&config, &store), -ENOENT);
}

static void test_a_wrong_key_is_a_sticky_error(void)
{
	char dir[SCRATCH_CAP];
	uint8_t key[600] = {1};
	static const struct {
		enum store_db db;
		size_t key_len;
		int want;
	} rows[] = {
		{STORE_PEERS, 32, 0},
		{STORE_PEERS, 31, WEFT_ETOOLARGE},
		{STORE_PEERS, 33, WEFT_ETOOLARGE},
		{STORE_GETS, 8, 0},
		{STORE_GETS, 32, WEFT_ETOOLARGE},
		{STORE_META, 511, 0},
		{STORE_META, 512, WEFT_ETOOLARGE},
		{STORE_META, 0, WEFT_ETOOLARGE},
	};
	struct store *store = store_of(scratch_make(dir), true);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(put_one(store, rows[i].db, key, rows[i].key_len, "v", 1), rows[i].want);
	CHECK_EQ(store_submit(store, NULL, NULL, NULL), -ENOMEM);
	store_close(store);
	scratch_remove(dir);
}

static void test_one_batch_more_than_the_cap_is_refused(void)
{
	struct store_config config;
	struct store *store;
	char dir[SCRATCH_CAP];
	struct outcome outcome = {0, 0};

	scratch_make(dir);
	store_config_defaults(&config);
	config.dir = dir;
	config.batch_cap = 5;
	config.map_len_max = 1ull << 30;
	for (int is_inline = 0; is_inline < 2; is_inline++) {
		struct store_batch *batch;

		config.is_inline = is_inline;
		CHECK_EQ(store_open(&config, &store), 0);
		for (unsigned i = 0; i < 5; i++) {
			batch = store_batch_new(store);
			store_batch_put(batch, STORE_META, store_key("k", 1), "v", 1);
			CHECK_EQ(store_submit(store, batch, outcome_note, &outcome), 0);
		}
		batch = store_batch_new(store);
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcome), WEFT_EFULL);
		store_flush(store);
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcome), 0);
		store_flush(store);
		CHECK_EQ(outcome.cnt, 6 * (is_inline + 1));
		store_close(store);
	}
	scratch_remove(dir);
}

static void test_ops_apply_in_the_order_of_asking(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);
	struct store_batch *batch = store_batch_new(store);

	store_batch_put(batch, STORE_META, store_key("a", 1), "1", 1);
	store_batch_delete(batch, STORE_META, store_key("a", 1));
	store_batch_put(batch, STORE_META, store_key("b", 1), "1", 1);
	store_batch_put(batch, STORE_META, store_key("b", 1), "2", 1);
	store_batch_delete(batch, STORE_META, store_key("never there", 11));
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	CHECK_EQ(store_reap(store), 1);
	CHECK(!has_text(store, STORE_META, "a", 1, "1"));
	CHECK(has_text(store, STORE_META, "b", 1, "2"));
	store_close(store);
	scratch_remove(dir);
}

static void blob_fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

static void test_blobs_survive_in_any_size(void)
{
	static const size_t lens[] = {0, 1, 63, 64, 65, 4096, 65536, 65537, 1 << 20};
	enum { CNT = sizeof(lens) / sizeof(lens[0]) };
	static uint8_t data[1 << 20], back[1 << 20];
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), false);
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *snapshot;
	uint8_t id[32];

	for (unsigned i = 0; i < CNT; i++) {
		key_of(i, id);
		blob_fill(data, lens[i], i);
		store_batch_put_blob(batch, id, data, lens[i]);
	}
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_close(store);
	store = store_of(dir, false);
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	for (unsigned i = 0; i < CNT; i++) {
		key_of(i, id);
		blob_fill(data, lens[i], i);
		CHECK_EQ(store_blob_len(snapshot, id), lens[i]);
		memset(back, 0, lens[i]);
		CHECK_EQ(store_blob_read(store, id, 0, back, lens[i]), 0);
		CHECK_MEM(back, data, lens[i]);
		if (lens[i] > 2) {
			CHECK_EQ(store_blob_read(store, id, lens[i] - 2, back, 2), 0);
			CHECK_MEM(back, data + lens[i] - 2, 2);
		}
		CHECK_EQ(store_blob_read(store, id, lens[i], back, 1), WEFT_EDAMAGED);
		CHECK_EQ(store_blob_read(store, id, UINT64_MAX, back, 1), WEFT_EDAMAGED);
	}
	key_of(CNT, id);
	CHECK_EQ(store_blob_len(snapshot, id), WEFT_EABSENT);
	CHECK_EQ(store_blob_read(store, id, 0, back, 0), WEFT_EABSENT);
	store_snapshot_close(snapshot);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_whole_blob_is_loaded_up_to_a_length(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), false);
	struct store_batch *batch = store_batch_new(store);
	uint8_t data[100], id[32], *bytes = NULL;
	size_t len = 0;

	blob_fill(data, sizeof(data), 1);
	key_of(0, id);
	store_batch_put_blob(batch, id, data, 0);
	key_of(1, id);
	store_batch_put_blob(batch, id, data, sizeof(data));
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_close(store);
	store = store_of(dir, false);
	CHECK_EQ(store_blob_load(store, id, sizeof(data) - 1, &bytes, &len), WEFT_EDAMAGED);
	CHECK(bytes == NULL);
	CHECK_EQ(store_blob_load(store, id, sizeof(data), &bytes, &len), 0);
	CHECK_EQ(len, sizeof(data));
	CHECK_MEM(bytes, data, sizeof(data));
	free(bytes);
	key_of(0, id);
	CHECK_EQ(store_blob_load(store, id, 0, &bytes, &len), 0);
	CHECK_EQ(len, 0);
	free(bytes);
	key_of(2, id);
	CHECK_EQ(store_blob_load(store, id, sizeof(data), &bytes, &len), WEFT_EABSENT);
	store_close(store);
	scratch_remove(dir);
}

static void test_the_same_blob_is_stored_once(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);
	struct store_stats stats;
	uint8_t id[32], data[1000] = {3};

	key_of(1, id);
	for (int i = 0; i < 3; i++) {
		struct store_batch *batch = store_batch_new(store);

		store_batch_put_blob(batch, id, data, sizeof(data));
		store_batch_put_blob(batch, id, data, sizeof(data));
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
		store_flush(store);
	}
	store_stats(store, &stats);
	CHECK_EQ(stats.segment_len, 1088);
	CHECK_EQ(stats.segment_dead_len, 0);
	CHECK_EQ(stats.item_cnt[STORE_BLOBS], 1);
	store_close(store);
	scratch_remove(dir);
}

struct walk {
	unsigned cnt;
	bool is_in_order;
};

/* Walks from a key on and stops after stop_at rows; 0: at the end. */
static struct walk walk_of(struct store_iter iter, unsigned stop_at)
{
	struct walk walk = {.is_in_order = true};
	struct store_item item;
	uint8_t last[32];

	while (store_iter_next(&iter, &item)) {
		walk.is_in_order &= walk.cnt == 0 || memcmp(last, item.key, 32) < 0;
		memcpy(last, item.key, 32);
		if (++walk.cnt == stop_at)
			break;
	}
	if (store_iter_end(&iter) < 0)
		walk.cnt = UINT32_MAX;
	return walk;
}

static void test_iter_walks_in_key_order_from_a_key(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *snapshot;
	uint8_t key[32];

	for (unsigned i = 0; i < 100; i++) {
		key_of(i * 37 % 100, key);
		store_batch_put(batch, STORE_PEERS, store_key(key, 32), "v", 1);
	}
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	key_of(90, key);
	for (int from = 0; from < 2; from++) {
		struct walk walk = walk_of(
			store_iter(snapshot, STORE_PEERS, from ? store_key(key, 32) : STORE_ALL),
			0);

		CHECK(walk.is_in_order);
		CHECK_EQ(walk.cnt, from ? 10 : 100);
	}
	CHECK_EQ(walk_of(store_iter(snapshot, STORE_PEERS, STORE_ALL), 3).cnt, 3);
	CHECK_EQ(walk_of(store_iter_fresh(store, STORE_PEERS, STORE_ALL), 0).cnt, 100);
	CHECK_EQ(walk_of(store_iter(snapshot, STORE_GETS, STORE_ALL), 0).cnt, 0);
	store_snapshot_close(snapshot);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_snapshot_does_not_see_later_commits(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), false);
	struct store_snapshot *before, *after;
	const void *value;
	size_t len;

	CHECK_EQ(store_snapshot_open(store, &before), 0);
	CHECK_EQ(put_one(store, STORE_META, "k", 1, "v", 1), 0);
	CHECK_EQ(store_snapshot_open(store, &after), 0);
	CHECK_EQ(store_get(before, STORE_META, store_key("k", 1), &value, &len), WEFT_EABSENT);
	CHECK_EQ(store_get(after, STORE_META, store_key("k", 1), &value, &len), 0);
	store_snapshot_close(before);
	store_snapshot_close(after);
	store_close(store);
	scratch_remove(dir);
}

static void test_one_snapshot_more_than_the_cap_is_refused(void)
{
	struct store_config config;
	struct store_snapshot *snapshots[4], *more;
	struct store_stats stats;
	struct store *store;
	char dir[SCRATCH_CAP];

	store_config_defaults(&config);
	config.dir = scratch_make(dir);
	config.reader_cap = 4;
	config.map_len_max = 1ull << 30;
	CHECK_EQ(store_open(&config, &store), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(store_snapshot_open(store, &snapshots[i]), 0);
	CHECK_EQ(store_snapshot_open(store, &more), WEFT_EFULL);
	for (int i = 0; i < 4; i++)
		store_snapshot_close(snapshots[i]);
	CHECK_EQ(store_snapshot_open(store, &more), 0);
	store_snapshot_close(more);
	store_stats(store, &stats);
	CHECK_EQ(stats.reader_cap, 4);
	CHECK_EQ(stats.reader_cnt, 4);
	store_close(store);
	scratch_remove(dir);
}

static void *reader_main(void *arg)
{
	struct store *store = arg;
	long bad_cnt = 0;

	for (int i = 0; i < 2000; i++) {
		struct store_snapshot *snapshot;
		const void *a, *b;
		size_t len;

		if (store_snapshot_open(store, &snapshot) < 0)
			return (void *)-1L;
		if (store_get(snapshot, STORE_META, store_key("a", 1), &a, &len) == 0 &&
		    (store_get(snapshot, STORE_META, store_key("b", 1), &b, &len) < 0 ||
		     memcmp(a, b, 4) != 0))
			bad_cnt++;
		store_snapshot_close(snapshot);
	}
	return (void *)bad_cnt;
}

static void test_readers_of_other_threads_see_whole_batches(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), false);
	struct outcome outcome = {0, 0};
	pthread_t readers[2];
	void *bad_cnt;

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&readers[i], NULL, reader_main, store), 0);
	for (uint32_t i = 0; i < 200; i++) {
		struct store_batch *batch = store_batch_new(store);

		store_batch_put(batch, STORE_META, store_key("a", 1), &i, sizeof(i));
		store_batch_put(batch, STORE_META, store_key("b", 1), &i, sizeof(i));
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcome), 0);
		if (i % 10 == 0)
			store_flush(store);
	}
	store_flush(store);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &bad_cnt);
		CHECK_EQ((long)bad_cnt, 0);
	}
	CHECK_EQ(outcome.cnt, 200);
	store_close(store);
	scratch_remove(dir);
}

static void test_waiting_batches_share_a_commit(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);
	struct store_stats stats;

	for (uint32_t i = 0; i < 100; i++) {
		struct store_batch *batch = store_batch_new(store);

		store_batch_put(batch, STORE_META, store_key(&i, sizeof(i)), "v", 1);
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	}
	CHECK_EQ(store_reap(store), 100);
	store_stats(store, &stats);
	CHECK_EQ(stats.commit_cnt, 1);
	CHECK_EQ(stats.batch_cnt, 100);
	CHECK_EQ(stats.failed_cnt, 0);
	CHECK_EQ(stats.batch_waiting, 0);
	store_close(store);
	scratch_remove(dir);
}

/* Fills a store of 2 MiB at first and 8 MiB at most, one batch of 64 KiB at a time. */
static void test_the_map_grows_and_the_full_one_still_deletes(void)
{
	static uint8_t value[65536];
	struct store_config config;
	struct store_stats stats;
	struct store *store;
	char dir[SCRATCH_CAP];
	uint32_t cnt = 0;
	int err;

	store_config_defaults(&config);
	config.dir = scratch_make(dir);
	config.is_inline = true;
	config.map_len = 2 << 20;
	config.map_len_max = 8 << 20;
	CHECK_EQ(store_open(&config, &store), 0);
	while ((err = put_one(store, STORE_META, &cnt, sizeof(cnt), value, sizeof(value))) == 0)
		cnt++;
	CHECK_EQ(err, WEFT_EFULL);
	CHECK(cnt > 100);
	CHECK(cnt < 130);
	store_stats(store, &stats);
	CHECK_EQ(stats.map_len, 8 << 20);
	CHECK_EQ(stats.failed_cnt, 1);
	for (uint32_t i = 0; i < cnt; i++) {
		struct store_batch *batch = store_batch_new(store);

		store_batch_delete(batch, STORE_META, store_key(&i, sizeof(i)));
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
		store_flush(store);
	}
	store_stats(store, &stats);
	CHECK_EQ(stats.failed_cnt, 1);
	CHECK_EQ(stats.item_cnt[STORE_META], 2);
	/* What the deletes freed counts as room again. */
	for (uint32_t i = 0; i < 50; i++)
		CHECK_EQ(put_one(store, STORE_META, &i, sizeof(i), value, sizeof(value)), 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_failed_batch_fails_alone(void)
{
	static uint8_t value[4 << 20];
	struct outcome outcomes[3] = {{0, 1}, {0, 1}, {0, 1}};
	struct store_config config;
	struct store *store;
	char dir[SCRATCH_CAP];
	uint8_t id[32];

	store_config_defaults(&config);
	config.dir = scratch_make(dir);
	config.is_inline = true;
	config.map_len = 2 << 20;
	config.map_len_max = 2 << 20;
	CHECK_EQ(store_open(&config, &store), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct store_batch *batch = store_batch_new(store);

		key_of(i, id);
		store_batch_put_blob(batch, id, value, 100);
		store_batch_put(batch, STORE_PEERS, store_key(id, 32), value,
				i == 1 ? sizeof(value) : 5);
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcomes[i]), 0);
	}
	CHECK_EQ(store_reap(store), 3);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t byte;

		key_of(i, id);
		CHECK_EQ(outcomes[i].cnt, 1);
		CHECK_EQ(outcomes[i].err, i == 1 ? WEFT_EFULL : 0);
		CHECK_EQ(store_blob_read(store, id, 0, &byte, 1), i == 1 ? WEFT_EABSENT : 0);
	}
	store_close(store);
	scratch_remove(dir);
}

static void test_frozen_store_reports_and_writes_nothing(void)
{
	struct outcome outcomes[2] = {{0, 1}, {0, 1}};
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);

	for (int i = 0; i < 2; i++) { /* one waits, one comes later */
		struct store_batch *batch = store_batch_new(store);

		store_batch_put(batch, STORE_META, store_key("k", 1), "v", 1);
		CHECK_EQ(store_submit(store, batch, outcome_note, &outcomes[i]), 0);
		store_freeze(store);
	}
	store_flush(store);
	CHECK(!store_is_pending(store));
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(outcomes[i].cnt, 1);
		CHECK_EQ(outcomes[i].err, -EIO);
	}
	CHECK(!has_text(store, STORE_META, "k", 1, "v"));
	store_crash(store);
	store = store_of(dir, true);
	CHECK(!has_text(store, STORE_META, "k", 1, "v"));
	store_close(store);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_frozen_store_reports_and_writes_nothing);
	RUN(test_what_was_put_is_there_after_reopening);
	RUN(test_close_commits_what_was_submitted);
	RUN(test_crash_loses_what_was_not_reaped);
	RUN(test_a_second_open_is_refused);
	RUN(test_the_directory_is_private);
	RUN(test_a_missing_parent_is_an_error);
	RUN(test_a_wrong_key_is_a_sticky_error);
	RUN(test_one_batch_more_than_the_cap_is_refused);
	RUN(test_ops_apply_in_the_order_of_asking);
	RUN(test_blobs_survive_in_any_size);
	RUN(test_a_whole_blob_is_loaded_up_to_a_length);
	RUN(test_the_same_blob_is_stored_once);
	RUN(test_iter_walks_in_key_order_from_a_key);
	RUN(test_a_snapshot_does_not_see_later_commits);
	RUN(test_one_snapshot_more_than_the_cap_is_refused);
	RUN(test_readers_of_other_threads_see_whole_batches);
	RUN(test_waiting_batches_share_a_commit);
	RUN(test_the_map_grows_and_the_full_one_still_deletes);
	RUN(test_a_failed_batch_fails_alone);
	return check_done();
}
