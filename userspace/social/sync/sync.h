/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_SYNC_H
#define WEFT_SOCIAL_SYNC_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "social/ground/social_ground.h"
#include "social/intake/post_intake.h"
#include "social/sync/sync_message.h"

struct node_key;

/*
 * What two nodes have for each other: messages 600 to 606 (docs/wire/social.md). A node pulls from
 * people that it follows, from its followers and from anchors. It does so when a session with them
 * begins, and each few minutes after that:
 *
 *	HELLO greet	the own follows, to a peer that this node chose	-> its follows, its profiles
 *	HELLO ranges	what I hold of what both may have, as hashes		-> the next hashes, or ids
 *	POST_GET	those that I lack					-> posts, to intake/
 *
 *	sync_answer.c	the answerer's side of 600 and 602
 *	sync_pull.c	the asker's side; sync_start.c begins it, sync_wanted.c has what is to be fetched
 *	sync_news.c	what is new goes to sessions at once: 601 as a request, 604 to 606
 *	sync_peers.c	what peers say of themselves, for their session alone: follows, proofs
 *	sync_audience.c	which posts a peer may have (post_filter.h), and which count in a comparison
 *	sync_cut.c	what is on its way to a reader that was taken off
 *	sync_literal.c	the literal interface, distsoc/sync/4; sync_json.c its messages
 *
 * A post that a peer may not have is for it as if it were not there. No answer differs by it, in its
 * bytes or in the time that it takes.
 *
 * A post that is not public is first noted on the disk as given to the peer, and goes out then. So no plan
 * takes it for a post that the reader never fetched.
 *
 * Tables, and what fills them:
 *
 *	peers	SYNC_UNITS_MAX units of SYNC_UNIT_FOLLOWS keys, and one for the peer: any peer that
 *		asks. Shares are those of its class, network, address and key. Where the account that
 *		has most loses a peer, that peer gets no public posts until it says its follows again.
 *	pages	SYNC_PAGES_MAX answers with posts on their way, by the dynamic threshold of fair.h
 *	pushes	SYNC_PUSHES_MAX under way, one for a peer, by network, address and key. A peer that does not
 *		answer keeps its own; where the account that has most loses one, its pull finds what it had.
 *	work	requests of a key and of its network in a minute (base/fair/request_quota.h)
 *	pulls	SYNC_PULLS_MAX under way; half of them are for chosen peers and for orders of the owner
 *		alone. A pull asks nothing more after SYNC_PULL_NS.
 *	notes	of posts that peers have or lack, half for chosen ones: 2 MiB, touched as used
 *	refused	SYNC_REFUSED_MAX posts that are not asked for again for an hour. It is a day where people do
 *		not want their author. The oldest is forgotten.
 *
 * Home worker only; nothing blocks. A peer without a session is never asked, so no key is looked for.
 */
struct sync;

#define SYNC_UNITS_MAX	  4096u
#define SYNC_UNIT_FOLLOWS 128u
#define SYNC_PAGES_MAX	  16u
#define SYNC_REFUSED_MAX  4096u

struct sync_config {
	uint64_t every_ns;
};
void social_sync_config_defaults(struct sync_config *config);

/* A post that is held; borrowed from read until release. */
struct sync_copy {
	struct sync_bytes post, claim, visibility;
	void *owner;
};

/*
 * Posts that are not public are about to go to the node of person; borrowed for the call. done is
 * called once, also inside it, when that is on the disk.
 */
#define SYNC_GIVE_MAX 256u
struct sync_give {
	const uint8_t *person;
	const uint8_t (*posts)[POST_ID_LEN];
	unsigned post_cnt; /* at most SYNC_GIVE_MAX */
	void (*done)(void *arg, int err);
	void *arg;
};

/* What came from a peer; borrowed for the call. done is called once, also inside it; NULL: not wanted. */
struct sync_take {
	struct sync_bytes post, claim, visibility; /* or one object, in post */
	const uint8_t *from;			   /* the key of the session */
	intake_done_fn done;
	void *arg;
};

#define SYNC_AUDIENCE_PUBLIC 0u
#define SYNC_AUDIENCE_OTHER  UINT16_MAX
struct sync_readers {
	enum visibility_kind kind;
	bool is_reader;	   /* of VISIBILITY_RECIPIENTS */
	uint8_t group[32]; /* of VISIBILITY_GROUP */
	uint64_t epoch;
};

/* A secret key of a group's epoch, by which this node proves that it is in the group. */
struct sync_group_key {
	uint8_t group[32];
	uint64_t epoch;
	const struct node_key *key;
};

/*
 * What sync/ needs of the parts below it, as one table: social.c fills it, and tests have
 * posts in memory.
 */
struct sync_parts {
	const struct post_index *index; /* the posts held */
	const uint8_t *(*author)(void *ctx, const struct post_row *row);
	/*
	 * What the readers of a post are to key: 0 or a negative code. Rows with one number of an
	 * audience have the same readers, but for SYNC_AUDIENCE_OTHER.
	 */
	int (*readers)(void *ctx, const struct post_row *row,
		       const uint8_t key[static NODE_KEY_LEN], struct sync_readers *out);
	/* false: not held */
	bool (*row)(void *ctx, const uint8_t id[static POST_ID_LEN], struct post_row *out_row);
	bool (*read)(void *ctx, const uint8_t id[static POST_ID_LEN], struct sync_copy *out);
	void (*release)(void *ctx, struct sync_copy *copy);
	/* The deletion of a post that was here, and its author: its length, or 0. */
	size_t (*deletion)(void *ctx, const uint8_t id[static POST_ID_LEN],
			   uint8_t out[static SYNC_DELETION_LEN_MAX],
			   uint8_t out_author[static NODE_KEY_LEN]);

	/* followed, an anchor, or of a preferred slot: it hears what this node follows */
	bool (*is_chosen)(void *ctx, const uint8_t *key);
	/* chosen, a follower, or of a group of a person of this node: posts are asked of it */
	bool (*is_related)(void *ctx, const uint8_t *key);
	bool (*is_blocked)(void *ctx, const uint8_t *key);
	/*
	 * author is a persona of this node that is said to its anchors alone, and key is none: key gets
	 * nothing that it wrote. NULL: there is no such persona.
	 */
	bool (*is_hidden)(void *ctx, const uint8_t *author, const uint8_t *key);
	/* The keys followed, ascending, at most cap of them. */
	unsigned (*follows)(void *ctx, uint8_t (*keys)[NODE_KEY_LEN], unsigned cap);
	/* key has said in its HELLO that it follows these, ascending. */
	void (*followed)(void *ctx, const uint8_t *key, const uint8_t (*follows)[NODE_KEY_LEN],
			 unsigned cnt, uint64_t now_ns);
	/* The profiles of this node that reader may see, written into buf. */
	unsigned (*profiles)(void *ctx, const uint8_t *reader, struct writer *buf,
			     struct sync_bytes out[static SYNC_PROFILES_MAX]);
	/*
	 * The address records of this node, and of anchors that those profiles name, written into buf; how
	 * many. NULL: none go out. take_record: from gave one; NULL: none are kept.
	 */
	unsigned (*records)(void *ctx, const uint8_t *reader, struct writer *buf,
			    struct sync_bytes out[static SYNC_RECORDS_MAX]);
	void (*take_record)(void *ctx, const uint8_t *from, const struct sync_bytes *record,
			    uint64_t now_ns);
	/* The personas whose sessions are this node's, 0 first; NULL: no further one. */
	const struct node_key *(*persona)(void *ctx, unsigned idx);
	bool (*is_member)(void *ctx, const uint8_t group[static 32], uint64_t epoch,
			  const uint8_t *key);
	/* For a peer that is chosen. */
	unsigned (*group_keys)(void *ctx, struct sync_group_key out[static SYNC_PROOFS_MAX]);

	void (*take_post)(void *ctx, const struct sync_take *take, uint64_t now_ns);
	void (*take_visibility)(void *ctx, const struct sync_take *take, uint64_t now_ns);
	void (*take_deletion)(void *ctx, const struct sync_take *take, uint64_t now_ns);
	void (*take_profile)(void *ctx, const struct sync_take *take, uint64_t now_ns);
	/* 0, or a negative code, and done is not called. NULL: nothing is noted of what goes out. */
	int (*give)(void *ctx, const struct sync_give *give);
	/* A pull from key ended well, and its session is there; may be NULL. */
	void (*synced)(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
	/* key was given posts that it asked for; may be NULL. */
	void (*pulled)(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
	void *ctx;
};

struct sync_params {
	struct sync_config config;
	const struct social_ground *ground; /* borrowed, as is what parts has */
	struct sync_parts parts;
	uint64_t now_ns;
};
/* social_sync_open: 0 or a negative code. stop calls nothing any more; both take NULL. */
WEFT_MUST_CHECK
int social_sync_open(const struct sync_params *params, struct sync **out_sync);
void social_sync_stop(struct sync *sync);
void social_sync_close(struct sync *sync);
void social_sync_session_up(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			    uint64_t now_ns);

/*
 * social_sync_with pulls from a peer that has a session now. done (may be NULL) is called once when it
 * is over, if the call returned 0. Else:
 *   WEFT_EABSENT no session is there
 *   WEFT_EFULL   too many pulls are asked for
 */
struct sync_outcome {
	int err;
	unsigned new_cnt; /* posts and visibilities that are new here */
	unsigned sent_len, received_len;
};
struct sync_order {
	uint8_t key[MESH_KEY_LEN];
	/* Public posts of this author alone, of a peer that is not chosen; NULL: all that there is */
	const uint8_t *author;
	void (*done)(void *arg, const struct sync_outcome *outcome, uint64_t now_ns);
	void *arg;
};
WEFT_MUST_CHECK
int social_sync_with(struct sync *sync, const struct sync_order *order, uint64_t now_ns);

/*
 * social_sync_may_give: the node of key, as it is known in its session, may have what belongs to the post.
 * A public post is for all that name it.
 */
bool social_sync_may_give(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			  const uint8_t id[static POST_ID_LEN]);

/*
 * social_sync_news: a post is new here, or its visibility is. Peers in session that may have it
 * hear of it within SYNC_NEWS_DELAY_NS, but from (NULL: none), of which it came.
 */
#define SYNC_NEWS_DELAY_NS 20000000ull
void social_sync_news(struct sync *sync, const uint8_t id[static POST_ID_LEN], const uint8_t *from,
		      uint64_t now_ns);
/* social_sync_news_from: what is new came from this peer, which says so behind social_sync_news. */
void social_sync_news_from(struct sync *sync, const uint8_t id[static POST_ID_LEN],
			   const uint8_t from[static MESH_KEY_LEN]);
/*
 * social_sync_leaving: a post is about to be taken back, and its readers will not be known then. Peers in
 * session that may have it, but from (NULL: none), get the deletion when social_sync_gone says that it is
 * durable. SYNC_LEAVING_MAX posts and peers wait; the oldest is forgotten, and its peer finds the
 * deletion by its next pull.
 */
#define SYNC_LEAVING_MAX 1024u
void social_sync_leaving(struct sync *sync, const uint8_t id[static POST_ID_LEN],
			 const uint8_t *from);
void social_sync_gone(struct sync *sync, const uint8_t id[static POST_ID_LEN], uint64_t now_ns);
/*
 * social_sync_cut: person may not have the post any more, which the parts below know. What is on its way
 * to nodes of person ends. Pages with the post are reset, whatever else they have, and pushes of it are
 * dropped. Nothing of it is sent again. social_sync_speaks_for: the session with key is one of person.
 */
void social_sync_cut(struct sync *sync, const uint8_t person[static NODE_KEY_LEN],
		     const uint8_t post[static POST_ID_LEN]);
bool social_sync_speaks_for(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			    const uint8_t person[static NODE_KEY_LEN]);
/*
 * social_sync_profile_changed gives related peers the profiles that they may see.
 * social_sync_follows_changed: related peers are asked, and greeted, anew. social_sync_refusals_forget:
 * other people are wanted now, so what was refused is asked for again.
 */
void social_sync_profile_changed(struct sync *sync, uint64_t now_ns);
void social_sync_follows_changed(struct sync *sync, uint64_t now_ns);
void social_sync_refusals_forget(struct sync *sync);

/*
 * The same posts for programs that are no node, as JSON on connections of their own: events of a
 * transport whose ctx is the sync. After social_sync_stop none may be raised any more. SYNC_LITERAL_MAX
 * connections are held, in fair shares.
 */
#define SYNC_LITERAL_ALPN "distsoc/sync/4"
#define SYNC_LITERAL_MAX  16u
struct transport_events;
extern const struct transport_events social_sync_literal_events;

struct sync_stats {
#define FIGURE FIGURE_FIELD
#include "social/sync/social_sync_counters.def"
};
void social_sync_stats(const struct sync *sync, struct sync_stats *out_stats);
/* social_sync_view: units in use by class. */
void social_sync_view(const struct sync *sync, struct fair_view *out);
/* Answers with posts on their way; connections of the literal interface. */
void social_sync_pages_view(const struct sync *sync, struct fair_view *out);
void social_sync_literal_view(const struct sync *sync, struct fair_view *out);

#endif
