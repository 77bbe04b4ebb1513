/* SPDX-License-Identifier: Apache-2.0 */
/* The node's functions for reachability (reachability/reachability.h). Home worker. */
#include <stdio.h>
#include <string.h>

#include "api/events/events.h"
#include "dht/dht.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"

/* STUN, and the probes of two rooms. */
static void on_input(void *ctx, const struct dgram *dgram, uint64_t now_ns)
{
	struct node *node = ctx;

	if (dgram->judged.flow == WEFT_FLOW_PROBE && node->punch &&
	    punch_input(node->punch, dgram, now_ns))
		return;
	reachability_input(node->reachability, dgram, now_ns);
}

static void on_sink(void *ctx, struct dgram_sink *sink)
{
	struct node *node = ctx;

	reachability_set_sink(node->reachability, sink);
	if (node->punch)
		punch_set_sink(node->punch, sink);
}

static const struct worker_reachability reachability_ops = {
	.input = on_input,
	.set_sink = on_sink,
};

/* The DHT writes from the same port. */
static bool on_has_contacted(void *ctx, const struct addr *addr)
{
	const struct node *node = ctx;

	for (enum dht_net net = 0; node->locate->dht && net < DHT_FAMILY_CNT; net++) {
		struct kad_table_iter iter = dht_nodes(node->locate->dht, net);
		const struct kad_node *known;

		while ((known = kad_table_next(&iter)))
			if (known->contact.addr.family == addr->family &&
			    memcmp(known->contact.addr.ip, addr->ip, sizeof(addr->ip)) == 0)
				return true;
	}
	return false;
}

/* The machine's addresses: those that an operator names may be a router's. */
static unsigned on_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	const struct node *node = ctx;
	struct advertised own;

	net_advertise(&own, NULL, 0, node->home->bound, node->home->bound_cnt);
	memcpy(addrs, own.addrs, own.cnt * sizeof(addrs[0]));
	return own.cnt;
}

static void on_changed(void *ctx, const struct reachability_view *view)
{
	struct node *node = ctx;

	api_tell_reachability(node->api, view);
	/* Nodes of the DHT would keep it in their tables, and ask it in vain. */
	if (node->locate->dht)
		dht_set_hidden(node->locate->dht, reachability_is_hidden(view->kind));
	social_set_direct(node->social, view->kind == REACHABILITY_DIRECT);
	social_moved(node->social, node->home->now_ns);
	node_mappings_changed(node, node->home->now_ns);
	relay_end_review(node->relay_end, node->home->now_ns);
}

static void on_checked(void *ctx, const struct addr *remote, uint64_t now_ns)
{
	mesh_stun_answered(((struct node *)ctx)->home->mesh, remote, now_ns);
}

void node_stun_ask(void *ctx, const struct addr *remote)
{
	struct node *node = ctx;

	if (node->reachability)
		reachability_check(node->reachability, remote, node->home->now_ns);
}

/* What goes through the NAT is sent often enough. */
static void on_life_changed(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	quic_engine_set_nat_keepalive(
		node->home->quic, reachability_keepalive_ns(node->reachability, ADDR_NONE), now_ns);
	relay_end_review(node->relay_end, now_ns);
}

int node_open_reachability(struct node *node, const struct node_params *from, char *what)
{
	struct reachability_params params = {
		.config = node->config->reachability,
		.sink = &node->home->ports.sink,
		.timers = &node->home->timers,
		.random = node->random,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.site = node->config->mesh.site,
		.asks = !from->is_simulated || from->asks_address,
		.now_ns = node->home->now_ns,
		.own_addrs = on_own_addrs,
		.has_contacted = on_has_contacted,
		.changed = on_changed,
		.checked = on_checked,
		.life_changed = on_life_changed,
		.life_measured = node_nat_lives_save,
		.ctx = node,
	};
	int err;

	params.nat_port_send = node_nat_port_send;
	if (!from->is_simulated)
		node_nat_ports_open(node, params.nat_ports);
	snprintf(what, NODE_WHAT_CAP, "reachability");
	err = reachability_new(&params, &node->reachability);
	if (err < 0)
		return err;
	/* Not before: a network of the last run may be this one, and has its keep-alive. */
	node_nat_lives_load(node, node->home->now_ns);
	on_life_changed(node, node->home->now_ns);
	node->home->reachability = &reachability_ops;
	node->home->reachability_ctx = node;
	return 0;
}

void node_close_reachability(struct node *node)
{
	node->home->reachability = NULL;
	node_nat_ports_close(node);
	reachability_free(node->reachability);
	node->reachability = NULL;
}
