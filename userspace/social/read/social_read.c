/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening posts of the store. A private one is opened by the key of a persona or of a group. The key of its
 * content is then remembered. Each post that comes is opened once, for what is said of it (events), and
 * to mark direct messages.
 */
#include "social/read/social_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "social/ground/social_ground.h"
#include "social/read/post_open.h"
#include "social/read/social_read_state.h"

/* --- content keys --- */

static struct read_key *key_set(struct social_read *read, const uint8_t *post)
{
	return read->keys[((unsigned)post[0] << 8 | post[1]) % READ_KEY_SETS];
}

static bool key_recall(struct social_read *read, const uint8_t *post, uint8_t *out_key)
{
	struct read_key *set = key_set(read, post);

	for (unsigned i = 0; i < READ_KEY_WAYS; i++) {
		if (!set[i].used || memcmp(set[i].post, post, POST_ID_LEN) != 0)
			continue;
		set[i].used = ++read->use_cnt;
		memcpy(out_key, set[i].key, CONTENT_KEY_LEN);
		return true;
	}
	return false;
}

static void key_remember(struct social_read *read, const uint8_t *post, const uint8_t *key)
{
	struct read_key *set = key_set(read, post), *oldest = set;

	for (unsigned i = 1; i < READ_KEY_WAYS; i++)
		if (set[i].used < oldest->used)
			oldest = &set[i];
	memcpy(oldest->post, post, POST_ID_LEN);
	memcpy(oldest->key, key, CONTENT_KEY_LEN);
	oldest->used = ++read->use_cnt;
}

static void key_forget(struct social_read *read, const uint8_t *post)
{
	struct read_key *set = key_set(read, post);

	for (unsigned i = 0; i < READ_KEY_WAYS; i++)
		if (set[i].used && memcmp(set[i].post, post, POST_ID_LEN) == 0)
			explicit_bzero(&set[i], sizeof(set[i]));
}

static const struct node_key *own_key(void *ctx, const uint8_t key[static NODE_KEY_LEN])
{
	return social_own_key(((struct social_read *)ctx)->params.people, key);
}

static const struct node_key *group_key(void *ctx, const struct visibility_group *group)
{
	const struct read_group_ways *groups = &((struct social_read *)ctx)->params.groups;

	return groups->key ? groups->key(groups->ctx, group) : NULL;
}

static int visibility_parse(const struct post_copy *copy, struct visibility **out_visibility)
{
	struct visibility *visibility = calloc(1, sizeof(*visibility));
	int err;

	if (!visibility)
		return -ENOMEM;
	err = social_visibility_parse(copy->parts.visibility, copy->parts.visibility_len,
				      visibility);
	if (err < 0)
		free(visibility);
	else
		*out_visibility = visibility;
	return err;
}

int social_read_visibility(const struct opened_post *opened, struct visibility **out_visibility)
{
	return visibility_parse(opened->copy, out_visibility);
}

static int key_agree(struct social_read *read, struct opened_post *opened)
{
	const struct post_keys keys = {own_key, group_key, read};
	struct visibility *visibility;
	int err = visibility_parse(opened->copy, &visibility);

	if (err < 0)
		return err;
	err = social_content_key_find(&opened->post, visibility, &keys, opened->content_key);
	free(visibility);
	if (err < 0)
		return err;
	read->stats.agreed_cnt++;
	key_remember(read, opened->view.id, opened->content_key);
	return 0;
}

/* A reader that was taken off a post does not open it by what is remembered. */
static int key_find(struct social_read *read, struct opened_post *opened)
{
	if ((opened->is_own || opened->view.flags & POST_READABLE) &&
	    key_recall(read, opened->view.id, opened->content_key))
		return 0;
	return key_agree(read, opened);
}

/* --- a post --- */

static int text_find(struct social_read *read, struct opened_post *opened)
{
	enum visibility_kind kind = opened->view.kind;
	size_t off = 0;
	int err = kind == VISIBILITY_PUBLIC ? 0 : key_find(read, opened);

	if (err == 0)
		err = social_post_text(&opened->post, kind, opened->content_key, &opened->said,
				       &opened->said_len);
	if (err < 0)
		return err;
	if (kind != VISIBILITY_PUBLIC)
		opened->is = social_private_kind(opened->said, opened->said_len, &off);
	/* Another program's message says by its mentions alone that it is one (intake/). */
	if (opened->is == PRIVATE_POST && opened->view.flags & POST_DIRECT)
		opened->is = PRIVATE_DIRECT;
	opened->text = opened->said + off;
	opened->text_len = opened->said_len - off;
	return 0;
}

static int opened_fill(struct social_read *read, const uint8_t *id, struct opened_post *opened)
{
	struct post_claim claim;
	int err = social_posts_look(read->params.posts, id, &opened->view);

	if (err < 0 || (err = social_posts_read(read->params.posts, id, &opened->copy)) < 0 ||
	    (err = social_post_parse(opened->copy->parts.post, opened->copy->parts.post_len,
				     &opened->post)) < 0 ||
	    (err = social_claim_parse(opened->copy->parts.claim, opened->copy->parts.claim_len,
				      &claim)) < 0)
		return err;
	opened->is_own = social_own_key(read->params.people, opened->post.author) != NULL;
	opened->is_unread = !opened->is_own && !(opened->view.flags & POST_READ);
	opened->is_edited = claim.supersedes != NULL;
	return text_find(read, opened);
}

int social_read_open(struct social_read *read, const uint8_t id[static POST_ID_LEN],
		     struct opened_post **out_opened)
{
	struct opened_post *opened = calloc(1, sizeof(*opened));
	int err = opened ? opened_fill(read, id, opened) : -ENOMEM;

	if (err == 0) {
		read->stats.opened_cnt++;
		*out_opened = opened;
		return 0;
	}
	read->stats.sealed_cnt += err == WEFT_EREFUSED;
	read->stats.unsound_cnt += err == WEFT_EDAMAGED || err == WEFT_EMALFORMED;
	social_opened_free(opened);
	return err;
}

void social_opened_free(struct opened_post *opened)
{
	if (!opened)
		return;
	if (opened->said)
		explicit_bzero(opened->said, opened->said_len);
	free(opened->said);
	social_post_copy_free(opened->copy);
	explicit_bzero(opened, sizeof(*opened));
	free(opened);
}

int social_read_latest(struct social_read *read, const uint8_t id[static POST_ID_LEN],
		       uint8_t out_id[static POST_ID_LEN])
{
	struct post_view view;
	int err = social_posts_look(read->params.posts, id, &view);

	if (err < 0)
		return err;
	if (!(view.flags & POST_SUPERSEDED) ||
	    social_posts_edition(read->params.posts, view.author, view.logical_id, out_id) < 0)
		memcpy(out_id, view.id, POST_ID_LEN);
	return 0;
}

int social_read_mark(struct social_read *read, const uint8_t id[static POST_ID_LEN], bool is_read,
		     struct post_change_done done, uint64_t now_ns)
{
	const struct post_marking marking = {
		.id = id, .set = is_read ? POST_READ : 0, .clear = is_read ? 0 : POST_READ};

	return social_posts_mark(read->params.posts, &marking, done, now_ns);
}

/* --- what is new --- */

static void tell(struct social_read *read, enum social_event_kind kind,
		 const struct post_view *view)
{
	const struct social_ground *ground = read->params.ground;
	const struct social_event event = {.kind = kind, .person = view->author, .post = view->id};

	if (ground->happened)
		ground->happened(ground->ctx, &event);
}

static bool is_receipt(const struct opened_post *opened)
{
	return opened->is >= PRIVATE_DELIVERED;
}

/* No page shows a receipt, so it is never unread. */
static void direct_mark(struct social_read *read, const struct opened_post *opened, uint64_t now_ns)
{
	const struct post_change_done none = {NULL, NULL};
	const struct post_marking marking = {
		.id = opened->view.id,
		.set = POST_DIRECT | (is_receipt(opened) ? POST_READ : 0),
	};

	if ((opened->view.flags & marking.set) != marking.set &&
	    social_posts_mark(read->params.posts, &marking, none, now_ns) < 0)
		read->stats.unmarked_cnt++;
}

static void receipt_give(struct social_read *read, const struct opened_post *opened, bool is_read,
			 uint64_t now_ns)
{
	if (read->receipts.give && opened->is == PRIVATE_DIRECT_ASKING && !opened->is_own &&
	    social_follow_of(read->params.people, SOCIAL_EACH_PERSONA, opened->post.author) !=
		    FOLLOW_NONE)
		read->receipts.give(read->receipts.ctx, opened, is_read, now_ns);
}

static void direct_came(struct social_read *read, const struct opened_post *opened, uint64_t now_ns)
{
	direct_mark(read, opened, now_ns);
	if (is_receipt(opened) || opened->is_own || opened->view.share == POST_ADDRESSED)
		return;
	tell(read, SOCIAL_DM_NEW, &opened->view);
	receipt_give(read, opened, false, now_ns);
}

static void watches_tell(struct social_read *read, const struct opened_post *opened)
{
	struct list_node *next;

	for (struct list_node *at = read->feed_watches.next; at != &read->feed_watches; at = next) {
		struct feed_watch *watch = container_of(at, struct feed_watch, node);

		next = at->next;
		if (social_feed_fits(read, watch->filter, opened))
			watch->fn(watch->arg, opened);
	}
}

static void post_came(struct social_read *read, const struct opened_post *opened)
{
	if (social_read_is_request(&opened->view))
		return;
	if (!opened->is_own && opened->view.flags & POST_MENTIONS_ME)
		tell(read, SOCIAL_POST_MENTION, &opened->view);
	tell(read, opened->is_edited ? SOCIAL_POST_CHANGED : SOCIAL_POST_NEW, &opened->view);
	watches_tell(read, opened);
}

/* What is kept for others is no news of people here. */
static bool is_news(const struct post_view *view)
{
	return view->share != POST_HOSTED;
}

/* Nor are further words of a request, which person.request stands for. */
static bool is_change_news(const struct post_view *view)
{
	return is_news(view) && !social_read_is_request(view);
}

static void came(struct social_read *read, const struct post_view *view, uint64_t now_ns)
{
	struct opened_post *opened;

	if (!is_news(view) || social_read_open(read, view->id, &opened) < 0)
		return;
	if (opened->is == PRIVATE_POST)
		post_came(read, opened);
	else
		direct_came(read, opened, now_ns);
	social_opened_free(opened);
}

static void moved(void *ctx, enum post_moved what, const struct post_view *view, uint64_t now_ns)
{
	struct social_read *read = ctx;

	switch (what) {
	case POST_MOVED_PUT:
		came(read, view, now_ns);
		break;
	case POST_MOVED_VISIBILITY:
		key_forget(read, view->id);
		if (is_change_news(view))
			tell(read, SOCIAL_POST_CHANGED, view);
		break;
	case POST_MOVED_GONE:
		key_forget(read, view->id);
		if (is_change_news(view) || view->flags & POST_PINNED)
			tell(read, SOCIAL_POST_GONE, view);
		break;
	case POST_MOVED_MARK:
		break;
	}
}

/* --- direct messages whose mark a crash took --- */

#define MARK_VISITS_MAX 512u

struct unmarked {
	unsigned cnt;
	uint8_t ids[MARK_VISITS_MAX][POST_ID_LEN];
};

static bool unmarked_add(void *arg, const struct post_view *view)
{
	struct unmarked *unmarked = arg;

	if (view->kind == VISIBILITY_RECIPIENTS && is_news(view))
		memcpy(unmarked->ids[unmarked->cnt++], view->id, POST_ID_LEN);
	return unmarked->cnt < MARK_VISITS_MAX;
}

/* The mark is written behind the post, so those that came last before a crash may lack it. */
static int marks_mend(struct social_read *read, uint64_t now_ns)
{
	const struct post_walk walk = {.flags_none = POST_DIRECT, .visit_max = MARK_VISITS_MAX};
	struct unmarked *unmarked = calloc(1, sizeof(*unmarked));
	struct post_cursor next;
	int err = unmarked ? social_posts_walk(read->params.posts, &walk, unmarked_add, unmarked,
					       &next)
			   : -ENOMEM;

	for (unsigned i = 0; err >= 0 && i < unmarked->cnt; i++) {
		struct opened_post *opened;

		if (social_read_open(read, unmarked->ids[i], &opened) < 0)
			continue;
		if (opened->is != PRIVATE_POST)
			direct_mark(read, opened, now_ns);
		social_opened_free(opened);
	}
	free(unmarked);
	return err < 0 ? err : 0;
}

/* --- life --- */

int social_read_new(const struct social_read_params *params, struct social_read **out_read)
{
	struct social_read *read = calloc(1, sizeof(*read));
	int err;

	if (!read)
		return -ENOMEM;
	read->params = *params;
	list_init(&read->feed_watches);
	list_init(&read->watch.node);
	if (!(read->keys = calloc(READ_KEY_SETS, sizeof(*read->keys)))) {
		social_read_free(read);
		return -ENOMEM;
	}
	if ((err = marks_mend(read, params->now_ns)) < 0) {
		social_read_free(read);
		return err;
	}
	read->watch.moved = moved;
	read->watch.ctx = read;
	social_posts_watch(params->posts, &read->watch);
	*out_read = read;
	return 0;
}

void social_read_free(struct social_read *read)
{
	if (!read)
		return;
	list_unlink(&read->watch.node);
	if (read->keys)
		explicit_bzero(read->keys, READ_KEY_SETS * sizeof(*read->keys));
	free(read->keys);
	free(read);
}

void social_read_receipts(struct social_read *read, const struct receipt_ways *ways)
{
	read->receipts = *ways;
}

void social_read_shown(struct social_read *read, const struct opened_post *opened, uint64_t now_ns)
{
	const struct post_change_done none = {NULL, NULL};

	if (!opened->is_unread)
		return;
	if (social_read_mark(read, opened->view.id, true, none, now_ns) < 0)
		read->stats.unmarked_cnt++;
	receipt_give(read, opened, true, now_ns);
}

void social_read_stats(const struct social_read *read, struct social_read_stats *out_stats)
{
	*out_stats = read->stats;
}
