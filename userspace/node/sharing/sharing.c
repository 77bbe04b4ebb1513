/* SPDX-License-Identifier: Apache-2.0 */
/* The composition: each part is handed what it may know of the others. */
#include "node/sharing/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/key_seal.h"
#include "community/member_finder.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"
#include "shares/texts/share_texts.h"

struct overlay_seam node_sharing_overlay(struct sharing *sharing)
{
	struct fabric *fabric = sharing->node->fabric;

	return fabric ? overlay_seam_of(node_fabric_overlay(fabric)) : (struct overlay_seam){0};
}

static int open_seal(struct sharing *sharing)
{
	return key_seal_new(sharing->node->key, &sharing->seal);
}

/* Publishers, followers and nodes that only store judge heads by one rule. */
static int open_heads(struct sharing *sharing)
{
	struct overlay_seam overlay = node_sharing_overlay(sharing);
	struct overlay_rule rule;

	if (!overlay.ops)
		return 0;
	shares_head_rule(&rule);
	return overlay.ops->add_rule(overlay.overlay, &rule);
}

int node_sharing_open(struct node *node, char *what)
{
	static const struct {
		const char *what;
		int (*open)(struct sharing *sharing);
	} parts[] = {
		{"the seal of share keys", open_seal},
		{"heads of shares", open_heads},
		{"shares that are published", node_sharing_open_publisher},
		{"folders that are watched", node_sharing_open_watches},
		{"the search index", node_sharing_open_search},
		{"shares that are followed", node_sharing_open_follows},
		{"communities", node_sharing_open_communities},
		{"announcing what is shared", node_sharing_open_announce},
		{"discovery on the LAN", node_sharing_open_lan},
	};
	struct sharing *sharing;
	int err;

	if (!node->config->sharing.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "shares");
	sharing = calloc(1, sizeof(*sharing));
	if (!sharing)
		return -ENOMEM;
	sharing->node = node;
	node->sharing = sharing;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(what, NODE_WHAT_CAP, "%s", parts[i].what);
		if ((err = parts[i].open(sharing)) < 0)
			return err;
	}
	shares_follows_start(sharing->follows, node->home->now_ns);
	search_settle(sharing->search, node->home->now_ns);
	return 0;
}

void node_sharing_stop(struct sharing *sharing)
{
	if (!sharing)
		return;
	shares_texts_free(sharing->texts);
	sharing->texts = NULL;
	shares_follows_stop(sharing->follows);
	search_stop(sharing->search);
	communities_stop(sharing->communities);
	shares_announce_stop(sharing->announce);
	shares_watches_stop(sharing->watches);
	shares_publisher_stop(sharing->publisher);
	lan_discovery_stop(sharing->lan);
}

void node_sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	shares_follows_free(sharing->follows);
	search_free(sharing->search);
	communities_free(sharing->communities);
	community_finder_free(sharing->finder);
	shares_announce_free(sharing->announce);
	shares_publisher_free(sharing->publisher);
	shares_watches_free(sharing->watches);
	key_seal_free(sharing->seal);
	lan_discovery_free(sharing->lan);
	free(sharing);
}

void node_sharing_turn(struct sharing *sharing, uint64_t now_ns)
{
	if (!sharing)
		return;
	shares_follows_turn(sharing->follows, now_ns);
	node_sharing_turn_bindings(sharing, now_ns);
	communities_turn(sharing->communities, now_ns);
	node_sharing_turn_announce(sharing);
	lan_discovery_turn(sharing->lan, now_ns);
}

uint64_t node_sharing_next_ns(const struct sharing *sharing)
{
	uint64_t lan_ns;

	if (!sharing)
		return UINT64_MAX;
	if (communities_is_due(sharing->communities))
		return sharing->node->home->now_ns;
	lan_ns = lan_discovery_next_ns(sharing->lan);
	return lan_ns < sharing->bind_ns ? lan_ns : sharing->bind_ns;
}

void node_sharing_content_changed(struct sharing *sharing, const uint8_t *manifest_id,
				  uint64_t now_ns)
{
	if (sharing && sharing->announce)
		shares_announce_held_changed(sharing->announce, manifest_id, now_ns);
}

void node_sharing_get_moved(struct sharing *sharing)
{
	if (sharing && sharing->follows)
		shares_follows_gets_moved(sharing->follows);
}

void node_sharing_session_changed(struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN],
				  bool is_up, uint64_t now_ns)
{
	if (!sharing)
		return;
	if (is_up)
		shares_publisher_hurry(sharing->publisher, now_ns);
	communities_session(sharing->communities, key, is_up, now_ns);
}

void node_sharing_addresses_changed(struct sharing *sharing, uint64_t now_ns)
{
	struct peer_places places;

	if (!sharing)
		return;
	node_places(sharing->node, &places);
	communities_set_places(sharing->communities, &places, now_ns);
	if (sharing->announce)
		shares_announce_set_places(sharing->announce, &places, now_ns);
	lan_discovery_addresses_changed(sharing->lan, now_ns);
}

void node_sharing_relays_changed(struct sharing *sharing, uint64_t now_ns)
{
	struct peer_places places;

	if (!sharing)
		return;
	node_places(sharing->node, &places);
	communities_set_places(sharing->communities, &places, now_ns);
	if (sharing->announce)
		shares_announce_set_places(sharing->announce, &places, now_ns);
}

void node_sharing_configure(struct sharing *sharing, const struct sharing_config *config,
			    uint64_t now_ns)
{
	if (!sharing)
		return;
	shares_follows_configure(sharing->follows, &config->follow);
	shares_publisher_configure(sharing->publisher, &config->publisher);
	shares_watches_configure(sharing->watches, &config->watches);
	communities_configure(sharing->communities, &config->community);
	if (sharing->announce)
		shares_announce_configure(sharing->announce, &config->announce, now_ns);
	lan_discovery_configure(sharing->lan, &config->lan, now_ns);
}
