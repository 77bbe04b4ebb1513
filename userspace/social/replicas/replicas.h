/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REPLICAS_REPLICAS_H
#define WEFT_SOCIAL_REPLICAS_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/holders/post_holders.h"
#include "social/keep/post_store.h"

struct intake;

/*
 * Copies of posts at other nodes (docs/social.md). After a sync with a peer, over the same session:
 *
 *	CHECK -> STATUS -> notes of holders -> how many copies -> OFFER to a node in session
 *
 * No session is made for it. A post that this node wrote or reads is to have target copies elsewhere.
 * What a holder says is trusted, since it can be no worse than a holder that loses the post next.
 *
 *	replicas.c	life, rounds with a peer	replica_check.c	CHECK and STATUS
 *	replica_host.c	copies for others		replica_offer.c	own offers
 *	replica_notes.c	notes of other holders, passed on once to each peer
 *	replica_tell.c	new readers and deletions, for nodes that keep a post and do not read it
 *	replica_restore.c  the next holder    	replica_message.c  the messages
 *
 * Tables, and what fills them:
 *
 *	hosting	REPLICA_HOSTING_CAP copies that arrive in pieces, 512 KiB each: any peer, shared fairly
 *		by network, then key. The one that makes no progress for longest gives way.
 *	tellings 32 of replica_tell.c: changes of posts here; without a place they go behind a later sync
 *	passed	REPLICA_PASSED_MAX notes that went to peers, by a hash; a new one takes the place of another
 *	peers	REPLICA_PEERS_CAP: where the round with each is; the oldest is forgotten
 *
 * The bytes that others may have here are the quota of keep/. What a peer says of its own room is not
 * looked at. Home worker only; nothing blocks.
 */
struct replicas;

#define REPLICA_HOSTING_CAP 16u
#define REPLICA_PEERS_CAP   256u
#define REPLICA_OFFERS_MAX  4u /* own ones under way */

struct replicas_config {
	unsigned target;	   /* copies elsewhere; fewer is low redundancy */
	uint64_t hosted_per_hour;  /* bytes of copies taken for others */
	uint64_t offered_per_hour; /* bytes of copies given to others */
};
void social_replicas_config_defaults(struct replicas_config *config);

/* What is known of people: their part of social/. All functions are set. */
struct replica_ways {
	/* The key of a persona, or a former one; NULL: it is none of this node's. */
	const struct node_key *(*own)(void *ctx, const uint8_t *key);
	bool (*is_blocked)(void *ctx, const uint8_t *key);
	bool (*is_acquainted)(void *ctx, const uint8_t *key); /* followed, or accepted */
	bool (*is_audience)(void *ctx, const uint8_t *key);   /* it follows a person of this node */
	/* key is in a group of a person of this node now */
	bool (*is_fellow)(void *ctx, const uint8_t *key);
	/* key is in the group at that epoch, as this node knows */
	bool (*is_member)(void *ctx, const uint8_t *group, uint64_t epoch, const uint8_t *key);
	/* the key that opens what is wrapped for the group, until the next call; or NULL */
	const struct node_key *(*group_key)(void *ctx, const struct visibility_group *of);
	/* the node of key speaks for person in its session */
	bool (*speaks_for)(void *ctx, const uint8_t *key, const uint8_t *person);
	void *ctx;
};

struct replicas_params {
	struct replicas_config config;
	const struct social_ground *ground; /* all borrowed until social_replicas_close */
	struct post_store *posts;
	struct intake *intake;
	struct post_holders *holders;
	struct replica_ways ways;
	uint64_t now_ns;
};
WEFT_MUST_CHECK
int social_replicas_open(const struct replicas_params *params, struct replicas **out_replicas);
/* social_replicas_stop, before the mesh is freed: nothing is called any more. Both take NULL. */
void social_replicas_stop(struct replicas *replicas);
void social_replicas_close(struct replicas *replicas);

/* social_replicas_synced: a sync with the node of key ended well, and its session is still there. */
void social_replicas_synced(struct replicas *replicas, const uint8_t key[static MESH_KEY_LEN],
			    uint64_t now_ns);

/*
 * social_replicas_cut: person reads post no more, which the store of posts knows. A copy that is on its
 * way to a node of person ends.
 */
void social_replicas_cut(struct replicas *replicas, const uint8_t person[static NODE_KEY_LEN],
			 const uint8_t post[static POST_ID_LEN]);

/*
 * social_replicas_changed: post has other readers, or is deleted. Nodes in session that keep it hear of
 * that, but from (NULL: none), of which it came; others do behind a later sync.
 */
void social_replicas_changed(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			     const uint8_t *from, uint64_t now_ns);

/* The copies of a post elsewhere. */
struct replica_view {
	unsigned copy_cnt, target;
	bool is_low;
};
void social_replicas_view(const struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			  struct replica_view *out_view);

struct replicas_stats {
#define FIGURE FIGURE_FIELD
#include "social/replicas/replicas_counters.def"
};
void social_replicas_stats(const struct replicas *replicas, struct replicas_stats *out_stats);
void social_replicas_hosting_view(const struct replicas *replicas, struct fair_view *out_view);

#endif
