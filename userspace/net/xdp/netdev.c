/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's description of a network device: rtnetlink gives its kind
 * and state, ethtool its driver and queues. Set-up, and the watch on the
 * worker that owns the attached devices.
 */
#include "netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES_LEN 32768 /* what the kernel recommends for one read of rtnetlink */

static void text_copy(char *dst, size_t cap, const struct rtattr *attr)
{
	snprintf(dst, cap, "%.*s", (int)RTA_PAYLOAD(attr), (const char *)RTA_DATA(attr));
}

static uint32_t u32_of(const struct rtattr *attr)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attr) >= sizeof(value))
		memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

static const struct rtattr *nested_find(const struct rtattr *nest, unsigned short type)
{
	const struct rtattr *at = RTA_DATA(nest);
	size_t len = RTA_PAYLOAD(nest);

	for (; RTA_OK(at, len); at = RTA_NEXT(at, len))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return at;
	return NULL;
}

/* One program, or with several modes at once the one of any of them. */
static uint32_t prog_id_of(const struct rtattr *nest)
{
	static const unsigned short types[] = {IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID,
					       IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct rtattr *attr = nested_find(nest, types[i]);

		if (attr)
			return u32_of(attr);
	}
	return 0;
}

bool net_netdev_is_vlan(const struct netdev *netdev)
{
	return strcmp(netdev->kind, "vlan") == 0;
}

static uint16_t u16_of(const struct rtattr *attr)
{
	uint16_t value = 0;

	if (RTA_PAYLOAD(attr) >= sizeof(value))
		memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

static void linkinfo_take(const struct rtattr *nest, struct netdev *netdev)
{
	const struct rtattr *kind = nested_find(nest, IFLA_INFO_KIND);
	const struct rtattr *data = nested_find(nest, IFLA_INFO_DATA), *attr;

	if (kind)
		text_copy(netdev->kind, sizeof(netdev->kind), kind);
	if (!data || !net_netdev_is_vlan(netdev))
		return;
	if ((attr = nested_find(data, IFLA_VLAN_ID)))
		netdev->vlan_id = u16_of(attr);
	if ((attr = nested_find(data, IFLA_VLAN_PROTOCOL)))
		netdev->vlan_type = ntohs(u16_of(attr));
}

static void attr_take(const struct rtattr *attr, struct netdev *netdev)
{

	switch (attr->rta_type & NLA_TYPE_MASK) {
	case IFLA_IFNAME:
		text_copy(netdev->name, sizeof(netdev->name), attr);
		break;
	case IFLA_MTU:
		netdev->mtu = u32_of(attr);
		break;
	case IFLA_MASTER:
		netdev->master_ifindex = u32_of(attr);
		break;
	case IFLA_LINKINFO:
		linkinfo_take(attr, netdev);
		break;
	case IFLA_LINK:
		netdev->link_ifindex = u32_of(attr);
		break;
	case IFLA_ADDRESS:
		if (RTA_PAYLOAD(attr) == sizeof(netdev->mac))
			memcpy(netdev->mac, RTA_DATA(attr), sizeof(netdev->mac));
		break;
	case IFLA_XDP:
		netdev->prog_id = prog_id_of(attr);
		break;
	default:
		break;
	}
}

bool net_netdev_parse(const struct nlmsghdr *message, struct netdev *out_netdev, bool *out_is_gone)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *attr;
	struct netdev netdev = {0};
	size_t len;

	if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
	    message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_family != AF_UNSPEC)
		return false;
	netdev.ifindex = (unsigned)info->ifi_index;
	netdev.is_up = info->ifi_flags & IFF_UP;
	netdev.is_running = info->ifi_flags & IFF_RUNNING;
	netdev.is_loopback = info->ifi_flags & IFF_LOOPBACK;
	netdev.is_ethernet = info->ifi_type == ARPHRD_ETHER;
	len = IFLA_PAYLOAD(message);
	for (attr = IFLA_RTA(info); RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		attr_take(attr, &netdev);
	*out_netdev = netdev;
	*out_is_gone = message->nlmsg_type == RTM_DELLINK;
	return true;
}

static int link_ask(int fd, const char *name)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr attr;
		char name[NETDEV_NAME_CAP];
	} ask = {
		.header = {.nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
		.info = {.ifi_family = AF_UNSPEC},
		.attr = {.rta_type = IFLA_IFNAME},
	};

	if (strlen(name) >= sizeof(ask.name) || !*name)
		return -ENODEV;
	snprintf(ask.name, sizeof(ask.name), "%s", name);
	ask.attr.rta_len = (unsigned short)RTA_LENGTH(strlen(name) + 1);
	ask.header.nlmsg_len =
		(uint32_t)(NLMSG_LENGTH(sizeof(ask.info)) + RTA_ALIGN(ask.attr.rta_len));
	return send(fd, &ask, ask.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

static int link_answer(int fd, struct netdev *out_netdev)
{
	_Alignas(struct nlmsghdr) char messages[MESSAGES_LEN];
	const struct nlmsghdr *message = (const void *)messages;
	ssize_t len = recv(fd, messages, sizeof(messages), 0);
	bool is_gone;

	if (len < 0)
		return -errno;
	if (!NLMSG_OK(message, (size_t)len))
		return -EPROTO;
	if (message->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *err = NLMSG_DATA(message);

		return err->error ? err->error : -ENODEV;
	}
	return net_netdev_parse(message, out_netdev, &is_gone) ? 0 : -EPROTO;
}

/* Fields that ethtool does not know stay as they are: "" and one queue. */
static void ethtool_ask(struct netdev *netdev)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ask = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	netdev->rx_queue_cnt = 1;
	if (fd < 0)
		return;
	memcpy(ask.ifr_name, netdev->name, sizeof(ask.ifr_name));
	ask.ifr_data = (void *)&driver;
	if (ioctl(fd, SIOCETHTOOL, &ask) == 0)
		snprintf(netdev->driver, sizeof(netdev->driver), "%.31s", driver.driver);
	ask.ifr_data = (void *)&channels;
	if (ioctl(fd, SIOCETHTOOL, &ask) == 0 && channels.rx_count + channels.combined_count)
		netdev->rx_queue_cnt = channels.rx_count + channels.combined_count;
	close(fd);
}

int net_netdev_read(const char *name, struct netdev *out_netdev)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct netdev netdev;
	int err;

	if (fd < 0)
		return -errno;
	err = link_ask(fd, name);
	if (!err)
		err = link_answer(fd, &netdev);
	close(fd);
	if (err < 0)
		return err;
	ethtool_ask(&netdev);
	*out_netdev = netdev;
	return 0;
}

/* Reads what the kernel sends until it says that this was all. */
static int links_read(int fd, netdev_seen_fn seen, void *ctx)
{
	_Alignas(struct nlmsghdr) char messages[MESSAGES_LEN];

	for (;;) {
		ssize_t got = recv(fd, messages, sizeof(messages), 0);
		size_t len = got > 0 ? (size_t)got : 0;
		const struct nlmsghdr *message = (const void *)messages;
		struct netdev netdev;
		bool is_gone;

		if (got <= 0)
			return got < 0 ? -errno : -EPROTO;
		for (; NLMSG_OK(message, len); message = NLMSG_NEXT(message, len)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR)
				return -EPROTO;
			if (net_netdev_parse(message, &netdev, &is_gone))
				seen(ctx, &netdev);
		}
	}
}

int net_netdev_each(netdev_seen_fn seen, void *ctx)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} ask = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(ask.info)),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.info = {.ifi_family = AF_UNSPEC},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	err = send(fd, &ask, sizeof(ask), 0) < 0 ? -errno : links_read(fd, seen, ctx);
	close(fd);
	return err;
}

int net_netdev_watch_open(void)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool net_netdev_watch_drain(int fd, netdev_changed_fn changed, void *ctx)
{
	_Alignas(struct nlmsghdr) char messages[MESSAGES_LEN];
	bool is_lost = false;

	for (;;) {
		ssize_t got = recv(fd, messages, sizeof(messages), 0);
		size_t len = got > 0 ? (size_t)got : 0;
		const struct nlmsghdr *message = (const void *)messages;
		struct netdev netdev;
		bool is_gone;

		if (got < 0 && errno == ENOBUFS) {
			is_lost = true;
			continue;
		}
		if (got <= 0)
			return is_lost;
		for (; NLMSG_OK(message, len); message = NLMSG_NEXT(message, len))
			if (net_netdev_parse(message, &netdev, &is_gone))
				changed(ctx, &netdev, is_gone);
	}
}
