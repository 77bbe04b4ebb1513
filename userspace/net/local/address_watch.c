/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's own addresses come and go (DHCP, roaming, VPNs), and the kernel
 * says so over rtnetlink. Which addresses a message names does not matter: each
 * connection's is checked. A link, an address or a route that is new may be the
 * way back to peers. While a link is down nothing is sent into it (link_hold.c).
 * Home worker.
 */
#include "net/local/address_watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "net/local/link_hold.h"
#include "net/packet_io.h"

/*
 * Devices whose state is remembered, by ifindex. A device that shares the place of another one is
 * taken to have changed.
 */
#define LINKS_CNT 64
/*
 * The other end of a link learns of it at another moment. An ARP request sent at once was
 * answered into a queue that was not open yet. That was so in 3 of 8 flaps of veth, within 12 ms
 * (2026-11).
 */
#define SETTLE_NS (50 * NS_PER_MS)
#define ADDRS_MAX 128

struct address_watch {
	struct poller_watch watch; /* first */
	struct address_watch_params params;
	struct timer settling;
	struct watched_link {
		int ifindex;
		bool is_running;
		bool is_lost; /* it went, and is not back for SETTLE_NS */
		bool is_back; /* for good, in this turn */
		uint64_t
			back_ns; /* while it is_running and is_lost: when it will be back for good */
	} links[LINKS_CNT];
	struct udp_hold hold; /* as last given to hold_changed */
};

/* The result of the kernel's messages. */
enum change {
	CHANGE_ADDRS = 1, /* the machine's addresses may be others */
	CHANGE_WAY = 2,	  /* there may be a way to peers that was not there */
	CHANGE_LINK = 4,  /* what is_lost */
};

/* Whether ip can be bound to: 0, or -errno; -EADDRNOTAVAIL: it is not this machine's. */
static int socket_bound(const struct addr *ip)
{
	struct addr any_port = *ip;
	struct sockaddr_storage sa;
	unsigned len;
	int fd = socket(ip->family == ADDR_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	any_port.port = 0;
	len = addr_to_sockaddr(&any_port, &sa);
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The local address as the kernel would choose it for remote; nothing is sent. */
static bool source_for(const struct addr *remote, struct addr *out_local)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(remote, &sa);
	int fd = socket(remote->family == ADDR_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
			0);
	bool is_found;

	if (fd < 0)
		return false;
	is_found = connect(fd, (struct sockaddr *)&sa, len) == 0;
	len = sizeof(sa);
	is_found = is_found && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
		   addr_from_sockaddr((struct sockaddr *)&sa, out_local) == 0;
	close(fd);
	return is_found;
}

bool net_local_choose(void *ctx, const struct addr *remote, const struct addr *local,
		      struct addr *out_local)
{
	(void)ctx;
	if (socket_bound(local) != -EADDRNOTAVAIL || !source_for(remote, out_local))
		return false;
	out_local->port = local->port;
	return true;
}

/*
 * Wireless devices send many messages while they run: only the begin of running is news. A device
 * that went is a way again when it has been back for a moment.
 */
static unsigned link_change(struct address_watch *addresses, const struct nlmsghdr *message,
			    uint64_t now_ns)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	struct watched_link *link = &addresses->links[(unsigned)info->ifi_index % LINKS_CNT];
	bool is_running = message->nlmsg_type == RTM_NEWLINK && info->ifi_flags & IFF_UP &&
			  info->ifi_flags & IFF_RUNNING;

	if (link->ifindex != info->ifi_index)
		*link = (struct watched_link){.ifindex = info->ifi_index};
	if (is_running == link->is_running && (is_running || link->is_lost))
		return CHANGE_ADDRS;
	link->is_running = is_running;
	if (!is_running) {
		link->is_lost = message->nlmsg_type == RTM_NEWLINK;
		return CHANGE_ADDRS | CHANGE_LINK;
	}
	if (!link->is_lost)
		return CHANGE_ADDRS | CHANGE_WAY;
	link->back_ns = now_ns + SETTLE_NS;
	if (!timer_is_set(&addresses->settling))
		timer_set(addresses->params.timers, &addresses->settling, link->back_ns);
	return CHANGE_ADDRS;
}

static unsigned route_change(const struct nlmsghdr *message)
{
	const struct rtmsg *route = NLMSG_DATA(message);
	bool is_way = route->rtm_type == RTN_UNICAST && route->rtm_table != RT_TABLE_LOCAL &&
		      !(route->rtm_flags & RTM_F_CLONED);

	return is_way ? CHANGE_WAY : 0;
}

static unsigned message_change(struct address_watch *addresses, const struct nlmsghdr *message,
			       uint64_t now_ns)
{
	const struct ifaddrmsg *addr = NLMSG_DATA(message);

	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_change(addresses, message, now_ns);
	case RTM_NEWADDR:
		return CHANGE_ADDRS | (addr->ifa_flags & IFA_F_TENTATIVE ? 0 : CHANGE_WAY);
	case RTM_NEWROUTE:
		return route_change(message);
	case RTM_DELROUTE:
		return 0;
	default:
		return CHANGE_ADDRS;
	}
}

/* A set of enum change. Lost messages (ENOBUFS) are changes, too. */
static unsigned changes_read(struct address_watch *addresses, uint64_t now_ns)
{
	_Alignas(struct nlmsghdr) char messages[8192];
	unsigned changes = 0;

	for (;;) {
		ssize_t got = recv(addresses->watch.fd, messages, sizeof(messages), MSG_DONTWAIT);
		size_t len = got > 0 ? (size_t)got : 0;
		const struct nlmsghdr *message = (const void *)messages;

		if (got < 0 && errno != ENOBUFS)
			return changes;
		if (got <= 0) {
			memset(addresses->links, 0, sizeof(addresses->links));
			changes |= CHANGE_ADDRS | CHANGE_WAY | CHANGE_LINK;
		}
		for (; NLMSG_OK(message, len); message = NLMSG_NEXT(message, len))
			changes |= message_change(addresses, message, now_ns);
	}
}

static bool is_lost(void *ctx, unsigned ifindex)
{
	const struct address_watch *addresses = ctx;
	const struct watched_link *link = &addresses->links[ifindex % LINKS_CNT];

	return link->is_lost && (unsigned)link->ifindex == ifindex;
}

/* No host has these addresses (RFC 5737, RFC 3849): the way to them is the default route. */
static void ways_look(struct addr out_ways[2])
{
	static const char *const somewhere[2] = {"192.0.2.1:9", "[2001:db8::1]:9"};
	struct addr remote;

	for (unsigned i = 0; i < 2; i++)
		if (addr_parse(somewhere[i], &remote) < 0 || !source_for(&remote, &out_ways[i]))
			out_ways[i] = (struct addr){0};
}

static void hold_renew(struct address_watch *addresses)
{
	struct link_addr addrs[ADDRS_MAX];
	struct udp_hold hold = {0};
	struct addr ways[2];

	ways_look(ways);
	net_link_hold_choose(addrs, net_link_hold_look(addrs, ADDRS_MAX, is_lost, addresses), ways,
			     &hold);
	if (!hold.cnt && !addresses->hold.cnt)
		return;
	addresses->hold = hold;
	addresses->params.hold_changed(addresses->params.ctx, &hold);
}

static bool is_back(void *ctx, unsigned ifindex)
{
	const struct address_watch *addresses = ctx;
	const struct watched_link *link = &addresses->links[ifindex % LINKS_CNT];

	return link->is_back && (unsigned)link->ifindex == ifindex;
}

/*
 * A neighbour whose own question was too early for this end of the link would ask again a second
 * later. But any ARP request says where its sender is (RFC 826), also one for an address that no
 * host has. Older kernels take it for a broadcast, which is not allowed, and nothing is lost.
 */
static void call_out(struct address_watch *addresses)
{
	struct link_addr addrs[ADDRS_MAX];
	size_t cnt = net_link_hold_look(addrs, ADDRS_MAX, is_back, addresses);

	for (size_t i = 0; i < cnt; i++) {
		struct addr to = net_link_hold_call(&addrs[i]);
		struct sockaddr_storage from_sa, to_sa;
		unsigned from_len = addr_to_sockaddr(&addrs[i].ip, &from_sa);
		int fd = -1;

		if (addrs[i].is_lost && to.family != ADDR_NONE)
			fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		if (bind(fd, (struct sockaddr *)&from_sa, from_len) == 0)
			(void)sendto(fd, "", 0, MSG_DONTWAIT, (struct sockaddr *)&to_sa,
				     addr_to_sockaddr(&to, &to_sa));
		close(fd);
	}
}

static void links_settled(struct timer *timer, uint64_t now_ns)
{
	struct address_watch *addresses = container_of(timer, struct address_watch, settling);
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < LINKS_CNT; i++) {
		struct watched_link *link = &addresses->links[i];

		if (!link->is_lost || !link->is_running)
			continue;
		link->is_lost = now_ns < link->back_ns;
		link->is_back = !link->is_lost;
		if (link->is_lost && link->back_ns < next_ns)
			next_ns = link->back_ns;
	}
	if (next_ns != UINT64_MAX)
		timer_set(addresses->params.timers, timer, next_ns);
	hold_renew(addresses);
	call_out(addresses);
	for (unsigned i = 0; i < LINKS_CNT; i++)
		addresses->links[i].is_back = false;
	addresses->params.ways_changed(addresses->params.ctx, now_ns);
}

static void address_changed(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct address_watch *addresses = (struct address_watch *)watch;
	const struct address_watch_params *params = &addresses->params;
	unsigned changes = changes_read(addresses, now_ns);

	(void)events;
	if (changes & CHANGE_LINK || (changes & CHANGE_ADDRS && addresses->hold.cnt))
		hold_renew(addresses);
	if (changes & CHANGE_ADDRS)
		params->addrs_changed(params->ctx, now_ns);
	if (changes)
		params->routes_changed(params->ctx, now_ns);
	/* The messages that follow a link's own are no further news. */
	if (changes & CHANGE_WAY && !timer_is_set(&addresses->settling))
		params->ways_changed(params->ctx, now_ns);
}

bool net_address_watch_is_holding(const struct address_watch *addresses)
{
	return addresses && addresses->hold.cnt;
}

int net_address_watch_open(const struct address_watch_params *params,
			   struct address_watch **out_addresses)
{
	/* An address counts while its device is up, and keeps quiet when that comes up after it. */
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	struct address_watch *addresses = calloc(1, sizeof(*addresses));
	int err;

	if (!addresses)
		return -ENOMEM;
	addresses->params = *params;
	timer_init(&addresses->settling, links_settled);
	addresses->watch.ready = address_changed;
	addresses->watch.fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (addresses->watch.fd < 0 ||
	    bind(addresses->watch.fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		err = -errno;
	else
		err = poller_add(params->poller, &addresses->watch, POLLER_IN);
	if (err == 0) {
		*out_addresses = addresses;
		return 0;
	}
	if (addresses->watch.fd >= 0)
		close(addresses->watch.fd);
	free(addresses);
	return err;
}

void net_address_watch_close(struct address_watch *addresses)
{
	if (!addresses)
		return;
	poller_remove(addresses->params.poller, &addresses->watch);
	close(addresses->watch.fd);
	timer_cancel(addresses->params.timers, &addresses->settling);
	free(addresses);
}
