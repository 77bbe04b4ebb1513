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
#define DATABASES_DIGEST 0x777481b62295cf7cull /* of schema 6 */

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

static bool rows_are_there(struct store *store, enum store_db db, size_t key_len)
{
	struct store_snapshot *snapshot;
	unsigned cnt = 0;

	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	for (unsigned i = 0; i < ROW_CNT; i++) {
		size_t len, want_len = i == 7 ? 5000 : i * 11;
		const void *value;
		uint8_t key[64];
		bool is_same;

		memset(key, (int)i + 1, sizeof(key));
		is_same = store_get(snapshot, db, store_key(key, key_len), &value, &len) == 0 &&
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

static const struct {
	unsigned since;
	enum store_db db;
	size_t key_len;
} given[] = {
	{1, STORE_PATHS, 32}, {1, STORE_OUTBOARDS, 32}, {1, STORE_OBJECTS, 64},
	{2, STORE_BANS, 33},  {3, STORE_DIRECTORY, 36}, {3, STORE_TRACKS, 52},
};

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
				      rows_are_there(store, given[i].db, given[i].key_len));
			CHECK(schema > LAST_FILLED || blobs_are_there(store));
			CHECK_EQ(store_check(store, false, print_finding, NULL, &result), 0);
			CHECK_EQ(result.item_bad_cnt + result.blob_bad_cnt, 0);
			CHECK(result.item_cnt > 8 && result.blob_cnt > 1);
			store_close(store);
		}
		scratch_remove(dir);
	}
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
	RUN(test_databases_do_not_change_without_a_schema);
	return check_done();
}
