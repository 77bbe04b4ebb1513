/* SPDX-License-Identifier: Apache-2.0 */
#include "store_rig.h"

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

/* Pages that a commit took and freed again are behind the file's end, and nothing is in them. */
static void test_a_store_opens_after_many_rows_left_at_once(void)
{
	static uint8_t value[8000];
	char dir[SCRATCH_CAP];
	uint8_t key[32];

	for (unsigned gone = 10; gone < 300; gone += 10) {
		struct store *store = store_of(scratch_make(dir), true);
		struct store_batch *batch = store_batch_new(store);

		for (unsigned i = 0; i < 307; i++) {
			key_of(i, key);
			store_batch_put(batch, STORE_PEERS, store_key(key, 32), value,
					200 + 10 * i);
		}
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
		store_close(store);
		store = store_of(dir, true);
		batch = store_batch_new(store);
		for (unsigned i = 0; i < gone; i++) {
			key_of((i * 37 + 11) % 307, key); /* each of 307 once, in no order */
			store_batch_delete(batch, STORE_PEERS, store_key(key, 32));
		}
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
		store_close(store);
		store = store_of(dir, true);
		CHECK(store);
		key_of(299, key);
		CHECK_EQ(put_one(store, STORE_PEERS, key, 32, "peer", 4), 0);
		CHECK(has_text(store, STORE_PEERS, key, 32, "peer"));
		store_close(store);
		scratch_remove(dir);
	}
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
	RUN(test_waiting_batches_share_a_commit);
	RUN(test_a_store_opens_after_many_rows_left_at_once);
	RUN(test_the_map_grows_and_the_full_one_still_deletes);
	RUN(test_a_failed_batch_fails_alone);
	return check_done();
}
