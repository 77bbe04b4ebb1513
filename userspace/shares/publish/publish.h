/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_PUBLISH_H
#define WEFT_SHARES_PUBLISH_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/blobs.h"
#include "shares/head.h"
#include "blobs/import/import.h"
#include "blobs/manifest/manifest.h"
#include "label.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"
#include "weft/err.h"

struct jobs;
struct key_seal;
struct link_node;
struct store;
struct timer_wheel;

/*
 * The shares that this node publishes: names that go on, each with a key of its own and
 * revisions 1, 2, 3... (docs/wire/share.md).
 *
 *	revise	revise.c -> newest head of overlay and holders -> import of the tree (or the
 *		revision that is there, read back) -> signed -> one batch: manifest,
 *		revision, settings, head -> head.c -> overlay
 *	keep	head.c: the head is put again at half its life; a revision is signed
 *		again before it expires
 *
 * Whatever instant the program dies at, a share has its old revision or its new one. A revision
 * is made by one commit, and nothing stored before it can be found. The same key may publish
 * elsewhere: each revision is numbered after the highest number that was ever seen.
 *
 * Home worker; nothing blocks; done and event are never called inside the call that leads
 * to them.
 */
struct publisher;

#define PUBLISH_NAME_LEN_MAX 64u
#define PUBLISH_HOLDERS_MAX  8u		    /* nodes that are asked for a newer head */
#define PUBLISH_LIFE_S	     (30u * 86400u) /* of a revision, unless it is set */
/* A revision is signed again when a quarter of its life is left. */
#define PUBLISH_RENEW_PART 4u

struct publisher_config {
	uint32_t share_cap;    /* shares published */
	uint32_t revision_cap; /* of each, kept to be fetched and compared; at least 1 */
	uint64_t life_ns;      /* of a revision */
};
void shares_publisher_config_defaults(struct publisher_config *config);

enum publisher_state {
	PUBLISH_EMPTY,	 /* it has no revision yet */
	PUBLISH_CURRENT, /* its newest revision was made here */
	PUBLISH_BEHIND,	 /* another holder of its key published a newer one */
	PUBLISH_REVOKED, /* its key was given up, for ever */
	PUBLISH_STATE_CNT,
};

/* A publisher's statements about a share; kept, and signed with each revision. */
struct publish_settings {
	char name[PUBLISH_NAME_LEN_MAX + 1]; /* here, on this node */
	char title[MANIFEST_TITLE_CAP];	     /* to followers; "": the name */
	char description[MANIFEST_DESCRIPTION_LEN_MAX + 1];
	char path[4096];     /* absolute; "": nothing was published yet */
	char only[ONLY_CAP]; /* what of it, each on a line (import/import.h); "": all of it */
	char rules[LABEL_RULES_CAP];
	bool is_public;
	uint32_t community_cnt, recommended_cnt;
	uint8_t communities[MANIFEST_COMMUNITIES_MAX][32]; /* ascending */
	uint8_t recommended[MANIFEST_RECOMMENDED_MAX][32];
};

struct publish_revision {
	uint64_t seq;
	uint8_t manifest_id[32];
	uint64_t created_s, expires_s;
	uint64_t item_cnt, byte_cnt;
};

/* A share as callers see it; borrowed until the next turn. */
struct published {
	uint8_t share_id[SHARE_ID_LEN];
	uint8_t share_key[32];
	const struct publish_settings *settings;
	enum publisher_state state;
	struct share_head newest;		  /* that was ever seen; seq 0: none */
	const struct publish_revision *revisions; /* made here and kept, oldest first */
	uint32_t revision_cnt;
	bool is_busy;	     /* a revision is being made */
	uint32_t holder_cnt; /* nodes of the overlay that took the head when it was last put */
	int put_err;	     /* of that; 0 when it was not put yet */
	/* The newest revision is dated so far ahead that no node takes it yet; 0: it is not. */
	uint64_t ahead_s;
};

enum publish_event_kind {
	PUBLISH_REVISED,     /* an own revision is stored */
	PUBLISH_RENEW_ERROR, /* it could not be signed again before it expires */
	PUBLISH_SUPERSEDED,  /* another holder of the key published a newer revision */
	PUBLISH_FORKED,	     /* another holder used an own number; the later one holds */
	PUBLISH_WAS_REVOKED,
};
struct publish_event {
	enum publish_event_kind kind;
	const struct published *share;
	uint64_t seq;
	int err;
};

struct publisher_params {
	struct publisher_config config;
	struct blobs *content;
	struct store *store;
	const struct key_seal *seal; /* of share keys in the store; NULL: none */
	struct jobs *jobs;
	struct timer_wheel *timers;
	struct overlay_seam overlay; /* ops NULL: it is neither asked nor given heads */
	struct mesh_seam mesh;	     /* ops NULL: no node is asked */
	/* hints: nodes that may know the newest head of a share; borrowed for the call. NULL: none. */
	unsigned (*hints)(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
			  const struct link_node **out_hints);
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx);
	void (*event)(void *ctx, const struct publish_event *event); /* may be NULL */
	void *ctx;
};

/*
 * shares_publisher_new reads what is published and becomes a holder of content. The overlay has the
 * rule of heads (head.h) already. Keys that lie unsealed and are not to are sealed, in one
 * commit. 0, WEFT_EDAMAGED (a row), WEFT_ESEALED (a share's key), WEFT_EFULL or -errno.
 */
WEFT_MUST_CHECK
int shares_publisher_new(const struct publisher_params *params, struct publisher **out_publisher);
/*
 * shares_publisher_stop, while overlay and store are there: no callbacks any more.
 * shares_publisher_free after content is gone. Both take NULL.
 */
void shares_publisher_stop(struct publisher *publisher);
void shares_publisher_free(struct publisher *publisher);
void shares_publisher_configure(struct publisher *publisher, const struct publisher_config *config);
/* shares_publisher_hurry: a node that takes heads may have come. */
void shares_publisher_hurry(struct publisher *publisher, uint64_t now_ns);

/*
 * shares_publisher_find: the share that is called text, or whose id begins with it (8 letters of
 * z-base-32 and more); NULL: none, or several.
 */
const struct published *shares_publisher_find(const struct publisher *publisher, const char *text);
const struct published *shares_publisher_lookup(const struct publisher *publisher,
						const uint8_t share_id[static SHARE_ID_LEN]);
/*
 * shares_publisher_next walks the shares: start with NULL, ends with NULL. The one at hand must
 * still be there when its successor is asked for.
 */
const struct published *shares_publisher_next(const struct publisher *publisher,
					      const struct published *share);
/*
 * shares_publisher_public_next: the least id behind after (NULL: of all) of the shares that are
 * listed to all; NULL: there is none. Revoked ones are listed, too. Shares may come and go
 * meanwhile, if after is a copy.
 */
const uint8_t *shares_publisher_public_next(const struct publisher *publisher,
					    const uint8_t *after);
uint32_t shares_publisher_cnt(const struct publisher *publisher);

/*
 * shares_publisher_create makes a share, with a new key, or that of seed (32 bytes, NODE_KEY_SEED_LEN).
 * done when it is durable. 0, WEFT_EFULL (share_cap), WEFT_EEXISTS (its name, or its key),
 * WEFT_EMALFORMED (name or another setting), or what store_submit says.
 */
typedef void (*publisher_done_fn)(void *arg, int err);
struct publisher_caller {
	publisher_done_fn done; /* may be NULL */
	void *arg;
};
WEFT_MUST_CHECK
int shares_publisher_create(struct publisher *publisher, const struct publish_settings *settings,
			    const uint8_t *seed, struct publisher_caller caller,
			    uint8_t out_share_id[static SHARE_ID_LEN]);

/* How a revision ended. */
struct publish_outcome {
	int err;
	const char *detail; /* a whole sentence when err is not 0 */
	bool is_unchanged;  /* there is nothing new to say: no revision was made */
	bool was_asked;	    /* overlay or a holder said which revision is the newest */
	const struct publish_revision *revision; /* that holds now; NULL: none */
	const struct blobs_import *import;	 /* NULL: nothing was imported */
	uint32_t part_cnt, part_new_cnt;	 /* manifests of it, and those that are new */
};
struct publish_ask {
	/* The new statements; copied. The path is imported again, if imports says so. */
	const struct publish_settings *settings;
	bool imports;
	void (*progress)(void *arg, const struct blobs_import *import); /* may be NULL */
	void (*done)(void *arg, const struct publish_outcome *outcome); /* may be NULL */
	void *arg;
};
/*
 * shares_publisher_revise makes a revision of what settings say and the files below their path.
 * A share without a revision only keeps the settings unless imports is set. 0, or
 *   WEFT_EABSENT    no such share
 *   WEFT_EBUSY      a revision is being made
 *   WEFT_EREFUSED   it was revoked
 *   WEFT_EMALFORMED a setting
 *   WEFT_EEXISTS    the name is another's
 */
WEFT_MUST_CHECK
int shares_publisher_revise(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns);
/*
 * shares_publisher_cancel ends a revision; done follows with WEFT_ECANCELLED. 0, or WEFT_EABSENT:
 * none is being made, or it is being stored already.
 */
WEFT_MUST_CHECK
int shares_publisher_cancel(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN]);

/*
 * shares_publisher_revoke publishes that there will be no revision any more; the files are no
 * longer shared under that name. shares_publisher_remove forgets a share and its key, and
 * leaves it as it is for followers. As shares_publisher_revise.
 */
WEFT_MUST_CHECK
int shares_publisher_revoke(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns);
/*
 * shares_publisher_rotate goes on under a new key. The last head of the old share, which the old
 * key signs, names the new key. The new share has the name and all settings, and is published at
 * once. The old one stays listed as NAME.old, to show where it went. done when the new one is
 * published; as shares_publisher_revoke.
 */
WEFT_MUST_CHECK
int shares_publisher_rotate(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns);
WEFT_MUST_CHECK
int shares_publisher_remove(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    struct publisher_caller caller);
/* shares_publisher_key: of a share, to sign by; borrowed until it is removed; NULL: no such share. */
struct node_key;
const struct node_key *shares_publisher_key(const struct publisher *publisher,
					    const uint8_t share_id[static SHARE_ID_LEN]);
/*
 * shares_publisher_export_key writes the share's key into a new file of mode 0600 (crypto/node_key.h).
 * 0, WEFT_EABSENT, WEFT_EEXISTS (the file) or -errno. Waits on the disk.
 */
WEFT_MUST_CHECK
int shares_publisher_export_key(const struct publisher *publisher,
				const uint8_t share_id[static SHARE_ID_LEN], const char *path);

#endif
