/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that were given up, keys that lead to the next, and links. */
#include "follow_sync_rig.h"

static void test_a_share_that_was_given_up_is_used_no_more(void)
{
	static const uint8_t nothing[32];

	begin();
	CHECK(follow_at(7));
	CHECK(rig.was_used);
	frig_head_make(&share, HEAD_SEQ_REVOKED, nothing, FRIG_WALL_S);
	frig_head_at(&rig, 0, &share);
	sync_now();
	CHECK_EQ(shown()->state, FOLLOW_REVOKED);
	CHECK(!shown()->is_used);
	CHECK(!rig.was_used);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_WAS_REVOKED), 1);
	/* A holder of the key goes on in vain. */
	publish(8);
	frig_head_at(&rig, 0, &share);
	sync_now();
	frig_close(&rig);
	frig_open(&rig);
	frig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(shown()->state, FOLLOW_REVOKED);
	/* It was told once, and not with each start. */
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_WAS_REVOKED), 1);
	end();
}

/* --- another key --- */

static void last_head_at(struct frig_share *from, const struct frig_share *to)
{
	struct share_head head = {
		.seq = HEAD_SEQ_REVOKED, .updated_s = FRIG_WALL_S, .has_successor = true};
	struct frig_node *node = &rig.nodes[0];
	struct writer w = writer_of(node->head, sizeof(node->head));

	memcpy(head.successor, node_key_public(to->key), sizeof(head.successor));
	shares_head_write(&w, from->key, &head);
	node->head_len = writer_len(&w);
}

static unsigned followed_cnt(void)
{
	struct follows_stats stats;

	shares_follows_stats(rig.follows, &stats);
	return stats.follow_cnt;
}

static void test_a_share_with_a_replaced_key_is_followed_under_the_next_over_a_kill(void)
{
	struct frig_share next;
	const struct follow *moved;

	begin();
	frig_share_init(&next, 2);
	CHECK(follow_at(7));
	last_head_at(&share, &next);
	sync_now();
	CHECK(!shown());
	moved = shares_follow_lookup(rig.follows, next.id);
	CHECK(moved);
	CHECK_MEM(moved->share_key, node_key_public(next.key), 32);
	CHECK_MEM(synced.last.share_id, next.id, SHARE_ID_LEN);
	CHECK_EQ(moved->revision_cnt, 0);
	CHECK(!rig.was_used);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_HAS_MOVED), 1);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_WAS_REVOKED), 0);
	frig_close(&rig);
	frig_open(&rig);
	CHECK_EQ(followed_cnt(), 1);
	CHECK(!shown() && shares_follow_lookup(rig.follows, next.id));
	/* Its first revision is as good as any. */
	frig_publish(&rig, &next, &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 0, &next);
	frig_run(&rig, 600 * NS_PER_S);
	CHECK_EQ(shares_follow_lookup(rig.follows, next.id)->state, FOLLOW_CURRENT);
	frig_share_fini(&next);
	end();
}

static void test_a_share_is_not_followed_twice_when_a_key_leads_to_one_that_is(void)
{
	struct frig_share next;

	begin();
	frig_share_init(&next, 2);
	CHECK(follow_at(7));
	frig_publish(&rig, &next, &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 0, &next);
	CHECK_EQ(frig_follow(&rig, &next, 1, FOLLOW_NORMAL), 0);
	last_head_at(&share, &next);
	sync_now();
	CHECK_EQ(followed_cnt(), 2);
	CHECK_EQ(shown()->state, FOLLOW_REVOKED);
	CHECK(strstr(shown()->detail, "followed, too"));
	frig_share_fini(&next);
	end();
}

/* Each key names the next, and none publishes anything. */
static void test_more_than_eight_keys_without_a_revision_are_not_gone_through(void)
{
	static struct frig_share keys[HEAD_SUCCESSORS_MAX + 2];
	const unsigned last = HEAD_SUCCESSORS_MAX + 1;

	begin();
	for (unsigned i = 0; i <= last; i++)
		frig_share_init(&keys[i], (uint8_t)(10 + i));
	frig_publish(&rig, &keys[0], &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 0, &keys[0]);
	CHECK_EQ(frig_follow(&rig, &keys[0], 1, FOLLOW_NORMAL), 0);
	for (unsigned i = 0; i < last; i++) {
		last_head_at(&keys[i], &keys[i + 1]);
		frig_run(&rig, 8000 * NS_PER_S);
		if (i == HEAD_SUCCESSORS_MAX / 2) { /* how many it were is kept */
			frig_close(&rig);
			frig_open(&rig);
		}
	}
	CHECK(shares_follow_lookup(rig.follows, keys[HEAD_SUCCESSORS_MAX].id));
	CHECK(!shares_follow_lookup(rig.follows, keys[last].id));
	CHECK_EQ(followed_cnt(), 1);
	for (unsigned i = 0; i <= last; i++)
		frig_share_fini(&keys[i]);
	end();
}

static void test_the_news_that_a_share_was_given_up_is_kept_alive(void)
{
	static const uint8_t nothing[32];

	begin();
	CHECK(follow_at(1));
	frig_head_make(&share, HEAD_SEQ_REVOKED, nothing, FRIG_WALL_S);
	frig_head_at(&rig, 0, &share);
	sync_now();
	rig.nodes[0].is_dead = true;
	frig_overlay_clear(&rig);
	frig_run(&rig, 1200 * NS_PER_S);
	CHECK_EQ(head_in_overlay_cnt(), 1);
	end();
}

/* --- a link that is not followed --- */

static void test_a_link_is_resolved_with_the_care_of_a_follower(void)
{
	struct frig_share old;
	struct follow_sync *sync;
	struct link link;

	begin();
	frig_share_init(&old, 1);
	frig_publish(&rig, &old, &(struct frig_revision){.seq = 1});
	publish(2);
	frig_head_at(&rig, 0, &share);
	link = frig_link(&share, 1);
	memset(&synced, 0, sizeof(synced));
	CHECK_EQ(shares_follow_resolve_start(rig.follows, &link, noted, rig.now_ns, &sync), 0);
	frig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(synced.cnt, 1);
	CHECK_EQ(synced.last.err, 0);
	CHECK_MEM(synced.last.head.manifest_id, share.head.manifest_id, 32);
	CHECK(!shown());
	/* Later a node gives an older one. */
	frig_head_at(&rig, 0, &old);
	CHECK_EQ(shares_follow_resolve_start(rig.follows, &link, noted, rig.now_ns, &sync), 0);
	frig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(synced.cnt, 2);
	CHECK_EQ(synced.last.head.seq, 2);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	frig_share_fini(&old);
	end();
}

static void test_so_many_links_are_resolved_at_once(void)
{
	struct follow_sync *sync;
	struct link link;

	begin();
	link = frig_link(&share, 1);
	memset(&synced, 0, sizeof(synced));
	for (unsigned i = 0; i <= 64; i++)
		CHECK_EQ(shares_follow_resolve_start(rig.follows, &link, noted, rig.now_ns, &sync),
			 i < 64 ? 0 : WEFT_EFULL);
	frig_run(&rig, 5 * NS_PER_S);
	CHECK_EQ(synced.cnt, 64);
	end();
}

int main(void)
{
	RUN(test_a_share_that_was_given_up_is_used_no_more);
	RUN(test_a_share_with_a_replaced_key_is_followed_under_the_next_over_a_kill);
	RUN(test_a_share_is_not_followed_twice_when_a_key_leads_to_one_that_is);
	RUN(test_more_than_eight_keys_without_a_revision_are_not_gone_through);
	RUN(test_the_news_that_a_share_was_given_up_is_kept_alive);
	RUN(test_a_link_is_resolved_with_the_care_of_a_follower);
	RUN(test_so_many_links_are_resolved_at_once);
	return check_done();
}
