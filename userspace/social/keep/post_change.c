/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts are put, get other readers, and are marked. An entry, its room, its row in the order of all and
 * what the open batch writes change together. A post that is put comes into the order with its
 * commit: post_commit.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "social/keep/post_store_state.h"

/* --- put --- */

static void readers_note(const struct visibility *visibility, size_t len,
			 struct post_record *record)
{
	record->view.kind = visibility->kind;
	record->view.visibility_number = visibility->number;
	record->view.visibility_len = (uint32_t)len;
	if (visibility->kind == VISIBILITY_GROUP) {
		memcpy(record->view.group, visibility->group.group, sizeof(record->view.group));
		record->view.epoch = visibility->group.epoch;
	}
	social_posts_audience_name(visibility, record->audience);
}

static void record_of_put(const struct post_put *put, struct post_record *out_record)
{
	const struct judged_post *judged = put->judged;
	struct post_record record = {.class = put->class, .source = put->source};
	struct post_view *view = &record.view;

	memcpy(view->id, judged->id, POST_ID_LEN);
	memcpy(view->author, judged->post.author, NODE_KEY_LEN);
	memcpy(view->logical_id, judged->claim.logical_id, POST_LOGICAL_ID_LEN);
	view->time_ms = judged->post.time_ms;
	view->share = put->share;
	view->has_parent = judged->post.parent != NULL;
	if (view->has_parent)
		memcpy(view->parent, judged->post.parent, POST_ID_LEN);
	record.has_supersedes = judged->claim.supersedes != NULL;
	if (record.has_supersedes)
		memcpy(record.supersedes, judged->claim.supersedes, POST_ID_LEN);
	view->flags = (uint16_t)((put->marks & POST_MARKS) |
				 (judged->post.attachment_cnt ? POST_ATTACHED : 0) |
				 (view->has_parent ? POST_REPLY : 0));
	view->post_len = (uint32_t)put->parts.post_len;
	view->claim_len = (uint32_t)put->parts.claim_len;
	readers_note(&judged->visibility, put->parts.visibility_len, &record);
	/* The database knows of a source where it is alone. */
	record.source.port = 0;
	record.source.scope_id = 0;
	record.source.transport = 0;
	*out_record = record;
}

/* WEFT_EEXISTS, WEFT_EREFUSED, or 0: it is not here, or was deleted by another than its author. */
static int put_check(struct post_store *posts, const struct judged_post *judged)
{
	struct post_entry *entry = social_posts_entry(posts, judged->id);

	if (!entry)
		return 0;
	if (entry->state != POST_STATE_GONE)
		return WEFT_EEXISTS;
	return memcmp(posts->authors[entry->author].key, judged->post.author, NODE_KEY_LEN) == 0
		       ? WEFT_EREFUSED
		       : 0;
}

/* The entry with its room, not in the order yet; NULL: there is none. */
static struct post_entry *entry_make(struct post_store *posts, const struct post_record *record,
				     uint64_t now_ns)
{
	const struct post_view *view = &record->view;
	struct post_entry *entry;

	if (social_posts_edition_cnt(
		    posts, social_posts_edition_name(posts, view->author, view->logical_id)) ==
	    POSTS_EDITIONS_MAX)
		return NULL;
	entry = social_posts_entry_add(posts, view->id, view->author);
	if (!entry)
		return NULL;
	social_posts_entry_fill(posts, entry, record);
	if (social_posts_room_take(posts, entry, record, now_ns))
		return entry;
	social_posts_entry_remove(posts, entry);
	return NULL;
}

int social_posts_put(struct post_store *posts, const struct post_put *put, uint64_t now_ns)
{
	struct post_entry *entry = social_posts_entry(posts, put->judged->id);
	struct post_record record;
	struct post_change *change;
	uint8_t *scratch;
	int err = put_check(posts, put->judged);

	posts->now_ns = now_ns;
	if (err < 0)
		return err;
	scratch = social_posts_lags(posts) ? NULL : malloc(POST_BODY_LEN_MAX);
	if (!scratch) {
		posts->stats.lag_cnt++;
		return WEFT_EBUSY;
	}
	if (entry)
		social_posts_mark_drop(posts, entry, now_ns);
	record_of_put(put, &record);
	entry = entry_make(posts, &record, now_ns);
	if (!entry) {
		free(scratch);
		posts->stats.full_cnt++;
		return WEFT_EFULL;
	}
	entry->state = POST_STATE_NEW;
	entry->is_body_changing = true;
	posts->new_cnt++;
	social_posts_row_write(posts, &record, now_ns);
	social_posts_body_write(posts, &record.view, &put->parts, scratch, now_ns);
	social_posts_orders_write(posts, &record.view, now_ns);
	free(scratch);
	change = social_posts_change(posts, entry, &record, POST_MOVED_PUT);
	weft_assert(change != NULL); /* social_posts_lags leaves some */
	change->done = (struct post_change_done){put->done, put->arg};
	return 0;
}

/* --- new readers --- */

/* The parts as they are on the disk, in body; the caller owns it. */
static int body_read(struct post_store *posts, const struct post_record *record, uint8_t *body,
		     struct post_parts *out_parts)
{
	struct store_snapshot *snapshot = NULL;
	struct post_parts parts;
	int err = social_posts_body_in(posts, &snapshot, record, &parts);

	if (err == 0) {
		memcpy(body, parts.post, social_post_len(&record->view));
		err = social_post_body_split(record, body, social_post_len(&record->view),
					     out_parts);
	}
	store_snapshot_close(snapshot);
	return err;
}

/* The row in the order says at once which readers there are. */
static void row_renew(struct post_store *posts, const struct post_entry *entry,
		      const struct post_record *record)
{
	struct post_row *row = social_posts_row(posts, entry);

	weft_assert(row != NULL);
	social_posts_audience_release(posts, row->audience);
	row->audience = social_posts_audience_number(posts, record);
	row->number = (uint16_t)record->view.visibility_number;
	row->flags = (uint16_t)(social_posts_row_flags(&record->view) |
				(entry->is_superseded ? POST_SUPERSEDED : 0));
}

/* entry has record's length, share and pin from now on. false: there is no room, and it is as it was. */
static bool room_renew(struct post_store *posts, struct post_entry *entry,
		       const struct post_record *record, const struct post_record *former,
		       uint64_t now_ns)
{
	bool is_pinned = record->view.flags & POST_PINNED, is_taken;

	if (entry->len == social_post_len(&record->view) && entry->share == record->view.share &&
	    entry->is_pinned == is_pinned) {
		social_posts_entry_fill(posts, entry, record);
		return true;
	}
	social_posts_room_release(posts, entry);
	social_posts_entry_fill(posts, entry, record);
	if (social_posts_room_take(posts, entry, record, now_ns)) {
		social_posts_room_fit(posts, now_ns);
		return true;
	}
	social_posts_entry_fill(posts, entry, former);
	posts->hosted.len_max = UINT64_MAX; /* the quota may be exceeded for the moment */
	is_taken = social_posts_room_take(posts, entry, former, now_ns);
	weft_assert(is_taken); /* what it gave back is there */
	posts->hosted.len_max = posts->quota.hosted_max;
	return false;
}

/* What is written of a held post whose row alone changes; there is no done yet. */
static int row_change(struct post_store *posts, struct post_entry *entry,
		      const struct post_record *record, const struct post_record *former,
		      uint64_t now_ns)
{
	if (!room_renew(posts, entry, record, former, now_ns))
		return WEFT_EFULL;
	social_posts_row_write(posts, record, now_ns);
	if (entry->state == POST_STATE_HELD) {
		row_renew(posts, entry, record);
		social_posts_edition_settle(posts, entry->edition);
	}
	return 0;
}

static void change_note(struct post_store *posts, struct post_entry *entry,
			const struct post_record *record, enum post_moved moved,
			struct post_change_done done)
{
	struct post_change *change = social_posts_change(posts, entry, record, moved);

	weft_assert(change != NULL);
	change->done = done;
}

/* A post whose row may change: 0 with it. */
static int change_begin(struct post_store *posts, const uint8_t *id, struct post_entry **out_entry,
			struct post_record *out_record)
{
	struct post_entry *entry = social_posts_entry(posts, id);

	if (!entry || entry->state == POST_STATE_GONE)
		return WEFT_EABSENT;
	if (social_posts_lags(posts)) {
		posts->stats.lag_cnt++;
		return WEFT_EBUSY;
	}
	*out_entry = entry;
	return social_posts_row_read(posts, entry, out_record);
}

static int visibility_set(struct post_store *posts, const struct post_readers *readers,
			  struct post_change_done done, uint64_t now_ns)
{
	struct post_record former, record;
	struct post_entry *entry;
	struct post_parts parts;
	uint8_t *body, *scratch;
	int err = change_begin(posts, readers->visibility->post, &entry, &former);

	if (err < 0)
		return err;
	if (readers->visibility->number <= former.view.visibility_number)
		return WEFT_ESTALE;
	if (entry->is_body_changing)
		return WEFT_EBUSY;
	body = malloc(2 * POST_BODY_LEN_MAX);
	if (!body)
		return WEFT_EBUSY;
	scratch = body + POST_BODY_LEN_MAX;
	record = former;
	readers_note(readers->visibility, readers->len, &record);
	record.view.flags &= (uint16_t)~(POST_READABLE | POST_DIRECT);
	record.view.flags |= readers->marks & (POST_READABLE | POST_DIRECT);
	err = body_read(posts, &former, body, &parts);
	if (err == 0)
		err = row_change(posts, entry, &record, &former, now_ns);
	if (err == 0) {
		parts.visibility = readers->bytes;
		parts.visibility_len = readers->len;
		social_posts_body_write(posts, &record.view, &parts, scratch, now_ns);
		entry->is_body_changing = true;
		change_note(posts, entry, &record, POST_MOVED_VISIBILITY, done);
	}
	free(body);
	return err;
}

int social_posts_set_visibility(struct post_store *posts, const struct post_readers *readers,
				struct post_change_done done, uint64_t now_ns)
{
	posts->now_ns = now_ns;
	return visibility_set(posts, readers, done, now_ns);
}

/* --- marks --- */

int social_posts_mark(struct post_store *posts, const struct post_marking *marking,
		      struct post_change_done done, uint64_t now_ns)
{
	struct post_record former, record;
	struct post_entry *entry;
	int err;

	posts->now_ns = now_ns;
	if ((err = change_begin(posts, marking->id, &entry, &former)) < 0)
		return err;
	record = former;
	record.view.flags &= (uint16_t)~(marking->clear & POST_MARKS);
	record.view.flags |= marking->set & POST_MARKS;
	if (record.view.flags & ~former.view.flags & POST_PINNED && entry->share != POST_OWN &&
	    !social_posts_pin_fits(posts, entry))
		return WEFT_EFULL;
	if (record.view.flags == former.view.flags && !entry->change) {
		if (done.done)
			done.done(done.arg, 0);
		return 0;
	}
	if ((err = row_change(posts, entry, &record, &former, now_ns)) < 0)
		return err;
	change_note(posts, entry, &record, POST_MOVED_MARK, done);
	return 0;
}

int social_posts_set_share(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			   enum post_share share, uint64_t now_ns)
{
	struct post_record former, record;
	struct post_entry *entry;
	int err;

	posts->now_ns = now_ns;
	if ((err = change_begin(posts, id, &entry, &former)) < 0 || former.view.share == share)
		return err;
	record = former;
	record.view.share = share;
	if ((err = row_change(posts, entry, &record, &former, now_ns)) < 0)
		return err;
	change_note(posts, entry, &record, POST_MOVED_MARK, (struct post_change_done){0});
	return 0;
}
