/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs, walks in key order and snapshots. */
#include "store_rig.h"

#include "store/store_state.h"

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

/* damage replaces the row of key by one whose check is of other bytes. */
static void damage(struct store *store, const char *key)
{
	MDB_val k = {strlen(key), (void *)(uintptr_t)key},
		v = {12, (void *)(uintptr_t)"damaged row."};
	MDB_txn *txn;

	CHECK_EQ(mdb_txn_begin(store->env.lmdb, NULL, 0, &txn), 0);
	CHECK_EQ(mdb_put(txn, store->env.dbs[STORE_ROWS].dbi, &k, &v, 0), 0);
	CHECK_EQ(mdb_txn_commit(txn), 0);
}

static void test_lengths_are_there_also_of_damaged_rows(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = store_of(scratch_make(dir), true);
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *snapshot;
	struct store_iter iter;
	struct store_item item;
	const void *value;
	size_t len, sum = 0;

	store_batch_put(batch, STORE_ROWS, store_key("a", 1), "123", 3);
	store_batch_put(batch, STORE_ROWS, store_key("b", 1), "12345", 5);
	store_batch_put(batch, STORE_ROWS, store_key("c", 1), "", 0);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	damage(store, "b");
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	CHECK_EQ(store_len(snapshot, STORE_ROWS, store_key("a", 1)), 3);
	CHECK_EQ(store_len(snapshot, STORE_ROWS, store_key("b", 1)), 4);
	CHECK_EQ(store_len(snapshot, STORE_ROWS, store_key("c", 1)), 0);
	CHECK_EQ(store_len(snapshot, STORE_ROWS, store_key("d", 1)), WEFT_EABSENT);
	iter = store_iter(snapshot, STORE_ROWS, store_key("a", 1));
	while (store_iter_next_len(&iter, &item))
		sum = sum * 10 + item.value_len;
	CHECK_EQ(store_iter_end(&iter), 0);
	CHECK_EQ(sum, 340);
	iter = store_iter(snapshot, STORE_ROWS, store_key("a", 1));
	CHECK(store_iter_next(&iter, &item));
	CHECK(!store_iter_next(&iter, &item));
	CHECK_EQ(store_iter_end(&iter), WEFT_EDAMAGED);
	CHECK_EQ(store_get(snapshot, STORE_ROWS, store_key("b", 1), &value, &len), WEFT_EDAMAGED);
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

int main(void)
{
	RUN(test_blobs_survive_in_any_size);
	RUN(test_a_whole_blob_is_loaded_up_to_a_length);
	RUN(test_the_same_blob_is_stored_once);
	RUN(test_iter_walks_in_key_order_from_a_key);
	RUN(test_lengths_are_there_also_of_damaged_rows);
	RUN(test_a_snapshot_does_not_see_later_commits);
	RUN(test_one_snapshot_more_than_the_cap_is_refused);
	RUN(test_readers_of_other_threads_see_whole_batches);
	return check_done();
}
