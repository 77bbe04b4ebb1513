/* SPDX-License-Identifier: Apache-2.0 */
#include "group_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const uint8_t mdns_ipv4[4] = {224, 0, 0, 251};
static const uint8_t mdns_ipv6[16] = {0xff, 0x02, [15] = 0xfb};
/* RFC 6762, 11: what came through no router. */
#define MDNS_TTL 255

struct option {
	int level, name, value;
};

static int options_set(int fd, const struct option *options, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return -errno;
	return 0;
}

static int kind_set(int fd, enum group_kind kind)
{
	static const struct option all[] = {
		{SOL_SOCKET, SO_REUSEADDR, 1},
		{SOL_SOCKET, SO_REUSEPORT, 1},
	};
	/*
	 * The socket hears the groups that it joined itself, not those of other sockets of the
	 * machine.
	 */
	static const struct option ipv4[] = {
		{IPPROTO_IP, IP_PKTINFO, 1},
		{IPPROTO_IP, IP_MULTICAST_TTL, MDNS_TTL},
		{IPPROTO_IP, IP_MULTICAST_LOOP, 1},
		{IPPROTO_IP, IP_MULTICAST_ALL, 0},
	};
	static const struct option ipv6[] = {
		{IPPROTO_IPV6, IPV6_V6ONLY, 1},
		{IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
		{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, MDNS_TTL},
		{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1},
	};
	static const struct option broadcast[] = {
		{IPPROTO_IP, IP_PKTINFO, 1},
		{SOL_SOCKET, SO_BROADCAST, 1},
	};
	int err = options_set(fd, all, sizeof(all) / sizeof(all[0]));

	if (err < 0)
		return err;
	switch (kind) {
	case GROUP_MDNS_IPV4:
		return options_set(fd, ipv4, sizeof(ipv4) / sizeof(ipv4[0]));
	case GROUP_MDNS_IPV6:
		return options_set(fd, ipv6, sizeof(ipv6) / sizeof(ipv6[0]));
	default:
		return options_set(fd, broadcast, sizeof(broadcast) / sizeof(broadcast[0]));
	}
}

static bool is_ipv6(const struct group_socket *group)
{
	return group->kind == GROUP_MDNS_IPV6;
}

int net_group_socket_open(struct group_socket *group, enum group_kind kind, uint16_t port)
{
	struct addr any = {.family = kind == GROUP_MDNS_IPV6 ? ADDR_IPV6 : ADDR_IPV4, .port = port};
	struct sockaddr_storage sa;
	unsigned sa_len = addr_to_sockaddr(&any, &sa);
	int err;

	*group = (struct group_socket){kind, port, -1};
	group->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (group->fd < 0)
		return -errno;
	err = kind_set(group->fd, kind);
	if (err == 0 && bind(group->fd, (struct sockaddr *)&sa, sa_len) < 0)
		err = -errno;
	if (err < 0)
		net_group_socket_close(group);
	return err;
}

void net_group_socket_close(struct group_socket *group)
{
	if (group->fd >= 0)
		close(group->fd);
	group->fd = -1;
}

static int membership(const struct group_socket *group, uint32_t interface, bool is_join)
{
	struct ip_mreqn ipv4 = {.imr_ifindex = (int)interface};
	struct ipv6_mreq ipv6 = {.ipv6mr_interface = interface};
	int err;

	if (group->kind == GROUP_BROADCAST)
		return 0;
	memcpy(&ipv4.imr_multiaddr, mdns_ipv4, sizeof(mdns_ipv4));
	memcpy(&ipv6.ipv6mr_multiaddr, mdns_ipv6, sizeof(mdns_ipv6));
	if (is_ipv6(group))
		err = setsockopt(group->fd, IPPROTO_IPV6,
				 is_join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &ipv6, sizeof(ipv6));
	else
		err = setsockopt(group->fd, IPPROTO_IP,
				 is_join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &ipv4,
				 sizeof(ipv4));
	return err < 0 && !(is_join && errno == EADDRINUSE) ? -errno : 0;
}

int net_group_socket_join(const struct group_socket *group, uint32_t interface)
{
	return membership(group, interface, true);
}

void net_group_socket_leave(const struct group_socket *group, uint32_t interface)
{
	(void)membership(group, interface, false);
}

static struct addr group_addr(const struct group_socket *group)
{
	struct addr addr = {.family = is_ipv6(group) ? ADDR_IPV6 : ADDR_IPV4, .port = group->port};

	if (is_ipv6(group))
		memcpy(addr.ip, mdns_ipv6, sizeof(mdns_ipv6));
	else if (group->kind == GROUP_MDNS_IPV4)
		memcpy(addr.ip, mdns_ipv4, sizeof(mdns_ipv4));
	else
		memset(addr.ip, 0xff, 4);
	return addr;
}

/* Room for the packet info of either family, aligned as its head. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void control_fill(struct msghdr *msg, const struct group_socket *group, uint32_t interface)
{
	struct in_pktinfo ipv4 = {.ipi_ifindex = (int)interface};
	struct in6_pktinfo ipv6 = {.ipi6_ifindex = interface};
	size_t len = is_ipv6(group) ? sizeof(ipv6) : sizeof(ipv4);
	struct cmsghdr *cmsg = msg->msg_control;

	msg->msg_controllen = CMSG_SPACE(len);
	cmsg->cmsg_level = is_ipv6(group) ? IPPROTO_IPV6 : IPPROTO_IP;
	cmsg->cmsg_type = is_ipv6(group) ? IPV6_PKTINFO : IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), is_ipv6(group) ? (void *)&ipv6 : (void *)&ipv4, len);
}

int net_group_socket_send(const struct group_socket *group, uint32_t interface, const void *bytes,
			  size_t len)
{
	struct addr to = group_addr(group);
	struct sockaddr_storage sa;
	union control control = {0};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = addr_to_sockaddr(&to, &sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
	};

	control_fill(&msg, group, interface);
	return sendmsg(group->fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 0: it was sent to a local address, not to all. */
static uint32_t interface_of(struct msghdr *msg)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		struct in_pktinfo ipv4;
		struct in6_pktinfo ipv6;

		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
			memcpy(&ipv4, CMSG_DATA(cmsg), sizeof(ipv4));
			/* The second is a local address in any case (ip(7)). */
			if (ipv4.ipi_addr.s_addr == ipv4.ipi_spec_dst.s_addr)
				return 0;
			return (uint32_t)ipv4.ipi_ifindex;
		}
		if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
			memcpy(&ipv6, CMSG_DATA(cmsg), sizeof(ipv6));
			return IN6_IS_ADDR_MULTICAST(&ipv6.ipi6_addr) ? ipv6.ipi6_ifindex : 0;
		}
	}
	return 0;
}

int net_group_socket_receive(const struct group_socket *group, void *bytes, size_t cap,
			     struct addr *out_source, uint32_t *out_interface)
{
	struct sockaddr_storage sa;
	union control control;
	struct iovec iov = {bytes, cap};
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = recvmsg(group->fd, &msg, MSG_DONTWAIT);

	if (len < 0)
		return -errno;
	*out_interface = interface_of(&msg);
	return addr_from_sockaddr((struct sockaddr *)&sa, out_source) < 0 ? -EAFNOSUPPORT
									  : (int)len;
}
