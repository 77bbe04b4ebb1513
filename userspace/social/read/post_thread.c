/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread: the post that it begins with, and what replies to it. A reply names the edition that its
 * author saw, so the replies of a post are those of all its editions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "social/read/social_read_state.h"

/* Further editions of a post, which a thread looks behind. */
#define EDITIONS_MAX 16u

/* A post whose replies are still to come. The stack has the oldest reply of each on top. */
struct thread_place {
	uint8_t id[POST_ID_LEN];
	unsigned depth;
};
struct thread {
	struct social_read *read;
	thread_fn fn;
	void *arg;
	unsigned given_cnt, stack_cnt;
	bool is_over;
	struct thread_place stack[THREAD_POSTS_MAX];
};

/* --- upwards --- */

/* The first post of the thread of id, as far as posts are here. */
static void root_find(struct social_read *read, const uint8_t *id, uint8_t *out_root)
{
	struct post_view view;

	memcpy(out_root, id, POST_ID_LEN);
	for (unsigned i = 0; i < THREAD_DEPTH_MAX; i++) {
		uint8_t parent[POST_ID_LEN];

		if (social_posts_look(read->params.posts, out_root, &view) < 0 ||
		    !view.has_parent || social_read_latest(read, view.parent, parent) < 0)
			return;
		memcpy(out_root, parent, POST_ID_LEN);
	}
}

/* --- downwards --- */

struct replies {
	struct thread *thread;
	unsigned depth, first; /* first: the stack's height before them */
};

static bool reply_add(void *arg, const struct post_view *view)
{
	struct replies *replies = arg;
	struct thread *thread = replies->thread;
	struct thread_place *place = &thread->stack[thread->stack_cnt];

	if (thread->stack_cnt == THREAD_POSTS_MAX)
		return false;
	thread->stack_cnt++;
	memcpy(place->id, view->id, POST_ID_LEN);
	place->depth = replies->depth;
	return true;
}

static void replies_reverse(struct thread *thread, unsigned first)
{
	for (unsigned low = first, high = thread->stack_cnt; low + 1 < high; low++, high--) {
		struct thread_place kept = thread->stack[low];

		thread->stack[low] = thread->stack[high - 1];
		thread->stack[high - 1] = kept;
	}
}

static int edition_replies_add(struct replies *replies, const uint8_t *edition)
{
	const struct post_walk walk = {
		.parent = edition,
		.flags_none = POST_SUPERSEDED | POST_HIDDEN | POST_DIRECT,
		.visit_max = FEED_VISITS_MAX,
	};
	struct post_cursor next;
	int more = social_posts_walk(replies->thread->read->params.posts, &walk, reply_add, replies,
				     &next);

	return more < 0 ? more : 0;
}

/* The edition before, where its claim is here. */
static bool edition_before(struct social_read *read, uint8_t *id)
{
	struct post_copy *copy;
	struct post_claim claim;
	bool has = false;

	if (social_posts_read(read->params.posts, id, &copy) < 0)
		return false;
	if (social_claim_parse(copy->parts.claim, copy->parts.claim_len, &claim) == 0 &&
	    claim.supersedes) {
		memcpy(id, claim.supersedes, POST_ID_LEN);
		has = true;
	}
	social_post_copy_free(copy);
	return has;
}

static int replies_add(struct thread *thread, const uint8_t *id, unsigned depth)
{
	struct replies replies = {thread, depth, thread->stack_cnt};
	uint8_t edition[POST_ID_LEN];
	int err;

	memcpy(edition, id, POST_ID_LEN);
	err = edition_replies_add(&replies, edition);
	for (unsigned i = 0; err == 0 && i < EDITIONS_MAX && edition_before(thread->read, edition);
	     i++)
		err = edition_replies_add(&replies, edition);
	replies_reverse(thread, replies.first);
	return err;
}

/* A post that does not open hides no reply that does. */
static void place_give(struct thread *thread, const struct thread_place *place)
{
	struct opened_post *opened;

	if (social_read_open(thread->read, place->id, &opened) < 0)
		return;
	if (opened->is == PRIVATE_POST &&
	    !social_is_blocked(thread->read->params.people, opened->post.author)) {
		thread->given_cnt++;
		thread->is_over = !thread->fn(thread->arg, opened, place->depth);
	}
	social_opened_free(opened);
}

static int thread_run(struct thread *thread)
{
	int err = 0;

	while (err == 0 && thread->stack_cnt && !thread->is_over &&
	       thread->given_cnt < THREAD_POSTS_MAX) {
		const struct thread_place place = thread->stack[--thread->stack_cnt];

		thread->read->stats.visited_cnt++;
		place_give(thread, &place);
		if (place.depth < THREAD_DEPTH_MAX)
			err = replies_add(thread, place.id, place.depth + 1);
	}
	return err;
}

int social_thread_each(struct social_read *read, const uint8_t id[static POST_ID_LEN], thread_fn fn,
		       void *arg)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	uint8_t latest[POST_ID_LEN];
	int err = thread ? social_read_latest(read, id, latest) : -ENOMEM;

	if (err == 0) {
		thread->read = read;
		thread->fn = fn;
		thread->arg = arg;
		thread->stack_cnt = 1;
		root_find(read, latest, thread->stack[0].id);
		read->stats.page_cnt++;
		err = thread_run(thread);
	}
	free(thread);
	return err;
}
