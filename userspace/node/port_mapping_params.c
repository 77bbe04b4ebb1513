/* SPDX-License-Identifier: Apache-2.0 */
/* What port_mapping uses of the node (port_mapping/port_mapping.h). Home worker. */
#include <stdio.h>

#include "api/events/events.h"
#include "node/node_state.h"
#include "tcp/tcp.h"

static int on_watch(void *ctx, struct poller_watch *watch, int fd)
{
	return worker_watch(((struct node *)ctx)->home, watch, fd);
}

static bool on_observed(void *ctx, struct addr *out_addr)
{
	const struct node *node = ctx;

	return reachability_observed(node->reachability, ADDR_IPV4, node->home->now_ns, out_addr);
}

static void mappings_tell(struct node *node, uint64_t now_ns)
{
	struct port_mapping_row row;

	for (unsigned i = 0; port_mapping_row(node->port_mapping, i, now_ns, &row); i++) {
		struct port_mapping_row *told = &node->machine->mappings[i];

		if (row.state != told->state || !addr_equal(&row.external, &told->external))
			api_tell_mapping(node->api, &row);
		*told = row;
	}
}

void node_mappings_changed(struct node *node, uint64_t now_ns)
{
	struct addr mapped;
	bool is_mapped = port_mapping_external(node->port_mapping, ADDR_UDP, &mapped);

	mappings_tell(node, now_ns);
	reachability_set_mapped(node->reachability, is_mapped ? &mapped : NULL, now_ns);
	node_addresses_changed(node, now_ns);
}

static void on_changed(void *ctx, uint64_t now_ns)
{
	node_mappings_changed(ctx, now_ns);
}

/* A port of IPv4 that is not for this machine alone; family ADDR_NONE: there is none. */
static struct addr bound_for_networks(const struct node *node)
{
	for (unsigned i = 0; i < node->home->bound_cnt; i++) {
		const struct addr *bound = &node->home->bound[i];

		if (bound->family == ADDR_IPV4 && !addr_is_loopback(bound))
			return *bound;
	}
	return (struct addr){.family = ADDR_NONE};
}

int node_open_port_mapping(struct node *node, char *what)
{
	const struct node_config *config = node->config;
	struct addr bound = bound_for_networks(node);
	struct port_mapping_params params = {
		.config = config->port_mapping,
		.ports = {{ADDR_UDP, bound.port}},
		.port_cnt = 1,
		.allows_private = config->publish.policy.allows_private,
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.random = node->random,
		.now_ns = node->home->now_ns,
		.watch = on_watch,
		.observed = on_observed,
		.changed = on_changed,
		.ctx = node,
	};

	if (node->home->is_simulated || config->port_mapping.method == PORT_MAPPING_OFF ||
	    bound.family == ADDR_NONE)
		return 0;
	if (config->tcp.is_on)
		params.ports[params.port_cnt++] = (struct port_mapping_port){
			ADDR_TCP, tcp_config_addr(&config->tcp, &bound).port};
	snprintf(what, NODE_WHAT_CAP, "port mapping");
	return port_mapping_open(&params, &node->port_mapping);
}
