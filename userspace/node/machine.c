/* SPDX-License-Identifier: Apache-2.0 */
/* The node's reaction to changes of the machine's addresses, links and routes. Home worker. */
#include <errno.h>

#include "mesh/mesh.h"
#include "net/local/address_watch.h"
#include "net/port_probe.h"
#include "node/node_state.h"
#include "quic/quic.h"

_Static_assert(ADVERTISED_MAX == MESH_PEER_ADDRS_MAX, "a HELLO carries all that are advertised");

void node_advertise(struct node *node)
{
	net_advertise(&node->machine->advertised, node->config->advertise,
		      node->config->advertise_cnt, node->home->bound, node->home->bound_cnt);
}

static void on_addrs(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	worker_fastpath_addresses_changed(node->fastpath);
	node_advertise(node);
	locate_publish_changed(node->locate->publish, now_ns);
	reachability_changed(node->reachability, now_ns);
	node_fabric_addresses_changed(node->fabric, now_ns);
	node_sharing_addresses_changed(node->sharing, now_ns);
}

static void on_routes(void *ctx, uint64_t now_ns)
{
	quic_engine_rebind(((struct node *)ctx)->home->quic, net_local_choose, NULL, now_ns);
}

static void on_ways(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	worker_wake(node->home, now_ns);
	if (node->threads->workers)
		workers_wake(node->threads->workers);
}

static void on_hold(void *ctx, const struct udp_hold *hold)
{
	struct node *node = ctx;

	worker_hold(node->home, hold);
	if (node->threads->workers)
		workers_hold(node->threads->workers, hold);
}

static void on_answer(void *ctx, const struct addr *remote, bool is_there, uint64_t now_ns)
{
	mesh_knocked(((struct node *)ctx)->home->mesh, remote,
		     is_there ? MESH_PORT_PROBE_THERE : MESH_PORT_PROBE_NOBODY, now_ns);
}

void node_port_probe(void *ctx, const struct addr *remote)
{
	struct node *node = ctx;

	if (node->machine->port_probes && !net_address_watch_is_holding(node->machine->addresses))
		net_port_probe(node->machine->port_probes, remote);
}

int node_watch_machine(struct node *node)
{
	const struct address_watch_params watch = {
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.addrs_changed = on_addrs,
		.routes_changed = on_routes,
		.ways_changed = on_ways,
		.hold_changed = on_hold,
		.ctx = node,
	};
	const struct port_probes_params probes = {
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.random = node->random,
		.now_ns = &node->home->now_ns,
		.answered = on_answer,
		.ctx = node,
	};
	int err = net_address_watch_open(&watch, &node->machine->addresses);

	if (err < 0)
		return err;
	node->machine->port_probes = net_port_probes_new(&probes);
	return node->machine->port_probes ? 0 : -ENOMEM;
}

void node_unwatch_machine(struct node *node)
{
	net_address_watch_close(node->machine->addresses);
	node->machine->addresses = NULL;
	net_port_probes_free(node->machine->port_probes);
	node->machine->port_probes = NULL;
}
