/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer says of a post keeps it from no other peer, and a blocked peer hears nothing more. */
#include "social/sync/sync_state.h"
#include "sync_posts_rig.h"
#include "sync_rig.h"

enum { ALICE, BOB, CAROL };

static struct rig_node *a, *b;

static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
}

/* Bob offers a post of Carol and never gives it. Alice asks Carol all the same. */
static void test_a_post_that_one_peer_does_not_give_is_asked_of_others(void)
{
	struct rig_node *c;
	struct rig_post post;
	uint8_t bytes[128], row[RANGE_ROW_LEN] = {0};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sync_answer offer = {.rows = row, .rows_len = sizeof(row)};

	begin();
	c = rig_add();
	a->follows = a->chosen = WHO(CAROL);
	a->related = WHO(BOB);
	rig_meet(a, b);
	post = rig_post(c, CAROL, VISIBILITY_PUBLIC, 0);
	memcpy(row, post.id, POST_ID_LEN);
	row[POST_ID_LEN + 1] = 1;
	social_sync_answer_write(&w, &offer);
	mesh_lab_ask(b->mesh, a->mesh, MESH_SOCIAL_POSTS, (const char *)bytes, writer_len(&w),
		     &rig_asked);
	rig_pass(5 * NS_PER_S);
	CHECK_EQ(rig_stats(a).useless_cnt, 1);
	rig_meet(a, c);
	rig_pass(NS_PER_S);
	CHECK(rig_holds(a, post.id));
	rig_end();
}

static void test_a_blocked_peer_hears_of_no_deletion(void)
{
	struct rig_post post;

	begin();
	b->follows = b->chosen = WHO(ALICE);
	a->related = WHO(BOB);
	post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(b, a);
	CHECK(rig_holds(b, post.id));
	a->blocked = WHO(BOB);
	social_sync_leaving(a->sync, post.id, NULL);
	rig_delete(a, post.id);
	social_sync_gone(a->sync, post.id, rig_lab.now_ns);
	rig_pass(NS_PER_S);
	CHECK(rig_holds(b, post.id));
	rig_end();
}

int main(void)
{
	RUN(test_a_post_that_one_peer_does_not_give_is_asked_of_others);
	RUN(test_a_blocked_peer_hears_of_no_deletion);
	return check_done();
}
