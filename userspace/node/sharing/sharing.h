/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_H
#define WEFT_NODE_SHARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shares/announce/announce.h"
#include "community/community.h"
#include "shares/publish/publish.h"
#include "shares/publish/share_watch.h"
#include "shares/follow/follow.h"
#include "search/search.h"
#include "mesh/seam.h"
#include "lan/lan_discovery.h"
#include "config/sharing_config.h"
#include "weft/err.h"

/*
 * The parts built on blobs/ and the overlay, put together. They are the shares that are
 * published, followed and searched, their communities, the holders of content, and the
 * nodes of the same LAN.
 *
 * Home worker only.
 */
struct sharing;
struct node;

/*
 * node_sharing_open when home and the fabric are open. 0 with node->sharing, which stays NULL
 * when it is off, or a negative code with what naming the object at fault. node_sharing_stop
 * before the fabric stops ends what is under way, node_sharing_free after home closed. Both take
 * NULL.
 */
WEFT_MUST_CHECK
int node_sharing_open(struct node *node, char *what);
void node_sharing_stop(struct sharing *sharing);
void node_sharing_free(struct sharing *sharing);

/*
 * node_sharing_open_schemas when the offers are open, too: schemas of followed shares are read.
 * node_sharing_read_schemas: that those of a share are wanted has changed. Both take NULL.
 */
WEFT_MUST_CHECK
int node_sharing_open_schemas(struct sharing *sharing);
void node_sharing_read_schemas(struct sharing *sharing, const uint8_t share_id[static 32],
			       uint64_t now_ns);

/* node_sharing_turn does what is due; node_sharing_next_ns: when that is next. Both take NULL. */
void node_sharing_turn(struct sharing *sharing, uint64_t now_ns);
uint64_t node_sharing_next_ns(const struct sharing *sharing);
/* node_sharing_choices: enum mesh_choice, for the node of key by what is followed. */
uint32_t node_sharing_choices(const struct sharing *sharing,
			      const uint8_t key[static MESH_KEY_LEN]);
/* node_sharing_is_member: the node of key is a member of a community that this node has joined. */
bool node_sharing_is_member(const struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN]);
/*
 * Content that peers may read changed, or, with a manifest_id, a get of it has ended.
 * Takes NULL.
 */
void node_sharing_content_changed(struct sharing *sharing, const uint8_t *manifest_id,
				  uint64_t now_ns);
/* node_sharing_get_moved: a get ended or was forgotten. Takes NULL. */
void node_sharing_get_moved(struct sharing *sharing);
/*
 * A session came or went; the addresses that are advertised changed; a reload changed the
 * configuration. All take NULL.
 */
void node_sharing_session_changed(struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN],
				  bool is_up, uint64_t now_ns);
void node_sharing_addresses_changed(struct sharing *sharing, uint64_t now_ns);
/* node_sharing_relays_changed: this node is reached through other relays. Takes NULL. */
void node_sharing_relays_changed(struct sharing *sharing, uint64_t now_ns);
void node_sharing_configure(struct sharing *sharing, const struct sharing_config *config,
			    uint64_t now_ns);

#endif
