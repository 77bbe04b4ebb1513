/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's own addresses come and go (DHCP, roaming, VPNs). The
 * kernel tells over rtnetlink; connections we dialled from an address that
 * is gone move to the one the kernel would use now (RFC 9000 9.2). Which
 * addresses a message names does not matter: each connection's is checked.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/node_state.h"
#include "quic/quic.h"

struct address_watch {
	struct poller_watch watch;
	struct node *node;
};

/* A socket bound to ip (port 0), or -errno: -EADDRNOTAVAIL when it is not ours. */
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

/* Our address as the kernel would choose it for remote; nothing is sent. */
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

static bool choose_local(void *ctx, const struct addr *remote, const struct addr *local,
			 struct addr *out_local)
{
	(void)ctx;
	if (socket_bound(local) != -EADDRNOTAVAIL || !source_for(remote, out_local))
		return false;
	out_local->port = local->port;
	return true;
}

static void address_changed(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct address_watch *addresses = (struct address_watch *)watch;
	char messages[8192];

	(void)events;
	/* Lost messages (ENOBUFS) are changes, too. */
	while (recv(watch->fd, messages, sizeof(messages), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		errno = 0;
	fastpath_addresses_changed(&addresses->node->fastpath);
	node_advertise(addresses->node);
	publish_changed(addresses->node->publish, now_ns);
	fabric_addresses_changed(addresses->node->fabric, now_ns);
	sharing_addresses_changed(addresses->node->sharing, now_ns);
	quic_engine_rebind(addresses->node->home.quic, choose_local, NULL, now_ns);
}

int node_watch_addresses(struct node *node)
{
	/* An address counts while its device is up, and keeps quiet when that comes up after it. */
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	struct address_watch *addresses = calloc(1, sizeof(*addresses));
	int err = -ENOMEM;

	if (!addresses)
		return err;
	addresses->node = node;
	addresses->watch.ready = address_changed;
	addresses->watch.fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	node->addresses = addresses;
	if (addresses->watch.fd < 0 ||
	    bind(addresses->watch.fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		return -errno;
	return poller_add(node->home.poller, &addresses->watch, POLLER_IN);
}

void node_unwatch_addresses(struct node *node)
{
	if (!node->addresses)
		return;
	if (node->addresses->watch.fd >= 0) {
		poller_remove(node->home.poller, &node->addresses->watch);
		close(node->addresses->watch.fd);
	}
	free(node->addresses);
	node->addresses = NULL;
}
