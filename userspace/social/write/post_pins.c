/* SPDX-License-Identifier: Apache-2.0 */
#include "social/write/post_pins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "social/write/social_write_state.h"

int social_pin_set(struct social_write *write, const struct post_pin *pin, uint64_t now_ns)
{
	const struct post_marking marking = {.id = pin->id,
					     .set = pin->is_pinned ? POST_PINNED : 0,
					     .clear = pin->is_pinned ? 0 : POST_PINNED};
	struct post_view view;
	int err = social_posts_look(write->params.posts, pin->id, &view);

	if (err < 0)
		return err;
	if (view.share == POST_OWN)
		return WEFT_EREFUSED;
	if (((view.flags & POST_PINNED) != 0) == pin->is_pinned)
		return WEFT_EEXISTS;
	return social_posts_mark(write->params.posts, &marking, pin->done, now_ns);
}

/* The text of a fork names its origin, which the caller frees; NULL: no memory. */
static char *fork_text(const struct opened_post *origin, size_t *out_len)
{
	char post[ZBASE32_KEY_TEXT_CAP], author[ZBASE32_KEY_TEXT_CAP];
	char link[2 * ZBASE32_KEY_TEXT_CAP + 8];
	int link_len = snprintf(link, sizeof(link), "\n\n/p/%s/%s",
				zbase32_write(origin->view.id, POST_ID_LEN, post),
				zbase32_write(origin->view.author, NODE_KEY_LEN, author));
	char *text = malloc(origin->text_len + (size_t)link_len);

	if (!text)
		return NULL;
	memcpy(text, origin->text, origin->text_len);
	memcpy(text + origin->text_len, link, (size_t)link_len);
	*out_len = origin->text_len + (size_t)link_len;
	return text;
}

static int fork_write(struct social_write *write, const struct post_fork *fork,
		      const struct opened_post *origin, uint64_t now_ns)
{
	bool is_public = origin->view.kind == VISIBILITY_PUBLIC;
	bool has_units = !is_public && origin->post.attachment_cnt;
	char token[8 + 2 * POST_ID_LEN + 1] = "fork:";
	size_t text_len = 0;
	char *text = fork_text(origin, &text_len);
	const struct write_draft draft = {
		.persona = fork->persona,
		.intent = is_public ? POST_TO_ALL : POST_TO_PEOPLE,
		.people = (const uint8_t(*)[NODE_KEY_LEN])node_key_public(
			social_persona(write->params.people, fork->persona)),
		.person_cnt = is_public ? 0 : 1,
		.text = text,
		.text_len = text_len,
		.parent = origin->view.id,
		.attachments = origin->post.attachments,
		.attachment_cnt = origin->post.attachment_cnt,
		.content_key = has_units ? origin->content_key : NULL,
		.token = token,
		.marks = POST_FORKED,
		.done = fork->done,
		.arg = fork->arg,
	};
	int err = text ? 0 : -ENOMEM;

	hex_write(origin->view.id, POST_ID_LEN, token + strlen(token));
	if (err == 0)
		err = social_write_post(write, &draft, now_ns);
	if (text)
		explicit_bzero(text, text_len);
	free(text);
	return err;
}

int social_pin_fork(struct social_write *write, const struct post_fork *fork, uint64_t now_ns)
{
	struct opened_post *origin;
	int err = social_read_open(write->params.read, fork->id, &origin);

	if (err < 0)
		return err;
	err = origin->is_own ? WEFT_EREFUSED : fork_write(write, fork, origin, now_ns);
	social_opened_free(origin);
	return err;
}

int social_pins_each(struct social_write *write, const struct post_cursor *from, post_walk_fn fn,
		     void *arg, struct post_cursor *out_next)
{
	struct post_store *posts = write->params.posts;
	const struct post_index *index = social_posts_index(posts);
	struct post_place place =
		from ? social_index_place(index, from->time_ms, from->id) : social_index_end(index);
	const struct post_row *row;
	struct post_view view;

	for (unsigned i = 0; (row = social_index_prev(index, &place)); i++) {
		bool is_pin = row->flags & (POST_PINNED | POST_FORKED);
		int err = is_pin ? social_posts_look(posts, row->id, &view) : 0;

		if (err < 0)
			return err;
		out_next->time_ms = row->time_ms;
		memcpy(out_next->id, row->id, POST_ID_LEN);
		if ((is_pin && !fn(arg, &view)) || i + 1 == POST_VISITS_MAX)
			return 1;
	}
	return 0;
}
