/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes have the same 100,000 posts. Then one has 10 more that the other one may have. Rows are a pull
 * that finds nothing, one that finds those, and an empty node. They give bytes of messages both ways, and
 * time of the core for both nodes together.
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

int main(void)
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
	return 0;
}
