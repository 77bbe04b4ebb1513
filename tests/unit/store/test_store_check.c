/* SPDX-License-Identifier: Apache-2.0 */
#include "store_check_rig.h"

#define BLOB_CNT   40
#define BLOB_LEN   5000
#define RECORD_LEN 5120

static void id_of(unsigned i, uint8_t id[static 32])
{
	memset(id, 0, 32);
	id[0] = (uint8_t)i;
}

/* A store with BLOB_CNT blobs in several segments. */
static struct store *filled_store(const char *dir)
{
	static uint8_t blob[BLOB_LEN];
	struct store *store = NULL;
	struct store_batch *batch;
	uint8_t id[32];

	if (open_store(dir, &store) < 0)
		return NULL;
	for (unsigned i = 0; i < BLOB_CNT; i++) {
		batch = store_batch_new(store);
		id_of(i, id);
		memset(blob, (int)i, sizeof(blob));
		store_batch_put_blob(batch, id, blob, sizeof(blob));
		store_batch_put(batch, STORE_SHARES, store_key(id, 32), "share", 5);
		if (store_submit(store, batch, NULL, NULL) < 0)
			return NULL;
		store_flush(store);
	}
	return store;
}

static unsigned sound_cnt(struct store *store)
{
	static uint8_t blob[BLOB_LEN];
	unsigned cnt = 0;
	uint8_t id[32];

	for (unsigned i = 0; i < BLOB_CNT; i++) {
		id_of(i, id);
		cnt += store_blob_read(store, id, 0, blob, BLOB_LEN) == 0 && blob[17] == i;
	}
	return cnt;
}

static void count_finding(void *arg, const char *finding)
{
	printf("# %s\n", finding);
	++*(unsigned *)arg;
}

static void keep_finding(void *arg, const char *finding)
{
	snprintf(arg, 200, "%s", finding);
}

static bool poke(const char *dir, const char *name, off_t off, const void *data, size_t len)
{
	char path[SCRATCH_CAP + 64];
	int fd = open(scratch_path(path, sizeof(path), dir, name), O_RDWR | O_CLOEXEC);
	bool ok = fd >= 0 && pwrite(fd, data, len, off) == (ssize_t)len;

	close(fd);
	return ok;
}

static void test_a_sound_store_has_no_findings(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	unsigned cnt = 0;

	CHECK(store);
	CHECK_EQ(store_check(store, true, count_finding, &cnt, &result), 0);
	CHECK_EQ(cnt, 0);
	CHECK_EQ(result.blob_cnt, BLOB_CNT);
	CHECK_EQ(result.item_cnt, 2 * BLOB_CNT + 2);
	CHECK_EQ(result.repaired_cnt, 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_check_in_a_hurry_ends_and_changes_nothing(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	unsigned cnt = 0;

	CHECK(store);
	store_hurry(store);
	CHECK_EQ(store_check(store, true, count_finding, &cnt, &result), WEFT_ECANCELLED);
	CHECK_EQ(cnt, 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(dir);
}

/* Ends a walk at its n-th question. */
static bool countdown(void *arg, size_t read_len)
{
	(void)read_len;
	return --*(unsigned *)arg == 0;
}

static void test_a_check_ends_wherever_its_caller_leaves_and_can_be_repeated(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	unsigned cnt = 0, left = 0;
	struct store_check_ask ask = {true, count_finding, &cnt, {countdown, &left}};
	int err = WEFT_ECANCELLED;

	CHECK(store);
	for (unsigned n = 1; err == WEFT_ECANCELLED; n++) {
		left = n;
		err = store_check_until(store, &ask, &result);
		CHECK(err == 0 || err == WEFT_ECANCELLED);
		/* Once a page and once a record, at the least. */
		CHECK(err == WEFT_ECANCELLED || n > 2 * BLOB_CNT);
	}
	CHECK_EQ(err, 0);
	CHECK_EQ(cnt, 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_start_that_is_to_end_reads_no_further_and_finds_no_damage(void)
{
	struct store_config config;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	int stop[2];

	CHECK(store);
	store_close(store);
	CHECK_EQ(pipe(stop), 0);
	CHECK_EQ(write(stop[1], "!", 1), 1);
	store_config_defaults(&config);
	config.dir = dir;
	config.stop_fd = stop[0];
	store = NULL;
	CHECK_EQ(store_open(&config, &store), WEFT_ECANCELLED);
	CHECK(!store);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT);
	store_close(store);
	close(stop[0]);
	close(stop[1]);
	scratch_remove(dir);
}

static void test_a_database_that_was_not_read_in_time_is_not_used_and_not_called_damaged(void)
{
	struct store_snapshot *snapshot;
	struct store_config config;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	uint8_t id[32];

	CHECK(store);
	store_close(store);
	store_config_defaults(&config);
	config.dir = dir;
	config.proof_ns = 0;
	CHECK_EQ(store_open(&config, &store), 0);
	store_hurry(store);
	id_of(1, id);
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	/* The thread behind may have read it before. */
	int64_t len = store_blob_len(snapshot, id);
	CHECK(len == BLOB_LEN || len == WEFT_ECANCELLED);
	CHECK(!store_damage(store));
	store_snapshot_close(snapshot);
	store_close(store);
	scratch_remove(dir);
}

static void test_damaged_blobs_are_found_and_dropped(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	unsigned cnt = 0;

	CHECK(store);
	CHECK(poke(dir, "segments/00000001.seg", 1000, "damage", 6));
	CHECK(poke(dir, "segments/00000002.seg", 8, "damage", 6));
	CHECK_EQ(store_check(store, false, count_finding, &cnt, &result), 0);
	CHECK_EQ(cnt, 2);
	CHECK_EQ(result.blob_bad_cnt, 2);
	CHECK_EQ(result.repaired_cnt, 0);
	CHECK_EQ(store_check(store, true, NULL, NULL, &result), 0);
	CHECK_EQ(result.repaired_cnt, 2);
	CHECK_EQ(store_check(store, false, NULL, NULL, &result), 0);
	CHECK_EQ(result.blob_cnt, BLOB_CNT - 2);
	CHECK_EQ(result.blob_bad_cnt, 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT - 2);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_lost_segment_is_found_and_dropped(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP], path[SCRATCH_CAP + 64];
	struct store *store = filled_store(scratch_make(dir));

	CHECK(store);
	store_close(store);
	CHECK_EQ(unlink(scratch_path(path, sizeof(path), dir, "segments/00000001.seg")), 0);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_check(store, true, NULL, NULL, &result), 0);
	CHECK(result.blob_bad_cnt > 0);
	CHECK_EQ(result.repaired_cnt, result.blob_bad_cnt);
	CHECK_EQ(sound_cnt(store), BLOB_CNT - result.blob_bad_cnt);
	store_close(store);
	scratch_remove(dir);
}

static void test_damaged_databases_are_refused_and_rebuilt(void)
{
	static const uint8_t garbage[8192] = {7};
	struct store_check_result result;
	char dir[SCRATCH_CAP], aside[SCRATCH_CAP + 64], path[SCRATCH_CAP + 64];
	struct store *store;
	unsigned cnt = 0;

	for (int cut_short = 0; cut_short < 2; cut_short++) {
		store = filled_store(scratch_make(dir));
		CHECK(store);
		store_close(store);
		if (cut_short)
			CHECK_EQ(truncate(scratch_path(path, sizeof(path), dir, "db/data.mdb"),
					  8192),
				 0);
		else
			CHECK(poke(dir, "db/data.mdb", 0, garbage, sizeof(garbage)));
		CHECK_EQ(open_store(dir, &store), WEFT_EDAMAGED);
		CHECK_EQ(rename(scratch_path(path, sizeof(path), dir, "db"),
				scratch_path(aside, sizeof(aside), dir, "db.damaged")),
			 0);
		CHECK_EQ(open_store(dir, &store), 0);
		CHECK_EQ(sound_cnt(store), 0);
		CHECK_EQ(store_check(store, false, count_finding, &cnt, &result), 0);
		CHECK_EQ(sound_cnt(store), 0);
		store_close(store);
		/* The segments outlive another open before the repair. */
		CHECK_EQ(open_store(dir, &store), 0);
		CHECK_EQ(store_check(store, true, count_finding, &cnt, &result), 0);
		CHECK_EQ(result.repaired_cnt, BLOB_CNT);
		CHECK_EQ(sound_cnt(store), BLOB_CNT);
		store_close(store);
		CHECK_EQ(open_store(dir, &store), 0);
		CHECK_EQ(sound_cnt(store), BLOB_CNT);
		store_close(store);
		scratch_remove(dir);
	}
	CHECK_EQ(cnt, 4);
}

static void test_compact_frees_what_is_dead(void)
{
	struct store_stats before, after;
	char dir[SCRATCH_CAP];
	struct store *store = filled_store(scratch_make(dir));
	struct store_check_result result;
	uint8_t id[32];

	CHECK(store);
	CHECK_EQ(store_compact(store), 0);
	for (unsigned i = 0; i < BLOB_CNT; i += 2) {
		struct store_batch *batch = store_batch_new(store);

		id_of(i, id);
		store_batch_delete_blob(batch, id);
		CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	}
	store_flush(store);
	store_stats(store, &before);
	CHECK_EQ(before.segment_dead_len, BLOB_CNT / 2 * RECORD_LEN);
	CHECK_EQ(store_compact(store), (int64_t)before.segment_dead_len);
	store_stats(store, &after);
	CHECK_EQ(after.segment_dead_len, 0);
	CHECK_EQ(after.segment_len, before.segment_len - before.segment_dead_len);
	CHECK_EQ(sound_cnt(store), BLOB_CNT / 2);
	store_close(store);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT / 2);
	CHECK_EQ(store_check(store, false, NULL, NULL, &result), 0);
	CHECK_EQ(result.blob_cnt, BLOB_CNT / 2);
	CHECK_EQ(result.blob_bad_cnt, 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_compact_keeps_a_segment_it_cannot_read(void)
{
	char dir[SCRATCH_CAP], path[SCRATCH_CAP + 64];
	struct store *store = filled_store(scratch_make(dir));
	struct store_batch *batch;
	uint8_t id[32];

	CHECK(store);
	/* The second record of the first segment is damaged, the first dead. */
	CHECK(poke(dir, "segments/00000001.seg", RECORD_LEN + 100, "damage", 6));
	batch = store_batch_new(store);
	id_of(0, id);
	store_batch_delete_blob(batch, id);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	CHECK(store_compact(store) >= 0);
	CHECK_EQ(sound_cnt(store), BLOB_CNT - 2);
	CHECK(access(scratch_path(path, sizeof(path), dir, "segments/00000001.seg"), F_OK) == 0);
	store_close(store);
	scratch_remove(dir);
}

static void batch_done(void *arg, int err)
{
	*(int *)arg = err;
}

static int peer_put(struct store *store)
{
	struct store_batch *batch = store_batch_new(store);
	const uint8_t key[32] = {1};
	int err = 1;

	store_batch_put(batch, STORE_PEERS, store_key(key, sizeof(key)), "peer", 4);
	if (store_submit(store, batch, batch_done, &err) < 0)
		return -EBUSY;
	store_flush(store);
	return err;
}

static void test_nothing_is_acknowledged_once_the_databases_are_gone(void)
{
	char dir[SCRATCH_CAP], path[SCRATCH_CAP + 32];
	struct store *store;

	CHECK_EQ(open_store(scratch_make(dir), &store), 0);
	CHECK_EQ(peer_put(store), 0);
	CHECK(!store_damage(store));
	CHECK_EQ(unlink(scratch_path(path, sizeof(path), dir, "db/data.mdb")), 0);
	CHECK_EQ(peer_put(store), WEFT_EDAMAGED);
	CHECK_STR(store_damage(store), "the databases are gone from the state folder");
	/* Nor into another file of that name. */
	scratch_write(path, "x", 1);
	CHECK_EQ(peer_put(store), WEFT_EDAMAGED);
	store_close(store);
	scratch_remove(dir);
}

/* Puts a row where no batch would: its key is shorter than the database's are. */
static bool put_short_key(const char *dir, enum store_db db)
{
	struct env env;
	MDB_txn *txn;
	bool ok;

	if (env_open_as(dir, STORE_SCHEMA_VERSION, NULL, 0, &env) < 0)
		return false;
	ok = mdb_txn_begin(env.lmdb, NULL, 0, &txn) == 0 &&
	     store_env_put(txn, db, store_key("short", 5), "row", 3) == 0 &&
	     mdb_txn_commit(txn) == 0;
	store_env_close(&env);
	return ok;
}

static unsigned row_cnt(struct store *store, enum store_db db)
{
	struct store_iter iter = store_iter_fresh(store, db, STORE_ALL);
	struct store_item item;
	unsigned cnt = 0;

	while (store_iter_next(&iter, &item))
		cnt++;
	return store_iter_end(&iter) < 0 ? UINT32_MAX : cnt;
}

static void test_a_key_of_another_length_is_passed_over_and_found(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP], finding[200] = "";
	struct store *store = filled_store(scratch_make(dir));

	CHECK(store);
	store_close(store);
	CHECK(put_short_key(dir, STORE_SHARES));
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(row_cnt(store, STORE_SHARES), BLOB_CNT);
	CHECK_EQ(store_check(store, true, keep_finding, finding, &result), 0);
	CHECK_STR(finding, "database shares: a key of 5 bytes, 32 wanted");
	CHECK_EQ(result.repaired_cnt, 1);
	CHECK_EQ(store_check(store, false, NULL, NULL, &result), 0);
	CHECK_EQ(result.item_bad_cnt, 0);
	CHECK_EQ(row_cnt(store, STORE_SHARES), BLOB_CNT);
	store_close(store);
	scratch_remove(dir);
}

/* Pages of the database file with all of flags set, made to say that they have one key. */
static unsigned branches_break(const char *dir)
{
	char path[SCRATCH_CAP + 64];
	uint8_t page[4096];
	const uint16_t one_key_end = 16 + 2; /* a page's head and one offset */
	unsigned cnt = 0;
	int fd = open(scratch_path(path, sizeof(path), dir, "db/data.mdb"), O_RDWR | O_CLOEXEC);

	for (off_t at = 2 * 4096; fd >= 0 && pread(fd, page, sizeof(page), at) == sizeof(page);
	     at += 4096) {
		uint16_t flags, end;

		memcpy(&flags, page + 10, sizeof(flags));
		memcpy(&end, page + 12, sizeof(end));
		if (flags == 1 && end > one_key_end && /* P_BRANCH */
		    pwrite(fd, &one_key_end, sizeof(one_key_end), at + 12) == 2)
			cnt++;
	}
	close(fd);
	return cnt;
}

static void test_damage_that_kills_the_reader_is_a_finding(void)
{
	struct store_check_result result = {0};
	char dir[SCRATCH_CAP], finding[200] = "";
	struct store_batch *batch;
	struct store *store;
	uint8_t key[32];

	if (sysconf(_SC_PAGESIZE) != 4096)
		return; /* LMDB's pages are the system's */
	scratch_make(dir);
	CHECK_EQ(open_store(dir, &store), 0);
	batch = store_batch_new(store);
	for (unsigned i = 0; i < 200; i++) {
		id_of(i, key);
		store_batch_put(batch, STORE_PEERS, store_key(key, sizeof(key)), "a peer", 6);
	}
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	CHECK_EQ(store_check(store, false, keep_finding, finding, &result), 0);
	CHECK_EQ(result.item_cnt >= 200, 1);
	CHECK_STR(finding, "");
	CHECK(branches_break(dir) > 0);
	CHECK_EQ(store_check(store, true, keep_finding, finding, &result), WEFT_EDAMAGED);
	CHECK(strncmp(finding, "database peers: page ", 21) == 0);
	store_close(store);
	CHECK_EQ(open_store(dir, &store), WEFT_EDAMAGED);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_a_sound_store_has_no_findings);
	RUN(test_a_check_in_a_hurry_ends_and_changes_nothing);
	RUN(test_a_check_ends_wherever_its_caller_leaves_and_can_be_repeated);
	RUN(test_a_start_that_is_to_end_reads_no_further_and_finds_no_damage);
	RUN(test_a_database_that_was_not_read_in_time_is_not_used_and_not_called_damaged);
	RUN(test_damaged_blobs_are_found_and_dropped);
	RUN(test_a_lost_segment_is_found_and_dropped);
	RUN(test_damaged_databases_are_refused_and_rebuilt);
	RUN(test_compact_frees_what_is_dead);
	RUN(test_compact_keeps_a_segment_it_cannot_read);
	RUN(test_nothing_is_acknowledged_once_the_databases_are_gone);
	RUN(test_a_key_of_another_length_is_passed_over_and_found);
	RUN(test_damage_that_kills_the_reader_is_a_finding);
	return check_done();
}
