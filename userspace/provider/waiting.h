/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_WAITING_H
#define WEFT_PROVIDER_WAITING_H

#include "provider/program_offer.h"

/*
 * Private to provider/: calls that wait until a call of their offer's program ends. They wait in
 * turns by family, network and key of the caller (base/fair/turns.h), since keys are free. Each
 * holds a copy of its payload in the heap of bodies. It leaves at its turn, at its caller's
 * deadline, or when a caller of a family with fewer waiting calls takes its place.
 */
#define WAITING_CAP		  32 /* calls of one service */
#define WAITING_QUANTUM_LEN	  16384
#define WAITING_CALL_LEN	  4096 /* what a call costs beside its payload */
#define WAITING_STANDING_QUEUE_NS 100000000ull

struct waiting_call {
	struct service_call *call;
	const struct service_input *input;
};

size_t provider_waiting_len(void);
void provider_waiting_init(struct offer *offer, const struct service_handler *handler);
/*
 * provider_waiting_takes: the program is busy, so call waits, or was answered. False: it may begin
 * now.
 */
bool provider_waiting_takes(struct offer *offer, const struct waiting_call *call, uint64_t now_ns);
/* provider_waiting_refuse: there is no place for call now; its caller learns when to come again. */
void provider_waiting_refuse(struct offer *offer, struct service_call *call, uint64_t now_ns);
/* provider_waiting_wake: an active of offer ended, so the next call may begin soon. */
void provider_waiting_wake(struct offer *offer);
/* provider_waiting_cancel: false: call does not wait. */
bool provider_waiting_cancel(struct offer *offer, const struct service_call *call);
/* provider_waiting_end answers all that waits: the offer ends. */
void provider_waiting_end(struct offer *offer, uint64_t now_ns);

#endif
