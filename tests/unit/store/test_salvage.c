/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

#define PEER_CNT 600
#define BLOB_CNT 12
#define BLOB_LEN 900
#define PAGE_LEN 4096

static char dir[SCRATCH_CAP];

static int open_store(const char *path, struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = path;
	config.is_inline = true;
	config.segment_len_max = 4 << 10;
	config.map_len_max = 1ull << 30;
	return store_open(&config, out_store);
}

static void key_of(unsigned i, uint8_t key[static 32])
{
	memset(key, 0, 32);
	key[0] = (uint8_t)(i >> 8);
	key[1] = (uint8_t)i;
}

static bool filled(const char *path)
{
	uint8_t key[32], blob[BLOB_LEN];
	struct store_batch *batch;
	struct store *store;
	bool ok;

	if (open_store(path, &store) < 0)
		return false;
	batch = store_batch_new(store);
	for (unsigned i = 0; i < PEER_CNT; i++) {
		key_of(i, key);
		store_batch_put(batch, STORE_PEERS, store_key(key, 32), &i, sizeof(i));
	}
	for (unsigned i = 0; i < BLOB_CNT; i++) {
		key_of(i, key);
		memset(blob, (int)i, sizeof(blob));
		store_batch_put_blob(batch, key, blob, sizeof(blob));
	}
	ok = store_submit(store, batch, NULL, NULL) == 0;
	store_flush(store);
	store_close(store);
	return ok;
}

static unsigned peer_cnt(struct store *store)
{
	struct store_snapshot *snapshot;
	unsigned cnt = 0;

	if (store_snapshot_open(store, &snapshot) < 0)
		return 0;
	for (unsigned i = 0; i < PEER_CNT; i++) {
		const void *value;
		uint8_t key[32];
		size_t len;

		key_of(i, key);
		cnt += store_get(snapshot, STORE_PEERS, store_key(key, 32), &value, &len) == 0 &&
		       len == sizeof(i) && memcmp(value, &i, len) == 0;
	}
	store_snapshot_close(snapshot);
	return cnt;
}

static unsigned blob_cnt(struct store *store)
{
	uint8_t key[32], blob[BLOB_LEN];
	unsigned cnt = 0;

	for (unsigned i = 0; i < BLOB_CNT; i++) {
		key_of(i, key);
		cnt += store_blob_read(store, key, 0, blob, BLOB_LEN) == 0 && blob[3] == i;
	}
	return cnt;
}

static void print_finding(void *arg, const char *finding)
{
	(void)arg;
	printf("# %s\n", finding);
}

static bool lists_databases(const uint8_t *page)
{
	return memmem(page, PAGE_LEN, "community_events", strlen("community_events"));
}

/* Flips a bit at off within each page of the kind; returns how many there were. */
static unsigned pages_flip(uint16_t kind, size_t off, unsigned max)
{
	char path[SCRATCH_CAP + 64];
	uint8_t page[PAGE_LEN];
	unsigned cnt = 0;
	int fd = open(scratch_path(path, sizeof(path), dir, "db/data.mdb"), O_RDWR | O_CLOEXEC);

	for (off_t at = 2 * PAGE_LEN; pread(fd, page, PAGE_LEN, at) == PAGE_LEN; at += PAGE_LEN) {
		uint16_t flags, lower;

		memcpy(&flags, page + 10, sizeof(flags));
		memcpy(&lower, page + 12, sizeof(lower));
		/* Leaves of the peers are the only full ones, beside the list of databases. */
		if (flags != kind || (kind == 2 && (lower < 60 || lists_databases(page))) ||
		    cnt == max)
			continue;
		page[off] ^= 4;
		cnt += pwrite(fd, page, PAGE_LEN, at) == PAGE_LEN;
	}
	close(fd);
	return cnt;
}

static void test_a_damaged_row_is_left_out_alone(void)
{
	struct store_salvage_result result;
	struct store *store;

	scratch_make(dir);
	CHECK(filled(dir));
	CHECK_EQ(pages_flip(2, PAGE_LEN - 1, 1), 1);
	CHECK_EQ(open_store(dir, &store), WEFT_EDAMAGED);
	CHECK_EQ(store_salvage(dir, print_finding, NULL, &result), 0);
	CHECK_EQ(result.row_bad_cnt, 1);
	CHECK_EQ(result.page_bad_cnt, 0);
	CHECK_STR(result.aside, "db.old1");
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(peer_cnt(store), PEER_CNT - 1);
	CHECK_EQ(blob_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(dir);
}

static void test_rows_behind_a_damaged_branch_are_found(void)
{
	struct store_salvage_result result;
	struct store_check_result checked;
	struct store *store;

	scratch_make(dir);
	CHECK(filled(dir));
	CHECK(pages_flip(1, 12, 99) > 0);
	CHECK_EQ(open_store(dir, &store), WEFT_EDAMAGED);
	CHECK_EQ(store_salvage(dir, print_finding, NULL, &result), 0);
	CHECK(result.page_bad_cnt > 0);
	CHECK(result.row_found_cnt > PEER_CNT / 2);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(peer_cnt(store), PEER_CNT);
	CHECK_EQ(blob_cnt(store), BLOB_CNT);
	CHECK_EQ(store_check(store, true, print_finding, NULL, &checked), 0);
	CHECK_EQ(checked.item_bad_cnt, 0);
	store_close(store);
	scratch_remove(dir);
}

static void test_blobs_outlive_databases_that_cannot_be_read(void)
{
	static const uint8_t garbage[2 * PAGE_LEN] = {7};
	struct store_salvage_result result;
	struct store_check_result checked;
	char path[SCRATCH_CAP + 64];
	struct store *store;
	int fd;

	scratch_make(dir);
	CHECK(filled(dir));
	fd = open(scratch_path(path, sizeof(path), dir, "db/data.mdb"), O_RDWR | O_CLOEXEC);
	CHECK_EQ(pwrite(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
	close(fd);
	CHECK_EQ(open_store(dir, &store), WEFT_EDAMAGED);
	CHECK_EQ(store_salvage(dir, print_finding, NULL, &result), 0);
	CHECK(result.has_lost_blobs);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_check(store, true, print_finding, NULL, &checked), 0);
	CHECK_EQ(blob_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_store_that_is_open_is_not_salvaged(void)
{
	struct store_salvage_result result;
	struct store *store;

	scratch_make(dir);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_salvage(dir, NULL, NULL, &result), WEFT_EBUSY);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_backup_is_what_was_stored_when_it_was_made(void)
{
	char backup[SCRATCH_CAP + 16], path[SCRATCH_CAP + 64];
	const struct store_restore_ask ask = {
		.from = backup, .dir = dir, .extra_file = "node.key", .report = print_finding};
	struct store_restore_result result;
	struct store_batch *batch;
	struct store *store;
	uint8_t key[32];

	snprintf(backup, sizeof(backup), "%s.backup", scratch_make(dir));
	CHECK(filled(dir));
	scratch_write(scratch_path(path, sizeof(path), dir, "node.key"), "key", 3);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_backup(store, backup, "node.key"), 0);
	CHECK_EQ(store_backup(store, backup, "node.key"), -EEXIST);
	batch = store_batch_new(store);
	key_of(3, key);
	store_batch_delete(batch, STORE_PEERS, store_key(key, 32));
	store_batch_delete_blob(batch, key);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	CHECK_EQ(store_restore(&ask, &result), WEFT_EBUSY);
	store_close(store);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(store_restore(&ask, &result), 0);
	CHECK_STR(result.aside, "db.old1");
	CHECK_EQ(access(path, F_OK), 0);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(peer_cnt(store), PEER_CNT);
	CHECK_EQ(blob_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(backup);
	scratch_remove(dir);
}

static void test_a_damaged_backup_leaves_what_is_stored(void)
{
	char backup[SCRATCH_CAP + 16], path[SCRATCH_CAP + 64];
	const struct store_restore_ask ask = {.from = backup, .dir = dir, .report = print_finding};
	struct store_restore_result result;
	struct store *store;
	int fd;

	snprintf(backup, sizeof(backup), "%s.backup", scratch_make(dir));
	CHECK(filled(dir));
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(store_backup(store, backup, NULL), 0);
	store_close(store);
	fd = open(scratch_path(path, sizeof(path), backup, "segments/00000001.seg"),
		  O_RDWR | O_CLOEXEC);
	CHECK_EQ(pwrite(fd, "damage", 6, 300), 6);
	close(fd);
	CHECK_EQ(store_restore(&ask, &result), WEFT_EDAMAGED);
	CHECK(result.is_of_backup);
	CHECK(access(scratch_path(path, sizeof(path), dir, "restore"), F_OK) < 0);
	CHECK_EQ(open_store(dir, &store), 0);
	CHECK_EQ(blob_cnt(store), BLOB_CNT);
	store_close(store);
	scratch_remove(backup);
	scratch_remove(dir);
}

int main(void)
{
	if (sysconf(_SC_PAGESIZE) != PAGE_LEN)
		SKIP_ALL("machine: LMDB's pages are not of 4096 bytes here");
	RUN(test_a_damaged_row_is_left_out_alone);
	RUN(test_rows_behind_a_damaged_branch_are_found);
	RUN(test_blobs_outlive_databases_that_cannot_be_read);
	RUN(test_a_store_that_is_open_is_not_salvaged);
	RUN(test_a_backup_is_what_was_stored_when_it_was_made);
	RUN(test_a_damaged_backup_leaves_what_is_stored);
	return check_done();
}
