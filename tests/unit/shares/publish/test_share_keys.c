/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions and keys of shares: which node may sign the next one, and what ends a share. */
#include "share_rig.h"

/* A reader of the former state has lost it. */
static void overlay_empty(struct fake_overlay *overlay)
{
	while (overlay->value_cnt)
		free(overlay->values[--overlay->value_cnt].bytes);
}

/* overlay_tell lets another holder of the key publish revision seq. */
static void overlay_tell(struct publish_rig *p, const uint8_t *id, uint64_t seq, uint64_t updated_s,
			 uint8_t manifest)
{
	const struct overlay_seam seam = fake_overlay_seam(p->overlay);
	uint8_t name[HEAD_OVERLAY_NAME_LEN], value[1 + HEAD_LEN_MAX] = {HEAD_OVERLAY_TAG};
	struct overlay_run *run;
	struct head_seen seen;

	pub_head(seq, updated_s, manifest, &seen);
	memcpy(value + 1, seen.bytes, seen.len);
	shares_head_overlay_name(id, name);
	if (seam.ops->put(seam.overlay,
			  &(struct overlay_put_params){
				  .value = {name, sizeof(name), value, 1 + seen.len}, .done = NULL},
			  p->rig.now_ns, &run) < 0)
		abort();
	seam.ops->cancel(run);
}

static void test_a_revision_is_numbered_after_all_that_were_seen(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	struct share_head head;
	uint8_t id[SHARE_ID_LEN];

	CHECK(share_begin(&p, &overlay, id));
	overlay_tell(&p, id, 41, p.wall_s, 3);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 42);
	CHECK_EQ(p.events[PUBLISH_SUPERSEDED], 1);
	pub_turns(&p, 10);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK_EQ(head.seq, 42);
	/* An older one that is played back changes nothing. */
	overlay_empty(&overlay);
	overlay_tell(&p, id, 41, p.wall_s + 100, 3);
	pub_pass(&p, 86400);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_CURRENT);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->newest.seq, 42);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK_EQ(head.seq, 42);
	share_end(&p, &overlay);
}

static void test_two_nodes_with_one_key_take_turns(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig a, b;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN], same[SHARE_ID_LEN];

	CHECK(pub_begin(&a, &overlay));
	CHECK(pub_begin(&b, &overlay));
	pub_tree(&a, "t", 2);
	pub_tree(&b, "t", 3);
	CHECK_EQ(pub_create(&a, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_create(&b, pub_settings("mirror"), pub_seed, same), 0);
	CHECK_MEM(id, same, 32);
	for (uint64_t round = 0; round < 4; round++) {
		struct publish_rig *p = round % 2 ? &b : &a;

		p->wall_s++;
		rig_file(&p->rig, "t/more", 5, (unsigned)round);
		CHECK_EQ(pub_publish(p, id, "t", &seen), 0);
		CHECK_EQ(seen.seq, round + 1);
		pub_turns(p, 10);
	}
	pub_pass(&a, 13 * 3600);
	CHECK_EQ(shares_publisher_lookup(a.publisher, id)->state, PUBLISH_BEHIND);
	CHECK_EQ(shares_publisher_lookup(a.publisher, id)->newest.seq, 4);
	CHECK_EQ(shares_publisher_lookup(b.publisher, id)->state, PUBLISH_CURRENT);
	pub_end(&a);
	pub_end(&b);
	fake_overlay_fini(&overlay);
}

/* Two that could not hear each other use one number: the later one holds, at both. */
static void test_a_fork_ends_at_the_later_revision(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(share_begin(&p, &overlay, id));
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	pub_turns(&p, 10);
	overlay_empty(&overlay);
	overlay_tell(&p, id, 1, p.wall_s + 50, 3);
	pub_pass(&p, 13 * 3600);
	CHECK_EQ(p.events[PUBLISH_FORKED], 1);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_BEHIND);
	rig_file(&p.rig, "t/more", 5, 1);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 2);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_CURRENT);
	share_end(&p, &overlay);
}

static void test_what_is_behind_does_not_sign_old_files_anew(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	struct publish_settings changed;
	uint8_t id[SHARE_ID_LEN];

	CHECK(share_begin(&p, &overlay, id));
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	overlay_tell(&p, id, 5, p.wall_s, 3);
	changed = *shares_publisher_lookup(p.publisher, id)->settings;
	changed.is_public = true;
	CHECK_EQ(pub_revise(&p, id, &changed, false, &seen), WEFT_ESTALE);
	CHECK(strstr(seen.detail, "revision 5"));
	CHECK(!shares_publisher_lookup(p.publisher, id)->settings->is_public);
	/* The files here, published anew, come after it. */
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 6);
	share_end(&p, &overlay);
}

static void test_what_is_revoked_is_over(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	struct share_head head;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, &overlay));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	pub_turns(&p, 10);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->holder_cnt, overlay.keeper_cnt);
	CHECK_EQ(pub_revoke(&p, id, &seen), 0);
	CHECK_EQ(p.told_holder_cnt, 0); /* of the last head: they kept the one before */
	pub_turns(&p, 10);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->holder_cnt, overlay.keeper_cnt);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK(shares_head_is_revoked(&head));
	CHECK(!is_listed(&p, seen.manifest_id));
	CHECK_EQ(pub_publish(&p, id, "t", &seen), WEFT_EREFUSED);
	CHECK_EQ(pub_revoke(&p, id, &seen), WEFT_EREFUSED);
	CHECK_EQ(pub_reopen(&p), 0);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_REVOKED);
	/* It stays in the overlay as long as we are there. */
	overlay_empty(&overlay);
	pub_pass(&p, 86400);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK(shares_head_is_revoked(&head));
	share_end(&p, &overlay);
}

static int rotate(struct publish_rig *p, const uint8_t *id, struct revised *seen)
{
	const struct publish_ask ask = {.done = pub_revised, .arg = seen};

	memset(seen, 0, sizeof(*seen));
	return shares_publisher_rotate(p->publisher, id, &ask, p->rig.now_ns);
}

/* Both shares, whatever instant it is after the old one ended. */
static void check_rotated(struct publish_rig *p, const uint8_t *old_id)
{
	const struct published *now = shares_publisher_find(p->publisher, "docs");
	const struct published *old = shares_publisher_find(p->publisher, "docs.old");
	uint8_t id[SHARE_ID_LEN];

	CHECK(now && old);
	CHECK_MEM(old->share_id, old_id, SHARE_ID_LEN);
	CHECK_EQ(old->state, PUBLISH_REVOKED);
	CHECK(old->newest.has_successor);
	share_id_of(old->newest.successor, id);
	CHECK_MEM(now->share_id, id, SHARE_ID_LEN);
	CHECK_STR(now->settings->title, "Docs");
}

static void test_a_key_that_is_replaced_leads_to_the_next(void)
{
	struct publish_settings *settings = pub_settings("docs");
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	struct share_head head;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, &overlay));
	pub_tree(&p, "t", 2);
	strcpy(settings->title, "Docs");
	CHECK_EQ(pub_create(&p, settings, NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(rotate(&p, id, &seen), 0);
	for (unsigned i = 0; i < 1000 && !seen.done_cnt; i++)
		pub_turn(&p);
	CHECK_EQ(seen.done_cnt, 1);
	CHECK_EQ(seen.err, 0);
	CHECK_EQ(seen.seq, 1);
	check_rotated(&p, id);
	CHECK(is_listed(&p, seen.manifest_id));
	CHECK_EQ(rotate(&p, id, &seen), WEFT_EREFUSED);
	pub_turns(&p, 10);
	CHECK(overlay_head(&overlay, id, &head));
	CHECK(shares_head_is_revoked(&head) && head.has_successor);
	CHECK_EQ(pub_reopen(&p), 0);
	check_rotated(&p, id);
	CHECK_EQ(shares_publisher_find(p.publisher, "docs")->state, PUBLISH_CURRENT);
	share_end(&p, &overlay);
}

static void test_a_new_key_is_published_by_the_next_start_where_the_program_ended(void)
{
	struct publish_settings *settings = pub_settings("docs");
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	strcpy(settings->title, "Docs");
	CHECK_EQ(pub_create(&p, settings, NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(rotate(&p, id, &seen), 0);
	for (unsigned i = 0; i < 1000 && !shares_publisher_find(p.publisher, "docs.old"); i++)
		pub_turn(&p);
	CHECK_EQ(seen.done_cnt, 0);
	CHECK_EQ(pub_reopen(&p), 0);
	check_rotated(&p, id);
	pub_pass(&p, 60);
	pub_turns(&p, 100);
	CHECK_EQ(shares_publisher_find(p.publisher, "docs")->state, PUBLISH_CURRENT);
	CHECK_EQ(shares_publisher_find(p.publisher, "docs")->newest.seq, 1);
	pub_end(&p);
}

static void test_no_key_is_replaced_where_one_more_share_has_no_room(void)
{
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	p.config.share_cap = 1;
	shares_publisher_configure(p.publisher, &p.config);
	CHECK_EQ(rotate(&p, id, &seen), 0);
	for (unsigned i = 0; i < 1000 && !seen.done_cnt; i++)
		pub_turn(&p);
	CHECK_EQ(seen.err, WEFT_EFULL);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_CURRENT);
	CHECK(shares_publisher_find(p.publisher, "docs") &&
	      !shares_publisher_find(p.publisher, "docs.old"));
	pub_end(&p);
}

static void test_a_key_that_is_revoked_elsewhere_publishes_nothing(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(share_begin(&p, &overlay, id));
	overlay_tell(&p, id, HEAD_SEQ_REVOKED, p.wall_s, 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), WEFT_EREFUSED);
	CHECK(strstr(seen.detail, "revoked"));
	CHECK_EQ(p.events[PUBLISH_WAS_REVOKED], 1);
	CHECK_EQ(blobs_shares_cnt(p.rig.content->shares), 0);
	share_end(&p, &overlay);
}

static void test_a_key_whose_numbers_are_used_up_publishes_nothing(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(share_begin(&p, &overlay, id));
	overlay_tell(&p, id, HEAD_SEQ_REVOKED - 1, p.wall_s, 3);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), WEFT_EREFUSED);
	/* But it can be revoked. */
	CHECK_EQ(pub_revoke(&p, id, &seen), 0);
	share_end(&p, &overlay);
}

static void test_a_share_that_is_removed_is_forgotten_with_its_key(void)
{
	struct store_stats stats;
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];
	int outcome = 1;

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(shares_publisher_remove(p.publisher, id,
					 (struct publisher_caller){pub_note_done, &outcome}),
		 0);
	CHECK(!shares_publisher_lookup(p.publisher, id));
	pub_turns(&p, 3);
	CHECK_EQ(outcome, 0);
	CHECK(!is_listed(&p, seen.manifest_id));
	CHECK_EQ(shares_publisher_cnt(p.publisher), 0);
	store_stats(p.rig.store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_PUBLISHED], 0);
	CHECK_EQ(stats.item_cnt[STORE_REVISIONS], 0);
	/* The number that was seen of it stays: no node gets behind it. */
	CHECK_EQ(stats.item_cnt[STORE_HEADS], 1);
	CHECK_EQ(pub_create(&p, pub_settings("again"), pub_seed, id), 0);
	CHECK_EQ(shares_publisher_lookup(p.publisher, id)->state, PUBLISH_BEHIND);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 2);
	pub_end(&p);
}

static void test_a_key_goes_from_node_to_node_as_a_file(void)
{
	struct publish_rig p;
	struct node_key *key;
	struct stat st;
	char path[SCRATCH_CAP + 16];
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	CHECK_EQ(pub_create(&p, pub_settings("docs"), NULL, id), 0);
	scratch_path(path, sizeof(path), p.rig.dir, "docs.key");
	CHECK_EQ(shares_publisher_export_key(p.publisher, id, path), 0);
	CHECK_EQ(shares_publisher_export_key(p.publisher, id, path), WEFT_EEXISTS);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(node_key_load(path, NULL, &key), 0);
	CHECK_MEM(node_key_public(key), shares_publisher_lookup(p.publisher, id)->share_key, 32);
	node_key_free(key);
	pub_end(&p);
}

int main(void)
{
	RUN(test_a_revision_is_numbered_after_all_that_were_seen);
	RUN(test_two_nodes_with_one_key_take_turns);
	RUN(test_a_fork_ends_at_the_later_revision);
	RUN(test_what_is_behind_does_not_sign_old_files_anew);
	RUN(test_what_is_revoked_is_over);
	RUN(test_a_key_that_is_replaced_leads_to_the_next);
	RUN(test_a_new_key_is_published_by_the_next_start_where_the_program_ended);
	RUN(test_no_key_is_replaced_where_one_more_share_has_no_room);
	RUN(test_a_key_that_is_revoked_elsewhere_publishes_nothing);
	RUN(test_a_key_whose_numbers_are_used_up_publishes_nothing);
	RUN(test_a_share_that_is_removed_is_forgotten_with_its_key);
	RUN(test_a_key_goes_from_node_to_node_as_a_file);
	return check_done();
}
