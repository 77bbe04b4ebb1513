/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/publish/diff.h"

#include "publish_rig.h"

struct told {
	unsigned done_cnt;
	int err;
	uint64_t cnts[DIFF_KIND_CNT];
	uint32_t line_cnt;
	bool is_cut;
	char first[64], last[64];
	enum diff_kind first_kind;
};

static void diff_note(void *arg, int err, const struct diff *diff)
{
	struct told *told = arg;

	told->done_cnt++;
	told->err = err;
	memcpy(told->cnts, diff->cnts, sizeof(told->cnts));
	told->line_cnt = diff->line_cnt;
	told->is_cut = diff->is_cut;
	if (!diff->line_cnt)
		return;
	told->first_kind = diff->lines[0].kind;
	snprintf(told->first, sizeof(told->first), "%s", diff->lines[0].path);
	snprintf(told->last, sizeof(told->last), "%s", diff->lines[diff->line_cnt - 1].path);
}

static int diff_run_to_end(struct publish_rig *p, const uint8_t *before, const uint8_t *after,
			   struct told *told)
{
	int err;

	memset(told, 0, sizeof(*told));
	err = shares_diff_start(p->rig.store, p->rig.jobs,
				&(struct diff_ask){before, after, diff_note, told});
	for (unsigned i = 0; err == 0 && i < 10 && !told->done_cnt; i++)
		pub_turn(p);
	return err < 0 ? err : told->done_cnt == 1 ? told->err : 1;
}

static void test_two_revisions_are_compared_by_path(void)
{
	struct publish_rig p;
	struct revised first, second;
	struct told told;
	char path[4096];
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	p.rig.content->params.config.item_cap = 12;
	pub_tree(&p, "t", 200);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &first), 0);
	rig_file(&p.rig, "t/0050a", 4, 1);
	rig_file(&p.rig, "t/0120.txt", 11, 1);
	rig_file(&p.rig, "t/zz", 4, 1);
	CHECK_EQ(unlink(scratch_path(path, sizeof(path), p.rig.dir, "t/0007.txt")), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &second), 0);
	CHECK_EQ(diff_run_to_end(&p, first.manifest_id, second.manifest_id, &told), 0);
	CHECK_EQ(told.cnts[DIFF_ADDED], 2);
	CHECK_EQ(told.cnts[DIFF_REMOVED], 1);
	CHECK_EQ(told.cnts[DIFF_CHANGED], 1);
	CHECK_EQ(told.line_cnt, 4);
	CHECK_STR(told.first, "0007.txt");
	CHECK_EQ(told.first_kind, DIFF_REMOVED);
	CHECK_STR(told.last, "zz");
	/* The other way round, and with itself. */
	CHECK_EQ(diff_run_to_end(&p, second.manifest_id, first.manifest_id, &told), 0);
	CHECK_EQ(told.cnts[DIFF_ADDED], 1);
	CHECK_EQ(told.first_kind, DIFF_ADDED);
	CHECK_EQ(diff_run_to_end(&p, second.manifest_id, second.manifest_id, &told), 0);
	CHECK_EQ(told.line_cnt, 0);
	memset(first.manifest_id, 1, 32);
	CHECK_EQ(diff_run_to_end(&p, first.manifest_id, second.manifest_id, &told), WEFT_EABSENT);
	pub_end(&p);
}

static void test_a_whole_and_a_root_are_compared(void)
{
	struct publish_rig p;
	struct revised first, second;
	struct told told;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 40);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &first), 0);
	p.rig.content->params.config.item_cap = 12;
	rig_file(&p.rig, "t/0050a", 4, 1);
	CHECK_EQ(pub_publish(&p, id, "t", &second), 0);
	CHECK_EQ(diff_run_to_end(&p, first.manifest_id, second.manifest_id, &told), 0);
	CHECK_EQ(told.line_cnt, 1);
	CHECK_STR(told.first, "0050a");
	pub_end(&p);
}

/* More lines than are told are counted all the same. */
static void test_lines_have_a_limit(void)
{
	struct manifest_builder *b;
	struct store_batch *batch;
	struct publish_rig p;
	struct told told;
	uint8_t ids[2][32], part_ids[4][32];
	const uint8_t *bytes;
	size_t len;
	char path[32];

	CHECK(pub_begin(&p, NULL));
	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	batch = store_batch_new(p.rig.store);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, 1, "", &len);
	blake3_hash(bytes, len, ids[0]);
	store_batch_put_blob(batch, ids[0], bytes, len);
	for (unsigned part = 0; part < 4; part++) {
		unsigned cnt = part < 3 ? 3000 : 1001;

		blobs_manifest_builder_reset(b);
		for (unsigned i = 0; i < cnt; i++) {
			struct manifest_item item = {.content_id = ids[0], .size = 1, .path = path};

			snprintf(path, sizeof(path), "%u-%05u", part, i);
			item.path_len = strlen(path);
			CHECK_EQ(blobs_manifest_builder_add_item(b, &item), 0);
		}
		bytes = blobs_manifest_builder_encode(b, MANIFEST_PART, 0, "", &len);
		blake3_hash(bytes, len, part_ids[part]);
		store_batch_put_blob(batch, part_ids[part], bytes, len);
	}
	blobs_manifest_builder_reset(b);
	for (unsigned part = 0; part < 4; part++) {
		struct manifest_part row = {part_ids[part], part < 3 ? 3000 : 1001, 3000, 100};

		CHECK_EQ(blobs_manifest_builder_add_part(b, &row), 0);
	}
	bytes = blobs_manifest_builder_encode(b, MANIFEST_ROOT, 1, "", &len);
	blake3_hash(bytes, len, ids[1]);
	store_batch_put_blob(batch, ids[1], bytes, len);
	CHECK_EQ(store_submit(p.rig.store, batch, NULL, NULL), 0);
	store_flush(p.rig.store);
	CHECK_EQ(diff_run_to_end(&p, ids[0], ids[1], &told), 0);
	CHECK_EQ(told.cnts[DIFF_ADDED], 10001);
	CHECK_EQ(told.line_cnt, DIFF_LINES_MAX);
	CHECK(told.is_cut);
	blobs_manifest_builder_free(b);
	pub_end(&p);
}

int main(void)
{
	RUN(test_two_revisions_are_compared_by_path);
	RUN(test_a_whole_and_a_root_are_compared);
	RUN(test_lines_have_a_limit);
	return check_done();
}
