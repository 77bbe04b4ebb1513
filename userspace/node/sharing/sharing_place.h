/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_SHARING_PLACE_H
#define WEFT_NODE_SHARING_SHARING_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/link.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct node;

/* What an id of a share or of a collection stands for on this node, now. */
struct sharing_place {
	uint8_t manifest_id[32];
	/* Nodes that its link names; peers point to addrs of hints. */
	struct link_node hints[LINK_NODES_MAX];
	struct mesh_peer peers[LINK_NODES_MAX];
	unsigned peer_cnt;
};

/*
 * node_sharing_place_of: the newest revision of a share that is published or followed here, or
 * a collection that is shared or was got here. 0, WEFT_EABSENT, WEFT_EREFUSED (a blocklist
 * names it, or it was revoked) or WEFT_EBUSY (it has no revision yet).
 */
WEFT_MUST_CHECK
int node_sharing_place_of(struct node *node, const uint8_t id[static 32],
			  struct sharing_place *out_place);
/*
 * node_sharing_place_called: as node_sharing_place_of, of the share that is published or followed
 * here and called text, or whose id begins so. WEFT_EABSENT also when several are.
 */
WEFT_MUST_CHECK
int node_sharing_place_called(struct node *node, const char *text, struct sharing_place *out_place);
/* node_sharing_blocks: the blocklist of a share that is followed names this content. */
bool node_sharing_blocks(const struct node *node, const uint8_t content_id[static 32]);

#endif
