/* SPDX-License-Identifier: Apache-2.0 */
/* A post that is not public goes to a peer after it is on the disk that the peer has it. */
#include "social/keep/post_store.h"
#include "social/revoke/revoke_state.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "sync_posts_rig.h"
#include "sync_rig.h"

enum { ALICE, BOB, CAROL, DAVE };
static struct rig_node *a, *b;
static struct rig_post open_post, secret, other;

/* Bob may have two of Alice's three posts. */
static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
	b->follows = b->chosen = WHO(ALICE);
	open_post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	secret = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB), 2000);
	other = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
}

static void test_a_private_post_is_given_after_its_mark(void)
{
	begin();
	a->gives_late = true;
	rig_meet(a, b);
	CHECK(rig_gave(a, &secret, BOB));
	CHECK(!rig_gave(a, &open_post, BOB) && !rig_gave(a, &other, BOB));
	CHECK_EQ(rig_held_cnt(b), 0);
	CHECK_EQ(b->synced, 0);
	rig_marks_write(a, 0);
	rig_pass(2 * NS_PER_S);
	CHECK(rig_holds(b, secret.id) && rig_holds(b, open_post.id));
	CHECK(!rig_holds(b, other.id));
	CHECK_EQ(b->synced, WHO(ALICE));
	CHECK_EQ(a->give_cnt, 1);
	rig_end();
}

static void test_a_peer_that_was_given_posts_is_known_as_one_that_pulls(void)
{
	begin();
	a->gives_late = true;
	rig_meet(a, b);
	CHECK_EQ(a->pulled, WHO(BOB));
	CHECK_EQ(b->pulled, 0);
	rig_end();
}

/* And is not taken for a post that is not there: it is asked for again within seconds. */
static void test_a_page_whose_mark_fails_comes_soon(void)
{
	for (unsigned way = 0; way < 2; way++) {
		begin();
		a->gives_late = way == 1;
		a->give_err = way == 0 ? WEFT_EFULL : 0;
		rig_meet(a, b);
		rig_marks_write(a, WEFT_EDAMAGED);
		rig_pass(2 * NS_PER_S);
		CHECK(rig_gave(a, &secret, BOB));
		CHECK(!rig_holds(b, secret.id));
		CHECK_EQ(rig_stats(b).useless_cnt, 0);
		a->give_err = 0;
		a->gives_late = false;
		rig_pass(30 * NS_PER_S);
		CHECK(rig_holds(b, secret.id));
		CHECK(rig_holds(b, open_post.id));
		CHECK_EQ(b->synced, WHO(ALICE));
		rig_end();
	}
}

static void test_a_reader_that_was_taken_off_meanwhile_gets_nothing(void)
{
	struct rig_post *held;

	begin();
	a->gives_late = true;
	rig_meet(a, b);
	held = rig_find(a, secret.id);
	free((void *)(uintptr_t)held->visibility.bytes);
	held->visibility = rig_visibility(held, VISIBILITY_RECIPIENTS, WHO(CAROL));
	rig_row(a, secret.id)->audience = rig_audience(&held->visibility);
	rig_marks_write(a, 0);
	rig_pass(2 * NS_PER_S);
	CHECK(!rig_holds(b, secret.id));
	CHECK(rig_holds(b, open_post.id));
	rig_end();
}

static void test_each_key_of_a_peer_is_marked(void)
{
	struct rig_post for_dave;

	begin();
	b->persona = DAVE;
	for_dave = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(DAVE));
	rig_meet(a, b);
	CHECK(rig_holds(b, for_dave.id));
	CHECK(rig_gave(a, &for_dave, DAVE) && rig_gave(a, &for_dave, BOB));
	rig_end();
}

/* What the seam promises: the asker leaves while the mark is on its way. */
static void (*gone_fn)(void *arg);
static void *gone_arg;
static void note_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	(void)incoming;
	gone_fn = gone;
	gone_arg = arg;
}

static unsigned answer_cnt;
static int no_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		     size_t head_len, const struct transport_span *tail)
{
	answer_cnt += type == MESH_POST_DATA;
	return mesh_lab_seam_of(a->mesh).ops->answer(incoming, type, head, head_len, tail);
}

static void test_an_asker_that_leaves_while_its_mark_waits_is_not_answered(void)
{
	begin();
	rig_ops.abandoned = note_abandoned;
	rig_ops.answer = no_answer;
	answer_cnt = 0;
	gone_fn = NULL;
	a->gives_late = true;
	rig_meet(a, b);
	CHECK(gone_fn != NULL);
	if (gone_fn)
		gone_fn(gone_arg);
	rig_marks_write(a, 0);
	rig_pass(NS_PER_S);
	CHECK_EQ(answer_cnt, 0);
	/* Its slot is free again: all of them are, for as many askers as there may be. */
	for (unsigned i = 0; i < 2 * SYNC_PAGES_MAX; i++) {
		struct sync_get get = {.posts = secret.id, .posts_len = POST_ID_LEN};

		a->gives_late = false;
		CHECK_EQ(rig_say_get(b, a, &get)->err, 0);
	}
	CHECK_EQ(rig_stats(a).full_cnt, 0);
	rig_end();
}

static void test_a_node_that_stops_while_a_mark_waits_answers_that_it_does(void)
{
	begin();
	a->gives_late = true;
	rig_meet(a, b);
	CHECK_EQ(a->give_cnt, 1);
	rig_stop(a);
	rig_pass(NS_PER_S);
	CHECK(!rig_holds(b, secret.id));
	rig_end();
}

/* --- with marks on a disk --- */

static void test_after_an_exchange_a_plan_says_that_the_post_was_fetched(void)
{
	char dir[SCRATCH_CAP];
	struct post_store *posts;
	struct revocations *revocations;
	struct revoke_params revoke = {.now_ns = 1};
	struct post_store_params keep = {.now_ns = 1};
	struct revoke_cost cost;

	scratch_make(dir);
	begin();
	a->store = a->ground.store = scratch_store(dir, true);
	keep.ground = revoke.ground = &a->ground;
	social_posts_config_defaults(&keep.config);
	CHECK_EQ(social_posts_open(&keep, &posts), 0);
	CHECK_EQ(social_holders_open(&a->ground, &a->holders), 0);
	revoke.posts = posts;
	revoke.holders = a->holders;
	CHECK_EQ(social_revoke_open(&revoke, &revocations), 0);
	CHECK_EQ(social_revoke_fetched(revocations, secret.id, rig_key(BOB), &cost), 0);
	CHECK_EQ(cost.fetched, REVOKE_NEVER);
	rig_meet(a, b);
	CHECK(rig_holds(b, secret.id));
	CHECK_EQ(social_revoke_fetched(revocations, secret.id, rig_key(BOB), &cost), 0);
	CHECK_EQ(cost.fetched, REVOKE_FETCHED);
	CHECK_EQ(cost.advised, REVOKE_SEAL);
	CHECK_EQ(social_revoke_fetched(revocations, other.id, rig_key(CAROL), &cost), 0);
	CHECK_EQ(cost.fetched, REVOKE_NEVER);
	social_revoke_close(revocations);
	social_sync_stop(a->sync);
	social_holders_stop(a->holders);
	rig_stop(a);
	social_holders_close(a->holders);
	social_posts_close(posts);
	store_close(a->store);
	a->store = NULL;
	rig_end();
	scratch_remove(dir);
}

/* A mark that is on its way may be of any post: what is taken from a reader now is taken for good. */
static void test_a_plan_is_careful_while_marks_are_on_their_way(void)
{
	char dir[SCRATCH_CAP];
	struct social_ground ground;
	struct post_store *posts;
	struct post_holders *holders;
	struct revocations *revocations;
	struct post_store_params keep = {.ground = &ground, .now_ns = 1};
	struct revoke_params revoke = {.ground = &ground, .now_ns = 1};
	struct revoke_cost cost;

	scratch_make(dir);
	begin();
	ground = a->ground;
	ground.store = scratch_store(dir, true);
	social_posts_config_defaults(&keep.config);
	CHECK_EQ(social_posts_open(&keep, &posts), 0);
	CHECK_EQ(social_holders_open(&ground, &holders), 0);
	revoke.posts = posts;
	revoke.holders = holders;
	CHECK_EQ(social_revoke_open(&revoke, &revocations), 0);
	a->holders = holders;
	rig_meet(a, b); /* its store is in no turn, so the mark waits */
	CHECK(!rig_holds(b, secret.id));
	CHECK(social_holders_is_giving(holders));
	CHECK_EQ(social_revoke_fetched(revocations, secret.id, rig_key(BOB), &cost), 0);
	CHECK(cost.fetched != REVOKE_NEVER);
	CHECK_EQ(cost.advised, REVOKE_SEAL);
	social_revoke_close(revocations);
	social_sync_stop(a->sync);
	social_holders_stop(holders);
	rig_stop(a);
	social_holders_close(holders);
	social_posts_close(posts);
	store_close(ground.store);
	rig_end();
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_a_private_post_is_given_after_its_mark);
	RUN(test_a_peer_that_was_given_posts_is_known_as_one_that_pulls);
	RUN(test_a_page_whose_mark_fails_comes_soon);
	RUN(test_a_reader_that_was_taken_off_meanwhile_gets_nothing);
	RUN(test_each_key_of_a_peer_is_marked);
	RUN(test_an_asker_that_leaves_while_its_mark_waits_is_not_answered);
	RUN(test_a_node_that_stops_while_a_mark_waits_answers_that_it_does);
	RUN(test_after_an_exchange_a_plan_says_that_the_post_was_fetched);
	RUN(test_a_plan_is_careful_while_marks_are_on_their_way);
	return check_done();
}
