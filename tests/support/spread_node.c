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

void spread_node_add(struct mesh_lab *lab, const struct spread_params *params,
		     struct spread_node *out_node)
{
	struct spread_params own = *params;

	out_node->node = mesh_lab_add(lab);
	mesh_lab_up(out_node->node);
	out_node->node->caps = MESH_CAP_SERVICE_RELAY;
	timer_wheel_init(&out_node->timers, lab->now_ns);
	own.mesh = mesh_lab_seam_of(out_node->node);
	own.neighbours = &mesh_lab_neighbours;
	own.timers = &out_node->timers;
	own.wall_s = on_wall_s;
	own.ctx = lab;
	offers_address(out_node->node->key, own.address);
	if (offers_spread_new(&own, &out_node->spread) < 0)
		abort();
	out_node->node->expire = on_turn;
	out_node->node->next_ns = on_next_ns;
	out_node->node->ctx = out_node;
}

void spread_node_free(struct spread_node *node)
{
	offers_spread_free(node->spread);
}
