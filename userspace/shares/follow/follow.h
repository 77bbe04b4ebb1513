/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_FOLLOW_H
#define WEFT_SHARES_FOLLOW_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "blocklist.h"
#include "shares/head.h"
#include "blobs/link.h"
#include "blobs/manifest/manifest.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"
#include "weft/err.h"

struct blobs;
struct jobs;
struct random;
struct store;
struct timer_wheel;

/*
 * Shares of others that this node follows. Every so often the overlay and the nodes that a
 * share's link names are asked for its head. A newer head than was ever seen leads to a new
 * revision, whose manifests are fetched, checked and kept. The newest head ever seen of a share
 * outlives its follower (STORE_HEADS): no node can lead this one back behind it.
 *
 *	add		follow.c -> store -> sync
 *	sync		follow_sync.c -> follow_sync_head.c (overlay, 402) -> judged against what was
 *			seen -> follow_sync_manifest.c (400) -> store -> changed
 *	move		follow_sync_move.c: the last head names another key -> that share's row in
 *		place of this one's, in one commit -> the sync goes on with its heads
 *	keep alive	follow_sync.c puts the head again when the overlay has lost it
 *	asked		list_serve.c answers 402
 *	browse		list_ask.c asks another node for the shares that it publishes to all
 *
 * Home worker; nothing blocks; done, event and changed are never called inside the call
 * that leads to them.
 */
struct follows;
struct follow_sync;    /* a caller that waits for one */
struct follow_listing; /* one that waits for a list of another node */

#define FOLLOW_NAME_CAP	     65u /* 64 bytes of text */
#define FOLLOW_HINTS_MAX     LINK_NODES_MAX
#define FOLLOW_KEEPERS_MAX   8u
#define FOLLOW_REVISIONS_MAX 4u /* of a share, whose manifests are kept */
#define FOLLOW_WEIGHT_MAX    1000u
#define FOLLOW_WEIGHT	     100u /* percent, in search */
#define FOLLOW_DETAIL_CAP    320u

/* The user's opinion of a share: search leaves untrusted ones out unless asked for. */
enum follow_tier { FOLLOW_TRUSTED, FOLLOW_NORMAL, FOLLOW_UNTRUSTED, FOLLOW_TIER_CNT };
const char *shares_follow_tier_name(enum follow_tier tier);

enum follow_state {
	FOLLOW_NEW,	/* no revision is here yet */
	FOLLOW_CURRENT, /* the newest known revision is here */
	FOLLOW_BEHIND,	/* a newer one is known, and could not be fetched yet */
	FOLLOW_EXPIRED, /* what is here is past the end that its publisher gave it */
	FOLLOW_REVOKED, /* the share's key was given up; nothing of it is used any more */
	FOLLOW_BLOCKED, /* the blocklist of another share names it */
	FOLLOW_STATE_CNT,
};

struct follows_config {
	uint32_t follow_cap;  /* shares followed: 200 */
	uint32_t sync_cap;    /* syncs that run at once: 20 */
	uint64_t interval_ns; /* between two syncs of a share */
	uint64_t timeout_ns;  /* for an answer of a node */
};
void shares_follows_config_defaults(struct follows_config *config);
/* shares_follows_footprint: bytes that follow_cap shares and sync_cap syncs take, at most. */
size_t shares_follows_footprint(const struct follows_config *config);

struct follow_revision {
	uint64_t seq;
	uint8_t manifest_id[32];
};

/* A followed share as callers see it; everything is borrowed until the next turn. */
struct follow {
	uint8_t share_id[SHARE_ID_LEN];
	uint8_t share_key[32];
	const char *name; /* that the user gave it; "" */
	enum follow_tier tier;
	unsigned weight; /* percent */
	enum follow_state state;
	bool is_used; /* its revision counts: CURRENT or BEHIND with a revision that holds */
	bool is_syncing;
	int err;	    /* of the last sync; 0: it heard of the share */
	const char *detail; /* what err was about, why a revision is not taken; for people; "" */

	struct follow_revision revisions[FOLLOW_REVISIONS_MAX]; /* kept, newest first */
	unsigned revision_cnt;
	struct share_head head; /* the newest ever seen; seq 0: none yet */

	/* Of the newest revision; zero and "" before there is one. */
	const char *title, *description;
	bool is_public, has_blocklist;
	struct blocklist_fault fault;  /* lines of its blocklist that were left out */
	uint64_t created_s, expires_s; /* expires_s 0: never */
	uint64_t item_cnt, byte_cnt;
	const uint8_t (*recommended)[SHARE_ID_LEN];
	unsigned recommended_cnt;

	const char *folder;   /* absolute, that its revisions are fetched into; "": none */
	bool is_mirror;	      /* what a revision has no more goes */
	unsigned version_cnt; /* former versions of files kept */
	int folder_err;	      /* of the last get into it that could not begin; 0: it did */

	const struct link_node *hints;
	unsigned hint_cnt;
	int hint_errs[FOLLOW_HINTS_MAX]; /* why each gave no head at the last sync; 0: it did */
	uint64_t followed_s;
	uint64_t synced_s;		 /* it was last heard of; 0: not since start */
	uint64_t next_ns;		 /* of the next sync */
	uint64_t old_head_cnt, fork_cnt; /* since start */
};

enum follow_event_kind {
	FOLLOW_REVISION, /* a new revision is here */
	FOLLOW_OLD_HEAD, /* a node gave an older head than was seen: refused */
	FOLLOW_FORKED,	 /* two revisions have one number: the later one holds */
	FOLLOW_WAS_REVOKED,
	FOLLOW_HAS_MOVED, /* another key took the place of its own: follow has that one's id */
	FOLLOW_HAS_EXPIRED,
	FOLLOW_BAD_REVISION, /* what a head names is no revision of its share */
	/*
	 * seq: the first line that is no entry of a blocklist, and follow->fault says why; err 0:
	 * its other lines hold. seq 0: it is too long.
	 */
	FOLLOW_BAD_BLOCKLIST,
};
struct follow_event {
	enum follow_event_kind kind;
	const struct follow *follow;
	uint64_t seq;		 /* that was given */
	const uint8_t *peer_key; /* the node that gave it; NULL: the overlay */
	int err;
};

struct follows_params {
	struct follows_config config;
	struct blobs *content; /* asks what is kept (retainer.h) */
	struct mesh_seam mesh;
	struct overlay_seam overlay; /* ops NULL: there is none */
	struct store *store;
	struct timer_wheel *timers;
	struct jobs *jobs;
	struct random *random;
	const uint8_t *own_key; /* MESH_KEY_LEN */
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx);
	/*
	 * A share came into use with this revision, or changed its tier or weight; or
	 * (is_used false) is not in use any more. Called for all in use at shares_follows_start.
	 */
	void (*on_changed)(void *ctx, const struct follow *follow);
	void (*on_event)(void *ctx, const struct follow_event *event);
	/*
	 * The id of the next public share that this node publishes: ids ascend, and this is the
	 * least behind after (NULL: of all). Returns NULL behind the last. NULL: none.
	 */
	const uint8_t *(*public_next)(void *ctx, const uint8_t *after);
	/*
	 * Nodes beside those of its link that may know a share, at most FOLLOW_KEEPERS_MAX;
	 * addresses are what each says of itself. Returns how many. NULL: none.
	 */
	unsigned (*keepers)(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
			    struct link_node out[static FOLLOW_KEEPERS_MAX]);
	void *ctx;
};

/* shares_follows_new reads what is stored and registers the handler of 402. 0, WEFT_EEXISTS or -errno. */
WEFT_MUST_CHECK
int shares_follows_new(const struct follows_params *params, struct follows **out_follows);
/* shares_follows_start begins to sync; on_changed may be called from now on. */
void shares_follows_start(struct follows *follows, uint64_t now_ns);
/* shares_follows_turn passes the time, once a turn. */
void shares_follows_turn(struct follows *follows, uint64_t now_ns);
/*
 * shares_follows_stop, while mesh and overlay are there: syncs end with WEFT_ECANCELLED, and
 * there are no events any more. Changes end when the store is flushed, before
 * shares_follows_free. Both take NULL.
 */
void shares_follows_stop(struct follows *follows);
void shares_follows_free(struct follows *follows);
void shares_follows_configure(struct follows *follows, const struct follows_config *config);

struct follow_ask {
	const struct link *link; /* of kind LINK_SHARE */
	const char *name;	 /* "": none */
	enum follow_tier tier;
	unsigned weight; /* percent, at most FOLLOW_WEIGHT_MAX */
};
typedef void (*follow_done_fn)(void *arg, int err);
/*
 * shares_follow_add: done when it is durable; a sync begins then. 0, WEFT_EEXISTS (it is
 * followed), WEFT_EFULL (follow_cap), WEFT_EMALFORMED (name,
 * tier or weight), WEFT_EBUSY (the name is another's), or what store_submit says.
 */
WEFT_MUST_CHECK
int shares_follow_add(struct follows *follows, const struct follow_ask *ask, follow_done_fn done,
		      void *arg);
/* shares_follow_set changes what is not NULL: as shares_follow_add, or WEFT_EABSENT. */
struct follow_change {
	const char *name;
	const enum follow_tier *tier;
	const unsigned *weight;
	const char *folder; /* "": none any more; what was fetched stays */
	const bool *is_mirror;
	const unsigned *version_cnt; /* at most BLOBS_VERSIONS_MAX */
};
WEFT_MUST_CHECK
int shares_follow_set(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
		      const struct follow_change *change, follow_done_fn done, void *arg);
/* shares_follows_gets_moved: a get ended or went; folders are looked after in the next turn. */
void shares_follows_gets_moved(struct follows *follows);
/* shares_follow_remove: done when it is durable. 0, WEFT_EABSENT or what store_submit says. */
WEFT_MUST_CHECK
int shares_follow_remove(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
			 follow_done_fn done, void *arg);

/* shares_follow_lookup: NULL when it is not followed. */
const struct follow *shares_follow_lookup(const struct follows *follows,
					  const uint8_t share_id[static SHARE_ID_LEN]);
/*
 * shares_follow_find: by name, else by title, else by the beginning of the id (8 letters and
 * more). 0 with *out_follow, WEFT_EABSENT, or WEFT_EEXISTS: several are called so.
 */
WEFT_MUST_CHECK
int shares_follow_find(const struct follows *follows, const char *text,
		       const struct follow **out_follow);
/*
 * shares_follows_next walks them in the order in which they were followed: start with NULL, ends
 * with NULL. The one at hand must still be there when its successor is asked for.
 */
const struct follow *shares_follows_next(const struct follows *follows,
					 const struct follow *follow);
/*
 * shares_follow_blocker: whose blocklist names id, or NULL. Blocklists of untrusted shares do not
 * count, and a trusted share is not blocked.
 */
const struct follow *shares_follow_blocker(const struct follows *follows, enum blocklist_kind kind,
					   const uint8_t id[static BLOCKLIST_ID_LEN]);

/*
 * A follow_blocked_iter walks the ids of a kind in all blocklists that count, in no order, some
 * several times; NULL: behind the last. The answer is the same while
 * shares_follows_blocked_stamp is. No share may be unfollowed during the walk.
 */
struct follow_blocked_iter {
	const struct follows *follows;
	enum blocklist_kind kind;
	const struct follow *follow; /* the list at hand; NULL: before the first */
	uint32_t idx;		     /* in it */
};
const uint8_t *shares_follows_blocked_next(struct follow_blocked_iter *iter);
uint64_t shares_follows_blocked_stamp(const struct follows *follows);

/* How a sync ended. */
struct follow_synced {
	uint8_t share_id[SHARE_ID_LEN]; /* as it is now: a key of it may have a successor */
	int err; /* 0; WEFT_EABSENT: no node knows a head; WEFT_EUNREACHABLE; of the manifest */
	struct share_head head;		 /* the newest ever seen; seq 0: none */
	bool is_changed;		 /* a revision came */
	int hint_errs[FOLLOW_HINTS_MAX]; /* as in struct follow */
};
typedef void (*follow_synced_fn)(void *arg, const struct follow_synced *synced, uint64_t now_ns);
struct follow_caller {
	follow_synced_fn synced;
	void *arg;
};
/*
 * shares_follow_sync_start syncs a followed share now, or joins the sync that runs.
 * shares_follow_resolve_start asks for the head of a share that need not be followed, with the
 * same care. It refuses a head that is older than one ever seen. 0, WEFT_EABSENT, WEFT_EFULL or
 * -ENOMEM. shares_follow_sync_cancel: synced is not called; the sync goes on. synced gets
 * WEFT_ECANCELLED when the share is followed no more.
 */
WEFT_MUST_CHECK
int shares_follow_sync_start(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
			     struct follow_caller caller, uint64_t now_ns,
			     struct follow_sync **out_sync);
WEFT_MUST_CHECK
int shares_follow_resolve_start(struct follows *follows, const struct link *link,
				struct follow_caller caller, uint64_t now_ns,
				struct follow_sync **out_sync);
void shares_follow_sync_cancel(struct follow_sync *sync);

/* A page of the shares that a node publishes to all, as it says. */
#define FOLLOW_LISTINGS_MAX    8u /* asked at once */
#define FOLLOW_LIST_HEADS_MAX  64u
#define FOLLOW_LIST_CURSOR_LEN 32u
struct follow_list {
	int err; /* 0, WEFT_EMALFORMED (no list), WEFT_ECANCELLED, or as struct mesh_reply */
	struct share_head heads[FOLLOW_LIST_HEADS_MAX]; /* each signed by its share's key */
	unsigned head_cnt;
	unsigned false_cnt; /* heads that are not, and were left out */
	bool has_cursor;    /* another page follows, from cursor */
	uint8_t cursor[FOLLOW_LIST_CURSOR_LEN];
};
typedef void (*follow_listed_fn)(void *arg, const struct follow_list *list, uint64_t now_ns);
struct follow_list_ask {
	const uint8_t *key;    /* of the node, MESH_KEY_LEN */
	const uint8_t *cursor; /* of the page before; NULL: the first */
	follow_listed_fn listed;
	void *arg;
};
/*
 * shares_follow_list_start: 0, WEFT_EFULL, -ENOMEM or as mesh_ops.ask. shares_follow_list_cancel: listed is
 * not called.
 */
WEFT_MUST_CHECK
int shares_follow_list_start(struct follows *follows, const struct follow_list_ask *ask,
			     uint64_t now_ns, struct follow_listing **out_listing);
void shares_follow_list_cancel(struct follow_listing *listing);

struct follows_stats {
#define FIGURE FIGURE_FIELD
#include "shares/follow/follows_counters.def"
};
void shares_follows_stats(const struct follows *follows, struct follows_stats *out_stats);

#endif
