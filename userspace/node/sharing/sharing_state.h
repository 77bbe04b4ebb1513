/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_STATE_H
#define WEFT_NODE_SHARING_STATE_H

#include "shares/announce/announce.h"
#include "blobs/held_manifests.h"
#include "shares/publish/publish.h"
#include "overlay/overlay.h"
#include "node/sharing/sharing.h"

/* Private to sharing*.c. */
struct sharing {
	struct node *node;
	struct key_seal *seal; /* of keys in the store */
	struct publisher *publisher;
	struct watches *watches; /* of folders that it publishes */
	struct follows *follows;
	struct search *search;
	struct share_texts *texts; /* of schemas; NULL: not yet */
	struct communities *communities;
	uint64_t bind_ns; /* when shares are looked through again; UINT64_MAX: never */
	struct blobs_held held;
	struct announce *announce;    /* NULL: there is no overlay */
	enum overlay_keepers keepers; /* of the overlay, in the turn before */
	struct lan_discovery *lan;    /* NULL: simulated */
	struct member_finder *finder;
};

/* node_sharing_overlay: ops NULL when this node has none. */
struct overlay_seam node_sharing_overlay(struct sharing *sharing);

/* sharing_publish.c: what this node publishes and watches, and announcing what it holds. */
WEFT_MUST_CHECK
int node_sharing_open_publisher(struct sharing *sharing);
WEFT_MUST_CHECK
int node_sharing_open_watches(struct sharing *sharing);
WEFT_MUST_CHECK
int node_sharing_open_announce(struct sharing *sharing);
void node_sharing_turn_announce(struct sharing *sharing);

/* sharing_follow.c: what it follows, and the search index. */
WEFT_MUST_CHECK
int node_sharing_open_search(struct sharing *sharing);
WEFT_MUST_CHECK
int node_sharing_open_follows(struct sharing *sharing);

/* sharing_schemas.c: a followed share came into use, has another revision, or is not used any more. */
void node_sharing_schemas_changed(struct sharing *sharing, const struct follow *follow);

/* sharing_community.c: node_sharing_bind_soon: what shares say of communities is to be looked through. */
WEFT_MUST_CHECK
int node_sharing_open_communities(struct sharing *sharing);
void node_sharing_bind_soon(struct sharing *sharing);
void node_sharing_turn_bindings(struct sharing *sharing, uint64_t now_ns);

/* sharing_lan.c: discovery on the LAN. */
WEFT_MUST_CHECK
int node_sharing_open_lan(struct sharing *sharing);

#endif
