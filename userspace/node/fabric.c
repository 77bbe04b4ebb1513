/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric's composition: each part is handed what it may know of the
 * others. Home worker.
 */
#include "node/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mesh/neighbours.h"
#include "node/node_state.h"

struct fabric {
	struct node *node;
	struct overlay *overlay;
};

void fabric_config_defaults(struct fabric_config *config)
{
	config->is_on = true;
	overlay_config_defaults(&config->overlay);
}

size_t fabric_footprint(const struct fabric_config *config)
{
	return config->is_on ? overlay_footprint(&config->overlay) : 0;
}

/* Others can dial an address that is announced and no private one. */
static bool is_public(const struct node *node)
{
	for (unsigned i = 0; i < node->advertised_cnt; i++)
		if (addr_is_global(&node->advertised[i]))
			return true;
	return false;
}

static int open_overlay(struct fabric *fabric)
{
	struct node *node = fabric->node;
	struct overlay_params params = {
		.config = node->config->fabric.overlay,
		.own_key = node->own_key,
		.mesh = mesh_seam_of(node->home.mesh),
		.neighbours = &mesh_neighbour_ops,
		.store = node->store,
		.random = node->random,
		.now_ns = node->home.now_ns,
		.wall_s = node_wall_us(node) / 1000000,
	};

	params.config.is_public = is_public(node);
	return overlay_new(&params, &fabric->overlay);
}

int fabric_open(struct node *node, char *what)
{
	struct fabric *fabric;
	int err;

	if (!node->config->fabric.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "service fabric");
	fabric = calloc(1, sizeof(*fabric));
	if (!fabric)
		return -ENOMEM;
	node->fabric = fabric;
	fabric->node = node;
	if ((err = open_overlay(fabric)) < 0)
		return err;
	return overlay_start(fabric->overlay, node->home.now_ns);
}

void fabric_free(struct fabric *fabric)
{
	if (!fabric)
		return;
	fabric->node->fabric = NULL;
	overlay_free(fabric->overlay);
	free(fabric);
}

void fabric_turn(struct fabric *fabric, uint64_t now_ns)
{
	if (fabric)
		overlay_expire(fabric->overlay, now_ns);
}

uint64_t fabric_next_ns(const struct fabric *fabric)
{
	return fabric ? overlay_next_ns(fabric->overlay) : UINT64_MAX;
}

void fabric_set_wall(struct fabric *fabric, uint64_t wall_s, uint64_t now_ns)
{
	if (fabric)
		overlay_set_wall(fabric->overlay, wall_s, now_ns);
}

void fabric_configure(struct fabric *fabric, const struct fabric_config *config, uint64_t now_ns)
{
	struct overlay_config overlay = config->overlay;

	if (!fabric)
		return;
	overlay.is_public = is_public(fabric->node);
	overlay_configure(fabric->overlay, &overlay, now_ns);
}

struct overlay *fabric_overlay(struct fabric *fabric)
{
	return fabric->overlay;
}
