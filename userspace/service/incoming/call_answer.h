/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_CALL_ANSWER_H
#define WEFT_SERVICE_INCOMING_CALL_ANSWER_H

#include "base/monotonic.h"
#include "router.h"

struct service_idempotent;

/* A call that finds no memory or no place may come again after this time. */
#define SERVICE_MEMORY_WAIT_NS NS_PER_S

/*
 * service_call_answer ends call and all calls that wait for it. The call is settled, counted and
 * answered, and may be gone. refuse: it is counted by reason; no handler saw it. answer_alike: with
 * an answer of the idempotency cache. send_unsent: the stream has room again.
 */
void service_call_answer(struct service_call *call, const struct service_outcome *outcome,
			 uint64_t now_ns);
void service_call_refuse(struct service_call *call, const struct service_refusal *refusal,
			 uint64_t now_ns);
void service_call_answer_alike(struct service_call *call,
			       const struct service_idempotent *idempotent, uint64_t now_ns);
void service_call_send_unsent(struct service_call *call);
/* service_call_send_taken: the stream that call opens is taken. */
void service_call_send_taken(struct service_call *call);

/*
 * call_life.c. list: no other call of its caller in hand has its correlation id; false: one has.
 * time_out: the deadline passed. settle gives back, once, the resources that call was admitted
 * with. From then on it is on no list and has no offer, and its handler may get cancelled. count,
 * of call_answer.c, counts how it ended.
 */
bool service_call_list(struct service_call *call);
void service_call_time_out(struct service_call *call, uint64_t now_ns);
void service_call_settle(struct service_call *call, bool ran, enum service_status status,
			 uint64_t now_ns);
void service_call_count(struct service_call *call, enum service_status status, uint64_t now_ns);
void service_call_release(struct service_call *call);

#endif
