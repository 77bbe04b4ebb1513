/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_KEEP_POST_STORE_H
#define WEFT_SOCIAL_KEEP_POST_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/figure.h"
#include "base/list.h"
#include "social/keep/post_index.h"
#include "social/object/post_judge.h"

struct social_ground;

/*
 * The posts that a node keeps (docs/social.md), durably: their bytes, whose room they take, and marks.
 *
 *	put -> room -> batch -> durable -> in the order of all, and said to the watches
 *
 *	post_store.c	life, what is asked		post_entries.c	by id; authors; editions
 *	post_change.c	put, readers, deletion, marks	post_commit.c	batches
 *	post_room.c	shares and the quota		post_record.c	rows of the database
 *	post_load.c	the start, and year-old marks	post_walk.c	pages of a feed
 *	post_audience.c	equal sets of readers, once
 *
 * A post that is put is in the order of all (social_posts_index) when it is durable, and leaves it at
 * once. New readers of a post count at once as well: until they are durable its bytes are not given.
 *
 * Tables, and what fills them:
 *
 *	own	  this node, as far as there is room
 *	wanted	  people that are followed, up to post_cap posts and room_len bytes. Then the author with
 *		  most posts loses the oldest one, or is refused.
 *	addressed unknown people that write to a person of this node: POSTS_ADDRESSED_LEN, shared fairly by
 *		  network, then author
 *	hosted	  kept for others: quota_factor times the bytes of the own ones, and at most a quarter of
 *		  room_len; shared likewise
 *	pinned	  by the person at this node, of any share but own: nothing of other shares, and none gives
 *		  way. Half of the places of wanted posts, and room_len bytes, at most; one more is refused.
 *	deletions POSTS_GONE_MAX, kept for a year. An author has at most as many as are free.
 *
 * What gives way is gone without a mark, and may come again. Home worker only; nothing blocks.
 * Memory: at most 200 bytes a post (docs/performance.md).
 */
struct post_store;

#define POSTS_ADDRESSED_LEN (16ull << 20)
#define POSTS_GONE_MAX	    (64u << 10)
#define POSTS_MIN	    1024u	  /* of post_cap, */
#define POSTS_ROOM_MIN	    (16ull << 20) /* and of room_len */
#define POSTS_GONE_MS	    (365ull * 24 * 3600 * 1000)
#define POSTS_EDITIONS_MAX  1024u /* of a logical id: shards of a large group among them */

struct posts_config {
	uint32_t post_cap; /* posts of all shares together */
	uint64_t room_len; /* bytes of wanted posts; a quarter of it is as much as is ever hosted */
	uint32_t quota_factor;
};
void social_posts_config_defaults(struct posts_config *config);
/* social_posts_footprint: bytes that social_posts_open lays out, touched as they are used. */
size_t social_posts_footprint(const struct posts_config *config);

struct post_store_params {
	struct posts_config config;
	const struct social_ground *ground; /* borrowed until social_posts_close */
	/* key is a person of this node: deletions by such are never refused a place; NULL: none is */
	bool (*is_own)(void *ctx, const uint8_t *key);
	void *ctx;
	uint64_t now_ns;
};
/*
 * social_posts_open reads what is durable: 0 or a negative code. social_posts_stop writes what waits,
 * and calls nothing any more. social_posts_close frees. Both take NULL.
 */
WEFT_MUST_CHECK
int social_posts_open(const struct post_store_params *params, struct post_store **out_posts);
void social_posts_stop(struct post_store *posts);
void social_posts_close(struct post_store *posts);

/* --- one post --- */

enum post_share {
	POST_OWN,	/* by a person of this node */
	POST_WANTED,	/* by one that is followed, or of a group of this node */
	POST_ADDRESSED, /* by an unknown person, for a person of this node */
	POST_HOSTED,	/* for others */
	POST_SHARE_CNT,
};

/* Marks, and what is known of a post without its bytes. */
enum post_flag {
	POST_READ = 0x1,
	POST_PINNED = 0x2,	/* takes nothing of the quota */
	POST_READABLE = 0x4,	/* this node opens it */
	POST_MENTIONS_ME = 0x8, /* a person of this node */
	POST_DIRECT = 0x10,	/* a direct message */
	POST_HIDDEN = 0x20,	/* by a moderator of its group */
	POST_FORKED = 0x40,	/* the own copy of another's post */
	POST_FETCHED_BY_OTHERS = 0x80,
	/* Set here alone. */
	POST_SUPERSEDED = 0x100, /* another edition is the one to show */
	POST_ATTACHED = 0x200,	 /* it has attachments */
	POST_REPLY = 0x400,	 /* it has a parent */
};
#define POST_MARKS 0xffu /* those that social_posts_mark changes */

/* Further bits of the flags of a post_row. */
#define POST_ROW_SHARE_SHIFT 12u
#define POST_ROW_KIND_SHIFT  14u
static inline enum post_share social_row_share(const struct post_row *row)
{
	return row->flags >> POST_ROW_SHARE_SHIFT & 3u;
}
static inline enum visibility_kind social_row_kind(const struct post_row *row)
{
	return row->flags >> POST_ROW_KIND_SHIFT & 3u;
}

struct post_view {
	uint8_t id[POST_ID_LEN];
	uint8_t author[NODE_KEY_LEN];
	uint64_t time_ms; /* the author's word */
	uint8_t logical_id[POST_LOGICAL_ID_LEN];
	bool has_parent;
	uint8_t parent[POST_ID_LEN];
	enum post_share share;
	enum visibility_kind kind;
	uint8_t group[32]; /* of VISIBILITY_GROUP, as is epoch */
	uint64_t epoch;
	uint64_t visibility_number;
	uint16_t flags; /* enum post_flag */
	uint32_t post_len, claim_len, visibility_len;
	bool has_successor; /* POST_SUPERSEDED */
	uint8_t superseded_by[POST_ID_LEN];
};

enum post_known { POST_ABSENT, POST_HELD, POST_GONE };
/* social_posts_known: held also while it is not durable yet. */
enum post_known social_posts_known(const struct post_store *posts,
				   const uint8_t id[static POST_ID_LEN]);
/* social_posts_look: 0, WEFT_EABSENT (gone, or not durable yet), WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_posts_look(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
		      struct post_view *out_view);
/*
 * social_posts_read copies the bytes of a post, which the caller frees: 0, WEFT_EABSENT, WEFT_EBUSY
 * (its readers are changing: ask again), WEFT_EDAMAGED or -errno.
 */
struct post_copy {
	struct post_parts parts; /* within this allocation */
	uint8_t bytes[];
};
WEFT_MUST_CHECK
int social_posts_read(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
		      struct post_copy **out_copy);
void social_post_copy_free(struct post_copy *copy);
/* social_posts_deletion copies how a post was deleted: 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_posts_deletion(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			  struct writer *out);
/*
 * social_posts_edition: the edition to show of what author wrote under logical_id: one that no other
 * takes the place of, this node opens, is the latest. 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int social_posts_edition(const struct post_store *posts, const uint8_t author[static NODE_KEY_LEN],
			 const uint8_t logical_id[static POST_LOGICAL_ID_LEN],
			 uint8_t out_id[static POST_ID_LEN]);

/* social_posts_editions: all of what author wrote under logical_id that is here, in no order. */
struct post_editions {
	unsigned cnt;
	uint8_t ids[POSTS_EDITIONS_MAX][POST_ID_LEN];
};
void social_posts_editions(const struct post_store *posts,
			   const uint8_t author[static NODE_KEY_LEN],
			   const uint8_t logical_id[static POST_LOGICAL_ID_LEN],
			   struct post_editions *out_editions);

/* --- changes; done (may be NULL) is called once if the call returned 0: durable, or an error --- */

struct post_put {
	struct post_parts parts;
	const struct judged_post *judged; /* of parts */
	enum post_share share;
	uint16_t marks;	       /* POST_MARKS */
	struct addr source;    /* of the node that brought it; of family ADDR_NONE: this one */
	enum fair_class class; /* what that node is to this one */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * social_posts_put: 0, or:
 *   WEFT_EEXISTS  it is here
 *   WEFT_EREFUSED its author deleted it before
 *   WEFT_EFULL    its share has no room for it
 *   WEFT_EBUSY    the disk does not keep up
 */
WEFT_MUST_CHECK
int social_posts_put(struct post_store *posts, const struct post_put *put, uint64_t now_ns);

struct post_change_done {
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * social_posts_set_visibility: bytes were verified as visibility, and are of the post's author. 0, or:
 *   WEFT_EABSENT the post is not here
 *   WEFT_ESTALE  its number is not above that of the one held
 *   WEFT_EFULL   its share has no room for it
 *   WEFT_EBUSY   the post is not durable yet, or the disk does not keep up
 */
struct post_readers {
	const struct visibility *visibility;
	const uint8_t *bytes;
	size_t len;
	uint16_t marks; /* POST_READABLE, POST_DIRECT: as they are with these readers */
};
WEFT_MUST_CHECK
int social_posts_set_visibility(struct post_store *posts, const struct post_readers *readers,
				struct post_change_done done, uint64_t now_ns);
/*
 * social_posts_remove: the author of deletion, which was verified, is that of the post, if it is held. The
 * deletion stays for a year, and the post does not come again. 0, WEFT_EEXISTS (it is deleted),
 * WEFT_EREFUSED (of another author), WEFT_EFULL (too many of one author that were never held) or WEFT_EBUSY.
 */
struct post_removal {
	const struct post_deletion *deletion;
	const uint8_t *bytes;
	size_t len;
};
WEFT_MUST_CHECK
int social_posts_remove(struct post_store *posts, const struct post_removal *removal,
			struct post_change_done done, uint64_t now_ns);
/* social_posts_forget drops a copy without a mark: 0, WEFT_EABSENT or WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_posts_forget(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			uint64_t now_ns);
/*
 * social_posts_mark sets and clears POST_MARKS. 0, WEFT_EABSENT or WEFT_EBUSY. WEFT_EFULL: too much is
 * pinned; or it was pinned, and there is no room for it in the share that it is of.
 */
struct post_marking {
	const uint8_t *id; /* POST_ID_LEN */
	uint16_t set, clear;
};
WEFT_MUST_CHECK
int social_posts_mark(struct post_store *posts, const struct post_marking *marking,
		      struct post_change_done done, uint64_t now_ns);
/* social_posts_set_share: its author is followed now, for one. 0, WEFT_EABSENT, WEFT_EFULL or WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_posts_set_share(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
			   enum post_share share, uint64_t now_ns);

/* --- many --- */

struct post_cursor {
	uint64_t time_ms;
	uint8_t id[POST_ID_LEN];
};
/*
 * social_posts_walk calls fn, which changes nothing, with posts until it returns false. They come newest
 * first; those with a parent, its replies, come oldest first. At most visit_max posts are looked at, the
 * others among them (0: POST_VISITS_MAX).
 * Returns 1 with *out_next where to go on, 0 when that was all, or WEFT_EDAMAGED or -errno.
 */
#define POST_VISITS_MAX 65536u /* 1.4 ms, measured (docs/performance.md) */
struct post_walk {
	const struct post_cursor *from; /* behind this one; NULL: from the first */
	const uint8_t *author, *parent; /* of one alone, or NULL; not both */
	uint16_t flags_all, flags_none; /* enum post_flag */
	uint32_t visit_max;
};
typedef bool (*post_walk_fn)(void *arg, const struct post_view *view);
WEFT_MUST_CHECK
int social_posts_walk(struct post_store *posts, const struct post_walk *walk, post_walk_fn fn,
		      void *arg, struct post_cursor *out_next);

/* social_posts_index: all that is durable, in order; valid until the next change. */
const struct post_index *social_posts_index(const struct post_store *posts);
/* social_posts_author: the key of a row's author. */
const uint8_t *social_posts_author(const struct post_store *posts, const struct post_row *row);
/* social_posts_author_number: what rows of author have as such; 0: there is none. */
uint32_t social_posts_author_number(const struct post_store *posts,
				    const uint8_t author[static NODE_KEY_LEN]);
/*
 * social_posts_audience: what the readers of row are to key. Rows with one number of an audience have
 * equal readers, so a caller may remember the answer. With POST_AUDIENCE_OTHER each row costs a look
 * into the database. What is given at last is for post_filter.h to say, of the post's visibility.
 * 0, WEFT_EDAMAGED or -errno.
 */
#define POST_AUDIENCE_PUBLIC 0u
#define POST_AUDIENCE_OTHER  UINT16_MAX
struct post_audience {
	enum visibility_kind kind;
	bool is_reader; /* of VISIBILITY_RECIPIENTS */
	uint8_t group[32];
	uint64_t epoch;
};
WEFT_MUST_CHECK
int social_posts_audience(struct post_store *posts, const struct post_row *row,
			  const uint8_t key[static NODE_KEY_LEN],
			  struct post_audience *out_audience);
/*
 * social_posts_each_attachment calls fn with the ids of what each post refers to that is held, until it
 * returns false. Returns whether all were given. None is while a post of this node's person is on
 * its way to the disk. Its attachments are here already, and no order names it yet.
 */
bool social_posts_each_attachment(struct post_store *posts,
				  bool (*fn)(void *arg, const uint8_t *post, const uint8_t *ids,
					     size_t ids_len),
				  void *arg);

/* --- watches --- */

enum post_moved { POST_MOVED_PUT, POST_MOVED_VISIBILITY, POST_MOVED_GONE, POST_MOVED_MARK };
/* moved is called when the change is durable; view is borrowed. It may call functions of this header. */
struct post_watch {
	struct list_node node;
	void (*moved)(void *ctx, enum post_moved what, const struct post_view *view,
		      uint64_t now_ns);
	void *ctx;
};
void social_posts_watch(struct post_store *posts, struct post_watch *watch);
void social_posts_unwatch(struct post_watch *watch);

/* --- figures --- */

struct post_quota {
	uint64_t own_len, wanted_len, addressed_len, hosted_len, pinned_len; /* bytes */
	uint64_t hosted_max; /* by the factor, and the room */
	uint32_t own_cnt, wanted_cnt, addressed_cnt, hosted_cnt, pinned_cnt;
};
void social_posts_quota(const struct post_store *posts, struct post_quota *out_quota);
struct posts_stats {
#define FIGURE FIGURE_FIELD
#include "social/keep/posts_counters.def"
};
void social_posts_stats(const struct post_store *posts, struct posts_stats *out_stats);
/* social_posts_{hosted,addressed}_view: by the class of the nodes that brought them. */
void social_posts_hosted_view(const struct post_store *posts, struct fair_view *out);
void social_posts_addressed_view(const struct post_store *posts, struct fair_view *out);

#endif
