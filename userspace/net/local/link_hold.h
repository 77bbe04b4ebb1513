/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_LOCAL_LINK_HOLD_H
#define WEFT_NET_LOCAL_LINK_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct udp_hold;

/* An address of this machine, and what is known of its device. */
struct link_addr {
	struct addr ip;
	uint8_t prefix_len; /* of IPv4 */
	bool is_loopback;
	bool is_lost; /* the device was seen to lose its link, and is not back for good */
};

/*
 * net_link_hold_choose: from which of cnt addresses nothing shall leave. ways are
 * the addresses that the kernel would use towards somewhere else, one of each
 * family, or ADDR_NONE where it has no route. While one of them is on a device
 * that is not lost, nothing of that family is held. The machine then has another
 * way, and may use it with any of its addresses.
 */
void net_link_hold_choose(const struct link_addr *addrs, size_t cnt, const struct addr ways[2],
			  struct udp_hold *out_hold);

/*
 * net_link_hold_look: the machine's addresses, at most cap of them. is_lost is
 * asked for the index of each device. Returns how many; 0 when the kernel
 * does not say.
 */
size_t net_link_hold_look(struct link_addr *out_addrs, size_t cap,
			  bool (*is_lost)(void *ctx, unsigned ifindex), void *ctx);

/*
 * net_link_hold_call: the lowest address of the subnet of addr, which no host has.
 * For a datagram to it the kernel asks all neighbours (ARP). ADDR_NONE: there is no such address.
 */
struct addr net_link_hold_call(const struct link_addr *addr);

#endif
