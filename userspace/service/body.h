/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_BODY_H
#define WEFT_SERVICE_BODY_H

#include <stddef.h>
#include <stdint.h>

struct heap;

/*
 * Bytes of a payload, an answer or a piece in the fabric's one bounded
 * heap. References are counted, because the mesh is lent the same bytes that
 * their owner keeps for another try.
 */
struct service_body {
	struct heap *heap;
	uint32_t ref_cnt;
	size_t len;
	uint8_t bytes[];
};

/* service_body_new: len bytes that the caller fills, or NULL when the heap is full. */
struct service_body *service_body_new(struct heap *heap, size_t len);
/* service_body_copy: as new, with the bytes at data. */
struct service_body *service_body_copy(struct heap *heap, const void *data, size_t len);
struct service_body *service_body_get(struct service_body *body);
void service_body_put(struct service_body *body); /* NULL is nothing */
/* service_body_done: put, as the done of a span. */
void service_body_done(void *body);

#endif
