/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of posts: in the order of all, and as the open batch writes them. */
#include <string.h>

#include "base/assert.h"
#include "social/keep/post_store_state.h"

void social_posts_entry_fill(struct post_store *posts, struct post_entry *entry,
			     const struct post_record *record)
{
	const struct post_view *view = &record->view;

	entry->time_ms = view->time_ms;
	entry->edition = social_posts_edition_name(posts, view->author, view->logical_id);
	entry->supersedes = social_posts_supersedes(record);
	entry->len = (uint32_t)social_post_len(view);
	entry->share = (uint8_t)view->share;
	entry->is_pinned = view->flags & POST_PINNED;
	entry->is_readable = view->flags & POST_READABLE;
}

/* --- rows --- */

struct post_row *social_posts_row(struct post_store *posts, const struct post_entry *entry)
{
	return social_index_find(&posts->index, entry->time_ms, entry->id);
}

int social_posts_row_read_in(struct post_store *posts, struct store_snapshot **io_snapshot,
			     const struct post_entry *entry, struct post_record *out_record)
{
	const struct post_change *change = entry->change;
	const void *value;
	size_t len;
	int err = 0;

	if (change)
		return social_post_record_parse(entry->id, change->record, change->record_len,
						out_record);
	if (!*io_snapshot)
		err = store_snapshot_open(posts->params.ground->store, io_snapshot);
	if (err == 0)
		err = store_get(*io_snapshot, STORE_POSTS, store_key(entry->id, POST_ID_LEN),
				&value, &len);
	if (err == 0)
		err = social_post_record_parse(entry->id, value, len, out_record);
	posts->stats.damaged_cnt += err == WEFT_EDAMAGED || err == WEFT_EMALFORMED;
	return err == WEFT_EMALFORMED ? WEFT_EDAMAGED : err;
}

int social_posts_row_read(struct post_store *posts, const struct post_entry *entry,
			  struct post_record *out_record)
{
	struct store_snapshot *snapshot = NULL;
	int err = social_posts_row_read_in(posts, &snapshot, entry, out_record);

	store_snapshot_close(snapshot);
	return err;
}

int social_posts_body_in(struct post_store *posts, struct store_snapshot **io_snapshot,
			 const struct post_record *record, struct post_parts *out_parts)
{
	const void *value;
	size_t len;
	int err = 0;

	if (!*io_snapshot)
		err = store_snapshot_open(posts->params.ground->store, io_snapshot);
	if (err == 0)
		err = store_get(*io_snapshot, STORE_POST_BODIES,
				store_key(record->view.id, POST_ID_LEN), &value, &len);
	if (err == 0)
		err = social_post_body_split(record, value, len, out_parts);
	posts->stats.damaged_cnt += err == WEFT_EDAMAGED || err == WEFT_EABSENT;
	return err == WEFT_EABSENT ? WEFT_EDAMAGED : err;
}

uint16_t social_posts_row_flags(const struct post_view *view)
{
	return (uint16_t)((view->flags & ~(unsigned)POST_SUPERSEDED) |
			  (unsigned)view->share << POST_ROW_SHARE_SHIFT |
			  (unsigned)view->kind << POST_ROW_KIND_SHIFT);
}

void social_posts_enter(struct post_store *posts, struct post_entry *entry,
			const struct post_record *record)
{
	struct post_row row = {.time_ms = entry->time_ms,
			       .author = entry->author,
			       .audience = social_posts_audience_number(posts, record),
			       .flags = social_posts_row_flags(&record->view),
			       .number = (uint16_t)record->view.visibility_number};
	bool is_put;

	memcpy(row.id, entry->id, POST_ID_LEN);
	is_put = social_index_put(&posts->index, &row);
	weft_assert(is_put); /* the shares together have as many places as the index */
	posts->new_cnt -= entry->state == POST_STATE_NEW;
	entry->state = POST_STATE_HELD;
	social_posts_edition_add(posts, entry);
	social_posts_edition_settle(posts, entry->edition);
}

void social_posts_leave(struct post_store *posts, struct post_entry *entry)
{
	if (entry->state == POST_STATE_HELD) {
		struct post_row *row = social_posts_row(posts, entry);

		weft_assert(row != NULL);
		social_posts_audience_release(posts, row->audience);
		social_posts_edition_remove(posts, entry);
		social_index_remove(&posts->index, entry->time_ms, entry->id);
		social_posts_edition_settle(posts, entry->edition);
	}
	posts->new_cnt -= entry->state == POST_STATE_NEW;
	social_posts_room_release(posts, entry);
}

void social_posts_view(const struct post_store *posts, const struct post_record *record,
		       struct post_view *out_view)
{
	const struct post_entry *entry = social_posts_entry(posts, record->view.id), *shown;
	struct post_view view = record->view;

	view.has_successor = false;
	view.flags &= (uint16_t)~POST_SUPERSEDED;
	if (entry && entry->state == POST_STATE_HELD && entry->is_superseded) {
		shown = social_posts_edition_shown(posts, entry->edition);
		view.flags |= POST_SUPERSEDED;
		view.has_successor = true;
		memcpy(view.superseded_by, shown->id, POST_ID_LEN);
	}
	*out_view = view;
}

/* --- what the batch writes --- */

void social_posts_row_write(struct post_store *posts, const struct post_record *record,
			    uint64_t now_ns)
{
	uint8_t bytes[POST_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_post_record_write(&w, record);
	weft_assert(!w.bad);
	store_batch_put(social_posts_batch(posts, writer_len(&w), now_ns), STORE_POSTS,
			store_key(record->view.id, POST_ID_LEN), bytes, writer_len(&w));
}

void social_posts_body_write(struct post_store *posts, const struct post_view *view,
			     const struct post_parts *parts, uint8_t *scratch, uint64_t now_ns)
{
	struct writer w = writer_of(scratch, POST_BODY_LEN_MAX);

	writer_bytes(&w, parts->post, parts->post_len);
	writer_bytes(&w, parts->claim, parts->claim_len);
	writer_bytes(&w, parts->visibility, parts->visibility_len);
	weft_assert(!w.bad);
	store_batch_put(social_posts_batch(posts, writer_len(&w), now_ns), STORE_POST_BODIES,
			store_key(view->id, POST_ID_LEN), scratch, writer_len(&w));
}

void social_posts_orders_write(struct post_store *posts, const struct post_view *view,
			       uint64_t now_ns)
{
	struct store_batch *batch = social_posts_batch(posts, 0, now_ns);
	struct post_order_key key;

	social_post_author_key(view->author, view->time_ms, view->id, &key);
	store_batch_put(batch, STORE_POST_AUTHORS, store_key(key.bytes, sizeof(key.bytes)), "", 0);
	if (!view->has_parent)
		return;
	social_post_reply_key(view->parent, view->time_ms, view->id, &key);
	store_batch_put(batch, STORE_POST_REPLIES, store_key(key.bytes, sizeof(key.bytes)), "", 0);
}

void social_posts_row_delete(struct post_store *posts, const struct post_view *view,
			     uint64_t now_ns)
{
	struct store_batch *batch = social_posts_batch(posts, 0, now_ns);
	struct store_key id = store_key(view->id, POST_ID_LEN);
	struct post_order_key key;

	store_batch_delete(batch, STORE_POSTS, id);
	store_batch_delete(batch, STORE_POST_BODIES, id);
	social_post_author_key(view->author, view->time_ms, view->id, &key);
	store_batch_delete(batch, STORE_POST_AUTHORS, store_key(key.bytes, sizeof(key.bytes)));
	if (!view->has_parent)
		return;
	social_post_reply_key(view->parent, view->time_ms, view->id, &key);
	store_batch_delete(batch, STORE_POST_REPLIES, store_key(key.bytes, sizeof(key.bytes)));
}
