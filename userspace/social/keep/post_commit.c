/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of posts, as those of deposits: changes are collected for a moment, then committed together.
 * A post is in the order of all, and watches hear of a change, when its commit is durable. When it is not,
 * what the disk has of the post holds.
 */
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "social/keep/post_store_state.h"

#define RETRY_NS 20000000ull
/* A change in a batch, beside its bytes: rows of four databases, and their keys. */
#define CHANGE_COST 1024u

struct post_commit {
	struct post_store *posts;
	struct list_node changes;
	size_t len;
};

int social_posts_commit_init(struct post_store *posts)
{
	struct post_writes *writes = &posts->writes;
	int err;

	list_init(&writes->changes);
	err = pool_init(&writes->change_pool, &posts->arena, sizeof(struct post_change),
			POSTS_CHANGE_CAP);
	return err < 0 ? err
		       : pool_init(&writes->commits, &posts->arena, sizeof(struct post_commit),
				   POSTS_COMMIT_CAP);
}

static void list_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

/* --- outcomes --- */

static void watches_call(struct post_store *posts, enum post_moved moved,
			 const struct post_record *record)
{
	struct list_node *at = posts->watches.next;
	struct post_view view;

	social_posts_view(posts, record, &view);
	while (at != &posts->watches) {
		struct post_watch *watch = container_of(at, struct post_watch, node);

		at = at->next; /* it may go */
		watch->moved(watch->ctx, moved, &view, posts->now_ns);
	}
}

/* What is durable now; true: watches hear of it, as *io_moved. */
static bool settle(struct post_store *posts, const struct post_change *change,
		   enum post_moved *out_moved, struct post_record *out_record)
{
	struct post_entry *entry = social_posts_entry(posts, change->id);
	bool is_latest = entry && entry->change == change;

	*out_moved = change->moved;
	if (is_latest) {
		entry->change = NULL;
		entry->is_body_changing = false;
	} else if (entry && !entry->change) {
		/* An earlier change of it failed, and what the disk has by now holds. */
		social_posts_reload(posts, change->id, posts->now_ns);
	}
	if (change->moved != POST_MOVED_GONE && !is_latest)
		return false;
	if (!change->record_len || social_post_record_parse(change->id, change->record,
							    change->record_len, out_record) < 0)
		return false;
	if (is_latest && entry->state == POST_STATE_NEW) {
		social_posts_enter(posts, entry, out_record);
		posts->stats.put_cnt++;
		*out_moved = POST_MOVED_PUT;
	}
	return !change->is_silent;
}

static void change_end(struct post_store *posts, struct post_change *change, int err)
{
	struct post_change copy = *change;
	enum post_moved moved;
	struct post_record record;
	bool is_heard = false;

	list_unlink(&change->node);
	if (err == 0)
		is_heard = settle(posts, change, &moved, &record);
	pool_release(&posts->writes.change_pool, change);
	if (err < 0) {
		posts->stats.failed_cnt++;
		social_posts_reload(posts, copy.id, posts->now_ns);
	}
	if (is_heard)
		watches_call(posts, moved, &record);
	if (copy.done.done)
		copy.done.done(copy.done.arg, err);
}

static void commit_done(void *arg, int err)
{
	struct post_commit *commit = arg;
	struct post_store *posts = commit->posts;
	struct list_node changes;
	struct post_change *change;

	list_init(&changes);
	list_move(&commit->changes, &changes);
	posts->writes.lag_len -= commit->len;
	pool_release(&posts->writes.commits, commit);
	while ((change = list_first(&changes, struct post_change, node)))
		change_end(posts, change, err);
}

/* --- batches --- */

static void due(struct post_store *posts)
{
	if (posts->writes.is_open && !posts->is_stopped)
		timer_set(posts->params.ground->timers, &posts->timer, posts->writes.due_ns);
}

struct store_batch *social_posts_batch(struct post_store *posts, size_t len, uint64_t now_ns)
{
	struct post_writes *writes = &posts->writes;

	if (!writes->is_open) {
		writes->is_open = true;
		writes->batch = store_batch_new(posts->params.ground->store);
		writes->batch_len = 0;
		writes->due_ns = now_ns + POSTS_WRITE_WINDOW_NS;
	}
	writes->batch_len += len + CHANGE_COST;
	if (writes->batch_len >= POSTS_WRITE_BYTES_MAX && writes->due_ns > now_ns)
		writes->due_ns = now_ns;
	due(posts);
	return writes->batch;
}

bool social_posts_lags(const struct post_store *posts)
{
	const struct post_writes *writes = &posts->writes;
	size_t open_len = writes->is_open ? writes->batch_len : 0;

	return writes->lag_len + open_len + POST_BODY_LEN_MAX > POSTS_LAG_MAX ||
	       writes->change_pool.used_cnt + POSTS_CHANGE_SPARE > POSTS_CHANGE_CAP;
}

struct post_change *social_posts_change(struct post_store *posts, struct post_entry *entry,
					const struct post_record *record, enum post_moved moved)
{
	struct post_change *change = pool_acquire(&posts->writes.change_pool);
	struct writer w;

	/* What gives way, beyond the spare ones: it is written, and watches do not hear of it. */
	if (!change)
		return NULL;
	w = writer_of(change->record, sizeof(change->record));
	social_post_record_write(&w, record);
	weft_assert(!w.bad);
	change->record_len = (uint16_t)writer_len(&w);
	memcpy(change->id, record->view.id, POST_ID_LEN);
	change->moved = (uint8_t)moved;
	if (entry)
		entry->change = change;
	list_push_back(&posts->writes.changes, &change->node);
	return change;
}

static void commit_take_back(struct post_writes *writes, struct post_commit *commit,
			     struct store_batch *batch)
{
	writes->batch = batch;
	writes->is_open = true;
	writes->batch_len = commit->len;
	writes->lag_len -= commit->len;
	list_move(&commit->changes, &writes->changes);
	pool_release(&writes->commits, commit);
}

/* While as many as may be are on their way, or the store is full, the batch waits. */
static void batch_submit(struct post_store *posts, uint64_t now_ns)
{
	struct post_writes *writes = &posts->writes;
	struct post_commit *commit = pool_acquire(&writes->commits);
	struct store_batch *batch = writes->batch;
	int err;

	writes->due_ns = now_ns + RETRY_NS;
	if (!commit)
		return;
	*commit = (struct post_commit){.posts = posts, .len = writes->batch_len};
	list_init(&commit->changes);
	list_move(&writes->changes, &commit->changes);
	writes->lag_len += commit->len;
	writes->batch = NULL;
	writes->is_open = false;
	err = store_submit(posts->params.ground->store, batch, commit_done, commit);
	if (err == WEFT_EFULL) {
		commit_take_back(writes, commit, batch);
	} else if (err < 0) {
		store_batch_free(batch);
		commit_done(commit, err);
	}
}

void social_posts_commit_expire(struct post_store *posts, uint64_t now_ns)
{
	if (posts->writes.is_open && now_ns >= posts->writes.due_ns)
		batch_submit(posts, now_ns);
	due(posts);
}

void social_posts_commit_stop(struct post_store *posts)
{
	struct post_writes *writes = &posts->writes;
	struct store *store = posts->params.ground->store;
	struct post_change *change = NULL;

	if (!writes->commits.objects)
		return;
	while ((change = pool_next(&writes->change_pool, change))) {
		change->done.done = NULL;
		change->is_silent = true;
	}
	if (writes->is_open) {
		store_flush(store); /* or the store may be full */
		if (store_submit(store, writes->batch, NULL, NULL) < 0)
			store_batch_free(writes->batch);
	}
	writes->batch = NULL;
	writes->is_open = false;
	store_flush(store);
}
