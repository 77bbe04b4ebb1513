/* SPDX-License-Identifier: Apache-2.0 */
#include "share_rig.h"

static void test_a_tree_becomes_a_signed_revision(void)
{
	struct fake_overlay overlay = {0};
	const struct published *share;
	struct publish_settings *settings = pub_settings("docs");
	struct publish_rig p;
	struct revised seen;
	struct share_head head;
	struct manifest *m;
	uint8_t id[SHARE_ID_LEN], *bytes;

	CHECK(pub_begin(&p, &overlay));
	pub_tree(&p, "t", 5);
	settings->is_public = true;
	snprintf(settings->description, sizeof(settings->description), "what it is");
	snprintf(settings->rules, sizeof(settings->rules), "text\n*3.txt=third");
	CHECK_EQ(pub_create(&p, settings, NULL, id), 0);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_EMPTY);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 1);
	CHECK(seen.was_asked);
	share = shares_publisher_find(p.publisher, "docs");
	CHECK(share);
	CHECK_EQ(share->state, PUBLISH_CURRENT);
	m = rig_manifest(&p.rig, seen.manifest_id, &bytes);
	CHECK(m);
	CHECK(m->is_signed && m->is_public);
	CHECK_STR(m->title, "docs");
	CHECK_EQ(m->seq, 1);
	CHECK_EQ(m->item_cnt, 5);
	CHECK_EQ(m->expires_s, p.wall_s + PUBLISH_LIFE_S);
	CHECK_MEM(m->share_id, id, 32);
	CHECK_MEM(m->items[3].mime, "text/plain", 10);
	CHECK_EQ(m->items[2].tag_cnt, 1);
	CHECK_EQ(m->items[3].tag_cnt, 2);
	CHECK_MEM(m->items[3].tags[1].text, "third", 5);
	blobs_manifest_free(m);
	free(bytes);
	pub_turns(&p, 10);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK_EQ(head.seq, 1);
	CHECK_MEM(head.manifest_id, seen.manifest_id, 32);
	CHECK(shares_publisher_lookup(p.publisher, id)->holder_cnt > 0);
	CHECK(is_listed(&p, seen.manifest_id));
	share_end(&p, &overlay);
}

static void test_an_update_reads_only_what_changed(void)
{
	struct publish_rig p;
	struct revised first, second, third;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 50);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &first), 0);
	CHECK_EQ(first.reused_cnt, 0);
	CHECK_EQ(pub_age(&p, "t", 50), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &second), 0);
	CHECK(second.is_unchanged);
	CHECK_EQ(second.seq, 1);
	CHECK_EQ(second.reused_cnt, 50);
	rig_file(&p.rig, "t/0007.txt", 11, 99);
	CHECK_EQ(pub_publish(&p, id, "t", &third), 0);
	CHECK(!third.is_unchanged);
	CHECK_EQ(third.seq, 2);
	CHECK_EQ(third.reused_cnt, 49);
	/* The revision before is not shared any more, but kept to be compared with. */
	CHECK(!is_listed(&p, first.manifest_id));
	CHECK(is_listed(&p, third.manifest_id));
	CHECK(blobs_served_index_gives_manifest(blobs_served_index(p.rig.content),
						first.manifest_id, NULL));
	CHECK_EQ(blobs_shares_cnt(p.rig.content->shares), 1);
	pub_end(&p);
}

static void test_an_update_of_many_files_makes_few_new_parts(void)
{
	struct publish_rig p;
	struct revised first, second;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	p.rig.content->params.config.item_cap = 12;
	pub_tree(&p, "t", 300);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &first), 0);
	CHECK(first.part_cnt > 25);
	CHECK_EQ(first.part_new_cnt, first.part_cnt);
	rig_file(&p.rig, "t/0150a.txt", 11, 99);
	CHECK_EQ(pub_publish(&p, id, "t", &second), 0);
	CHECK(second.part_new_cnt >= 2);
	CHECK(second.part_new_cnt <= 5);
	pub_end(&p);
}

/* Every setting as it was. */
static bool is_same_settings(const struct publish_settings *a, const struct publish_settings *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->title, b->title) == 0 &&
	       strcmp(a->description, b->description) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->only, b->only) == 0 && strcmp(a->rules, b->rules) == 0 &&
	       a->is_public == b->is_public && a->community_cnt == b->community_cnt &&
	       a->recommended_cnt == b->recommended_cnt &&
	       memcmp(a->communities, b->communities, a->community_cnt * 32) == 0 &&
	       memcmp(a->recommended, b->recommended, a->recommended_cnt * 32) == 0;
}

static void test_a_share_outlives_a_restart(void)
{
	const struct published *share;
	static struct publish_settings before;
	struct publish_settings *settings = pub_settings("docs");
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	p.rig.content->params.config.item_cap = 10;
	pub_tree(&p, "t", 40);
	settings->community_cnt = 2;
	settings->communities[1][0] = 9;
	settings->recommended_cnt = 1;
	settings->recommended[0][5] = 7;
	settings->is_public = true;
	snprintf(settings->title, sizeof(settings->title), "The docs");
	snprintf(settings->description, sizeof(settings->description), "What the docs are");
	snprintf(settings->rules, sizeof(settings->rules), "text\n*3.txt=third");
	CHECK_EQ(pub_create(&p, settings, pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	before = *shares_publisher_find(p.publisher, "docs")->settings;
	CHECK_STR(before.rules, "text\n*3.txt=third");
	CHECK(before.path[0] == '/');
	CHECK_EQ(pub_reopen(&p), 0);
	share = shares_publisher_find(p.publisher, "docs");
	CHECK(share);
	CHECK_MEM(share->share_id, id, 32);
	CHECK_EQ(share->state, PUBLISH_CURRENT);
	CHECK_EQ(share->revision_cnt, 1);
	CHECK_EQ(share->newest.seq, 1);
	CHECK(is_same_settings(share->settings, &before));
	CHECK(is_listed(&p, seen.manifest_id));
	CHECK(p.publisher->first->parts[0].cnt >= 4);
	p.rig.content->params.config.item_cap = 10;
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(seen.is_unchanged);
	pub_end(&p);
}

static void test_settings_are_signed_without_reading_files(void)
{
	struct publish_settings changed;
	struct publish_rig p;
	struct revised first, second;
	struct manifest *m;
	uint8_t id[SHARE_ID_LEN], *bytes;

	CHECK(pub_begin(&p, NULL));
	p.rig.content->params.config.item_cap = 10;
	pub_tree(&p, "t", 25);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &first), 0);
	changed = *shares_publisher_lookup(p.publisher, id)->settings;
	changed.is_public = true;
	changed.community_cnt = 1;
	CHECK_EQ(pub_revise(&p, id, &changed, false, &second), 0);
	CHECK_EQ(second.seq, 2);
	CHECK_EQ(second.part_new_cnt, 1);
	m = rig_manifest(&p.rig, second.manifest_id, &bytes);
	CHECK(m);
	CHECK(m->is_public);
	CHECK_EQ(m->community_cnt, 1);
	CHECK_EQ(m->all_item_cnt, 25);
	CHECK(is_listed(&p, second.manifest_id));
	CHECK(!is_listed(&p, first.manifest_id));
	blobs_manifest_free(m);
	free(bytes);
	/* The files are the same, and so is what is said. */
	CHECK_EQ(pub_publish(&p, id, "t", &second), 0);
	CHECK(second.is_unchanged);
	pub_end(&p);
}

static void test_a_revision_is_signed_again_before_it_expires(void)
{
	struct publish_rig p;
	struct revised seen;
	const struct published *share;
	uint64_t began_s;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	began_s = p.wall_s;
	pub_turns(&p, 10);
	pub_pass(&p, PUBLISH_LIFE_S * 3 / 4 - 60);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->newest.seq, 1);
	pub_pass(&p, 120);
	share = shares_publisher_lookup(p.publisher, id);
	CHECK_EQ(share->newest.seq, 2);
	CHECK(share->revisions[1].expires_s > began_s + PUBLISH_LIFE_S * 3 / 2);
	pub_end(&p);
}

static void test_a_revision_from_the_future_is_signed_again_when_the_clock_is_mended(void)
{
	struct publish_rig p;
	struct revised seen;
	const struct published *share;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	p.wall_s += 86400;
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->ahead_s, 0);
	p.wall_s -= 86400;
	/* Its files are the same, and it is made again all the same. */
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(!seen.is_unchanged);
	CHECK_EQ(seen.seq, 2);
	share = shares_publisher_lookup(p.publisher, id);
	CHECK_EQ(share->ahead_s, 0);
	CHECK(share->newest.updated_s <= p.wall_s);
	/* Without a command the daemon does it by itself. */
	p.wall_s += 86400;
	pub_tree(&p, "t", 3);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 3);
	p.wall_s -= 86400;
	pub_pass(&p, 86400 / 2);
	share = shares_publisher_lookup(p.publisher, id);
	CHECK_EQ(share->newest.seq, 4);
	CHECK(share->newest.updated_s <= p.wall_s);
	/* Clocks may differ by so much. */
	p.wall_s -= HEAD_SKEW_S;
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(seen.is_unchanged);
	pub_end(&p);
}

static void test_only_so_many_revisions_are_kept(void)
{
	struct publish_rig p;
	struct revised seen;
	struct store_stats stats;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	p.publisher->params.config.revision_cap = 3;
	pub_tree(&p, "t", 1);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	for (unsigned i = 1; i <= 5; i++) {
		rig_file(&p.rig, "t/x", 10, i);
		rig_file(&p.rig, "t/x", i, i);
		CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
		CHECK_EQ(seen.seq, i);
	}
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->revision_cnt, 3);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->revisions[0].seq, 3);
	store_stats(p.rig.store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_REVISIONS], 3);
	pub_end(&p);
}

static void test_limits_and_names_of_shares(void)
{
	static const char *const bad[] = {"", "-x", "mesh:abc", "a/b", "a\nb", "\xff"};
	struct publish_rig p;
	uint8_t id[SHARE_ID_LEN];
	char name[16];

	CHECK(pub_begin(&p, NULL));
	p.publisher->params.config.share_cap = 3;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(pub_create(&p, pub_settings(bad[i]), NULL, id), WEFT_EMALFORMED);
	CHECK_EQ(pub_create(&p, pub_settings("one"), pub_seed, id), 0);
	CHECK_EQ(pub_create(&p, pub_settings("one"), NULL, id), WEFT_EEXISTS);
	CHECK_EQ(pub_create(&p, pub_settings("two"), pub_seed, id), WEFT_EEXISTS);
	for (unsigned i = 1; i < 3; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		CHECK_EQ(pub_create(&p, pub_settings(name), NULL, id), 0);
	}
	CHECK_EQ(pub_create(&p, pub_settings("more"), NULL, id), WEFT_EFULL);
	pub_end(&p);
}

static void test_one_revision_at_a_time(void)
{
	const struct publish_ask ask = {.settings = pub_settings("docs")};
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen = {0};
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, &overlay));
	CHECK_EQ(pub_create(&p, ask.settings, NULL, id), 0);
	CHECK_EQ(shares_publisher_revise(p.publisher, id, &ask, p.rig.now_ns), 0);
	CHECK_EQ(shares_publisher_revise(p.publisher, id, &ask, p.rig.now_ns), WEFT_EBUSY);
	CHECK_EQ(shares_publisher_remove(p.publisher, id, (struct publisher_caller){NULL, NULL}),
		 WEFT_EBUSY);
	CHECK_EQ(shares_publisher_cancel(p.publisher, id), 0);
	pub_turns(&p, 5);
	CHECK(!shares_publisher_lookup(p.publisher, id)->is_busy);
	CHECK_EQ(shares_publisher_cancel(p.publisher, id), WEFT_EABSENT);
	CHECK_EQ(pub_revise(&p, id, ask.settings, false, &seen), 0);
	share_end(&p, &overlay);
}

static void test_a_sweep_and_a_signing_keep_out_of_each_others_way(void)
{
	struct publish_settings changed;
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	changed = *shares_publisher_lookup(p.publisher, id)->settings;
	changed.is_public = true;
	p.rig.content->is_sweeping = true;
	CHECK_EQ(pub_revise(&p, id, &changed, false, &seen), WEFT_EBUSY);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), WEFT_EBUSY);
	p.rig.content->is_sweeping = false;
	CHECK_EQ(pub_revise(&p, id, &changed, false, &seen), 0);
	CHECK_EQ(p.rig.content->unheld_cnt, 0);
	CHECK_EQ(blobs_holder_begin(p.rig.content), 0);
	CHECK_EQ(blobs_gc(p.rig.content, true, NULL, NULL), WEFT_EBUSY);
	blobs_holder_end(p.rig.content);
	pub_end(&p);
}

static void test_a_file_that_leads_out_of_the_tree_is_left_out(void)
{
	struct publish_rig p;
	struct revised seen;
	struct manifest *m;
	char path[4096];
	uint8_t id[SHARE_ID_LEN], *bytes;

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 1);
	CHECK_EQ(symlink("/etc/passwd", scratch_path(path, sizeof(path), p.rig.dir, "t/link")), 0);
	rig_file(&p.rig, "t/.weft-x", 4, 1);
	rig_file(&p.rig, "t/a\nb", 4, 1);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	m = rig_manifest(&p.rig, seen.manifest_id, &bytes);
	CHECK(m);
	CHECK_EQ(m->item_cnt, 1);
	blobs_manifest_free(m);
	free(bytes);
	pub_end(&p);
}

/* Private ones are for peers that know their key, and one without a revision is not listed. */
static void test_only_public_shares_are_listed(void)
{
	struct publish_settings *settings;
	const uint8_t *first, *second, *third;
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN], private_id[SHARE_ID_LEN];
	char name[16];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 1);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		settings = pub_settings(name);
		settings->is_public = i != 2;
		CHECK_EQ(pub_create(&p, settings, NULL, i == 2 ? private_id : id), 0);
		if (i != 4)
			CHECK_EQ(pub_publish(&p, i == 2 ? private_id : id, "t", &seen), 0);
	}
	first = shares_publisher_public_next(p.publisher, NULL);
	CHECK(first);
	second = shares_publisher_public_next(p.publisher, first);
	CHECK(second);
	third = shares_publisher_public_next(p.publisher, second);
	CHECK(third);
	CHECK(!shares_publisher_public_next(p.publisher, third));
	CHECK(memcmp(first, second, SHARE_ID_LEN) < 0);
	CHECK(memcmp(second, third, SHARE_ID_LEN) < 0);
	CHECK(memcmp(third, private_id, SHARE_ID_LEN) != 0);
	pub_end(&p);
}

/* publish_files: some files and folders below one root, and nothing else of it. */
static void test_only_what_was_chosen_is_published_and_reached(void)
{
	struct publish_settings *settings = pub_settings("docs");
	struct object_file file = {0};
	struct publish_rig p;
	struct revised seen;
	struct manifest *m;
	uint8_t id[SHARE_ID_LEN], *bytes;

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 6);
	pub_tree(&p, "t/d", 2);
	pub_tree(&p, "t/d2", 2);
	CHECK_EQ(pub_create(&p, settings, NULL, id), 0);
	snprintf(settings->only, sizeof(settings->only), "0003.txt\nd\nd2/0001.txt\nabsent");
	scratch_path(settings->path, sizeof(settings->path), p.rig.dir, "t");
	CHECK_EQ(pub_revise(&p, id, settings, true, &seen), 0);
	CHECK_EQ(pub_reopen(&p), 0);
	CHECK_STR(shares_publisher_lookup(p.publisher, id)->settings->only,
		  "0003.txt\nd\nd2/0001.txt\nabsent");
	m = rig_manifest(&p.rig, seen.manifest_id, &bytes);
	CHECK(m);
	CHECK_EQ(m->item_cnt, 4);
	CHECK_MEM(m->items[0].path, "0003.txt", 8);
	CHECK_MEM(m->items[2].path, "d/0001.txt", 10);
	CHECK_MEM(m->items[3].path, "d2/0001.txt", 11);
	blobs_manifest_free(m);
	free(bytes);
	scratch_path(file.path, sizeof(file.path), p.rig.dir, "t/0003.txt");
	CHECK(blobs_served_index_has_file(blobs_served_index(p.rig.content), &file));
	scratch_path(file.path, sizeof(file.path), p.rig.dir, "t/d/0001.txt");
	CHECK(blobs_served_index_has_file(blobs_served_index(p.rig.content), &file));
	scratch_path(file.path, sizeof(file.path), p.rig.dir, "t/0004.txt");
	CHECK(!blobs_served_index_has_file(blobs_served_index(p.rig.content), &file));
	scratch_path(file.path, sizeof(file.path), p.rig.dir, "t/d2/0000.txt");
	CHECK(!blobs_served_index_has_file(blobs_served_index(p.rig.content), &file));
	snprintf(settings->only, sizeof(settings->only), "../x");
	CHECK_EQ(pub_revise(&p, id, settings, true, &seen), WEFT_EMALFORMED);
	pub_end(&p);
}

/* One file by two publishers: two shares, one content, one chunk list. */
static void test_a_file_in_two_shares_is_kept_once(void)
{
	struct publish_rig p;
	struct revised first, second;
	struct store_stats stats;
	struct manifest *a, *b;
	uint8_t ids[2][SHARE_ID_LEN], *a_bytes, *b_bytes;

	CHECK(pub_begin(&p, NULL));
	rig_mkdir(&p.rig, "one");
	rig_mkdir(&p.rig, "two");
	rig_file(&p.rig, "one/x", 3 * BLAKE3_CHUNK_LEN, 5);
	rig_file(&p.rig, "two/y", 3 * BLAKE3_CHUNK_LEN, 5);
	CHECK_EQ(pub_create(&p, pub_settings("one"), NULL, ids[0]), 0);
	CHECK_EQ(pub_create(&p, pub_settings("two"), NULL, ids[1]), 0);
	CHECK_EQ(pub_publish(&p, ids[0], "one", &first), 0);
	CHECK_EQ(pub_publish(&p, ids[1], "two", &second), 0);
	CHECK(memcmp(ids[0], ids[1], SHARE_ID_LEN) != 0);
	a = rig_manifest(&p.rig, first.manifest_id, &a_bytes);
	b = rig_manifest(&p.rig, second.manifest_id, &b_bytes);
	CHECK(a && b);
	CHECK_MEM(a->items[0].content_id, b->items[0].content_id, 32);
	store_stats(p.rig.store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_OUTBOARDS], 1);
	CHECK_EQ(stats.item_cnt[STORE_BLOBS], 3); /* two manifests, one chunk list */
	blobs_manifest_free(a);
	blobs_manifest_free(b);
	free(a_bytes);
	free(b_bytes);
	pub_end(&p);
}

int main(void)
{
	RUN(test_a_tree_becomes_a_signed_revision);
	RUN(test_an_update_reads_only_what_changed);
	RUN(test_an_update_of_many_files_makes_few_new_parts);
	RUN(test_a_share_outlives_a_restart);
	RUN(test_settings_are_signed_without_reading_files);
	RUN(test_a_revision_is_signed_again_before_it_expires);
	RUN(test_a_revision_from_the_future_is_signed_again_when_the_clock_is_mended);
	RUN(test_only_so_many_revisions_are_kept);
	RUN(test_a_file_in_two_shares_is_kept_once);
	RUN(test_only_public_shares_are_listed);
	RUN(test_only_what_was_chosen_is_published_and_reached);
	RUN(test_limits_and_names_of_shares);
	RUN(test_one_revision_at_a_time);
	RUN(test_a_sweep_and_a_signing_keep_out_of_each_others_way);
	RUN(test_a_file_that_leads_out_of_the_tree_is_left_out);
	return check_done();
}
