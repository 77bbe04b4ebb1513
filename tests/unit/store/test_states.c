/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/states/N is a state folder that the last program of schema N wrote.
 * Of 1 to 3 it has what its store was given here, from 4 on what its daemon
 * kept. The program of today opens each. The author of schema N + 1 adds
 * the folder N of the program before.
 */
#include "store/env.h"
#include "store/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/siphash_bytes.h"
#include "support/check.h"
#include "support/scratch.h"

#define FILE_CAP	 (1u << 20)
#define ROW_CNT		 20
#define BLOB_CNT	 5
#define BLOB_LEN	 700
#define LAST_FILLED	 3
#define DATABASES_DIGEST 0x94816c7722fb5a7bull /* of schema 9 */

static int open_store(const char *dir, struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	config.map_len_max = 1ull << 30;
	return store_open(&config, out_store);
}

static bool file_copy(unsigned schema, const char *dir, const char *name)
{
	static uint8_t bytes[FILE_CAP];
	char from[128], to[SCRATCH_CAP + 64];
	ssize_t len;
	int fd;

	snprintf(from, sizeof(from), "tests/states/%u/%s", schema, name);
	fd = open(from, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
	if (len > 0)
		scratch_write(scratch_path(to, sizeof(to), dir, name), bytes, (size_t)len);
	return len > 0;
}

static bool state_copy(unsigned schema, const char *dir)
{
	char path[SCRATCH_CAP + 64];

	(void)mkdir(scratch_path(path, sizeof(path), dir, "db"), 0700);
	(void)mkdir(scratch_path(path, sizeof(path), dir, "segments"), 0700);
	return file_copy(schema, dir, "db/data.mdb") &&
	       file_copy(schema, dir, "segments/00000001.seg");
}

static void print_finding(void *arg, const char *finding)
{
	(void)arg;
	printf("# %s\n", finding);
}

static const struct given {
	unsigned since;
	enum store_db db;
	size_t key_len;
	const char *offer; /* with its NUL before each key; NULL: nothing */
} given[] = {
	{1, STORE_PATHS, 32, NULL},	{1, STORE_OUTBOARDS, 32, NULL},
	{1, STORE_OBJECTS, 64, NULL},	{2, STORE_BANS, 33, NULL},
	{3, STORE_DIRECTORY, 36, NULL}, {3, STORE_ROWS, 52, "shadow-index@1"},
};

static bool rows_are_there(struct store *store, const struct given *rows)
{
	size_t offer_len = rows->offer ? strlen(rows->offer) + 1 : 0;
	struct store_snapshot *snapshot;
	unsigned cnt = 0;

	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	for (unsigned i = 0; i < ROW_CNT; i++) {
		size_t len, want_len = i == 7 ? 5000 : i * 11;
		const void *value;
		uint8_t key[96];
		bool is_same;

		if (offer_len)
			memcpy(key, rows->offer, offer_len);
		memset(key + offer_len, (int)i + 1, rows->key_len);
		is_same = store_get(snapshot, rows->db, store_key(key, offer_len + rows->key_len),
				    &value, &len) == 0 &&
			  len == want_len;
		for (size_t k = 0; is_same && k < len; k++)
			is_same = ((const uint8_t *)value)[k] == (uint8_t)(k + i);
		cnt += is_same;
	}
	store_snapshot_close(snapshot);
	return cnt == ROW_CNT;
}

static bool blobs_are_there(struct store *store)
{
	uint8_t id[32], blob[BLOB_LEN];
	unsigned cnt = 0;

	for (unsigned i = 0; i < BLOB_CNT; i++) {
		memset(id, (int)i + 1, sizeof(id));
		cnt += store_blob_read(store, id, 0, blob, BLOB_LEN) == 0 && blob[9] == i + 65;
	}
	return cnt == BLOB_CNT;
}

static void test_a_state_of_each_schema_is_opened(void)
{
	struct store_check_result result;
	char dir[SCRATCH_CAP];
	struct store *store;

	for (unsigned schema = 1; schema <= STORE_SCHEMA_VERSION; schema++) {
		CHECK(state_copy(schema, scratch_make(dir)));
		for (unsigned n = 0; n < 2; n++) {
			CHECK_EQ(open_store(dir, &store), 0);
			for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
				CHECK(schema > LAST_FILLED || schema < given[i].since ||
				      rows_are_there(store, &given[i]));
			CHECK(schema > LAST_FILLED || blobs_are_there(store));
			CHECK_EQ(store_check(store, false, print_finding, NULL, &result), 0);
			CHECK_EQ(result.item_bad_cnt + result.blob_bad_cnt, 0);
			CHECK(result.item_cnt > 8 && result.blob_cnt > 1);
			store_close(store);
		}
		scratch_remove(dir);
	}
}

/* The rows that built-in services had before schema 7, and where they are since. */
static const struct moved {
	unsigned db;
	const char *from, *to;
	size_t to_len;
} moved[] = {
	{ENV_OLD_PODS, "pod:00112233445566778899aabbccddeeff",
	 "pod-chat@1\0ppod:00112233445566778899aabbccddeeff", 48},
	{ENV_OLD_MESSAGES, "pod:00112233445566778899aabbccddeeff12345678",
	 "pod-chat@1\0mpod:00112233445566778899aabbccddeeff12345678", 56},
	{ENV_OLD_TRACKS, "0123456789abcdefghij0123456789abcdefghij0123456789ab",
	 "shadow-index@1\0"
	 "0123456789abcdefghij0123456789abcdefghij0123456789ab",
	 67},
	{STORE_META, "room/x", "pod-chat@1\0rx", 13},
};
#define MOVED_CNT (sizeof(moved) / sizeof(moved[0]))

/* A row whose check is of other bytes. */
static int damaged_row_put(MDB_txn *txn, unsigned db, const char *key)
{
	MDB_val k = {strlen(key), (void *)(uintptr_t)key},
		v = {12, (void *)(uintptr_t)"damaged row."};

	return store_row_err(mdb_put(txn, store_env_of(txn)->dbs[db].dbi, &k, &v, 0));
}

/* One before and one behind the sound row. */
static int damaged_rows_put(MDB_txn *txn)
{
	int err = damaged_row_put(txn, ENV_OLD_PODS, "pod:00000000000000000000000000000000");

	return err < 0 ? err
		       : damaged_row_put(txn, ENV_OLD_PODS, "pod:ffffffffffffffffffffffffffffffff");
}
#define DAMAGED_CNT 2

static int old_rows_put(const char *dir, bool has_damaged)
{
	static const struct env_schema six = {.version = 6};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store_config config;
	struct env env;
	MDB_txn *txn;
	int err;

	store_config_defaults(&config);
	config.dir = dir;
	config.map_len_max = 1ull << 30;
	err = store_env_open(&env, &config, fd, &six);
	close(fd);
	if (err == 0)
		err = mdb_txn_begin(env.lmdb, NULL, 0, &txn);
	for (size_t i = 0; i < MOVED_CNT && err == 0; i++)
		err = store_env_put(txn, moved[i].db,
				    store_key(moved[i].from, strlen(moved[i].from)), "value", i);
	/* A fact whose name is greater stays where it is. */
	if (err == 0)
		err = store_env_put(txn, STORE_META, store_key("roon", 4), "fact", 4);
	if (err == 0 && has_damaged)
		err = damaged_rows_put(txn);
	if (err == 0)
		err = mdb_txn_commit(txn);
	store_env_close(&env);
	return err;
}

static void check_moved(bool has_damaged)
{
	struct store_snapshot *snapshot;
	struct store_stats stats;
	struct store *store;
	char dir[SCRATCH_CAP];
	const void *value;
	size_t len;

	CHECK_EQ(old_rows_put(scratch_make(dir), has_damaged), 0);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
	for (size_t i = 0; i < MOVED_CNT; i++) {
		CHECK_EQ(store_get(snapshot, STORE_ROWS, store_key(moved[i].to, moved[i].to_len),
				   &value, &len),
			 0);
		CHECK_EQ(len, i);
	}
	CHECK_EQ(store_get(snapshot, STORE_META, store_key("room/x", 6), &value, &len),
		 WEFT_EABSENT);
	CHECK_EQ(store_get(snapshot, STORE_META, store_key("roon", 4), &value, &len), 0);
	store_snapshot_close(snapshot);
	store_stats(store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_ROWS], MOVED_CNT);
	CHECK_EQ(stats.skipped_cnt, has_damaged ? DAMAGED_CNT : 0);
	store_close(store);
	CHECK_EQ(open_store(dir, &store), 0); /* of the newest schema: nothing is left out again */
	store_stats(store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_ROWS], MOVED_CNT);
	CHECK_EQ(stats.skipped_cnt, 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_rows_of_services_are_moved_to_their_offers(void)
{
	check_moved(false);
}

static void test_damaged_rows_are_left_out_and_counted(void)
{
	check_moved(true);
}

/* A program that knows fewer databases would collect what only they refer to. */
static void test_databases_do_not_change_without_a_schema(void)
{
	uint64_t digest[2] = {STORE_SCHEMA_VERSION, 0};

	for (unsigned db = 0; db < ENV_DB_CNT; db++) {
		digest[1] = store_env_databases[db].key_len;
		digest[0] = siphash(digest, store_env_databases[db].name,
				    strlen(store_env_databases[db].name));
	}
	printf("# schema %d: %016llx\n", STORE_SCHEMA_VERSION, (unsigned long long)digest[0]);
	/* Another number: raise STORE_SCHEMA_VERSION, add the step, and keep a state of before. */
	CHECK_EQ(digest[0], DATABASES_DIGEST);
}

int main(void)
{
	RUN(test_a_state_of_each_schema_is_opened);
	RUN(test_rows_of_services_are_moved_to_their_offers);
	RUN(test_damaged_rows_are_left_out_and_counted);
	RUN(test_databases_do_not_change_without_a_schema);
	return check_done();
}
