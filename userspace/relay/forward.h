/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FORWARD_H
#define WEFT_RELAY_FORWARD_H

#include "base/dgram.h"
#include "weft/reason.h"
#include "weft/relay_tables.h"

/*
 * Userspace's way of relayed datagrams, of one worker. They came by a kernel socket or by a leg on
 * TCP, or the XDP program left them to it. Ingress has judged and paid for the datagram; here it leaves. Datagrams of one leg and one length
 * that arrive one after the other leave as one run (GSO).
 */
struct relay_forward {
	struct dgram_sink *sink;
	struct dgram_slot slot; /* of the run that is open, if len is not 0 */
	size_t len;
	struct dgram_route route;
	unsigned cnt;	     /* datagrams of the run */
	uint64_t label_head; /* of the leg that the run goes to */
	uint64_t forwarded_cnt, run_cnt;
	uint64_t full_cnt; /* paid for and not sent: the sender had no room */
	uint64_t leg_cnt;  /* given to legs on TCP */
	/* Sends to a leg on TCP (ADDR_LEG), or drops and counts. Before the first of these comes. */
	void (*send_leg)(void *ctx, const struct addr *leg, const struct dgram *dgram);
	void *leg_ctx;
};

/* The kernel's own limit is 64 datagrams a run (UDP_MAX_SEGMENTS), of 65,535 bytes in all. */
#define RELAY_RUN_CNT_MAX 64

void relay_forward_init(struct relay_forward *forward, struct dgram_sink *sink);
/*
 * relay_forward_input sends dgram on by way, or answers it, as reason says (RELAYED,
 * RELAY_UNKNOWN, RELAY_TOO_BIG). False: it is none of these, and left alone. A run may
 * stay open: nothing else may use the sink before relay_forward_flush.
 */
bool relay_forward_input(struct relay_forward *forward, const struct dgram *dgram,
			 const struct weft_relay_way *way, enum weft_reason reason);
void relay_forward_flush(struct relay_forward *forward);
/* relay_forward_set_sink flushes, and sends by sink from now on. */
void relay_forward_set_sink(struct relay_forward *forward, struct dgram_sink *sink);

#endif
