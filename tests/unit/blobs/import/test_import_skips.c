/* SPDX-License-Identifier: Apache-2.0 */
/* What an import leaves out, and what it refuses. */
#include "import_rig.h"

static void test_skipped_things_are_counted_with_an_example(void)
{
	char path[4096];
	struct blobs_rig rig;
	struct rig_import seen;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/ok", 10, 1);
	rig_file(&rig, "t/x\xff", 10, 1);
	rig_file(&rig, "t/.weft-mine", 10, 1);
	CHECK_EQ(symlink("/etc/passwd", scratch_path(path, sizeof(path), rig.dir, "t/link")), 0);
	CHECK_EQ(mkfifo(scratch_path(path, sizeof(path), rig.dir, "t/pipe"), 0600), 0);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.file_done_cnt, 1);
	CHECK_EQ(seen.told.skipped_name_cnt, 2);
	CHECK_EQ(seen.told.skipped_symlink_cnt, 1);
	CHECK_EQ(seen.told.skipped_special_cnt, 1);
	CHECK_STR(seen.told.first_skipped, ".weft-mine: a name that cannot be shared");
	CHECK(seen.told.skipped_told_cnt >= 1);
	CHECK_STR(seen.told.skipped, ".weft-mine: a name that cannot be shared");
	rig_end(&rig);
}

static void test_the_list_of_what_was_skipped_is_bounded(void)
{
	struct blobs_rig rig;
	struct rig_import seen;
	char name[32];

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/ok", 10, 1);
	for (unsigned i = 0; i <= BLOBS_SKIPPED_MAX; i++) {
		snprintf(name, sizeof(name), "t/.weft-%u", i);
		rig_file(&rig, name, 10, 1);
	}
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(seen.told.skipped_name_cnt, BLOBS_SKIPPED_MAX + 1);
	CHECK_EQ(seen.told.skipped_told_cnt, BLOBS_SKIPPED_MAX);
	rig_end(&rig);
}

static bool is_reachable(struct blobs_rig *rig, const char *path)
{
	struct object_file file = {.is_got = false};

	snprintf(file.path, sizeof(file.path), "%s", path);
	return blobs_served_index_has_file(blobs_served_index(rig->content), &file);
}

static void test_a_single_file_is_shared_by_its_name(void)
{
	char path[4096];
	struct blobs_rig rig;
	struct rig_import seen;
	struct manifest *m;
	uint8_t *bytes;

	CHECK(rig_begin(&rig));
	rig_file(&rig, "one.bin", 2 * CHUNK, 7);
	CHECK_EQ(rig_share(&rig, "one.bin", &seen), 0);
	m = rig_manifest(&rig, seen.told.manifest_id, &bytes);
	CHECK(m);
	CHECK_EQ(m->item_cnt, 1);
	CHECK(item_is(m, 0, "one.bin", 2 * CHUNK, 7));
	blobs_manifest_free(m);
	free(bytes);
	scratch_path(path, sizeof(path), rig.dir, "one.bin");
	CHECK(is_reachable(&rig, path));
	CHECK(!is_reachable(&rig, rig.dir));
	rig_end(&rig);
}

static void test_what_cannot_be_shared_is_an_error(void)
{
	char path[4096];
	struct blobs_rig rig;
	struct rig_import seen;
	struct blobs_share_ask ask = {.path = "relative"};
	uint64_t id;

	CHECK(rig_begin(&rig));
	CHECK_EQ(rig_share(&rig, "absent", &seen), -ENOENT);
	CHECK(strstr(seen.detail, "cannot walk"));
	CHECK_EQ(mkfifo(scratch_path(path, sizeof(path), rig.dir, "pipe"), 0600), 0);
	CHECK_EQ(rig_share(&rig, "pipe", &seen), WEFT_EUNSAFE);
	CHECK_STR(seen.detail, "it is a FIFO, not a regular file or folder");
	CHECK_EQ(blobs_share_add(rig.content, &ask, 1, &id), WEFT_EUNSAFE);
	ask.path = "/tmp/../etc";
	CHECK_EQ(blobs_share_add(rig.content, &ask, 1, &id), WEFT_EUNSAFE);
	ask.path = "/tmp";
	ask.title = "two\nlines";
	CHECK_EQ(blobs_share_add(rig.content, &ask, 1, &id), WEFT_EMALFORMED);
	CHECK_EQ(blobs_shares_cnt(rig.content->shares), 0);
	rig_end(&rig);
}

static void test_a_file_that_changes_while_it_is_read_is_left_out(void)
{
	struct blobs_rig rig;
	struct rig_import seen;
	char path[4096];

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/big", 200 * CHUNK, 1);
	rig_file(&rig, "t/gone", 10, 1);
	rig_file(&rig, "t/ok", 10, 1);
	CHECK_EQ(rig_add(&rig, "t", &seen), 0);
	scratch_path(path, sizeof(path), rig.dir, "t/big");
	for (unsigned i = 0; i < 1000 && !seen.done_cnt; i++) {
		/* It grows every turn; the other is there when it is listed only. */
		CHECK_EQ(truncate(path, (off_t)(200 * CHUNK + i)), 0);
		rig_turn(&rig);
		if (i == 1) {
			char gone[4096];

			unlink(scratch_path(gone, sizeof(gone), rig.dir, "t/gone"));
		}
	}
	CHECK_EQ(seen.done_cnt, 1);
	CHECK_EQ(seen.err, 0);
	CHECK_EQ(seen.told.file_done_cnt, 1);
	CHECK_EQ(seen.told.skipped_changed_cnt, 2);
	rig_end(&rig);
}

static void test_one_share_more_than_the_cap_is_refused(void)
{
	struct blobs_rig rig;
	struct blobs_config config;
	struct rig_import seen;

	CHECK(rig_begin(&rig));
	config = rig.content->params.config;
	config.share_cap = 1;
	blobs_configure(rig.content, &config);
	rig_mkdir(&rig, "a");
	rig_mkdir(&rig, "b");
	rig_file(&rig, "b/f", 1, 1);
	CHECK_EQ(rig_share(&rig, "a", &seen), 0);
	CHECK_EQ(rig_share(&rig, "b", &seen), WEFT_EFULL);
	rig_end(&rig);
}

int main(void)
{
	RUN(test_skipped_things_are_counted_with_an_example);
	RUN(test_a_single_file_is_shared_by_its_name);
	RUN(test_what_cannot_be_shared_is_an_error);
	RUN(test_a_file_that_changes_while_it_is_read_is_left_out);
	RUN(test_one_share_more_than_the_cap_is_refused);
	RUN(test_the_list_of_what_was_skipped_is_bounded);
	return check_done();
}
