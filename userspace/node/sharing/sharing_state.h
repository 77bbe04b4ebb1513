/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_STATE_H
#define WEFT_NODE_SHARING_STATE_H

#include "shares/announce/announce.h"
#include "shares/announce/held.h"
#include "shares/publish/publish.h"
#include "base/timer.h"
#include "blobs/swarm/finder.h"
#include "overlay/overlay.h"
#include "node/sharing/sharing.h"

struct control_call;

#define SHARING_MEMBER_FINDS_MAX 64u /* searches among members at once */

/* member_finder.c */
struct member_find {
	struct timer timer;
	struct sharing *sharing;
	bool is_on;
	struct swarm_find asked;
};

/* Private to sharing*.c, with the methods that show or change a part. */
struct sharing {
	struct node *node;
	struct sharing_call *calls; /* that wait */
	struct key_seal *seal;	    /* of keys in the store */
	struct publisher *publisher;
	struct watches *watches; /* of folders that it publishes */
	struct follows *follows;
	struct search *search;
	uint64_t blocked_stamp; /* of the blocked contents that search was told of */
	struct communities *communities;
	uint64_t bind_ns; /* when communities are told of shares again; UINT64_MAX: never */
	struct announce_held held;
	struct announce *announce;    /* NULL: there is no overlay */
	enum overlay_keepers keepers; /* of the overlay, in the turn before */
	struct sharing_lan *lan;      /* NULL: simulated */
	struct member_find member_finds[SHARING_MEMBER_FINDS_MAX];
};

/* A control call that waits for a part; freed with sharing, unanswered, if it still does. */
struct sharing_call {
	struct sharing_call *next;
	struct sharing *sharing;
	struct control_call *call; /* NULL: its caller left */
	bool cancels;		   /* what it waits for ends when its caller leaves */
	uint8_t share_id[SHARE_ID_LEN];
	char name[PUBLISH_NAME_LEN_MAX + 1]; /* what it is about */
	uint64_t numbers[2];		     /* likewise, the asker's own */
};
/* node_sharing_call_new: NULL: no memory. node_sharing_call_free takes it off the list. */
struct sharing_call *node_sharing_call_new(struct sharing *sharing);
void node_sharing_call_free(struct sharing_call *waiting);

/* node_sharing_overlay: ops NULL when this node has none. */
struct overlay_seam node_sharing_overlay(struct sharing *sharing);

/* sharing_publish.c: shares with revisions that this node publishes, and what is told of them. */
WEFT_MUST_CHECK
int node_sharing_open_publisher(struct sharing *sharing);

/* sharing_watch.c: folders that are published when they change. */
WEFT_MUST_CHECK
int node_sharing_open_watches(struct sharing *sharing);

/*
 * sharing_search.c: finding in shares that are followed. node_sharing_search_follow: what of one is
 * searched. node_sharing_search_block tells search what is blocked by now, before it is asked.
 */
WEFT_MUST_CHECK
int node_sharing_open_search(struct sharing *sharing);
struct follow;
void node_sharing_search_follow(void *ctx, const struct follow *follow);
WEFT_MUST_CHECK
int node_sharing_search_block(struct sharing *sharing);

/* sharing_follow.c: shares of others that this node follows, and what is told of them. */
WEFT_MUST_CHECK
int node_sharing_open_follows(struct sharing *sharing);

/* sharing_community.c */
WEFT_MUST_CHECK
int node_sharing_open_communities(struct sharing *sharing);

/* member_finder.c: members are asked for what is bound to their community. */
WEFT_MUST_CHECK
int node_sharing_open_member_finder(struct sharing *sharing);

/* sharing_bind.c: what shares say of communities is told in these. */
void node_sharing_bind_soon(struct sharing *sharing);
void node_sharing_turn_bindings(struct sharing *sharing, uint64_t now_ns);

/* sharing_announce.c */
WEFT_MUST_CHECK
int node_sharing_open_announce(struct sharing *sharing);
void node_sharing_turn_announce(struct sharing *sharing);

#endif
