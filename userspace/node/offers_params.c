/* SPDX-License-Identifier: Apache-2.0 */
/* What service offers take of the node. Home worker. */
#include <stdio.h>

#include "node/node_state.h"

static uint64_t on_wall_s(void *ctx)
{
	return node_wall_us(ctx) / 1000000;
}

int node_open_offers(struct node *node, char *what)
{
	const struct service_offers_params params = {
		.config = node->config->offers,
		.site = node->config->mesh.site,
		.key = node->key,
		.store = node->store,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.timers = &node->home->timers,
		.random = node->random,
		.wall_s = on_wall_s,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};

	snprintf(what, NODE_WHAT_CAP, "service offers");
	return params.config.is_on ? offers_open(&params, &node->offers) : 0;
}

void node_close_offers(struct node *node)
{
	offers_close(node->offers);
	node->offers = node->api->offers = NULL;
}
