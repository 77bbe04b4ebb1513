/* SPDX-License-Identifier: Apache-2.0 */
/* What is followed: adding, changing, removing, limits, and what a restart keeps. */
#include "follow_publisher.h"

static struct frig rig;
static struct frig_share share;

static void begin(void)
{
	frig_init(&rig);
	frig_share_init(&share, 1);
}

static void end(void)
{
	frig_share_fini(&share);
	frig_fini(&rig);
}

static const struct follow *shown(void)
{
	return shares_follow_lookup(rig.follows, share.id);
}

static void test_a_share_is_followed_when_it_is_durable_and_synced_then(void)
{
	struct link link;
	struct follow_ask ask = {.link = &link, .name = "", .tier = FOLLOW_NORMAL, .weight = 100};

	begin();
	link = frig_link(&share, 1);
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1, .title = "songs"});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), 0);
	CHECK(!shown());
	CHECK_EQ(rig.done_cnt, 0);
	frig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(rig.done_cnt, 1);
	CHECK_EQ(rig.done_err, 0);
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK(shown()->is_used);
	CHECK_EQ(shown()->revisions[0].seq, 1);
	CHECK_STR(shown()->title, "songs");
	CHECK_EQ(shown()->item_cnt, 1);
	CHECK(shown()->is_public);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_REVISION), 1);
	CHECK(rig.was_used);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), WEFT_EEXISTS);
	end();
}

static bool has_blob(const uint8_t id[static 32])
{
	struct store_snapshot *snapshot;
	int64_t len;

	if (store_snapshot_open(rig.store, &snapshot) < 0)
		abort();
	len = store_blob_len(snapshot, id);
	store_snapshot_close(snapshot);
	return len >= 0;
}

static void collected(void *arg, int err, const struct blobs_gc *gc)
{
	*(uint64_t *)arg = err ? UINT64_MAX : gc->blob_cnt;
}

static void test_all_of_it_outlives_a_restart(void)
{
	uint64_t freed_cnt = UINT64_MAX;
	struct follow was;

	begin();
	frig_publish(&rig, &share,
		     &(struct frig_revision){.seq = 4, .title = "songs", .part_cnt = 3});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 2, FOLLOW_TRUSTED), 0);
	was = *shown();
	frig_close(&rig);
	rig.nodes[0].is_dead = rig.nodes[1].is_dead = true;
	rig.changed_cnt = 0;
	frig_open(&rig);
	CHECK(shown());
	CHECK_EQ(shown()->tier, FOLLOW_TRUSTED);
	CHECK_EQ(shown()->state, FOLLOW_CURRENT);
	CHECK_EQ(shown()->hint_cnt, 2);
	CHECK_EQ(shown()->hints[1].key[0], 2);
	CHECK_MEM(&shown()->head, &was.head, sizeof(was.head));
	CHECK_MEM(shown()->revisions, was.revisions, sizeof(was.revisions[0]));
	CHECK_STR(shown()->title, "songs");
	CHECK_EQ(shown()->item_cnt, 3);
	CHECK_EQ(rig.changed_cnt, 1);
	CHECK(rig.was_used);
	/* Its root and its three parts are known to be needed. */
	frig_run(&rig, 1200 * NS_PER_S);
	CHECK_EQ(blobs_gc(rig.content, true, collected, &freed_cnt), 0);
	frig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(freed_cnt, 0);
	CHECK_EQ(rig.object_cnt, 4);
	for (unsigned i = 0; i < rig.object_cnt; i++)
		CHECK(has_blob(rig.objects[i].id));
	end();
}

static void test_what_was_seen_outlives_its_follower(void)
{
	struct share_head seen;

	begin();
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 9});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	seen = shown()->head;
	CHECK_EQ(shares_follow_remove(rig.follows, share.id, frig_done, &rig), 0);
	frig_run(&rig, NS_PER_S);
	CHECK(!shown());
	CHECK(!rig.was_used);
	/* Now a node gives an older one. */
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 8});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown()->head.seq, 9);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_OLD_HEAD), 1);
	/* And the newer revision is there, as its manifest can be had. */
	CHECK_EQ(shown()->revisions[0].seq, 9);
	CHECK_MEM(&shown()->head, &seen, sizeof(seen));
	end();
}

static void test_the_201st_share_is_refused(void)
{
	static struct frig_share shares[201];
	struct link link;
	char name[32];
	struct follow_ask ask = {.link = &link, .name = name, .weight = 100};

	begin();
	for (unsigned i = 0; i < 201; i++) {
		frig_share_init(&shares[i], (uint8_t)i);
		link = frig_link(&shares[i], 0);
		snprintf(name, sizeof(name), "share %u", i);
		CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig),
			 i < 200 ? 0 : WEFT_EFULL);
		if (i % 16 == 15)
			frig_run(&rig, NS_PER_S);
	}
	frig_run(&rig, 10 * NS_PER_S);
	CHECK_EQ(rig.done_cnt, 200);
	/* One that goes makes room. */
	CHECK_EQ(shares_follow_remove(rig.follows, shares[3].id, frig_done, &rig), 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), 0);
	frig_run(&rig, NS_PER_S);
	for (unsigned i = 0; i < 201; i++)
		frig_share_fini(&shares[i]);
	end();
}

static void test_bad_names_tiers_and_weights_are_refused(void)
{
	static const struct {
		const char *name;
		unsigned tier, weight;
	} rows[] = {
		{"a\nb", FOLLOW_NORMAL, 100},
		{"\xff", FOLLOW_NORMAL, 100},
		{"mesh:abc", FOLLOW_NORMAL, 100},
		{"12345678901234567890123456789012345678901234567890123456789012345", FOLLOW_NORMAL,
		 100},
		{"a", FOLLOW_TIER_CNT, 100},
		{"a", FOLLOW_NORMAL, FOLLOW_WEIGHT_MAX + 1},
	};
	struct link link;
	struct follow_ask ask = {.link = &link};

	begin();
	link = frig_link(&share, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask.name = rows[i].name;
		ask.tier = (enum follow_tier)rows[i].tier;
		ask.weight = rows[i].weight;
		CHECK_EQ(shares_follow_add(rig.follows, &ask, NULL, NULL), WEFT_EMALFORMED);
	}
	link.kind = LINK_COLLECTION;
	ask = (struct follow_ask){.link = &link, .name = "a", .weight = 100};
	CHECK_EQ(shares_follow_add(rig.follows, &ask, NULL, NULL), WEFT_EMALFORMED);
	end();
}

static void test_two_shares_have_not_one_name_even_when_added_at_once(void)
{
	struct frig_share other;
	struct link link;
	struct follow_ask ask = {.link = &link, .name = "mine", .weight = 100};

	begin();
	frig_share_init(&other, 2);
	link = frig_link(&share, 0);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), 0);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), WEFT_EEXISTS);
	link = frig_link(&other, 0);
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), WEFT_EBUSY);
	ask.name = "";
	CHECK_EQ(shares_follow_add(rig.follows, &ask, frig_done, &rig), 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shares_follow_set(rig.follows, other.id, &(struct follow_change){.name = "mine"},
				   NULL, NULL),
		 WEFT_EBUSY);
	CHECK_EQ(shares_follow_set(rig.follows, share.id, &(struct follow_change){.name = "mine"},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	frig_share_fini(&other);
	end();
}

static void test_settings_are_changed_reported_and_kept(void)
{
	enum follow_tier tier = FOLLOW_UNTRUSTED;
	unsigned weight = 250;

	begin();
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	rig.changed_cnt = 0;
	CHECK_EQ(shares_follow_set(
			 rig.follows, share.id,
			 &(struct follow_change){.name = "x", .tier = &tier, .weight = &weight},
			 frig_done, &rig),
		 0);
	CHECK_EQ(shown()->tier, FOLLOW_NORMAL);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(rig.changed_cnt, 1);
	frig_close(&rig);
	frig_open(&rig);
	CHECK_EQ(shown()->tier, FOLLOW_UNTRUSTED);
	CHECK_EQ(shown()->weight, 250);
	CHECK_STR(shown()->name, "x");
	CHECK_EQ(shown()->revisions[0].seq, 1);
	frig_share_fini(&share);
	frig_share_init(&share, 9);
	CHECK_EQ(shares_follow_set(rig.follows, share.id, &(struct follow_change){.name = "y"},
				   NULL, NULL),
		 WEFT_EABSENT);
	CHECK_EQ(shares_follow_remove(rig.follows, share.id, NULL, NULL), WEFT_EABSENT);
	end();
}

/* The share has no revision yet: nothing is fetched. */
static void test_folder_of_a_share_is_kept_and_belongs_to_one(void)
{
	unsigned cnt = BLOBS_VERSIONS_MAX, too_many = BLOBS_VERSIONS_MAX + 1;
	bool is_mirror = true;
	struct frig_share other;

	begin();
	frig_share_init(&other, 2);
	CHECK_EQ(frig_follow(&rig, &share, 0, FOLLOW_NORMAL), 0);
	CHECK_EQ(frig_follow(&rig, &other, 0, FOLLOW_NORMAL), 0);
	CHECK_EQ(shares_follow_set(rig.follows, share.id, &(struct follow_change){.folder = "a"},
				   NULL, NULL),
		 WEFT_EMALFORMED);
	CHECK_EQ(
		shares_follow_set(rig.follows, share.id,
				  &(struct follow_change){.folder = "/a", .version_cnt = &too_many},
				  NULL, NULL),
		WEFT_EMALFORMED);
	CHECK_EQ(shares_follow_set(rig.follows, share.id,
				   &(struct follow_change){.folder = "/a/",
							   .is_mirror = &is_mirror,
							   .version_cnt = &cnt},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shares_follow_set(rig.follows, other.id, &(struct follow_change){.folder = "/a"},
				   NULL, NULL),
		 WEFT_EREFUSED);
	frig_close(&rig);
	frig_open(&rig);
	CHECK_STR(shown()->folder, "/a");
	CHECK(shown()->is_mirror);
	CHECK_EQ(shown()->version_cnt, BLOBS_VERSIONS_MAX);
	CHECK_EQ(shares_follow_set(rig.follows, share.id, &(struct follow_change){.folder = ""},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK_STR(shown()->folder, "");
	frig_share_fini(&other);
	end();
}

static void test_a_share_is_found_by_name_title_and_id(void)
{
	struct frig_share other;
	const struct follow *found;
	char id[ZBASE32_KEY_TEXT_CAP];

	begin();
	frig_share_init(&other, 2);
	frig_publish(&rig, &share, &(struct frig_revision){.seq = 1, .title = "songs"});
	frig_head_at(&rig, 0, &share);
	CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shares_follow_find(rig.follows, "songs", &found), 0);
	CHECK(found == shown());
	zbase32_write(share.id, 32, id);
	CHECK_EQ(shares_follow_find(rig.follows, id, &found), 0);
	id[8] = '\0';
	CHECK_EQ(shares_follow_find(rig.follows, id, &found), 0);
	id[7] = '\0';
	CHECK_EQ(shares_follow_find(rig.follows, id, &found), WEFT_EABSENT);
	CHECK_EQ(shares_follow_find(rig.follows, "", &found), WEFT_EABSENT);
	/* Another of the same title: the title names neither, a name goes before it. */
	frig_publish(&rig, &other, &(struct frig_revision){.seq = 1, .title = "songs"});
	frig_head_at(&rig, 0, &other);
	CHECK_EQ(frig_follow(&rig, &other, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shares_follow_find(rig.follows, "songs", &found), WEFT_EEXISTS);
	CHECK_EQ(shares_follow_set(rig.follows, other.id, &(struct follow_change){.name = "songs"},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shares_follow_find(rig.follows, "songs", &found), 0);
	CHECK_MEM(found->share_id, other.id, 32);
	frig_share_fini(&other);
	end();
}

/* Two parts and a root each; of six revisions the last four are no garbage. */
static void test_manifests_of_the_last_revisions_are_kept(void)
{
	uint64_t freed_cnt = 0;

	begin();
	for (uint64_t seq = 1; seq <= 6; seq++) {
		frig_publish(&rig, &share, &(struct frig_revision){.seq = seq, .part_cnt = 2});
		frig_head_at(&rig, 0, &share);
		if (seq == 1)
			CHECK_EQ(frig_follow(&rig, &share, 1, FOLLOW_NORMAL), 0);
		frig_run(&rig, 1200 * NS_PER_S);
		CHECK_EQ(shown()->revisions[0].seq, seq);
	}
	CHECK_EQ(shown()->revision_cnt, FOLLOW_REVISIONS_MAX);
	CHECK_EQ(shown()->revisions[3].seq, 3);
	CHECK_EQ(blobs_gc(rig.content, true, collected, &freed_cnt), 0);
	frig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(freed_cnt, 6);
	for (unsigned i = 0; i < rig.object_cnt; i++)
		CHECK_EQ(has_blob(rig.objects[i].id), i >= 6);
	end();
}

int main(void)
{
	RUN(test_a_share_is_followed_when_it_is_durable_and_synced_then);
	RUN(test_all_of_it_outlives_a_restart);
	RUN(test_what_was_seen_outlives_its_follower);
	RUN(test_the_201st_share_is_refused);
	RUN(test_bad_names_tiers_and_weights_are_refused);
	RUN(test_two_shares_have_not_one_name_even_when_added_at_once);
	RUN(test_settings_are_changed_reported_and_kept);
	RUN(test_folder_of_a_share_is_kept_and_belongs_to_one);
	RUN(test_a_share_is_found_by_name_title_and_id);
	RUN(test_manifests_of_the_last_revisions_are_kept);
	return check_done();
}
