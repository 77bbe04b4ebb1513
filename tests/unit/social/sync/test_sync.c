/* SPDX-License-Identifier: Apache-2.0 */
/* Two and more nodes exchange posts: what each may have arrives, and nothing else. */
#include "sync_posts_rig.h"
#include "sync_rig.h"

/* Alice, Bob and Carol have nodes; Dave has none. */
enum { ALICE, BOB, CAROL, DAVE };
static struct rig_node *a, *b, *c;

static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
	c = rig_add();
}

/* b follows Alice. */
static void b_follows_a(void)
{
	b->follows = b->chosen = WHO(ALICE);
	a->related = WHO(BOB);
}

static void test_a_follower_gets_public_posts_of_those_that_it_follows(void)
{
	struct rig_post of_alice, of_dave;

	begin();
	b_follows_a();
	of_alice = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	of_dave = rig_post(a, DAVE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	CHECK(rig_holds(b, of_alice.id));
	CHECK(!rig_holds(b, of_dave.id));
	CHECK_EQ(a->heard_follows, WHO(BOB));
	/* From the next pull on Dave is followed, too. */
	b->follows |= WHO(DAVE);
	rig_pass(310 * NS_PER_S);
	CHECK(rig_holds(b, of_dave.id));
	CHECK_EQ(rig_held_cnt(a), 2);
	CHECK_EQ(rig_stats(b).failed_cnt, 0);
	rig_end();
}

static void test_private_posts_go_to_their_readers_alone(void)
{
	struct rig_post posts[3];

	begin();
	b->follows = b->chosen = c->follows = c->chosen = WHO(ALICE);
	posts[0] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	posts[1] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB) | WHO(CAROL));
	posts[2] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(DAVE));
	rig_meet(a, b);
	rig_meet(a, c);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(rig_holds(b, posts[i].id), i < 2);
		CHECK_EQ(rig_holds(c, posts[i].id), i == 1);
	}
	rig_end();
}

/* Carol is in the group by what Alice knows; Bob proves it with the epoch's key. */
static void test_posts_of_a_group_go_to_members_and_to_those_that_prove_it(void)
{
	struct rig_post post;

	begin();
	b->follows = b->chosen = c->follows = c->chosen = WHO(ALICE);
	post = rig_post(a, ALICE, VISIBILITY_GROUP, 0);
	rig_meet(a, b);
	rig_meet(a, c);
	CHECK(!rig_holds(b, post.id));
	CHECK(!rig_holds(c, post.id));
	a->members = WHO(CAROL);
	b->proves = true;
	rig_pass(310 * NS_PER_S);
	CHECK(rig_holds(b, post.id));
	CHECK(rig_holds(c, post.id));
	CHECK_EQ(rig_stats(a).proof_cnt, 1);
	CHECK_EQ(rig_stats(a).disproof_cnt, 0);
	rig_end();
}

static void test_a_persona_that_a_peer_proves_reads_what_is_for_it(void)
{
	struct rig_post for_dave;

	begin();
	b_follows_a();
	for_dave = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(DAVE));
	rig_meet(a, b);
	CHECK(!rig_holds(b, for_dave.id));
	b->persona = DAVE;
	rig_pass(310 * NS_PER_S);
	CHECK(rig_holds(b, for_dave.id));
	rig_end();
}

static void test_both_directions_are_served_by_one_session(void)
{
	struct rig_post of_alice, of_bob;

	begin();
	b->follows = b->chosen = WHO(ALICE);
	a->follows = a->chosen = WHO(BOB);
	of_alice = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	of_bob = rig_post(b, BOB, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	CHECK(rig_holds(b, of_alice.id));
	CHECK(rig_holds(a, of_bob.id));
	rig_end();
}

/* A friend of a friend hears of a post through the one in between. */
static void test_a_post_goes_on_through_a_node_that_may_have_it(void)
{
	struct rig_post post;

	begin();
	b->follows = b->chosen = WHO(ALICE);
	c->follows = WHO(ALICE) | WHO(BOB);
	c->chosen = WHO(BOB);
	post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	rig_meet(b, c);
	CHECK(rig_holds(c, post.id));
	rig_end();
}

static void test_newer_readers_of_a_post_arrive_and_older_ones_do_not(void)
{
	struct rig_post made, *post;
	struct post_row *row;

	begin();
	b_follows_a();
	made = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	rig_meet(a, b);
	CHECK_EQ(rig_find(b, made.id)->number, 1);
	post = rig_find(a, made.id);
	row = rig_row(a, made.id);
	post->number = row->number = 2;
	free((void *)(uintptr_t)post->visibility.bytes);
	post->visibility = rig_visibility(post, VISIBILITY_RECIPIENTS, WHO(BOB) | WHO(CAROL));
	row->audience = rig_audience(&post->visibility);
	rig_pass(310 * NS_PER_S);
	CHECK_EQ(rig_find(b, made.id)->number, 2);
	CHECK_EQ(b->taken_cnt, 2);
	/* b's is newer now, and stays. */
	post = rig_find(b, made.id);
	post->number = rig_row(b, made.id)->number = 3;
	rig_pass(310 * NS_PER_S);
	CHECK_EQ(b->taken_cnt, 2);
	rig_end();
}

static void test_a_reader_that_was_taken_off_hears_no_more_of_a_post(void)
{
	struct rig_post made, *post;
	struct post_row *row;

	begin();
	b_follows_a();
	made = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	rig_meet(a, b);
	CHECK(rig_holds(b, made.id));
	post = rig_find(a, made.id);
	row = rig_row(a, made.id);
	post->number = row->number = 2;
	free((void *)(uintptr_t)post->visibility.bytes);
	post->visibility = rig_visibility(post, VISIBILITY_RECIPIENTS, WHO(CAROL));
	row->audience = rig_audience(&post->visibility);
	rig_pass(310 * NS_PER_S);
	CHECK_EQ(rig_find(b, made.id)->number, 1);
	rig_end();
}

static void test_a_deletion_is_found_by_the_next_pull_of_either_side(void)
{
	struct rig_post first, second;

	begin();
	b_follows_a();
	first = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	second = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	CHECK_EQ(rig_held_cnt(b), 2);
	rig_delete(a, first.id);
	rig_pass(310 * NS_PER_S);
	CHECK(!rig_holds(b, first.id));
	CHECK(rig_holds(b, second.id));
	CHECK_EQ(b->deletion_cnt, 1);
	rig_end();
}

static void test_a_new_post_reaches_a_session_within_100_ms(void)
{
	struct rig_post post, secret;

	begin();
	b_follows_a();
	rig_meet(a, b);
	post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	secret = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
	social_sync_news(a->sync, post.id, NULL, rig_lab.now_ns);
	social_sync_news(a->sync, secret.id, NULL, rig_lab.now_ns);
	rig_pass(100 * NS_PER_MS);
	CHECK(rig_holds(b, post.id));
	CHECK(!rig_holds(b, secret.id));
	CHECK_EQ(rig_stats(a).offered_cnt, 1);
	CHECK_EQ(rig_stats(b).offer_cnt, 1);
	/* Not to the one that it came of. */
	post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	social_sync_news(a->sync, post.id, b->mesh->key, rig_lab.now_ns);
	rig_pass(NS_PER_S);
	CHECK(!rig_holds(b, post.id));
	rig_end();
}

/* Of a private post, too: its readers are known before it goes. */
static void test_a_deletion_and_a_profile_reach_a_session_at_once(void)
{
	struct rig_post posts[2], other;

	begin();
	b_follows_a();
	posts[0] = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	posts[1] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	other = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
	rig_meet(a, b);
	CHECK_EQ(rig_held_cnt(b), 2);
	for (unsigned i = 0; i < 2; i++) {
		social_sync_leaving(a->sync, posts[i].id, NULL);
		rig_pass(100 * NS_PER_MS);
		CHECK_EQ(b->deletion_cnt, i);
		rig_delete(a, posts[i].id);
		social_sync_gone(a->sync, posts[i].id, rig_lab.now_ns);
		rig_pass(100 * NS_PER_MS);
		CHECK(!rig_holds(b, posts[i].id));
		CHECK_EQ(b->deletion_cnt, i + 1);
	}
	/* What Bob may not have is nothing to him, and what came of him is not sent back. */
	social_sync_leaving(a->sync, other.id, NULL);
	rig_delete(a, other.id);
	social_sync_gone(a->sync, other.id, rig_lab.now_ns);
	posts[0] = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	social_sync_leaving(a->sync, posts[0].id, b->mesh->key);
	rig_delete(a, posts[0].id);
	social_sync_gone(a->sync, posts[0].id, rig_lab.now_ns);
	rig_pass(100 * NS_PER_MS);
	CHECK_EQ(b->deletion_cnt, 2);
	CHECK_EQ(b->profile_cnt, 1);
	social_sync_profile_changed(a->sync, rig_lab.now_ns);
	rig_pass(100 * NS_PER_MS);
	CHECK_EQ(b->profile_cnt, 2);
	CHECK_EQ(rig_stats(a).pushed_cnt, 3);
	rig_end();
}

/* 30 posts of 200 KiB: pages of at most 1 MiB, one behind the other. */
static void test_large_posts_come_in_pages(void)
{
	begin();
	b_follows_a();
	for (unsigned i = 0; i < 30; i++)
		(void)rig_post_of(a, ALICE, VISIBILITY_PUBLIC, 0, 200u << 10);
	rig_meet(a, b);
	rig_pass(20 * NS_PER_S);
	CHECK_EQ(rig_held_cnt(b), 30);
	CHECK_EQ(rig_stats(b).useless_cnt, 0);
	CHECK(b->asked_cnt >= 8);
	rig_end();
}

static void test_an_empty_node_gets_12000_posts_newest_first(void)
{
	struct rig_post last;

	begin();
	b_follows_a();
	for (unsigned i = 0; i < 12000; i++)
		last = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	mesh_lab_ask(a->mesh, b->mesh, MESH_PEX_REQUEST, "", 0, &rig_asked);
	social_sync_session_up(b->sync, a->mesh->key, rig_lab.now_ns);
	for (unsigned i = 0; i < 50 && rig_held_cnt(b) == 0; i++)
		rig_pass(10 * NS_PER_MS);
	CHECK(rig_holds(b, last.id));
	CHECK(rig_held_cnt(b) < 1000);
	rig_pass(120 * NS_PER_S);
	CHECK_EQ(rig_held_cnt(b), 12000);
	rig_end();
}

static void always_busy(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	(void)now_ns;
	mesh_lab_seam_of(ctx).ops->answer_error(call->incoming, MESH_CODE_BUSY, "busy", 0);
}

/* In an hour: 5 s, 10 s and so on up to 5 min. */
static void test_a_pull_that_fails_is_tried_again_with_growing_pauses(void)
{
	begin();
	b_follows_a();
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		if (a->mesh->handlers[i].type == MESH_SOCIAL_HELLO) {
			a->mesh->handlers[i].fn = always_busy;
			a->mesh->handlers[i].ctx = a->mesh;
		}
	rig_meet(a, b);
	CHECK_EQ(rig_stats(b).failed_cnt, 1);
	rig_pass(3600 * NS_PER_S);
	CHECK(rig_stats(b).failed_cnt >= 15 && rig_stats(b).failed_cnt <= 20);
	CHECK_EQ(rig_stats(b).pulled_cnt, 0);
	rig_end();
}

/* What was refused is not fetched again and again. */
static void test_a_post_that_is_refused_is_not_asked_for_again_within_an_hour(void)
{
	begin();
	b_follows_a();
	b->refuses = true;
	(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	rig_pass(3000 * NS_PER_S);
	CHECK_EQ(rig_stats(b).refused_cnt, 1);
	CHECK(rig_stats(b).pulled_cnt >= 9);
	rig_pass(1000 * NS_PER_S);
	CHECK_EQ(rig_stats(b).refused_cnt, 2);
	rig_end();
}

static void test_a_pull_that_is_asked_for_says_what_it_brought(void)
{
	begin();
	b_follows_a();
	CHECK_EQ(rig_pull(b, a, NULL), WEFT_EABSENT);
	rig_meet(a, b);
	for (unsigned i = 0; i < 5; i++)
		(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	CHECK_EQ(rig_pull(b, a, NULL), 0);
	CHECK_EQ(b->done_cnt, 1);
	CHECK_EQ(b->outcome.err, 0);
	CHECK_EQ(b->outcome.new_cnt, 5);
	CHECK(b->outcome.received_len > 500);
	rig_end();
}

static void test_a_node_that_restarts_goes_on_where_it_was(void)
{
	struct rig_post post;

	begin();
	b_follows_a();
	for (unsigned i = 0; i < 100; i++)
		(void)rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	rig_meet(a, b);
	CHECK_EQ(rig_held_cnt(b), 100);
	rig_stop(a);
	rig_start(a);
	rig_part(a, b);
	post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	b->asked_len = 0;
	rig_meet(a, b);
	CHECK(rig_holds(b, post.id));
	CHECK_EQ(b->taken_cnt, 101);
	CHECK(b->asked_len < 4000);
	rig_end();
}

int main(void)
{
	RUN(test_a_follower_gets_public_posts_of_those_that_it_follows);
	RUN(test_private_posts_go_to_their_readers_alone);
	RUN(test_posts_of_a_group_go_to_members_and_to_those_that_prove_it);
	RUN(test_a_persona_that_a_peer_proves_reads_what_is_for_it);
	RUN(test_both_directions_are_served_by_one_session);
	RUN(test_a_post_goes_on_through_a_node_that_may_have_it);
	RUN(test_newer_readers_of_a_post_arrive_and_older_ones_do_not);
	RUN(test_a_reader_that_was_taken_off_hears_no_more_of_a_post);
	RUN(test_a_deletion_is_found_by_the_next_pull_of_either_side);
	RUN(test_a_new_post_reaches_a_session_within_100_ms);
	RUN(test_a_deletion_and_a_profile_reach_a_session_at_once);
	RUN(test_large_posts_come_in_pages);
	RUN(test_an_empty_node_gets_12000_posts_newest_first);
	RUN(test_a_pull_that_fails_is_tried_again_with_growing_pauses);
	RUN(test_a_post_that_is_refused_is_not_asked_for_again_within_an_hour);
	RUN(test_a_pull_that_is_asked_for_says_what_it_brought);
	RUN(test_a_node_that_restarts_goes_on_where_it_was);
	return check_done();
}
