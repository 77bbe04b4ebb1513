/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_OUTPUT_H
#define WEFT_GATEWAY_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

struct heap;

/*
 * Private to gateway/: bytes that wait to be sent, first in first out.
 * Bytes beyond the first block, which is part of the connection, lie in
 * blocks of the gateway's heap until they are sent. All zero is empty.
 */
#define OUTPUT_BLOCK_LEN 16360 /* with its head a whole class of the heap */

struct output_block {
	struct output_block *next;
	size_t begin, end;
	char data[OUTPUT_BLOCK_LEN];
};

struct output {
	struct output_block *head, *tail; /* NULL: empty */
	size_t len;			  /* bytes that wait */
	struct output_block first;
};

/* gateway_output_append takes all of data, or nothing: WEFT_EFULL, the heap has no room. */
WEFT_MUST_CHECK
int gateway_output_append(struct output *output, struct heap *heap, const void *data, size_t len);
/* gateway_output_peek: the longest piece that lies in one place; 0: nothing waits. */
size_t gateway_output_peek(const struct output *output, const char **out_data);
/* gateway_output_drop: len bytes of that piece went. */
void gateway_output_drop(struct output *output, struct heap *heap, size_t len);
/* gateway_output_clear throws away what waits. */
void gateway_output_clear(struct output *output, struct heap *heap);

#endif
