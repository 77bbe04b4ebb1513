/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of posts. All are in the order of the index; those of one author, and replies to one post, in
 * that of their databases. What is asked of flags is answered by the rows in memory, so a page that finds
 * little reads little.
 */
#include <string.h>

#include "social/keep/post_store_state.h"

struct walk {
	struct post_store *posts;
	const struct post_walk *ask;
	post_walk_fn fn;
	void *arg;
	struct store_snapshot *snapshot;
	struct post_cursor at; /* the latest one that was looked at */
	uint32_t visit_cnt, visit_max;
	int err;
};

static bool is_asked_for(const struct walk *walk, const struct post_row *row)
{
	return (row->flags & walk->ask->flags_all) == walk->ask->flags_all &&
	       !(row->flags & walk->ask->flags_none);
}

/* false: the walk ends here, behind the post of row. */
static bool visit(struct walk *walk, const struct post_row *row)
{
	const struct post_entry *entry = social_posts_entry(walk->posts, row->id);
	struct post_record record;
	struct post_view view;

	walk->at.time_ms = row->time_ms;
	memcpy(walk->at.id, row->id, POST_ID_LEN);
	walk->visit_cnt++;
	if (entry && is_asked_for(walk, row)) {
		walk->err = social_posts_row_read_in(walk->posts, &walk->snapshot, entry, &record);
		if (walk->err < 0)
			return false;
		social_posts_view(walk->posts, &record, &view);
		if (!walk->fn(walk->arg, &view))
			return false;
	}
	return walk->visit_cnt < walk->visit_max;
}

/* Both walks return whether more may follow. */
static bool walk_all(struct walk *walk)
{
	const struct post_index *index = &walk->posts->index;
	const struct post_cursor *from = walk->ask->from;
	struct post_place place =
		from ? social_index_place(index, from->time_ms, from->id) : social_index_end(index);
	const struct post_row *row;

	while ((row = social_index_prev(index, &place))) {
		if (!is_asked_for(walk, row) && ++walk->visit_cnt < walk->visit_max)
			continue;
		if (!visit(walk, row))
			return true;
	}
	return false;
}

static void order_start(const struct post_walk *ask, struct post_order_key *out_key)
{
	static const struct post_cursor first = {.time_ms = UINT64_MAX}, oldest;
	const struct post_cursor *from = ask->from;

	if (ask->author) {
		from = from ? from : &first;
		social_post_author_key(ask->author, from->time_ms, from->id, out_key);
	} else {
		from = from ? from : &oldest;
		social_post_reply_key(ask->parent, from->time_ms, from->id, out_key);
	}
}

static bool walk_order(struct walk *walk)
{
	const uint8_t *of = walk->ask->author ? walk->ask->author : walk->ask->parent;
	struct post_order_key start;
	struct store_iter iter = {0};
	struct store_item item;
	bool has_more = false;

	order_start(walk->ask, &start);
	if ((walk->err = store_snapshot_open(walk->posts->params.ground->store, &walk->snapshot)) <
	    0)
		return false;
	iter = store_iter(walk->snapshot,
			  walk->ask->author ? STORE_POST_AUTHORS : STORE_POST_REPLIES,
			  store_key(start.bytes, sizeof(start.bytes)));
	while (!has_more && store_iter_next(&iter, &item) && memcmp(item.key, of, 32) == 0) {
		const uint8_t *id = item.key + POST_ORDER_KEY_LEN - POST_ID_LEN;
		const struct post_entry *entry = social_posts_entry(walk->posts, id);
		const struct post_row *row = NULL;

		if (walk->ask->from && memcmp(item.key, start.bytes, sizeof(start.bytes)) == 0)
			continue;
		if (entry && entry->state == POST_STATE_HELD)
			row = social_posts_row(walk->posts, entry);
		has_more = row && !visit(walk, row);
	}
	if (walk->err < 0)
		iter.err = walk->err;
	walk->err = store_iter_end(&iter);
	return has_more;
}

int social_posts_walk(struct post_store *posts, const struct post_walk *ask, post_walk_fn fn,
		      void *arg, struct post_cursor *out_next)
{
	struct walk walk = {
		.posts = posts,
		.ask = ask,
		.fn = fn,
		.arg = arg,
		.visit_max = ask->visit_max ? ask->visit_max : POST_VISITS_MAX,
	};
	bool has_more = ask->author || ask->parent ? walk_order(&walk) : walk_all(&walk);

	store_snapshot_close(walk.snapshot);
	if (walk.err < 0)
		return walk.err;
	if (has_more)
		*out_next = walk.at;
	return has_more;
}

/* --- attachments --- */

static bool post_attachments(const struct post *post, const uint8_t *id,
			     bool (*fn)(void *arg, const uint8_t *post, const uint8_t *ids,
					size_t ids_len),
			     void *arg)
{
	for (unsigned i = 0; i < post->attachment_cnt; i++)
		if (!fn(arg, id, post->attachments[i].ids, post->attachments[i].ids_len))
			return false;
	return true;
}

/* Only the person at this node can cause it, so no peer holds a sweep up. */
static bool own_is_new(const struct post_store *posts)
{
	for (uint32_t at = 1; posts->new_cnt && at < posts->entry_used; at++)
		if (posts->entries[at].state == POST_STATE_NEW &&
		    posts->entries[at].share == POST_OWN)
			return true;
	return false;
}

bool social_posts_each_attachment(struct post_store *posts,
				  bool (*fn)(void *arg, const uint8_t *post, const uint8_t *ids,
					     size_t ids_len),
				  void *arg)
{
	struct store_snapshot *snapshot = NULL;
	struct post_place place = {0};
	const struct post_row *row;
	bool is_whole = !own_is_new(posts);

	while (is_whole && (row = social_index_next(&posts->index, &place))) {
		const struct post_entry *entry = social_posts_entry(posts, row->id);
		struct post_record record;
		struct post_parts parts;
		struct post post;

		/* Of a former edition nothing is kept but its text. */
		if (!(row->flags & POST_ATTACHED) || row->flags & POST_SUPERSEDED || !entry)
			continue;
		is_whole = social_posts_row_read_in(posts, &snapshot, entry, &record) == 0 &&
			   social_posts_body_in(posts, &snapshot, &record, &parts) == 0 &&
			   social_post_parse(parts.post, parts.post_len, &post) == 0 &&
			   post_attachments(&post, row->id, fn, arg);
	}
	store_snapshot_close(snapshot);
	return is_whole;
}
