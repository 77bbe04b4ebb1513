/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_THREAD_RING_H
#define WEFT_BASE_THREAD_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Bounded single-producer single-consumer ring of pointers, the only way
 * threads talk. The producer writes tail, the consumer writes head; each
 * is on a cache line of its own.
 */
struct ring;

/* ring_new makes room for cap_cnt (power of two) pointers; NULL: no memory. */
struct ring *ring_new(uint32_t cap_cnt);
void ring_free(struct ring *ring);
/* ring_push: 0 or WEFT_EFULL. Producer only. */
WEFT_MUST_CHECK
int ring_push(struct ring *ring, void *item);
/* ring_close drops what the ring holds: pop finds nothing any more. Producer only. */
void ring_close(struct ring *ring);
/* ring_pop takes the oldest item, or returns NULL; ring_peek leaves it there. Consumer only. */
void *ring_pop(struct ring *ring);
void *ring_peek(const struct ring *ring);
/* ring_fill: about how many items wait; exact where the other side rests. */
uint32_t ring_fill(const struct ring *ring);

#endif
