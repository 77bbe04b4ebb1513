/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_ACK_H
#define WEFT_BUILTIN_ACK_H

#include <jansson.h>

#include "base/pool.h"
#include "service/service.h"

struct builtin_clock;
struct store;
struct store_batch;

/*
 * Answers that wait for the disk: who is told that something was kept
 * finds it again after a crash.
 */
#define ACK_MAX 256

struct acks {
	struct pool waiting; /* struct ack_waiting */
	struct store *store;
	const struct builtin_clock *clock;
};

/* What happens when a batch is durable, or never will be. */
struct ack {
	struct service_call
		*call; /* ended with reply, or SERVICE_UNAVAILABLE; NULL: nobody asked */
	json_t *reply; /* taken */
	/* Comes before call ends; may be NULL. */
	void (*done)(void *arg, bool is_kept, uint64_t now_ns);
	void *arg;
};

size_t builtin_acks_footprint(void);
WEFT_MUST_CHECK
int builtin_acks_init(struct acks *acks, struct arena *arena, struct store *store,
		      const struct builtin_clock *clock);
/* builtin_acks_stop: calls are gone; waits until nobody is told any more. */
void builtin_acks_stop(struct acks *acks);

/*
 * builtin_acks_submit takes batch (NULL: there was no memory for one). When too
 * much waits or the store refuses it, ack comes to its end in the call.
 */
void builtin_acks_submit(struct acks *acks, struct store_batch *batch, const struct ack *ack,
			 uint64_t now_ns);
/* builtin_acks_forget: call is gone; what it asked for happens all the same. */
void builtin_acks_forget(struct acks *acks, const struct service_call *call);

#endif
