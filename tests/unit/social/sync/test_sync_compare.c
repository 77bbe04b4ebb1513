/* SPDX-License-Identifier: Apache-2.0 */
/* A pull costs what differs, and not what one side has that the other may not have. */
#include "social/sync/sync_state.h"
#include "sync_posts_rig.h"
#include "sync_rig.h"

enum { ALICE, BOB, CAROL, DAVE };
static struct rig_node *a, *b;

static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
}

static void friends(void)
{
	a->follows = b->follows = WHO(ALICE) | WHO(BOB) | WHO(DAVE);
	a->chosen = WHO(BOB);
	b->chosen = WHO(ALICE);
}

static void copy_put(struct rig_node *to, const struct rig_post *post)
{
	struct rig_post copy = *post;

	copy.post = rig_kept(post->post.bytes, post->post.len);
	copy.visibility = rig_kept(post->visibility.bytes, post->visibility.len);
	rig_put(to, &copy);
}

/* Posts of author that both have. */
static void shared(unsigned cnt, unsigned author, enum visibility_kind kind, unsigned readers)
{
	while (cnt--) {
		const struct rig_post post = rig_post(a, author, kind, readers);

		copy_put(b, &post);
	}
}

static unsigned cost(struct rig_node *to, struct rig_node *from)
{
	to->done_cnt = 0;
	if (rig_pull(to, from, NULL) < 0 || to->done_cnt != 1 || to->outcome.err < 0)
		abort();
	return to->outcome.sent_len + to->outcome.received_len;
}

/* The posts of each side that the other may not have lie among all others. */
static void among(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		shared(4, DAVE, i % 2 ? VISIBILITY_PUBLIC : VISIBILITY_RECIPIENTS,
		       WHO(ALICE) | WHO(BOB));
		(void)rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
		(void)rig_post(a, CAROL, VISIBILITY_PUBLIC, 0);
		(void)rig_post(b, DAVE, VISIBILITY_RECIPIENTS, WHO(BOB));
		(void)rig_post(b, DAVE, VISIBILITY_GROUP, 0);
	}
}

static void test_posts_that_the_other_may_not_have_cost_nothing(void)
{
	begin();
	friends();
	b->members = WHO(BOB);
	a->follows |= WHO(CAROL);
	among(500);
	rig_meet(a, b);
	CHECK(cost(a, b) < 64);
	CHECK(cost(b, a) < 64);
	CHECK_EQ(a->taken_cnt + b->taken_cnt, 0);
	rig_end();
}

static void test_10_new_among_10000_take_30_kb_with_2000_that_may_not_be_had(void)
{
	size_t asked_len;

	begin();
	friends();
	b->members = WHO(BOB);
	a->follows |= WHO(CAROL);
	for (unsigned i = 0; i < 10; i++) {
		among(100);
		shared(600, DAVE, VISIBILITY_PUBLIC, 0);
		(void)rig_post(a, DAVE, VISIBILITY_PUBLIC, 0);
	}
	rig_meet(a, b);
	rig_pass(NS_PER_S);
	CHECK_EQ(b->taken_cnt, 10);
	asked_len = a->asked_len + b->asked_len;
	printf("# %zu bytes of requests, %llu of answers\n", asked_len,
	       (unsigned long long)(rig_stats(a).taken_len + rig_stats(b).taken_len));
	CHECK(asked_len + rig_stats(a).taken_len + rig_stats(b).taken_len < 30000);
	rig_end();
}

static const struct mesh_ops *real;
static const uint8_t *hidden;
static unsigned said_cnt;

static int counting_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			struct mesh_request **out)
{
	said_cnt += memmem(ask->payload, ask->payload_len, hidden, POST_ID_LEN) != NULL;
	return real->ask(mesh, ask, now_ns, out);
}

/* Bob names a private post that he may not have: at the next pull Alice does not say that it is here. */
static void test_a_private_post_that_a_peer_names_is_never_said_to_it(void)
{
	struct rig_post post;
	struct mesh_ops ops;

	begin();
	a->related = WHO(BOB);
	post = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
	copy_put(b, &post);
	(void)rig_post(b, DAVE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	real = a->ground.mesh.ops;
	ops = *real;
	ops.ask = counting_ask;
	hidden = post.id;
	said_cnt = 0;
	a->ground.mesh.ops = &ops;
	rig_delete(b, post.id);
	for (unsigned i = 0; i < 3; i++)
		(void)rig_pull(a, b, NULL);
	CHECK_EQ(said_cnt, 0);
	a->ground.mesh.ops = real;
	rig_end();
}

/* Alice follows none that Bob follows: she says nothing of it, and he names what he has of them once. */
static void test_what_a_peer_has_beyond_its_own_follows_is_named_once(void)
{
	size_t first;

	begin();
	b->follows = WHO(ALICE) | WHO(DAVE);
	b->chosen = WHO(ALICE);
	a->related = WHO(BOB);
	shared(2000, DAVE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	first = b->asked_len + rig_stats(b).taken_len;
	CHECK(first > 2000 * RANGE_ROW_LEN);
	CHECK(cost(b, a) < 64);
	/* Over the next session, too. */
	rig_part(a, b);
	rig_meet(a, b);
	CHECK(b->asked_len + rig_stats(b).taken_len < first + 1000);
	CHECK_EQ(b->taken_cnt, 0);
	rig_end();
}

/* Bob's node has no room for what Alice wrote: she asks once a session whether it was deleted. */
static void test_what_a_peer_lacks_is_said_once_in_a_session(void)
{
	size_t first;

	begin();
	friends();
	b->refuses = true;
	shared(1000, DAVE, VISIBILITY_PUBLIC, 0);
	for (unsigned i = 0; i < 1000; i++)
		(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	rig_pass(20 * NS_PER_S);
	first = a->asked_len;
	CHECK(first > 1000 * RANGE_ROW_LEN);
	/* b asked for them, and refused what came. */
	(void)cost(a, b);
	(void)cost(a, b);
	CHECK(cost(a, b) < 64);
	rig_end();
}

/* What it lacked and then got counts again. */
static void test_what_a_peer_was_given_counts_as_held(void)
{
	begin();
	friends();
	shared(1000, DAVE, VISIBILITY_PUBLIC, 0);
	(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	CHECK_EQ(b->taken_cnt, 1);
	CHECK(cost(a, b) < 64);
	CHECK(cost(b, a) < 64);
	rig_end();
}

/* A row that a peer named is deleted there, and was one that it may not have read itself. */
static void test_a_deletion_is_found_though_the_peer_is_no_reader(void)
{
	struct rig_post post;

	begin();
	b->follows = WHO(ALICE) | WHO(DAVE);
	b->chosen = WHO(ALICE);
	shared(100, DAVE, VISIBILITY_PUBLIC, 0);
	post = rig_post(a, DAVE, VISIBILITY_PUBLIC, 0);
	rig_meet(a, b);
	CHECK(rig_holds(b, post.id));
	CHECK(cost(b, a) > 64); /* named, now that it is here */
	CHECK(cost(b, a) < 64);
	rig_delete(a, post.id);
	(void)cost(b, a);
	CHECK(!rig_holds(b, post.id));
	rig_end();
}

int main(void)
{
	RUN(test_posts_that_the_other_may_not_have_cost_nothing);
	RUN(test_10_new_among_10000_take_30_kb_with_2000_that_may_not_be_had);
	RUN(test_a_private_post_that_a_peer_names_is_never_said_to_it);
	RUN(test_what_a_peer_has_beyond_its_own_follows_is_named_once);
	RUN(test_what_a_peer_lacks_is_said_once_in_a_session);
	RUN(test_what_a_peer_was_given_counts_as_held);
	RUN(test_a_deletion_is_found_though_the_peer_is_no_reader);
	return check_done();
}
