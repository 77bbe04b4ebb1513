/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_BUFFER_QUEUE_H
#define WEFT_BLOBS_SERVE_BUFFER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "base/fair/turns.h"

struct arena;
struct chunk_buffers;
struct serve;
struct serve_call;

/*
 * Calls that wait for a buffer, chunks' or manifests'. Buffers are few and are not taken back,
 * so the next free buffer is shared out. It goes in turn by class (weighted as the pools'
 * parts), family, network and key (base/fair/turns.h). A network, or a key of it, that holds
 * more buffers than another that waits is passed over, however long it holds them.
 *
 * While one network alone waits, the dynamic threshold (fair_may_hold) leaves buffers to later
 * callers. While several wait, an eighth of the buffers is left to networks that hold none.
 * Unknown peers always leave an eighth to peers that this node knows.
 *
 * Any peer with a session can fill the list by asking. The list holds BUFFER_QUEUE_CAP calls,
 * each without buffer and file, and a full one takes from the largest branch (base/fair/fair.h).
 * An honest peer waits for one answer of each other network, BUFFER_QUEUE_WAIT_NS at most. Then
 * it gets BUSY with a time. Home worker or another worker that serves.
 */
#define BUFFER_QUEUE_CAP 128u
/* Longer than an unread answer may stay while other calls wait (mesh/stream/slots.c). */
#define BUFFER_QUEUE_WAIT_NS (3ull * 1000000000ull)
/* A getter takes an answer that does not begin for ten seconds as lost. */
#define BUFFER_QUEUE_AGE_NS (6ull * 1000000000ull)

struct buffer_queue {
	struct serve *serve;
	struct chunk_buffers *buffers;
	struct fair *slots;  /* of calls that use one of buffers */
	struct fair waiting; /* places in the list */
	struct turns turns;  /* the same calls, by whose turn it is */
	struct pool accounts;
	struct timer timer; /* for calls that wait too long, or at once: a buffer may be free */
	bool is_ended;
};

/* The purpose of a queue; all borrowed for its life, name static. */
struct buffer_queue_params {
	const char *name; /* of its pool */
	struct serve *serve;
	struct chunk_buffers *buffers;
	struct fair *slots;
};

/* blobs_buffer_queue_init: 0, or WEFT_EFULL: arena is too small. */
WEFT_MUST_CHECK
int blobs_buffer_queue_init(struct buffer_queue *queue, struct arena *arena,
			    const struct buffer_queue_params *params, const uint64_t secret[2]);
/* blobs_buffer_queue_fini refuses all that waits, and what comes after it. Takes a zeroed one. */
void blobs_buffer_queue_fini(struct buffer_queue *queue);

/* blobs_buffer_queue_admits: call, which does not wait, may have a buffer at once. */
bool blobs_buffer_queue_admits(struct buffer_queue *queue, const struct serve_call *call);
/*
 * blobs_buffer_queue_put: call gives back what it found and waits; blobs_serve_call_start
 * is called when its turn comes, with has_turn. Or it is refused, or another is for it.
 */
void blobs_buffer_queue_put(struct buffer_queue *queue, struct serve_call *call);
/* blobs_buffer_queue_leave: call waits no longer. Accepts one that does not. */
void blobs_buffer_queue_leave(struct buffer_queue *queue, struct serve_call *call);
/* blobs_buffer_queue_wake: a holder released buffers, so another call may have its turn. */
void blobs_buffer_queue_wake(struct buffer_queue *queue);

#endif
