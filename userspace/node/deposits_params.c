/* SPDX-License-Identifier: Apache-2.0 */
/* What deposits take of the node. Home worker. */
#include <stdio.h>

#include "node/node_state.h"

static uint64_t on_wall_s(void *ctx)
{
	return node_wall_us(ctx) / 1000000;
}

static bool on_admit(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	return relay_messages_admit(((struct node *)ctx)->relay_messages, call, now_ns);
}

int node_open_deposits(struct node *node, char *what)
{
	struct deposits_params params = {
		.config = node->config->deposits,
		.site = node->config->mesh.site,
		.key = node->key,
		.store = node->store,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.timers = &node->home->timers,
		.random = node->random,
		.wall_s = on_wall_s,
		.class_of = node_peer_class,
		.admit = on_admit,
		.peer_of = node_store_peer,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};

	snprintf(what, NODE_WHAT_CAP, "deposits for nodes that are away");
	params.config.is_store = params.config.is_store && !node->config->mesh.is_light;
	/* Offers and people leave some of their own. */
	if (!params.config.is_store && !node->config->offers.is_on && !node->config->social.is_on)
		return 0;
	return deposits_open(&params, &node->deposits);
}

void node_stop_deposits(struct node *node)
{
	node->api->deposits = NULL;
	deposits_stop(node->deposits);
}

void node_close_deposits(struct node *node)
{
	deposits_close(node->deposits);
	node->deposits = NULL;
}
