/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_MEM_H
#define WEFT_NET_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "net/packet_io.h"

/*
 * A network in memory under a virtual clock. Datagrams that one node
 * commits and flushes reach another after the link's delay. Seeded dice
 * may lose, double or reorder them, and a partition cuts them off. The
 * simulator moves time; nothing here reads a clock. Same seed and same
 * calls, same run.
 */
struct mem_net;
struct random;

#define MEM_DGRAM_LEN_MAX 8952 /* a jumbo frame of 9000 less IPv6 and UDP headers */

struct mem_link {
	uint64_t delay_ns;
	uint64_t jitter_ns; /* uniform extra in [0, jitter_ns] */
	uint32_t loss_per_1000;
	uint32_t duplicate_per_1000;
	uint32_t reorder_per_1000; /* held back by another delay_ns */
	uint64_t rate_bytes_per_s; /* 0: unlimited; else a queue of 256 KiB, then drop */
	uint16_t mtu_len;	   /* largest UDP payload, up to MEM_DGRAM_LEN_MAX; 0: 1452 */
};

/*
 * net_mem_net_new makes room for node_cap nodes and for dgram_cap datagrams
 * that are queued, in flight or lent at once. One datagram more is dropped
 * and counted at its sender. random is borrowed for the network's life.
 * Returns 0 or -errno.
 */
WEFT_MUST_CHECK
int net_mem_net_new(uint32_t node_cap, uint32_t dgram_cap, struct random *random,
		    struct mem_net **out_net);
void net_mem_net_free(struct mem_net *net);
/*
 * net_mem_net_attach gives addr an interface on the network; closing both
 * sides detaches it, and what is in flight to it is lost.
 * Returns 0, WEFT_EFULL or WEFT_EEXISTS.
 */
WEFT_MUST_CHECK
int net_mem_net_attach(struct mem_net *net, const struct addr *addr, struct packet_rx **out_rx,
		       struct packet_tx **out_tx);
void net_mem_net_set_default_link(struct mem_net *net, const struct mem_link *link);
/* net_mem_net_set_link: what addr sends goes over a link of its own, until it is detached. */
void net_mem_net_set_link(struct mem_net *net, const struct addr *addr,
			  const struct mem_link *link);
/* net_mem_rx_is_waiting: a burst of rx, a receive side of a mem_net, would not be empty. */
bool net_mem_rx_is_waiting(const struct packet_rx *rx);
/* net_mem_rx_tell: *is_reached, borrowed while rx is open, becomes true with each datagram that comes. */
void net_mem_rx_tell(struct packet_rx *rx, bool *is_reached);
/*
 * net_mem_net_set_group: nodes in different groups do not hear each other (partition); 0 at first.
 * A datagram reaches the nodes of the group in which its sender was when it left.
 */
void net_mem_net_set_group(struct mem_net *net, const struct addr *addr, unsigned group);
/*
 * net_mem_net_set_fate: fate is asked of each datagram that its link has not lost, and
 * answers what it takes longer, or MEM_LOST. NULL: nothing more happens to any.
 */
#define MEM_LOST UINT64_MAX
typedef uint64_t (*mem_fate_fn)(void *ctx, const struct addr *from, const struct addr *to,
				uint64_t now_ns);
void net_mem_net_set_fate(struct mem_net *net, mem_fate_fn fate, void *ctx);
/*
 * net_mem_net_set_router: ops is asked where nodes meet the network, and may drop a datagram. leave
 * may give a datagram that its sender's link has not lost another source. arrive may give one that
 * has come another target, which is the receiver. NULL: none, as at first.
 */
struct mem_router_ops {
	bool (*leave)(void *ctx, struct addr *from, const struct addr *to, uint64_t now_ns);
	bool (*arrive)(void *ctx, const struct addr *from, struct addr *to, uint64_t now_ns);
};
void net_mem_net_set_router(struct mem_net *net, const struct mem_router_ops *ops, void *ctx);
/*
 * net_mem_net_move: NAT rebinding; what the node sends and receives is now
 * under its new address, and what is in flight to the old one is lost.
 * Returns 0, WEFT_EABSENT or WEFT_EEXISTS.
 */
WEFT_MUST_CHECK
int net_mem_net_move(struct mem_net *net, const struct addr *from, const struct addr *to);
/* net_mem_net_advance sets the time; arrived datagrams become visible to burst. */
void net_mem_net_advance(struct mem_net *net, uint64_t now_ns);
/* net_mem_net_next_ns: when the next datagram arrives, or UINT64_MAX. */
uint64_t net_mem_net_next_ns(const struct mem_net *net);
/* net_mem_net_trace_hash: over (time, from, to, length) of every datagram so far; equal runs agree. */
uint64_t net_mem_net_trace_hash(const struct mem_net *net);

#endif
