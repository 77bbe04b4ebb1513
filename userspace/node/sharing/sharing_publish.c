/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that this node publishes: their revisions, folders that are watched, and announcing. */
#include "api/events/events.h"
#include "blobs/blobs.h"
#include "blobs/swarm/finder.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"
#include "overlay/overlay.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void on_publish(void *ctx, const struct publish_event *event)
{
	node_sharing_bind_soon(ctx);
	api_tell_publish(((struct sharing *)ctx)->node->api, event);
}

/* A share that this node publishes and follows has a link of another holder of its key. */
static unsigned hints(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
		      const struct link_node **out_hints)
{
	const struct sharing *sharing = ctx;
	const struct follow *follow =
		sharing->follows ? shares_follow_lookup(sharing->follows, share_id) : NULL;

	if (!follow)
		return 0;
	*out_hints = follow->hints;
	return follow->hint_cnt;
}

int node_sharing_open_publisher(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct publisher_params params = {
		.config = node->config->sharing.publisher,
		.content = node->home->content,
		.store = node->store,
		.seal = sharing->seal,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.overlay = node_sharing_overlay(sharing),
		.mesh = mesh_seam_of(node->home->mesh),
		.hints = hints,
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.event = on_publish,
		.ctx = sharing,
	};

	return shares_publisher_new(&params, &sharing->publisher);
}

/* --- folders that are watched --- */

static void on_watch(void *ctx, enum watch_event_kind kind,
		     const uint8_t share_id[static SHARE_ID_LEN], int err)
{
	struct sharing *sharing = ctx;
	const struct watch_notice told = {
		kind, shares_publisher_lookup(sharing->publisher, share_id), share_id, err};

	api_tell_watch(sharing->node->api, &told);
}

int node_sharing_open_watches(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct watches_params params = {
		.config = node->config->sharing.watches,
		.publisher = sharing->publisher,
		.store = node->store,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.now_ns = node->home->now_ns,
		.event = on_watch,
		.ctx = sharing,
	};

	return shares_watches_new(&params, &sharing->watches);
}

/* --- announcing --- */

int node_sharing_open_announce(struct sharing *sharing)
{
	struct node *node = sharing->node;
	struct announce_params params = {
		.config = node->config->sharing.announce,
		.held = &sharing->held,
		.key = node->key,
		.store = node->store,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.ctx = sharing,
	};
	struct peer_places places;
	struct swarm_finder finder;
	int err;

	/* Shares are announced in the overlay alone. */
	if (!node->fabric)
		return 0;
	sharing->held = blobs_held_of(node->home->content);
	params.overlay = overlay_seam_of(node_fabric_overlay(node->fabric));
	if ((err = shares_announce_new(&params, &sharing->announce)) < 0)
		return err;
	node_places(node, &places);
	shares_announce_set_places(sharing->announce, &places, params.now_ns);
	finder = shares_announce_finder(sharing->announce);
	return blobs_add_finder(node->home->content, &finder);
}

void node_sharing_turn_announce(struct sharing *sharing)
{
	enum overlay_keepers keepers;

	if (!sharing->announce)
		return;
	keepers = overlay_keepers(node_fabric_overlay(sharing->node->fabric));
	if (keepers > sharing->keepers) {
		shares_announce_hurry(sharing->announce);
		shares_publisher_hurry(sharing->publisher, sharing->node->home->now_ns);
	}
	sharing->keepers = keepers;
}
