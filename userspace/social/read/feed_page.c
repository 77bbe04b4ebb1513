/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a feed: a walk over the posts from the newest on, which opens those that may fit. */
#include <string.h>

#include "social/read/social_read_state.h"

/* --- what fits --- */

struct naming {
	struct social_read *read;
	const char *name;
	const uint8_t *key;
	bool fits;
};

static bool is_person(void *ctx, const char *name, const uint8_t key[static NODE_KEY_LEN])
{
	const struct person *person =
		social_person(((struct social_read *)ctx)->params.people, key);

	return person && ((person->petname && strcasecmp(person->petname, name) == 0) ||
			  (person->own_name && strcasecmp(person->own_name, name) == 0));
}

static bool circle_look(void *arg, const struct circle_view *view)
{
	struct naming *naming = arg;

	naming->fits = strcasecmp(view->name, naming->name) == 0 &&
		       social_circle_has(naming->read->params.people, view->id, naming->key);
	return !naming->fits;
}

static bool is_member(void *ctx, const char *circle, const uint8_t key[static NODE_KEY_LEN])
{
	struct naming naming = {ctx, circle, key, false};

	social_circles_each(naming.read->params.people, SOCIAL_EACH_PERSONA, circle_look, &naming);
	return naming.fits;
}

static unsigned traits_of(const struct opened_post *opened)
{
	unsigned traits = opened->view.kind == VISIBILITY_PUBLIC ? FEED_PUBLIC : FEED_PRIVATE;

	traits |= opened->is_unread ? FEED_UNREAD : 0;
	traits |= opened->is_own ? FEED_OWN : 0;
	traits |= opened->is_edited ? FEED_EDITED : 0;
	traits |= opened->post.parent ? FEED_REPLY : 0;
	traits |= opened->post.attachment_cnt ? FEED_ATTACHMENT : 0;
	traits |= opened->view.flags & POST_MENTIONS_ME ? FEED_MENTION : 0;
	return traits;
}

bool social_feed_fits(struct social_read *read, const struct feed_filter *filter,
		      const struct opened_post *opened)
{
	const struct feed_subject subject = {opened->post.author, traits_of(opened), opened->text,
					     opened->text_len};
	const struct feed_names names = {is_person, is_member, read};

	return !filter || social_filter_fits(filter, &subject, &names);
}

/* --- a page --- */

struct paging {
	struct social_read *read;
	const struct feed_ask *ask;
	feed_fn fn;
	void *arg;
	unsigned given_cnt, opened_cnt;
	bool is_over;		 /* the caller wants no more */
	bool has_last;		 /* of this walk */
	struct post_cursor last; /* the post that was looked at last */
};

/* What can be said of a post without its bytes. */
static bool may_fit(const struct paging *paging, const struct post_view *view)
{
	const struct feed_ask *ask = paging->ask;
	struct people *people = paging->read->params.people;

	if (!ask->author && !ask->is_direct &&
	    (view->share == POST_HOSTED || social_read_is_request(view)))
		return false;
	if (view->kind != VISIBILITY_PUBLIC && view->share != POST_OWN &&
	    !(view->flags & POST_READABLE))
		return false;
	if (social_is_blocked(people, view->author))
		return false;
	return !ask->circle || social_circle_has(people, ask->circle, view->author);
}

static bool opened_fits(const struct paging *paging, const struct opened_post *opened)
{
	const struct feed_ask *ask = paging->ask;
	bool is_direct = opened->is != PRIVATE_POST;

	if (is_direct != ask->is_direct || opened->is >= PRIVATE_DELIVERED)
		return false;
	if (ask->is_unread && !opened->is_unread)
		return false;
	return social_feed_fits(paging->read, ask->filter, opened);
}

static void view_give(struct paging *paging, const struct post_view *view)
{
	struct opened_post *opened;

	paging->opened_cnt++;
	if (social_read_open(paging->read, view->id, &opened) < 0)
		return;
	if (opened_fits(paging, opened)) {
		paging->given_cnt++;
		paging->is_over = !paging->fn(paging->arg, opened);
	}
	social_opened_free(opened);
}

static bool view_look(void *arg, const struct post_view *view)
{
	struct paging *paging = arg;

	paging->read->stats.visited_cnt++;
	paging->has_last = true;
	paging->last.time_ms = view->time_ms;
	memcpy(paging->last.id, view->id, POST_ID_LEN);
	if (may_fit(paging, view))
		view_give(paging, view);
	return !paging->is_over && paging->given_cnt < paging->ask->limit &&
	       paging->opened_cnt < FEED_OPENS_MAX;
}

int social_feed_page(struct social_read *read, const struct feed_ask *ask, feed_fn fn, void *arg,
		     struct post_cursor *out_next)
{
	struct paging paging = {.read = read, .ask = ask, .fn = fn, .arg = arg};
	const struct post_walk walk = {
		.from = ask->from,
		.author = ask->author,
		.flags_all = (uint16_t)((ask->is_mention ? POST_MENTIONS_ME : 0) |
					(ask->is_direct ? POST_DIRECT : 0)),
		.flags_none = (uint16_t)(POST_HIDDEN | POST_SUPERSEDED |
					 (ask->is_unread ? POST_READ : 0) |
					 (ask->is_direct ? 0 : POST_DIRECT)),
		.visit_max = FEED_VISITS_MAX,
	};
	int more = social_posts_walk(read->params.posts, &walk, view_look, &paging, out_next);

	read->stats.page_cnt++;
	/* Behind a walk that was ended here, the next one begins behind the post that ended it. */
	if (more > 0 && paging.has_last &&
	    (paging.is_over || paging.given_cnt >= ask->limit ||
	     paging.opened_cnt >= FEED_OPENS_MAX))
		*out_next = paging.last;
	return more;
}

/* --- as it comes --- */

int social_feed_watch(struct social_read *read, struct feed_watch *watch)
{
	list_init(&watch->node);
	if (read->stats.watch_cnt == FEED_WATCHES_MAX)
		return WEFT_EFULL;
	read->stats.watch_cnt++;
	list_push_back(&read->feed_watches, &watch->node);
	return 0;
}

void social_feed_unwatch(struct social_read *read, struct feed_watch *watch)
{
	if (list_is_empty(&watch->node))
		return;
	read->stats.watch_cnt--;
	list_unlink(&watch->node);
}
