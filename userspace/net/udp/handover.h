/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_UDP_HANDOVER_H
#define WEFT_NET_UDP_HANDOVER_H

#include "net/packet_io.h"

/*
 * Datagrams that reached a worker while their connection lives with
 * another one. A queue of the network card belongs to one worker, and a
 * peer with a new address may arrive on any queue. Each ordered pair of
 * workers has a bounded ring of copies; full means dropped and counted, as
 * on any network.
 */
struct handover;

/* Copies under way between two workers. Power of two. */
#define HANDOVER_CAP_CNT 64
/* Longest datagram: the largest UDP payload a 9000-byte link carries, rounded up. */
#define HANDOVER_DGRAM_LEN_MAX 9216

/* net_handover_new is called before workers start. 0, -ENOMEM or -errno. worker_cnt 2 to 128. */
WEFT_MUST_CHECK
int net_handover_new(unsigned worker_cnt, struct handover **out_handover);
/* net_handover_free: after the workers ended. NULL is nothing. */
void net_handover_free(struct handover *handover);

unsigned net_handover_worker_cnt(const struct handover *handover);

/*
 * net_handover_give copies dgram for worker to. Returns 0, WEFT_EFULL or
 * WEFT_ETOOLARGE, both counted (handover_dropped_cnt).
 * Context: worker from; from and to differ.
 */
int net_handover_give(struct handover *handover, unsigned from, unsigned to,
		      const struct dgram *dgram);
/* net_handover_flush wakes the workers that got something from from since its last flush. */
void net_handover_flush(struct handover *handover, unsigned from);

/*
 * net_handover_rx is the receive side of worker, borrowed: its fd becomes
 * readable when others gave something. Its counters are the worker's.
 */
struct packet_rx *net_handover_rx(struct handover *handover, unsigned worker);
/* handover_dropped_cnt: what worker from could not hand over. Context: worker from. */
uint64_t net_handover_dropped_cnt(const struct handover *handover, unsigned from);

#endif
