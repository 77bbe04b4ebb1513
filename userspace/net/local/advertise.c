/* SPDX-License-Identifier: Apache-2.0 */
#include "net/local/advertise.h"

#include <ifaddrs.h>
#include <net/if.h>

void net_advertised_add(struct advertised *out, const struct addr *addr)
{
	for (unsigned i = 0; i < out->cnt; i++)
		if (addr_equal(&out->addrs[i], addr))
			return;
	if (out->cnt < ADVERTISED_MAX)
		out->addrs[out->cnt++] = *addr;
}

/* Link-local addresses mean nothing on another machine and are left out. */
static void advertised_add_interfaces(struct advertised *out, const struct addr *wildcard,
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
			net_advertised_add(out, &addr);
	}
	freeifaddrs(list);
}

void net_advertise(struct advertised *out, const struct addr *given, unsigned given_cnt,
		   const struct addr *bound, unsigned bound_cnt)
{
	out->cnt = 0;
	for (unsigned i = 0; i < given_cnt; i++)
		net_advertised_add(out, &given[i]);
	if (out->cnt)
		return;
	for (unsigned i = 0; i < bound_cnt; i++) {
		if (addr_is_wildcard(&bound[i]))
			advertised_add_interfaces(out, &bound[i], false);
		else
			net_advertised_add(out, &bound[i]);
	}
	/* A machine without a network still reaches itself. */
	for (unsigned i = 0; i < bound_cnt && !out->cnt; i++)
		if (addr_is_wildcard(&bound[i]))
			advertised_add_interfaces(out, &bound[i], true);
}
