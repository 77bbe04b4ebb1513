/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/served_index.h"
#include "content_rig.h"

#define CHUNK BLAKE3_CHUNK_LEN

struct sweep {
	unsigned done_cnt;
	int err;
	struct blobs_gc told;
};

static void sweep_done(void *arg, int err, const struct blobs_gc *gc)
{
	struct sweep *sweep = arg;

	sweep->done_cnt++;
	sweep->err = err;
	sweep->told = *gc;
}

static int sweep_run(struct blobs_rig *rig, bool run, struct sweep *sweep)
{
	int err;

	memset(sweep, 0, sizeof(*sweep));
	err = blobs_gc(rig->content, run, sweep_done, sweep);
	for (int i = 0; err == 0 && i < 10000 && !sweep->done_cnt; i++)
		rig_turn(rig);
	return err < 0 ? err : sweep->done_cnt == 1 ? sweep->err : 1;
}

static void remove_note(void *arg, int err)
{
	*(int *)arg = err;
}

static int remove_share(struct blobs_rig *rig, const uint8_t *id)
{
	int outcome = 1, err = blobs_share_remove(rig->content, id, remove_note, &outcome);

	rig_turn(rig);
	return err < 0 ? err : outcome;
}

static bool trees_make(struct blobs_rig *rig, struct rig_import *kept, struct rig_import *left)
{
	char name[32];

	if (!rig_begin(rig))
		return false;
	rig_mkdir(rig, "kept");
	rig_mkdir(rig, "left");
	rig_file(rig, "kept/big", 5 * CHUNK, 1);
	rig_file(rig, "left/twin", 5 * CHUNK, 1);
	rig_file(rig, "left/own", 7 * CHUNK, 2);
	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "left/%03u", i);
		rig_file(rig, name, 10, i);
	}
	return rig_share(rig, "kept", kept) == 0 && rig_share(rig, "left", left) == 0;
}

static void test_what_is_shared_is_kept(void)
{
	struct rig_import kept, left;
	struct blobs_rig rig;
	struct sweep sweep;

	CHECK(trees_make(&rig, &kept, &left));
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.path_cnt + sweep.told.object_cnt + sweep.told.blob_cnt, 0);
	rig_end(&rig);
}

static void test_what_no_share_needs_is_planned_then_swept(void)
{
	struct store_stats before, planned, after;
	struct rig_import kept, left;
	struct blobs_rig rig;
	struct sweep plan, run, again;
	struct manifest *m;
	uint8_t *bytes, hashes[5 * 32];

	CHECK(trees_make(&rig, &kept, &left));
	CHECK_EQ(remove_share(&rig, left.told.manifest_id), 0);
	store_stats(rig.store, &before);
	CHECK_EQ(sweep_run(&rig, false, &plan), 0);
	store_stats(rig.store, &planned);
	CHECK_EQ(planned.batch_cnt, before.batch_cnt);
	CHECK_EQ(plan.told.path_cnt, 702);
	CHECK_EQ(sweep_run(&rig, true, &run), 0);
	CHECK_EQ(run.told.path_cnt, 702);
	CHECK_EQ(run.told.object_cnt, plan.told.object_cnt);
	CHECK_EQ(run.told.blob_cnt, plan.told.blob_cnt);
	/* The manifest and one chunk list: the other belongs to the kept twin too. */
	CHECK_EQ(run.told.blob_cnt, 2);
	store_stats(rig.store, &after);
	CHECK_EQ(after.item_cnt[STORE_PATHS], 1);
	CHECK_EQ(after.item_cnt[STORE_OBJECTS], 1);
	CHECK_EQ(after.item_cnt[STORE_OUTBOARDS], 1);
	CHECK_EQ(after.item_cnt[STORE_BLOBS], 2);
	CHECK_EQ(after.segment_dead_len, 0);
	CHECK(after.segment_len < before.segment_len);
	m = rig_manifest(&rig, kept.told.manifest_id, &bytes);
	CHECK(m);
	CHECK_EQ(blobs_object_hashes_read(
			 rig.store,
			 &(struct object_hashes){
				 .content_id = m->items[0].content_id, .size = 5 * CHUNK, .cnt = 5},
			 hashes),
		 0);
	blobs_manifest_free(m);
	free(bytes);
	CHECK_EQ(sweep_run(&rig, true, &again), 0);
	CHECK_EQ(again.told.path_cnt + again.told.object_cnt + again.told.blob_cnt, 0);
	rig_end(&rig);
}

/* A holder that keeps one manifest as the part of another, or cannot tell. */
struct keeper {
	uint8_t part_id[32];
	bool fails;
};

static bool keeper_each(void *ctx, blobs_holder_fn fn, void *arg)
{
	static const uint8_t root_id[32] = {0xaa};
	struct keeper *keeper = ctx;

	return !keeper->fails && fn(arg, root_id, keeper->part_id, 1);
}

static void test_what_a_holder_names_is_kept_and_reached(void)
{
	struct keeper keeper = {0};
	const struct blobs_retainer holder = {.manifests_each = keeper_each, .ctx = &keeper};
	struct rig_import kept, left;
	struct blobs_rig rig;
	struct manifest *manifest;
	struct sweep sweep;
	uint8_t *bytes;

	CHECK(trees_make(&rig, &kept, &left));
	CHECK_EQ(blobs_add_holder(rig.content, &holder), 0);
	memcpy(keeper.part_id, left.told.manifest_id, 32);
	blobs_holder_changed(rig.content);
	CHECK_EQ(remove_share(&rig, left.told.manifest_id), 0);
	CHECK(blobs_served_index_gives_manifest(blobs_served_index(rig.content), keeper.part_id,
						NULL));

	/* A user that cannot tell which files it keeps may keep all of them. */
	keeper.fails = true;
	blobs_holder_changed(rig.content);
	CHECK(sweep_run(&rig, true, &sweep) < 0);
	keeper.fails = false;
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	manifest = rig_manifest(&rig, keeper.part_id, &bytes);
	CHECK(manifest);
	blobs_manifest_free(manifest);
	free(bytes);

	memset(keeper.part_id, 0, 32);
	blobs_holder_changed(rig.content);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 1);
	rig_end(&rig);
}

/* A holder of blobs without a manifest, such as attachments of posts. */
struct blob_keeper {
	uint8_t id[32];
	bool fails;
	uint32_t made_up_cnt; /* ids of no blob that are named too, each with id once more */
};

static bool keeper_has_none(void *ctx, blobs_holder_fn fn, void *arg)
{
	(void)ctx, (void)fn, (void)arg;
	return true;
}

static bool keeper_blobs(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct blob_keeper *keeper = ctx;
	uint8_t made_up[32] = {0xee};
	bool goes_on = !keeper->fails;

	for (uint32_t i = 0; i < keeper->made_up_cnt && goes_on; i++) {
		memcpy(made_up + 1, &i, sizeof(i));
		goes_on = fn(arg, made_up) && fn(arg, keeper->id);
	}
	return goes_on && fn(arg, keeper->id);
}

static void test_a_blob_without_a_manifest_stays_while_a_holder_keeps_it(void)
{
	struct blob_keeper keeper = {.fails = true};
	const struct blobs_retainer holder = {
		.manifests_each = keeper_has_none, .ctx = &keeper, .blobs_each = keeper_blobs};
	struct rig_import kept, left;
	struct blobs_rig rig;
	struct sweep sweep;

	CHECK(trees_make(&rig, &kept, &left));
	CHECK_EQ(blobs_add_holder(rig.content, &holder), 0);
	memcpy(keeper.id, left.told.manifest_id, 32);
	CHECK_EQ(remove_share(&rig, left.told.manifest_id), 0);
	CHECK_EQ(sweep_run(&rig, true, &sweep), WEFT_EBUSY);
	CHECK_EQ(sweep.told.blob_cnt, 0);
	keeper.fails = false;
	/* The chunk list of the share goes, and what is kept stays. */
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 1);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 0);
	/* It is in no record, and is not served in the name of a share. */
	CHECK(!blobs_served_index_gives_manifest(blobs_served_index(rig.content), keeper.id, NULL));
	keeper.id[0] ^= 1;
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 1);
	rig_end(&rig);
}

/* A post of any author may name thousands of ids, and a node holds many posts. */
static void test_ids_of_no_blob_and_ids_named_again_take_no_memory(void)
{
	struct blob_keeper keeper = {.made_up_cnt = 100000};
	const struct blobs_retainer holder = {
		.manifests_each = keeper_has_none, .ctx = &keeper, .blobs_each = keeper_blobs};
	struct rig_import kept, left;
	struct blobs_rig rig;
	struct sweep sweep;

	CHECK(trees_make(&rig, &kept, &left));
	CHECK_EQ(blobs_add_holder(rig.content, &holder), 0);
	memcpy(keeper.id, left.told.manifest_id, 32);
	CHECK_EQ(remove_share(&rig, left.told.manifest_id), 0);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 1);
	CHECK(sweep.told.mark_max <= 1024);
	keeper.id[0] ^= 1;
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.blob_cnt, 1);
	rig_end(&rig);
}

static void test_holders_have_a_limit(void)
{
	struct keeper keeper = {0};
	const struct blobs_retainer holder = {.manifests_each = keeper_each, .ctx = &keeper};
	struct blobs_rig rig;

	CHECK(rig_begin(&rig));
	for (unsigned i = 0; i < BLOBS_HOLDERS_MAX; i++)
		CHECK_EQ(blobs_add_holder(rig.content, &holder), 0);
	CHECK_EQ(blobs_add_holder(rig.content, &holder), WEFT_EFULL);
	rig_end(&rig);
}

static void test_no_import_starts_while_it_sweeps_nor_the_reverse(void)
{
	struct rig_import seen;
	struct blobs_rig rig;
	struct sweep sweep = {0};

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	CHECK_EQ(rig_add(&rig, "t", &seen), 0);
	CHECK_EQ(blobs_gc(rig.content, true, sweep_done, &sweep), WEFT_EBUSY);
	while (!seen.done_cnt)
		rig_turn(&rig);
	CHECK_EQ(blobs_gc(rig.content, true, sweep_done, &sweep), 0);
	CHECK_EQ(blobs_gc(rig.content, true, sweep_done, &sweep), WEFT_EBUSY);
	CHECK_EQ(rig_add(&rig, "t", &seen), WEFT_EBUSY);
	for (int i = 0; i < 100 && !sweep.done_cnt; i++)
		rig_turn(&rig);
	CHECK_EQ(sweep.err, 0);
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	rig_end(&rig);
}

static void test_what_an_import_left_behind_is_swept(void)
{
	struct store_stats stats;
	struct rig_import seen;
	struct blobs_rig rig;
	struct sweep sweep;

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	rig_file(&rig, "t/a", 10, 1);
	rig_file(&rig, "t/b", 300 * CHUNK, 1);
	CHECK_EQ(rig_add(&rig, "t", &seen), 0);
	while (seen.told.file_done_cnt == 0 && !seen.done_cnt)
		rig_turn(&rig);
	CHECK_EQ(blobs_import_cancel(rig.content, 1), 0);
	while (!seen.done_cnt)
		rig_turn(&rig);
	CHECK_EQ(seen.err, WEFT_ECANCELLED);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK(sweep.told.path_cnt > 0);
	store_stats(rig.store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_PATHS], 0);
	CHECK_EQ(stats.item_cnt[STORE_BLOBS], 0);
	rig_end(&rig);
}

static void test_closing_in_the_middle_of_a_sweep_calls_no_callback(void)
{
	for (unsigned turn_cnt = 0; turn_cnt < 20; turn_cnt++) {
		struct rig_import kept, left;
		struct blobs_rig rig;
		struct sweep sweep = {0};
		unsigned before;

		CHECK(trees_make(&rig, &kept, &left));
		CHECK_EQ(remove_share(&rig, left.told.manifest_id), 0);
		CHECK_EQ(blobs_gc(rig.content, true, sweep_done, &sweep), 0);
		for (unsigned i = 0; i < turn_cnt; i++)
			rig_turn(&rig);
		before = sweep.done_cnt;
		rig_close(&rig);
		CHECK_EQ(sweep.done_cnt, before);
		CHECK_EQ(rig_open(&rig, 0), 0);
		CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
		CHECK(blobs_shares_has_manifest(rig.content->shares, kept.told.manifest_id));
		rig_end(&rig);
	}
}

/* A thousand equal files are one object: each of their rows is looked at once. */
static void test_many_equal_files_are_swept_in_one_pass(void)
{
	struct store_stats stats;
	struct rig_import seen;
	struct blobs_rig rig;
	struct sweep sweep;
	char name[32];

	CHECK(rig_begin(&rig));
	rig_mkdir(&rig, "t");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "t/%04u", i);
		rig_file(&rig, name, 0, 1);
	}
	CHECK_EQ(rig_share(&rig, "t", &seen), 0);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.object_cnt, 0);
	CHECK_EQ(remove_share(&rig, seen.told.manifest_id), 0);
	CHECK_EQ(sweep_run(&rig, true, &sweep), 0);
	CHECK_EQ(sweep.told.object_cnt, 1000);
	store_stats(rig.store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_OBJECTS] + stats.item_cnt[STORE_PATHS], 0);
	rig_end(&rig);
}

int main(void)
{
	RUN(test_many_equal_files_are_swept_in_one_pass);
	RUN(test_closing_in_the_middle_of_a_sweep_calls_no_callback);
	RUN(test_what_is_shared_is_kept);
	RUN(test_what_no_share_needs_is_planned_then_swept);
	RUN(test_what_a_holder_names_is_kept_and_reached);
	RUN(test_a_blob_without_a_manifest_stays_while_a_holder_keeps_it);
	RUN(test_ids_of_no_blob_and_ids_named_again_take_no_memory);
	RUN(test_holders_have_a_limit);
	RUN(test_no_import_starts_while_it_sweeps_nor_the_reverse);
	RUN(test_what_an_import_left_behind_is_swept);
	return check_done();
}
