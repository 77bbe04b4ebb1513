/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnetlink says of devices, with messages as the kernel writes them. */
#include "net/xdp/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/net/link_message.h"
#include "support/check.h"

static bool parse(const struct link_message *message, struct netdev *out_netdev, bool *out_is_gone)
{
	return net_netdev_parse((const void *)message->bytes, out_netdev, out_is_gone);
}

static void test_device_is_read_with_all_that_it_says(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};
	struct link_message message;
	struct netdev netdev;
	bool is_gone = true;

	link_message_begin(&message, RTM_NEWLINK, 12, IFF_UP | IFF_RUNNING);
	link_message_put(&message, IFLA_IFNAME, "eth7", 5);
	link_message_u32(&message, IFLA_MTU, 1500);
	link_message_u32(&message, IFLA_MASTER, 3);
	link_message_u32(&message, IFLA_LINK, 4);
	link_message_put(&message, IFLA_ADDRESS, mac, sizeof(mac));
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK(!is_gone);
	CHECK_STR(netdev.name, "eth7");
	CHECK_EQ(netdev.ifindex, 12);
	CHECK_EQ(netdev.mtu, 1500);
	CHECK_EQ(netdev.master_ifindex, 3);
	CHECK_EQ(netdev.link_ifindex, 4);
	CHECK_MEM(netdev.mac, mac, sizeof(mac));
	CHECK(netdev.is_up && netdev.is_running && netdev.is_ethernet && !netdev.is_loopback);
	CHECK_EQ(netdev.rx_queue_cnt, 0);
	CHECK_EQ(netdev.prog_id, 0);
	CHECK(!net_netdev_is_vlan(&netdev));
}

static void test_flags_and_kind_of_link_are_each_their_own(void)
{
	static const struct {
		unsigned flags;
		uint16_t type;
		bool is_up, is_running, is_loopback, is_ethernet;
	} rows[] = {
		{0, ARPHRD_ETHER, false, false, false, true},
		{IFF_UP, ARPHRD_ETHER, true, false, false, true},
		{IFF_RUNNING, ARPHRD_ETHER, false, true, false, true},
		{IFF_UP | IFF_RUNNING | IFF_LOOPBACK, ARPHRD_LOOPBACK, true, true, true, false},
		{IFF_UP | IFF_RUNNING, ARPHRD_NONE, true, true, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct link_message message;
		struct netdev netdev;
		bool is_gone;

		link_message_begin(&message, RTM_NEWLINK, 1, rows[i].flags);
		link_message_info(&message)->ifi_type = rows[i].type;
		CHECK(parse(&message, &netdev, &is_gone));
		CHECK_EQ(netdev.is_up, rows[i].is_up);
		CHECK_EQ(netdev.is_running, rows[i].is_running);
		CHECK_EQ(netdev.is_loopback, rows[i].is_loopback);
		CHECK_EQ(netdev.is_ethernet, rows[i].is_ethernet);
	}
}

static void linkinfo_put(struct link_message *message, const char *kind, const uint16_t *id,
			 const uint16_t *type)
{
	struct rtattr *info = link_message_attr_begin(message, IFLA_LINKINFO), *data;

	link_message_put(message, IFLA_INFO_KIND, kind, strlen(kind) + 1);
	/* The kernel marks nests in the type of some attributes. */
	data = link_message_attr_begin(message, IFLA_INFO_DATA | NLA_F_NESTED);
	if (id)
		link_message_put(message, IFLA_VLAN_ID, id, sizeof(*id));
	if (type)
		link_message_put(message, IFLA_VLAN_PROTOCOL, type, sizeof(*type));
	link_message_attr_end(message, data);
	link_message_attr_end(message, info);
}

static void test_vlan_has_its_id_and_its_ethertype(void)
{
	const uint16_t id = 42, type = htons(ETH_P_8021AD);
	struct link_message message;
	struct netdev netdev;
	bool is_gone;

	link_message_begin(&message, RTM_NEWLINK, 5, 0);
	linkinfo_put(&message, "vlan", &id, &type);
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK_STR(netdev.kind, "vlan");
	CHECK(net_netdev_is_vlan(&netdev));
	CHECK_EQ(netdev.vlan_id, 42);
	CHECK_EQ(netdev.vlan_type, ETH_P_8021AD);

	link_message_begin(&message, RTM_NEWLINK, 5, 0);
	linkinfo_put(&message, "vlan", &id, NULL);
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK_EQ(netdev.vlan_id, 42);
	CHECK_EQ(netdev.vlan_type, 0);

	/* Numbers of the data of other kinds mean something else. */
	link_message_begin(&message, RTM_NEWLINK, 5, 0);
	linkinfo_put(&message, "bond", &id, &type);
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK_STR(netdev.kind, "bond");
	CHECK(!net_netdev_is_vlan(&netdev));
	CHECK_EQ(netdev.vlan_id, 0);
	CHECK_EQ(netdev.vlan_type, 0);
}

static void test_program_is_found_in_whatever_mode_it_runs(void)
{
	static const uint16_t types[] = {IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID,
					 IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID};

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct link_message message;
		struct netdev netdev;
		struct rtattr *xdp;
		uint8_t mode = 1;
		bool is_gone;

		link_message_begin(&message, RTM_NEWLINK, 5, 0);
		xdp = link_message_attr_begin(&message, IFLA_XDP | NLA_F_NESTED);
		link_message_put(&message, IFLA_XDP_ATTACHED, &mode, 1);
		link_message_u32(&message, types[i], 900 + i);
		link_message_attr_end(&message, xdp);
		CHECK(parse(&message, &netdev, &is_gone));
		CHECK_EQ(netdev.prog_id, 900 + i);
	}
}

static void test_attribute_that_is_too_short_counts_as_nothing(void)
{
	static const uint8_t short_mac[4] = {9, 9, 9, 9}, none[6] = {0};
	struct link_message message;
	struct netdev netdev;
	bool is_gone;

	link_message_begin(&message, RTM_NEWLINK, 5, 0);
	link_message_put(&message, IFLA_MTU, "\1\1\1", 3);
	link_message_put(&message, IFLA_ADDRESS, short_mac, sizeof(short_mac));
	link_message_put(&message, IFLA_IFNAME, "a-name-that-is-too-long", 24);
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK_EQ(netdev.mtu, 0);
	CHECK_MEM(netdev.mac, none, sizeof(none));
	CHECK_STR(netdev.name, "a-name-that-is-");
}

static void test_other_messages_are_not_about_a_device(void)
{
	struct link_message message;
	struct netdev netdev = {.mtu = 7};
	bool is_gone = false;

	link_message_begin(&message, RTM_NEWADDR, 5, 0);
	CHECK(!parse(&message, &netdev, &is_gone));
	link_message_begin(&message, RTM_NEWLINK, 5, 0);
	message.len--;
	link_message_seal(&message);
	CHECK(!parse(&message, &netdev, &is_gone));
	/* A port that leaves its bridge is no device that goes. */
	link_message_begin(&message, RTM_DELLINK, 5, 0);
	link_message_info(&message)->ifi_family = AF_BRIDGE;
	CHECK(!parse(&message, &netdev, &is_gone));
	CHECK_EQ(netdev.mtu, 7);
	CHECK(!is_gone);
	link_message_begin(&message, RTM_DELLINK, 5, 0);
	CHECK(parse(&message, &netdev, &is_gone));
	CHECK(is_gone);
}

struct seen {
	unsigned cnt, gone_cnt;
	unsigned last_ifindex;
};

static void changed(void *ctx, const struct netdev *netdev, bool is_gone)
{
	struct seen *seen = ctx;

	seen->cnt++;
	seen->gone_cnt += is_gone;
	seen->last_ifindex = netdev->ifindex;
}

static void test_watch_drains_all_messages_of_all_datagrams(void)
{
	struct link_message first, second;
	uint8_t both[2048];
	struct seen seen = {0};
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	link_message_begin(&first, RTM_NEWLINK, 5, 0);
	link_message_begin(&second, RTM_DELLINK, 6, 0);
	memcpy(both, first.bytes, first.len);
	memcpy(both + NLMSG_ALIGN(first.len), second.bytes, second.len);
	CHECK(send(fds[0], both, NLMSG_ALIGN(first.len) + second.len, 0) > 0);
	link_message_begin(&first, RTM_NEWADDR, 8, 0);
	CHECK(send(fds[0], first.bytes, first.len, 0) > 0);
	link_message_begin(&first, RTM_NEWLINK, 7, 0);
	CHECK(send(fds[0], first.bytes, first.len, 0) > 0);
	CHECK(!net_netdev_watch_drain(fds[1], changed, &seen));
	CHECK_EQ(seen.cnt, 3);
	CHECK_EQ(seen.gone_cnt, 1);
	CHECK_EQ(seen.last_ifindex, 7);
	CHECK(!net_netdev_watch_drain(fds[1], changed, &seen));
	CHECK_EQ(seen.cnt, 3);
	close(fds[0]);
	close(fds[1]);
}

struct found {
	unsigned cnt, lo_cnt;
	struct netdev lo;
};

static void found(void *ctx, const struct netdev *netdev)
{
	struct found *all = ctx;

	all->cnt++;
	if (strcmp(netdev->name, "lo") == 0) {
		all->lo = *netdev;
		all->lo_cnt++;
	}
}

/* Every network namespace has this device. */
static void test_loopback_is_listed_once_and_read_by_name(void)
{
	struct found all = {0};
	struct netdev lo;

	CHECK_EQ(net_netdev_each(found, &all), 0);
	CHECK(all.cnt >= 1);
	CHECK_EQ(all.lo_cnt, 1);
	CHECK(all.lo.is_loopback && !all.lo.is_ethernet);
	CHECK_EQ(net_netdev_read("lo", &lo), 0);
	CHECK_STR(lo.name, "lo");
	CHECK_EQ(lo.ifindex, all.lo.ifindex);
	CHECK_EQ(lo.mtu, all.lo.mtu);
	CHECK(lo.rx_queue_cnt >= 1);
	CHECK(lo.is_loopback);
}

static void test_unknown_and_impossible_names_are_no_device(void)
{
	struct netdev netdev;

	CHECK_EQ(net_netdev_read("none-such0", &netdev), -ENODEV);
	CHECK_EQ(net_netdev_read("", &netdev), -ENODEV);
	CHECK_EQ(net_netdev_read("sixteen-letters-", &netdev), -ENODEV);
}

static void test_watch_is_readable_without_waiting(void)
{
	struct seen seen = {0};
	int fd = net_netdev_watch_open();

	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(!net_netdev_watch_drain(fd, changed, &seen));
	close(fd);
}

int main(void)
{
	RUN(test_device_is_read_with_all_that_it_says);
	RUN(test_flags_and_kind_of_link_are_each_their_own);
	RUN(test_vlan_has_its_id_and_its_ethertype);
	RUN(test_program_is_found_in_whatever_mode_it_runs);
	RUN(test_attribute_that_is_too_short_counts_as_nothing);
	RUN(test_other_messages_are_not_about_a_device);
	RUN(test_watch_drains_all_messages_of_all_datagrams);
	RUN(test_loopback_is_listed_once_and_read_by_name);
	RUN(test_unknown_and_impossible_names_are_no_device);
	RUN(test_watch_is_readable_without_waiting);
	return check_done();
}
