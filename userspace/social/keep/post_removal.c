/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts go: dropped without a mark, or deleted by their author. The mark of a deletion is an entry
 * without a row, and the deletion itself is on the disk, to be shown to others.
 */
#include <string.h>

#include "base/assert.h"
#include "social/keep/post_store_state.h"

/* What was there, for watches and keys; the parent is not known of a row that cannot be read. */
static void former_read(struct post_store *posts, const struct post_entry *entry,
			struct post_record *out_record)
{
	if (social_posts_row_read(posts, entry, out_record) == 0)
		return;
	*out_record = (struct post_record){0};
	memcpy(out_record->view.id, entry->id, POST_ID_LEN);
	memcpy(out_record->view.author, posts->authors[entry->author].key, NODE_KEY_LEN);
	out_record->view.time_ms = entry->time_ms;
	out_record->view.share = entry->share;
}

void social_posts_drop(struct post_store *posts, struct post_entry *entry, uint64_t now_ns)
{
	struct post_record record;

	former_read(posts, entry, &record);
	social_posts_leave(posts, entry);
	social_posts_entry_remove(posts, entry);
	social_posts_row_delete(posts, &record.view, now_ns);
	(void)social_posts_change(posts, NULL, &record, POST_MOVED_GONE);
}

int social_posts_forget(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			uint64_t now_ns)
{
	struct post_entry *entry = social_posts_entry(posts, id);

	posts->now_ns = now_ns;
	if (!entry || entry->state == POST_STATE_GONE)
		return WEFT_EABSENT;
	if (social_posts_lags(posts)) {
		posts->stats.lag_cnt++;
		return WEFT_EBUSY;
	}
	social_posts_drop(posts, entry, now_ns);
	social_posts_room_fit(posts, now_ns);
	return 0;
}

void social_posts_mark_drop(struct post_store *posts, struct post_entry *entry, uint64_t now_ns)
{
	store_batch_delete(social_posts_batch(posts, 0, now_ns), STORE_POST_GONE,
			   store_key(entry->id, POST_ID_LEN));
	posts->authors[entry->author].gone_cnt--;
	posts->stats.gone_cnt--;
	social_posts_entry_remove(posts, entry);
}

/* An author has at most as many marks as are free; persons of this node as many as there are. */
static bool mark_has_place(const struct post_store *posts, const uint8_t *author)
{
	const struct post_store_params *params = &posts->params;
	uint32_t free_cnt = POSTS_GONE_MAX - posts->stats.gone_cnt;
	uint32_t number = social_posts_author_number(posts, author);

	if (free_cnt == 0)
		return false;
	if (params->is_own && params->is_own(params->ctx, author))
		return true;
	return !number || posts->authors[number].gone_cnt < free_cnt;
}

static void mark_write(struct post_store *posts, struct post_entry *entry,
		       const struct post_removal *removal, uint64_t now_ns)
{
	uint8_t bytes[POST_GONE_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	entry->state = POST_STATE_GONE;
	entry->time_ms = posts_wall_ms(posts) + POSTS_GONE_MS;
	entry->edition = 0;
	entry->is_superseded = entry->is_replaced = false;
	posts->authors[entry->author].gone_cnt++;
	posts->stats.gone_cnt++;
	writer_be64(&w, entry->time_ms);
	writer_bytes(&w, removal->deletion->author, NODE_KEY_LEN);
	writer_bytes(&w, removal->bytes, removal->len);
	weft_assert(!w.bad); /* social_deletion_read took it */
	store_batch_put(social_posts_batch(posts, writer_len(&w), now_ns), STORE_POST_GONE,
			store_key(entry->id, POST_ID_LEN), bytes, writer_len(&w));
}

static void change_note(struct post_store *posts, struct post_entry *entry,
			const struct post_record *record, struct post_change_done done)
{
	struct post_change *change = social_posts_change(posts, entry, record, POST_MOVED_GONE);

	weft_assert(change != NULL);
	change->done = done;
}

/* A post that was never held: the mark is all that there is of it. */
static int mark_add(struct post_store *posts, const struct post_removal *removal,
		    struct post_change_done done, uint64_t now_ns)
{
	const struct post_deletion *deletion = removal->deletion;
	struct post_record record = {0};
	struct post_entry *entry = NULL;

	if (mark_has_place(posts, deletion->author))
		entry = social_posts_entry_add(posts, deletion->post, deletion->author);
	if (!entry)
		return WEFT_EFULL;
	memcpy(record.view.id, deletion->post, POST_ID_LEN);
	memcpy(record.view.author, deletion->author, NODE_KEY_LEN);
	mark_write(posts, entry, removal, now_ns);
	change_note(posts, entry, &record, done);
	return 0;
}

static void post_remove(struct post_store *posts, struct post_entry *entry,
			const struct post_removal *removal, struct post_change_done done,
			uint64_t now_ns)
{
	bool is_marked = mark_has_place(posts, removal->deletion->author);
	struct post_record record;

	former_read(posts, entry, &record);
	social_posts_leave(posts, entry);
	social_posts_row_delete(posts, &record.view, now_ns);
	if (is_marked) {
		mark_write(posts, entry, removal, now_ns);
	} else {
		social_posts_entry_remove(posts, entry);
		entry = NULL;
	}
	change_note(posts, entry, &record, done);
	posts->stats.removed_cnt++;
	social_posts_room_fit(posts, now_ns);
}

int social_posts_remove(struct post_store *posts, const struct post_removal *removal,
			struct post_change_done done, uint64_t now_ns)
{
	const struct post_deletion *deletion = removal->deletion;
	struct post_entry *entry = social_posts_entry(posts, deletion->post);
	bool is_author = entry && memcmp(posts->authors[entry->author].key, deletion->author,
					 NODE_KEY_LEN) == 0;

	posts->now_ns = now_ns;
	if (entry && !is_author)
		return WEFT_EREFUSED;
	if (entry && entry->state == POST_STATE_GONE)
		return WEFT_EEXISTS;
	if (social_posts_lags(posts)) {
		posts->stats.lag_cnt++;
		return WEFT_EBUSY;
	}
	if (!entry)
		return mark_add(posts, removal, done, now_ns);
	post_remove(posts, entry, removal, done, now_ns);
	return 0;
}

int social_posts_deletion(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			  struct writer *out)
{
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	int err = store_snapshot_open(posts->params.ground->store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_POST_GONE, store_key(id, POST_ID_LEN), &value, &len);
	if (err == 0 && len < POST_GONE_HEAD_LEN)
		err = WEFT_EDAMAGED;
	if (err == 0)
		writer_bytes(out, (const uint8_t *)value + POST_GONE_HEAD_LEN,
			     len - POST_GONE_HEAD_LEN);
	store_snapshot_close(snapshot);
	return err == 0 && out->bad ? WEFT_ETOOSMALL : err;
}
