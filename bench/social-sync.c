/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes have the same 100,000 posts. Then one has 10 more that the other one may have. Rows are a pull
 * that finds nothing, one that finds those, and an empty node. They give bytes of messages both ways, and
 * time of the core for both nodes together.
 *
 * Then one author has FOLLOWERS followers for a day: 10 posts of 1 KiB are there before, and 10 come. All
 * pull from the author; or from two anchors, which pull from it; or two pull from it, and the others from
 * followers. Bytes of messages are counted for each that gives. Those of 1,000 followers are reckoned: what
 * one takes, times those that pull from the author. An author has 101 sessions of slots at most.
 *
 *	make bench B=social-sync
 */
#include <stdio.h>

#include "support/own_use.h"
#include "unit/social/sync/sync_posts_rig.h"
#include "unit/social/sync/sync_rig.h"

#define POSTS 100000u
#define NEW   10u
#define ALICE 0u
#define BOB   1u

#define AUTHOR	  0u
#define ANCHORS	  2u /* behind the author; then the followers */
#define FOLLOWERS 8u
#define DAY_POSTS 10u
#define MANY	  1000u /* followers */
#define SLOTS_MAX 101u	/* sessions of slots that a node has */
#define DAY_NS	  (86400 * NS_PER_S)

static void copy_put(struct rig_node *to, const struct rig_post *post)
{
	struct rig_post copy = *post;

	copy.post = rig_kept(post->post.bytes, post->post.len);
	copy.visibility = rig_kept(post->visibility.bytes, post->visibility.len);
	rig_put(to, &copy);
}

static void pull_run(const char *name, struct rig_node *from, struct rig_node *to)
{
	uint64_t began_ns;
	int err;

	to->done_cnt = 0;
	began_ns = own_core_ns();
	err = rig_pull(to, from, NULL);
	printf("%-8s %u new, %u + %u bytes, %.1f ms of the core, %s\n", name, to->outcome.new_cnt,
	       to->outcome.sent_len, to->outcome.received_len,
	       (double)(own_core_ns() - began_ns) / (double)NS_PER_MS,
	       err < 0 || to->done_cnt != 1 || to->outcome.err < 0 ? "FAILED" : "whole");
}

static void sync_run(void)
{
	struct rig_node *a, *b, *c;

	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
	c = rig_add();
	for (unsigned i = 0; i < POSTS; i++) {
		const struct rig_post post = rig_post(
			a, i % (RIG_PEOPLE - 1), i % 3 ? VISIBILITY_PUBLIC : VISIBILITY_RECIPIENTS,
			WHO(ALICE) | WHO(BOB) | WHO(2u) | WHO(3u));

		copy_put(b, &post);
	}
	b->follows = c->follows = (1u << RIG_PEOPLE) - 1;
	b->chosen = c->chosen = WHO(ALICE);
	a->follows = b->follows;
	a->chosen = WHO(BOB) | WHO(2u);
	rig_meet(a, b);
	rig_pass(30 * NS_PER_S);
	pull_run("nothing", a, b);
	for (unsigned i = 0; i < NEW; i++) {
		rig_next_time = RIG_TIME + (uint64_t)random_below(&rig_dice, POSTS) * 1000 + 500;
		(void)rig_post_of(a, i, VISIBILITY_PUBLIC, 0, 300);
	}
	pull_run("10 new", a, b);
	rig_meet(a, c);
	rig_pass(300 * NS_PER_S);
	printf("%-8s %u posts held\n", "empty", rig_held_cnt(c));
	rig_end();
}

enum way { BY_AUTHOR, BY_ANCHORS, BY_FOLLOWERS };

/* The node that number pulls from. */
static unsigned source_of(enum way way, unsigned number)
{
	unsigned follower = number - 1 - ANCHORS;

	if (number <= ANCHORS || way == BY_AUTHOR || (way == BY_FOLLOWERS && follower < 2))
		return AUTHOR;
	return way == BY_ANCHORS ? 1 + follower % ANCHORS : 1 + ANCHORS + (follower - 2) / 2;
}

static void posts_make(unsigned cnt, bool is_said)
{
	for (unsigned i = 0; i < cnt; i++) {
		const struct rig_post post =
			rig_post_of(&rig_nodes[AUTHOR], AUTHOR, VISIBILITY_PUBLIC, 0, 1024);

		if (is_said)
			social_sync_news(rig_nodes[AUTHOR].sync, post.id, NULL, rig_lab.now_ns);
		if (is_said)
			rig_pass(DAY_NS / DAY_POSTS);
	}
}

/* Bytes that went between a node and the one that it pulls from. */
static uint64_t pulled_len(const struct rig_node *node)
{
	return node->asked_len + rig_stats(node).taken_len;
}

static void followers_run(enum way way, const char *name)
{
	unsigned first = way == BY_ANCHORS ? 1 : 1 + ANCHORS, cnt = 1 + ANCHORS + FOLLOWERS - first;
	unsigned direct = 0, whole = 0, many;
	uint64_t all = 0, of_author;
	double each, rest;

	rig_begin(&rig_calm);
	for (unsigned i = 0; i <= ANCHORS + FOLLOWERS; i++)
		rig_add()->follows = WHO(AUTHOR);
	rig_nodes[AUTHOR].follows = 0;
	posts_make(DAY_POSTS, false);
	for (unsigned i = first; i <= ANCHORS + FOLLOWERS; i++) {
		rig_nodes[i].chosen = WHO(source_of(way, i));
		rig_meet(&rig_nodes[source_of(way, i)], &rig_nodes[i]);
	}
	posts_make(DAY_POSTS, true);
	rig_pass(1200 * NS_PER_S);
	/* Its offers. */
	all = of_author = rig_nodes[AUTHOR].asked_len;
	for (unsigned i = first; i <= ANCHORS + FOLLOWERS; i++) {
		all += pulled_len(&rig_nodes[i]);
		of_author += source_of(way, i) == AUTHOR ? pulled_len(&rig_nodes[i]) : 0;
		direct += source_of(way, i) == AUTHOR;
		whole += i > ANCHORS && rig_held_cnt(&rig_nodes[i]) == 2 * DAY_POSTS;
	}
	many = way == BY_AUTHOR ? MANY : way == BY_ANCHORS ? ANCHORS : SLOTS_MAX;
	each = (double)of_author / direct;
	rest = (double)(all - of_author) / (cnt - direct ? cnt - direct : 1);
	printf("%-8s %.1f KB a day for each of %u at the author, %.1f KB elsewhere; %u of %u have "
	       "all\n",
	       name, each / 1e3, direct, rest / 1e3, whole, FOLLOWERS);
	rest *= way == BY_ANCHORS ? MANY : MANY - many;
	printf("%8s %u followers: author %.2f MB, %s %.2f MB, %.1f %% of all\n", "", MANY,
	       each * many / 1e6, way == BY_ANCHORS ? "anchors" : "others", rest / 1e6,
	       100 * rest / (rest + each * many));
	rig_end();
}

int main(void)
{
	sync_run();
	followers_run(BY_AUTHOR, "author");
	followers_run(BY_ANCHORS, "anchors");
	followers_run(BY_FOLLOWERS, "swarm");
	return 0;
}
