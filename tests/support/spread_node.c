/* SPDX-License-Identifier: Apache-2.0 */
#include "support/spread_node.h"

#include <stdlib.h>

static void on_turn(void *ctx, uint64_t now_ns)
{
	timer_wheel_expire(&((struct spread_node *)ctx)->timers, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	return timer_wheel_next_ns(&((struct spread_node *)ctx)->timers);
}

static uint64_t on_wall_s(void *ctx)
{
	return mesh_lab_wall_s(ctx);
}

static void node_open(struct spread_node *node)
{
	struct spread_params own = node->params;

	mesh_lab_up(node->node);
	node->node->caps = MESH_CAP_SERVICE_RELAY;
	timer_wheel_init(&node->timers, node->node->lab->now_ns);
	own.mesh = mesh_lab_seam_of(node->node);
	own.neighbours = &mesh_lab_neighbours;
	own.timers = &node->timers;
	own.wall_s = on_wall_s;
	own.ctx = node->node->lab;
	own.now_ns = node->node->lab->now_ns;
	offers_address(node->node->key, own.address);
	if (offers_spread_new(&own, &node->spread) < 0)
		abort();
	node->node->expire = on_turn;
	node->node->next_ns = on_next_ns;
	node->node->ctx = node;
}

void spread_node_add(struct mesh_lab *lab, const struct spread_params *params,
		     struct spread_node *out_node)
{
	out_node->node = mesh_lab_add(lab);
	out_node->params = *params;
	node_open(out_node);
}

void spread_node_again(struct spread_node *node, struct store *store)
{
	node->params.store = store;
	node_open(node);
}

void spread_node_free(struct spread_node *node)
{
	offers_spread_free(node->spread);
	node->spread = NULL;
}
