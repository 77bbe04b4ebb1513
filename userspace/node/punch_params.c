/* SPDX-License-Identifier: Apache-2.0 */
/* The node's functions for hole punching (punch/punch.h). Home worker. */
#include <stdio.h>
#include <string.h>

#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "reachability/observed.h"

_Static_assert(ADVERTISED_MAX <= PUNCH_CANDIDATES_MAX, "all addresses have room");

/* Others see this node at one or two addresses of a family. What is older helps less. */
#define OBSERVED_MAX 4u

/* A single voter counts: a lie costs one probe. */
static void observed_add(const struct node *node, struct advertised *all)
{
	unsigned cnt_max = all->cnt + OBSERVED_MAX;
	uint64_t now_ns = node->home->now_ns;
	struct observation row;

	for (unsigned at = 0; reachability_seen(node->reachability, at, &row); at++)
		if (all->cnt < cnt_max && now_ns - row.at_ns < OBSERVED_LIFE_NS)
			net_advertised_add(all, &row.seen);
}

static bool is_mapped(const struct node *node, const struct addr *addr)
{
	const struct reachability_view *view = reachability_show(node->reachability);
	struct addr mapped;

	return (view->kind == REACHABILITY_MAPPED && addr_equal(&view->addr, addr)) ||
	       (port_mapping_external(node->port_mapping, ADDR_UDP, &mapped) &&
		addr_equal(&mapped, addr));
}

/* Proved and mapped ones, then what others see, then the machine's own. */
static unsigned on_candidates(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX],
			      uint64_t *out_mapped)
{
	const struct node *node = ctx;
	const struct advertised *own = &node->machine->advertised;
	struct advertised all = {.cnt = 0};

	for (unsigned i = 0; i < node->machine->outer_cnt; i++)
		net_advertised_add(&all, &own->addrs[i]);
	observed_add(node, &all);
	for (unsigned i = node->machine->outer_cnt; i < own->cnt; i++)
		net_advertised_add(&all, &own->addrs[i]);
	memcpy(out, all.addrs, all.cnt * sizeof(out[0]));
	*out_mapped = 0;
	for (unsigned i = 0; i < all.cnt; i++)
		*out_mapped |= (uint64_t)is_mapped(node, &all.addrs[i]) << i;
	return all.cnt;
}

static enum punch_nat on_nat(void *ctx)
{
	const struct node *node = ctx;

	switch (reachability_show(node->reachability)->kind) {
	case REACHABILITY_DIRECT:
	case REACHABILITY_MAPPED:
		return PUNCH_NAT_NONE;
	case REACHABILITY_PUNCHABLE:
		return PUNCH_NAT_EASY;
	case REACHABILITY_HARD:
		return PUNCH_NAT_HARD;
	case REACHABILITY_BLOCKED:
		return PUNCH_NAT_BLOCKED;
	default:
		return PUNCH_NAT_UNKNOWN;
	}
}

static bool on_refuses(void *ctx, const uint8_t *key, const struct addr *addr)
{
	return mesh_may_not_dial(((const struct node *)ctx)->home->mesh, key, addr);
}

static int on_probe_key(void *ctx, const uint8_t *key, uint8_t out[static 32])
{
	const struct node *node = ctx;

	return mesh_session_export(node->home->mesh, key, PUNCH_EXPORTER_LABEL, out, 32);
}

static bool on_path(void *ctx, const uint8_t *key, struct punch_path *out_path)
{
	const struct node *node = ctx;
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node->home->mesh, key, &path) ||
	    path.local.family == ADDR_NONE)
		return false;
	*out_path = (struct punch_path){.local = path.local,
					.remote = path.remote,
					.is_direct = path.remote.transport == ADDR_UDP,
					.is_dialled = path.is_dialled,
					.is_used = path.is_used};
	return true;
}

static bool on_move(void *ctx, const uint8_t *key, const struct addr *local,
		    const struct addr *remote)
{
	struct node *node = ctx;
	struct mesh_path path;

	return mesh_neighbour_ops.path(node->home->mesh, key, &path) &&
	       path.remote.transport != ADDR_TCP && !addr_equal(&path.remote, remote) &&
	       quic_engine_move(node->home->quic, &path.remote, local, remote, node->home->now_ns);
}

static void on_spare(void *ctx, const struct addr *from, const struct addr *local,
		     const struct addr *remote)
{
	quic_engine_fall_back_on(((struct node *)ctx)->home->quic, from, local, remote);
}

void node_find_path(void *ctx, const uint8_t *key)
{
	struct node *node = ctx;

	if (node->punch)
		punch_begin(node->punch, key, node->home->now_ns);
}

int node_open_punch(struct node *node, char *what)
{
	const struct punch_params params = {
		.sink = &node->home->tx->sink,
		.timers = &node->home->timers,
		.random = node->random,
		.mesh = mesh_seam_of(node->home->mesh),
		.site = node->config->mesh.site,
		.candidates = on_candidates,
		.nat = on_nat,
		.refuses = on_refuses,
		.probe_key = on_probe_key,
		.path = on_path,
		.move = on_move,
		.spare = on_spare,
		.ctx = node,
	};

	snprintf(what, NODE_WHAT_CAP, "hole punching");
	return punch_new(&params, &node->punch);
}

void node_close_punch(struct node *node)
{
	punch_free(node->punch);
	node->punch = NULL;
}
