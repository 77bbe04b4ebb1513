/* SPDX-License-Identifier: Apache-2.0 */
/* ReadFeed, WatchFeed, AddFeed, RemoveFeed, ListFeeds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable_reply.h"
#include "api/social/method_post.h"
#include "social/people/circles.h"
#include "social/read/custom_feeds.h"
#include "social/social.h"

/* --- filters --- */

static void filter_fail(struct control_call *call, int err, const char *text)
{
	static const struct control_failure_row rows[] = {
		{WEFT_ETOOLARGE, "it has more than 512 bytes or 16 terms", "leave some out"},
		{WEFT_EABSENT, "no term is in it", "for example: from:ann has:attachment"},
		{WEFT_EMALFORMED, "it is not UTF-8, or has an is: or has: that is none",
		 "weft help feed new lists them"},
		{0, NULL, "try again"},
	};

	control_fail_of(call, err, text, rows);
}

/* false: call was failed. */
static bool filter_read(struct control_call *call, const char *text, struct feed_filter *out_filter)
{
	const char *bad = NULL;
	int err = social_filter_parse(text, strlen(text), out_filter, &bad);

	if (err < 0)
		filter_fail(call, err, bad ? bad : "filter");
	return err == 0;
}

static void feed_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is no feed of that name", "weft feed list shows them"},
		{WEFT_EFULL, "there are 256 feeds, as many as may be", "weft feed drop NAME"},
		{WEFT_EMALFORMED, "a name has 1 to 64 bytes and no control characters",
		 "give another"},
		{0, NULL, "see that the state directory can be written, and try again"},
	};

	control_fail_of(call, err, name, rows);
}

/*
 * filters_join: the filter of a feed and that of the call, as one text; empty: there is neither. false:
 * call was failed.
 */
#define FILTERS_CAP (2 * FILTER_LEN_MAX + 2)
struct feed_names_asked {
	const char *feed, *filter; /* or NULL */
};
static bool filters_join(struct social_read *read, struct control_call *call,
			 const struct feed_names_asked *asked, char text[static FILTERS_CAP])
{
	struct custom_feed kept = {.filter = ""};
	const char *filter = asked->filter ? asked->filter : "";
	int err;

	if (asked->feed && (err = social_feeds_find(read, asked->feed, &kept)) < 0) {
		feed_fail(call, err, asked->feed);
		return false;
	}
	if (strlen(filter) > FILTER_LEN_MAX) {
		filter_fail(call, WEFT_ETOOLARGE, "filter");
		return false;
	}
	snprintf(text, FILTERS_CAP, "%s%s%s", kept.filter, kept.filter[0] ? " " : "", filter);
	return true;
}

/* --- pages --- */

/* What a call of ReadFeed asks for. */
struct feed_reading {
	struct api *api;
	struct control_call *call;
	struct social_read *read;
	struct api_social_post_list posts;
	size_t len;
	bool marks;
	uint64_t now_ns;
	struct post_cursor cursor;
	uint8_t author[NODE_KEY_LEN];
	struct circle_view circle;
	struct feed_filter filter;
	struct feed_ask ask;
};

/* A reply of the control socket has 1 MiB at most. */
#define PAGE_LEN_MAX (640u * 1024)

static bool post_add(void *arg, const struct opened_post *opened)
{
	struct feed_reading *reading = arg;
	struct varlink_blocks *blocks = control_blocks(reading->call);

	varlink_push(blocks, &reading->posts, api_social_post(reading->api, blocks, opened));
	reading->len += 2 * opened->text_len + 1024;
	if (reading->marks)
		social_read_shown(reading->read, opened, reading->now_ns);
	return reading->len < PAGE_LEN_MAX;
}

static bool circle_read(struct feed_reading *reading, const char *name)
{
	struct people *people = social_people(reading->api->social);

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (social_circle_find(people, i, name, &reading->circle)) {
			reading->ask.circle = reading->circle.id;
			return true;
		}
	control_fail(reading->call, WEFT_EABSENT, name, "there is no circle of that name",
		     "weft circle list shows them");
	return false;
}

static bool ask_read(struct feed_reading *reading, const struct api_read_feed_in *in)
{
	struct feed_ask *ask = &reading->ask;

	ask->is_unread = in->has_unread && in->unread;
	ask->is_mention = in->has_mentioned && in->mentioned;
	reading->marks = in->has_mark && in->mark;
	if (!api_post_limit_read(reading->call, in->has_limit, in->limit, &ask->limit) ||
	    (in->cursor && !api_post_cursor_read(reading->call, in->cursor, &reading->cursor)) ||
	    (in->author &&
	     !api_post_person_read(reading->api, reading->call, in->author, reading->author)) ||
	    (in->circle && !circle_read(reading, in->circle)))
		return false;
	ask->from = in->cursor ? &reading->cursor : NULL;
	ask->author = in->author ? reading->author : NULL;
	return true;
}

static bool filter_set(struct feed_reading *reading, const struct api_read_feed_in *in)
{
	const struct feed_names_asked asked = {in->feed, in->filter};
	char text[FILTERS_CAP];

	if (!filters_join(reading->read, reading->call, &asked, text))
		return false;
	if (!text[0])
		return true;
	reading->ask.filter = &reading->filter;
	return filter_read(reading->call, text, &reading->filter);
}

void api_read_feed(struct api *api, struct control_call *call, const struct api_read_feed_in *in,
		   uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct feed_reading reading = {.api = api, .call = call, .read = read, .now_ns = now_ns};
	struct post_cursor next;
	int more;

	if (!read || !ask_read(&reading, in) || !filter_set(&reading, in))
		return;
	more = social_feed_page(read, &reading.ask, post_add, &reading, &next);
	if (more < 0)
		control_fail(call, more, "feed", weft_err_text(more),
			     "weft store check says whether the store is sound");
	else
		api_reply(call, read_feed, .posts = reading.posts,
			  .cursor = more ? api_post_cursor(control_blocks(call), &next) : NULL);
}

/* --- as they come --- */

/* Bytes that may wait for a program before posts are left out; a connection takes 1 MiB. */
#define BACKLOG_MAX ((size_t)256 * 1024)

struct feed_watching {
	struct api *api;
	struct control_call *call;
	struct feed_watch watch;
	struct feed_filter filter;
	uint64_t lost_cnt; /* not reported yet */
};

static void watching_gone(void *arg)
{
	struct feed_watching *watching = arg;

	if (watching->api->social)
		social_feed_unwatch(social_read_of(watching->api->social), &watching->watch);
	free(watching);
}

static bool on_post(void *arg, const struct opened_post *opened)
{
	struct feed_watching *watching = arg;
	struct api_social_post row;

	if (control_backlog_len(watching->call) >= BACKLOG_MAX) {
		watching->lost_cnt++;
		return true;
	}
	row = api_social_post(watching->api, control_blocks(watching->call), opened);
	api_reply_more(watching->call, watch_feed, .post = &row,
		       .lost = api_uint(watching->lost_cnt));
	watching->lost_cnt = 0;
	return true;
}

/* NULL: call was failed. A filter points into itself, so it is read where it stays. */
static struct feed_watching *watching_new(struct api *api, struct control_call *call,
					  const char *filter)
{
	struct feed_watching *watching = calloc(1, sizeof(*watching));

	if (!watching) {
		control_fail(call, -ENOMEM, "WatchFeed", "no memory", "free some and try again");
		return NULL;
	}
	watching->api = api;
	watching->call = call;
	watching->watch = (struct feed_watch){.fn = on_post, .arg = watching};
	if (!filter[0])
		return watching;
	watching->watch.filter = &watching->filter;
	if (filter_read(call, filter, &watching->filter))
		return watching;
	free(watching);
	return NULL;
}

void api_watch_feed(struct api *api, struct control_call *call, const struct api_watch_feed_in *in,
		    uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	const struct feed_names_asked asked = {in->feed, in->filter};
	struct feed_watching *watching;
	char filter[FILTERS_CAP];

	(void)now_ns;
	if (!read || !filters_join(read, call, &asked, filter))
		return;
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EREFUSED, "WatchFeed", "it answers only with more",
			     "varlinkctl call --more, or weft feed --watch");
		return;
	}
	if (!(watching = watching_new(api, call, filter)))
		return;
	if (social_feed_watch(read, &watching->watch) < 0) {
		free(watching);
		control_fail(call, WEFT_EFULL, "WatchFeed", "all 64 places for watches are taken",
			     "end another one first");
		return;
	}
	control_on_gone(call, watching_gone, watching);
	api_reply_more(call, watch_feed, .lost = 0);
}

/* --- feeds with a name --- */

void api_add_feed(struct api *api, struct control_call *call, const struct api_add_feed_in *in,
		  uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct api_durable_reply *waiting;
	struct custom_feed feed = {.made_ms = api->wall_us(api->ctx) / 1000};
	struct feed_filter filter;
	int err;

	(void)now_ns;
	if (!read || !filter_read(call, in->filter, &filter))
		return;
	if (strlen(in->name) > CUSTOM_FEED_NAME_MAX) {
		feed_fail(call, WEFT_EMALFORMED, "feed");
		return;
	}
	strcpy(feed.name, in->name);
	strcpy(feed.filter, in->filter);
	waiting = api_durable_reply_new(call, "feed", "weft feed new NAME FILTER", NULL);
	if (!waiting)
		return;
	err = social_feeds_put(read, &feed,
			       (struct post_change_done){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		feed_fail(call, err, in->name);
	}
}

void api_remove_feed(struct api *api, struct control_call *call,
		     const struct api_remove_feed_in *in, uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct api_durable_reply *waiting;
	int err;

	(void)now_ns;
	if (!read)
		return;
	waiting = api_durable_reply_new(call, "feed", "weft feed drop NAME", NULL);
	if (!waiting)
		return;
	err = social_feeds_remove(read, in->name,
				  (struct post_change_done){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		feed_fail(call, err, in->name);
	}
}

struct feed_listing {
	struct varlink_blocks *blocks;
	struct api_social_feed_list feeds;
};

static void feed_add(void *arg, const struct custom_feed *feed)
{
	struct feed_listing *listing = arg;

	varlink_push(listing->blocks, &listing->feeds,
		     {varlink_text(listing->blocks, feed->name),
		      varlink_text(listing->blocks, feed->filter), api_uint(feed->made_ms / 1000)});
}

void api_list_feeds(struct api *api, struct control_call *call, const struct api_list_feeds_in *in,
		    uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct feed_listing listing = {.blocks = control_blocks(call)};
	int err;

	(void)in, (void)now_ns;
	if (!read)
		return;
	if ((err = social_feeds_each(read, feed_add, &listing)) < 0)
		feed_fail(call, err, "feeds");
	else
		api_reply(call, list_feeds, .feeds = listing.feeds);
}
