/* SPDX-License-Identifier: Apache-2.0 */
/* The node's reaction to changes of the machine's addresses, links and routes. Home worker. */
#include <errno.h>
#include <string.h>

#include "mesh/mesh.h"
#include "net/local/address_watch.h"
#include "net/port_probe.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "tcp/tcp.h"

_Static_assert(ADVERTISED_MAX == MESH_PEER_ADDRS_MAX, "a HELLO carries all that are advertised");
_Static_assert(ADVERTISED_MAX == PEER_ADDRS_MAX, "and so do a node's places");

static bool has_host(const struct advertised *all, const struct addr *addr)
{
	for (unsigned i = 0; i < all->cnt; i++)
		if (addr_is_same_host(&all->addrs[i], addr))
			return true;
	return false;
}

/* What a third node proved, and what a router maps. An own address that is gone proves nothing. */
static void outer_add(const struct node *node, const struct advertised *own, struct advertised *all)
{
	const struct reachability_view *view;
	struct addr mapped;

	if (node->config->advertise_cnt)
		return;
	view = node->reachability ? reachability_show(node->reachability) : NULL;
	if (view && (view->kind == REACHABILITY_MAPPED ||
		     (view->kind == REACHABILITY_DIRECT && has_host(own, &view->addr))))
		net_advertised_add(all, &view->addr);
	if (port_mapping_external(node->port_mapping, ADDR_UDP, &mapped))
		net_advertised_add(all, &mapped);
}

/* HELLO says where QUIC is, and as far as there is room where TCP is. */
static void hello_fill(const struct node *node, const struct advertised *own)
{
	const struct tcp_config *tcp = &node->config->tcp;
	struct advertised *hello = &node->machine->hello;
	struct addr addr;

	*hello = node->machine->advertised;
	if (node->home->is_simulated || !tcp->is_on)
		return;
	if (!node->config->advertise_cnt &&
	    port_mapping_external(node->port_mapping, ADDR_TCP, &addr))
		net_advertised_add(hello, &addr);
	for (unsigned i = 0; i < own->cnt; i++) {
		addr = tcp_config_addr(tcp, &own->addrs[i]);
		net_advertised_add(hello, &addr);
	}
}

void node_advertise(struct node *node)
{
	struct machine *machine = node->machine;
	struct advertised own, all = {.cnt = 0};

	net_advertise(&own, node->config->advertise, node->config->advertise_cnt, node->home->bound,
		      node->home->bound_cnt);
	outer_add(node, &own, &all);
	machine->outer_cnt = all.cnt;
	for (unsigned i = 0; i < own.cnt; i++)
		net_advertised_add(&all, &own.addrs[i]);
	machine->advertised = all;
	hello_fill(node, &own);
}

unsigned node_outer_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	const struct machine *machine = ((struct node *)ctx)->machine;

	memcpy(addrs, machine->advertised.addrs, machine->outer_cnt * sizeof(addrs[0]));
	return machine->outer_cnt;
}

void node_places(const struct node *node, struct peer_places *out_places)
{
	const struct advertised *advertised = &node->machine->advertised;

	*out_places = (struct peer_places){.addr_cnt = advertised->cnt};
	memcpy(out_places->addrs, advertised->addrs, sizeof(out_places->addrs));
	if (node->relay_end)
		out_places->via_cnt = relay_end_kept(node->relay_end, out_places->vias);
}

static bool is_same(const struct advertised *a, const struct advertised *b)
{
	for (unsigned i = 0; i < a->cnt && a->cnt == b->cnt; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return a->cnt == b->cnt;
}

static void tell_addresses(struct node *node, uint64_t now_ns)
{
	const struct advertised *hello = &node->machine->hello;

	mesh_set_addrs(node->home->mesh, hello->addrs, hello->cnt);
	node->threads->is_addrs_due = node->threads->workers != NULL;
	locate_publish_changed(node->locate->publish, now_ns);
	social_moved(node->social, now_ns);
	node_fabric_addresses_changed(node->fabric, now_ns);
	node_sharing_addresses_changed(node->sharing, now_ns);
}

void node_addresses_changed(struct node *node, uint64_t now_ns)
{
	const struct advertised hello = node->machine->hello;

	node_advertise(node);
	if (!is_same(&hello, &node->machine->hello))
		tell_addresses(node, now_ns);
}

static void on_addrs(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	worker_fastpath_addresses_changed(node->fastpath);
	node_advertise(node);
	tell_addresses(node, now_ns);
	reachability_changed(node->reachability, now_ns);
	port_mapping_changed(node->port_mapping, now_ns);
}

/* A path through a relay has labels in place of the machine's addresses. */
static bool choose_local(void *ctx, const struct addr *remote, const struct addr *local,
			 struct addr *out_local)
{
	return !addr_is_relayed(remote) && net_local_choose(ctx, remote, local, out_local);
}

static void on_routes(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	quic_engine_rebind(node->home->quic, choose_local, NULL, now_ns);
	port_mapping_changed(node->port_mapping, now_ns);
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

	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++)
		node->nat_ports[i].hold = *hold;
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
