/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_READ_SOCIAL_READ_H
#define WEFT_SOCIAL_READ_SOCIAL_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "social/keep/post_store.h"
#include "social/object/private_text.h"
#include "social/read/feed_filter.h"
#include "social/seal/content_key.h"

struct people;
struct social_ground;

/*
 * What people of this node read: posts of the store, opened with the keys of its personas and of its
 * groups. Reading asks no other node.
 *
 *	social_read.c	life; opening a post; what is new		post_open.c  the key of a post
 *	feed_page.c	pages of a feed, the newest first		feed_filter.c	what fits
 *	post_thread.c	a post, what it replies to and its replies
 *	direct_list.c	direct messages by their parties		custom_feeds.c	feeds with a name
 *	person_names.c	people by their names
 *
 * A table is filled by what this node reads alone: READ_KEYS content keys, of which the longest
 * unused one of a place gives way. It saves the agreement of keys, 0.1 ms a post.
 *
 * Home worker only; nothing blocks.
 */
struct social_read;

/* The secret keys of groups. NULL: this node is in none. */
struct read_group_ways {
	/* what opens a wrap for of, until the next call; NULL: this node has it not */
	const struct node_key *(*key)(void *ctx, const struct visibility_group *of);
	void *ctx;
};
/* All borrowed until social_read_free. */
struct social_read_params {
	const struct social_ground *ground;
	struct post_store *posts;
	struct people *people;
	struct read_group_ways groups;
	uint64_t now_ns;
};
WEFT_MUST_CHECK
int social_read_new(const struct social_read_params *params, struct social_read **out_read);
void social_read_free(struct social_read *read);

/* --- a post --- */

struct opened_post {
	struct post_view view;
	struct post_copy *copy; /* its bytes, which post borrows */
	struct post post;
	enum private_kind is; /* of a private one; PRIVATE_POST also of a public one */
	const char *text;     /* as it was typed, with a NUL behind */
	size_t text_len;
	bool is_own, is_unread, is_edited;
	uint8_t content_key[CONTENT_KEY_LEN]; /* of a private one */
	char *said;			      /* text is in it */
	size_t said_len;
};
/*
 * social_read_open: 0; the caller frees it. Or:
 *   WEFT_EABSENT   it is not here
 *   WEFT_EREFUSED  it is for others
 *   WEFT_EBUSY     its readers are changing: ask again
 *   WEFT_EDAMAGED, WEFT_EMALFORMED  its author sealed it wrongly
 *   -ENOMEM, -errno
 */
WEFT_MUST_CHECK
int social_read_open(struct social_read *read, const uint8_t id[static POST_ID_LEN],
		     struct opened_post **out_opened);
void social_opened_free(struct opened_post *opened);
/* social_read_latest: the id of the edition that is shown of a post; its own where it is not superseded. */
WEFT_MUST_CHECK
int social_read_latest(struct social_read *read, const uint8_t id[static POST_ID_LEN],
		       uint8_t out_id[static POST_ID_LEN]);
/*
 * social_read_visibility gives the readers of an opened post, for the caller to free. 0, WEFT_EMALFORMED or
 * -ENOMEM. The signature was verified when the post came.
 */
WEFT_MUST_CHECK
int social_read_visibility(const struct opened_post *opened, struct visibility **out_visibility);

/*
 * social_read_name: the person with that key, or called so here, or calling itself so, with or without an @.
 * 0, WEFT_EABSENT or WEFT_EEXISTS (several are called so).
 */
WEFT_MUST_CHECK
int social_read_name(struct social_read *read, const char *name, size_t len,
		     uint8_t out_key[static NODE_KEY_LEN]);

/* social_read_called: as the person at this node calls the person of key; "": not at all. Borrowed. */
const char *social_read_called(struct social_read *read, const uint8_t key[static NODE_KEY_LEN]);

/* --- feeds --- */

#define FEED_PAGE_MAX	200u
#define FEED_VISITS_MAX 4096u /* posts that one page looks at */
#define FEED_OPENS_MAX	512u  /* of them, posts that are opened */

/* A page of posts, the newest first by their authors' time, then by id. */
struct feed_ask {
	const struct post_cursor *from; /* behind this one; NULL: from the newest */
	unsigned limit;			/* 1 to FEED_PAGE_MAX */
	const uint8_t *author;		/* of one alone, or NULL */
	const uint8_t *circle; /* of members of that circle alone: SOCIAL_CIRCLE_ID_LEN, or NULL */
	bool is_unread, is_mention;
	bool is_direct;			  /* direct messages, and nothing else */
	const struct feed_filter *filter; /* or NULL */
};
typedef bool (*feed_fn)(void *arg, const struct opened_post *opened);
/*
 * social_feed_page calls fn with posts until it returns false, there are limit of them, or enough was looked
 * at. 1 with *out_next, where the next page begins, which may have more; 0 at the end; or WEFT_EDAMAGED,
 * -ENOMEM or -errno.
 */
WEFT_MUST_CHECK
int social_feed_page(struct social_read *read, const struct feed_ask *ask, feed_fn fn, void *arg,
		     struct post_cursor *out_next);

/* A caller that wants each new post as it comes. The last ones beyond FEED_WATCHES_MAX are refused. */
#define FEED_WATCHES_MAX 64u
struct feed_watch {
	struct list_node node;		  /* of the reader, from watch to unwatch */
	const struct feed_filter *filter; /* or NULL; borrowed until unwatch */
	feed_fn fn;			  /* what it returns is not looked at */
	void *arg;
};
WEFT_MUST_CHECK
int social_feed_watch(struct social_read *read, struct feed_watch *watch);
void social_feed_unwatch(struct social_read *read, struct feed_watch *watch);

/*
 * social_thread_each calls fn with the first post of a thread that is here, and with the replies to it. A
 * reply comes behind what it replies to, the oldest first; depth is from 0.
 */
#define THREAD_POSTS_MAX 500u
#define THREAD_DEPTH_MAX 32u
typedef bool (*thread_fn)(void *arg, const struct opened_post *opened, unsigned depth);
WEFT_MUST_CHECK
int social_thread_each(struct social_read *read, const uint8_t id[static POST_ID_LEN], thread_fn fn,
		       void *arg);

/* --- direct messages --- */

/* The parties of a message, its author among them: one thread for each set. */
#define DIRECT_PARTIES_MAX (VISIBILITY_RECIPIENTS_MAX + 1)
struct direct_parties {
	unsigned cnt;
	uint8_t keys[DIRECT_PARTIES_MAX][NODE_KEY_LEN]; /* ascending */
};
/* A thread, by its newest message. */
typedef bool (*direct_fn)(void *arg, const struct direct_parties *parties,
			  const struct opened_post *newest, unsigned unread_cnt);
/*
 * social_directs_each calls fn with each thread among the messages behind from, the one with the newest
 * message first. As social_feed_page.
 */
#define DIRECT_VISITS_MAX  1024u
#define DIRECT_THREADS_MAX 128u
WEFT_MUST_CHECK
int social_directs_each(struct social_read *read, const struct post_cursor *from, direct_fn fn,
			void *arg, struct post_cursor *out_next);
/* social_direct_page: messages of one thread, the newest first. */
struct direct_ask {
	const struct post_cursor *from;
	unsigned limit;
	const struct direct_parties *parties; /* sorted by social_direct_sort */
};
WEFT_MUST_CHECK
int social_direct_page(struct social_read *read, const struct direct_ask *ask, feed_fn fn,
		       void *arg, struct post_cursor *out_next);
/* social_direct_sort puts keys in order, each once. */
void social_direct_sort(struct direct_parties *parties);
/* social_receipts_each: the people that say to have a message of this node, or to have read it. */
void social_receipts_each(struct social_read *read, const uint8_t message[static POST_ID_LEN],
			  void (*fn)(void *arg, const uint8_t *person, bool is_read), void *arg);

/*
 * social_read_receipts: give is called when a direct message came, and when it was read. Its author is
 * followed, and wants receipts. NULL: this node gives none.
 */
struct receipt_ways {
	void (*give)(void *ctx, const struct opened_post *message, bool is_read, uint64_t now_ns);
	void *ctx;
};
void social_read_receipts(struct social_read *read, const struct receipt_ways *ways);
/*
 * social_read_shown: an opened post was shown to a person, so it is read from now on. social_read_mark says
 * so of any post, or that it is unread again: as social_posts_mark.
 */
void social_read_shown(struct social_read *read, const struct opened_post *opened, uint64_t now_ns);
WEFT_MUST_CHECK
int social_read_mark(struct social_read *read, const uint8_t id[static POST_ID_LEN], bool is_read,
		     struct post_change_done done, uint64_t now_ns);

struct social_read_stats {
#define FIGURE FIGURE_FIELD
#include "social/read/social_read_counters.def"
};
void social_read_stats(const struct social_read *read, struct social_read_stats *out_stats);

#endif
