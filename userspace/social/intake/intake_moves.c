/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of posts that came in: their author is followed now, or their words are not wanted. Or the
 * key of their group has come, or the state by which their author may post to it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "social/ground/social_ground.h"
#include "social/intake/post_intake_state.h"

#define LOOK_EVERY_NS  (10 * NS_PER_S)
#define LOOK_ROWS_MAX  65536u /* a millisecond of them */
#define LOOK_FOUND_MAX 256u

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
	    view.share == POST_ADDRESSED && !(view.flags & POST_PINNED))
		(void)!social_posts_forget(intake->params.posts, post, now_ns);
}

/* --- keys of groups --- */

struct found {
	uint8_t ids[LOOK_FOUND_MAX][POST_ID_LEN];
	bool opens[LOOK_FOUND_MAX], is_wanted[LOOK_FOUND_MAX];
	unsigned cnt, read_cnt;
};

/* It is sealed for the key that this node has, and not for another one of that group and epoch. */
static bool is_sealed_for(struct intake *intake, const struct post_row *row)
{
	const struct intake_ways *ways = &intake->params.ways;
	struct visibility *visibility = malloc(sizeof(*visibility));
	struct post_copy *copy = NULL;
	bool is = visibility && social_posts_read(intake->params.posts, row->id, &copy) == 0 &&
		  social_visibility_parse(copy->parts.visibility, copy->parts.visibility_len,
					  visibility) == 0 &&
		  visibility->kind == VISIBILITY_GROUP &&
		  ways->opens_group(ways->ctx, &visibility->group);

	social_post_copy_free(copy);
	free(visibility);
	return is;
}

/* A post of a group that no person of this node opened when it came, and that one opens now. */
static bool opens_now(struct intake *intake, const struct post_row *row, struct found *found)
{
	if (row->flags & POST_READABLE || found->read_cnt == LOOK_FOUND_MAX)
		return false;
	found->read_cnt++;
	return is_sealed_for(intake, row);
}

/* A post of a group whose author might not post to it, as this node knew, and may now. */
static bool is_wanted_now(struct intake *intake, const struct post_row *row, const uint8_t *group)
{
	const struct intake_ways *ways = &intake->params.ways;

	return social_row_share(row) == POST_ADDRESSED &&
	       ways->is_poster(ways->ctx, group, NULL,
			       social_posts_author(intake->params.posts, row));
}

static void row_look(struct intake *intake, const struct post_row *row, struct found *found)
{
	const struct intake_ways *ways = &intake->params.ways;
	const uint8_t *own = node_key_public(intake->params.ground->key);
	struct post_audience audience;
	bool opens = false, is_wanted;

	if (social_row_kind(row) != VISIBILITY_GROUP ||
	    (row->flags & POST_READABLE && social_row_share(row) != POST_ADDRESSED) ||
	    social_posts_audience(intake->params.posts, row, own, &audience) < 0 ||
	    !ways->is_in_group(ways->ctx, audience.group, audience.epoch, &opens))
		return;
	is_wanted = is_wanted_now(intake, row, audience.group);
	opens = opens && opens_now(intake, row, found);
	if (!is_wanted && !opens)
		return;
	found->opens[found->cnt] = opens;
	found->is_wanted[found->cnt] = is_wanted;
	memcpy(found->ids[found->cnt++], row->id, POST_ID_LEN);
}

static void rows_look(struct intake *intake, struct found *found)
{
	const struct post_index *index = social_posts_index(intake->params.posts);
	struct post_place place =
		intake->is_midway
			? social_index_place(index, intake->looked.time_ms, intake->looked.id)
			: social_index_end(index);
	const struct post_row *row = NULL;

	for (unsigned i = 0;
	     i < LOOK_ROWS_MAX && found->cnt < LOOK_FOUND_MAX && found->read_cnt < LOOK_FOUND_MAX &&
	     (row = social_index_prev(index, &place));
	     i++) {
		row_look(intake, row, found);
		intake->looked.time_ms = row->time_ms;
		memcpy(intake->looked.id, row->id, POST_ID_LEN);
	}
	intake->is_midway = row != NULL;
}

static void on_look(struct timer *timer, uint64_t now_ns)
{
	struct intake *intake = container_of(timer, struct intake, timer);
	const struct post_change_done none = {0};
	struct found found = {.cnt = 0};

	rows_look(intake, &found);
	/* One that the disk is too slow for is found again, as is one that has both to come. */
	for (unsigned i = 0; i < found.cnt; i++) {
		if (found.is_wanted[i])
			(void)!social_posts_set_share(intake->params.posts, found.ids[i],
						      POST_WANTED, now_ns);
		if (found.opens[i])
			(void)!social_posts_mark(
				intake->params.posts,
				&(struct post_marking){found.ids[i], POST_READABLE, 0}, none,
				now_ns);
	}
	timer_set(intake->params.ground->timers, timer, now_ns + LOOK_EVERY_NS);
}

void social_intake_groups_watch(struct intake *intake)
{
	timer_init(&intake->timer, on_look);
	timer_set(intake->params.ground->timers, &intake->timer, LOOK_EVERY_NS);
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
