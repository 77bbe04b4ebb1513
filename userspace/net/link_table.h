/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_LINK_TABLE_H
#define WEFT_NET_LINK_TABLE_H

#include <stdint.h>

#include "base/addr.h"
#include "net/udp/udp_frame.h"
#include "weft/err.h"

/*
 * Private to net/: how to reach a peer on the link, learned from what it sent. It is the Ethernet
 * header of its frames, reversed, by pair of IP addresses. Nothing is asked (ARP, neighbour
 * discovery): the kernel's socket sends to a peer that is not here.
 *
 * Learned only from frames whose sender had been given a connection id of this node. Any other
 * sender may have forged its address, and would misdirect the answers to a peer.
 *
 * Bounded: sets of four under a keyed hash, the longest silent one gives way. One worker owns it.
 */
#define LINK_TABLE_CAP 4096 /* paths of 72 bytes */
#define LINK_AGE_MAX_S 30   /* unheard for longer, a neighbour may have moved */

struct link_table;

/* net_link_table_new: secret keys the hash. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int net_link_table_new(const uint64_t secret[2], struct link_table **out_table);
void net_link_table_free(struct link_table *table);

/*
 * net_link_table_learn: dgram came by device (a number of the caller's) with
 * the link_len bytes at link in front.
 */
void net_link_table_learn(struct link_table *table, const struct dgram *dgram, const uint8_t *link,
			  size_t link_len, uint8_t device);
/*
 * net_link_table_lookup: the header for a frame from local to remote, or NULL
 * when none was learned within LINK_AGE_MAX_S. Borrowed until the next learn.
 */
const struct link_header *net_link_table_lookup(struct link_table *table, const struct addr *local,
						const struct addr *remote, uint8_t *out_device);
/* net_link_table_turn: it is now_ns, by which paths grow old. */
void net_link_table_turn(struct link_table *table, uint64_t now_ns);
/* net_link_table_forget: device is gone. */
void net_link_table_forget(struct link_table *table, uint8_t device);

#endif
