/* SPDX-License-Identifier: Apache-2.0 */
/* What is on its way to a reader ends when the reader is taken off: pages, pushes, the literal form. */
#include "sync_literal_rig.h"

#define RECALLS 16u
static const void *recalled[RECALLS];
static unsigned recalled_cnt;

/* As the mesh: its bytes come back, and go no further. */
static void note_recall(struct mesh *mesh, const void *arg)
{
	CHECK(recalled_cnt < RECALLS);
	recalled[recalled_cnt++] = arg;
	for (unsigned i = 0; i < mesh->lent_cnt; i++)
		if (mesh->lent[i].arg == arg) {
			const struct transport_span span = mesh->lent[i];

			mesh->lent[i] = mesh->lent[--mesh->lent_cnt];
			span.done(span.arg);
			return;
		}
	CHECK(!"an answer that is under way");
}

static struct rig_node *b, *c;
static struct rig_post secret, open_post, shared;

/* Bob and Carol read what Alice wrote. */
static void begin_cut(void)
{
	json_heap_begin();
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
	c = rig_add();
	a->related = WHO(BOB) | WHO(CAROL);
	b->follows = b->chosen = c->follows = c->chosen = WHO(ALICE);
	recalled_cnt = 0;
	rig_ops.recall = note_recall;
	a->mesh->is_unacknowledged = true;
	secret = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB), 200);
	shared = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB) | WHO(CAROL), 3000);
	open_post = rig_post_of(a, ALICE, VISIBILITY_PUBLIC, 0, 5000);
}

static void read_from(struct rig_node *node, const struct rig_post *post)
{
	const struct sync_get get = {.posts = post->id, .posts_len = POST_ID_LEN};

	CHECK_EQ(rig_say_get(node, a, &get)->err, 0);
}

static void take_off(const struct rig_post *post, unsigned readers)
{
	struct rig_post *held = rig_find(a, post->id);

	held->number++;
	free((void *)(uintptr_t)held->visibility.bytes);
	held->visibility = rig_visibility(held, VISIBILITY_RECIPIENTS, readers);
	rig_row(a, post->id)->audience = rig_audience(&held->visibility);
	rig_row(a, post->id)->number = held->number;
}

static void test_pages_with_the_post_end_and_others_stay(void)
{
	begin_cut();
	rig_meet(a, b);
	rig_meet(a, c);
	mesh_lab_acknowledge(a->mesh);
	a->mesh->is_unacknowledged = true;
	read_from(b, &secret); /* a short one */
	read_from(b, &shared);
	read_from(c, &shared);
	read_from(b, &open_post);
	CHECK_EQ(a->mesh->lent_cnt, 4);
	social_sync_cut(a->sync, rig_key(DAVE), secret.id);
	social_sync_cut(a->sync, rig_key(CAROL), secret.id);
	CHECK_EQ(recalled_cnt, 0);
	social_sync_cut(a->sync, rig_key(BOB), secret.id);
	CHECK_EQ(recalled_cnt, 1);
	social_sync_cut(a->sync, rig_key(BOB), shared.id);
	CHECK_EQ(recalled_cnt, 2);
	CHECK_EQ(a->mesh->lent_cnt, 2);
	CHECK_EQ(rig_stats(a).cut_cnt, 2);
	mesh_lab_acknowledge(a->mesh);
	rig_end();
}

static void test_a_page_to_a_persona_that_the_peer_proved_ends(void)
{
	begin_cut();
	b->persona = DAVE;
	secret = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(DAVE), 200);
	rig_meet(a, b);
	mesh_lab_acknowledge(a->mesh);
	a->mesh->is_unacknowledged = true;
	read_from(b, &secret);
	CHECK_EQ(a->mesh->lent_cnt, 1);
	social_sync_cut(a->sync, rig_key(DAVE), secret.id);
	CHECK_EQ(recalled_cnt, 1);
	rig_end();
}

/* A page that waits for its mark leaves the post out by itself. */
static void test_a_page_that_waits_for_its_mark_is_made_without_the_post(void)
{
	begin_cut();
	a->gives_late = true;
	rig_meet(a, b);
	take_off(&secret, 0);
	social_sync_cut(a->sync, rig_key(BOB), secret.id);
	rig_marks_write(a, 0);
	rig_pass(2 * NS_PER_S);
	CHECK(!rig_holds(b, secret.id));
	CHECK(rig_holds(b, shared.id));
	CHECK_EQ(recalled_cnt, 0);
	mesh_lab_acknowledge(a->mesh);
	rig_end();
}

/* A push is under way for the peer, so this one waits behind it. */
static void test_pushes_of_the_post_that_wait_are_dropped(void)
{
	unsigned offer_cnt;

	begin_cut();
	rig_meet(a, b);
	a->asked_cnt = 0;
	social_sync_news(a->sync, open_post.id, NULL, rig_lab.now_ns);
	rig_pass(SYNC_NEWS_DELAY_NS + NS_PER_MS);
	offer_cnt = a->asked_cnt;
	CHECK_EQ(offer_cnt, 1);
	social_sync_news(a->sync, secret.id, NULL, rig_lab.now_ns);
	rig_pass(SYNC_NEWS_DELAY_NS / 2);
	social_sync_cut(a->sync, rig_key(BOB), secret.id);
	take_off(&secret, 0);
	rig_pass(5 * NS_PER_S);
	for (unsigned i = offer_cnt; i < a->asked_cnt; i++)
		CHECK(a->asked[i].type != MESH_SOCIAL_POSTS);
	rig_end();
}

static void test_a_connection_of_the_literal_form_with_posts_on_their_way_ends(void)
{
	struct line bob, carol;

	begin_cut();
	CHECK_EQ(line_open(&bob, BOB, 1), 0);
	CHECK_EQ(line_open(&carol, CAROL, 2), 0);
	bob.holds = carol.holds = true;
	say(&bob, hello_of(json_array(), follows_of(WHO(ALICE))));
	say(&carol, hello_of(json_array(), follows_of(WHO(ALICE))));
	social_sync_cut(a->sync, rig_key(BOB), secret.id);
	CHECK(bob.is_closed);
	CHECK(!carol.is_closed);
	line_close(&bob);
	line_close(&carol);
	rig_end();
}

int main(void)
{
	RUN(test_pages_with_the_post_end_and_others_stay);
	RUN(test_a_page_to_a_persona_that_the_peer_proved_ends);
	RUN(test_a_page_that_waits_for_its_mark_is_made_without_the_post);
	RUN(test_pushes_of_the_post_that_wait_are_dropped);
	RUN(test_a_connection_of_the_literal_form_with_posts_on_their_way_ends);
	return check_done();
}
