/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datagrams that are not sent while a link is down. The kernel asks for the neighbour (ARP,
 * NDP) into the dead link once a second. Datagrams sent meanwhile only join the queue. After the
 * link is up everything waits for the rest of that second: 0 to 1,000 ms, median 330 in 10 flaps on
 * veth (2026-11). A question that was asked too early, before the other end listens, costs a second
 * as well. Only root can make it ask again. A neighbour that was not wanted while the link was down
 * is asked for at once. So from addresses of such a device nothing leaves until it has been back
 * for a moment (address_watch.c).
 */
#include "net/local/link_hold.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "net/packet_io.h"

/* Subnets of one or two addresses have none to spare (RFC 3021). */
#define CALL_PREFIX_MAX 30
#define DISCARD_PORT	9 /* RFC 863 */

static void hold_add(struct udp_hold *hold, const struct addr *ip)
{
	struct addr *entry;

	if (hold->cnt == UDP_HOLD_MAX)
		return;
	entry = &hold->ips[hold->cnt++];
	*entry = (struct addr){.family = ip->family};
	memcpy(entry->ip, ip->ip, sizeof(entry->ip));
}

/* On a device that is there, of the addresses by which other machines know this one. */
static bool has_live_addr(const struct link_addr *addrs, size_t cnt, unsigned family)
{
	for (size_t i = 0; i < cnt; i++)
		if (addrs[i].ip.family == family && !addrs[i].is_loopback && !addrs[i].is_lost &&
		    !addr_is_link_local(&addrs[i].ip))
			return true;
	return false;
}

static bool is_live(const struct link_addr *addrs, size_t cnt, const struct addr *ip)
{
	for (size_t i = 0; i < cnt; i++)
		if (!addrs[i].is_lost && addrs[i].ip.family == ip->family &&
		    memcmp(addrs[i].ip.ip, ip->ip, sizeof(ip->ip)) == 0)
			return true;
	return false;
}

static void hold_family(const struct link_addr *addrs, size_t cnt, unsigned family,
			struct udp_hold *hold)
{
	const struct addr any = {.family = (uint8_t)family};
	unsigned before = hold->cnt;

	for (size_t i = 0; i < cnt; i++)
		if (addrs[i].ip.family == family && addrs[i].is_lost &&
		    !is_live(addrs, cnt, &addrs[i].ip))
			hold_add(hold, &addrs[i].ip);
	if (hold->cnt > before && !has_live_addr(addrs, cnt, family))
		hold_add(hold, &any);
}

void net_link_hold_choose(const struct link_addr *addrs, size_t cnt, const struct addr ways[2],
			  struct udp_hold *out_hold)
{
	static const unsigned families[2] = {ADDR_IPV4, ADDR_IPV6};

	out_hold->cnt = 0;
	for (unsigned i = 0; i < 2; i++)
		if (ways[i].family == ADDR_NONE || !is_live(addrs, cnt, &ways[i]))
			hold_family(addrs, cnt, families[i], out_hold);
}

static uint8_t prefix_len_of(const struct ifaddrs *at)
{
	struct addr mask;
	uint8_t len = 0;

	if (!at->ifa_netmask || addr_from_sockaddr(at->ifa_netmask, &mask) < 0 ||
	    mask.family != ADDR_IPV4)
		return 0;
	while (len < 32 && mask.ip[len / 8] & 0x80 >> len % 8)
		len++;
	return len;
}

size_t net_link_hold_look(struct link_addr *out_addrs, size_t cap,
			  bool (*is_lost)(void *ctx, unsigned ifindex), void *ctx)
{
	struct ifaddrs *list, *at;
	size_t cnt = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (at = list; at && cnt < cap; at = at->ifa_next) {
		struct link_addr *to = &out_addrs[cnt];

		if (!at->ifa_addr || addr_from_sockaddr(at->ifa_addr, &to->ip) < 0)
			continue;
		to->prefix_len = prefix_len_of(at);
		to->is_loopback = at->ifa_flags & IFF_LOOPBACK;
		to->is_lost = !to->is_loopback && is_lost(ctx, if_nametoindex(at->ifa_name));
		cnt++;
	}
	freeifaddrs(list);
	return cnt;
}

struct addr net_link_hold_call(const struct link_addr *addr)
{
	struct addr to = {0};

	if (addr->ip.family != ADDR_IPV4 || addr->is_loopback || !addr->prefix_len ||
	    addr->prefix_len > CALL_PREFIX_MAX)
		return to;
	to = addr_prefix_key(&addr->ip, addr->prefix_len);
	to.port = DISCARD_PORT;
	return to;
}
