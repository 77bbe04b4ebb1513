/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_ACK_H
#define WEFT_BUILTIN_ACK_H

#include <jansson.h>

#include "base/memory/pool.h"
#include "provider/tenant/tenant.h"

struct builtin_clock;

/*
 * Answers that wait for the disk: a caller whose request was acknowledged finds its data again
 * after a crash.
 */
#define ACK_MAX 256

struct acks {
	struct pool waiting; /* struct ack_waiting */
	struct provider_tenants *tenants;
	const struct builtin_clock *clock;
};

/* The callback and answer for a write that is durable, or that failed. */
struct ack {
	struct service_call *call; /* ended with reply, or SERVICE_UNAVAILABLE; NULL: no caller */
	json_t *reply;		   /* taken */
	/* Comes before call ends; may be NULL. */
	void (*done)(void *arg, bool is_kept, uint64_t now_ns);
	void *arg;
};

WEFT_MUST_CHECK
int builtin_acks_init(struct acks *acks, struct arena *arena, struct provider_tenants *tenants,
		      const struct builtin_clock *clock);
/* builtin_acks_stop: calls are gone; waits until no callback is outstanding. */
void builtin_acks_stop(struct acks *acks);

/*
 * builtin_acks_submit takes write (NULL: there was no memory for one). When too
 * much waits or the tenant's rows have no room, ack comes to its end in the call.
 */
void builtin_acks_submit(struct acks *acks, struct provider_write *write, const struct ack *ack,
			 uint64_t now_ns);
/* builtin_acks_forget: call is gone; its write happens all the same. */
void builtin_acks_forget(struct acks *acks, const struct service_call *call);

#endif
