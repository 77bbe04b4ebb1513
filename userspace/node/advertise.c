/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses links and HELLO carry: those the configuration names,
 * else those the sockets are bound to, with a wildcard replaced by the
 * machine's own addresses of that family. Home worker, at start and when
 * those change; a HELLO carries what was there at start.
 */
#include <ifaddrs.h>
#include <net/if.h>

#include "node/node_state.h"

static void advertised_add(struct node *node, const struct addr *addr)
{
	for (unsigned i = 0; i < node->advertised_cnt; i++)
		if (addr_equal(&node->advertised[i], addr))
			return;
	if (node->advertised_cnt < MESH_PEER_ADDRS_MAX)
		node->advertised[node->advertised_cnt++] = *addr;
}

/* Link-local addresses mean nothing on another machine and are left out. */
static void advertised_add_interfaces(struct node *node, const struct addr *wildcard,
				      bool is_loopback_wanted)
{
	struct ifaddrs *list, *at;
	struct addr addr;

	if (getifaddrs(&list) < 0)
		return;
	for (at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) ||
		    addr_from_sockaddr(at->ifa_addr, &addr) < 0)
			continue;
		addr.port = wildcard->port;
		if (addr.family == wildcard->family && !addr_is_link_local(&addr) &&
		    addr_is_loopback(&addr) == is_loopback_wanted)
			advertised_add(node, &addr);
	}
	freeifaddrs(list);
}

void node_advertise(struct node *node)
{
	const struct node_config *config = node->config;

	node->advertised_cnt = 0;
	for (unsigned i = 0; i < config->advertise_cnt; i++)
		advertised_add(node, &config->advertise[i]);
	if (node->advertised_cnt)
		return;
	for (unsigned i = 0; i < node->home.bound_cnt; i++) {
		if (addr_is_wildcard(&node->home.bound[i]))
			advertised_add_interfaces(node, &node->home.bound[i], false);
		else
			advertised_add(node, &node->home.bound[i]);
	}
	/* A machine without a network still reaches itself. */
	for (unsigned i = 0; i < node->home.bound_cnt && !node->advertised_cnt; i++)
		if (addr_is_wildcard(&node->home.bound[i]))
			advertised_add_interfaces(node, &node->home.bound[i], true);
}
