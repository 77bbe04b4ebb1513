/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_QUEUE_H
#define WEFT_PROVIDER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct heap;

/*
 * Bytes that wait to be written to a program, in blocks of a bounded heap. All zero but heap is
 * empty.
 */
struct queue {
	struct heap *heap;
	struct queue_block *first, *last;
	size_t len;
};

/* provider_queue_push copies all of data or nothing. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int provider_queue_push(struct queue *queue, const void *data, size_t len);
/* provider_queue_append moves all of from, which is of the same heap, behind what queue holds. */
void provider_queue_append(struct queue *queue, struct queue *from);
/*
 * provider_queue_flush sends to fd as much as it takes. Returns the sent bytes, or -errno of a
 * connection that is gone.
 */
WEFT_MUST_CHECK
int64_t provider_queue_flush(struct queue *queue, int fd);
void provider_queue_clear(struct queue *queue);

#endif
