/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_COLLECTION_PLACE_H
#define WEFT_API_CONTENT_COLLECTION_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/link.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct api;

/* The present meaning of an id of a share or of a collection on this node. */
struct api_place {
	uint8_t manifest_id[32];
	/* Nodes that its link names; peers point to addrs of hints. */
	struct link_node hints[LINK_NODES_MAX];
	struct mesh_peer peers[LINK_NODES_MAX];
	unsigned peer_cnt;
};

/*
 * api_place_of: the newest revision of a share that is published or followed here, or
 * a collection that is shared or was got here. 0, WEFT_EABSENT, WEFT_EREFUSED (a blocklist
 * names it, or it was revoked) or WEFT_EBUSY (it has no revision yet).
 */
WEFT_MUST_CHECK
int api_place_of(struct api *api, const uint8_t id[static 32], struct api_place *out_place);
/*
 * api_place_called: as api_place_of, of the share that is published or followed
 * here and called text, or whose id begins so. WEFT_EABSENT also when several are.
 */
WEFT_MUST_CHECK
int api_place_called(struct api *api, const char *text, struct api_place *out_place);
/* api_is_blocked: the blocklist of a share that is followed names this content. */
bool api_is_blocked(const struct api *api, const uint8_t content_id[static 32]);

#endif
