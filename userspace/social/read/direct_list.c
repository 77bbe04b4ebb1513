/* SPDX-License-Identifier: Apache-2.0 */
/* Direct messages: one thread for each set of parties, and receipts, which are replies that no feed shows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "social/read/social_read_state.h"
#include "social/ground/sorted_keys.h"

/* --- parties --- */

void social_direct_sort(struct direct_parties *parties)
{
	parties->cnt = social_keys_sort_once(parties->keys, parties->cnt);
}

static int parties_of(const struct opened_post *opened, struct direct_parties *out_parties)
{
	struct visibility *visibility;
	int err = social_read_visibility(opened, &visibility);

	if (err < 0)
		return err;
	out_parties->cnt = visibility->recipient_cnt;
	for (unsigned i = 0; i < visibility->recipient_cnt; i++)
		memcpy(out_parties->keys[i], visibility->recipients[i].reader, NODE_KEY_LEN);
	memcpy(out_parties->keys[out_parties->cnt++], opened->post.author, NODE_KEY_LEN);
	social_direct_sort(out_parties);
	free(visibility);
	return 0;
}

static bool parties_equal(const struct direct_parties *a, const struct direct_parties *b)
{
	return a->cnt == b->cnt && memcmp(a->keys, b->keys, a->cnt * NODE_KEY_LEN) == 0;
}

/* --- walking over messages --- */

struct directs {
	struct social_read *read;
	const struct direct_ask *ask; /* of one thread; NULL: of all */
	feed_fn fn;
	void *arg;
	unsigned given_cnt;
	bool is_over;
	struct post_cursor last;
	bool has_last;
	struct direct_parties parties; /* of the message at hand */
	/* Of all: what each thread has so far, in the order of their newest messages. */
	struct direct_thread {
		uint64_t hash;
		uint8_t newest[POST_ID_LEN];
		unsigned unread_cnt;
	} threads[DIRECT_THREADS_MAX];
	unsigned thread_cnt;
};

static uint64_t parties_hash(const struct direct_parties *parties)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	uint64_t out;

	blake3_hash(parties->keys, parties->cnt * NODE_KEY_LEN, hash);
	memcpy(&out, hash, sizeof(out));
	return out;
}

/* false: there is no place for another thread. */
static bool thread_note(struct directs *directs, const struct opened_post *opened)
{
	uint64_t hash = parties_hash(&directs->parties);
	unsigned i = 0;

	while (i < directs->thread_cnt && directs->threads[i].hash != hash)
		i++;
	if (i == DIRECT_THREADS_MAX)
		return false;
	if (i == directs->thread_cnt) {
		directs->threads[i].hash = hash;
		memcpy(directs->threads[i].newest, opened->view.id, POST_ID_LEN);
		directs->thread_cnt++;
	}
	directs->threads[i].unread_cnt += opened->is_unread;
	return true;
}

static bool opened_take(struct directs *directs, const struct opened_post *opened)
{
	const struct direct_ask *ask = directs->ask;

	if (!ask)
		return thread_note(directs, opened);
	if (!parties_equal(&directs->parties, ask->parties))
		return true;
	directs->given_cnt++;
	return directs->fn(directs->arg, opened) && directs->given_cnt < ask->limit;
}

static bool is_message(const struct opened_post *opened)
{
	return opened->is == PRIVATE_DIRECT || opened->is == PRIVATE_DIRECT_ASKING;
}

static bool view_look(void *arg, const struct post_view *view)
{
	struct directs *directs = arg;
	struct opened_post *opened;

	directs->read->stats.visited_cnt++;
	/* Words of an unknown person wait as a request, and are shown by their name alone. */
	if ((directs->ask || view->share != POST_ADDRESSED) &&
	    !social_is_blocked(directs->read->params.people, view->author) &&
	    social_read_open(directs->read, view->id, &opened) == 0) {
		if (is_message(opened) && parties_of(opened, &directs->parties) == 0)
			directs->is_over = !opened_take(directs, opened);
		social_opened_free(opened);
	}
	/* The message that found no place is the first of the next page. */
	if (directs->is_over && !directs->ask)
		return false;
	directs->has_last = true;
	directs->last.time_ms = view->time_ms;
	memcpy(directs->last.id, view->id, POST_ID_LEN);
	return !directs->is_over;
}

static int walk(struct directs *directs, const struct post_cursor *from,
		struct post_cursor *out_next)
{
	const struct post_walk walk = {
		.from = from,
		.flags_all = POST_DIRECT,
		.flags_none = POST_SUPERSEDED | POST_HIDDEN,
		.visit_max = DIRECT_VISITS_MAX,
	};
	int more =
		social_posts_walk(directs->read->params.posts, &walk, view_look, directs, out_next);

	directs->read->stats.page_cnt++;
	if (more > 0 && directs->is_over && directs->has_last)
		*out_next = directs->last;
	return more;
}

int social_direct_page(struct social_read *read, const struct direct_ask *ask, feed_fn fn,
		       void *arg, struct post_cursor *out_next)
{
	struct directs *directs = calloc(1, sizeof(*directs));
	int more;

	if (!directs)
		return -ENOMEM;
	directs->read = read;
	directs->ask = ask;
	directs->fn = fn;
	directs->arg = arg;
	more = walk(directs, ask->from, out_next);
	free(directs);
	return more;
}

static bool thread_give(struct directs *directs, const struct direct_thread *thread, direct_fn fn,
			void *arg)
{
	struct opened_post *opened;
	bool goes_on = true;

	if (social_read_open(directs->read, thread->newest, &opened) < 0)
		return true;
	if (parties_of(opened, &directs->parties) == 0)
		goes_on = fn(arg, &directs->parties, opened, thread->unread_cnt);
	social_opened_free(opened);
	return goes_on;
}

int social_directs_each(struct social_read *read, const struct post_cursor *from, direct_fn fn,
			void *arg, struct post_cursor *out_next)
{
	struct directs *directs = calloc(1, sizeof(*directs));
	int more;

	if (!directs)
		return -ENOMEM;
	directs->read = read;
	more = walk(directs, from, out_next);
	for (unsigned i = 0; more >= 0 && i < directs->thread_cnt; i++)
		if (!thread_give(directs, &directs->threads[i], fn, arg))
			break;
	free(directs);
	return more;
}

/* --- receipts --- */

struct receipts {
	struct social_read *read;
	void (*fn)(void *arg, const uint8_t *person, bool is_read);
	void *arg;
};

static bool receipt_look(void *arg, const struct post_view *view)
{
	struct receipts *receipts = arg;
	struct opened_post *opened;

	if (social_read_open(receipts->read, view->id, &opened) < 0)
		return true;
	if ((opened->is == PRIVATE_DELIVERED || opened->is == PRIVATE_READ) && !opened->is_own)
		receipts->fn(receipts->arg, opened->post.author, opened->is == PRIVATE_READ);
	social_opened_free(opened);
	return true;
}

void social_receipts_each(struct social_read *read, const uint8_t message[static POST_ID_LEN],
			  void (*fn)(void *arg, const uint8_t *person, bool is_read), void *arg)
{
	struct receipts receipts = {read, fn, arg};
	const struct post_walk walk = {
		.parent = message, .flags_all = POST_DIRECT, .visit_max = DIRECT_VISITS_MAX};
	struct post_cursor next;

	if (social_posts_walk(read->params.posts, &walk, receipt_look, &receipts, &next) < 0)
		return;
}
