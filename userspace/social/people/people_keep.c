/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of people on their way to the disk. What is in memory holds at once. A change touches the row
 * that it is of, and the row is written as memory has it. Changes of a moment are one batch (group commit).
 * If the disk does not take a batch, its rows are touched again some time later. A crash before that has
 * what the disk had.
 */
#include <errno.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "people_state.h"

#define WINDOW_NS (5 * NS_PER_MS)
#define RETRY_NS  (20 * NS_PER_MS)
#define AGAIN_NS  (2 * NS_PER_S) /* behind a failure */
/* A batch is written at once from so many bytes on. */
#define BATCH_LEN_MAX ((size_t)1 << 20)
#define CHANGE_COST   96u

#define WAITERS_MAX 1024u
#define COMMITS_MAX 4u
/*
 * Rows that are not durable. The largest change takes a persona away, with all that it follows and
 * its circles.
 */
#define CHANGE_TOUCHES_MAX                                                                         \
	(SOCIAL_FOLLOWS_MAX + SOCIAL_AUDIENCE_MAX + SOCIAL_REQUESTS_MAX +                          \
	 SOCIAL_CIRCLES_MAX * (SOCIAL_CIRCLE_MEMBERS_MAX + 1) + 64)
#define TOUCHES_MAX (2 * CHANGE_TOUCHES_MAX)

struct people_touch {
	struct list_node node;
	uint8_t kind;
	uint8_t name[PEOPLE_ROW_NAME_MAX];
};
struct people_waiter {
	struct list_node node;
	struct people_done done;
};
struct people_commit {
	struct people *people;
	struct list_node touches, waiting;
};

static const struct people_codec *const codecs[PEOPLE_ROW_END] = {
	[PEOPLE_ROW_PERSONA] = &people_codec_persona,
	[PEOPLE_ROW_FOLLOW] = &people_codec_follow,
	[PEOPLE_ROW_BLOCK] = &people_codec_block,
	[PEOPLE_ROW_ACCEPTED] = &people_codec_accepted,
	[PEOPLE_ROW_AUDIENCE] = &people_codec_audience,
	[PEOPLE_ROW_REQUEST] = &people_codec_request,
	[PEOPLE_ROW_PROFILE] = &people_codec_profile,
	[PEOPLE_ROW_PERSONAL] = &people_codec_personal,
	[PEOPLE_ROW_OWN] = &people_codec_own,
	[PEOPLE_ROW_REFUSED] = &people_codec_refused,
	[PEOPLE_ROW_SUCCESSION] = &people_codec_succession,
	[PEOPLE_ROW_CIRCLE] = &people_codec_circle,
};

int social_people_keep_init(struct people *people)
{
	struct people_keep *keep = &people->keep;
	struct arena *arena = &people->arena;
	int err;

	list_init(&keep->touches);
	list_init(&keep->waiting);
	list_init(&keep->behind);
	if ((err = pool_init(&keep->touch_pool, arena, sizeof(struct people_touch), TOUCHES_MAX)) <
		    0 ||
	    (err = pool_init(&keep->waiters, arena, sizeof(struct people_waiter), WAITERS_MAX)) < 0)
		return err;
	return pool_init(&keep->commits, arena, sizeof(struct people_commit), COMMITS_MAX);
}

static void list_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

/* --- rows --- */

size_t social_people_row_key(enum people_kind kind, const uint8_t *name, enum store_db *out_db,
			     uint8_t key[static PEOPLE_ROW_NAME_MAX + 1])
{
	if (kind == PEOPLE_ROW_CIRCLE) {
		*out_db = STORE_CIRCLES;
		memcpy(key, name, PEOPLE_ROW_NAME_MAX);
		return PEOPLE_ROW_NAME_MAX;
	}
	*out_db = STORE_PEOPLE;
	key[0] = (uint8_t)kind;
	memcpy(key + 1, name, NODE_KEY_LEN);
	return 1 + NODE_KEY_LEN;
}

/* NULL: no memory, and then all of this batch fails. */
static struct store_batch *batch_open(struct people *people, size_t len, uint64_t now_ns)
{
	struct people_keep *keep = &people->keep;

	if (now_ns > people->now_ns)
		people->now_ns = now_ns;
	if (!keep->is_open) {
		keep->is_open = true;
		keep->batch = store_batch_new(people->ground->store);
		keep->len = 0;
		keep->due_ns = people->now_ns + WINDOW_NS;
		timer_set(people->ground->timers, &people->timer, keep->due_ns);
	}
	keep->len += len + CHANGE_COST;
	if (keep->len >= BATCH_LEN_MAX && keep->due_ns > people->now_ns) {
		keep->due_ns = people->now_ns;
		timer_set(people->ground->timers, &people->timer, keep->due_ns);
	}
	return keep->batch;
}

static void row_write(struct people *people, enum people_kind kind, const uint8_t *name,
		      uint64_t now_ns)
{
	struct writer w = writer_of(people->made, sizeof(people->made));
	uint8_t key[PEOPLE_ROW_NAME_MAX + 1];
	enum store_db db;
	size_t key_len = social_people_row_key(kind, name, &db, key);
	struct store_batch *batch;
	bool is_there;

	writer_u8(&w, PEOPLE_ROW_LAYOUT);
	is_there = codecs[kind]->write(people, name, &w);
	weft_assert(!w.bad);
	batch = batch_open(people, is_there ? writer_len(&w) : 0, now_ns);
	if (batch && is_there)
		store_batch_put(batch, db, store_key(key, key_len), people->made, writer_len(&w));
	else if (batch)
		store_batch_delete(batch, db, store_key(key, key_len));
	explicit_bzero(people->made, writer_len(&w));
}

bool social_people_keep_lags(const struct people *people)
{
	const struct people_keep *keep = &people->keep;

	return keep->touch_pool.used_cnt + CHANGE_TOUCHES_MAX > keep->touch_pool.cap_cnt ||
	       keep->waiters.used_cnt == keep->waiters.cap_cnt;
}

void social_people_touch(struct people *people, enum people_kind kind, const uint8_t *name,
			 uint64_t now_ns)
{
	struct people_touch *touch = pool_acquire(&people->keep.touch_pool);

	weft_assert(touch != NULL); /* social_people_keep_lags leaves places */
	touch->kind = (uint8_t)kind;
	memcpy(touch->name, name, kind == PEOPLE_ROW_CIRCLE ? PEOPLE_ROW_NAME_MAX : NODE_KEY_LEN);
	row_write(people, kind, name, now_ns);
	list_push_back(&people->keep.touches, &touch->node);
}

void social_people_wait(struct people *people, const struct people_done *done, uint64_t now_ns)
{
	struct people_waiter *waiter =
		done && done->fn ? pool_acquire(&people->keep.waiters) : NULL;

	(void)batch_open(people, 0, now_ns);
	if (!waiter)
		return;
	waiter->done = *done;
	list_push_back(&people->keep.waiting, &waiter->node);
}

/* --- batches --- */

static void touches_release(struct people_keep *keep, struct list_node *touches)
{
	struct people_touch *touch;

	while ((touch = list_first(touches, struct people_touch, node))) {
		list_unlink(&touch->node);
		pool_release(&keep->touch_pool, touch);
	}
}

static void commit_done(void *arg, int err)
{
	struct people_commit *commit = arg;
	struct people *people = commit->people;
	struct people_keep *keep = &people->keep;
	struct people_waiter *waiter;
	struct list_node waiting;

	list_init(&waiting);
	list_move(&commit->waiting, &waiting);
	people->stats.failed_cnt += err < 0;
	if (err < 0) {
		list_move(&commit->touches, &keep->behind);
		keep->again_ns = people->now_ns + AGAIN_NS;
		if (!people->is_stopped)
			timer_set(people->ground->timers, &people->timer,
				  social_people_keep_next_ns(people));
	}
	touches_release(keep, &commit->touches);
	pool_release(&keep->commits, commit);
	while ((waiter = list_first(&waiting, struct people_waiter, node))) {
		struct people_done done = waiter->done;

		list_unlink(&waiter->node);
		pool_release(&keep->waiters, waiter);
		if (!people->is_stopped)
			done.fn(done.arg, err);
	}
}

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct people *people)
{
	struct people_keep *keep = &people->keep;
	struct people_commit *commit = pool_acquire(&keep->commits);
	struct store_batch *batch = keep->batch;
	int err;

	keep->due_ns = people->now_ns + RETRY_NS;
	if (!commit)
		return;
	commit->people = people;
	list_init(&commit->touches);
	list_init(&commit->waiting);
	list_move(&keep->touches, &commit->touches);
	list_move(&keep->waiting, &commit->waiting);
	err = batch ? store_submit(people->ground->store, batch, commit_done, commit) : -ENOMEM;
	if (err == WEFT_EFULL) {
		list_move(&commit->touches, &keep->touches);
		list_move(&commit->waiting, &keep->waiting);
		pool_release(&keep->commits, commit);
		return;
	}
	keep->batch = NULL;
	keep->is_open = false;
	keep->len = 0;
	if (err == 0)
		return;
	if (batch)
		store_batch_free(batch);
	commit_done(commit, err);
}

/* What the disk did not take is written once more, as memory has it by now. */
static void behind_retry(struct people *people)
{
	struct people_keep *keep = &people->keep;
	struct people_touch *touch;
	struct list_node behind;

	list_init(&behind);
	list_move(&keep->behind, &behind);
	while ((touch = list_first(&behind, struct people_touch, node))) {
		list_unlink(&touch->node);
		row_write(people, touch->kind, touch->name, people->now_ns);
		list_push_back(&keep->touches, &touch->node);
	}
}

void social_people_keep_expire(struct people *people, uint64_t now_ns)
{
	struct people_keep *keep = &people->keep;

	if (now_ns > people->now_ns)
		people->now_ns = now_ns;
	if (!list_is_empty(&keep->behind) && people->now_ns >= keep->again_ns)
		behind_retry(people);
	if (keep->is_open && people->now_ns >= keep->due_ns)
		batch_submit(people);
}

uint64_t social_people_keep_next_ns(const struct people *people)
{
	const struct people_keep *keep = &people->keep;
	uint64_t next_ns = keep->is_open ? keep->due_ns : TIMER_NEVER;

	if (!list_is_empty(&keep->behind) && keep->again_ns < next_ns)
		next_ns = keep->again_ns;
	return next_ns;
}

void social_people_keep_fini(struct people *people)
{
	struct people_keep *keep = &people->keep;

	if (!keep->touches.next)
		return;
	behind_retry(people);
	if (keep->batch && store_submit(people->ground->store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	keep->is_open = false;
	store_flush(people->ground->store);
}

/* --- the start --- */

static void row_load(struct people *people, enum people_kind kind, const struct store_item *item,
		     uint64_t now_ns)
{
	struct cursor c = cursor_of(item->value, item->value_len);
	const uint8_t *name = item->key + (kind == PEOPLE_ROW_CIRCLE ? 0 : 1);

	if (cursor_u8(&c) == PEOPLE_ROW_LAYOUT && codecs[kind]->load(people, name, &c, now_ns))
		return;
	people->stats.damaged_cnt++;
}

/* Personas first, as other rows name them, and profiles behind those that they are of. */
static const enum people_kind load_order[] = {
	PEOPLE_ROW_PERSONA,  PEOPLE_ROW_OWN,	 PEOPLE_ROW_BLOCK,	PEOPLE_ROW_FOLLOW,
	PEOPLE_ROW_ACCEPTED, PEOPLE_ROW_REFUSED, PEOPLE_ROW_SUCCESSION, PEOPLE_ROW_AUDIENCE,
	PEOPLE_ROW_REQUEST,  PEOPLE_ROW_PROFILE, PEOPLE_ROW_PERSONAL,
};

static int kind_load(struct people *people, enum people_kind kind, uint64_t now_ns)
{
	const uint8_t first = (uint8_t)kind;
	struct store_iter iter = store_iter_fresh(people->ground->store, STORE_PEOPLE,
						  store_key(&first, sizeof(first)));
	struct store_item item;

	while (store_iter_next(&iter, &item) && item.key[0] == kind)
		row_load(people, kind, &item, now_ns);
	return store_iter_end(&iter);
}

int social_people_load(struct people *people, uint64_t now_ns)
{
	struct store_iter iter;
	struct store_item item;
	int err = 0;

	people->is_loading = true;
	for (size_t i = 0; err == 0 && i < sizeof(load_order) / sizeof(load_order[0]); i++)
		err = kind_load(people, load_order[i], now_ns);
	if (err == 0) {
		iter = store_iter_fresh(people->ground->store, STORE_CIRCLES, STORE_ALL);
		while (store_iter_next(&iter, &item))
			row_load(people, PEOPLE_ROW_CIRCLE, &item, now_ns);
		err = store_iter_end(&iter);
	}
	people->is_loading = false;
	return err;
}
