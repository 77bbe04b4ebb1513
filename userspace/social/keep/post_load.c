/* SPDX-License-Identifier: Apache-2.0 */
/* The start, what is read again behind a commit that failed, and deletions that are a year old. */
#include <string.h>

#include "social/keep/post_store_state.h"

/* --- one post --- */

/* false: it has no room any more. */
static bool post_enter(struct post_store *posts, const struct post_record *record, uint64_t now_ns)
{
	struct post_entry *entry =
		social_posts_entry_add(posts, record->view.id, record->view.author);

	if (!entry)
		return false;
	social_posts_entry_fill(posts, entry, record);
	if (!social_posts_room_take(posts, entry, record, now_ns)) {
		social_posts_entry_remove(posts, entry);
		return false;
	}
	social_posts_enter(posts, entry, record);
	return true;
}

/* false: its time is over, or there is no place. */
static bool mark_enter(struct post_store *posts, const uint8_t *id, const void *value, size_t len)
{
	struct cursor c = cursor_of(value, len);
	uint64_t end_ms = cursor_be64(&c);
	const uint8_t *author = cursor_bytes(&c, NODE_KEY_LEN);
	struct post_entry *entry;

	if (!author || end_ms <= posts_wall_ms(posts) || posts->stats.gone_cnt == POSTS_GONE_MAX ||
	    social_posts_entry(posts, id))
		return false;
	entry = social_posts_entry_add(posts, id, author);
	if (!entry)
		return false;
	entry->state = POST_STATE_GONE;
	entry->time_ms = end_ms;
	posts->authors[entry->author].gone_cnt++;
	posts->stats.gone_cnt++;
	return true;
}

/* --- the start --- */

static int rows_load(struct post_store *posts, uint64_t now_ns)
{
	struct store_iter iter =
		store_iter_fresh(posts->params.ground->store, STORE_POSTS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		struct post_record record;

		if (social_post_record_parse(item.key, item.value, item.value_len, &record) < 0) {
			posts->stats.damaged_cnt++;
			continue;
		}
		if (!post_enter(posts, &record, now_ns))
			social_posts_row_delete(posts, &record.view, now_ns);
	}
	return store_iter_end(&iter);
}

static int marks_load(struct post_store *posts, uint64_t now_ns)
{
	struct store_iter iter =
		store_iter_fresh(posts->params.ground->store, STORE_POST_GONE, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item))
		if (!mark_enter(posts, item.key, item.value, item.value_len))
			store_batch_delete(social_posts_batch(posts, 0, now_ns), STORE_POST_GONE,
					   store_key(item.key, item.key_len));
	return store_iter_end(&iter);
}

int social_posts_load(struct post_store *posts, uint64_t now_ns)
{
	int err;

	/* How much may be hosted is known when the own posts are. */
	posts->hosted.len_max = UINT64_MAX;
	posts->is_loading = true;
	if ((err = rows_load(posts, now_ns)) == 0)
		err = marks_load(posts, now_ns);
	posts->is_loading = false;
	posts->hosted.len_max = posts->quota.hosted_max;
	if (err == 0)
		social_posts_room_fit(posts, now_ns);
	return err;
}

/* --- behind a commit that failed --- */

static int from_disk(struct post_store *posts, enum store_db db, const uint8_t *id,
		     struct store_snapshot **io_snapshot, struct store_item *out_item)
{
	const void *value;
	int err = 0;

	if (!*io_snapshot)
		err = store_snapshot_open(posts->params.ground->store, io_snapshot);
	if (err == 0)
		err = store_get(*io_snapshot, db, store_key(id, POST_ID_LEN), &value,
				&out_item->value_len);
	out_item->value = err == 0 ? value : NULL;
	return err;
}

void social_posts_reload(struct post_store *posts, const uint8_t *id, uint64_t now_ns)
{
	struct post_entry *entry = social_posts_entry(posts, id);
	struct store_snapshot *snapshot = NULL;
	struct post_record record;
	struct store_item item;

	if (entry && entry->state == POST_STATE_GONE) {
		posts->authors[entry->author].gone_cnt--;
		posts->stats.gone_cnt--;
	} else if (entry) {
		social_posts_leave(posts, entry);
	}
	if (entry)
		social_posts_entry_remove(posts, entry);
	if (from_disk(posts, STORE_POSTS, id, &snapshot, &item) == 0 &&
	    social_post_record_parse(id, item.value, item.value_len, &record) == 0)
		(void)post_enter(posts, &record, now_ns);
	else if (from_disk(posts, STORE_POST_GONE, id, &snapshot, &item) == 0)
		(void)mark_enter(posts, id, item.value, item.value_len);
	store_snapshot_close(snapshot);
}

/* --- a year later --- */

void social_posts_sweep(struct post_store *posts, uint64_t now_ns)
{
	uint64_t wall_ms = posts_wall_ms(posts);

	for (unsigned i = 0; i < POSTS_SWEEP_CNT; i++) {
		struct post_entry *entry;

		if (++posts->sweep_at >= posts->entry_used)
			posts->sweep_at = 1;
		entry = &posts->entries[posts->sweep_at];
		if (posts->sweep_at < posts->entry_used && entry->state == POST_STATE_GONE &&
		    entry->time_ms <= wall_ms && !entry->change)
			social_posts_mark_drop(posts, entry, now_ns);
	}
	social_posts_room_fit(posts, now_ns);
}
