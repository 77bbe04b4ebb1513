/* SPDX-License-Identifier: Apache-2.0 */
#include "import_rig.h"

/* The chunk list of data proves itself against its content id. */
static bool chunk_list_proves(struct blobs_rig *rig, const uint8_t *content_id, uint64_t size)
{
	uint64_t cnt = blobs_manifest_chunk_cnt(size);
	uint8_t *hashes = malloc((size_t)cnt * 32), root[32];
	struct blake3_chunk_tree tree;
	int err = blobs_object_hashes_read(
		rig->store,
		&(struct object_hashes){.content_id = content_id, .size = size, .cnt = (size_t)cnt},
		hashes);

	blake3_chunk_tree_init(&tree);
	for (uint64_t i = 0; i < cnt; i++)
		blake3_chunk_tree_push(&tree, hashes + 32 * i);
	blake3_chunk_tree_finish(&tree, root);
	free(hashes);
	return err == 0 && memcmp(root, content_id, 32) == 0;
}

static void test_a_tree_becomes_a_manifest(void)
{
	struct blobs_rig rig;
	struct rig_import seen;
	struct manifest *m;
	uint8_t *bytes;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_mkdir(&rig, "t/sub");
	rig_mkdir(&rig, "t/void");
	rig_file(&rig, "t/a", 0, 1);
	rig_file(&rig, "t/b", 1, 2);
	rig_file(&rig, "t/chunk", CHUNK, 3);
	rig_file(&rig, "t/more", CHUNK + 1, 4);
	rig_file(&rig, "t/sub/big", 70 * CHUNK + 12345, 5);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.file_cnt, 5);
	CHECK_EQ(seen.told.file_done_cnt, 5);
	CHECK_EQ(seen.told.byte_cnt, 1 + CHUNK + CHUNK + 1 + 70 * CHUNK + 12345);
	CHECK_EQ(seen.told.byte_done_cnt, seen.told.byte_cnt);
	CHECK_EQ(seen.told.reused_cnt, 0);
	CHECK(seen.progress_cnt > 0);
	m = rig_manifest(&rig, seen.told.manifest_id, &bytes);
	CHECK(m);
	CHECK_EQ(m->shape, MANIFEST_WHOLE);
	CHECK_STR(m->title, "t");
	CHECK(m->created_s >= 5000 && m->created_s < rig.wall_s);
	CHECK_EQ(m->item_cnt, 5);
	CHECK(item_is(m, 0, "a", 0, 1));
	CHECK(item_is(m, 1, "b", 1, 2));
	CHECK(item_is(m, 2, "chunk", CHUNK, 3));
	CHECK(item_is(m, 3, "more", CHUNK + 1, 4));
	CHECK(item_is(m, 4, "sub/big", 70 * CHUNK + 12345, 5));
	CHECK_EQ(m->dir_cnt, 1);
	CHECK_MEM(m->dirs[0].path, "void", 4);
	for (uint32_t i = 1; i < 5; i++)
		CHECK(chunk_list_proves(&rig, m->items[i].content_id, m->items[i].size));
	blobs_manifest_free(m);
	free(bytes);
	CHECK_EQ(rig.events[BLOBS_SHARE_ADDED], 1);
	rig_end(&rig);
}

static void test_a_share_outlives_a_restart_and_is_not_read_again(void)
{
	struct blobs_share_iter iter = {0};
	struct blobs_share share, none;
	struct blobs_rig rig;
	struct rig_import first, again;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/a", 100, 1);
	rig_file(&rig, "t/b", 3 * CHUNK, 2);
	CHECK_EQ(rig_share(&rig, "t", &first), 0);
	rig_close(&rig);
	CHECK_EQ(rig_open(&rig, 0), 0);
	iter.content = rig.content;
	CHECK(blobs_shares_next(&iter, &share));
	CHECK(!blobs_shares_next(&iter, &none));
	CHECK_EQ(share.item_cnt, 2);
	CHECK_EQ(share.byte_cnt, 100 + 3 * CHUNK);
	CHECK_MEM(share.manifest_id, first.told.manifest_id, 32);
	CHECK(blobs_shares_has_manifest(rig.content->shares, first.told.manifest_id));
	/* The ctime is fresh, so the records are racy: these are read again, once. */
	CHECK_EQ(rig_share(&rig, "t/", &again), 0);
	CHECK_MEM(again.told.manifest_id, first.told.manifest_id, 32);
	CHECK_EQ(again.told.byte_done_cnt, again.told.byte_cnt);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 1);
	rig_end(&rig);
}

/* Makes the records of a share trustworthy, as they are two seconds later. */
static void records_age(struct blobs_rig *rig, const char *const *names, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct store_batch *batch = store_batch_new(rig->store);
		struct store_snapshot *snapshot;
		static struct object_file file;
		char path[4096];

		scratch_path(path, sizeof(path), rig->dir, names[i]);
		CHECK_EQ(store_snapshot_open(rig->store, &snapshot), 0);
		CHECK_EQ(blobs_object_file_get(snapshot, path, &file), 0);
		store_snapshot_close(snapshot);
		CHECK(file.is_racy);
		file.is_racy = false;
		blobs_object_file_put(batch, &file, &file);
		CHECK_EQ(store_submit(rig->store, batch, NULL, NULL), 0);
		store_flush(rig->store);
	}
}

static void test_unchanged_files_are_reused_and_changed_ones_read(void)
{
	static const char *const names[] = {"t/a", "t/b", "t/c"};
	struct blobs_rig rig;
	struct rig_import seen;
	struct manifest *m;
	uint8_t *bytes;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/a", 100, 1);
	rig_file(&rig, "t/b", 3 * CHUNK, 2);
	rig_file(&rig, "t/c", 200, 3);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	records_age(&rig, names, 3);
	rig_file(&rig, "t/c", 200, 4);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.reused_cnt, 2);
	CHECK_EQ(seen.told.file_done_cnt, 3);
	m = rig_manifest(&rig, seen.told.manifest_id, &bytes);
	CHECK(m);
	CHECK(item_is(m, 0, "a", 100, 1));
	CHECK(item_is(m, 1, "b", 3 * CHUNK, 2));
	CHECK(item_is(m, 2, "c", 200, 4));
	blobs_manifest_free(m);
	free(bytes);
	rig_end(&rig);
}

static int location_cnt(struct store_snapshot *snapshot, const uint8_t *content_id)
{
	static struct object_locations locations;
	int cnt = 0, err;

	blobs_object_locations_begin(&locations, snapshot, content_id);
	while (blobs_object_locations_next(&locations))
		cnt++;
	err = blobs_object_locations_end(&locations);
	return err < 0 ? err : cnt;
}

static void test_equal_files_are_one_object_in_two_places(void)
{
	struct store_snapshot *snapshot;
	struct blobs_rig rig;
	struct rig_import seen;
	struct manifest *m;
	uint8_t *bytes;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/a", 3 * CHUNK, 1);
	rig_file(&rig, "t/b", 3 * CHUNK, 1);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	m = rig_manifest(&rig, seen.told.manifest_id, &bytes);
	CHECK(m);
	CHECK_MEM(m->items[0].content_id, m->items[1].content_id, 32);
	CHECK_EQ(store_snapshot_open(rig.store, &snapshot), 0);
	CHECK_EQ(location_cnt(snapshot, m->items[0].content_id), 2);
	store_snapshot_close(snapshot);
	/* A file whose content became another's is no location of the old any more. */
	rig_file(&rig, "t/b", 10, 9);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(store_snapshot_open(rig.store, &snapshot), 0);
	CHECK_EQ(location_cnt(snapshot, m->items[0].content_id), 1);
	store_snapshot_close(snapshot);
	blobs_manifest_free(m);
	free(bytes);
	rig_end(&rig);
}

/* More files than a manifest takes: a root and parts, which hold all items in order. */
static void test_many_files_become_parts(void)
{
	enum { CNT = 25 };
	struct blobs_rig rig;
	struct rig_import seen;
	struct manifest *root, *part;
	uint8_t *root_bytes, *part_bytes;
	uint32_t item_cnt = 0;
	char name[32];

	CHECK(rig_begin(&rig));
	rig.content->params.config.item_cap = 10;
	rig_mkdir(&rig, "t");
	for (unsigned i = 0; i < CNT; i++) {
		snprintf(name, sizeof(name), "t/%05u", i);
		rig_file(&rig, name, 5, i % 7);
	}
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.file_done_cnt, CNT);
	root = rig_manifest(&rig, seen.told.manifest_id, &root_bytes);
	CHECK(root);
	CHECK_EQ(root->shape, MANIFEST_ROOT);
	CHECK(root->part_cnt >= 3);
	CHECK_EQ(root->all_item_cnt, CNT);
	CHECK_EQ(root->all_byte_cnt, CNT * 5);
	for (uint32_t i = 0; i < root->part_cnt; i++) {
		CHECK(blobs_shares_has_manifest(rig.content->shares, root->parts[i].manifest_id));
		part = rig_manifest(&rig, root->parts[i].manifest_id, &part_bytes);
		CHECK(part);
		CHECK_EQ(part->shape, MANIFEST_PART);
		CHECK_EQ(part->item_cnt, root->parts[i].item_cnt);
		CHECK_EQ(part->all_byte_cnt, root->parts[i].byte_cnt);
		for (uint32_t k = 0; k < part->item_cnt; k += 3) {
			snprintf(name, sizeof(name), "%05u", item_cnt + k);
			CHECK(item_is(part, k, name, 5, (item_cnt + k) % 7));
		}
		item_cnt += part->item_cnt;
		blobs_manifest_free(part);
		free(part_bytes);
	}
	CHECK_EQ(item_cnt, CNT);
	/* The parts are served after a restart as well. */
	rig_close(&rig);
	CHECK_EQ(rig_open(&rig, 0), 0);
	CHECK(blobs_shares_has_manifest(rig.content->shares, root->parts[2].manifest_id));
	blobs_manifest_free(root);
	free(root_bytes);
	rig_end(&rig);
}

static void test_a_cancelled_import_ends_and_keeps_what_it_hashed(void)
{
	struct blobs_rig rig;
	struct rig_import seen, queued;
	char name[32];

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	for (unsigned i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "t/%03u", i);
		rig_file(&rig, name, 5, i);
	}
	CHECK_EQ(rig_add(&rig, "t", &seen), 0);
	CHECK_EQ(rig_add(&rig, "t", &queued), 0);
	CHECK_EQ(blobs_import_cancel(rig.content, 99), WEFT_EABSENT);
	CHECK_EQ(blobs_import_cancel(rig.content, 2), 0);
	while (seen.told.file_done_cnt < 100 && !seen.done_cnt)
		rig_turn(&rig);
	CHECK_EQ(queued.done_cnt, 1);
	CHECK_EQ(queued.err, WEFT_ECANCELLED);
	CHECK_EQ(seen.done_cnt, 0);
	CHECK_EQ(blobs_import_cancel(rig.content, 1), 0);
	for (int i = 0; i < 100 && !seen.done_cnt; i++)
		rig_turn(&rig);
	CHECK_EQ(seen.done_cnt, 1);
	CHECK_EQ(seen.err, WEFT_ECANCELLED);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 0);
	CHECK_EQ(blobs_import_cancel(rig.content, 1), WEFT_EABSENT);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.file_done_cnt, 900);
	rig_end(&rig);
}

static void remove_note(void *arg, int err)
{
	*(int *)arg = err;
}

static void test_a_removed_share_is_gone_after_the_commit(void)
{
	struct blobs_rig rig;
	struct rig_import seen;
	int err = 1;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(blobs_share_remove(rig.content, seen.told.manifest_id, remove_note, &err), 0);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 1);
	CHECK_EQ(blobs_share_remove(rig.content, seen.told.manifest_id, NULL, NULL), WEFT_EABSENT);
	rig_turn(&rig);
	CHECK_EQ(err, 0);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 0);
	CHECK(!blobs_shares_has_manifest(rig.content->shares, seen.told.manifest_id));
	rig_close(&rig);
	CHECK_EQ(rig_open(&rig, 0), 0);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 0);
	rig_end(&rig);
}

static void collect(void *arg, const uint8_t *data, size_t len)
{
	blake3_update(arg, data, len);
}

static void test_both_ways_of_reading_read_the_same(void)
{
	static const size_t lens[] = {1, CHUNK, CHUNK + 1, 9 * CHUNK, 23 * CHUNK + 77};
	struct blobs_rig rig;
	char path[4096];

	CHECK(rig_begin(&rig));
	rig_file(&rig, "f", 24 * CHUNK, 3);
	scratch_path(path, sizeof(path), rig.dir, "f");
	for (enum import_read_way way = IMPORT_READ_URING; way <= IMPORT_READ_PLAIN; way++) {
		struct import_reader *reader;
		int refusal;
		uint8_t *data = malloc(24 * CHUNK), want[32], got[32];
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		rig_pattern(data, 24 * CHUNK, 3);
		CHECK_EQ(blobs_import_reader_new(way, &reader), 0);
		/* -ENOENT: this system has no io_uring. */
		refusal = uring_probe_refusal();
		CHECK(refusal == -ENOENT || (way == IMPORT_READ_URING && refusal == -EACCES));
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct blake3 hash;
			size_t off = i * 1000;
			size_t len = lens[i] < 24 * CHUNK - off ? lens[i] : 24 * CHUNK - off;

			blake3_init(&hash);
			CHECK_EQ(blobs_import_reader_run(reader,
							 &(struct import_part){fd, off, len},
							 collect, &hash),
				 0);
			blake3_final(&hash, got, 32);
			blake3_hash(data + off, len, want);
			CHECK_MEM(got, want, 32);
		}
		struct blake3 hash;

		blake3_init(&hash);
		CHECK_EQ(blobs_import_reader_run(reader, &(struct import_part){fd, 0, 25 * CHUNK},
						 collect, &hash),
			 WEFT_ECHANGED);
		CHECK_EQ(blobs_import_reader_run(reader, &(struct import_part){-1, 0, 3 * CHUNK},
						 collect, &hash),
			 -EBADF);
		CHECK_EQ(blobs_import_reader_run(reader, &(struct import_part){fd, 0, 3 * CHUNK},
						 collect, &hash),
			 0);
		blobs_import_reader_free(reader);
		free(data);
		close(fd);
	}
	rig_end(&rig);
}

static void test_threads_hash_the_same_tree_to_the_same_name(void)
{
	struct blobs_rig rig;
	struct rig_import alone, threaded;
	char name[32];

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/big", 300 * CHUNK + 5, 1);
	rig_file(&rig, "t/big2", 150 * CHUNK + 5, 2);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "t/%03u", i);
		rig_file(&rig, name, i * 100, i);
	}
	CHECK_EQ(rig_share(&rig, "t", &alone), 0);
	rig_close(&rig);
	CHECK_EQ(rig_open(&rig, 3), 0);
	CHECK(blobs_fd(rig.content) >= 0);
	CHECK_EQ(rig_add(&rig, "t", &threaded), 0);
	while (!threaded.done_cnt) {
		rig_turn(&rig);
		usleep(200);
	}
	CHECK_EQ(threaded.err, 0);
	CHECK_MEM(threaded.told.manifest_id, alone.told.manifest_id, 32);
	rig_end(&rig);
}

/* Closing after every number of turns, with a batch or a share on its way. */
static void test_closing_in_the_middle_calls_no_callback_and_loses_nothing(void)
{
	for (unsigned turn_cnt = 0; turn_cnt < 14; turn_cnt++) {
		struct blobs_rig rig;
		struct rig_import seen;
		unsigned before;

		CHECK(rig_begin(&rig));
		rig_mkdir(&rig, "t");
		rig_file(&rig, "t/a", 100, 1);
		rig_file(&rig, "t/b", 3 * CHUNK, 2);
		CHECK_EQ(rig_add(&rig, "t", &seen), 0);
		for (unsigned i = 0; i < turn_cnt / 2; i++)
			rig_turn(&rig);
		/* Half a turn: jobs come back, the store does not answer yet. */
		if (turn_cnt % 2)
			blobs_reap(rig.content, ++rig.now_ns);
		before = seen.done_cnt;
		rig_close(&rig);
		CHECK_EQ(seen.done_cnt, before);
		CHECK_EQ(rig_open(&rig, 0), 0);
		CHECK_EQ(rig_share(&rig, "t", &seen), 0);
		CHECK_EQ(blobs_shares_cnt(rig.content->shares), 1);
		rig_end(&rig);
	}
}

/* tmpfs and btrfs keep such times; nanoseconds end in 2262. */
static void test_time_that_nanoseconds_cannot_say_is_cut(void)
{
	static const struct {
		int64_t s, ns, want_ns;
	} rows[] = {
		{0, 0, 0},
		{-1, 5, -999999995},
		{9223372036, 854775807, INT64_MAX},
		{9223372036, 854775808, INT64_MAX},
		{9223372037, 0, INT64_MAX},
		{INT64_MAX, 0, INT64_MAX},
		{INT64_MIN, 0, INT64_MIN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stat st = {.st_mtim = {.tv_sec = rows[i].s, .tv_nsec = rows[i].ns}};
		struct object_stamp stamp;

		blobs_object_stamp_of(&st, &stamp);
		CHECK_EQ(stamp.mtime_ns, rows[i].want_ns);
	}
}

int main(void)
{
	RUN(test_closing_in_the_middle_calls_no_callback_and_loses_nothing);
	RUN(test_a_tree_becomes_a_manifest);
	RUN(test_a_share_outlives_a_restart_and_is_not_read_again);
	RUN(test_unchanged_files_are_reused_and_changed_ones_read);
	RUN(test_equal_files_are_one_object_in_two_places);
	RUN(test_many_files_become_parts);
	RUN(test_a_cancelled_import_ends_and_keeps_what_it_hashed);
	RUN(test_a_removed_share_is_gone_after_the_commit);
	RUN(test_both_ways_of_reading_read_the_same);
	RUN(test_threads_hash_the_same_tree_to_the_same_name);
	RUN(test_time_that_nanoseconds_cannot_say_is_cut);
	return check_done();
}
