/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_MEM_H
#define WEFT_NET_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "net/packet_io.h"

/*
 * A network in memory under a virtual clock: what one node commits and
 * flushes reaches another after the link's delay, unless the seeded dice
 * lose, double, reorder or a partition cuts it. The simulator moves time;
 * nothing here reads a clock. Same seed and same calls, same run.
 */
struct mem_net;
struct random;

struct mem_link {
	uint64_t delay_ns;
	uint64_t jitter_ns;	  /* uniform extra in [0, jitter_ns] */
	uint32_t loss_per_1000;
	uint32_t duplicate_per_1000;
	uint32_t reorder_per_1000; /* held back by another delay_ns */
	uint64_t rate_bytes_per_s; /* 0: unlimited; else a queue of 256 KiB, then drop */
	uint16_t mtu_len;	  /* largest UDP payload; 0: 1452 */
};

WEFT_MUST_CHECK
int mem_net_new(uint32_t node_cap, uint32_t dgram_cap, struct random *random,
		struct mem_net **out_net);
void mem_net_free(struct mem_net *net);
/* mem_net_attach gives addr an interface on the network. 0, WEFT_EFULL or WEFT_EEXISTS. */
WEFT_MUST_CHECK
int mem_net_attach(struct mem_net *net, const struct addr *addr, struct packet_rx **out_rx,
		   struct packet_tx **out_tx);
void mem_net_set_default_link(struct mem_net *net, const struct mem_link *link);
/* mem_net_set_group: nodes in different groups do not hear each other (partition); 0 at first. */
void mem_net_set_group(struct mem_net *net, const struct addr *addr, unsigned group);
/* mem_net_move: NAT rebinding; what addr sends and receives is now under its new name. */
WEFT_MUST_CHECK
int mem_net_move(struct mem_net *net, const struct addr *from, const struct addr *to);
/* mem_net_advance sets the time; arrived datagrams become visible to burst. */
void mem_net_advance(struct mem_net *net, uint64_t now_ns);
/* mem_net_next_ns: when the next datagram arrives, or UINT64_MAX. */
uint64_t mem_net_next_ns(const struct mem_net *net);
/* mem_net_trace_hash: over (time, from, to, length) of every datagram so far; equal runs agree. */
uint64_t mem_net_trace_hash(const struct mem_net *net);

#endif
