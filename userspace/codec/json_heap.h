/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_JSON_HEAP_H
#define WEFT_CODEC_JSON_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "weft/err.h"

/*
 * The allocator of JSON. Without memory jansson (2.14) does two harmful things. It leaves out
 * values that it cannot store, so an answer would be shorter than the truth. And as it reads it
 * overruns its own buffer. So a refused allocation is noted, for the sender of an answer to
 * look at, and ends the reading at once. jansson's functions are the whole process's: one that
 * has set its own keeps them, and nothing is noted then. A note is of the thread that made the
 * JSON; a thread that hands JSON to another hands it on.
 */

/* json_heap_begin: before the first JSON; again does no harm. */
void json_heap_begin(void);
/*
 * json_heap_swap_lost: whether this thread lost something since its last call;
 * is_lost is noted from now on.
 */
bool json_heap_swap_lost(bool is_lost);
/*
 * json_heap_text makes a string of what may hold bytes that are no UTF-8, as names of files do:
 * '?' stands for each. NULL gives "": a text that found no memory. NULL without memory.
 */
json_t *json_heap_text(const char *text);
/*
 * json_heap_load is json_loadb. 0, WEFT_EMALFORMED or -ENOMEM; nothing is
 * noted as lost then.
 */
WEFT_MUST_CHECK
int json_heap_load(const char *text, size_t len, size_t flags, json_t **out_json);

#endif
