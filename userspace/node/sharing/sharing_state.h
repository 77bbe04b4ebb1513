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
	struct announce_held held;
	struct announce *announce;    /* NULL: there is no overlay */
	enum overlay_keepers keepers; /* of the overlay, in the turn before */
};

/* announce.c */
WEFT_MUST_CHECK
int sharing_open_announce(struct sharing *sharing, char *what);
void sharing_turn_announce(struct sharing *sharing);

#endif
