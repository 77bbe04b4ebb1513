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

/* Proved and mapped ones, then what others see, then the machine's own. */
static unsigned on_candidates(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX])
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

static bool on_move(void *ctx, const uint8_t *key, const struct addr *local,
		    const struct addr *remote)
{
	struct node *node = ctx;
	struct mesh_path path;

	return mesh_neighbour_ops.path(node->home->mesh, key, &path) &&
	       addr_is_relayed(&path.remote) &&
	       quic_engine_move(node->home->quic, &path.remote, local, remote, node->home->now_ns);
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
		.move = on_move,
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
