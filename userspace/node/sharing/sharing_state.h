/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_STATE_H
#define WEFT_NODE_SHARING_STATE_H

#include "content/announce/announce.h"
#include "content/announce/held.h"
#include "mesh/overlay/overlay.h"
#include "node/sharing/sharing.h"

/* Private to sharing*.c, with the methods that show or change a part. */
struct sharing {
	struct node *node;
	struct follows *follows;
	struct announce_held held;
	struct announce *announce;    /* NULL: there is no overlay */
	enum overlay_keepers keepers; /* of the overlay, in the turn before */
};

/* sharing_overlay: ops NULL when this node has none. */
struct overlay_seam sharing_overlay(struct sharing *sharing);

/* follow.c: shares of others that this node follows, and what is told of them. */
WEFT_MUST_CHECK
int sharing_open_follows(struct sharing *sharing);

/* announce.c */
WEFT_MUST_CHECK
int sharing_open_announce(struct sharing *sharing);
void sharing_turn_announce(struct sharing *sharing);

#endif
