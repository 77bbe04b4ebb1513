/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_SYNC_STATE_H
#define WEFT_SOCIAL_SYNC_SYNC_STATE_H

#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/object/visibility.h"
#include "social/sync/post_filter.h"
#include "social/sync/sync.h"

/* Private to sync/. */

#define SYNC_PEER_KEYS_MAX   (1u + 8u)		  /* the session's, and personas that it proved */
#define SYNC_PULLS_MAX	     8u			  /* under way at once */
#define SYNC_OTHER_PULLS_MAX (SYNC_PULLS_MAX / 2) /* of those, from peers that are not chosen */
#define SYNC_WAITERS_MAX     256u		  /* calls that wait for a pull */
#define SYNC_TIMEOUT_NS	     30000000000ull
#define SYNC_STALL_NS	     10000000000ull
#define SYNC_SWEEP_NS	     5000000000ull /* sessions that ended are noticed */
#define SYNC_RETRY_NS	     5000000000ull /* doubles with each failure, up to every_ns */
#define SYNC_WANTED_HIGH     1024u	   /* posts to be fetched, before more are looked for */
#define SYNC_WANTED_MAX	     (SYNC_ROWS_MAX + SYNC_WANTED_HIGH)
#define SYNC_USELESS_MAX     1024u	     /* named and not given, in one pull */
#define SYNC_MESSAGES_MAX    4096u	     /* of one pull */
#define SYNC_PULL_NS	     300000000000ull /* of one pull; it asks nothing after that */
#define SYNC_REFUSED_NS	     3600000000000ull
#define SYNC_UNWANTED_NS     (24 * SYNC_REFUSED_NS) /* or until people change */
#define SYNC_PAGE_LEN	     (1u << 20)		    /* of a POST_DATA */
#define SYNC_REPLY_CAP	     (SYNC_PAGE_LEN + 2048u)
#define SYNC_PER_KEY_MIN     240u /* requests of a key in a minute */
#define SYNC_PER_NETWORK_MIN 960u
#define SYNC_NEWS_MAX	     256u

/* --- which posts a peer may have: sync_audience.c --- */

/* A verdict of this question has its number; others are of former ones. */
struct sync_memo {
	uint32_t number;
	uint32_t authors[UINT16_MAX + 1u];
	uint32_t audiences[UINT16_MAX + 1u];
};

/* --- peers --- */

struct sync_peer;
/* To be pushed: a row of a post, the deletion of it, or the profile at idx. */
struct sync_due {
	unsigned type, idx;
	uint8_t id[POST_ID_LEN];
};
struct sync_unit {
	struct fair_item slot;
	struct sync_peer *peer;
};
struct sync_group_proof {
	uint8_t group[32], key[NODE_KEY_LEN];
	uint64_t epoch;
};
struct sync_peer {
	struct sync *sync;
	uint8_t session[SYNC_SESSION_LEN];
	uint8_t keys[SYNC_PEER_KEYS_MAX][NODE_KEY_LEN]; /* that of the session first */
	unsigned key_cnt;
	struct fair_path path;
	struct sync_unit units[1 + SYNC_FOLLOWS_MAX / SYNC_UNIT_FOLLOWS];
	uint8_t (*follows)[NODE_KEY_LEN]; /* ascending */
	unsigned follow_cnt;
	struct sync_group_proof proofs[SYNC_PROOFS_MAX];
	unsigned proof_cnt;
	bool has_greeted; /* this node, in this session */
	uint64_t due_ns;  /* of the next pull; TIMER_NEVER: none */
	unsigned failure_cnt;
	struct sync_pull *pull; /* NULL: none */
	/* What it offered while no pull was under way, which is fetched at once. */
	uint8_t offered[SYNC_OFFERED_MAX][SYNC_ROW_LEN];
	unsigned offered_cnt;
	struct sync_push *push; /* under way, one at a time; NULL: none */
	struct sync_due dues[SYNC_OFFERED_MAX];
	unsigned due_cnt;
};

/* The asker of a question, for the filter. */
struct sync_asker {
	const struct sync_peer *peer;
	const uint8_t *author; /* named in the question, or NULL */
};

/*
 * Posts that are not public, on their way to a peer. They wait until it is on the disk, for each key of
 * the peer, that they were given. Of the heap; done frees it.
 */
struct sync_giving {
	struct list_node link;
	struct sync *sync;
	uint8_t keys[SYNC_PEER_KEYS_MAX][NODE_KEY_LEN];
	unsigned key_cnt, key_at;
	uint8_t session[SYNC_SESSION_LEN];
	uint8_t ids[SYNC_GIVE_MAX][POST_ID_LEN];
	unsigned cnt;
	void (*done)(struct sync_giving *giving, int err);
	void *arg;
	/* Of a page of 603. */
	struct mesh_incoming *incoming; /* NULL: the asker left */
	size_t len;
};

/*
 * What a peer was seen to have, or to lack, where that is not what it may have. A note is 64 bits of the
 * post's id under a secret of the peer; one that it lacks is noted for its session. A full line loses a
 * note, which is made again: it costs the bytes of a range.
 */
#define SYNC_LINE_NOTES 8u /* of 64 bytes, those of a cache */
#define SYNC_NOTE_LINES (16u << 10)
struct sync_holding {
	uint64_t secret[2];
	uint64_t has, lacks; /* of the peer at hand; the lowest bit says which */
	bool is_chosen;	     /* it */
	bool is_used[2];
	/* of peers that are not chosen, and of those that are */
	uint64_t (*notes)[SYNC_NOTE_LINES][SYNC_LINE_NOTES];
};

/* --- pulls --- */

struct sync_wanted {
	uint8_t id[POST_ID_LEN];
	bool has_post; /* its visibility alone is wanted */
};
enum sync_stage { SYNC_GREETING, SYNC_LOOKING, SYNC_FETCHING };
struct sync_waiter {
	struct list_node link;
	void (*done)(void *arg, const struct sync_outcome *outcome, uint64_t now_ns);
	void *arg;
};
struct sync_pull {
	struct sync *sync;
	struct sync_peer *peer;
	struct mesh_request *request;
	enum sync_stage stage;
	uint8_t *reply; /* SYNC_REPLY_CAP */
	uint8_t *next;	/* RANGE_MESSAGE_MAX: the message after what is wanted was fetched */
	size_t next_len;
	struct sync_wanted *wanted; /* SYNC_WANTED_MAX */
	unsigned wanted_cnt, wanted_at;
	unsigned asked_cnt;    /* of the page under way */
	unsigned open_cnt;     /* takes that are not durable yet */
	bool is_in_page;       /* its posts are being taken, */
	const uint8_t *taking; /* this one */
	bool is_over;	       /* but for those takes */
	bool is_other;	       /* of a peer that is not chosen, and that the owner did not order */
	uint64_t end_ns;       /* it asks nothing from then on */
	bool has_looked;       /* there is nothing left to find */
	bool is_listing;
	bool has_author;
	uint8_t author[NODE_KEY_LEN];
	struct sync_cursor cursor;
	unsigned message_cnt, useless_cnt;
	unsigned told_cnt; /* of this node's follows, those that were said */
	struct sync_outcome outcome;
	struct list_node waiters;
};

struct sync_refused {
	uint8_t id[POST_ID_LEN]; /* or the hash of it and of a peer's key */
	uint64_t until_ns;
};
struct sync_news_row {
	uint8_t id[POST_ID_LEN];
	uint8_t from[MESH_KEY_LEN];
};
/* A deletion that is not durable yet, for a peer. */
struct sync_leaving {
	bool is_used;
	uint8_t id[POST_ID_LEN], peer[NODE_KEY_LEN];
};
/* A request to a peer of which no answer is needed but that it came. */
#define SYNC_PUSHES_MAX 256u /* one for a peer */
struct sync_push {
	struct fair_item slot;
	struct sync_peer *peer;
	struct mesh_request *request;
	uint8_t reply[64 + MESH_FRAME_OVERHEAD];
};
/* An answer with posts, lent to the mesh. */
struct sync_lent {
	struct sync *sync;
	struct fair_item slot;
	uint8_t asker[NODE_KEY_LEN];
	uint8_t *bytes;
	size_t page_len; /* of a page of posts that is with the mesh; 0: it is none, or waits */
};

struct sync {
	struct sync_params params;
	struct arena arena;
	struct timer timer, news_timer;
	bool is_stopped;
	uint64_t now_ns;
	uint64_t sweep_ns;
	struct fair unit_slots, lent_slots, literal_slots, push_slots;
	bool has_waiting; /* pushes, for a slot */
	struct pool peers, pulls, waiters, lents, pushes, literals;
	unsigned other_pull_cnt; /* of pulls, those that are is_other */
	struct map peer_by_key;
	struct request_quota per_key, per_network;
	struct sync_refused refused[SYNC_REFUSED_MAX];
	unsigned refused_at;
	struct map refused_by_id;
	struct list_node givings;
	struct sync_news_row news[SYNC_NEWS_MAX];
	unsigned news_cnt;
	struct sync_leaving leaving[SYNC_LEAVING_MAX];
	unsigned leaving_at;
	struct sync_memo memo;
	struct sync_peer self; /* this node, as the peer at hand knows it */
	struct sync_holding holding;
	struct visibility visibility;	   /* the one at hand */
	uint8_t message[MESH_ASK_LEN_MAX]; /* what is said */
	uint8_t ranges[RANGE_MESSAGE_MAX];
	uint8_t own_follows[SYNC_FOLLOWS_MAX][NODE_KEY_LEN];
	struct sync_hello hello; /* at hand; large ones are not for the stack */
	struct sync_answer answer;
	struct sync_page page;
	struct sync_stats stats;
};

static inline const struct mesh_ops *sync_ops(const struct sync *sync)
{
	return sync->params.ground->mesh.ops;
}
static inline struct mesh *sync_mesh(const struct sync *sync)
{
	return sync->params.ground->mesh.mesh;
}

/* sync_audience.c */
/* social_sync_question: from now on may_have answers another question. */
void social_sync_question(struct sync *sync);
bool social_sync_may_have(struct sync *sync, const struct sync_asker *asker,
			  const struct post_row *row);
/*
 * social_sync_compare: a question, of what this node and peer compare. social_sync_compares: row counts.
 * What the peer gives this node counts, if the peer may have it too or has named it. social_sync_holding_note:
 * the peer at hand has, or lacks, a post that is here.
 */
void social_sync_compare(struct sync *sync, const struct sync_peer *peer);
bool social_sync_compares(struct sync *sync, const struct sync_peer *peer,
			  const struct post_row *row);
void social_sync_holding_note(struct sync *sync, const uint8_t id[static POST_ID_LEN], bool has);
void social_sync_holding_given(struct sync *sync, const struct sync_peer *peer,
			       const struct sync_page *page);
/*
 * social_sync_giving_add: row, which peer may have, waits with the others in *giving. The first one makes
 * it, if marks are kept here. false: there is no room.
 * social_sync_give calls giving->done once, also inside; also at the close, then with WEFT_ECLOSED.
 * social_sync_lost sets which posts are to be left out: after an error all. Else those that peer may not
 * have any more; NULL: it is gone, and has none. True: there are some.
 */
bool social_sync_giving_add(struct sync_giving **giving, const struct sync_peer *peer,
			    const struct post_row *row);
void social_sync_give(struct sync_giving *giving);
bool social_sync_lost(struct sync_giving *giving, const struct sync_peer *peer, int err);
bool social_sync_is_lost(const struct sync_giving *giving, const uint8_t *id);
void social_sync_givings_stop(struct sync *sync);
void social_sync_givings_close(struct sync *sync);

/* sync_peers.c */
int social_sync_peers_init(struct sync *sync, const uint64_t secret[2]);
/* social_sync_peer_of: of a session that is there; made where it is new; NULL: there is no room. */
struct sync_peer *social_sync_peer_of(struct sync *sync, const uint8_t *key,
				      const uint8_t session[static SYNC_SESSION_LEN],
				      const struct fair_path *path, uint64_t now_ns);
struct sync_peer *social_sync_peer_find(struct sync *sync, const uint8_t *key);
/* social_sync_peer_drop wipes what the peer said. */
void social_sync_peer_drop(struct sync *sync, struct sync_peer *peer, uint64_t now_ns);
/* social_sync_follows_take: false: they find no room, and the peer is gone. */
bool social_sync_follows_take(struct sync_peer *peer, const uint8_t *follows, size_t len, bool more,
			      uint64_t now_ns);
void social_sync_proofs_take(struct sync_peer *peer, const struct sync_hello *hello);
/* social_sync_follows_forget overwrites them; its units stay. */
void social_sync_follows_forget(struct sync_peer *peer);
bool social_sync_peer_follows(const struct sync_peer *peer, const uint8_t *author);
void social_sync_peers_sweep(struct sync *sync, uint64_t now_ns);

/* sync_answer.c */
int social_sync_answer_init(struct sync *sync, const uint64_t secret[2]);
/* social_sync_admit: false: call was answered. */
bool social_sync_admit(struct sync *sync, const struct mesh_call *call, uint64_t now_ns);
void social_sync_refuse_malformed(struct sync *sync, const struct mesh_call *call,
				  const char *text);

/* sync_pull.c */
/* social_sync_pull_go_on: greet, look until enough is wanted, fetch, look on; or it is over. */
void social_sync_pull_go_on(struct sync_pull *pull, uint64_t now_ns);
void social_sync_pull_cancel(struct sync_pull *pull, int err, uint64_t now_ns);
void social_sync_pull_release(struct sync_pull *pull);
void social_sync_waiters_tell(struct sync_pull *pull, uint64_t now_ns);

/* sync_start.c */
int social_sync_pull_init(struct sync *sync, const uint64_t secret[2]);
void social_sync_pull_stop(struct sync *sync);
void social_sync_pull_due(struct sync *sync, uint64_t now_ns);
uint64_t social_sync_pull_next_ns(const struct sync *sync);

/* sync_wanted.c */
/* social_sync_want: peer offers a row. True: it is wanted, and a pull will ask for it. */
bool social_sync_want(struct sync_peer *peer, const uint8_t row[static SYNC_ROW_LEN],
		      uint64_t now_ns);
/* social_sync_pull_want: the peer of a pull has a row. */
void social_sync_pull_want(struct sync_pull *pull, const uint8_t row[static SYNC_ROW_LEN]);
/* social_sync_refuse_id: it is not asked of peer for a while, or of none where peer is NULL. */
void social_sync_refuse_id(struct sync *sync, const struct sync_peer *peer,
			   const uint8_t id[static POST_ID_LEN], uint64_t until_ns);

/* sync_news.c */
int social_sync_news_init(struct sync *sync, const uint64_t secret[2]);
/* social_sync_push_cancel ends the push of peer that is under way, and forgets what was to follow. */
void social_sync_push_cancel(struct sync_peer *peer, uint64_t now_ns);
/* social_sync_push_waiting: slots of pushes may be free, for peers that wait for one. */
void social_sync_push_waiting(struct sync *sync, uint64_t now_ns);
void social_sync_news_stop(struct sync *sync);

/* sync_cut.c: peer speaks for person, by its session or by a proof. */
bool social_sync_is_of(const struct sync_peer *peer, const uint8_t *person);

/* sync_literal.c */
void social_sync_literal_cut(struct sync *sync, const uint8_t *person);
int social_sync_literal_init(struct sync *sync, const uint64_t secret[2]);
void social_sync_literal_stop(struct sync *sync);

/* sync.c: the timer is set to what comes first. */
void social_sync_due(struct sync *sync, uint64_t now_ns);

#endif
