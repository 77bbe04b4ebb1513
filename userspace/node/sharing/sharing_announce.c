/* SPDX-License-Identifier: Apache-2.0 */
/* Who has what: shares/announce between blobs/ and the overlay. */
#include "blobs/blobs.h"
#include "blobs/swarm/finder.h"
#include "overlay/overlay.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(ctx) / 1000000;
}

int node_sharing_open_announce(struct sharing *sharing)
{
	struct node *node = sharing->node;
	struct announce_params params = {
		.config = node->config->sharing.announce,
		.held = &sharing->held,
		.key = node->key,
		.store = node->store,
		.jobs = node->home.jobs,
		.timers = &node->home.timers,
		.now_ns = node->home.now_ns,
		.wall_s = wall_s,
		.ctx = node,
	};
	struct swarm_finder finder;
	int err;

	/* Without the overlay there is nobody to tell. */
	if (!node->fabric)
		return 0;
	sharing->held = shares_announce_held_of(node->home.content);
	params.overlay = overlay_seam_of(node_fabric_overlay(node->fabric));
	if ((err = shares_announce_new(&params, &sharing->announce)) < 0)
		return err;
	shares_announce_set_addresses(sharing->announce, node->advertised, node->advertised_cnt,
				      params.now_ns);
	finder = shares_announce_finder(sharing->announce);
	return blobs_add_finder(node->home.content, &finder);
}

void node_sharing_turn_announce(struct sharing *sharing)
{
	enum overlay_keepers keepers;

	if (!sharing->announce)
		return;
	keepers = overlay_keepers(node_fabric_overlay(sharing->node->fabric));
	if (keepers > sharing->keepers) {
		shares_announce_hurry(sharing->announce);
		shares_publisher_hurry(sharing->publisher, sharing->node->home.now_ns);
	}
	sharing->keepers = keepers;
}
