/* SPDX-License-Identifier: Apache-2.0 */
/* Syncs: which nodes are asked, which head is believed, what is fetched, and when again. */
#include "follow_sync_rig.h"

/* --- heads --- */

static void test_a_head_that_the_overlay_alone_knows_is_enough(void)
{
	begin();
	publish(3);
	frig_head_put(&rig, &share);
	rig.nodes[0].head_len = 0;
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK_EQ(rig.nodes[0].head_asked_cnt, 1);
	end();
}

static void test_the_newest_head_of_all_that_answer_holds(void)
{
	begin();
	publish(3);
	frig_head_at(&rig, 0, &share);
	publish(5);
	frig_head_at(&rig, 2, &share);
	publish(4);
	frig_head_at(&rig, 1, &share);
	frig_head_put(&rig, &share);
	CHECK_EQ(frig_follow(&rig, &share, 3, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->head.seq, 5);
	CHECK_EQ(shown()->revisions[0].seq, 5);
	/* Not to have heard of it yet is no attack. */
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_OLD_HEAD), 0);
	end();
}

static void test_an_older_head_than_was_seen_is_refused_and_reported_once(void)
{
	struct frig_share old;

	begin();
	frig_share_init(&old, 1);
	frig_publish(&rig, &old, &(struct frig_revision){.seq = 1});
	CHECK(follow_at(2));
	frig_head_at(&rig, 0, &old);
	for (unsigned i = 0; i < 3; i++) {
		sync_now();
		CHECK_EQ(synced.last.head.seq, 2);
		CHECK(!synced.last.is_changed);
	}
	CHECK_EQ(shown()->head.seq, 2);
	CHECK_EQ(shown()->revisions[0].seq, 2);
	CHECK_EQ(shown()->old_head_cnt, 3);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_OLD_HEAD), 1);
	CHECK_EQ(rig.told[1].seq, 1);
	CHECK_STR(shown()->detail, "");
	/* The overlay has lost it: no answering node is up to date, and the detail says so. */
	while (rig.overlay.value_cnt)
		free((void *)rig.overlay.values[--rig.overlay.value_cnt].bytes);
	sync_now();
	CHECK_EQ(shown()->revisions[0].seq, 2);
	CHECK(strstr(shown()->detail, "they tell of revision 1, and 2"));
	/* After a restart it is refused as before. */
	frig_close(&rig);
	frig_open(&rig);
	frig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(shown()->head.seq, 2);
	CHECK_EQ(shown()->revisions[0].seq, 2);
	frig_share_fini(&old);
	end();
}

static void test_heads_that_are_none_of_the_share_are_not_believed(void)
{
	struct frig_share other;
	uint8_t manifest_id[32];

	begin();
	frig_share_init(&other, 2);
	frig_publish(&rig, &other, &(struct frig_revision){.seq = 100});
	publish(1);
	frig_head_at(&rig, 0, &share);
	frig_head_at(&rig, 1, &other); /* another share's */
	publish(9);
	frig_head_at(&rig, 2, &share);
	rig.nodes[2].head[40] ^= 1; /* altered */
	memcpy(manifest_id, share.head.manifest_id, sizeof(manifest_id));
	frig_head_make(&share, 10, manifest_id, FRIG_WALL_S + HEAD_SKEW_S + 10);
	frig_head_at(&rig, 3, &share); /* from the future */
	CHECK_EQ(frig_follow(&rig, &share, 4, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->head.seq, 1);
	CHECK_EQ(shown()->revisions[0].seq, 1);
	CHECK(strstr(shown()->detail, "revision 10 is dated"));
	frig_share_fini(&other);
	end();
}

/* Two publishers with one key: both orders end at the same revision, and it is told. */
static void test_of_two_revisions_of_one_number_the_later_holds(void)
{
	for (unsigned order = 0; order < 2; order++) {
		struct frig_share early, late;

		begin();
		frig_share_init(&early, 1);
		frig_share_init(&late, 1);
		frig_publish(&rig, &early, &(struct frig_revision){.seq = 2, .title = "early"});
		frig_run(&rig, 2 * NS_PER_S);
		frig_publish(&rig, &late, &(struct frig_revision){.seq = 2, .title = "late"});
		frig_head_at(&rig, 0, order ? &late : &early);
		CHECK_EQ(frig_follow(&rig, &share, 2, FOLLOW_NORMAL), 0);
		frig_head_at(&rig, 1, order ? &early : &late);
		for (unsigned i = 0; i < 3; i++)
			sync_now();
		CHECK_STR(shown()->title, "late");
		CHECK_EQ(shown()->fork_cnt, 1);
		CHECK_EQ(frig_told_cnt(&rig, FOLLOW_FORKED), 1);
		CHECK_EQ(frig_told_cnt(&rig, FOLLOW_OLD_HEAD), 0);
		frig_share_fini(&early);
		frig_share_fini(&late);
		end();
	}
}

static void test_a_sync_reports_that_no_node_knows_or_answers(void)
{
	begin();
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->err, WEFT_EABSENT);
	CHECK_EQ(shown()->state, FOLLOW_NEW);
	rig.nodes[0].is_dead = true;
	rig.overlay.err = WEFT_EUNREACHABLE;
	sync_now();
	CHECK_EQ(synced.last.err, WEFT_EUNREACHABLE);
	CHECK(strstr(shown()->detail, "neither the overlay"));
	rig.overlay.start_err = WEFT_EFULL;
	sync_now();
	CHECK_EQ(synced.last.err, WEFT_EUNREACHABLE);
	end();
}

/* --- manifests --- */

static void test_a_head_is_seen_though_its_manifest_cannot_be_had(void)
{
	begin();
	CHECK(follow_at(1));
	publish(2);
	frig_head_at(&rig, 0, &share);
	rig.nodes[0].objects = 0;
	sync_now();
	CHECK_EQ(synced.last.err, WEFT_EABSENT);
	CHECK_EQ(shown()->state, FOLLOW_BEHIND);
	CHECK(shown()->is_used);
	CHECK_EQ(shown()->head.seq, 2);
	CHECK_EQ(shown()->revisions[0].seq, 1);
	/* It is fetched when a node has it, though none reports a head. */
	rig.nodes[0].objects = UINT32_MAX;
	rig.nodes[0].head_len = 0;
	sync_now();
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK_EQ(shown()->revisions[0].seq, 2);
	end();
}

static void test_parts_that_are_here_are_not_fetched_again(void)
{
	unsigned asked_cnt;

	begin();
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1, .part_cnt = 12});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK_EQ(shown()->item_cnt, 12);
	asked_cnt = rig.nodes[0].object_asked_cnt;
	CHECK_EQ(asked_cnt, 13);
	/* Followed anew, all of it is in the store yet. */
	CHECK_EQ(shares_follow_remove(rig.follows, share.id, frig_done, &rig), 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK_EQ(rig.nodes[0].object_asked_cnt, asked_cnt);
	end();
}

/* What a head names has to be a revision of that share with that number, whole. */
static void test_a_manifest_that_is_no_revision_of_the_share_is_refused(void)
{
	struct frig_share other;

	begin();
	frig_share_init(&other, 2);
	frig_publish(&rig, &other, &(struct frig_revision){.seq = 2});
	for (unsigned kind = 0; kind < 3; kind++) {
		uint8_t id[32];

		publish(2);
		if (kind == 0)
			memcpy(id, other.head.manifest_id, 32); /* another share's */
		else if (kind == 1)
			memcpy(id, share.head.manifest_id, 32); /* another number's */
		else
			frig_object_add(&rig, "\xa1\x00\x01", 3, id); /* nothing */
		frig_head_make(&share, 10 + kind, id, FRIG_WALL_S);
		frig_head_at(&rig, 0, &share);
		if (kind == 0)
			CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
		sync_now();
		CHECK_EQ(shown()->revision_cnt, 0);
		CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_REVISION), kind + 1);
		/* It is not asked for again. */
		rig.nodes[0].object_asked_cnt = 0;
		sync_now();
		CHECK_EQ(synced.last.err, WEFT_EMALFORMED);
		CHECK_EQ(rig.nodes[0].object_asked_cnt, 0);
	}
	/* The next revision mends it. */
	publish(20);
	frig_head_at(&rig, 0, &share);
	sync_now();
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	frig_share_fini(&other);
	end();
}

static void test_a_root_that_misstates_its_parts_is_refused(void)
{
	begin();
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1, .part_cnt = 2});
	/* The root of revision 2 names the parts, and says of them what is not so. */
	{
		struct manifest_revision revision = {.key = share.key,
						     .seq = 2,
						     .created_s = FRIG_WALL_S,
						     .title = "",
						     .description = ""};
		struct manifest_part part = {.manifest_id = rig.objects[0].id,
					     .item_cnt = 2, /* it has one */
					     .byte_cnt = 7,
					     .len = rig.objects[0].len};
		struct manifest_builder *builder;
		const uint8_t *bytes;
		uint8_t id[32];
		size_t len;

		CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
		CHECK_EQ(blobs_manifest_builder_add_part(builder, &part), 0);
		CHECK_EQ(blobs_manifest_builder_sign(builder, MANIFEST_ROOT, &revision, &bytes,
						     &len),
			 0);
		frig_object_add(&rig, bytes, len, id);
		blobs_manifest_builder_free(builder);
		frig_head_make(&share, 2, id, FRIG_WALL_S);
	}
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->revision_cnt, 0);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_REVISION), 1);
	end();
}

static void test_a_revision_past_its_end_is_not_used_and_the_next_is(void)
{
	begin();
	frig_publish(&rig, &share,
		     &(struct frig_revision){.seq = 1, .expires_s = FRIG_WALL_S + 3600});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK(rig.was_used);
	frig_run(&rig, 3600 * NS_PER_S + 1000 * NS_PER_S);
	CHECK_EQ(shown()->state, FOLLOW_EXPIRED);
	CHECK(!rig.was_used);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_HAS_EXPIRED), 1);
	publish(2);
	frig_head_at(&rig, 0, &share);
	sync_now();
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK(rig.was_used);
	CHECK_EQ(rig.changed_seq, 2);
	end();
}

/* --- when --- */

static void test_a_share_is_asked_for_at_its_interval_and_sooner_after_a_failure(void)
{
	unsigned asked_cnt;

	begin();
	CHECK(follow_at(1));
	asked_cnt = rig.nodes[0].head_asked_cnt;
	frig_run(&rig, 6000 * NS_PER_S);
	asked_cnt = rig.nodes[0].head_asked_cnt - asked_cnt;
	CHECK(asked_cnt >= 8 && asked_cnt <= 12);
	rig.nodes[0].is_dead = true;
	rig.overlay.err = WEFT_EUNREACHABLE;
	sync_now();
	CHECK(shown()->next_ns - rig.now_ns < 70 * NS_PER_S);
	frig_run(&rig, 6000 * NS_PER_S);
	CHECK(shown()->next_ns - rig.now_ns <= 675 * NS_PER_S);
	end();
}

static void test_so_many_syncs_run_at_once_and_no_more(void)
{
	static struct frig_share shares[50];
	struct follows_stats stats;
	uint32_t most = 0;

	begin();
	rig.nodes[0].is_dead = false;
	for (unsigned i = 0; i < 50; i++) {
		struct link link;
		struct follow_ask ask = {.link = &link, .name = "", .weight = 100};

		frig_share_init(&shares[i], (uint8_t)(i + 10));
		link = frig_link(&shares[i], 1);
		CHECK_EQ(shares_follow_add(rig.follows, &ask, NULL, NULL), 0);
	}
	for (unsigned i = 0; i < 400; i++) {
		frig_turn(&rig, rig.now_ns + NS_PER_MS);
		shares_follows_stats(rig.follows, &stats);
		if (stats.sync_cnt > most)
			most = stats.sync_cnt;
	}
	CHECK_EQ(most, 20);
	CHECK_EQ(stats.sync_cnt, 0);
	CHECK_EQ(stats.waiting_cnt, 0);
	CHECK_EQ(stats.failed_cnt, 50);
	for (unsigned i = 0; i < 50; i++)
		frig_share_fini(&shares[i]);
	end();
}

static void test_all_waiters_of_a_sync_are_called_except_those_that_left(void)
{
	struct follow_sync *syncs[3];

	begin();
	CHECK(follow_at(1));
	memset(&synced, 0, sizeof(synced));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(shares_follow_sync_start(rig.follows, share.id, noted, rig.now_ns,
						  &syncs[i]),
			 0);
	shares_follow_sync_cancel(syncs[1]);
	CHECK_EQ(synced.cnt, 0);
	frig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(synced.cnt, 2);
	CHECK_EQ(shares_follow_sync_start(rig.follows, rig.objects[0].id, noted, rig.now_ns,
					  &syncs[0]),
		 WEFT_EABSENT);
	end();
}

static void test_what_runs_is_taken_back_when_the_share_goes_or_the_node_stops(void)
{
	struct follow_sync *sync;

	begin();
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1, .part_cnt = 9});
	frig_head_at(&rig, 0, &share);
	frig_head_put(&rig, &share);
	/* At each turn of a sync once. */
	for (unsigned turns = 1; turns < 60; turns++) {
		struct link link = frig_link(&share, 1);
		struct follow_ask ask = {.link = &link, .name = "", .weight = 100};

		CHECK_EQ(shares_follow_add(rig.follows, &ask, NULL, NULL), 0);
		for (unsigned i = 0; i < turns; i++)
			frig_turn(&rig, rig.now_ns + NS_PER_MS);
		if (shown())
			(void)!shares_follow_sync_start(rig.follows, share.id, noted, rig.now_ns,
							&sync);
		if (turns % 2) {
			frig_close(&rig);
			frig_open(&rig);
			frig_run(&rig, NS_PER_S);
		}
		CHECK_EQ(shares_follow_remove(rig.follows, share.id, NULL, NULL), 0);
		frig_run(&rig, NS_PER_S);
		CHECK(!shown());
	}
	end();
}

/* --- keeping heads alive --- */

static void test_a_head_that_the_overlay_lost_is_put_there_again(void)
{
	begin();
	CHECK(follow_at(1));
	CHECK_EQ(head_in_overlay_cnt(), 1);
	CHECK_EQ(rig.overlay.put_cnt, 1);
	/* While it is there it is put twice a day. */
	frig_run(&rig, 86400 * NS_PER_S);
	CHECK(rig.overlay.put_cnt == 2 || rig.overlay.put_cnt == 3);
	frig_overlay_clear(&rig);
	frig_run(&rig, 1200 * NS_PER_S);
	CHECK_EQ(head_in_overlay_cnt(), 1);
	end();
}

int main(void)
{
	RUN(test_a_head_that_the_overlay_alone_knows_is_enough);
	RUN(test_the_newest_head_of_all_that_answer_holds);
	RUN(test_an_older_head_than_was_seen_is_refused_and_reported_once);
	RUN(test_heads_that_are_none_of_the_share_are_not_believed);
	RUN(test_of_two_revisions_of_one_number_the_later_holds);
	RUN(test_a_sync_reports_that_no_node_knows_or_answers);
	RUN(test_a_head_is_seen_though_its_manifest_cannot_be_had);
	RUN(test_parts_that_are_here_are_not_fetched_again);
	RUN(test_a_manifest_that_is_no_revision_of_the_share_is_refused);
	RUN(test_a_root_that_misstates_its_parts_is_refused);
	RUN(test_a_revision_past_its_end_is_not_used_and_the_next_is);
	RUN(test_a_share_is_asked_for_at_its_interval_and_sooner_after_a_failure);
	RUN(test_so_many_syncs_run_at_once_and_no_more);
	RUN(test_all_waiters_of_a_sync_are_called_except_those_that_left);
	RUN(test_what_runs_is_taken_back_when_the_share_goes_or_the_node_stops);
	RUN(test_a_head_that_the_overlay_lost_is_put_there_again);
	return check_done();
}
