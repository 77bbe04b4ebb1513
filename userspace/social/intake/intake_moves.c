/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of posts that came in: their author is followed now, or their words are not wanted. */
#include <stdlib.h>
#include <string.h>

#include "social/intake/post_intake_state.h"

struct words {
	uint8_t ids[INTAKE_MOVES_MAX][POST_ID_LEN];
	unsigned cnt;
};

static bool word_note(void *arg, const struct post_view *view)
{
	struct words *words = arg;

	if (view->share == POST_ADDRESSED || view->share == POST_HOSTED)
		memcpy(words->ids[words->cnt++], view->id, POST_ID_LEN);
	return words->cnt < INTAKE_MOVES_MAX;
}

void social_intake_followed(struct intake *intake, const uint8_t person[static NODE_KEY_LEN],
			    uint64_t now_ns)
{
	struct post_store *posts = intake->params.posts;
	struct words *words = malloc(sizeof(*words));
	const struct post_walk walk = {.author = person};
	struct post_cursor next;

	if (!words)
		return;
	words->cnt = 0;
	(void)!social_posts_walk(posts, &walk, word_note, words, &next);
	/* One that finds no place stays where it is. */
	for (unsigned i = 0; i < words->cnt; i++)
		(void)!social_posts_set_share(posts, words->ids[i], POST_WANTED, now_ns);
	free(words);
}

void social_intake_unasked(struct intake *intake, const uint8_t post[static POST_ID_LEN],
			   uint64_t now_ns)
{
	struct post_view view;

	if (social_posts_look(intake->params.posts, post, &view) == 0 &&
	    view.share == POST_ADDRESSED)
		(void)!social_posts_forget(intake->params.posts, post, now_ns);
}

/* --- attachments --- */

struct attachment_walk {
	bool (*fn)(void *arg, const uint8_t id[static 32]);
	void *arg;
};

static bool ids_give(void *arg, const uint8_t *post, const uint8_t *ids, size_t ids_len)
{
	const struct attachment_walk *walk = arg;

	(void)post;
	for (size_t at = 0; at < ids_len; at += POST_ID_LEN)
		if (!walk->fn(walk->arg, ids + at))
			return false;
	return true;
}

bool social_intake_attachments(struct intake *intake,
			       bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct attachment_walk walk = {fn, arg};

	return social_posts_each_attachment(intake->params.posts, ids_give, &walk);
}
