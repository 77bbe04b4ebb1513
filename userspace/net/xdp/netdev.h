/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_NETDEV_H
#define WEFT_NET_XDP_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Private to net/: a network device as rtnetlink and ethtool describe it,
 * and word of its changes.
 */
#define NETDEV_NAME_CAP 16 /* IFNAMSIZ */

struct nlmsghdr;

struct netdev {
	char name[NETDEV_NAME_CAP];
	char kind[16];	 /* "veth", "bond", "bridge", "tun"; "": a real device or lo */
	char driver[32]; /* of ethtool; "": it does not say */
	unsigned ifindex;
	unsigned master_ifindex; /* bridge or bond it is a port of, else 0 */
	unsigned link_ifindex;	 /* a "vlan"'s device below it; of other kinds something else */
	uint16_t vlan_type;	 /* of a "vlan": the ethertype of its tags */
	uint16_t vlan_id;
	uint8_t mac[6];
	uint32_t mtu;	       /* bytes of IP packet */
	uint32_t rx_queue_cnt; /* in use, at least 1; 0 where not asked (net_netdev_parse) */
	uint32_t prog_id;      /* XDP program in front of it, else 0 */
	bool is_up;	       /* set up by the administrator */
	bool is_running;       /* and has a carrier */
	bool is_ethernet, is_loopback;
};

/* net_netdev_is_vlan: it takes tags off what comes by its link_ifindex. */
bool net_netdev_is_vlan(const struct netdev *netdev);

/* net_netdev_read: the device called name, in this network namespace. 0, -ENODEV or -errno. Blocks. */
WEFT_MUST_CHECK
int net_netdev_read(const char *name, struct netdev *out_netdev);

/*
 * net_netdev_parse reads one message of the kernel; false: it is not about a
 * device. *out_is_gone: the device is no more.
 */
bool net_netdev_parse(const struct nlmsghdr *message, struct netdev *out_netdev, bool *out_is_gone);

/* net_netdev_each calls seen for every device of this namespace. 0 or -errno. Blocks. */
typedef void (*netdev_seen_fn)(void *ctx, const struct netdev *netdev);
WEFT_MUST_CHECK
int net_netdev_each(netdev_seen_fn seen, void *ctx);

/*
 * net_netdev_watch_open gives a descriptor that becomes readable when any
 * device of this namespace changed, or -errno. net_netdev_watch_drain calls
 * changed for each change; true: some were lost, look for yourself. An
 * RTM_DELLINK of a bridge's port says that it left the bridge: only one
 * of the device itself (its ifi_family unspecified) makes it gone.
 */
WEFT_MUST_CHECK
int net_netdev_watch_open(void);
typedef void (*netdev_changed_fn)(void *ctx, const struct netdev *netdev, bool is_gone);
bool net_netdev_watch_drain(int fd, netdev_changed_fn changed, void *ctx);

#endif
