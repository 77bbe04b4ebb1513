/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_TCP_LEGS_H
#define WEFT_WORKER_TCP_LEGS_H

#include <stdbool.h>
#include <stdint.h>

struct addr;
struct dgram;
struct tcp_dgram;
struct worker;

/*
 * Legs of relay flows on TCP (ADDR_LEG). A worker has the legs of its own sessions. A datagram for
 * the leg of another worker goes there by the handover. So does one for an end of this node, to home. Context: the worker's thread.
 */

/* worker_leg_send: of dgram data, len and ecn are read. What finds no room is dropped and counted. */
void worker_leg_send(void *worker, const struct addr *leg, const struct dgram *dgram);
/* worker_leg_input: the peer with key sent dgram by its connection; as tcp_engine_params.on_dgram. */
void worker_leg_input(void *worker, const uint8_t *key, const struct tcp_dgram *dgram,
		      uint64_t now_ns);
/* worker_guest_input: dgram, label first, is of the client over WebSocket with key. Home. */
void worker_guest_input(struct worker *worker, const uint8_t *key, const struct tcp_dgram *dgram);
/* worker_leg_take: dgram came by the handover; true: it was one for a leg, or of one. */
bool worker_leg_take(struct worker *worker, struct dgram *dgram);

#endif
